//! What the floors above have a part in: what the mailbox marks, watches, keeps and has looked at on
//! their behalf.
//!
//! Each is named when the mailboxes are opened and none has a default: whoever forgot one would have
//! switched off, without a word, what an organisation relies on.
//!
//! Refuses to know why anybody wants any of it.

use std::sync::Arc;

use crate::{Keeper, Recogniser, limits};

/// What the floors above have a part in.
pub struct Hooks {
    /// Setting this keyword marks the message: see [`crate::Sealing::marked`].
    pub marked: Option<&'static str>,
    /// What clients put into the mailbox of this name, at the top level of every account, is noted with
    /// their connection: see [`crate::Sealing::brought`].
    pub watched: Option<&'static str>,
    /// Asked before a message goes for good.
    pub keeper: Option<Arc<dyn Keeper>>,
    /// Looks at what clients bring.
    pub recogniser: Option<Arc<dyn Recogniser>>,
    /// How many times its quota an account may fill, together with its messages, with what is kept of
    /// it; 0 is no bound.
    pub kept_quotas: u32,
}

impl Hooks {
    /// Mailboxes by themselves, above which there is nobody: for what looks at this crate alone. A server
    /// gives every one of them.
    pub const fn none() -> Self {
        Self {
            marked: None,
            watched: None,
            keeper: None,
            recogniser: None,
            kept_quotas: limits::KEPT_QUOTAS,
        }
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}
