//! What an operator can do on the server's machine: the verbs behind the command line, for a
//! running server and without one.
//!
//! Invariant: every act that changes something is in the audit log under the operator's name.
//! Refuses to show a password, or what verifies one.

mod directory;
mod error;
mod look;
mod policy;
mod queue;
mod recall;
mod role;
mod store;

use std::sync::Arc;

use tern_audit::{Actor, Draft, EntryId};
use tern_base::{EmailAddress, Entropy, Timestamp};
use tern_delivery::Delivery;
use tern_directory::{Account, Passwords};
use tern_mailbox::Mailboxes;
use tern_recall::Recalls;
use tern_store::{Engine, Read};
use tokio::sync::Notify;

use crate::control::request::{Answer, Request, Response};
use crate::parts::Parts;
use crate::policies::Policies;
use error::AdminError;

/// What the operator's verbs need.
pub(crate) struct Admin {
    engine: Arc<dyn Engine>,
    mailboxes: Arc<Mailboxes>,
    passwords: Arc<Passwords>,
    delivery: Arc<Delivery>,
    recalls: Arc<Recalls>,
    policies: Arc<Policies>,
    /// Wakes the worker of the queue.
    queued: Arc<Notify>,
}

/// One request on its way: who asks, and when.
pub(crate) struct Call<'a> {
    operator: &'a str,
    now: Timestamp,
    entropy: &'a mut dyn Entropy,
}

type Result<T> = std::result::Result<T, AdminError>;

impl Admin {
    pub(crate) fn new(parts: &Parts, queued: Arc<Notify>) -> Self {
        Self {
            engine: Arc::clone(&parts.engine),
            mailboxes: Arc::clone(&parts.mailboxes),
            passwords: Arc::clone(&parts.passwords),
            delivery: Arc::clone(&parts.delivery),
            recalls: Arc::clone(&parts.recalls),
            policies: Arc::clone(&parts.policies),
            queued,
        }
    }

    /// Carries a request out.
    pub(crate) fn execute(
        &self,
        request: &Request,
        operator: &str,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Response {
        let mut call = Call {
            operator,
            now,
            entropy,
        };
        match self.dispatch(request, &mut call) {
            Ok(answer) => Response::Done(answer),
            Err(error) => Response::Failed(error.to_string()),
        }
    }

    fn dispatch(&self, request: &Request, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            Request::DomainAdd { domain } => self.domain_add(domain, call),
            Request::DomainList => self.domain_list(),
            Request::DomainRemove { domain } => self.domain_remove(domain, call),
            Request::AccountAdd {
                address,
                name,
                quota_bytes,
                password,
            } => self.account_add(address, name, *quota_bytes, password, call),
            Request::AccountList => self.account_list(),
            Request::AccountRemove { address } => self.account_remove(address, call),
            Request::AccountPassword { address, password } => {
                self.account_password(address, password, call)
            }
            Request::AccountQuota {
                address,
                quota_bytes,
            } => self.account_quota(address, *quota_bytes, call),
            Request::AccountDisable { address, disabled } => {
                self.account_disable(address, *disabled, call)
            }
            Request::AliasAdd { address, targets } => self.alias_add(address, targets, call),
            Request::AliasRemove { address } => self.alias_remove(address, call),
            Request::AliasList => self.alias_list(),
            Request::GroupAdd { address, name } => self.group_add(address, name, call),
            Request::GroupRemove { address } => self.group_remove(address, call),
            Request::GroupAddMember { address, members } => {
                self.group_members(address, members, true, call)
            }
            Request::GroupRemoveMember { address, members } => {
                self.group_members(address, members, false, call)
            }
            Request::GroupList { address } => self.group_list(address.as_deref()),
            Request::QueueList => self.queue_list(),
            Request::QueueHold { id, reason } => self.queue_hold(id, reason, call),
            Request::QueueRelease { id } => self.queue_release(id, call),
            Request::QueueCancel { id } => self.queue_cancel(id, call),
            Request::QueueFlush => self.queue_flush(call),
            Request::RecallPlan {
                by,
                message_id,
                recipients,
            } => self.recall_plan(by, message_id, recipients, call),
            Request::RecallRun {
                by,
                message_id,
                recipients,
                reason,
            } => self.recall_run(by, message_id, recipients, reason.as_ref(), call),
            Request::RecallStatus { id } => self.recall_status(id),
            Request::RecallList { by } => self.recall_list(by.as_deref()),
            Request::RecallRestore { id } => self.recall_restore(id, call),
            Request::Role(request) => self.role(request, call),
            Request::Policy(request) => self.policy(request, call),
            Request::AuditVerify => self.audit_verify(),
            Request::AuditList { limit, action } => self.audit_list(*limit, action.as_ref(), call),
            Request::AuditExport { from } => self.audit_export(*from, call),
            Request::Check => self.check(),
            Request::Backup { directory } => self.backup(directory, call),
            Request::Ping => Ok(Answer::new("tern runs", serde_json::Value::Null)),
        }
    }

    fn reader(&self) -> &dyn Read {
        &*self.engine
    }

    /// The account of an address.
    fn account(&self, address: &str) -> Result<Account> {
        let parsed = parse_address(address)?;
        let account = tern_directory::account_by_address(self.reader(), &parsed)?;
        account.ok_or_else(|| AdminError::NoAccount(address.to_owned()))
    }

    /// Puts an act on record.
    fn record(
        &self,
        call: &mut Call<'_>,
        draft: impl FnOnce(Draft) -> Draft,
        action: &str,
    ) -> Result<()> {
        let id = EntryId::new(call.now, call.entropy);
        let actor = Actor::Operator(call.operator.to_owned());
        let mut entry = Draft::new(id, call.now, actor, action);
        entry.protocol = Some(String::from("cli"));
        tern_audit::append(&*self.engine, &draft(entry))?;
        Ok(())
    }
}

fn parse_address(text: &str) -> Result<EmailAddress> {
    let parsed = EmailAddress::parse(text);
    parsed.map_err(|error| AdminError::Wrong(format!("`{text}` is not an address: {error}")))
}

/// "1 copy", "2 copies".
fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
