//! What leaves: handing an item to the network, and what came of it.

use std::borrow::Cow;

use tern_base::{Entropy, Timestamp};
use tern_queue::{
    Cancelled, Ending, Item, LeaseId, Leased, Outcome, QueueId, Recorded, Reply, State, Status,
};
use tern_recall::onward::note_stopped_in;
use tern_store::{Verdict, transact};

use crate::entry::Facts;
use crate::notice::Subject;
use crate::report::{Action, Notice, Report};
use crate::{Delivery, DeliveryError};

/// What the octets of a message ask of the server that takes it (RFC 6152, RFC 3030).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// Lines of ASCII.
    SevenBit,
    /// Lines with octets above 127.
    EightBitMime,
    /// Octets that no line of text has: NUL.
    BinaryMime,
}

/// An item under lease, ready to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The item.
    pub item: Item,
    /// The message to send, its prefix included.
    pub content: Vec<u8>,
    /// What its octets ask of the next server.
    pub body: BodyType,
    /// Its time is over, and its last attempt was lost: it is to be concluded as it is.
    pub is_overdue: bool,
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

    /// The same, of those that are wanted; no others are kept back by those that are not.
    pub fn due_where(
        &self,
        now: Timestamp,
        limit: usize,
        wanted: impl FnMut(&Item) -> bool,
    ) -> Result<Vec<Item>, DeliveryError> {
        Ok(tern_queue::due_where(self.reader(), now, limit, wanted)?)
    }

    /// When the next item is due that is not due yet.
    pub fn next_due_after(&self, now: Timestamp) -> Result<Option<Timestamp>, DeliveryError> {
        Ok(tern_queue::next_due_after(self.reader(), now)?)
    }

    /// Ends the leases of attempts that a stop or a crash cut off, at start; how many those were.
    pub fn end_leases(&self, now: Timestamp) -> Result<usize, DeliveryError> {
        Ok(tern_queue::end_leases(&*self.engine, now)?)
    }

    /// Takes an item for one attempt of at most `lease_ms` milliseconds. `None` when there is
    /// nothing to send: it is another's, held, finished, or sealed for the outside. The same lease
    /// again gets the same answer, so whoever does not hear the answer asks again.
    pub fn take(
        &self,
        id: QueueId,
        lease: LeaseId,
        now: Timestamp,
        lease_ms: u64,
    ) -> Result<Option<Outgoing>, DeliveryError> {
        let Some(item) = self.live_item(id)? else {
            return Ok(None);
        };
        let is_overdue = item.is_overdue(now);
        let stored = self.mailboxes.read_blob_of(item.blob, blob_size(&item))?;
        let letters = self.letters_leaving(&stored, item.account.is_some())?;
        let leased = transact(&*self.engine, |txn| {
            // The row, not what is in memory: a settled seal counts too, and whoever seals from
            // now on finds the item in flight, or this commit meets a conflict.
            let number = id.number_in(item.origin);
            let sealed = self.mailboxes.sealed_outside_in(
                txn,
                letters.iter().copied(),
                item.origin,
                number,
                now,
            )?;
            if let Some(tag) = sealed {
                note_stopped_in(txn, tag, item.origin);
                let cancelled = tern_queue::cancel_in(txn, id, now)?;
                if let Cancelled::Cancelled { item, .. } = cancelled {
                    self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
                }
                return Ok(Verdict::Commit(None));
            }
            let leased = tern_queue::lease_in(txn, id, lease, now, lease_ms)?;
            if let Leased::Cancelled { item, .. } = &leased {
                self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
            }
            Ok::<_, DeliveryError>(Verdict::Commit(Some(leased)))
        })?;
        let Some(Leased::Yours(item)) = leased else {
            return Ok(None);
        };
        let content = match item.prefix.is_empty() {
            true => stored,
            false => [&item.prefix[..], &stored].concat(),
        };
        let body = body_type(&content);
        Ok(Some(Outgoing {
            item: *item,
            content,
            body,
            is_overdue,
        }))
    }

    /// Records what came of an attempt, and in the same transaction tells the sender where that is
    /// due. `dsn_passed_on`: the remote server took the DSN parameters over (RFC 3461 5.2.1), so
    /// success is its to report.
    pub fn conclude(
        &self,
        id: QueueId,
        lease: LeaseId,
        outcome: &Outcome,
        dsn_passed_on: bool,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Concluded, DeliveryError> {
        let Some(item) = self.live_item(id)? else {
            return Ok(Concluded::Ignored);
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
            let recorded = tern_queue::record_in(txn, id, lease, outcome, schedule, now)?;
            if let Recorded::Finished { item, .. } = &recorded {
                self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
            }
            let report = report_of(&recorded, dsn_passed_on);
            let notice = Notice::about(&facts, report.into_iter().collect(), 0);
            Ok((concluded(&recorded), notice))
        })
    }

    fn live_item(&self, id: QueueId) -> Result<Option<Item>, DeliveryError> {
        Ok(match tern_queue::status(self.reader(), id)? {
            Some(Status::Live(item)) => Some(*item),
            _ => None,
        })
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

/// What the octets of a message ask of the next server. A bare CR or LF is mended on its way out, and
/// a line that is too long goes as it came: whether it takes that is for the next server to say.
fn body_type(content: &[u8]) -> BodyType {
    match content {
        content if content.contains(&0) => BodyType::BinaryMime,
        content if content.is_ascii() => BodyType::SevenBit,
        _ => BodyType::EightBitMime,
    }
}
