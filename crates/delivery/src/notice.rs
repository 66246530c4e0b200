//! A transaction that may owe the sender a notice: both commit together, or neither does.
//!
//! What has to be told shows only inside the transaction, and a message has to be prepared outside
//! of one. So the transaction is run; if it turns out that something is to be told, it is dropped,
//! the notice is prepared, and it is run again. Whether the message that it is about is sealed is
//! asked in that transaction, of the row: then it is given back as its header alone.

use std::borrow::Cow;

use tern_base::{AccountId, Entropy, OriginId, Timestamp};
use tern_mailbox::Prepared;
use tern_store::{Bound, StoreError, Transaction, Verdict, limits as store_limits, transact};

use crate::entry::{Entry, Facts, Goal};
use crate::place::Position;
use crate::plan::plan;
use crate::report::{Composition, Notice, Report};
use crate::{Delivery, DeliveryError, IncomingRecipient, limits};

/// How often a notice is prepared anew because what it tells has changed meanwhile.
const ATTEMPTS: usize = 5;

/// A notice, ready to be placed.
struct Letter {
    notice: Notice,
    /// The letter that it is about, and those that one carries.
    about: Vec<tern_mailbox::Letter>,
    /// Whether nothing but that letter's header is given back.
    headers_only: bool,
    /// `None` when the sender is nobody who could be told.
    message: Option<(Prepared, Facts, Vec<Entry>)>,
}

/// The message that a notice would be about.
pub(crate) struct Subject<'a> {
    pub(crate) facts: &'a Facts,
    /// Its octets, read when they are needed.
    pub(crate) content: &'a dyn Fn() -> Result<Cow<'a, [u8]>, DeliveryError>,
}

impl Notice {
    /// The notice of some reports, if there is anybody to tell and anything to say.
    pub(crate) fn about(
        facts: &Facts,
        reports: Vec<impl Into<Report>>,
        omitted: usize,
    ) -> Option<Self> {
        // RFC 5321 6.1: the null sender is never told.
        if facts.mail_from.is_none() || reports.is_empty() {
            return None;
        }
        let omitted = omitted + reports.len().saturating_sub(limits::MAX_REPORTED);
        let reports = reports.into_iter().take(limits::MAX_REPORTED);
        Some(Self {
            reports: reports.map(Into::into).collect(),
            omitted,
        })
    }
}

impl Delivery {
    /// Runs a transaction over some accounts, with the notice that it owes.
    pub(crate) fn commit<T>(
        &self,
        subject: &Subject<'_>,
        accounts: Vec<AccountId>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<(T, Option<Notice>), DeliveryError>,
    ) -> Result<T, DeliveryError> {
        let mut letter: Option<Letter> = None;
        let mut lanes = accounts.clone();
        for _ in 0..ATTEMPTS {
            let done = self.mailboxes.transact_unasked(&lanes, |txn| {
                let (done, wanted) = work(txn)?;
                let Some(wanted) = wanted else {
                    return Ok(Verdict::Commit(Ok(done)));
                };
                match &letter {
                    Some(letter)
                        if letter.notice == wanted
                            && self.may_quote(txn, letter, subject, now)? =>
                    {
                        self.place_letter(txn, letter, now)?;
                        // Two contents in one batch may be too much: then nothing is written.
                        let size = txn.size();
                        if size > store_limits::MAX_BATCH {
                            let what = Bound::Batch;
                            return Err(StoreError::TooLarge { what, size }.into());
                        }
                        Ok(Verdict::Commit(Ok(done)))
                    }
                    _ => Ok::<_, DeliveryError>(Verdict::Abandon(Err(wanted))),
                }
            })?;
            match done {
                Ok(done) => return Ok(done),
                Err(wanted) => {
                    let made = self.compose(subject, wanted, now, entropy)?;
                    lanes.clone_from(&accounts);
                    let entries = made.message.iter().flat_map(|(_, _, entries)| entries);
                    lanes.extend(entries.filter_map(Entry::account));
                    letter = Some(made);
                }
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Whether what a notice gives back of its subject may be given back now. The transaction
    /// depends on the answer: a seal that falls meanwhile makes it a conflict.
    fn may_quote(
        &self,
        txn: &mut Transaction<'_>,
        letter: &Letter,
        subject: &Subject<'_>,
        now: Timestamp,
    ) -> Result<bool, DeliveryError> {
        let origin = subject.facts.origin;
        let seal =
            self.mailboxes
                .any_sealed_outside_in(txn, letter.about.iter().copied(), origin, now)?;
        Ok(letter.headers_only || letter.message.is_none() || seal.is_none())
    }

    fn place_letter(
        &self,
        txn: &mut Transaction<'_>,
        letter: &Letter,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        if let Some((prepared, facts, entries)) = &letter.message {
            // Where even the notice can't land, nobody is told of that (RFC 5321 6.1).
            self.place_in(txn, prepared, facts, entries, Position::default(), now)?;
        }
        Ok(())
    }

    fn compose(
        &self,
        subject: &Subject<'_>,
        notice: Notice,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Letter, DeliveryError> {
        let content = (subject.content)()?;
        let about = self.mailboxes.letters_of(&content);
        // What is being taken back is not handed out again.
        let headers_only = transact(&*self.engine, |txn| {
            let origin = subject.facts.origin;
            let seal =
                self.mailboxes
                    .any_sealed_outside_in(txn, about.iter().copied(), origin, now)?;
            Ok::<_, DeliveryError>(Verdict::Abandon(seal.is_some()))
        })?;
        let quoted = (&*content, headers_only);
        let message = self.compose_message(subject.facts, quoted, &notice, now, entropy)?;
        Ok(Letter {
            notice,
            about,
            headers_only,
            message,
        })
    }

    fn compose_message(
        &self,
        about: &Facts,
        (content, headers_only): (&[u8], bool),
        notice: &Notice,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<(Prepared, Facts, Vec<Entry>)>, DeliveryError> {
        let Some(to) = &about.mail_from else {
            return Ok(None);
        };
        let origin = OriginId::new(now, entropy);
        let snapshot = self.engine.snapshot()?;
        let recipient = IncomingRecipient::new(to.clone());
        let mut entries = plan(&*snapshot, vec![recipient], true, &[])?;
        drop(snapshot);
        entries.retain(|entry| matches!(entry.goal, Goal::Local(..) | Goal::Outside(_)));
        entries.truncate(limits::MAX_NOTICE_RECIPIENTS);
        if entries.is_empty() {
            return Ok(None);
        }
        let composition = Composition {
            hostname: &self.settings.hostname,
            facts: about,
            to,
            notice,
            content,
            headers_only,
            leaves: entries
                .iter()
                .any(|entry| matches!(entry.goal, Goal::Outside(_))),
            origin,
            now,
        };
        let message = composition.compose();
        let facts = Facts {
            origin,
            mail_from: None,
            submitter: None,
            ret: None,
            envid: None,
            smtputf8: to.needs_smtputf8() || !header_is_ascii(&message),
            received: now,
        };
        let prepared = self.mailboxes.prepare(message, now)?;
        Ok(Some((prepared, facts, entries)))
    }
}

fn header_is_ascii(message: &[u8]) -> bool {
    let end = tern_mime::header_length(message);
    message.get(..end).unwrap_or_default().is_ascii()
}
