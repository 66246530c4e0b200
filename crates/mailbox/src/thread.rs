//! Which conversation a message belongs to (RFC 8621 3): that of a message that it refers to, or
//! that refers to it, under the same base subject.
//!
//! A conversation is named after the message that began it: the keyed hash of its Message-ID and
//! the base subject. So a message that refers to none, as most delivered mail does, needs no row
//! to be found by its replies: they arrive at the same name. A reply files every id that it knows
//! (`THREAD_KEY`), for those that name another beginning, or only one message of the conversation.

use tern_base::{BlobId, ThreadId};
use tern_mime::ParsedMessage;
use tern_store::{StoreError, Transaction};

use crate::edit::Edit;
use crate::{MailboxError, tables};

/// How many of the newest references are looked up.
const REFERENCES: usize = 8;
/// Set in every name that is a hash, which keeps them apart from ids that were counted up.
const HASHED: u64 = 1 << 63;

type Hash = [u8; 16];

/// What a message says of its conversation, worked out once for all its copies.
#[derive(Clone, Debug)]
pub(crate) struct Threading {
    own: Option<Hash>,
    /// The newest first.
    references: Vec<Hash>,
    /// The conversation, where nothing is filed that says otherwise.
    natural: Option<ThreadId>,
}

impl Threading {
    pub(crate) fn of(parsed: &ParsedMessage, key: &[u8; 32]) -> Self {
        let hash = |id: &String| hash(id, &parsed.base_subject, key);
        let own = parsed.message_id.as_ref().map(hash);
        let root = parsed.thread_ids.first().map(hash).or(own);
        let newest = parsed.thread_ids.iter().rev().take(REFERENCES).map(hash);
        Self {
            own,
            references: newest.filter(|hash| Some(*hash) != own).collect(),
            natural: root.map(name),
        }
    }

    /// The rows that filing a copy asks for.
    pub(crate) fn keys(&self, account: tern_base::AccountId) -> impl Iterator<Item = Vec<u8>> {
        let hashes = self.own.iter().chain(&self.references);
        hashes.map(move |hash| tables::thread_key(account, hash))
    }

    /// Finds the conversation of a copy, or begins one, and files the ids under it.
    pub(crate) fn file(&self, edit: &mut Edit<'_, '_>) -> Result<ThreadId, MailboxError> {
        let mut found = None;
        let mut missing = Vec::new();
        for hash in self.own.iter().chain(&self.references) {
            match filed(edit.txn, &tables::thread_key(edit.account, hash))? {
                Some(thread) => found = found.or(Some(thread)),
                None => missing.push(hash),
            }
        }
        let thread = found.or(self.natural);
        let thread = thread.unwrap_or_else(|| ThreadId(edit.next_id()));
        // Whoever refers to this message alone arrives at its name.
        let goes_without = self.own.filter(|own| name(*own) == thread);
        for hash in missing
            .into_iter()
            .filter(|hash| Some(**hash) != goes_without)
        {
            let key = tables::thread_key(edit.account, hash);
            edit.txn.put(key, thread.0.to_be_bytes().to_vec());
        }
        Ok(thread)
    }
}

fn hash(message_id: &str, subject: &str, key: &[u8; 32]) -> Hash {
    let text = [message_id.as_bytes(), &[0], subject.as_bytes()].concat();
    let BlobId(digest) = tern_mime::blob_id(key, &text);
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}

fn name(hash: Hash) -> ThreadId {
    let [a, b, c, d, e, f, g, h, ..] = hash;
    ThreadId(u64::from_be_bytes([a, b, c, d, e, f, g, h]) | HASHED)
}

fn filed(txn: &mut Transaction<'_>, key: &[u8]) -> Result<Option<ThreadId>, MailboxError> {
    let number = |row: Vec<u8>| Some(u64::from_be_bytes(row.try_into().ok()?));
    match txn.get(key)? {
        Some(row) => Ok(Some(ThreadId(number(row).ok_or(StoreError::Damaged)?))),
        None => Ok(None),
    }
}
