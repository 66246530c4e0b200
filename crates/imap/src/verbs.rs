//! What a session may reach.
//!
//! Invariant: a session acts on the mailboxes of the account that authenticated, and on those of others as
//! far as it was given rights. Refuses to hand down anything beyond the mailbox verbs, what these need
//! of the directory, and the memory for content.

use tern_mailbox::Mailboxes;
use tern_session::{ContentMemory, Sharing};

/// The verbs that a session may use.
#[derive(Clone, Copy, Debug)]
pub struct Verbs<'a> {
    /// Mailboxes and messages.
    pub mailboxes: &'a Mailboxes,
    /// Who has rights in whose mailboxes, by name.
    pub sharing: &'a Sharing,
    /// The memory for literals on their way in, and for what is made of a message on its way out.
    pub memory: &'a dyn ContentMemory,
}
