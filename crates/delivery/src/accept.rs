//! Taking a message over.
//!
//! A plan that fits one batch is one transaction: landings, queue items, the submission and the
//! notice that may be owed commit together. A larger one becomes a job (see [`crate::job`]).

use std::borrow::Cow;

use tern_base::{AccountId, EmailAddress, Entropy, Timestamp};
use tern_mailbox::Prepared;
use tern_mime::Address;
use tern_recall::arrival::{Arrival, record_arrival_in};
use tern_recall::mail::{MailRequest, record_request_in};
use tern_recall::submission::{record_in, record_targets_in, target_chunks};
use tern_recall::{Submission, Target, TextPrint};
use tern_store::{Bound, StoreError, Transaction, limits as store_limits};

use crate::entry::{Entry, Facts, Goal};
use crate::notice::Subject;
use crate::place::{Position, targets_of};
use crate::plan::plan;
use crate::report::Notice;
use crate::request::{Way, is_request_address, request_of};
use crate::{
    Accepted, Delivery, DeliveryError, Incoming, IncomingRecipient, Refusal, TakenOver, limits,
};

/// How often a commit whose answer was lost is looked into.
const UNKNOWN_ATTEMPTS: usize = 3;

/// When a fan-out is run that takes more than one transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FanOut {
    /// Before it is answered.
    Now,
    /// By whoever asks for it.
    Later,
}

/// A message on its way to its destinations.
pub(crate) struct Acceptance {
    pub(crate) facts: Facts,
    pub(crate) prepared: Prepared,
    pub(crate) entries: Vec<Entry>,
    /// What is put on record of it.
    pub(crate) submission: Submission,
    /// What a submission asks for.
    pub(crate) request: Option<MailRequest>,
}

impl Acceptance {
    pub(crate) fn message_id(&self) -> String {
        self.prepared.parsed.message_id.clone().unwrap_or_default()
    }

    /// Records what was submitted or came in, in the transaction that accepts.
    pub(crate) fn record_in(&self, txn: &mut Transaction<'_>) -> Result<(), StoreError> {
        if let Some(request) = &self.request {
            record_request_in(txn, request);
        }
        if self.facts.submitter.is_some() {
            return record_in(txn, &self.submission);
        }
        let from = self.prepared.parsed.envelope.from.as_ref();
        // What is no address, as one that is too long, is nobody's.
        let is_address = |text: &String| EmailAddress::parse(text).is_ok();
        let first = from.and_then(|from| from.iter().find_map(Address::addr_spec));
        let first = first.filter(is_address);
        let arrival = Arrival {
            submission: self.submission.clone(),
            from: first.unwrap_or_default(),
        };
        record_arrival_in(txn, &arrival)
    }

    fn first_refusal(&self) -> Refusal {
        let refusal = |entry: &Entry| match entry.goal {
            Goal::Refused(refusal) => Some(refusal),
            _ => None,
        };
        let first = self.entries.iter().find_map(refusal);
        first.unwrap_or(Refusal::UnknownUser)
    }

    fn fits_one_batch(&self) -> bool {
        let locals = self
            .entries
            .iter()
            .filter(|entry| entry.account().is_some());
        let content = self.prepared.content().len();
        let inline = if content <= limits::INLINE {
            content
        } else {
            0
        };
        let room = store_limits::MAX_BATCH - limits::BATCH_RESERVE;
        let cost: usize = self.entries.iter().map(Entry::cost).sum();
        locals.count() <= tern_mailbox::limits::LANDINGS && inline + cost <= room
    }
}

/// Leaves out the targets at these positions, which are in ascending order.
fn remove_refused(targets: &mut Vec<Target>, refused: &[u32]) {
    for position in refused.iter().rev() {
        targets.remove(*position as usize);
    }
}

/// How many entries have such a goal.
fn count(entries: &[Entry], fits: fn(&Goal) -> bool) -> u32 {
    let count = entries.iter().filter(|entry| fits(&entry.goal)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What is put on record of a message whose envelope named so many recipients.
fn submission(
    (key, label_header): (&[u8; 32], &str),
    facts: &Facts,
    prepared: &Prepared,
    entries: &[Entry],
    named: u32,
) -> Submission {
    let outside = count(entries, |goal| matches!(goal, Goal::Outside(_)));
    // Only what goes there can come back from there.
    let goes_out = facts.submitter.is_some() && outside > 0;
    let print = || TextPrint::of(key, &prepared.parsed, prepared.content());
    Submission {
        id: facts.origin,
        account: facts.submitter.unwrap_or(Submission::OUTSIDE),
        mail_from: facts.mail_from.clone(),
        message_id: prepared.parsed.message_id.clone().unwrap_or_default(),
        subject: prepared.parsed.envelope.subject.clone().unwrap_or_default(),
        digest: prepared.digest,
        label: tern_recall::label_of(label_header, prepared.content()),
        carried: prepared.letters().skip(1).collect(),
        text: goes_out.then(print).flatten(),
        answers: tern_recall::answered_by(&prepared.parsed, prepared.content()),
        size: prepared.size(),
        submitted: facts.received,
        recipients: named,
        accounts: count(entries, |goal| matches!(goal, Goal::Local(..))),
        outside,
    }
}

impl Delivery {
    /// Takes a message over: on return it is durable, and every recipient has it, will have it,
    /// or is reported to the sender. An error means that nothing was accepted; the same again may
    /// be tried if its fault is [`tern_base::Fault::Temporary`].
    pub fn accept(
        &self,
        incoming: Incoming,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Accepted, DeliveryError> {
        Ok(self.bring_in(incoming, FanOut::Now, now, entropy)?.accepted)
    }

    /// Takes a message over in the same way, but leaves a fan-out that takes more than one transaction to
    /// [`Delivery::fan_out`]: whoever sent the message need not wait for it (RFC 5321 6.1, RFC 1047).
    pub fn take_over(
        &self,
        incoming: Incoming,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<TakenOver, DeliveryError> {
        self.bring_in(incoming, FanOut::Later, now, entropy)
    }

    fn bring_in(
        &self,
        incoming: Incoming,
        fan_out: FanOut,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<TakenOver, DeliveryError> {
        let acceptance = self.plan_acceptance(incoming, now)?;
        let taken = self.accept_planned(&acceptance, fan_out, now, entropy)?;
        if let Some(request) = &acceptance.request {
            self.mailboxes.wake(request.account);
        }
        Ok(taken)
    }

    fn accept_planned(
        &self,
        acceptance: &Acceptance,
        fan_out: FanOut,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<TakenOver, DeliveryError> {
        let whole = |accepted| TakenOver {
            accepted,
            is_whole: true,
        };
        if let (Some(request), []) = (&acceptance.request, &acceptance.entries[..]) {
            let (facts, message_id) = (&acceptance.facts, acceptance.message_id());
            return self.accept_request(facts, message_id, request).map(whole);
        }
        let goes = |entry: &Entry| matches!(entry.goal, Goal::Local(..) | Goal::Outside(_));
        if !acceptance.entries.iter().any(goes) {
            return Err(DeliveryError::Refused(acceptance.first_refusal()));
        }
        if acceptance.fits_one_batch() {
            match self.accept_at_once(acceptance, now, entropy) {
                // The notice that is owed did not fit in beside the message.
                Err(DeliveryError::Store(StoreError::TooLarge {
                    what: Bound::Batch, ..
                })) => {}
                done => return done.map(whole),
            }
        }
        let begun = self.begin_job(acceptance)?;
        match fan_out {
            FanOut::Later => Ok(TakenOver {
                accepted: begun,
                is_whole: false,
            }),
            FanOut::Now => {
                let prepared = Some(&acceptance.prepared);
                Ok(whole(self.run_begun(begun, prepared, now, entropy)))
            }
        }
    }

    fn plan_acceptance(
        &self,
        mut incoming: Incoming,
        now: Timestamp,
    ) -> Result<Acceptance, DeliveryError> {
        if incoming.recipients.is_empty() {
            return Err(DeliveryError::NoRecipients);
        }
        let asker = incoming.submitter;
        let submitter = asker.as_ref().map(|asker| asker.account);
        let is_addressed = match submitter {
            Some(_) => self.take_request_addresses(&mut incoming.recipients)?,
            None => false,
        };
        let named = u32::try_from(incoming.recipients.len())
            .map_err(|_| DeliveryError::Limit("recipients of an envelope"))?;
        let origin = match submitter {
            Some(_) => incoming.origin,
            None => incoming.origin.foreign(),
        };
        let ready = self.ready(origin, incoming.content, submitter, now)?;
        let way = match (is_addressed, submitter) {
            (true, _) => Way::Addressed,
            (false, Some(_)) => Way::of(&ready.prepared, &incoming.recipients),
            (false, None) => Way::Header,
        };
        let snapshot = self.engine.snapshot()?;
        let mut entries = plan(
            &*snapshot,
            incoming.recipients,
            submitter.is_some(),
            &ready.delivered_to,
        )?;
        drop(snapshot);
        if matches!(way, Way::Outlook(_)) {
            entries.retain(|entry| matches!(entry.goal, Goal::Outside(_)));
        }
        let prepared = ready.prepared;
        let facts = Facts {
            origin,
            mail_from: incoming.mail_from,
            submitter,
            ret: incoming.ret,
            envid: incoming.envid,
            smtputf8: incoming.smtputf8,
            received: now,
        };
        let key = self.mailboxes.content_key();
        let request = asker.and_then(|asker| request_of(key, asker, &facts, &prepared, &way));
        let header = &self.settings.label_header;
        let submission = submission((key, header), &facts, &prepared, &entries, named);
        Ok(Acceptance {
            facts,
            prepared,
            entries,
            submission,
            request,
        })
    }

    /// Takes the server's own address out of an envelope. Answers whether it was there.
    fn take_request_addresses(
        &self,
        recipients: &mut Vec<IncomingRecipient>,
    ) -> Result<bool, DeliveryError> {
        let before = recipients.len();
        let mut others = Vec::with_capacity(before);
        for recipient in recipients.drain(..) {
            if !is_request_address(self.reader(), &recipient.address)? {
                others.push(recipient);
            }
        }
        *recipients = others;
        Ok(recipients.len() < before)
    }

    fn accept_at_once(
        &self,
        acceptance: &Acceptance,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Accepted, DeliveryError> {
        let Acceptance {
            facts,
            prepared,
            entries,
            ..
        } = acceptance;
        let content = || Ok(Cow::Borrowed(prepared.content()));
        let subject = Subject {
            facts,
            content: &content,
        };
        let accounts: Vec<AccountId> = entries.iter().filter_map(Entry::account).collect();
        let mut last = None;
        let mut tried = 0;
        let outcome = loop {
            let done = self.commit(&subject, accounts.clone(), now, entropy, |txn| {
                let at = Position::default();
                let outcome = self.place_in(txn, prepared, facts, entries, at, now)?;
                if outcome.is_empty() {
                    let refusal = outcome.first_refusal.unwrap_or(Refusal::UnknownUser);
                    return Err(DeliveryError::Refused(refusal));
                }
                acceptance.record_in(txn)?;
                let mut targets = targets_of(facts, entries);
                remove_refused(&mut targets, &outcome.refused);
                for (first, chunk) in target_chunks(&targets) {
                    record_targets_in(txn, facts.origin, first, chunk);
                }
                last = Some(outcome.clone());
                let notice = Notice::about(facts, outcome.reports.clone(), 0);
                Ok((outcome, notice))
            });
            match (done, last.take()) {
                (Ok(outcome), _) => break outcome,
                (Err(DeliveryError::Store(StoreError::Unknown)), Some(outcome))
                    if tried < UNKNOWN_ATTEMPTS =>
                {
                    // The answer was lost: what is there tells.
                    if self.has_happened(acceptance)? {
                        break outcome;
                    }
                    tried += 1;
                }
                (Err(error), _) => return Err(error),
            }
        };
        Ok(Accepted {
            origin: facts.origin,
            message_id: acceptance.message_id(),
            local: outcome.local,
            outside: outcome.outside,
            late: outcome.late,
            cut_off: None,
        })
    }

    /// Whether the transaction of a message was committed.
    fn has_happened(&self, acceptance: &Acceptance) -> Result<bool, DeliveryError> {
        let origin = acceptance.facts.origin;
        let found = tern_recall::submission::submission(self.reader(), origin)?;
        Ok(found.is_some())
    }
}
