//! What leaves: handing items to the network, and what came of it.
//!
//! Items that travel together are taken, and concluded, in one transaction; what becomes of each is its
//! own.

use std::borrow::Cow;
use std::ops::ControlFlow;

use tern_base::{Entropy, Timestamp};
use tern_mailbox::Letter;
use tern_queue::{
    AfterFlight, Cancelled, DuePlace, Ending, Item, LeaseId, Leased, Outcome, QueueId, Recorded,
    Reply, State, Status,
};
use tern_recall::onward::note_stopped_in;
use tern_store::{Transaction, Verdict, transact};

use crate::body::BodyType;
use crate::entry::Facts;
use crate::heard::envid;
use crate::notice::Subject;
use crate::report::{Action, Notice, Report};
use crate::{Delivery, DeliveryError};

/// Items under lease, ready to be sent: one message, to all of their recipients.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The items, which travel together.
    pub items: Vec<Item>,
    /// Those whose time is over and whose last attempt was lost: they are to be concluded as they
    /// are.
    pub overdue: Vec<Item>,
    /// The message to send, its prefix included.
    pub content: Vec<u8>,
    /// What its octets ask of the next server.
    pub body: BodyType,
    /// What a seal may know it by.
    letters: Vec<Letter>,
}

/// What was made of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concluded {
    /// It is finished.
    Finished(Ending),
    /// It waits for another attempt, at this time.
    Retry(Timestamp),
    /// It is held.
    Held,
    /// The outcome changes nothing: the lease is another's, or the item is gone.
    Ignored,
}

impl Delivery {
    /// Items whose time has come, the longest waiting first.
    pub fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Item>, DeliveryError> {
        Ok(tern_queue::due(self.reader(), now, limit)?)
    }

    /// Shows the same from a place on to whoever chooses among them, until they have enough. `is_known`: an
    /// item that is passed by.
    pub fn each_due_from(
        &self,
        from: Option<DuePlace>,
        now: Timestamp,
        is_known: impl FnMut(QueueId) -> bool,
        visit: impl FnMut(DuePlace, Item) -> ControlFlow<()>,
    ) -> Result<(), DeliveryError> {
        Ok(tern_queue::each_due_from(
            self.reader(),
            from,
            now,
            is_known,
            visit,
        )?)
    }

    /// An item, if its time has come.
    pub fn due_item(&self, id: QueueId, now: Timestamp) -> Result<Option<Item>, DeliveryError> {
        let live = self.live_items(&[id])?.pop();
        Ok(live.filter(|item| DuePlace::of(item).is_some_and(|place| place.time <= now)))
    }

    /// Whether an attempt has something to tell the sender, even where nobody can be asked.
    pub fn owes_word(&self, item: &Item, now: Timestamp) -> bool {
        self.settings.schedule.owes_word(item, now)
    }

    /// When the next item is due that is not due yet.
    pub fn next_due_after(&self, now: Timestamp) -> Result<Option<Timestamp>, DeliveryError> {
        Ok(tern_queue::next_due_after(self.reader(), now)?)
    }

    /// Ends the leases of attempts that a stop or a crash cut off, at start; how many those were.
    pub fn end_leases(&self, now: Timestamp) -> Result<usize, DeliveryError> {
        Ok(tern_queue::end_leases(&*self.engine, now)?)
    }

    /// Takes items for one attempt of at most `lease_ms` milliseconds: those of them that travel with
    /// the first. Left out is what is another's, held, finished, or sealed for the outside; `None`
    /// when nothing is left. The same lease again gets the same answer, so whoever does not hear the
    /// answer asks again.
    pub fn take(
        &self,
        ids: &[QueueId],
        lease: LeaseId,
        now: Timestamp,
        lease_ms: u64,
    ) -> Result<Option<Outgoing>, DeliveryError> {
        let mut live = self.live_items(ids)?;
        let Some(first) = live.first().cloned() else {
            return Ok(None);
        };
        live.retain(|item| item.travels_with(&first) || item.id == first.id);
        let stored = self.mailboxes.read_blob_of(first.blob, blob_size(&first))?;
        let letters = self.letters_leaving(&stored, first.origin, first.account)?;
        let leased = transact(&*self.engine, |txn| {
            let mut leased = Vec::with_capacity(live.len());
            for item in &live {
                leased.extend(self.take_in(txn, item, &letters, (lease, lease_ms), now)?);
            }
            Ok::<_, DeliveryError>(Verdict::Commit(leased))
        })?;
        if leased.is_empty() {
            return Ok(None);
        }
        let (overdue, mut items): (Vec<Item>, Vec<Item>) =
            leased.into_iter().partition(Item::is_overdue);
        envid::narrow(&self.token_key, &mut items);
        // In place: it may be large.
        let mut content = stored;
        drop(content.splice(..0, first.prefix.iter().copied()));
        let body = BodyType::of(&content);
        Ok(Some(Outgoing {
            items,
            overdue,
            content,
            body,
            letters,
        }))
    }

    /// Which of the items, taken under this lease, are still to be sent: not those that a seal stops
    /// since, or that are to be cancelled or held once the attempt has ended. Asked before whoever is
    /// left is named in a further transaction; who is not, is to be given back.
    pub fn still(
        &self,
        outgoing: &Outgoing,
        ids: &[QueueId],
        lease: LeaseId,
        now: Timestamp,
    ) -> Result<Vec<QueueId>, DeliveryError> {
        let live = self.live_items(ids)?;
        let goes_on = |item: &Item| match &item.state {
            State::InFlight {
                lease: holder,
                then,
                ..
            } => *holder == lease && *then == AfterFlight::Retry,
            State::Ready { .. } | State::Held { .. } => false,
        };
        transact(&*self.engine, |txn| {
            let mut still = Vec::with_capacity(live.len());
            for item in live.iter().filter(|item| goes_on(item)) {
                let taken = self.take_in(txn, item, &outgoing.letters, (lease, 0), now)?;
                still.extend(taken.filter(goes_on).map(|item| item.id));
            }
            Ok::<_, DeliveryError>(Verdict::Commit(still))
        })
    }

    /// Takes one item, unless a seal stops it or it is not to be had.
    fn take_in(
        &self,
        txn: &mut Transaction<'_>,
        asked: &Item,
        letters: &[Letter],
        (lease, lease_ms): (LeaseId, u64),
        now: Timestamp,
    ) -> Result<Option<Item>, DeliveryError> {
        let (id, origin) = (asked.id, asked.origin);
        // The row, not what is in memory: a settled seal counts too, and whoever seals from now on
        // finds the item in flight, or this commit meets a conflict.
        let number = id.number_in(origin);
        let letters = letters.iter().copied();
        let sealed = self
            .mailboxes
            .sealed_outside_in(txn, letters, origin, number, now)?;
        if let Some(tag) = sealed {
            note_stopped_in(txn, tag, origin);
            let cancelled = tern_queue::cancel_in(txn, id, now)?;
            if let Cancelled::Cancelled { item, .. } = cancelled {
                self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
            }
            return Ok(None);
        }
        Ok(match tern_queue::lease_in(txn, id, lease, now, lease_ms)? {
            Leased::Yours(item) => Some(*item),
            Leased::Cancelled { item, .. } => {
                self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
                None
            }
            Leased::NotNow | Leased::Gone => None,
        })
    }

    /// Records what came of an attempt for items that were taken together, and in the same transaction
    /// tells the sender where that is due, by one notice. Answers for each in turn. `dsn_passed_on`:
    /// the remote server took the DSN parameters over (RFC 3461 5.2.1), so success is its to report.
    pub fn conclude(
        &self,
        ended: &[(QueueId, Outcome)],
        lease: LeaseId,
        dsn_passed_on: bool,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Concluded>, DeliveryError> {
        let ids: Vec<QueueId> = ended.iter().map(|(id, _)| *id).collect();
        let Some(item) = self.live_items(&ids)?.into_iter().next() else {
            return Ok(vec![Concluded::Ignored; ended.len()]);
        };
        let facts = Facts {
            origin: item.origin,
            mail_from: item.mail_from.clone(),
            submitter: item.account,
            ret: item.dsn.ret,
            envid: item.dsn.envid.clone(),
            smtputf8: item.smtputf8,
            received: item.created,
        };
        let read = || {
            let content = self.mailboxes.read_blob_of(item.blob, blob_size(&item))?;
            Ok(Cow::Owned(content))
        };
        let subject = Subject {
            facts: &facts,
            content: &read,
        };
        let told = self.told_of(item.account, item.origin)?;
        self.commit(&subject, told, now, entropy, |txn| {
            let schedule = &self.settings.schedule;
            let (mut all, mut reports) = (Vec::with_capacity(ended.len()), Vec::new());
            for (id, outcome) in ended {
                let recorded = tern_queue::record_in(txn, *id, lease, outcome, schedule, now)?;
                if let Recorded::Finished { item, .. } = &recorded {
                    self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
                }
                reports.extend(report_of(&recorded, dsn_passed_on));
                all.push(concluded(&recorded));
            }
            Ok((all, Notice::about(&facts, reports, 0)))
        })
    }

    /// Those of the items that are not finished.
    fn live_items(&self, ids: &[QueueId]) -> Result<Vec<Item>, DeliveryError> {
        let mut live = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(Status::Live(item)) = tern_queue::status(self.reader(), *id)? {
                live.push(*item);
            }
        }
        Ok(live)
    }
}

fn blob_size(item: &Item) -> u32 {
    // A content is below 4 GiB: preparing it refused any other.
    u32::try_from(item.size.saturating_sub(item.prefix.len() as u64)).unwrap_or(u32::MAX)
}

fn concluded(recorded: &Recorded) -> Concluded {
    match recorded {
        Recorded::Finished { row, .. } => Concluded::Finished(row.ending),
        Recorded::AlreadyFinished(row) => Concluded::Finished(row.ending),
        Recorded::Retry { item, .. } => match item.state {
            State::Ready { next_attempt } => Concluded::Retry(next_attempt),
            State::Held { .. } | State::InFlight { .. } => Concluded::Ignored,
        },
        Recorded::Held(_) => Concluded::Held,
        Recorded::NotLeased | Recorded::Gone => Concluded::Ignored,
    }
}

/// What the sender is to hear of it, if they want to (RFC 3461 4.1).
fn report_of(recorded: &Recorded, dsn_passed_on: bool) -> Option<Report> {
    let (item, action, wanted) = match recorded {
        Recorded::Finished { item, row } => {
            let notify = item.dsn.notify.unwrap_or_default();
            let (action, wanted) = match row.ending {
                Ending::Relayed => (Action::Relayed, notify.success && !dsn_passed_on),
                Ending::Refused => (Action::Refused { expired: false }, notify.failure),
                Ending::Expired => (Action::Refused { expired: true }, notify.failure),
                Ending::Cancelled => return None,
            };
            (item, action, wanted)
        }
        Recorded::Retry {
            item,
            tell_delay: true,
        } => {
            let notify = item.dsn.notify.unwrap_or_default();
            (item, Action::Delayed(item.expires), notify.delay)
        }
        _ => return None,
    };
    let reply = item.last_reply.clone();
    wanted.then(|| Report {
        recipient: item.named.as_ref().unwrap_or(&item.recipient).clone(),
        original: item.dsn.orcpt.clone(),
        action,
        reply: match item.named {
            None => reply,
            Some(_) => reply.and_then(without_words),
        },
    })
}

/// What another server said, without its words and its name, which may tell who is behind the address
/// that the sender knows. Of what it did not say nothing is left.
fn without_words((when, reply): (Timestamp, Reply)) -> Option<(Timestamp, Reply)> {
    let bare = Reply {
        text: String::new(),
        host: None,
        ..reply
    };
    (bare.code > 0).then_some((when, bare))
}
