//! What of an operator's requests changes the directory or the queue, which the policies are asked about.
//!
//! Invariant: whoever adds a request says which it is. What only lists is none of them; recalls, holds and the log
//! ask for themselves, since they can be done for an account, too (`--as`).

use tern_policy::Permission;

use super::{Admin, Call, Result};
use crate::control::request::{
    AliasRequest, AppPasswordRequest, DelegateRequest, DeviceRequest, FactorRequest, GroupRequest,
    QueueRequest, Request, RoleRequest, SharingRequest,
};

impl Admin {
    /// Asks the policies whether the operator may change what a request changes.
    pub(super) fn may_manage(&self, request: &Request, call: &mut Call<'_>) -> Result<()> {
        match managed(request) {
            Some(permission) => self.permitted(permission, None, call),
            None => Ok(()),
        }
    }
}

fn managed(request: &Request) -> Option<Permission> {
    let directory = match request {
        Request::Queue(QueueRequest::List) => return None,
        Request::Queue(
            QueueRequest::Hold { .. }
            | QueueRequest::Release { .. }
            | QueueRequest::Cancel { .. }
            | QueueRequest::Flush,
        ) => return Some(Permission::QueueManage),
        Request::DomainAdd { .. }
        | Request::DomainRemove { .. }
        | Request::AccountAdd { .. }
        | Request::AccountImport { .. }
        | Request::AccountRemove { .. }
        | Request::AccountPassword { .. }
        | Request::AccountQuota { .. }
        | Request::AccountDisable { .. }
        | Request::AccountRedirect { .. } => true,
        Request::AppPassword(request) => !matches!(request, AppPasswordRequest::List { .. }),
        Request::Device(request) => !matches!(request, DeviceRequest::List { .. }),
        Request::Alias(request) => !matches!(request, AliasRequest::List),
        Request::Group(request) => !matches!(request, GroupRequest::List { .. }),
        Request::Delegate(request) => !matches!(request, DelegateRequest::List { .. }),
        Request::Factor(request) => !matches!(request, FactorRequest::Status { .. }),
        Request::Sharing(request) => !matches!(request, SharingRequest::Rights { .. }),
        Request::Role(request) => !matches!(request, RoleRequest::List { .. }),
        Request::DomainList
        | Request::AccountList
        | Request::RecallPlan { .. }
        | Request::RecallRun(_)
        | Request::RecallStatus { .. }
        | Request::RecallList { .. }
        | Request::RecallAgain(_)
        | Request::RecallRestore { .. }
        | Request::RecallRestoreBatch { .. }
        | Request::Waiting(_)
        | Request::RecallEvidence { .. }
        | Request::Hold(_)
        | Request::Policy(_)
        | Request::Audit(_)
        | Request::Store(_)
        | Request::Ping => false,
    };
    directory.then_some(Permission::DirectoryManage)
}
