//! Sealing, settling and unsealing letters, and what arrivals ask.
//!
//! While a seal is *active*, copies may still be in mailboxes: every read of content asks the set in
//! memory ([`crate::sealed`]). When all copies have been withdrawn the seal is *settled*: arriving
//! content asks for it, inside the arriving transaction. A settled seal whose time is over, or that
//! was taken away, is no longer among those that arrivals ask; its tag stays on record while copies
//! are in the vault under it.

use tern_base::codec::{Reader, Writer};
use tern_base::{AccountId, ContentDigest, OriginId, Timestamp};
use tern_store::{StoreError, Transaction, Verdict};

use crate::seal::{Seal, SealHead, SealTag, read_key};
use crate::{Carriage, Letter, MailboxError, Mailboxes, MessageRow, Sealing, tables};

/// Seals that one page reads.
const PAGE: usize = 1_000;
const CHANGES_VERSION: u8 = 1;

/// The seals of a letter that hold at this time; the transaction depends on all of them.
pub(crate) fn seals_in(
    txn: &mut Transaction<'_>,
    digest: ContentDigest,
    now: Timestamp,
) -> Result<Vec<Seal>, MailboxError> {
    let Some(head) = txn.get(&tables::seal_head(digest))? else {
        return Ok(Vec::new());
    };
    let any = SealHead::decode(&head)?.seals > 0;
    let mut seals = Vec::new();
    let mut next = any.then(|| tables::seals(digest));
    while let Some(range) = next {
        // Covered by the head: a seal that is written meanwhile rewrites it.
        let page = txn.scan(&range, PAGE)?;
        for (key, row) in &page.rows {
            let (_, tag) = read_key(key)?;
            seals.push(Seal::decode(tag, row)?);
        }
        next = page.next;
    }
    seals.retain(|seal| seal.holds_at(now));
    Ok(seals)
}

/// The tag of the first seal of any of these letters that fits, asked with how the letter is
/// carried; the transaction depends on the answer.
pub(crate) fn find_in(
    txn: &mut Transaction<'_>,
    letters: impl Iterator<Item = Letter>,
    now: Timestamp,
    fits: impl Fn(&Seal, Option<Carriage>) -> bool,
) -> Result<Option<SealTag>, MailboxError> {
    for letter in letters {
        let seals = seals_in(txn, letter.digest, now)?;
        let found = seals.iter().find(|seal| fits(seal, letter.carriage));
        if let Some(seal) = found {
            return Ok(Some(seal.tag));
        }
    }
    Ok(None)
}

impl Sealing {
    /// Seals a letter, together with whatever `accompany` writes, in one durable commit. From the
    /// moment of that commit on no covered copy is served. Sealing again under the same tag
    /// replaces the cover.
    pub fn seal<T, E: From<MailboxError> + From<StoreError>>(
        &self,
        digest: ContentDigest,
        seal: Seal,
        mut accompany: impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (tag, active) = (seal.tag, seal.active);
        if active {
            self.0.seals.insert(digest, seal.clone());
        }
        let outcome = self.0.transact(&[], |txn| {
            let outcome = accompany(txn)?;
            put(txn, digest, &seal)?;
            Ok(Verdict::Commit(outcome))
        });
        if active {
            // An unknown outcome may have been committed, and one that failed may have met another
            // seal under the same tag: the row decides. Where it can't be read all stays: content is
            // withheld rather than leaked.
            let _ = self.reload_seal(digest, tag);
        }
        outcome
    }

    /// Marks a seal as settled within a transaction: no covered copy is in a mailbox any more. A
    /// reader may still hold the row of one, so it stays in the set in memory.
    /// Call [`Sealing::reload_seal`] afterwards, whatever came of the commit: from then on no list looks
    /// for its copies.
    pub fn settle_seal_in(
        &self,
        txn: &mut Transaction<'_>,
        digest: ContentDigest,
        tag: SealTag,
    ) -> Result<(), MailboxError> {
        match get(txn, digest, tag)? {
            Some(seal) => put(
                txn,
                digest,
                &Seal {
                    active: false,
                    ..seal
                },
            ),
            None => Ok(()),
        }
    }

    /// Takes a seal away within a transaction: the letter may be served and may arrive again. What
    /// is in the vault under its tag is found by it until nothing is.
    /// Call [`Sealing::reload_seal`] afterwards, whatever came of the commit.
    pub fn unseal_in(
        &self,
        txn: &mut Transaction<'_>,
        digest: ContentDigest,
        tag: SealTag,
    ) -> Result<(), MailboxError> {
        txn.put(tables::seal_over(digest, tag), Vec::new());
        remove(txn, digest, tag)
    }

    /// Has the set in memory say of a seal what its row says: where that is gone, it is asked no more when
    /// content is read; where it is settled, lists do not look for copies under it. The row decides, since
    /// the answer of the commit that changed it may have been lost; if it can't be read all stays as it
    /// is, and this is to be called again.
    pub fn reload_seal(&self, digest: ContentDigest, tag: SealTag) -> Result<(), MailboxError> {
        self.0
            .seals
            .reload(digest, tag, || self.seal_of(digest, tag))
    }

    /// Stops asking a seal when content is read, whatever its row says.
    pub fn forget_seal(&self, digest: ContentDigest, tag: SealTag) {
        self.0.seals.remove(digest, tag);
    }

    /// Stops asking the settled seals whose time is over: what arrives from now on is served. Their
    /// rows go, so that arrivals read only what may keep something out. To be called now and then.
    pub fn forget_over(&self, now: Timestamp) -> Result<(), MailboxError> {
        self.0.seals.begin_to_forget();
        let mut next = Some(tables::whole(tables::SEAL_OF));
        while let Some(range) = next {
            let page = self.0.engine.scan(&range, PAGE)?;
            for (key, row) in &page.rows {
                let (digest, tag) = read_key(key)?;
                if !Seal::decode(tag, row)?.holds_at(now) {
                    self.retire(digest, tag, now)?;
                }
            }
            next = page.next;
        }
        self.forget_emptied()?;
        for (digest, tag) in self.0.seals.over(now) {
            let seal = self.seal_of(digest, tag)?;
            if seal.is_none_or(|seal| !seal.holds_at(now)) {
                self.forget_seal(digest, tag);
            }
        }
        Ok(())
    }

    /// Takes a seal that is over from those that arrivals ask.
    fn retire(
        &self,
        digest: ContentDigest,
        tag: SealTag,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        self.0.transact(&[], |txn| {
            match get(txn, digest, tag)? {
                Some(seal) if !seal.holds_at(now) => {}
                _ => return Ok(Verdict::Abandon(())),
            }
            remove(txn, digest, tag)?;
            txn.put(tables::seal_over(digest, tag), Vec::new());
            Ok(Verdict::Commit(()))
        })
    }

    /// Forgets the seals that are over, or were taken away, and under which nothing is in the vault:
    /// nothing more comes there.
    fn forget_emptied(&self) -> Result<(), MailboxError> {
        let mut next = Some(tables::whole(tables::SEAL_OVER));
        while let Some(range) = next {
            let page = self.0.engine.scan(&range, PAGE)?;
            let mut emptied = Vec::new();
            for (key, _) in page.rows {
                let (_, tag) = read_key(&key)?;
                let kept = self.0.engine.scan(&tables::vaulted_under(tag), 1)?;
                if kept.rows.is_empty() {
                    emptied.push(key);
                }
            }
            self.0.transact(&[], |txn| {
                emptied.iter().for_each(|key| txn.delete(key.clone()));
                Ok::<_, MailboxError>(Verdict::Commit(()))
            })?;
            next = page.next;
        }
        Ok(())
    }

    /// A seal other than `tag` that covers an account's message, within a transaction that depends on
    /// the answer: what one request gives back, another may still hold.
    pub fn other_seal_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        row: &MessageRow,
        tag: SealTag,
        now: Timestamp,
    ) -> Result<Option<SealTag>, MailboxError> {
        find_in(txn, row.letters(), now, |seal, carriage| {
            seal.tag != tag && seal.covers(account, row.origin, carriage)
        })
    }

    /// The seal of a letter under a tag, as it is durable; none when it is over.
    pub fn seal_of(
        &self,
        digest: ContentDigest,
        tag: SealTag,
    ) -> Result<Option<Seal>, MailboxError> {
        let row = self.0.engine.get(&tables::seal(digest, tag))?;
        Ok(row.map(|row| Seal::decode(tag, &row)).transpose()?)
    }

    /// The tags of every seal of a letter, and of those that are over, or were taken away, under
    /// which copies are in the vault: as a transaction sees them, which does not depend on it.
    pub fn seal_tags_in(
        &self,
        txn: &Transaction<'_>,
        digest: ContentDigest,
    ) -> Result<Vec<SealTag>, MailboxError> {
        let mut tags = Vec::new();
        for range in [tables::seals(digest), tables::seals_over(digest)] {
            let mut next = Some(range);
            while let Some(range) = next {
                let page = txn.scan(&range, PAGE)?;
                for (key, _) in &page.rows {
                    tags.push(read_key(key)?.1);
                }
                next = page.next;
            }
        }
        Ok(tags)
    }
}

impl Mailboxes {
    /// The seal that keeps a message from leaving, if any, which is these letters or carries them:
    /// what a transaction sends to its recipient of this number. The transaction depends on the
    /// answer, as an arrival's does.
    pub fn sealed_outside_in(
        &self,
        txn: &mut Transaction<'_>,
        letters: impl Iterator<Item = Letter>,
        origin: OriginId,
        number: Option<u32>,
        now: Timestamp,
    ) -> Result<Option<SealTag>, MailboxError> {
        find_in(txn, letters, now, |seal, carriage| {
            seal.covers_outside(origin, number, carriage)
        })
    }

    /// The seal that keeps anything from leaving that a transaction sends out, if one does, and that
    /// is these letters or carries them. The transaction depends on the answer.
    pub fn any_sealed_outside_in(
        &self,
        txn: &mut Transaction<'_>,
        letters: impl Iterator<Item = Letter>,
        origin: OriginId,
        now: Timestamp,
    ) -> Result<Option<SealTag>, MailboxError> {
        find_in(txn, letters, now, |seal, carriage| {
            seal.covers_any_outside(origin, carriage)
        })
    }

    /// Whether an account's message is sealed now, for what it is or carries.
    pub fn is_sealed(&self, account: AccountId, row: &MessageRow) -> bool {
        row.letters()
            .any(|letter| self.seals.covers(letter, account, row.origin))
    }
}

fn get(
    txn: &mut Transaction<'_>,
    digest: ContentDigest,
    tag: SealTag,
) -> Result<Option<Seal>, MailboxError> {
    let row = txn.get(&tables::seal(digest, tag))?;
    Ok(row.map(|row| Seal::decode(tag, &row)).transpose()?)
}

fn put(txn: &mut Transaction<'_>, digest: ContentDigest, seal: &Seal) -> Result<(), MailboxError> {
    let key = tables::seal(digest, seal.tag);
    let fresh = txn.get(&key)?.is_none();
    txn.put(key, seal.encode());
    change_head(txn, digest, |seals| seals + u64::from(fresh))
}

fn remove(
    txn: &mut Transaction<'_>,
    digest: ContentDigest,
    tag: SealTag,
) -> Result<(), MailboxError> {
    let key = tables::seal(digest, tag);
    if txn.get(&key)?.is_none() {
        return Ok(());
    }
    txn.delete(key);
    change_head(txn, digest, |seals| seals.saturating_sub(1))
}

fn change_head(
    txn: &mut Transaction<'_>,
    digest: ContentDigest,
    seals: impl FnOnce(u64) -> u64,
) -> Result<(), MailboxError> {
    let key = tables::seal_head(digest);
    let head = txn
        .get(&key)?
        .map(|row| SealHead::decode(&row))
        .transpose()?;
    let head = head.unwrap_or_default();
    let head = SealHead {
        changes: head.changes + 1,
        seals: seals(head.seals),
    };
    txn.put(key, head.encode());
    count_change(txn)
}

/// Counts a change of any seal: whoever records what is served of many letters reads this row first, so that
/// a seal at the same moment is a conflict ([`crate::record`]).
fn count_change(txn: &mut Transaction<'_>) -> Result<(), MailboxError> {
    let key = tables::seal_changes();
    let row = txn.get_newest(&key)?;
    let changes = |row: Vec<u8>| Reader::of_version(&row, CHANGES_VERSION)?.number();
    let changes = row.map(changes).transpose()?.unwrap_or_default() + 1;
    let mut w = Writer::versioned(CHANGES_VERSION);
    txn.put(key, w.number(changes).finish());
    Ok(())
}
