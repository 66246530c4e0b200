//! What a client brings may be what left this server and came back from outside with something added: that
//! is for the floors above to recognise.
//!
//! Invariant: whatever a client puts into a mailbox is looked at, by whichever verb. What the server itself
//! writes is not.

use tern_base::{ContentDigest, OriginId};
use tern_mime::ParsedMessage;

use crate::{MailboxError, Mailboxes, Prepared};

/// Looks at what a client brings.
pub trait Recogniser: Send + Sync {
    /// The letter that it is, come back, and the transaction that had sent that out.
    fn came_back(
        &self,
        parsed: &ParsedMessage,
        content: &[u8],
    ) -> Result<Option<(ContentDigest, OriginId)>, MailboxError>;
}

impl Mailboxes {
    /// Has what a client brings looked at.
    pub(crate) fn recognised(&self, mut prepared: Prepared) -> Result<Prepared, MailboxError> {
        if let Some(recogniser) = &self.hooks.recogniser {
            let known = recogniser.came_back(&prepared.parsed, prepared.content())?;
            if let Some((digest, of)) = known {
                prepared.came_back(digest, of);
            }
        }
        Ok(prepared)
    }
}
