//! The outbox: what the clients of an account have asked to be sent, until it leaves and for a while
//! after, so that it can be held, called off in time, and asked about.
//!
//! A *sending* is pending until its time has come. From then on it can't be called off: the commit that
//! says so comes before anybody is served, and a crash in between is made good by the next start, which
//! knows by the submission on record whether the message was accepted. Its id is that of the submission,
//! by which it is recalled.
//!
//! Invariants:
//! - A sending that was called off served nobody, and one that served anybody is never called off.
//! - A sending is accepted once, however often its dispatch is cut off.
//! - What is sent is the message as it was when it was asked for, whatever becomes of the mailbox's copy.
//!
//! Refuses to wait: the shell asks what is due.

mod dispatch;
mod envelope;
mod mdn;
pub(crate) mod rows;
mod status;
mod submit;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tern_base::changes::{Changes, Numbered};
use tern_base::{AccountId, EmailAddress, MessageId, OriginId, ThreadId, Timestamp};
use tern_store::{Transaction, Verdict};

use crate::{Accepted, Delivery, DeliveryError, Misnamed, Refusal, heard, limits};
use rows::{Head, Row};

pub use dispatch::Dispatched;
pub use envelope::{Envelope, Stop};
pub use mdn::NewMdn;
pub use status::{Delivered, RecipientStatus};
pub use submit::{NewSending, SubmitError};

/// How far a sending has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its time, and may be called off.
    Pending,
    /// It leaves.
    Leaving,
    /// It was accepted.
    Sent,
    /// It was called off before anybody was served.
    Canceled,
    /// Its time came, and nobody could be served.
    Refused(Refusal),
}

/// What a client has asked to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Its id, and that of the submission it becomes.
    pub id: OriginId,
    /// As whom it is sent.
    pub identity: u32,
    /// The message in the account's mailboxes that it is a copy of.
    pub email: MessageId,
    /// The conversation of that message.
    pub thread: ThreadId,
    /// When it is sent, or was.
    pub send_at: Timestamp,
    /// How far it has come.
    pub stage: Stage,
}

/// An outbox at one moment, and what has changed until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxChanges {
    /// Every sending, the oldest first.
    pub all: Vec<Sending>,
    /// What changed.
    pub changes: Changes<OriginId>,
}

/// Sendings whose dispatch is under way in this process.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<HashSet<OriginId>>);

/// The only dispatch of a sending, until it is dropped.
pub(crate) struct Claim<'a> {
    all: &'a UnderWay,
    id: OriginId,
}

impl UnderWay {
    fn claim(&self, id: OriginId) -> Option<Claim<'_>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // None is made for what is under way already: dropped here, it would wait for this very lock, and
        // end the claim that there is.
        match all.insert(id) {
            true => Some(Claim { all: self, id }),
            false => None,
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.id);
    }
}

/// What follows outside the domain when a message was accepted.
type Departure = Box<dyn Fn(&Accepted) + Send + Sync>;

/// Whether an account may write to so many recipients now; they count, where it may.
type Allowance = Box<dyn Fn(AccountId, u32) -> bool + Send + Sync>;

/// The outboxes of accounts, and nothing else of delivery.
pub struct Outbox {
    pub(crate) delivery: Arc<Delivery>,
    departure: Departure,
    /// Most recipients that are ever allowed at once, and who is asked.
    allowance: Option<(u32, Allowance)>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    /// The outboxes of this delivery. `departure` is told of each message that was accepted.
    pub fn new(
        delivery: Arc<Delivery>,
        departure: impl Fn(&Accepted) + Send + Sync + 'static,
    ) -> Self {
        Self {
            delivery,
            departure: Box::new(departure),
            allowance: None,
        }
    }

    /// These outboxes, where accounts write to so many recipients at most within a time. `allowance` is
    /// asked once for each message that can be sent, and counts its recipients where it says yes.
    #[must_use]
    pub fn allowing(
        mut self,
        most: u32,
        allowance: impl Fn(AccountId, u32) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.allowance = Some((most, Box::new(allowance)));
        self
    }

    /// Counts the recipients of a message that can be sent.
    fn count<'a>(
        &self,
        account: AccountId,
        recipients: impl Iterator<Item = &'a str>,
    ) -> Result<(), SubmitError> {
        let Some((most, allowance)) = &self.allowance else {
            return Ok(());
        };
        // Whoever is named twice is one, as by SMTP.
        let named: HashSet<&str> = recipients.collect();
        let count = u32::try_from(named.len()).unwrap_or(u32::MAX);
        match () {
            () if count > *most => Err(SubmitError::TooManyRecipients(*most as usize)),
            () if allowance(account, count) => Ok(()),
            () => Err(SubmitError::TooOften),
        }
    }

    /// Whether an account may use an address as its own (RFC 6409 6.1).
    pub fn may_send_as(
        &self,
        account: AccountId,
        address: &EmailAddress,
    ) -> Result<bool, DeliveryError> {
        self.delivery.may_send_as(account, address)
    }

    /// What is wrong with the name that a message bears which the account submits.
    pub fn misnamed(
        &self,
        account: AccountId,
        content: &[u8],
    ) -> Result<Option<Misnamed>, DeliveryError> {
        self.delivery.misnamed(account, content)
    }

    /// The number of the newest change.
    pub fn state(&self, account: AccountId) -> Result<u64, DeliveryError> {
        let head = rows::head(self.delivery.reader(), account)?;
        match head.open {
            // It may stand otherwise with somebody than was told.
            true => Ok(self.delivery.refreshed(account)?.0.state),
            false => Ok(head.state),
        }
    }

    /// Every sending of an account, the oldest first, and the number of the newest change.
    pub fn all(&self, account: AccountId) -> Result<(u64, Vec<Sending>), DeliveryError> {
        let (head, rows) = self.delivery.refreshed(account)?;
        Ok((head.state, there(rows)))
    }

    /// Every sending of an account, the oldest first, and what changed after change number `since`, of
    /// one moment. `None` where that can't be told.
    pub fn all_since(
        &self,
        account: AccountId,
        since: u64,
    ) -> Result<Option<OutboxChanges>, DeliveryError> {
        let (head, rows) = self.delivery.refreshed(account)?;
        let changes = changes(head, &rows, since, usize::MAX);
        Ok(changes.map(|changes| OutboxChanges {
            all: there(rows),
            changes,
        }))
    }

    /// What changed after change number `since`, at most so many sendings. `None` where that can't be
    /// told.
    pub fn changes(
        &self,
        account: AccountId,
        since: u64,
        max: usize,
    ) -> Result<Option<Changes<OriginId>>, DeliveryError> {
        let (head, rows) = self.delivery.refreshed(account)?;
        Ok(changes(head, &rows, since, max))
    }

    /// The envelope of a sending.
    pub fn envelope(&self, account: AccountId, id: OriginId) -> Result<Envelope, DeliveryError> {
        rows::envelope(self.delivery.reader(), account, id)
    }

    /// Calls a sending off. False when it is too late for that, or was called off before;
    /// `None` when there is no such sending.
    pub fn cancel(
        &self,
        account: AccountId,
        id: OriginId,
        now: Timestamp,
    ) -> Result<Option<bool>, DeliveryError> {
        let mailboxes = &self.delivery.mailboxes;
        mailboxes.transact_unasked(&[account], |txn| {
            let Some(mut row) = rows::row_in(txn, account, id)? else {
                return Ok(Verdict::Abandon(None));
            };
            let Some(kept) = row.kept.as_mut() else {
                return Ok(Verdict::Abandon(None));
            };
            if kept.sending.stage != Stage::Pending {
                return Ok(Verdict::Abandon(Some(false)));
            }
            kept.sending.stage = Stage::Canceled;
            kept.settled = true;
            self.delivery.let_go_in(txn, account, &mut row, now)?;
            rows::change_in(txn, account, &mut row)?;
            Ok(Verdict::Commit(Some(true)))
        })
    }

    /// Forgets a sending that is over; what was sent stays sent. False when it is not over yet; `None`
    /// when there is no such sending.
    pub fn forget(&self, account: AccountId, id: OriginId) -> Result<Option<bool>, DeliveryError> {
        self.delivery.forget(account, id)
    }
}

fn there(rows: Vec<Row>) -> Vec<Sending> {
    let kept = rows.into_iter().filter_map(|row| row.kept);
    kept.map(|kept| kept.sending).collect()
}

fn changes(head: Head, rows: &[Row], since: u64, max: usize) -> Option<Changes<OriginId>> {
    if since > head.state || since < head.floor {
        return None;
    }
    let things = rows.iter().map(|row| Numbered {
        id: row.id,
        created: row.created,
        changed: row.changed,
        is_there: row.kept.is_some(),
    });
    Some(Changes::since(since, head.state, things, max))
}

impl Delivery {
    pub(crate) fn forget(
        &self,
        account: AccountId,
        id: OriginId,
    ) -> Result<Option<bool>, DeliveryError> {
        self.mailboxes.transact_unasked(&[account], |txn| {
            let Some(mut row) = rows::row_in(txn, account, id)? else {
                return Ok(Verdict::Abandon(None));
            };
            let Some(kept) = &row.kept else {
                return Ok(Verdict::Abandon(None));
            };
            if matches!(kept.sending.stage, Stage::Pending | Stage::Leaving) {
                return Ok(Verdict::Abandon(Some(false)));
            }
            bury_in(txn, account, &mut row)?;
            Ok(Verdict::Commit(Some(true)))
        })
    }

    /// Lets go of what a sending holds that will not be sent, or not again: its content and its time.
    fn let_go_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        row: &mut Row,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let Some(kept) = row.kept.as_mut() else {
            return Ok(());
        };
        if let Some(held) = kept.held.take() {
            self.mailboxes.unlink_blob_in(txn, held.blob, now)?;
            txn.delete(rows::due_key(held.due, account, row.id));
        }
        Ok(())
    }

    /// Forgets sendings of an account that are over, the oldest first, beyond so many; and of what is
    /// gone, the oldest traces.
    fn tidy_outbox(&self, account: AccountId) -> Result<usize, DeliveryError> {
        let (_, rows) = rows::read(self.reader(), account)?;
        let is_over = |row: &&Row| {
            let stage = row.kept.as_ref().map(|kept| kept.sending.stage);
            stage.is_some_and(|stage| !matches!(stage, Stage::Pending | Stage::Leaving))
        };
        let over: Vec<OriginId> = rows.iter().filter(is_over).map(|row| row.id).collect();
        let waiting = rows.iter().filter(|row| row.kept.is_some()).count() - over.len();
        let beyond = over.len().saturating_sub(limits::KEPT_SENDINGS);
        for id in over.into_iter().take(beyond) {
            self.forget(account, id)?;
        }
        let mut gone: Vec<&Row> = rows.iter().filter(|row| row.kept.is_none()).collect();
        gone.sort_by_key(|row| row.changed);
        let many = gone.len().saturating_sub(limits::KEPT_SENDINGS);
        for chunk in gone.get(..many).unwrap_or_default().chunks(100) {
            self.mailboxes.transact_unasked(&[account], |txn| {
                let mut head = rows::head_in(txn, account)?;
                for row in chunk {
                    head.floor = head.floor.max(row.changed);
                    txn.delete(rows::row_key(account, row.id));
                }
                rows::put_head(txn, account, head);
                Ok::<_, DeliveryError>(Verdict::Commit(()))
            })?;
        }
        Ok(waiting)
    }

    /// Removes the outbox of an account that is removed: what is pending is not sent.
    pub fn remove_outbox(&self, account: AccountId, now: Timestamp) -> Result<(), DeliveryError> {
        let (_, rows) = rows::read(self.reader(), account)?;
        for row in rows {
            self.mailboxes.transact_unasked(&[account], |txn| {
                let Some(mut row) = rows::row_in(txn, account, row.id)? else {
                    return Ok(Verdict::Abandon(()));
                };
                self.let_go_in(txn, account, &mut row, now)?;
                rows::drop_envelope_in(txn, account, &row);
                heard::rows::drop_in(txn, account, row.id)?;
                txn.delete(rows::row_key(account, row.id));
                Ok::<_, DeliveryError>(Verdict::Commit(()))
            })?;
        }
        self.mailboxes.transact_unasked(&[account], |txn| {
            txn.delete(rows::head_key(account));
            Ok::<_, DeliveryError>(Verdict::Commit(()))
        })
    }
}

/// Leaves of a sending that it was there.
fn bury_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    row: &mut Row,
) -> Result<(), DeliveryError> {
    rows::drop_envelope_in(txn, account, row);
    heard::rows::drop_in(txn, account, row.id)?;
    row.kept = None;
    rows::change_in(txn, account, row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_claimed_once_until_that_claim_ends() {
        let under_way = UnderWay::default();
        let (one, other) = (OriginId([1; 16]), OriginId([2; 16]));
        let claim = under_way.claim(one);
        assert!(claim.is_some());
        assert!(under_way.claim(one).is_none());
        assert!(under_way.claim(one).is_none());
        assert!(under_way.claim(other).is_some());
        drop(claim);
        assert!(under_way.claim(one).is_some());
    }
}
