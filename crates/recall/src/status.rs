//! How a recall stands, copy by copy: for the command line and its JSON. What the sender may see is
//! in [`crate::SenderStatus`].

use std::collections::HashMap;

use serde_json::{Value, json};
use tern_base::{AccountId, OriginId, Timestamp};
use tern_store::{Engine, Range, StoreError, limits as store_limits};

use crate::{
    Answers, CopyOutcome, Destination, Extent, Noticed, Outcome, Reason, Recall, RecallError,
    RecallId, Recalls, Seen, State, Subject, Tally, Target, Wait, submission, tables,
};

/// A recall and every copy's outcome.
#[derive(Clone, Debug)]
pub struct Status {
    /// The recall.
    pub recall: Recall,
    /// How many copies ended how, the sender's own left out.
    pub tally: Tally,
    /// When the message was sent.
    pub submitted: Option<Timestamp>,
    /// Each copy, up to the number asked for.
    pub lines: Vec<StatusLine>,
    /// Copies that are not in `lines`.
    pub more: u64,
    /// Recipients whom the delivery has not reached yet: each copy is stopped as it arrives.
    pub on_their_way: u64,
    /// Chosen addresses by which the message was sent to nobody.
    pub unmet: Vec<String>,
    /// What it waits for, or has waited for.
    pub wait: Option<Wait>,
    /// What answers the message, where somebody asked for whom that is told.
    pub answers: Answers,
}

/// One copy.
#[derive(Clone, Debug)]
pub struct StatusLine {
    /// Whose copy: an account's address, or an address outside.
    pub recipient: String,
    /// The aliases and groups that led there.
    pub via: Vec<String>,
    /// The names of the mailboxes it was in.
    pub mailboxes: Vec<String>,
    /// What became of it.
    pub outcome: CopyOutcome,
    /// Who had what of it, where it is a copy in an account.
    pub seen: Option<Seen>,
    /// What has sent it outside, where that is another submission than the recall is about.
    pub sent_on: Option<SentOn>,
    /// What came of the notice to the account that had it, if there was to be one.
    pub noticed: Option<Noticed>,
}

/// What has sent something on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentOn {
    /// The submission.
    pub submission: OriginId,
    /// Whose it is: an account's address, or the reverse path of what came in.
    pub by: String,
}

/// A line of the list of recalls.
#[derive(Clone, Debug)]
pub struct Line {
    /// The recall.
    pub recall: Recall,
    /// How many copies ended how.
    pub tally: Tally,
}

/// Calls `each` for every row of a range.
pub(crate) fn each_row(
    engine: &dyn Engine,
    range: Range,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), RecallError>,
) -> Result<(), RecallError> {
    let mut next = Some(range);
    while let Some(range) = next {
        let page = engine.scan(&range, store_limits::MAX_PAGE)?;
        for (key, value) in &page.rows {
            each(key, value)?;
        }
        next = page.next;
    }
    Ok(())
}

impl Recalls {
    pub(crate) fn each_outcome(
        &self,
        id: RecallId,
        mut each: impl FnMut(Subject, CopyOutcome),
    ) -> Result<(), RecallError> {
        each_row(&*self.engine, tables::outcomes(id), |key, value| {
            each(tables::read_subject(key)?, CopyOutcome::decode(value)?);
            Ok(())
        })
    }

    /// The same of what is in no account here.
    pub(crate) fn each_outcome_elsewhere(
        &self,
        id: RecallId,
        mut each: impl FnMut(Subject, CopyOutcome),
    ) -> Result<(), RecallError> {
        let range = tables::outcomes_elsewhere(id);
        each_row(&*self.engine, range, |key, value| {
            each(tables::read_subject(key)?, CopyOutcome::decode(value)?);
            Ok(())
        })
    }

    /// Every outcome, the sender's own copies included.
    pub fn outcomes(&self, id: RecallId) -> Result<Vec<(Subject, CopyOutcome)>, RecallError> {
        let mut out = Vec::new();
        self.each_outcome(id, |subject, outcome| out.push((subject, outcome)))?;
        Ok(out)
    }

    /// How many copies ended how, the sender's own left out.
    pub fn tally(&self, id: RecallId) -> Result<Tally, RecallError> {
        let mut tally = Tally::default();
        let on_their_way = self.on_their_way(&self.recall(id)?)?;
        tally.add_many(Outcome::Pending, on_their_way);
        self.each_outcome(id, |_, outcome| {
            if outcome.reason != Reason::OwnCopy {
                tally.add(outcome.outcome);
            }
        })?;
        Ok(tally)
    }

    /// How many recipients the delivery has not reached yet, while that still matters.
    pub(crate) fn on_their_way(&self, recall: &Recall) -> Result<u64, RecallError> {
        let covered = matches!(recall.state, State::Running | State::Done);
        let mut missing = 0;
        for sending in recall.sendings().filter(|_| covered) {
            let way = submission::under_way(&*self.engine, sending)?;
            missing += way.map_or(0, |way| u64::from(way.of.saturating_sub(way.reached)));
        }
        Ok(missing)
    }

    /// How a recall stands, with at most `limit` copies one by one.
    pub fn status(&self, id: RecallId, limit: usize) -> Result<Status, RecallError> {
        let recall = self.recall(id)?;
        let found = self.submission_found(&recall)?;
        let targets = self.targets_of(&recall)?;
        let on_their_way = self.on_their_way(&recall)?;
        let mut rows = Vec::new();
        let (mut tally, mut count) = (Tally::default(), 0u64);
        tally.add_many(Outcome::Pending, on_their_way);
        self.each_outcome(id, |subject, outcome| {
            if outcome.reason == Reason::OwnCopy {
                return;
            }
            tally.add(outcome.outcome);
            count += 1;
            if rows.len() < limit {
                rows.push((subject, outcome));
            }
        })?;
        let noticed = self.noticed(id)?;
        let led_to = led_to(&targets);
        let mut sent_on = None;
        let mut lines = Vec::with_capacity(rows.len());
        for (subject, outcome) in rows {
            lines.push(match subject {
                Subject::Copy(account, message) => StatusLine {
                    seen: Some(self.seen(account, message)?),
                    noticed: noticed.get(&account).copied(),
                    ..self.copy_line(account, outcome, led_to.get(&account).copied())?
                },
                Subject::Target(n) => {
                    let target = targets.get(n as usize).ok_or(StoreError::Damaged)?;
                    self.target_line(target, outcome)?
                }
                Subject::Onward(origin, n) => {
                    self.onward_line((origin, n), outcome, &mut sent_on)?
                }
            });
        }
        let more = count - lines.len() as u64;
        let unmet = match limit {
            0 => Vec::new(),
            _ => self.unmet_of(&recall, found.as_ref())?,
        };
        let submitted = found.map(|found| found.submitted);
        Ok(Status {
            recall,
            tally,
            submitted,
            lines,
            more,
            on_their_way,
            unmet,
            wait: self.wait_of(id)?,
            answers: Answers::default(),
        })
    }

    fn copy_line(
        &self,
        account: AccountId,
        outcome: CopyOutcome,
        target: Option<&Target>,
    ) -> Result<StatusLine, RecallError> {
        let mut mailboxes = Vec::with_capacity(outcome.mailboxes.len());
        if !outcome.mailboxes.is_empty() {
            let folders = self.mailboxes().folders(account).unwrap_or_default();
            let named = folders
                .iter()
                .filter(|folder| outcome.mailboxes.contains(&folder.id));
            mailboxes.extend(named.map(|folder| folder.path.clone()));
        }
        let via = target.map(|target| target.path.via.clone());
        Ok(StatusLine {
            recipient: self.address(account)?,
            via: via.unwrap_or_default(),
            mailboxes,
            outcome,
            seen: None,
            sent_on: None,
            noticed: None,
        })
    }

    fn target_line(
        &self,
        target: &Target,
        outcome: CopyOutcome,
    ) -> Result<StatusLine, RecallError> {
        let seen = match &target.destination {
            Destination::Outside { item, .. } => self.left(*item)?,
            Destination::Account(_) | Destination::Nowhere => None,
        };
        Ok(StatusLine {
            recipient: self.end_of(target)?,
            via: target.path.via.clone(),
            mailboxes: Vec::new(),
            outcome,
            seen,
            sent_on: None,
            noticed: None,
        })
    }

    /// The line of what another submission sent outside. Those of one stand together: it is read once.
    fn onward_line(
        &self,
        (origin, n): (OriginId, u32),
        outcome: CopyOutcome,
        last: &mut Option<(SentOn, Vec<Target>)>,
    ) -> Result<StatusLine, RecallError> {
        let known = last.take().filter(|(sent, _)| sent.submission == origin);
        let (sent_on, targets) = match known {
            Some(known) => known,
            None => (
                self.sent_on_by(origin)?,
                submission::targets(&*self.engine, origin)?,
            ),
        };
        let target = targets.get(n as usize).ok_or(StoreError::Damaged)?;
        let line = StatusLine {
            sent_on: Some(sent_on.clone()),
            ..self.target_line(target, outcome)?
        };
        *last = Some((sent_on, targets));
        Ok(line)
    }

    fn sent_on_by(&self, origin: OriginId) -> Result<SentOn, RecallError> {
        let sent = submission::submission(&*self.engine, origin)?;
        let sent = sent.ok_or(StoreError::Damaged)?;
        let by = match (sent.submitter(), &sent.mail_from) {
            (Some(account), _) => self.address(account)?,
            (None, Some(from)) => from.to_string(),
            (None, None) => String::new(),
        };
        Ok(SentOn {
            submission: origin,
            by,
        })
    }

    /// The address that a target ended at.
    pub(crate) fn end_of(&self, target: &Target) -> Result<String, RecallError> {
        match &target.destination {
            Destination::Account(account) => self.address(*account),
            Destination::Outside { address, .. } => Ok(address.clone()),
            Destination::Nowhere => Ok(target.path.recipient.clone()),
        }
    }

    /// The newest recalls, of one account or of all.
    pub fn list(&self, owner: Option<AccountId>, limit: usize) -> Result<Vec<Line>, RecallError> {
        let mut recalls = Vec::new();
        self.each_recall(|recall| {
            if owner.is_none() || recall.owner == owner {
                recalls.push(recall);
            }
        })?;
        recalls.sort_by_key(|recall| std::cmp::Reverse((recall.requested, recall.id)));
        recalls.truncate(limit);
        let line = |recall: Recall| {
            Ok(Line {
                tally: self.tally(recall.id)?,
                recall,
            })
        };
        recalls.into_iter().map(line).collect()
    }
}

impl Status {
    /// The status as JSON, for those who may see into other people's mailboxes: where each copy
    /// was, and what of it had been served, when, to which client.
    pub fn json(&self) -> Value {
        let mut value = head_json(&self.recall, self.submitted, &self.tally, self.on_their_way);
        if let Some(fields) = value.as_object_mut() {
            let copies: Vec<Value> = self.lines.iter().map(StatusLine::json).collect();
            fields.insert("copies".to_owned(), copies.into());
            fields.insert("moreCopies".to_owned(), self.more.into());
            if !self.unmet.is_empty() {
                fields.insert("notSentTo".to_owned(), self.unmet.as_slice().into());
            }
            let wait = self.wait.as_ref();
            let wait = wait.map(|wait| wait.json(self.recall.state));
            fields.insert("waiting".to_owned(), wait.into());
            self.answers.put_json(fields);
        }
        value
    }
}

/// The first of these targets that each account is.
fn led_to(targets: &[Target]) -> HashMap<AccountId, &Target> {
    let mut led = HashMap::new();
    for target in targets {
        if let Destination::Account(account) = target.destination {
            led.entry(account).or_insert(target);
        }
    }
    led
}

/// What the JSON of a recall says before it comes to copies.
pub(crate) fn head_json(
    recall: &Recall,
    submitted: Option<Timestamp>,
    tally: &Tally,
    on_their_way: u64,
) -> Value {
    let outcomes: serde_json::Map<String, Value> = tally
        .iter()
        .map(|(outcome, n)| (outcome.code().to_owned(), n.into()))
        .collect();
    let refusal = match recall.state {
        State::Refused(refusal) => Some(refusal.code()),
        _ => None,
    };
    let done = recall.finished.map(|_| Extent::of(tally).code());
    json!({
        "id": recall.id.to_string(),
        "submission": recall.submission.map(|id| id.to_string()),
        "messageId": recall.message_id,
        "subject": tern_mime::shown_header_text(&recall.subject),
        "submittedAt": submitted.map(|at| at.to_string()),
        "requestedBy": recall.requester,
        "requestedOver": recall.protocol,
        "requestedAt": recall.requested.to_string(),
        "reason": recall.reason,
        "replacedBy": recall.replacement,
        "recipients": recall.chosen,
        "only": recall.selection.code(),
        "attachment": recall.attachment.as_ref().map(crate::Attachment::json),
        "reach": recall.reach.code(),
        "notice": recall.notices.code(),
        "noticeText": recall.notices.text,
        "batch": recall.batch.map(|batch| batch.to_string()),
        "asAnswer": recall.as_answer,
        "state": recall.state.code(),
        "refusal": refusal,
        "withdrawn": done,
        "policies": recall.policies,
        "finishedAt": recall.finished.map(|at| at.to_string()),
        "restoredAt": recall.restored.map(|at| at.to_string()),
        "outcomes": outcomes,
        "onTheirWay": on_their_way,
    })
}

impl StatusLine {
    pub(crate) fn json(&self) -> Value {
        let outcome = &self.outcome;
        let mut value = json!({
            "recipient": self.recipient,
            "via": self.via,
            "outcome": outcome.outcome.code(),
            "reason": outcome.reason.code(),
            "sentence": outcome.reason.sentence(),
            "at": outcome.at.to_string(),
            "restoredAt": outcome.restored.map(|at| at.to_string()),
            "purgedAt": outcome.purged.map(|at| at.to_string()),
            "mailboxes": self.mailboxes,
        });
        if let (Some(fields), Some(carriage)) = (value.as_object_mut(), outcome.carriage) {
            fields.insert("lineage".to_owned(), carriage.name().into());
        }
        if let (Some(fields), Some(other)) = (value.as_object_mut(), outcome.handed_over) {
            fields.insert("handedOverTo".to_owned(), other.to_string().into());
        }
        if let (Some(fields), Some(sent)) = (value.as_object_mut(), &self.sent_on) {
            let sent = json!({"submission": sent.submission.to_string(), "by": sent.by});
            fields.insert("sentOn".to_owned(), sent);
        }
        if let (Some(fields), Some(noticed)) = (value.as_object_mut(), self.noticed) {
            let noticed = json!({"outcome": noticed.code(), "at": noticed.at.to_string()});
            fields.insert("notice".to_owned(), noticed);
        }
        if let (Some(fields), Some(served)) = (value.as_object_mut(), &outcome.exposure) {
            let served = json!({
                "level": served.level.name(),
                "at": served.at.to_string(),
                "protocol": served.protocol,
                "client": served.client,
                "address": served.address,
            });
            fields.insert("exposure".to_owned(), served);
        }
        if let (Some(fields), Some(seen)) = (value.as_object_mut(), &self.seen) {
            fields.insert("seen".to_owned(), seen.json());
        }
        value
    }
}
