//! Why a page can't be made, and what is told of that.

use std::net::IpAddr;

use hyper::StatusCode;
use tern_base::Fault;
use tern_recall::RecallError;
use tern_store::StoreError;

use super::answer::Answer;
use super::pages;
use crate::factors::FactorsError;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Recall(#[from] RecallError),
    #[error(transparent)]
    Factors(#[from] FactorsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failed {
    fn is_temporary(&self) -> bool {
        let fault = match self {
            Self::Recall(error) => error.fault(),
            Self::Store(error) | Self::Factors(FactorsError::Store(error)) => error.fault(),
            Self::Factors(FactorsError::Directory(error)) => error.fault(),
            Self::Factors(FactorsError::Audit(error)) => error.fault(),
        };
        fault == Fault::Temporary
    }
}

/// The page, or the one that says that there is none now.
pub(super) fn told(peer: &IpAddr, page: Result<Answer, Failed>) -> Answer {
    page.unwrap_or_else(|error| match error.is_temporary() {
        true => {
            tracing::warn!(%peer, %error, "a page could not be made now");
            pages::problem(StatusCode::SERVICE_UNAVAILABLE)
        }
        false => {
            tracing::error!(%peer, %error, "a page could not be made");
            pages::problem(StatusCode::INTERNAL_SERVER_ERROR)
        }
    })
}
