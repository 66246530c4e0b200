//! Which conversation a message belongs to (RFC 8621 3): that of a message that it refers to, or
//! that refers to it, under the same base subject.
//!
//! A conversation is named after the message that began it: the keyed hash of its Message-ID and
//! the base subject. So a message that refers to none, as most delivered mail does, needs no row
//! to be found by its replies: they arrive at the same name. A reply files every id that it knows
//! (`THREAD_KEY`), for those that name another beginning, or only one message of the conversation. When nothing
//! of a conversation is left, what was filed under it goes a while later: a peer names ids as it likes.

use tern_base::codec::Damaged;
use tern_base::{AccountId, BlobId, ThreadId};
use tern_mime::ParsedMessage;
use tern_store::key::KeyReader;
use tern_store::{Page, Range, StoreError, Transaction, Verdict};

use crate::edit::Edit;
use crate::{MailboxError, Mailboxes, tables};

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
    pub(crate) fn keys(&self, account: AccountId) -> impl Iterator<Item = Vec<u8>> {
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

impl Mailboxes {
    /// Looks at the next of the ids that are filed, so many: those of conversations of which no message is in a
    /// mailbox any more go. What comes back of one is where it was; only who refers to it then may begin anew.
    pub(crate) fn forget_references(&self, most: usize) -> Result<(), MailboxError> {
        // Whoever else is about it does the same.
        let Ok(mut next) = self.references_from.try_lock() else {
            return Ok(());
        };
        let range = next
            .take()
            .unwrap_or_else(|| tables::whole(tables::THREAD_KEY));
        let page = self.engine.scan(&range, most)?;
        let account_of = |key: &[u8]| KeyReader::new(key).u32().map(AccountId);
        for of_one in page
            .rows
            .chunk_by(|(a, _), (b, _)| account_of(a) == account_of(b))
        {
            let account = of_one.first().and_then(|(key, _)| account_of(key));
            self.forget_some(account.ok_or(StoreError::Damaged)?, of_one)?;
        }
        *next = page.next;
        Ok(())
    }

    fn forget_some(
        &self,
        account: AccountId,
        filed: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(), MailboxError> {
        let is_left = |txn: &dyn Fn(&Range) -> Result<Page, StoreError>, row: &[u8]| {
            let thread = ThreadId(u64::from_be_bytes(row.try_into().map_err(|_| Damaged)?));
            let members = txn(&tables::thread_members(account, thread))?;
            Ok::<_, MailboxError>(!members.rows.is_empty())
        };
        let mut gone = Vec::new();
        for (key, row) in filed {
            if !is_left(&|range| self.engine.scan(range, 1), row)? {
                gone.push((key, row));
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        self.in_lanes(&[account], |txn| {
            // Covered by the head, as every scan of the account; of one that is going its removal takes care.
            if txn.get(&tables::account(account))?.is_none() {
                return Ok(Verdict::Abandon(()));
            }
            for (key, row) in &gone {
                if !is_left(&|range| txn.scan(range, 1), row)? {
                    txn.delete(key.to_vec());
                }
            }
            Ok(Verdict::Commit(()))
        })
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
