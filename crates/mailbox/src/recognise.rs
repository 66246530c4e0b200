//! What a client brings may be what was sent from here: as it was, or come back from outside with something
//! added. That is for the floors above to recognise, and so is what is inside a message.
//!
//! Invariant: whatever a client puts into a mailbox is looked at, by whichever verb, and is foreign where it
//! is not recognised. What the server itself writes is not looked at.
//!
//! What proves nothing itself is what its account has sent, or was sent from here. Refuses to say so of a letter that came from elsewhere, too, as far as is known: to send somebody
//! what they have already makes it nobody's.

use std::collections::BTreeSet;

use tern_base::{AccountId, ContentDigest, OriginId};
use tern_mime::ParsedMessage;
use tern_store::{ReadExt as _, StoreError};

use crate::rows::VaultRow;
use crate::seal::read_key;
use crate::withdraw::read_vaulted_key;
use crate::{Carriage, Letter, MailboxError, Mailboxes, Prepared, limits, tables};

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

    /// By which of these transactions somebody has a letter, of which a further copy proves nothing: the first that is
    /// of the account that brought it here before anybody else did, or else the first. None where it had come in
    /// from elsewhere before any account sent it.
    fn whose_among(
        &self,
        digest: ContentDigest,
        among: &[OriginId],
    ) -> Result<Option<OriginId>, MailboxError>;

    /// What a message carries that a transaction had sent out, as it was accepted.
    fn carried_by(&self, origin: OriginId) -> Result<Vec<Letter>, MailboxError>;

    /// The letter that it is, come back, and the transaction that had sent that out.
    fn came_back(
        &self,
        parsed: &ParsedMessage,
        content: &[u8],
    ) -> Result<Option<(ContentDigest, OriginId)>, MailboxError>;
}

/// Rows of the vault that are read at once.
const CHUNK: usize = 256;

impl Mailboxes {
    /// Has what a client brings to an account looked at.
    pub(crate) fn recognised(
        &self,
        account: AccountId,
        mut prepared: Prepared,
    ) -> Result<Prepared, MailboxError> {
        let Some(recogniser) = &self.hooks.recogniser else {
            return Ok(prepared);
        };
        match recogniser.came_back(&prepared.parsed, prepared.content())? {
            Some((digest, of)) if digest == prepared.digest => prepared.sent_by = Some(of),
            Some((digest, of)) => prepared.came_back(digest, of),
            // The copy that a client keeps of what it has sent proves nothing, nor does what it puts
            // back without the fields with which it came.
            None => prepared.sent_by = self.whose(account, prepared.digest)?,
        }
        let known = self.known_inside(&prepared, prepared.sent_by)?;
        prepared.attribute(
            |digest| match known.iter().find(|was| was.digest == digest) {
                Some(was) => Ok(was.of()),
                None => self.whose(account, digest),
            },
        )?;
        Ok(prepared)
    }

    /// What is known of the letters inside a message that prove nothing themselves, where it is, or has inside
    /// it, what transactions had sent out: what those were taken for when they were accepted.
    pub fn known_inside(
        &self,
        prepared: &Prepared,
        of: Option<OriginId>,
    ) -> Result<Vec<Letter>, MailboxError> {
        let unknown = Some(Carriage::Attached(None));
        let mut known = Vec::new();
        let Some(recogniser) = &self.hooks.recogniser else {
            return Ok(known);
        };
        if prepared.carried.iter().any(|one| one.carriage == unknown) {
            let inside = prepared.carried.iter().filter_map(|letter| letter.of());
            for of in of.into_iter().chain(inside).collect::<BTreeSet<_>>() {
                known.extend(recogniser.carried_by(of)?);
            }
        }
        Ok(known)
    }

    /// The transaction by which an account has sent a letter itself, or has it from somebody here,
    /// or had it from them until it was withdrawn: whose what the account makes of it is. None where it
    /// came to the account from elsewhere, too, or to anybody here before it was sent from here.
    pub fn whose(
        &self,
        account: AccountId,
        digest: ContentDigest,
    ) -> Result<Option<OriginId>, MailboxError> {
        let Some(recogniser) = &self.hooks.recogniser else {
            return Ok(None);
        };
        if let Some(of) = recogniser.submitted_by(account, digest)? {
            return Ok(Some(of));
        }
        let mut brought_by: Vec<OriginId> = Vec::new();
        let mut add = |origin: OriginId| {
            if !brought_by.contains(&origin) && brought_by.len() < limits::BRINGERS_LOOKED_AT {
                brought_by.push(origin);
            }
            origin.is_foreign()
        };
        for copy in self.copies_in(account, digest)?.iter().rev() {
            if add(copy.origin) {
                return Ok(None);
            }
        }
        for chunk in self.withdrawn_from(account, digest)?.chunks(CHUNK) {
            for row in self.engine.get_many(chunk)?.into_iter().flatten() {
                let row = VaultRow::decode(&row)?.message;
                if row.digest == digest && add(row.origin) {
                    return Ok(None);
                }
            }
        }
        match &*brought_by {
            [] => Ok(None),
            some => recogniser.whose_among(digest, some),
        }
    }

    /// The rows of what the seals of a letter have taken from an account.
    fn withdrawn_from(
        &self,
        account: AccountId,
        digest: ContentDigest,
    ) -> Result<Vec<Vec<u8>>, MailboxError> {
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
        Ok(withdrawn)
    }
}
