//! `tern account delegate`: who may act for whom.

use clap::Subcommand;

use crate::control::request::{DelegateRequest, Request};

#[derive(Subcommand)]
pub(crate) enum DelegateCommand {
    /// Let an account do for another what it may do itself, as far as policies let delegates.
    Add {
        /// For whom.
        address: String,
        /// Who may.
        delegate: String,
    },
    /// End that.
    Remove {
        /// For whom.
        address: String,
        /// Who may no longer.
        delegate: String,
    },
    /// Show who may act for an account.
    List { address: String },
}

impl DelegateCommand {
    pub(super) fn request(&self) -> Request {
        Request::Delegate(match self {
            Self::Add { address, delegate } => DelegateRequest::Add {
                address: address.clone(),
                delegate: delegate.clone(),
            },
            Self::Remove { address, delegate } => DelegateRequest::Remove {
                address: address.clone(),
                delegate: delegate.clone(),
            },
            Self::List { address } => DelegateRequest::List {
                address: address.clone(),
            },
        })
    }
}
