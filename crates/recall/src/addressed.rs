//! What the sender may see of a recall: what became of each address that they wrote. Policy may show
//! them more, or hide whether a single copy was exposed.
//!
//! Who is behind a group or an alias is not theirs to know, nor is where a copy turned up that came
//! about otherwise: such copies are counted by how they ended.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use tern_base::{AccountId, Timestamp};
use tern_policy::Visibility;

use crate::noticed;
use crate::status::head_json;
use crate::{
    Answers, CopyOutcome, Destination, Outcome, Reason, Recall, RecallError, RecallId, Recalls,
    StatusLine, Subject, Tally, Target, ToldOutcome, Wait,
};

/// A recall as its sender sees it.
#[derive(Clone, Debug)]
pub struct SenderStatus {
    /// The recall.
    pub recall: Recall,
    /// How many copies ended how, the sender's own left out.
    pub tally: Tally,
    /// When the message was sent.
    pub submitted: Option<Timestamp>,
    /// Each address, in the order of the envelope, up to the number asked for; then those that were chosen
    /// and that nobody had been written to by.
    pub addressed: Vec<Addressed>,
    /// Addresses that are not in `addressed`.
    pub more: u64,
    /// Recipients whom the delivery has not reached yet.
    pub on_their_way: u64,
    /// What it waits for, or has waited for.
    pub wait: Option<Wait>,
    /// How much of it is told.
    pub visibility: Visibility,
    /// Each copy with what was served of it, where that may be seen.
    pub copies: Vec<StatusLine>,
    /// Copies that are not in `copies`, where those may be seen.
    pub more_copies: u64,
    /// What answers the message, as far as that may be seen.
    pub answers: Answers,
}

/// What became of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    /// The address as the sender wrote it; `None` for copies that came about otherwise.
    pub recipient: Option<String>,
    /// How many copies ended how; nothing where nobody had been written to by it.
    pub ends: BTreeMap<End, u64>,
}

/// How a copy ended, as far as the sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// Its outcome.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// It was put back.
    pub restored: bool,
    /// It is kept no longer.
    pub purged: bool,
    /// It was not put back, since another recall covers it too.
    pub handed_over: bool,
    /// Whether whoever had it got a notice; none where none was for them, or that is not told.
    pub noticed: Option<bool>,
    /// Whether it was exposed is not told, nor is a reason that would tell it.
    pub exposure_hidden: bool,
}

impl End {
    fn of(outcome: &CopyOutcome, noticed: Option<bool>) -> Self {
        Self {
            noticed,
            outcome: outcome.outcome,
            reason: outcome.reason,
            restored: outcome.restored.is_some(),
            purged: outcome.purged.is_some(),
            handed_over: outcome.handed_over.is_some(),
            exposure_hidden: false,
        }
    }

    /// The same without what tells whether the copy was exposed.
    fn without_exposure(self) -> Self {
        let (outcome, reason) = match self.outcome {
            Outcome::WithdrawnUnexposed | Outcome::WithdrawnExposed => {
                (Outcome::WithdrawnUnexposed, Reason::NeverServed)
            }
            Outcome::AlreadyGone => (Outcome::AlreadyGone, self.reason.unread()),
            _ if self.reason == Reason::Spared => (self.outcome, Reason::Spared),
            _ => return self,
        };
        Self {
            outcome,
            reason,
            noticed: None,
            exposure_hidden: true,
            ..self
        }
    }

    /// The code of the outcome, as far as it is told.
    pub const fn code(self) -> &'static str {
        match self.outcome {
            Outcome::WithdrawnUnexposed if self.exposure_hidden => ToldOutcome::Withdrawn.code(),
            outcome => outcome.code(),
        }
    }

    /// The code of the reason, as far as it is told.
    pub const fn reason_code(self) -> Option<&'static str> {
        match self.exposure_hidden {
            true => None,
            false => Some(self.reason.code()),
        }
    }

    /// The code of what came of a notice, as far as it is told.
    pub fn notice_code(self) -> Option<&'static str> {
        self.noticed.map(noticed::code)
    }

    /// The sentence for people.
    pub const fn sentence(self) -> &'static str {
        match (self.exposure_hidden, self.outcome, self.reason) {
            (false, ..) => self.reason.sentence(),
            (true, _, Reason::RemovedUnread) => "The recipient's account had been removed.",
            (true, Outcome::AlreadyGone, _) => "The recipient had deleted it.",
            (true, Outcome::KeptByPolicy, _) => "It was not among the copies to be taken.",
            (true, ..) => "Taken back.",
        }
    }
}

impl Recalls {
    /// How a recall stands for its sender, with at most `limit` addresses one by one.
    pub fn sender_status(&self, id: RecallId, limit: usize) -> Result<SenderStatus, RecallError> {
        let recall = self.recall(id)?;
        let found = self.submission_found(&recall)?;
        let targets = self.targets_of(&recall)?;
        let on_their_way = self.on_their_way(&recall)?;
        let mut tally = Tally::default();
        tally.add_many(Outcome::Pending, on_their_way);
        let envelope = Envelope::of(&targets);
        // By the address's place in the envelope; the last is for copies of no address.
        let mut ends: BTreeMap<usize, BTreeMap<End, u64>> = BTreeMap::new();
        let noticed = self.noticed(id)?;
        self.each_outcome(id, |subject, outcome| {
            if outcome.reason != Reason::OwnCopy {
                tally.add(outcome.outcome);
                let noticed = match subject {
                    Subject::Copy(account, _) => noticed.get(&account).map(|one| one.landed),
                    Subject::Target(_) | Subject::Onward(..) => None,
                };
                let end = End::of(&outcome, noticed);
                let places = match outcome.carriage {
                    // That a recipient has sent it on is not the sender's to know.
                    Some(_) => &[usize::MAX],
                    None => envelope.places(subject),
                };
                for place in places {
                    *ends.entry(*place).or_default().entry(end).or_default() += 1;
                }
            }
        })?;
        let more = ends.len().saturating_sub(limit) as u64;
        let unmet = match limit {
            0 => Vec::new(),
            _ => self.unmet_of(&recall, found.as_ref())?,
        };
        let unmet = unmet.into_iter().map(|address| Addressed {
            recipient: Some(address),
            ends: BTreeMap::new(),
        });
        let addressed = ends.into_iter().take(limit).map(|(place, ends)| Addressed {
            recipient: envelope
                .recipients
                .get(place)
                .map(|text| (*text).to_owned()),
            ends,
        });
        Ok(SenderStatus {
            visibility: Visibility::Outcomes,
            copies: Vec::new(),
            more_copies: 0,
            answers: Answers::default(),
            addressed: addressed.chain(unmet).collect(),
            wait: self.wait_of(id)?,
            recall,
            tally,
            submitted: found.map(|found| found.submitted),
            more,
            on_their_way,
        })
    }
}

/// The addresses of an envelope, and which of them each copy was sent to.
struct Envelope<'a> {
    recipients: Vec<&'a str>,
    /// The places in the envelope that led to each target, and to each account. A copy is told of
    /// with every address that led to it: else what an address says would depend on who else is behind
    /// the ones before.
    targets: Vec<Vec<usize>>,
    accounts: HashMap<AccountId, Vec<usize>>,
}

impl<'a> Envelope<'a> {
    fn of(targets: &'a [Target]) -> Self {
        let first = targets.iter().map(|target| &target.path);
        let further = targets.iter().flat_map(|target| &target.also);
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut recipients = Vec::new();
        for path in first.chain(further) {
            let recipient = path.recipient.as_str();
            known.entry(recipient).or_insert_with(|| {
                recipients.push(recipient);
                recipients.len() - 1
            });
        }
        let places = |target: &Target| {
            let mut places: Vec<usize> = target
                .recipients()
                .filter_map(|recipient| known.get(recipient).copied())
                .collect();
            places.sort_unstable();
            places.dedup();
            places
        };
        let by_target: Vec<Vec<usize>> = targets.iter().map(places).collect();
        let mut accounts: HashMap<AccountId, Vec<usize>> = HashMap::new();
        for (target, places) in targets.iter().zip(&by_target) {
            // What was sent more than once led to it more than once.
            if let Destination::Account(account) = target.destination {
                let all = accounts.entry(account).or_default();
                all.extend(places);
                all.sort_unstable();
                all.dedup();
            }
        }
        Self {
            recipients,
            targets: by_target,
            accounts,
        }
    }

    fn places(&self, subject: Subject) -> &[usize] {
        let found = match subject {
            Subject::Onward(..) => None,
            Subject::Copy(account, _) => self.accounts.get(&account),
            Subject::Target(n) => self.targets.get(n as usize),
        };
        found.map_or(&[usize::MAX], Vec::as_slice)
    }
}

impl SenderStatus {
    /// The same, with no more than may be seen.
    pub(crate) fn limited_to(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        if matches!(visibility, Visibility::Aggregate { .. }) {
            for addressed in &mut self.addressed {
                let mut ends = BTreeMap::new();
                for (end, copies) in std::mem::take(&mut addressed.ends) {
                    *ends.entry(end.without_exposure()).or_default() += copies;
                }
                addressed.ends = ends;
            }
        }
        self
    }

    /// How many copies ended how, as far as that is told.
    pub fn outcomes(&self) -> Vec<(ToldOutcome, u64)> {
        self.tally.told(Some(self.visibility))
    }

    /// The status for people, as in the report.
    pub fn text(&self) -> String {
        crate::report::text(self)
    }

    /// The status as JSON.
    pub fn json(&self) -> Value {
        let mut value = head_json(&self.recall, self.submitted, &self.tally, self.on_their_way);
        if let Some(fields) = value.as_object_mut() {
            let addressed: Vec<Value> = self.addressed.iter().map(Addressed::json).collect();
            let outcomes = self.outcomes().into_iter();
            let outcomes = outcomes.map(|(told, copies)| (told.code().to_owned(), copies.into()));
            fields.insert("outcomes".to_owned(), Value::Object(outcomes.collect()));
            if self.visibility == Visibility::Full {
                let copies: Vec<Value> = self.copies.iter().map(StatusLine::json).collect();
                fields.insert("copies".to_owned(), copies.into());
            }
            fields.insert("addressed".to_owned(), addressed.into());
            fields.insert("moreAddressed".to_owned(), self.more.into());
            let wait = self.wait.as_ref();
            let wait = wait.map(|wait| wait.json(self.recall.state));
            fields.insert("waiting".to_owned(), wait.into());
            self.answers.put_json(fields);
        }
        value
    }
}

impl Addressed {
    fn json(&self) -> Value {
        let end = |(end, copies): (&End, &u64)| {
            json!({
                "outcome": end.code(),
                "reason": end.reason_code(),
                "sentence": end.sentence(),
                "copies": copies,
                "restored": end.restored,
                "purged": end.purged,
                "handedOver": end.handed_over,
                "notice": end.notice_code(),
            })
        };
        let ends: Vec<Value> = self.ends.iter().map(end).collect();
        json!({"recipient": self.recipient, "copies": ends})
    }

    /// Whether it is told if its copies were exposed.
    pub(crate) fn is_exposure_told(&self) -> bool {
        !self.ends.keys().any(|end| end.exposure_hidden)
    }

    /// Whether a copy was served before it was taken back, or may be where it can't be; or there was none.
    pub(crate) fn needs_attention(&self) -> bool {
        let settled = |outcome| {
            matches!(
                outcome,
                Outcome::WithdrawnUnexposed | Outcome::Prevented | Outcome::BlockedLate
            )
        };
        self.ends.is_empty() || self.ends.keys().any(|end| !settled(end.outcome))
    }
}
