//! What came of an attempt: the item is finished, held, or waits for the next one.

use tern_base::Timestamp;
use tern_store::{Engine, StoreError, Transaction, Verdict, transact};

use crate::item::{AfterFlight, Ending, Finished, Item, LeaseId, QueueId, Reply, State};
use crate::schedule::{self, Schedule};
use crate::{limits, tables};

/// How the attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The remote server took responsibility.
    Delivered(Reply),
    /// Try again later: a 4yz reply, or no reply.
    Temporary(Reply),
    /// The same again fails again: a 5yz reply.
    Permanent(Reply),
    /// Try again later, and a copy may have left: all of the message was sent, and no reply came.
    Unanswered {
        /// What went wrong.
        reply: Reply,
        /// How many recipients it was sent to at once.
        together: u32,
    },
    /// Try again later, and with fewer at once: it failed for several recipients together, and nothing
    /// was said of this one.
    Together {
        /// What went wrong.
        reply: Reply,
        /// For how many recipients.
        together: u32,
    },
    /// Given back before anything was sent: due at once, as if no attempt had been made. Whoever gives
    /// back sees to it that this comes to an end: by what else the attempt brought about, or by a stop.
    GivenBack,
    /// Nobody could be asked, and it was nobody's refusal: due at a time, as if no attempt had been
    /// made, but no longer than the item lives.
    Waits {
        /// When it is due.
        until: Timestamp,
        /// What it waits for.
        why: Reply,
    },
}

impl Outcome {
    /// What was said, or went wrong.
    pub const fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Delivered(reply)
            | Self::Temporary(reply)
            | Self::Permanent(reply)
            | Self::Unanswered { reply, .. }
            | Self::Together { reply, .. }
            | Self::Waits { why: reply, .. } => Some(reply),
            Self::GivenBack => None,
        }
    }
}

/// What was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is finished. The caller unlinks its blob and, where [`Ending::is_failure`], sends the
    /// bounce, in the same transaction.
    Finished {
        /// The item as it was.
        item: Box<Item>,
        /// What is kept of it.
        row: Finished,
    },
    /// It waits for the next attempt.
    Retry {
        /// The item as it is now.
        item: Box<Item>,
        /// Whether the sender is to be told of the delay; said once.
        tell_delay: bool,
    },
    /// It is held, as was asked while it was in flight.
    Held(Box<Item>),
    /// It had been finished before.
    AlreadyFinished(Finished),
    /// The lease is no longer held, and the outcome changes nothing.
    NotLeased,
    /// There is no such item.
    Gone,
}

/// Records in a transaction of its own. A caller that keeps blobs or sends bounces uses
/// [`record_in`], or a crash between the two loses them.
pub fn record(
    engine: &dyn Engine,
    id: QueueId,
    lease: LeaseId,
    outcome: &Outcome,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<Recorded, StoreError> {
    transact(engine, |txn| {
        record_in(txn, id, lease, outcome, schedule, now).map(Verdict::Commit)
    })
}

/// Records with whatever else the transaction does.
///
/// A delivery is a fact and is recorded even when the lease ran out; every other outcome counts
/// only for the attempt that holds the lease.
pub fn record_in(
    txn: &mut Transaction<'_>,
    id: QueueId,
    lease: LeaseId,
    outcome: &Outcome,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<Recorded, StoreError> {
    let Some(mut item) = tables::get_item(txn, id)? else {
        let row = tables::get_finished(txn, id)?;
        return Ok(row.map_or(Recorded::Gone, Recorded::AlreadyFinished));
    };
    let before = item.state.clone();
    let then = match &before {
        State::InFlight {
            lease: holder,
            then,
            ..
        } if *holder == lease => Some(then.clone()),
        _ => None,
    };
    let ending = match outcome {
        Outcome::Delivered(_) => Some(Ending::Relayed),
        Outcome::Permanent(_) => Some(Ending::Refused),
        Outcome::Temporary(_)
        | Outcome::Together { .. }
        | Outcome::Unanswered { .. }
        | Outcome::GivenBack
        | Outcome::Waits { .. } => None,
    };
    if then.is_none() && ending != Some(Ending::Relayed) {
        return Ok(Recorded::NotLeased);
    }
    // An attempt that came to nothing took itself back: those that are left besides this one were made.
    let was_tried = item.attempts > 1;
    let is_owed = match outcome {
        // The attempt that was given back is still owed, even if it is the last.
        Outcome::GivenBack => true,
        Outcome::Waits { .. } => schedule::is_owed(&item, was_tried, now),
        _ => false,
    };
    let given_back = note(&mut item, outcome, now);
    let ending = match then.unwrap_or_default() {
        _ if ending.is_some() => ending,
        AfterFlight::Cancel => Some(Ending::Cancelled),
        AfterFlight::Hold(reason) => {
            item.state = State::Held { reason };
            tables::put_item(txn, Some(&before), &item);
            return Ok(Recorded::Held(Box::new(item)));
        }
        AfterFlight::Expire => Some(Ending::Expired),
        AfterFlight::Retry => (now >= item.expires && !is_owed).then_some(Ending::Expired),
    };
    if let Some(ending) = ending {
        let row = tables::finish(txn, &before, &item, ending, now);
        let item = Box::new(item);
        return Ok(Recorded::Finished { item, row });
    }
    let tell_delay = schedule.owes_delay(&item, now);
    item.delay_told |= tell_delay;
    let next_attempt = given_back.unwrap_or_else(|| schedule.next_attempt(&item, now));
    item.state = State::Ready { next_attempt };
    tables::put_item(txn, Some(&before), &item);
    let item = Box::new(item);
    Ok(Recorded::Retry { item, tell_delay })
}

/// Notes in the item what the attempt was. When it is due, where that is not for the schedule to say.
fn note(item: &mut Item, outcome: &Outcome, now: Timestamp) -> Option<Timestamp> {
    if let Some(reply) = outcome.reply() {
        // Of waits beyond its life the first one's time is kept, which bounds them.
        let since = match outcome {
            Outcome::Waits { .. } => schedule::waits_beyond_life(item),
            _ => None,
        };
        item.last_reply = Some((since.unwrap_or(now), clip(reply)));
    }
    if let Outcome::Together { together, .. } | Outcome::Unanswered { together, .. } = outcome {
        let half = (together / 2).max(1);
        item.at_most = Some(item.at_most.map_or(half, |before| before.min(half)));
    }
    if matches!(outcome, Outcome::Unanswered { .. }) {
        item.lost_attempts = item.lost_attempts.saturating_add(1);
    }
    let due = match outcome {
        Outcome::GivenBack => now,
        Outcome::Waits { until, .. } => *until,
        _ => return None,
    };
    item.attempts = item.attempts.saturating_sub(1);
    Some(due)
}

fn clip(reply: &Reply) -> Reply {
    Reply {
        text: limits::clip(reply.text.clone()),
        host: reply.host.clone().map(limits::clip),
        ..*reply
    }
}
