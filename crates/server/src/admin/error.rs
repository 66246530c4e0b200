//! Why an operator's request was not done.

use tern_audit::AuditError;
use tern_delivery::{DeliveryError, RemovalError};
use tern_directory::DirectoryError;
use tern_mailbox::MailboxError;
use tern_recall::RecallError;
use tern_store::StoreError;

use crate::factors::FactorsError;

/// Why an operator's request was not done; the text is for the operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("{0}")]
    Wrong(String),
    #[error("there is no account `{0}`")]
    NoAccount(String),
    #[error("there is no {0} `{1}`")]
    NotFound(&'static str, String),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Factors(#[from] FactorsError),
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    #[error(transparent)]
    Removal(#[from] RemovalError),
    #[error(transparent)]
    Recall(#[from] RecallError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
