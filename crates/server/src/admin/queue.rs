//! The queue of messages for other servers.

use serde_json::{Value, json};
use tern_base::Timestamp;
use tern_queue::{self as queue, Cancelled, Held, Item, QueueId, Released, State};
use tern_store::{StoreError, Verdict, transact};

use super::error::AdminError;
use super::{Admin, Call, Result, count};
use crate::control::request::Answer;

fn parse_id(text: &str) -> Result<QueueId> {
    QueueId::from_hex(text).ok_or_else(|| AdminError::Wrong(format!("`{text}` is not a queue id")))
}

fn gone(id: &str) -> AdminError {
    AdminError::NotFound("queue item", id.to_owned())
}

impl Admin {
    pub(super) fn queue_list(&self) -> Result<Answer> {
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

    pub(super) fn queue_hold(&self, id: &str, reason: &str, call: &mut Call<'_>) -> Result<Answer> {
        let text = match queue::hold(&*self.engine, parse_id(id)?, reason, call.now)? {
            Held::Held {
                may_have_left: false,
            } => "held",
            Held::Held {
                may_have_left: true,
            } => "held; an earlier attempt may have delivered it",
            Held::InFlight { .. } => "an attempt is under way; held if it ends without delivery",
            Held::AlreadyFinished(_) => return Err(finished(id)),
            Held::Gone => return Err(gone(id)),
        };
        let (id, reason) = (id.to_owned(), reason.to_owned());
        self.record(
            call,
            |entry| entry.target(id).detail("reason", reason),
            "queue.hold",
        )?;
        Ok(Answer::new(text, json!({})))
    }

    pub(super) fn queue_release(&self, id: &str, call: &mut Call<'_>) -> Result<Answer> {
        let text = match queue::release(&*self.engine, parse_id(id)?, call.now)? {
            Released::Ready => "released",
            Released::InFlight => "an attempt is under way",
            Released::AlreadyFinished(_) => return Err(finished(id)),
            Released::Gone => return Err(gone(id)),
        };
        self.record(call, |entry| entry.target(id), "queue.release")?;
        self.queued.notify_one();
        Ok(Answer::new(text, json!({})))
    }

    pub(super) fn queue_cancel(&self, id: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (item, now) = (parse_id(id)?, call.now);
        let cancelled = self.mailboxes.transact(&[], |txn| {
            let cancelled = queue::cancel_in(txn, item, now)?;
            if let Cancelled::Cancelled { item, .. } = &cancelled {
                self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
            }
            Ok::<_, AdminError>(Verdict::Commit(cancelled))
        })?;
        let text = match cancelled {
            Cancelled::Cancelled {
                may_have_left: false,
                ..
            } => "cancelled",
            Cancelled::Cancelled {
                may_have_left: true,
                ..
            } => "cancelled; an earlier attempt may have delivered it",
            Cancelled::InFlight { .. } => {
                "an attempt is under way; cancelled if it ends without delivery"
            }
            Cancelled::AlreadyFinished(_) => return Err(finished(id)),
            Cancelled::Gone => return Err(gone(id)),
        };
        self.record(call, |entry| entry.target(id), "queue.cancel")?;
        Ok(Answer::new(text, json!({})))
    }

    /// Makes everything that waits due now. What is held stays held.
    pub(super) fn queue_flush(&self, call: &mut Call<'_>) -> Result<Answer> {
        let (mut flushed, mut from) = (0_u64, None);
        loop {
            let page = queue::list(self.reader(), from, 1_000)?;
            for item in &page.items {
                if matches!(item.state, State::Ready { .. }) {
                    flushed += u64::from(self.make_due(item.id, call.now)?);
                }
            }
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        self.record(call, |entry| entry.detail("items", flushed), "queue.flush")?;
        self.queued.notify_one();
        let text = format!("{} due now", count(flushed, "item is", "items are"));
        Ok(Answer::new(text, json!({"items": flushed})))
    }

    /// Makes an item that waits due now: a hold and its release, in one transaction.
    fn make_due(&self, id: QueueId, now: Timestamp) -> Result<bool> {
        transact(&*self.engine, |txn| {
            // Another attempt may have begun, or ended, since the item was listed.
            if !matches!(queue::hold_in(txn, id, "flush", now)?, Held::Held { .. }) {
                return Ok::<_, StoreError>(Verdict::Abandon(false));
            }
            queue::release_in(txn, id, now)?;
            Ok(Verdict::Commit(true))
        })
        .map_err(AdminError::from)
    }
}

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
    let last = reply.map(|(_, reply)| format!("{} {}", reply.code, reply.text));
    let from = item
        .mail_from
        .as_ref()
        .map_or_else(|| String::from("<>"), ToString::to_string);
    let mut line = format!(
        "{}  {state}  {from} -> {}  {} bytes",
        item.id, item.recipient, item.size
    );
    for part in [when.map(|at| at.to_string()), why.clone(), last.clone()]
        .into_iter()
        .flatten()
    {
        line.push_str("  ");
        line.push_str(&part);
    }
    let value = json!({"id": item.id.to_string(), "origin": item.origin.to_string(),
        "from": from, "recipient": item.recipient.to_string(), "size": item.size,
        "state": state, "at": when.map(|at| at.to_string()), "reason": why,
        "attempts": item.attempts, "lastReply": last, "created": item.created.to_string(),
        "expires": item.expires.to_string()});
    (line, value)
}
