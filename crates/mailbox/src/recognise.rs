//! What a client brings may be what was sent from here: as it was, or come back from outside with something
//! added. That is for the floors above to recognise, and so is what is inside a message.
//!
//! Invariant: whatever a client puts into a mailbox is looked at, by whichever verb, and is foreign where it
//! is not recognised. What the server itself writes is not looked at.

use tern_base::{AccountId, ContentDigest, OriginId};
use tern_mime::ParsedMessage;
use tern_store::{ReadExt as _, StoreError};

use crate::rows::VaultRow;
use crate::seal::read_key;
use crate::withdraw::read_vaulted_key;
use crate::{MailboxError, Mailboxes, Prepared, tables};

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
                // The copy that a client keeps of what it has sent proves nothing, nor does what it puts
                // back without the fields with which it came.
                None => {
                    let sent = recogniser.submitted_by(account, prepared.digest)?;
                    prepared.sent_by = match sent {
                        None => self.had_from_here(account, prepared.digest)?,
                        sent => sent,
                    };
                }
            }
        }
        Ok(prepared)
    }

    /// The transaction by which an account has a letter from somebody here, or had it until it was
    /// withdrawn.
    pub fn had_from_here(
        &self,
        account: AccountId,
        digest: ContentDigest,
    ) -> Result<Option<OriginId>, MailboxError> {
        let copies = self.copies_in(account, digest)?;
        let mut origins = copies.iter().rev().map(|copy| copy.origin);
        if let Some(of) = origins.find(|of| !of.is_foreign()) {
            return Ok(Some(of));
        }
        let (mut tags, mut withdrawn) = (Vec::new(), Vec::new());
        self.engine.each(&tables::seals(digest), |key, _| {
            tags.push(read_key(key)?.1);
            Ok::<_, StoreError>(())
        })?;
        for tag in tags {
            self.engine
                .each(&tables::vaulted_of(tag, account), |key, _| {
                    let (account, message) = read_vaulted_key(key)?;
                    withdrawn.push(tables::vault(account, message));
                    Ok::<_, MailboxError>(())
                })?;
        }
        for row in self.engine.get_many(&withdrawn)?.into_iter().flatten() {
            let row = VaultRow::decode(&row)?.message;
            if row.digest == digest && !row.origin.is_foreign() {
                return Ok(Some(row.origin));
            }
        }
        Ok(None)
    }
}
