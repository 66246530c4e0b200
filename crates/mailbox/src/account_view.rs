//! What an account holds at one moment, message by message: what JMAP sees where IMAP sees mailboxes.
//!
//! A view is immutable and shared. The next one is made from it and the change log: only the chunks
//! of messages that changed are copied, and the account's newest modseq says whether a cached view is
//! still good.
//!
//! A mailbox that was deleted shows nothing from that moment on.
//!
//! A message has flags of its own in each mailbox that shows it; here they are one set (RFC 8621
//! 4.1.1 knows one set of keywords for each Email): `\Seen` where every mailbox has it, since a message that
//! somebody still counts as unread is unread, any other flag where one of them has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tern_base::{AccountId, MailboxId, MessageId, Modseq, ThreadId, Timestamp, Uid};
use tern_store::{Range, Read, StoreError, limits as store_limits};

use crate::rows::{AccountHead, Change, MessageRow, PlacementRow};
use crate::{Flags, MailboxError, Mailboxes, SystemFlag, change, tables};

/// One message of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The message.
    pub message: MessageId,
    /// Its conversation.
    pub thread: ThreadId,
    /// When it was received.
    pub received: Timestamp,
    /// Octets.
    pub size: u32,
    /// The mailboxes that show it, in order of their ids, and its UID in each.
    pub places: Box<[(MailboxId, Uid)]>,
    /// Its flags in all of them together.
    pub flags: Flags,
}

impl Held {
    /// `None` where no mailbox shows it any more.
    fn new(
        message: MessageId,
        row: &MessageRow,
        flags: &[Flags],
        mailboxes: &BTreeSet<MailboxId>,
    ) -> Option<Self> {
        let is_there = |(mailbox, _): &&(MailboxId, Uid)| mailboxes.contains(mailbox);
        let mut places: Vec<_> = row.placements.iter().filter(is_there).copied().collect();
        places.sort_unstable();
        (!places.is_empty()).then(|| Self {
            message,
            thread: row.thread,
            received: row.received,
            size: row.size,
            places: places.into(),
            flags: together(flags.iter()),
        })
    }

    /// Whether a mailbox shows it.
    pub fn is_in(&self, mailbox: MailboxId) -> bool {
        self.places.iter().any(|(shown, _)| *shown == mailbox)
    }

    /// Bytes that it takes, roughly.
    fn bytes(&self) -> u64 {
        let places = size_of_val::<[(MailboxId, Uid)]>(&self.places);
        (size_of::<Self>() + 16 + places + self.flags.bytes_outside()) as u64
    }

    /// The mailboxes that show it.
    pub fn mailboxes(&self) -> impl Iterator<Item = MailboxId> + '_ {
        self.places.iter().map(|(mailbox, _)| *mailbox)
    }
}

/// The flags of a message's placements, as one set.
pub(crate) fn together<'a>(flags: impl Iterator<Item = &'a Flags>) -> Flags {
    let (mut all, mut seen) = (Flags::empty(), true);
    for flags in flags {
        seen &= flags.has(SystemFlag::Seen);
        all.add_all(flags);
    }
    all.set(SystemFlag::Seen, seen && all.has(SystemFlag::Seen));
    all
}

/// About how many messages a chunk has: what a change copies.
const CHUNK: usize = 256;

type Chunk = Arc<Vec<Held>>;

/// What is seen of a message.
pub(crate) enum Seen {
    Nothing,
    Whole,
    Part(Held),
}

/// An account at one moment.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// The account's newest modseq at that moment.
    pub modseq: Modseq,
    /// Messages by ascending id; no chunk is empty.
    chunks: Vec<Chunk>,
    len: usize,
    /// Bytes that all of them take.
    bytes: u64,
}

impl AccountView {
    const fn empty(modseq: Modseq) -> Self {
        Self {
            modseq,
            chunks: Vec::new(),
            len: 0,
            bytes: 0,
        }
    }

    /// What is seen of it: chunks that are seen whole are shared.
    pub(crate) fn within(&self, seen: impl Fn(&Held) -> Seen) -> Self {
        let mut view = Self::empty(self.modseq);
        for chunk in &self.chunks {
            let each: Vec<Seen> = chunk.iter().map(&seen).collect();
            let chunk = match each.iter().all(|one| matches!(one, Seen::Whole)) {
                true => Arc::clone(chunk),
                false => {
                    let each = chunk.iter().zip(each);
                    let kept = each.filter_map(|(held, seen)| match seen {
                        Seen::Nothing => None,
                        Seen::Whole => Some(held.clone()),
                        Seen::Part(part) => Some(part),
                    });
                    Arc::new(kept.collect())
                }
            };
            if !chunk.is_empty() {
                view.len += chunk.len();
                view.bytes += chunk.iter().map(Held::bytes).sum::<u64>();
                view.chunks.push(chunk);
            }
        }
        view
    }

    /// How many messages.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every message, by ascending id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Held> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// One message.
    pub fn get(&self, message: MessageId) -> Option<&Held> {
        let chunk = self.chunks.get(self.chunk_of(message))?;
        let at = chunk.binary_search_by_key(&message, |held| held.message);
        chunk.get(at.ok()?)
    }

    /// The chunk that holds a message, or would.
    fn chunk_of(&self, message: MessageId) -> usize {
        let begins_at_or_before =
            |chunk: &Chunk| chunk.first().is_some_and(|held| held.message <= message);
        let after = self.chunks.partition_point(begins_at_or_before);
        after.saturating_sub(1)
    }

    /// Puts a message in, replaces it, or takes it out.
    fn set(&mut self, message: MessageId, held: Option<Held>) {
        let number = self.chunk_of(message);
        let before = self.get(message).map_or(0, Held::bytes);
        let after = held.as_ref().map_or(0, Held::bytes);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
        let Some(chunk) = self.chunks.get_mut(number) else {
            if let Some(held) = held {
                self.chunks.push(Arc::new(vec![held]));
                self.len += 1;
            }
            return;
        };
        let at = chunk.binary_search_by_key(&message, |held| held.message);
        match (at, held) {
            (Ok(at), Some(held)) => {
                if let Some(slot) = Arc::make_mut(chunk).get_mut(at) {
                    *slot = held;
                }
            }
            (Ok(at), None) => {
                Arc::make_mut(chunk).remove(at);
                self.len -= 1;
                if chunk.is_empty() {
                    self.chunks.remove(number);
                }
            }
            // Mostly behind all others, since ids count up; a restored message comes between.
            (Err(at), Some(held)) => {
                let entries = Arc::make_mut(chunk);
                entries.insert(at, held);
                self.len += 1;
                if entries.len() > 2 * CHUNK {
                    let rest = entries.split_off(CHUNK);
                    self.chunks.insert(number + 1, Arc::new(rest));
                }
            }
            (Err(_), None) => {}
        }
    }

    /// Bytes that it takes, roughly: for the cache's bound.
    pub(crate) const fn weight(&self) -> u64 {
        self.bytes + 256
    }

    fn load(reader: &dyn Read, account: AccountId, modseq: Modseq) -> Result<Self, MailboxError> {
        let mailboxes = mailboxes(reader, account)?;
        let mut flags: BTreeMap<MessageId, Vec<Flags>> = BTreeMap::new();
        each_row(
            reader,
            tables::whole_of(tables::PLACEMENT, account),
            |_, row| {
                let row = PlacementRow::decode(row)?;
                flags.entry(row.message).or_default().push(row.flags);
                Ok(())
            },
        )?;
        let mut view = Self::empty(modseq);
        each_row(
            reader,
            tables::whole_of(tables::MESSAGE, account),
            |key, row| {
                let row = MessageRow::decode(row)?;
                let id = key.last_chunk().ok_or(StoreError::Damaged)?;
                let message = MessageId(u64::from_be_bytes(*id));
                let flags = flags.remove(&message).unwrap_or_default();
                view.set(message, Held::new(message, &row, &flags, &mailboxes));
                Ok(())
            },
        )?;
        Ok(view)
    }

    /// The view that follows from this one and the change log.
    fn advance(
        &self,
        reader: &dyn Read,
        account: AccountId,
        modseq: Modseq,
    ) -> Result<Self, MailboxError> {
        let (mut touched, mut is_fewer_mailboxes) = (BTreeSet::new(), false);
        change::each_after(reader, account, self.modseq, |_, change| match change {
            Change::Placed { message, .. }
            | Change::Flagged { message, .. }
            | Change::Vanished { message, .. } => {
                touched.insert(message);
            }
            Change::MailboxCreated(_) | Change::MailboxUpdated(_) => {}
            // What it held is taken out of it one by one, later.
            Change::MailboxDestroyed(_) => is_fewer_mailboxes = true,
        })?;
        if is_fewer_mailboxes || touched.len() > self.len / 2 + CHUNK {
            return Self::load(reader, account, modseq);
        }
        let mut view = Self {
            modseq,
            ..self.clone()
        };
        let touched: Vec<MessageId> = touched.into_iter().collect();
        for (message, held) in touched.iter().zip(held(reader, account, &touched)?) {
            view.set(*message, held);
        }
        Ok(view)
    }
}

/// Messages as they are now, in the order of `ids`.
fn held(
    reader: &dyn Read,
    account: AccountId,
    ids: &[MessageId],
) -> Result<Vec<Option<Held>>, MailboxError> {
    let mailboxes = mailboxes(reader, account)?;
    let keys: Vec<Vec<u8>> = ids.iter().map(|id| tables::message(account, *id)).collect();
    let rows = reader.get_many(&keys)?.into_iter();
    let rows: Vec<Option<MessageRow>> = rows
        .map(|row| row.map(|row| MessageRow::decode(&row)).transpose())
        .collect::<Result<_, _>>()?;
    let places = |row: &MessageRow| row.placements.clone();
    let keys: Vec<Vec<u8>> = rows
        .iter()
        .flatten()
        .flat_map(places)
        .map(|(mailbox, uid)| tables::placement(account, mailbox, uid))
        .collect();
    let mut placed = reader.get_many(&keys)?.into_iter();
    let mut out = Vec::with_capacity(ids.len());
    for (id, row) in ids.iter().zip(rows) {
        let Some(row) = row else {
            out.push(None);
            continue;
        };
        let mut flags = Vec::with_capacity(row.placements.len());
        for placement in placed.by_ref().take(row.placements.len()) {
            let placement = placement.ok_or(StoreError::Damaged)?;
            flags.push(PlacementRow::decode(&placement)?.flags);
        }
        out.push(Held::new(*id, &row, &flags, &mailboxes));
    }
    Ok(out)
}

/// The mailboxes of an account. Of one that was deleted, messages may still have to go.
fn mailboxes(reader: &dyn Read, account: AccountId) -> Result<BTreeSet<MailboxId>, MailboxError> {
    let mut mailboxes = BTreeSet::new();
    let range = tables::whole_of(tables::MAILBOX, account);
    each_row(reader, range, |key, _| {
        let id = key.last_chunk().ok_or(StoreError::Damaged)?;
        mailboxes.insert(MailboxId(u32::from_be_bytes(*id)));
        Ok(())
    })?;
    Ok(mailboxes)
}

/// Calls `each` with every row of a range.
fn each_row(
    reader: &dyn Read,
    range: Range,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), MailboxError>,
) -> Result<(), MailboxError> {
    let mut next = Some(range);
    while let Some(range) = next {
        let page = reader.scan(&range, store_limits::MAX_PAGE)?;
        for (key, value) in &page.rows {
            each(key, value)?;
        }
        next = page.next;
    }
    Ok(())
}

impl Mailboxes {
    /// What an account holds now.
    pub fn account_view(&self, account: AccountId) -> Result<Arc<AccountView>, MailboxError> {
        self.account_view_at(&*self.engine.snapshot()?, account)
    }

    /// What it held at that moment, or holds since.
    fn account_view_at(
        &self,
        snapshot: &dyn Read,
        account: AccountId,
    ) -> Result<Arc<AccountView>, MailboxError> {
        let head = snapshot
            .get(&tables::account(account))?
            .ok_or(MailboxError::NoAccount)?;
        let head = AccountHead::decode(&head)?;
        let modseq = head.modseq;
        let view = match self.account_views.get(&account) {
            // Somebody else's snapshot may be newer than this one, and so is what they made of it.
            Some(cached) if cached.modseq >= modseq => return Ok(cached),
            Some(cached) if cached.modseq >= head.log_from => {
                cached.advance(snapshot, account, modseq)?
            }
            _ => AccountView::load(snapshot, account, modseq)?,
        };
        let view = Arc::new(view);
        let held = self.account_views.peek(&account);
        if held.is_none_or(|held| held.modseq <= modseq) {
            self.account_views.insert(account, Arc::clone(&view));
        }
        Ok(view)
    }
}

#[cfg(test)]
mod tests {
    use tern_store::Engine;

    use super::*;

    fn one(id: u64) -> Held {
        Held {
            message: MessageId(id),
            thread: ThreadId(id),
            received: Timestamp(id),
            size: 1,
            places: Box::new([]),
            flags: Flags::empty(),
        }
    }

    #[test]
    fn chunks_keep_the_order_whatever_comes_and_goes() {
        // Placed as often and marked as much as it may be.
        let most = |id: u64| {
            let mut held = one(id);
            if id.is_multiple_of(7) {
                held.places = vec![(MailboxId(1), Uid(1)); crate::limits::MAX_PLACEMENTS].into();
                let mut number = 0;
                while held.flags.add_keyword(&format!("{number:032}")) {
                    number += 1;
                }
            }
            held
        };
        let mut view = AccountView::empty(Modseq(1));
        let mut model = BTreeMap::new();
        // Every third first, then those between, then every fifth goes.
        for step in [(0..3_000).step_by(3), (0..3_000).step_by(1)] {
            for id in step {
                view.set(MessageId(id), Some(most(id)));
                model.insert(id, most(id));
            }
        }
        for id in (0..3_100).step_by(5) {
            view.set(MessageId(id), None);
            model.remove(&id);
        }
        assert!(view.iter().eq(model.values()));
        assert_eq!(view.len(), model.len());
        assert_eq!(view.get(MessageId(7)), Some(&most(7)));
        let weight: u64 = model.values().map(Held::bytes).sum();
        assert_eq!(view.weight(), weight + 256);
        assert!(most(7).bytes() > 2_048 + 8 * 256);
        let whole = view.within(|_| Seen::Whole);
        assert_eq!(whole.weight(), view.weight());
        assert_eq!(view.get(MessageId(5)), None);
        assert!(view.chunks.iter().all(|chunk| !chunk.is_empty()));
    }

    #[test]
    fn who_looks_from_a_moment_ago_takes_the_view_that_is_newer() {
        let (engine, mailboxes) = crate::testing::bob(3);
        let bob = crate::testing::BOB;
        let ago = engine.snapshot().unwrap();
        mailboxes.account_view(bob).unwrap();
        crate::testing::append(&mailboxes, 4);
        let newest = mailboxes.account_view(bob).unwrap();
        let seen = mailboxes.account_view_at(&*ago, bob).unwrap();
        assert!(Arc::ptr_eq(&seen, &newest));
        assert_eq!(newest.len(), 4);
    }

    #[test]
    fn a_message_is_seen_where_every_mailbox_says_so() {
        let seen = Flags::of(&[SystemFlag::Seen]);
        let flagged = Flags::of(&[SystemFlag::Flagged]);
        let both = Flags::of(&[SystemFlag::Seen, SystemFlag::Flagged]);
        assert_eq!(together([&seen, &flagged].into_iter()), flagged);
        assert_eq!(together([&seen, &both].into_iter()), both);
        assert_eq!(together(std::iter::empty()), Flags::empty());
    }
}
