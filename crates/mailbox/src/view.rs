//! What a mailbox holds at one moment, shared by every session that looks at it.
//!
//! A view is immutable. The next one is made from it and the change log: only the chunks of
//! entries that changed are copied. The store decides whether a cached view is still good, so
//! there is nothing to invalidate.

use std::collections::BTreeSet;
use std::sync::Arc;

use roaring::RoaringBitmap;
use tern_base::{AccountId, MailboxId, MessageId, Modseq, Timestamp, Uid};
use tern_store::{Read, StoreError};

use crate::rows::{AccountHead, Change, Counters, MailboxRow, PlacementRow};
use crate::{Flags, MailboxError, Mailboxes, SystemFlag, change, tables};

/// One message of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its UID.
    pub uid: Uid,
    /// The message.
    pub message: MessageId,
    /// When its flags here last changed.
    pub modseq: Modseq,
    /// Its flags here.
    pub flags: Flags,
    /// RFC822.SIZE, in octets.
    pub size: u32,
    /// INTERNALDATE.
    pub received: Timestamp,
    /// SAVEDATE (RFC 8514).
    pub saved: Timestamp,
}

impl Entry {
    fn new(uid: Uid, row: PlacementRow) -> Self {
        Self {
            uid,
            message: row.message,
            modseq: row.modseq,
            flags: row.flags,
            size: row.size,
            received: row.received,
            saved: row.saved,
        }
    }
}

impl From<&Entry> for PlacementRow {
    fn from(entry: &Entry) -> Self {
        Self {
            message: entry.message,
            modseq: entry.modseq,
            flags: entry.flags.clone(),
            received: entry.received,
            size: entry.size,
            saved: entry.saved,
        }
    }
}

/// Most entries of one chunk: what a change copies.
const CHUNK: usize = 512;

/// Entries side by side, how many of them need a look when a mailbox is selected, and what they take.
#[derive(Clone, Debug, Default)]
struct Chunk {
    entries: Vec<Entry>,
    unseen: usize,
    with_keywords: usize,
    /// Bytes that their keywords take.
    outside: usize,
}

impl Chunk {
    fn find(&self, uid: Uid) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&uid, |entry| entry.uid)
    }

    fn push(&mut self, entry: Entry) {
        self.count(&entry, 1);
        self.entries.push(entry);
    }

    /// Replaces the entry at `at`, or takes it out.
    fn set(&mut self, at: usize, entry: Option<Entry>) {
        let Some(slot) = self.entries.get_mut(at) else {
            return;
        };
        match entry {
            Some(entry) => {
                let old = std::mem::replace(slot, entry.clone());
                self.count(&old, -1);
                self.count(&entry, 1);
            }
            None => {
                let old = self.entries.remove(at);
                self.count(&old, -1);
            }
        }
    }

    fn count(&mut self, entry: &Entry, by: isize) {
        let unseen = !entry.flags.has(SystemFlag::Seen);
        let tagged = entry.flags.keywords().next().is_some();
        self.unseen = self.unseen.saturating_add_signed(by * isize::from(unseen));
        self.with_keywords = self
            .with_keywords
            .saturating_add_signed(by * isize::from(tagged));
        let outside = entry.flags.bytes_outside() as isize;
        self.outside = self.outside.saturating_add_signed(by * outside);
    }

    /// The first and the last UID, where no UID between them is missing.
    fn gapless(&self) -> Option<(u32, u32)> {
        let (first, last) = (self.entries.first()?.uid.0, self.entries.last()?.uid.0);
        let span = (last - first) as usize + 1;
        (span == self.entries.len()).then_some((first, last))
    }
}

/// A mailbox at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The account's newest modseq at that moment: changes after it are not in the view.
    pub modseq: Modseq,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT, HIGHESTMODSEQ and the counts.
    pub counters: Counters,
    /// Entries by ascending UID; no chunk is empty.
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

impl View {
    /// How many messages.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that it takes, roughly: for the cache's bound.
    pub(crate) fn weight(&self) -> u64 {
        let outside: usize = self.chunks.iter().map(|chunk| chunk.outside).sum();
        (self.len * size_of::<Entry>() + outside) as u64 + 256
    }

    /// Every message, by ascending UID.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.chunks.iter().flat_map(|chunk| chunk.entries.iter())
    }

    /// The UID of every message.
    pub fn uids(&self) -> RoaringBitmap {
        let mut uids = RoaringBitmap::new();
        for chunk in &self.chunks {
            match chunk.gapless() {
                Some((first, last)) => {
                    uids.insert_range(first..=last);
                }
                None => uids.extend(chunk.entries.iter().map(|entry| entry.uid.0)),
            }
        }
        uids.optimize();
        uids
    }

    /// The first message without `\Seen`.
    pub fn first_unseen(&self) -> Option<&Entry> {
        let chunk = self.chunks.iter().find(|chunk| chunk.unseen > 0)?;
        let mut entries = chunk.entries.iter();
        entries.find(|entry| !entry.flags.has(SystemFlag::Seen))
    }

    /// The flags of the messages that have keywords.
    pub fn keyword_flags(&self) -> impl Iterator<Item = &Flags> {
        let chunks = self.chunks.iter().filter(|chunk| chunk.with_keywords > 0);
        chunks
            .flat_map(|chunk| chunk.entries.iter().map(|entry| &entry.flags))
            .filter(|flags| flags.keywords().next().is_some())
    }

    /// The message of a UID.
    pub fn get(&self, uid: Uid) -> Option<&Entry> {
        let chunk = self.chunks.get(self.chunk_of(uid))?;
        chunk.entries.get(chunk.find(uid).ok()?)
    }

    /// The messages from a UID on, by ascending UID.
    pub fn iter_from(&self, uid: Uid) -> impl Iterator<Item = &Entry> {
        let first = self.chunk_of(uid);
        let chunks = self.chunks.get(first..).unwrap_or_default();
        chunks
            .iter()
            .flat_map(|chunk| chunk.entries.iter())
            .skip_while(move |entry| entry.uid < uid)
    }

    /// The mailbox at a later moment, when so many of its placements have become something else.
    pub(crate) fn after(
        &self,
        modseq: Modseq,
        counters: Counters,
        changed: impl IntoIterator<Item = (Uid, Option<PlacementRow>)>,
    ) -> Self {
        let mut view = Self {
            modseq,
            uid_validity: self.uid_validity,
            counters,
            chunks: self.chunks.clone(),
            len: self.len,
        };
        for (uid, row) in changed {
            view.set(uid, row.map(|row| Entry::new(uid, row)));
        }
        view
    }

    /// The chunk that holds a UID, or would.
    fn chunk_of(&self, uid: Uid) -> usize {
        let starts_at_or_before = |chunk: &Arc<Chunk>| {
            let first = chunk.entries.first();
            first.is_some_and(|entry| entry.uid <= uid)
        };
        self.chunks
            .partition_point(starts_at_or_before)
            .saturating_sub(1)
    }

    fn load(
        reader: &dyn Read,
        account: AccountId,
        mailbox: MailboxId,
        base: Base,
    ) -> Result<Self, MailboxError> {
        let mut view = base.empty_view();
        let mut next = Some(tables::placements(account, mailbox));
        while let Some(range) = next {
            let page = reader.scan(&range, tern_store::limits::MAX_PAGE)?;
            for (key, value) in &page.rows {
                view.push(Entry::new(uid_of(key)?, PlacementRow::decode(value)?));
            }
            next = page.next;
        }
        Ok(view)
    }

    fn push(&mut self, entry: Entry) {
        self.len += 1;
        match self.chunks.last_mut() {
            Some(last) if last.entries.len() < CHUNK => Arc::make_mut(last).push(entry),
            _ => {
                let mut chunk = Chunk::default();
                chunk.push(entry);
                self.chunks.push(Arc::new(chunk));
            }
        }
    }

    /// Puts an entry in, replaces it, or takes it out.
    fn set(&mut self, uid: Uid, entry: Option<Entry>) {
        let number = self.chunk_of(uid);
        let Some(chunk) = self.chunks.get_mut(number) else {
            // There is no chunk at all.
            if let Some(entry) = entry {
                self.push(entry);
            }
            return;
        };
        match (chunk.find(uid), entry) {
            (Ok(at), Some(entry)) => Arc::make_mut(chunk).set(at, Some(entry)),
            (Ok(at), None) => {
                Arc::make_mut(chunk).set(at, None);
                self.len -= 1;
                if chunk.entries.is_empty() {
                    self.chunks.remove(number);
                }
            }
            // UIDs only grow, so a new one comes last.
            (Err(_), Some(entry)) => self.push(entry),
            (Err(_), None) => {}
        }
    }
}

fn uid_of(key: &[u8]) -> Result<Uid, MailboxError> {
    let mut parts = tern_store::key::KeyReader::new(key);
    let _account_and_mailbox = (parts.u32(), parts.u32());
    Ok(parts.u32().map(Uid).ok_or(StoreError::Damaged)?)
}

/// What a view is of, besides its entries.
struct Base {
    modseq: Modseq,
    log_from: Modseq,
    uid_validity: u32,
    counters: Counters,
}

impl Base {
    fn read(
        reader: &dyn Read,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Self, MailboxError> {
        let head = reader
            .get(&tables::account(account))?
            .ok_or(MailboxError::NoAccount)?;
        let row = reader
            .get(&tables::mailbox(account, mailbox))?
            .ok_or(MailboxError::NoMailbox)?;
        let counters = reader.get(&tables::counters(account, mailbox))?;
        let head = AccountHead::decode(&head)?;
        Ok(Self {
            modseq: head.modseq,
            log_from: head.log_from,
            uid_validity: MailboxRow::decode(&row)?.uid_validity,
            counters: Counters::decode(&counters.ok_or(MailboxError::NoMailbox)?)?,
        })
    }

    fn empty_view(self) -> View {
        View {
            modseq: self.modseq,
            uid_validity: self.uid_validity,
            counters: self.counters,
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl Mailboxes {
    /// What a mailbox holds now.
    pub fn view(&self, account: AccountId, mailbox: MailboxId) -> Result<Arc<View>, MailboxError> {
        self.view_at(&*self.engine.snapshot()?, (account, mailbox))
    }

    /// What it held at that moment, or holds since.
    fn view_at(
        &self,
        snapshot: &dyn Read,
        (account, mailbox): (AccountId, MailboxId),
    ) -> Result<Arc<View>, MailboxError> {
        let base = Base::read(snapshot, account, mailbox)?;
        let cached = self.views.get(&(account, mailbox));
        let cached = cached.filter(|cached| cached.uid_validity == base.uid_validity);
        let view = match cached {
            // Somebody else's snapshot may be newer than this one, and so is what they made of it.
            Some(cached) if cached.counters.highest_modseq >= base.counters.highest_modseq => {
                return Ok(cached);
            }
            Some(cached) if cached.modseq >= base.log_from => {
                advance(snapshot, account, mailbox, &cached, base)?
            }
            _ => View::load(snapshot, account, mailbox, base)?,
        };
        Ok(self.keep_view((account, mailbox), view))
    }

    /// Keeps a view, unless one is there that is newer.
    pub(crate) fn keep_view(&self, of: (AccountId, MailboxId), view: View) -> Arc<View> {
        let view = Arc::new(view);
        let held = self.views.peek(&of);
        if held.is_none_or(|held| held.modseq <= view.modseq) {
            self.views.insert(of, Arc::clone(&view));
        }
        view
    }

    /// A mailbox's counters alone: cheap, for STATUS and for sessions that wait.
    pub fn counters(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Counters, MailboxError> {
        let row = self.engine.get(&tables::counters(account, mailbox))?;
        Ok(Counters::decode(&row.ok_or(MailboxError::NoMailbox)?)?)
    }
}

/// The view that follows from an older one and the change log.
fn advance(
    reader: &dyn Read,
    account: AccountId,
    mailbox: MailboxId,
    old: &View,
    base: Base,
) -> Result<View, MailboxError> {
    let mut touched = BTreeSet::new();
    change::each_after(reader, account, old.modseq, |_, change| match change {
        Change::Placed {
            mailbox: of, uid, ..
        }
        | Change::Flagged {
            mailbox: of, uid, ..
        }
        | Change::Vanished {
            mailbox: of, uid, ..
        } if of == mailbox => {
            touched.insert(uid);
        }
        _ => {}
    })?;
    if touched.len() > old.len() / 2 + CHUNK {
        return View::load(reader, account, mailbox, base);
    }
    let uids: Vec<Uid> = touched.into_iter().collect();
    let keys: Vec<Vec<u8>> = uids
        .iter()
        .map(|uid| tables::placement(account, mailbox, *uid))
        .collect();
    let mut changed = Vec::with_capacity(uids.len());
    for (uid, row) in uids.into_iter().zip(reader.get_many(&keys)?) {
        changed.push((uid, row.map(|row| PlacementRow::decode(&row)).transpose()?));
    }
    Ok(old.after(base.modseq, base.counters, changed))
}

#[cfg(test)]
mod tests {
    use tern_store::Engine;

    use super::*;

    fn entry(uid: u32, flags: Flags) -> Entry {
        Entry {
            uid: Uid(uid),
            message: MessageId(u64::from(uid)),
            modseq: Modseq(1),
            flags,
            size: 1,
            received: Timestamp(0),
            saved: Timestamp(0),
        }
    }

    #[test]
    fn who_looks_from_a_moment_ago_takes_the_view_that_is_newer() {
        let (engine, mailboxes) = crate::testing::bob(3);
        let of = (crate::testing::BOB, crate::INBOX);
        let ago = engine.snapshot().unwrap();
        mailboxes.view(of.0, of.1).unwrap();
        crate::testing::append(&mailboxes, 4);
        let newest = mailboxes.view(of.0, of.1).unwrap();
        let seen = mailboxes.view_at(&*ago, of).unwrap();
        assert!(Arc::ptr_eq(&seen, &newest));
        // Who has read an older one does not put it in the place of what is newer.
        let base = Base::read(&*ago, of.0, of.1).unwrap();
        let old = View::load(&*ago, of.0, of.1, base).unwrap();
        assert_eq!(mailboxes.keep_view(of, old).len(), 3);
        assert!(Arc::ptr_eq(&mailboxes.view(of.0, of.1).unwrap(), &newest));
    }

    /// What the chunks count is what a look at every entry finds.
    fn check(view: &View) {
        let entries: Vec<&Entry> = view.iter().collect();
        assert_eq!(view.len(), entries.len());
        let uids: RoaringBitmap = entries.iter().map(|entry| entry.uid.0).collect();
        assert_eq!(view.uids(), uids);
        let unseen = |entry: &&&Entry| !entry.flags.has(SystemFlag::Seen);
        assert_eq!(view.first_unseen(), entries.iter().find(unseen).copied());
        let all = entries.iter().map(|entry| &entry.flags);
        let tagged: Vec<&Flags> = all.filter(|f| f.keywords().next().is_some()).collect();
        assert_eq!(view.keyword_flags().collect::<Vec<_>>(), tagged);
        let outside: usize = entries.iter().map(|entry| heap_of(&entry.flags)).sum();
        let least = (entries.len() * size_of::<Entry>() + outside) as u64;
        assert!((least..=2 * least + 256).contains(&view.weight()));
    }

    /// Bytes that an allocator gives out for keywords, at the least.
    fn heap_of(flags: &Flags) -> usize {
        let of_each = |keyword: &str| keyword.len() + size_of::<Box<str>>();
        flags.keywords().map(of_each).sum()
    }

    #[test]
    fn chunks_count_what_they_hold() {
        let base = Base {
            modseq: Modseq(1),
            log_from: Modseq(0),
            uid_validity: 1,
            counters: Counters::default(),
        };
        let mut view = base.empty_view();
        check(&view);
        let seen = Flags::of(&[SystemFlag::Seen]);
        let mut tagged = seen.clone();
        tagged.add_keyword("work");
        let mut full = Flags::empty();
        let mut number = 0;
        while full.add_keyword(&format!("{number:032}")) {
            number += 1;
        }
        for uid in 1..=1_500 {
            view.push(entry(uid, seen.clone()));
        }
        check(&view);
        for (uid, flags) in [
            (700, Some(Flags::empty())),
            (1_499, Some(tagged.clone())),
            (3, Some(tagged)),
            (701, None),
            (1_499, Some(seen.clone())),
            (700, Some(seen)),
            (3, None),
            (5, Some(full.clone())),
            (9_001, Some(full)),
            (9_000, Some(Flags::empty())),
        ] {
            view.set(Uid(uid), flags.map(|flags| entry(uid, flags)));
            check(&view);
        }
        for uid in 1..=512 {
            view.set(Uid(uid), None);
        }
        check(&view);
    }
}
