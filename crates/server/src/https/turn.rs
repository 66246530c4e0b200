//! What becomes of a connection when HTTP is done with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

/// What a connection becomes.
type Next = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The place where an answer of 101 leaves it. Whoever serves the connection runs it, so that it counts
/// among the connections for as long.
#[derive(Default)]
pub(super) struct Turn(Mutex<Option<Next>>);

impl Turn {
    /// The connection becomes this.
    pub(super) fn to(&self, next: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(next));
    }

    /// What it becomes, if anything.
    pub(super) fn take(&self) -> Option<Next> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
