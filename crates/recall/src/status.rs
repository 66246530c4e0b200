//! How a recall stands: the per-copy account behind the report mail, the command line and JSON.

use serde_json::{Value, json};
use tern_base::{AccountId, MessageId, Timestamp};
use tern_store::{Engine, Range, StoreError, key::KeyReader, limits as store_limits};

use crate::submission::Destination;
use crate::{
    CopyOutcome, Extent, Outcome, Reason, Recall, RecallError, RecallId, Recalls, State, Tally,
    Target, submission, tables,
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
    pub(crate) fn each_copy_outcome(
        &self,
        id: RecallId,
        mut each: impl FnMut(AccountId, MessageId, CopyOutcome),
    ) -> Result<(), RecallError> {
        each_row(&*self.engine, tables::copy_outcomes(id), |key, value| {
            let mut parts = KeyReader::new(key);
            let _recall: Option<[u8; 16]> = parts.array();
            let (Some(account), Some(message)) = (parts.u32(), parts.u64()) else {
                return Err(StoreError::Damaged.into());
            };
            each(
                AccountId(account),
                MessageId(message),
                CopyOutcome::decode(value)?,
            );
            Ok(())
        })
    }

    pub(crate) fn each_target_outcome(
        &self,
        id: RecallId,
        mut each: impl FnMut(u32, CopyOutcome),
    ) -> Result<(), RecallError> {
        each_row(&*self.engine, tables::target_outcomes(id), |key, value| {
            let n = u32::from_be_bytes(*key.last_chunk().ok_or(StoreError::Damaged)?);
            each(n, CopyOutcome::decode(value)?);
            Ok(())
        })
    }

    /// The outcome of every copy that was in a mailbox, the sender's own included.
    pub fn copy_outcomes(
        &self,
        id: RecallId,
    ) -> Result<Vec<(AccountId, MessageId, CopyOutcome)>, RecallError> {
        let mut out = Vec::new();
        self.each_copy_outcome(id, |account, message, outcome| {
            out.push((account, message, outcome));
        })?;
        Ok(out)
    }

    /// The outcome of every target without a copy here, by its position in the submission's list.
    pub fn target_outcomes(&self, id: RecallId) -> Result<Vec<(u32, CopyOutcome)>, RecallError> {
        let mut out = Vec::new();
        self.each_target_outcome(id, |n, outcome| out.push((n, outcome)))?;
        Ok(out)
    }

    /// How many copies ended how, the sender's own left out.
    pub fn tally(&self, id: RecallId) -> Result<Tally, RecallError> {
        let mut tally = Tally::default();
        self.each_copy_outcome(id, |_, _, outcome| {
            if outcome.reason != Reason::OwnCopy {
                tally.add(outcome.outcome);
            }
        })?;
        self.each_target_outcome(id, |_, outcome| tally.add(outcome.outcome))?;
        Ok(tally)
    }

    /// How a recall stands, with at most `limit` copies one by one.
    pub fn status(&self, id: RecallId, limit: usize) -> Result<Status, RecallError> {
        let recall = self.recall(id)?;
        let found = match recall.submission {
            Some(submission) => submission::submission(&*self.engine, submission)?,
            None => None,
        };
        let targets = match recall.submission {
            Some(submission) => submission::targets(&*self.engine, submission)?,
            None => Vec::new(),
        };
        let mut rows = Vec::new();
        let (mut tally, mut count) = (Tally::default(), 0u64);
        self.each_copy_outcome(id, |account, _, outcome| {
            if outcome.reason == Reason::OwnCopy {
                return;
            }
            tally.add(outcome.outcome);
            count += 1;
            if rows.len() < limit {
                rows.push((account, outcome));
            }
        })?;
        let mut lines = Vec::with_capacity(rows.len());
        for (account, outcome) in rows {
            lines.push(self.copy_line(account, outcome, &targets)?);
        }
        let mut target_rows = Vec::new();
        self.each_target_outcome(id, |n, outcome| {
            tally.add(outcome.outcome);
            count += 1;
            if lines.len() + target_rows.len() < limit {
                target_rows.push((n, outcome));
            }
        })?;
        for (n, outcome) in target_rows {
            let target = targets.get(n as usize).ok_or(StoreError::Damaged)?;
            lines.push(self.target_line(target, outcome)?);
        }
        let more = count - lines.len() as u64;
        let submitted = found.map(|found| found.submitted);
        Ok(Status {
            recall,
            tally,
            submitted,
            lines,
            more,
        })
    }

    fn copy_line(
        &self,
        account: AccountId,
        outcome: CopyOutcome,
        targets: &[Target],
    ) -> Result<StatusLine, RecallError> {
        let to = Destination::Account(account);
        let target = targets.iter().find(|target| target.destination == to);
        let mut mailboxes = Vec::with_capacity(outcome.mailboxes.len());
        if !outcome.mailboxes.is_empty() {
            let folders = self.mailboxes().folders(account).unwrap_or_default();
            let named = folders
                .iter()
                .filter(|folder| outcome.mailboxes.contains(&folder.id));
            mailboxes.extend(named.map(|folder| folder.path.clone()));
        }
        let via = target.map(via_of).unwrap_or_default();
        Ok(StatusLine {
            recipient: self.address(account)?,
            via,
            mailboxes,
            outcome,
        })
    }

    fn target_line(
        &self,
        target: &Target,
        outcome: CopyOutcome,
    ) -> Result<StatusLine, RecallError> {
        let recipient = match &target.destination {
            Destination::Account(account) => self.address(*account)?,
            Destination::Outside { address, .. } => address.clone(),
        };
        Ok(StatusLine {
            recipient,
            via: via_of(target),
            mailboxes: Vec::new(),
            outcome,
        })
    }

    /// The newest recalls, of one account or of all.
    pub fn list(&self, owner: Option<AccountId>, limit: usize) -> Result<Vec<Line>, RecallError> {
        let mut recalls = Vec::new();
        each_row(
            &*self.engine,
            tables::whole(tables::RECALL),
            |key, value| {
                let id = key.get(1..).and_then(|id| id.try_into().ok()).map(RecallId);
                let recall = Recall::decode(id.ok_or(StoreError::Damaged)?, value)?;
                if owner.is_none() || recall.owner == owner {
                    recalls.push(recall);
                }
                Ok(())
            },
        )?;
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

fn via_of(target: &Target) -> Vec<String> {
    target.via.clone()
}

impl Status {
    /// The status as JSON. `detailed` is for those who may see into other people's mailboxes: each
    /// copy then says where it was, and what of it had been served, when, to which client.
    pub fn json(&self, detailed: bool) -> Value {
        let recall = &self.recall;
        let tally: serde_json::Map<String, Value> = self
            .tally
            .iter()
            .map(|(outcome, n)| (outcome.code().to_owned(), n.into()))
            .collect();
        let refusal = match recall.state {
            State::Refused(refusal) => Some(refusal.code()),
            _ => None,
        };
        let done = recall.finished.map(|_| Extent::of(&self.tally).code());
        json!({
            "id": recall.id.to_string(),
            "submission": recall.submission.map(|id| id.to_string()),
            "messageId": recall.message_id,
            "subject": tern_mime::decode_header_text(&recall.subject),
            "submittedAt": self.submitted.map(|at| at.to_string()),
            "requestedBy": recall.requester,
            "requestedOver": recall.protocol,
            "requestedAt": recall.requested.to_string(),
            "reason": recall.reason,
            "recipients": recall.chosen,
            "state": recall.state.code(),
            "refusal": refusal,
            "withdrawn": done,
            "policies": recall.policies,
            "finishedAt": recall.finished.map(|at| at.to_string()),
            "restoredAt": recall.restored.map(|at| at.to_string()),
            "outcomes": tally,
            "copies": self.lines.iter().map(|line| line.json(detailed)).collect::<Vec<_>>(),
            "moreCopies": self.more,
        })
    }
}

impl StatusLine {
    fn json(&self, detailed: bool) -> Value {
        let outcome = &self.outcome;
        let mut value = json!({
            "recipient": self.recipient,
            "via": self.via,
            "outcome": outcome.outcome.code(),
            "reason": outcome.reason.code(),
            "sentence": outcome.reason.sentence(),
            "at": outcome.at.to_string(),
            "restoredAt": outcome.restored.map(|at| at.to_string()),
        });
        let Some(fields) = value.as_object_mut().filter(|_| detailed) else {
            return value;
        };
        fields.insert("mailboxes".to_owned(), self.mailboxes.clone().into());
        if let Some(served) = &outcome.exposure {
            let served = json!({
                "level": served.level.name(),
                "at": served.at.to_string(),
                "protocol": served.protocol,
                "client": served.client,
                "address": served.address,
            });
            fields.insert("exposure".to_owned(), served);
        }
        value
    }

    /// Whether the copy was served before it was taken back, or may be where it can't be.
    pub const fn needs_attention(&self) -> bool {
        !matches!(
            self.outcome.outcome,
            Outcome::WithdrawnUnexposed | Outcome::Prevented | Outcome::BlockedLate
        )
    }
}
