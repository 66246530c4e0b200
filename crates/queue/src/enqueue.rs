//! Putting an item into the queue, in the transaction that accepts its message.

use tern_base::{AccountId, BlobId, EmailAddress, Fault, OriginId, Timestamp};
use tern_store::{Engine, StoreError, Transaction, Verdict, transact};

use crate::item::{Dsn, Item, QueueId, State};
use crate::schedule::Schedule;
use crate::{limits, tables};

/// Why the queue did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The prefix is longer than [`limits::MAX_PREFIX`].
    #[error("a queue item's prefix of {0} bytes is over the limit")]
    PrefixTooLong(usize),
}

impl QueueError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::PrefixTooLong(_) => Fault::Ours,
        }
    }
}

/// What is to leave, to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// Chosen by the caller: enqueueing the same id again changes nothing.
    pub id: QueueId,
    /// How the message came onto this server.
    pub origin: OriginId,
    /// The account that submitted it, or whose rule sends it on.
    pub account: Option<AccountId>,
    /// The reverse path; `None` is `<>`.
    pub mail_from: Option<EmailAddress>,
    /// The recipient.
    pub recipient: EmailAddress,
    /// By what name the sender knows the recipient, where that is another.
    pub named: Option<EmailAddress>,
    /// The DSN parameters.
    pub dsn: Dsn,
    /// Whether header or envelope need SMTPUTF8.
    pub smtputf8: bool,
    /// The content.
    pub blob: BlobId,
    /// Header lines that go before it.
    pub prefix: Vec<u8>,
    /// Size of prefix and content, in bytes.
    pub size: u64,
    /// The first attempt is made no earlier than this; `None` for at once.
    pub not_before: Option<Timestamp>,
    /// It starts held, for this reason.
    pub held: Option<String>,
}

/// Enqueues in a transaction of its own.
pub fn enqueue(
    engine: &dyn Engine,
    new: &NewItem,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<bool, QueueError> {
    transact(engine, |txn| {
        enqueue_in(txn, new.clone(), schedule, now).map(Verdict::Commit)
    })
}

/// Enqueues with whatever else the transaction does. True when the item is new: only then does
/// the caller link its blob.
pub fn enqueue_in(
    txn: &mut Transaction<'_>,
    new: NewItem,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<bool, QueueError> {
    if new.prefix.len() > limits::MAX_PREFIX {
        return Err(QueueError::PrefixTooLong(new.prefix.len()));
    }
    let known = txn.get(&tables::item_key(new.id))?.is_some()
        || txn.get(&tables::finished_key(new.id))?.is_some();
    if known {
        return Ok(false);
    }
    let first = new.not_before.map_or(now, |time| time.max(now));
    let item = Item {
        id: new.id,
        origin: new.origin,
        account: new.account,
        mail_from: new.mail_from,
        recipient: new.recipient,
        named: new.named,
        dsn: Dsn {
            envid: new.dsn.envid.map(limits::clip),
            orcpt: new.dsn.orcpt.map(limits::clip),
            ..new.dsn
        },
        smtputf8: new.smtputf8,
        blob: new.blob,
        prefix: new.prefix,
        size: new.size,
        created: now,
        expires: first.plus_millis(schedule.lifetime_ms),
        state: match new.held {
            Some(reason) => State::Held {
                reason: limits::clip(reason),
            },
            None => State::Ready {
                next_attempt: first,
            },
        },
        attempts: 0,
        lost_attempts: 0,
        at_most: None,
        delay_told: false,
        last_reply: None,
    };
    tables::put_item(txn, None, &item);
    Ok(true)
}
