//! What a session may reach.
//!
//! Invariant: a session acts on the mailboxes of the account that authenticated, and on nothing
//! else. Refuses to hand down anything beyond the mailbox verbs and the memory for literals.

use tern_mailbox::Mailboxes;
use tern_session::ContentMemory;

/// The verbs that a session may use.
#[derive(Clone, Copy, Debug)]
pub struct Verbs<'a> {
    /// Mailboxes and messages.
    pub mailboxes: &'a Mailboxes,
    /// The memory for literals on their way in.
    pub memory: &'a dyn ContentMemory,
}
