//! What becomes of a connection: whether it may stay, and what it is when HTTP is done with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a connection becomes.
type Next = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The place where an answer of 101 leaves what the connection becomes. Whoever serves it runs that, so that it
/// counts among the connections for as long.
#[derive(Default)]
pub(super) struct Turn {
    next: Mutex<Option<Next>>,
    has_login: AtomicBool,
}

impl Turn {
    /// The connection becomes this.
    pub(super) fn to(&self, next: impl Future<Output = ()> + Send + 'static) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(next));
    }

    /// Somebody has shown a login by it: it may stay.
    pub(super) fn logged_in(&self) {
        self.has_login.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_login(&self) -> bool {
        self.has_login.load(Ordering::Relaxed)
    }

    /// What it becomes, if anything.
    pub(super) fn take(&self) -> Option<Next> {
        self.next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
