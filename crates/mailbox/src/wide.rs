//! Letters that came to many accounts at once: what is served of their copies is also on record by letter,
//! so that whoever seals it need not look into every account before its seal.
//!
//! Invariant: of a letter whose row is durable ([`tables::wide`]), every copy that was served anything has
//! its row by letter ([`tables::exposure`]), also while it is in a mailbox. Whoever asks what was served
//! goes by that row; whoever records what is served goes by memory, which has the letter before.
//!
//! A letter comes among them with the transaction that brings it to many. What a sender's client has put
//! into the drafts before it sends is a copy by then, so up to [`limits::MAX_EARLIER_COPIES`] may be there;
//! where there are more it stays an ordinary letter. In this order: the letter is in memory; its copies
//! are looked for, in what is durable by then; what is on record of each becomes on record by letter, and
//! its roll says so, in the transaction that makes the letter's row. Of every other copy and record:
//! - A record that committed before the snapshot of that transaction is read there. One that commits after
//!   it, and before that commit, changes the roll, and this is a conflict. One that would commit later has
//!   read the roll before it said so, and is a conflict itself.
//! - A copy that comes after it was looked for is served to nobody before the letter is in memory: whoever
//!   records what is served of it finds it there. What comes with something on record, since its client
//!   brought it or it was made of another copy, has its row by letter in any case ([`crate::inherit`]).
//!
//! Where that commit fails memory alone has the letter: some rows by letter are more than needed, and
//! nobody goes by them until it is tried again. After a restart memory has what is durable.
//!
//! A letter leaves them, so that others find room, when no copy of it is in a mailbox. In this order: memory
//! takes it no more; its row goes; memory has it no more. A copy that comes in between is one of an ordinary
//! letter: what is served of it is in its roll, as of any, and more rows by letter than needed do no harm.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tern_base::ContentDigest;
use tern_base::codec::Damaged;
use tern_store::{Engine, Range, Transaction, Verdict, transact};

use crate::record::leave_from_now_on;
use crate::{CopyRow, MailboxError, Mailboxes, limits, tables};

/// The letters.
#[derive(Debug, Default)]
pub(crate) struct Wide {
    any: AtomicBool,
    letters: RwLock<Letters>,
    /// Where whoever looks for letters without copies goes on.
    next: Mutex<Option<Range>>,
}

#[derive(Debug, Default)]
struct Letters {
    all: HashSet<ContentDigest>,
    /// One whose row is going.
    leaving: Option<ContentDigest>,
}

impl Wide {
    pub(crate) fn load(engine: &dyn Engine) -> Result<Self, MailboxError> {
        let mut letters = Letters::default();
        let mut next = Some(tables::whole(tables::WIDE));
        while let Some(range) = next {
            let page = engine.scan(&range, tern_store::limits::MAX_PAGE)?;
            for (key, _) in &page.rows {
                letters.all.insert(digest_of(key)?);
            }
            next = page.next;
        }
        Ok(Self {
            any: AtomicBool::new(!letters.all.is_empty()),
            letters: RwLock::new(letters),
            next: Mutex::default(),
        })
    }

    /// Whether a letter is among them.
    pub(crate) fn has(&self, digest: ContentDigest) -> bool {
        if !self.any.load(Ordering::SeqCst) {
            return false;
        }
        self.read().all.contains(&digest)
    }

    fn read(&self) -> RwLockReadGuard<'_, Letters> {
        self.letters.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Letters> {
        self.letters.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a letter among them, unless they are too many, or it is about to leave them. Answers whether it is
    /// among them.
    fn take(&self, digest: ContentDigest) -> bool {
        let mut letters = self.write();
        if letters.leaving == Some(digest) {
            return false;
        }
        if letters.all.len() < limits::MAX_WIDE_LETTERS {
            letters.all.insert(digest);
            self.any.store(true, Ordering::SeqCst);
        }
        letters.all.contains(&digest)
    }

    /// Leaves a letter out from now on, once `remove` has its row gone.
    fn leave_out(
        &self,
        digest: ContentDigest,
        remove: impl FnOnce() -> Result<(), MailboxError>,
    ) -> Result<(), MailboxError> {
        self.write().leaving = Some(digest);
        let removed = remove();
        let mut letters = self.write();
        letters.leaving = None;
        // Where the answer was lost the row may be there: then memory has it as well.
        if removed.is_ok() {
            letters.all.remove(&digest);
            self.any.store(!letters.all.is_empty(), Ordering::SeqCst);
        }
        removed
    }
}

fn digest_of(key: &[u8]) -> Result<ContentDigest, Damaged> {
    let digest = key.get(1..).and_then(|rest| rest.first_chunk());
    digest.map(|digest| ContentDigest(*digest)).ok_or(Damaged)
}

impl Mailboxes {
    /// Whether every copy of a letter that was served anything has its row by letter.
    pub(crate) fn is_wide(&self, digest: ContentDigest) -> Result<bool, MailboxError> {
        Ok(self.wide.has(digest) && self.engine.get(&tables::wide(digest))?.is_some())
    }

    /// The same within a transaction, which depends on it.
    pub(crate) fn is_wide_in(
        &self,
        txn: &mut Transaction<'_>,
        digest: ContentDigest,
    ) -> Result<bool, MailboxError> {
        Ok(self.wide.has(digest) && txn.get(&tables::wide(digest))?.is_some())
    }

    /// Takes a letter among them within the transaction that brings it to many, if it can be done.
    pub(crate) fn widen_in(
        &self,
        txn: &mut Transaction<'_>,
        digest: ContentDigest,
    ) -> Result<(), MailboxError> {
        let key = tables::wide(digest);
        // Not to depend on it: what many are brought in several transactions is not a conflict.
        if self.wide.has(digest) && txn.peek(&key)?.is_some() {
            return Ok(());
        }
        if self.earlier_copies(digest)?.is_none() || !self.wide.take(digest) {
            return Ok(());
        }
        let Some(copies) = self.earlier_copies(digest)? else {
            return Ok(());
        };
        for copy in copies {
            leave_from_now_on(txn, (digest, copy.account, copy.message), copy.origin)?;
        }
        txn.put(key, Vec::new());
        Ok(())
    }

    /// Looks at the next of them, so many: those of which no copy is in a mailbox any more leave.
    pub(crate) fn forget_wide(&self, most: usize) -> Result<(), MailboxError> {
        // Whoever else is about it does the same.
        let Ok(mut next) = self.wide.next.try_lock() else {
            return Ok(());
        };
        let range = next.take().unwrap_or_else(|| tables::whole(tables::WIDE));
        let page = self.engine.scan(&range, most)?;
        for (key, _) in &page.rows {
            let digest = digest_of(key)?;
            if !self.first_copies(digest, 1)?.is_empty() {
                continue;
            }
            self.wide.leave_out(digest, || {
                transact(&*self.engine, |txn| {
                    txn.delete(key.clone());
                    Ok(Verdict::Commit(()))
                })
            })?;
        }
        *next = page.next;
        Ok(())
    }

    /// The copies of a letter that are in mailboxes, unless they are many: not as a transaction sees
    /// them, but all that there are.
    fn earlier_copies(&self, digest: ContentDigest) -> Result<Option<Vec<CopyRow>>, MailboxError> {
        let copies = self.first_copies(digest, limits::MAX_EARLIER_COPIES + 1)?;
        Ok((copies.len() <= limits::MAX_EARLIER_COPIES).then_some(copies))
    }
}
