//! Sending what is due, as a submission like any other.

use std::borrow::Cow;

use tern_base::{AccountId, Entropy, Fault, OriginId, Timestamp};
use tern_store::{StoreError, Verdict};

use super::envelope::Asked;
use super::rows::{self, Held, Kept};
use super::{Claim, Stage};
use crate::entry::{Facts, Head};
use crate::heard::envid;
use crate::notice::Subject;
use crate::report::{LocalAction, LocalReport, Notice};
use crate::{Accepted, Delivery, DeliveryError, Incoming, Refusal, limits};

/// What became of the sendings that were due.
#[derive(Debug, Default)]
pub struct Dispatched {
    /// Messages that were accepted.
    pub accepted: Vec<Accepted>,
    /// Why others were not; what may work later is tried again.
    pub failed: Vec<(OriginId, DeliveryError)>,
}

impl Delivery {
    /// When the next sending is due.
    pub fn next_sending(&self) -> Result<Option<Timestamp>, DeliveryError> {
        let page = self.engine.scan(&rows::all_due(), 1)?;
        let first = page.rows.first();
        let first = first.map(|(key, _)| rows::read_due_key(key)).transpose()?;
        Ok(first.map(|(at, ..)| at))
    }

    /// Sends what is due.
    pub fn send_due(
        &self,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Dispatched, DeliveryError> {
        let mut dispatched = Dispatched::default();
        let page = self
            .engine
            .scan(&rows::due_until(now), limits::DUE_AT_ONCE)?;
        for (key, _) in page.rows {
            let (_, account, id) = rows::read_due_key(&key)?;
            let Some(claim) = self.under_way.claim(id) else {
                continue;
            };
            match self.dispatch(&claim, account, now, entropy) {
                Ok(accepted) => dispatched.accepted.extend(accepted),
                Err(error) => {
                    if let Err(worse) = self.settle_failure(account, id, &error, now, entropy) {
                        dispatched.failed.push((id, worse));
                    }
                    dispatched.failed.push((id, error));
                }
            }
        }
        Ok(dispatched)
    }

    /// Sends one. `None` when there is nothing to send, or it was sent before.
    pub(super) fn dispatch(
        &self,
        claim: &Claim<'_>,
        account: AccountId,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Accepted>, DeliveryError> {
        let id = claim.id;
        let Some((kept, held)) = self.leave(account, id)? else {
            return Ok(None);
        };
        // What a crash came in between with was accepted before.
        if self.was_submitted(id)? {
            self.conclude_sending(account, id, Stage::Sent, now)?;
            return Ok(None);
        }
        let asked = self.asked_of(account, id, now)?;
        if !self.may_send_as(account, &asked.mail_from)? {
            return Err(DeliveryError::Refused(Refusal::Disabled));
        }
        let mut content = self.trace(id, now);
        content.extend_from_slice(&self.mailboxes.read_blob_of(held.blob, held.size)?);
        let incoming = Incoming {
            origin: id,
            mail_from: Some(asked.mail_from),
            recipients: asked.recipients,
            ret: asked.ret,
            envid: Some(self.envid_of(id, asked.envid)),
            smtputf8: asked.smtputf8,
            content,
            submitter: Some(kept.submitter),
        };
        let accepted = match self.accept(incoming, now, entropy) {
            Ok(accepted) => Some(accepted),
            // The answer may have been lost and not the message.
            Err(_) if self.was_submitted(id)? => None,
            Err(error) => return Err(error),
        };
        // It is sent, whatever comes now: its row is due still, and the next look concludes it.
        let _ = self.conclude_sending(account, id, Stage::Sent, now);
        Ok(accepted)
    }

    /// The envelope id with which a sending leaves: the client's, or one by which what comes back is known.
    fn envid_of(&self, id: OriginId, asked: Option<String>) -> String {
        asked.unwrap_or_else(|| envid::for_all(&self.token_key, id))
    }

    fn was_submitted(&self, id: OriginId) -> Result<bool, DeliveryError> {
        Ok(tern_recall::submission::submission(self.reader(), id)?.is_some())
    }

    fn asked_of(
        &self,
        account: AccountId,
        id: OriginId,
        now: Timestamp,
    ) -> Result<Asked, DeliveryError> {
        let envelope = rows::envelope(self.reader(), account, id)?;
        // It was understood when it was asked for.
        envelope.asked(now).map_err(|_| StoreError::Damaged.into())
    }

    /// From here on it can't be called off.
    fn leave(
        &self,
        account: AccountId,
        id: OriginId,
    ) -> Result<Option<(Kept, Held)>, DeliveryError> {
        self.mailboxes.transact_unasked(&[account], |txn| {
            let Some(mut row) = rows::row_in(txn, account, id)? else {
                return Ok(Verdict::Abandon(None));
            };
            let Some(kept) = row.kept.as_mut() else {
                return Ok(Verdict::Abandon(None));
            };
            let held = kept.held;
            let leaves = |kept: &Kept| held.map(|held| (kept.clone(), held));
            match kept.sending.stage {
                Stage::Leaving => Ok(Verdict::Abandon(leaves(kept))),
                Stage::Pending => {
                    kept.sending.stage = Stage::Leaving;
                    let leaving = leaves(kept);
                    rows::change_in(txn, account, &mut row)?;
                    Ok(Verdict::Commit(leaving))
                }
                Stage::Sent | Stage::Canceled | Stage::Refused(_) => Ok(Verdict::Abandon(None)),
            }
        })
    }

    /// The trace field of a message that came by JMAP (RFC 5321 4.4).
    pub(super) fn trace(&self, id: OriginId, now: Timestamp) -> Vec<u8> {
        let hostname = &self.settings.hostname;
        let date = now.rfc5322();
        format!("Received: by {hostname} with JMAP\r\n\tid {id};\r\n\t{date}\r\n").into_bytes()
    }

    fn conclude_sending(
        &self,
        account: AccountId,
        id: OriginId,
        stage: Stage,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        self.mailboxes.transact_unasked(&[account], |txn| {
            let Some(mut row) = rows::row_in(txn, account, id)? else {
                return Ok(Verdict::Abandon(()));
            };
            self.let_go_in(txn, account, &mut row, now)?;
            if let Some(kept) = row.kept.as_mut() {
                kept.sending.stage = stage;
                rows::change_in(txn, account, &mut row)?;
            }
            Ok(Verdict::Commit(()))
        })
    }

    /// What could not be sent at its time is tried again, or its sender is told.
    fn settle_failure(
        &self,
        account: AccountId,
        id: OriginId,
        error: &DeliveryError,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<(), DeliveryError> {
        let refusal = match error {
            DeliveryError::Refused(refusal) => *refusal,
            _ if matches!(error.fault(), Fault::Temporary | Fault::Ours) => {
                return self.put_off(account, id, now);
            }
            _ => Refusal::TooManyMembers,
        };
        let Some(kept) = rows::row(self.reader(), account, id)?.and_then(|row| row.kept) else {
            return Ok(());
        };
        let Some(held) = kept.held else {
            return Ok(());
        };
        let asked = self.asked_of(account, id, now)?;
        let facts = Facts {
            origin: id,
            mail_from: Some(asked.mail_from),
            submitter: Some(account),
            ret: asked.ret,
            envid: Some(self.envid_of(id, asked.envid)),
            smtputf8: asked.smtputf8,
            received: id.time(),
        };
        let failed = |recipient| {
            let head = Head {
                recipient,
                via: Vec::new(),
                redirected: false,
                expanded: false,
            };
            let wanted = head.notify().failure;
            wanted.then(|| LocalReport::of(&head, LocalAction::Failed(refusal)))
        };
        let reports: Vec<LocalReport> = asked.recipients.into_iter().filter_map(failed).collect();
        let content = || {
            Ok(Cow::Owned(
                self.mailboxes.read_blob_of(held.blob, held.size)?,
            ))
        };
        let subject = Subject {
            facts: &facts,
            content: &content,
        };
        self.commit(&subject, vec![account], now, entropy, |txn| {
            let Some(mut row) = rows::row_in(txn, account, id)? else {
                return Ok(((), None));
            };
            self.let_go_in(txn, account, &mut row, now)?;
            if let Some(kept) = row.kept.as_mut() {
                kept.sending.stage = Stage::Refused(refusal);
                kept.settled = true;
                rows::change_in(txn, account, &mut row)?;
            }
            Ok(((), Notice::about(&facts, reports.clone(), 0)))
        })
    }

    fn put_off(
        &self,
        account: AccountId,
        id: OriginId,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        self.mailboxes.transact_unasked(&[account], |txn| {
            let Some(mut row) = rows::row_in(txn, account, id)? else {
                return Ok(Verdict::Abandon(()));
            };
            let Some(held) = row.kept.as_mut().and_then(|kept| kept.held.as_mut()) else {
                return Ok(Verdict::Abandon(()));
            };
            txn.delete(rows::due_key(held.due, account, id));
            held.due = now.plus_millis(limits::SENDING_RETRY_MS);
            txn.put(rows::due_key(held.due, account, id), rows::mark());
            rows::change_in(txn, account, &mut row)?;
            Ok(Verdict::Commit(()))
        })
    }
}
