//! `tern account totp` and `tern account recovery-codes`.

use clap::Subcommand;

use crate::control::request::{FactorRequest, Request};

#[derive(Subcommand)]
pub(crate) enum TotpCommand {
    /// Begin: make a secret for an authenticator application. It is shown this once.
    Enrol { address: String },
    /// Make a link by which its owner does both alone, in a browser and with their password.
    Invite { address: String },
    /// End: show a first code of it. Answers with the recovery codes, which are shown this once.
    Confirm { address: String, code: String },
    /// Remove the second factor of an account, its recovery codes included.
    Remove { address: String },
    /// Show whether an account has a second factor, and when it was last shown.
    Status { address: String },
}

impl TotpCommand {
    pub(super) fn request(&self) -> Request {
        Request::Factor(match self {
            Self::Enrol { address } => FactorRequest::Enrol {
                address: address.clone(),
            },
            Self::Invite { address } => FactorRequest::Invite {
                address: address.clone(),
            },
            Self::Confirm { address, code } => FactorRequest::Confirm {
                address: address.clone(),
                code: code.clone(),
            },
            Self::Remove { address } => FactorRequest::Remove {
                address: address.clone(),
            },
            Self::Status { address } => FactorRequest::Status {
                address: address.clone(),
            },
        })
    }
}

/// New recovery codes for an account.
pub(super) fn recovery_codes(address: &str) -> Request {
    Request::Factor(FactorRequest::RecoveryCodes {
        address: address.to_owned(),
    })
}
