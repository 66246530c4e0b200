//! One change of one account within a transaction: gives out its modseq, keeps the counters, and
//! writes the change log.

use std::collections::BTreeMap;
use std::sync::Arc;

use tern_base::{AccountId, MailboxId, MessageId, Modseq, ThreadId, Timestamp, Uid};
use tern_store::{Transaction, Verdict};

use crate::known::Known;
use crate::rows::{
    AccountHead, Change, ChangeRow, CopyRow, Counters, MailboxRow, MessageRow, PlacementRow,
};
use crate::view::View;
use crate::{Limit, MailboxError, Mailboxes, SystemFlag, limits, tables};

/// The change that is being made. Nothing is written unless [`Edit::finish`] is called.
pub(crate) struct Edit<'t, 'e> {
    pub(crate) txn: &'t mut Transaction<'e>,
    pub(crate) account: AccountId,
    pub(crate) head: AccountHead,
    /// The modseq of everything this change touches.
    pub(crate) modseq: Modseq,
    counters: BTreeMap<MailboxId, Counters>,
    changes: Vec<Change>,
    known: Option<Known>,
}

impl<'t, 'e> Edit<'t, 'e> {
    pub(crate) fn begin(
        txn: &'t mut Transaction<'e>,
        account: AccountId,
    ) -> Result<Self, MailboxError> {
        let row = txn
            .get(&tables::account(account))?
            .ok_or(MailboxError::NoAccount)?;
        let head = AccountHead::decode(&row)?;
        let modseq = Modseq(head.modseq.0 + 1);
        Ok(Self {
            txn,
            account,
            head,
            modseq,
            counters: BTreeMap::new(),
            changes: Vec::new(),
            known: None,
        })
    }

    /// Writes head, counters and change log; nothing when nothing changed.
    pub(crate) fn finish(mut self) {
        if self.changes.is_empty() {
            return;
        }
        self.head.modseq = self.modseq;
        self.head.logged += self.changes.len() as u64;
        for (mailbox, counters) in &self.counters {
            self.txn
                .put(tables::counters(self.account, *mailbox), counters.encode());
        }
        self.txn
            .put(tables::account(self.account), self.head.encode());
        let log = ChangeRow(self.changes).encode();
        self.txn.put(tables::change(self.account, self.modseq), log);
    }

    pub(crate) fn log(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// How many changes there are by now, which all go into one row.
    pub(crate) const fn logged(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn mailbox(&mut self, mailbox: MailboxId) -> Result<MailboxRow, MailboxError> {
        let row = self.txn.get(&tables::mailbox(self.account, mailbox))?;
        Ok(MailboxRow::decode(&row.ok_or(MailboxError::NoMailbox)?)?)
    }

    /// Takes the placements of a mailbox from a view of it, if that is as the mailbox stands.
    pub(crate) fn know(&mut self, mailbox: MailboxId, view: Arc<View>) -> Result<(), MailboxError> {
        let same_life = self.mailbox(mailbox)?.uid_validity == view.uid_validity;
        let counters = self.txn.get(&tables::counters(self.account, mailbox))?;
        let counters = Counters::decode(&counters.ok_or(MailboxError::NoMailbox)?)?;
        if same_life && counters.highest_modseq == view.counters.highest_modseq {
            self.known = Some(Known::of(mailbox, view));
        }
        Ok(())
    }

    /// The mailbox that was known, as this change leaves it.
    pub(crate) fn next_view(&mut self) -> Option<View> {
        let known = self.known.take()?;
        let counters = self.counters.get(&known.mailbox).cloned();
        known.into_view(self.modseq, counters)
    }

    /// What is known of a mailbox.
    fn known(&mut self, mailbox: MailboxId) -> Option<&mut Known> {
        self.known.as_mut().filter(|known| known.mailbox == mailbox)
    }

    /// Whether a mailbox is there: not deleted, though some of its messages may still be.
    pub(crate) fn has_mailbox(&mut self, mailbox: MailboxId) -> Result<bool, MailboxError> {
        let row = self.txn.get(&tables::mailbox(self.account, mailbox))?;
        Ok(row.is_some())
    }

    /// The counters of a mailbox that this change touches: they carry its modseq from here on.
    pub(crate) fn counters(&mut self, mailbox: MailboxId) -> Result<&mut Counters, MailboxError> {
        if !self.counters.contains_key(&mailbox) {
            let row = self.txn.get(&tables::counters(self.account, mailbox))?;
            let mut counters = Counters::decode(&row.ok_or(MailboxError::NoMailbox)?)?;
            counters.highest_modseq = self.modseq;
            self.counters.insert(mailbox, counters);
        }
        self.counters
            .get_mut(&mailbox)
            .ok_or(MailboxError::NoMailbox)
    }

    /// Starts the counters of a new mailbox.
    pub(crate) fn new_counters(&mut self, mailbox: MailboxId) {
        let counters = Counters {
            highest_modseq: self.modseq,
            ..Counters::default()
        };
        self.counters.insert(mailbox, counters);
    }

    /// Forgets the counters of a mailbox that goes.
    pub(crate) fn drop_counters(&mut self, mailbox: MailboxId) {
        self.counters.remove(&mailbox);
        self.txn.delete(tables::counters(self.account, mailbox));
    }

    pub(crate) fn message(
        &mut self,
        message: MessageId,
    ) -> Result<Option<MessageRow>, MailboxError> {
        let row = self.txn.get(&tables::message(self.account, message))?;
        Ok(row.map(|row| MessageRow::decode(&row)).transpose()?)
    }

    /// Writes the rows of a message that is new to the account, or back.
    pub(crate) fn remember(&mut self, id: MessageId, row: &MessageRow) {
        self.put_message(id, row);
        self.txn
            .put(tables::thread(self.account, row.thread, id), Vec::new());
        let copy = CopyRow {
            account: self.account,
            message: id,
            origin: row.origin,
            lineage: row.lineage,
            carrier: None,
        };
        self.txn
            .put(tables::copy(row.digest, self.account, id), copy.encode());
        crate::carried::remember(self.txn, self.account, id, row);
    }

    pub(crate) fn put_message(&mut self, id: MessageId, row: &MessageRow) {
        self.txn
            .put(tables::message(self.account, id), row.encode());
    }

    pub(crate) fn placement(
        &mut self,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<Option<PlacementRow>, MailboxError> {
        let row = self
            .txn
            .get(&tables::placement(self.account, mailbox, uid))?;
        Ok(row.map(|row| PlacementRow::decode(&row)).transpose()?)
    }

    /// Works on messages of a mailbox one by one, as many as one transaction takes: at least one,
    /// at most [`limits::CHUNK`], and none after [`limits::CHUNK_BYTES`] are to be written.
    /// Answers what came of them, and how many were looked at. The mailbox's own row is not asked
    /// for, since it may be going too.
    pub(crate) fn each_placed<T>(
        &mut self,
        mailbox: MailboxId,
        uids: &[Uid],
        mut one: impl FnMut(&mut Self, Uid, PlacementRow) -> Result<Option<T>, MailboxError>,
    ) -> Result<(Vec<T>, usize), MailboxError> {
        let chunk = uids.get(..limits::CHUNK).unwrap_or(uids);
        let is_known = self.known(mailbox).is_some();
        if !is_known {
            let key = |uid: &Uid| tables::placement(self.account, mailbox, *uid);
            self.txn.prefetch(chunk.iter().map(key).collect())?;
        }
        let mut done = Vec::with_capacity(chunk.len());
        for (looked_at, &uid) in chunk.iter().enumerate() {
            if looked_at > 0 && self.txn.size() >= limits::CHUNK_BYTES {
                return Ok((done, looked_at));
            }
            let placement = match self.known(mailbox) {
                Some(known) => known.placement(uid),
                None => self.placement(mailbox, uid)?,
            };
            if let Some(placement) = placement {
                done.extend(one(self, uid, placement)?);
            }
        }
        Ok((done, chunk.len()))
    }

    /// A message id never given out before.
    pub(crate) fn next_id(&mut self) -> u64 {
        let id = self.head.next_message;
        self.head.next_message += 1;
        id
    }

    /// Puts a message into a mailbox: gives it the next UID, counts it, logs it. `created` is
    /// its conversation, where the account did not have it. The caller keeps the message row's list of
    /// placements.
    pub(crate) fn place(
        &mut self,
        mailbox: MailboxId,
        mut row: PlacementRow,
        created: Option<ThreadId>,
    ) -> Result<Uid, MailboxError> {
        row.modseq = self.modseq;
        let counters = self.counters(mailbox)?;
        let uid = counters.uid_next;
        let next = uid
            .0
            .checked_add(1)
            .ok_or(MailboxError::Limit(Limit::Uids))?;
        counters.uid_next = Uid(next);
        counters.count(&row, 1);
        self.head.placements += 1;
        let message = row.message;
        self.put_placement(mailbox, uid, &row);
        self.log(Change::Placed {
            mailbox,
            uid,
            message,
            created,
        });
        Ok(uid)
    }

    /// Takes a message out of a mailbox; `destroyed` is its conversation, where that is its last.
    pub(crate) fn unplace(
        &mut self,
        mailbox: MailboxId,
        uid: Uid,
        row: &PlacementRow,
        destroyed: Option<ThreadId>,
    ) -> Result<(), MailboxError> {
        self.counters(mailbox)?.count(row, -1);
        self.head.placements = self.head.placements.saturating_sub(1);
        if let Some(known) = self.known(mailbox) {
            known.note(uid, None);
        }
        self.txn
            .delete(tables::placement(self.account, mailbox, uid));
        self.log(Change::Vanished {
            mailbox,
            uid,
            message: row.message,
            destroyed,
        });
        Ok(())
    }

    /// Changes the flags of a placement.
    pub(crate) fn reflag(
        &mut self,
        mailbox: MailboxId,
        uid: Uid,
        mut row: PlacementRow,
        flags: crate::Flags,
    ) -> Result<(), MailboxError> {
        self.counters(mailbox)?.count(&row, -1);
        row.flags = flags;
        row.modseq = self.modseq;
        self.counters(mailbox)?.count(&row, 1);
        self.log(Change::Flagged {
            mailbox,
            uid,
            message: row.message,
        });
        self.put_placement(mailbox, uid, &row);
        Ok(())
    }

    fn put_placement(&mut self, mailbox: MailboxId, uid: Uid, row: &PlacementRow) {
        if let Some(known) = self.known(mailbox) {
            known.note(uid, Some(row));
        }
        self.txn
            .put(tables::placement(self.account, mailbox, uid), row.encode());
    }

    /// Counts a message's octets into or out of the account.
    pub(crate) fn use_bytes(&mut self, size: u32, arriving: bool) {
        if arriving {
            self.head.used_bytes += u64::from(size);
            self.head.messages += 1;
        } else {
            self.head.used_bytes = self.head.used_bytes.saturating_sub(size.into());
            self.head.messages = self.head.messages.saturating_sub(1);
        }
    }

    /// Takes the rows away of a message that its owner removes: its last placement is gone.
    pub(crate) fn forget_for_good(
        &mut self,
        id: MessageId,
        row: &MessageRow,
    ) -> Result<(), MailboxError> {
        let copy = (row.digest, self.account, id);
        crate::record::leave_for_good(self.txn, copy, row.origin)?;
        self.forget(id, row);
        Ok(())
    }

    /// Takes a message's own rows away. The caller has noted what was served of it.
    pub(crate) fn forget(&mut self, id: MessageId, row: &MessageRow) {
        self.txn.delete(tables::message(self.account, id));
        self.txn
            .delete(tables::thread(self.account, row.thread, id));
        self.txn.delete(tables::copy(row.digest, self.account, id));
        crate::carried::forget(self.txn, self.account, id, row);
        self.drop_words(id);
    }

    /// Takes the words of a message away that were kept, and with them those of its block, as it goes or
    /// comes back.
    pub(crate) fn drop_words(&mut self, id: MessageId) {
        if self.head.has_words {
            crate::words::drop_in(self.txn, self.account, id);
        }
    }

    /// Removes a message for good: its last placement is gone.
    pub(crate) fn destroy(
        &mut self,
        id: MessageId,
        row: &MessageRow,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        self.use_bytes(row.size, false);
        self.forget_for_good(id, row)?;
        crate::blob::unlink(self.txn, row.blob, now)
    }
}

impl Mailboxes {
    /// Runs one change of one account.
    pub(crate) fn edit<T>(
        &self,
        account: AccountId,
        mut work: impl FnMut(&mut Edit<'_, '_>) -> Result<T, MailboxError>,
    ) -> Result<T, MailboxError> {
        self.transact(&[account], |txn| {
            let mut edit = Edit::begin(txn, account)?;
            let outcome = work(&mut edit)?;
            edit.finish();
            Ok(Verdict::Commit(outcome))
        })
    }

    /// Changes messages of a mailbox one by one, in as many transactions as it takes; those that
    /// are not there are passed over. Each transaction finds the mailbox there, or fails; what those before
    /// it did stays done.
    pub(crate) fn edit_each<T>(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        mut one: impl FnMut(&mut Edit<'_, '_>, Uid, PlacementRow) -> Result<Option<T>, MailboxError>,
    ) -> Result<Vec<T>, MailboxError> {
        let mut all = Vec::with_capacity(uids.len());
        let mut rest = uids;
        while !rest.is_empty() {
            let (done, taken) = self.edit_some(account, mailbox, rest, &mut one)?;
            all.extend(done);
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(all)
    }

    /// The same for the first of them, as many as one transaction takes. Answers what came of them, and how
    /// many were looked at: at least one, where there is any. Where it fails nothing is done.
    pub(crate) fn edit_some<T>(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        mut one: impl FnMut(&mut Edit<'_, '_>, Uid, PlacementRow) -> Result<Option<T>, MailboxError>,
    ) -> Result<(Vec<T>, usize), MailboxError> {
        let (done, taken, view) = self.edit(account, |edit| {
            edit.mailbox(mailbox)?;
            if let Some(view) = self.views.get(&(account, mailbox)) {
                edit.know(mailbox, view)?;
            }
            let (done, taken) = edit.each_placed(mailbox, uids, &mut one)?;
            Ok((done, taken, edit.next_view()))
        })?;
        if let Some(view) = view {
            self.keep_view((account, mailbox), view);
        }
        Ok((done, taken))
    }
}

impl Counters {
    fn count(&mut self, row: &PlacementRow, by: i32) {
        let add = |n: &mut u32, when: bool| {
            if when {
                *n = n.saturating_add_signed(by);
            }
        };
        add(&mut self.total, true);
        add(&mut self.unseen, !row.flags.has(SystemFlag::Seen));
        add(&mut self.deleted, row.flags.has(SystemFlag::Deleted));
        self.bytes = self
            .bytes
            .saturating_add_signed(i64::from(by) * i64::from(row.size));
    }
}
