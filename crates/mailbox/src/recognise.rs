//! What a client brings may be what was sent from here: as it was, or come back from outside with something
//! added. That is for the floors above to recognise, and so is what is inside a message.
//!
//! Invariant: whatever a client puts into a mailbox is looked at, by whichever verb, and is foreign where it
//! is not recognised. What the server itself writes is not looked at.

use tern_base::{AccountId, ContentDigest, OriginId};
use tern_mime::ParsedMessage;

use crate::{MailboxError, Mailboxes, Prepared};

/// Looks at what a client brings.
pub trait Recogniser: Send + Sync {
    /// The transaction that had sent out the letter which these octets are, where they prove that.
    fn sent_by(&self, digest: ContentDigest, octets: &[u8]) -> Option<OriginId>;

    /// The last transaction by which an account itself has sent a letter.
    fn submitted_by(
        &self,
        account: AccountId,
        digest: ContentDigest,
    ) -> Result<Option<OriginId>, MailboxError>;

    /// The letter that it is, come back, and the transaction that had sent that out.
    fn came_back(
        &self,
        parsed: &ParsedMessage,
        content: &[u8],
    ) -> Result<Option<(ContentDigest, OriginId)>, MailboxError>;
}

impl Mailboxes {
    /// Has what a client brings to an account looked at.
    pub(crate) fn recognised(
        &self,
        account: AccountId,
        mut prepared: Prepared,
    ) -> Result<Prepared, MailboxError> {
        if let Some(recogniser) = &self.hooks.recogniser {
            match recogniser.came_back(&prepared.parsed, prepared.content())? {
                Some((digest, of)) if digest == prepared.digest => prepared.sent_by = Some(of),
                Some((digest, of)) => prepared.came_back(digest, of),
                // The copy that a client keeps of what it has sent proves nothing.
                None => prepared.sent_by = recogniser.submitted_by(account, prepared.digest)?,
            }
        }
        Ok(prepared)
    }
}
