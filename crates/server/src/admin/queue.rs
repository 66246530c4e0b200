//! The queue of messages for other servers.

use serde_json::{Value, json};
use tern_audit::Draft;
use tern_queue::{self as queue, Cancelled, Held, Item, QueueId, Released, State};
use tern_store::Transaction;

use super::error::AdminError;
use super::{Admin, Call, Result, count};
use crate::control::request::{Answer, QueueRequest};

fn parse_id(text: &str) -> Result<QueueId> {
    QueueId::from_hex(text).ok_or_else(|| AdminError::Wrong(format!("`{text}` is not a queue id")))
}

fn gone(id: &str) -> AdminError {
    AdminError::NotFound("queue item", id.to_owned())
}

impl Admin {
    pub(super) fn queue(&self, request: &QueueRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            QueueRequest::List => self.queue_list(),
            QueueRequest::Hold { id, reason } => self.queue_hold(id, reason, call),
            QueueRequest::Release { id } => self.queue_release(id, call),
            QueueRequest::Cancel { id } => self.queue_cancel(id, call),
            QueueRequest::Flush => self.queue_flush(call),
        }
    }

    fn queue_list(&self) -> Result<Answer> {
        let (mut text, mut data) = (Vec::new(), Vec::new());
        let mut from = None;
        loop {
            let page = queue::list(self.reader(), from, 1_000)?;
            for item in &page.items {
                let (line, value) = show(item);
                text.push(line);
                data.push(value);
            }
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        if text.is_empty() {
            text.push(String::from("the queue is empty"));
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    fn queue_hold(&self, id: &str, reason: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (item, now) = (parse_id(id)?, call.now);
        let text = self.act(
            call,
            "queue.hold",
            |_, entry| entry.target(id).detail("reason", reason),
            |txn| match queue::hold_in(txn, item, reason, now)? {
                Held::Held {
                    may_have_left: false,
                } => Ok("held"),
                Held::Held {
                    may_have_left: true,
                } => Ok("held; an earlier attempt may have delivered it"),
                Held::InFlight { .. } => {
                    Ok("an attempt is under way; held if it ends without delivery")
                }
                Held::AlreadyFinished(_) => Err(finished(id)),
                Held::Gone => Err(gone(id)),
            },
        )?;
        Ok(Answer::new(text, json!({})))
    }

    fn queue_release(&self, id: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (item, now) = (parse_id(id)?, call.now);
        let text = self.act(
            call,
            "queue.release",
            |_, entry| entry.target(id),
            |txn| match queue::release_in(txn, item, now)? {
                Released::Ready => Ok("released"),
                Released::InFlight => Ok("an attempt is under way"),
                Released::AlreadyFinished(_) => Err(finished(id)),
                Released::Gone => Err(gone(id)),
            },
        )?;
        self.queued.notify_one();
        Ok(Answer::new(text, json!({})))
    }

    fn queue_cancel(&self, id: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (item, now) = (parse_id(id)?, call.now);
        let text = self.act(
            call,
            "queue.cancel",
            |_, entry| entry.target(id),
            |txn| match queue::cancel_in(txn, item, now)? {
                Cancelled::Cancelled {
                    item,
                    may_have_left,
                    ..
                } => {
                    self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
                    Ok(match may_have_left {
                        false => "cancelled",
                        true => "cancelled; an earlier attempt may have delivered it",
                    })
                }
                Cancelled::InFlight { .. } => {
                    Ok("an attempt is under way; cancelled if it ends without delivery")
                }
                Cancelled::AlreadyFinished(_) => Err(finished(id)),
                Cancelled::Gone => Err(gone(id)),
            },
        )?;
        Ok(Answer::new(text, json!({})))
    }

    /// Makes everything that waits due now, a page in each transaction. What is held stays held.
    fn queue_flush(&self, call: &mut Call<'_>) -> Result<Answer> {
        let (mut flushed, mut from) = (0_u64, None);
        loop {
            let page = queue::list(self.reader(), from, FLUSHED_AT_ONCE)?;
            let now = call.now;
            let due = |txn: &mut Transaction<'_>| {
                let mut due = 0;
                // Another attempt may have begun, or somebody may hold it, since it was listed.
                for item in &page.items {
                    due += u64::from(queue::due_now_in(txn, item.id, now)?);
                }
                Ok(due)
            };
            let describe = |due: &u64, entry: Draft| entry.detail("items", *due);
            flushed += self.act(call, "queue.flush", describe, due)?;
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        self.queued.notify_one();
        let text = format!("{} due now", count(flushed, "item is", "items are"));
        Ok(Answer::new(text, json!({"items": flushed})))
    }
}

/// Items that one transaction of a flush makes due.
const FLUSHED_AT_ONCE: usize = 200;

fn finished(id: &str) -> AdminError {
    AdminError::Wrong(format!("queue item {id} is finished"))
}

fn show(item: &Item) -> (String, Value) {
    let (state, when, why) = match &item.state {
        State::Ready { next_attempt } => ("ready", Some(*next_attempt), None),
        State::Held { reason } => ("held", None, Some(reason.clone())),
        State::InFlight { until, .. } => ("in flight", Some(*until), None),
    };
    let reply = item.last_reply.as_ref();
    let last = reply.map(|(_, reply)| match reply.code {
        // Nobody has replied: it says why.
        0 => reply.text.clone(),
        code => format!("{code} {}", reply.text),
    });
    let from = item
        .mail_from
        .as_ref()
        .map_or_else(|| String::from("<>"), ToString::to_string);
    let mut line = format!(
        "{}  {state}  {from} -> {}  {} bytes",
        item.id, item.recipient, item.size
    );
    let time = when.map(|at| match &item.state {
        State::InFlight { .. } => format!("at the latest until {at}"),
        _ => format!("next attempt {at}"),
    });
    let told = last.as_ref().map(|last| format!("last: {last}"));
    for part in [time, why.clone(), told].into_iter().flatten() {
        line.push_str("  ");
        line.push_str(&part);
    }
    let value = json!({"id": item.id.to_string(), "origin": item.origin.to_string(),
        "from": from, "recipient": item.recipient.to_string(), "size": item.size,
        "state": state, "at": when.map(|at| at.to_string()), "reason": why,
        "attempts": item.attempts, "lostAttempts": item.lost_attempts,
        "mostTogether": item.at_most, "lastReply": last, "created": item.created.to_string(),
        "expires": item.expires.to_string()});
    (line, value)
}
