//! Which recall a request joins: one of the same submission that takes all that is asked for. A
//! request that names more, or others, gets a recall of its own; a copy that another recall has
//! taken already keeps its outcome there.
//!
//! A recall that left a copy for a hold, which is over by now, does not take that one either.
//!
//! One row for each submission lists its recalls, so two requests at once know of each other. A
//! recall that was undone, or is being undone, takes nothing: what a new one covers is not put back.

use tern_base::codec::Damaged;
use tern_base::{OriginId, Timestamp};
use tern_store::Transaction;

use crate::request::NotSealed;
use crate::{
    Destination, Outcome, Recall, RecallError, RecallId, Recalls, Refusal, State, Subject, limits,
    tables,
};

/// Bytes of an id.
const ID: usize = 16;

impl Recalls {
    /// The recall that a request joins as things are.
    pub(crate) fn joined(
        &self,
        asked: &Recall,
        now: Timestamp,
    ) -> Result<Option<RecallId>, RecallError> {
        let Some(submission) = asked.submission else {
            return Ok(None);
        };
        for id in self.recalls_of(submission)? {
            let recall = self.recall(id)?;
            if takes(&recall, asked) && !self.has_left_any(&recall, now)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The recall that a request joins, in a transaction that then depends on it.
    pub(crate) fn joined_in(
        &self,
        txn: &mut Transaction<'_>,
        asked: &Recall,
        now: Timestamp,
    ) -> Result<Option<RecallId>, RecallError> {
        for recall in self.of_submission_in(txn, asked.submission)? {
            if takes(&recall, asked) && !self.has_left_any(&recall, now)? {
                return Ok(Some(recall.id));
            }
        }
        Ok(None)
    }

    /// The recalls of a submission that were granted and not undone when the last one was.
    pub(crate) fn recalls_of(&self, submission: OriginId) -> Result<Vec<RecallId>, RecallError> {
        let row = self.engine.get(&tables::of_submission(submission))?;
        Ok(ids(row.as_deref())?)
    }

    /// Whether a recall has left somebody's copy where it was for a hold that does not keep it there
    /// any more: it is for another recall to take.
    fn has_left_any(&self, recall: &Recall, now: Timestamp) -> Result<bool, RecallError> {
        let mut left = Vec::new();
        self.each_outcome(recall.id, |subject, outcome| {
            if outcome.outcome == Outcome::KeptOnHoldVisible {
                left.push(subject);
            }
        })?;
        if left.is_empty() {
            return Ok(false);
        }
        let found = self.submission_of(recall)?;
        let (_, visible) = self.visible(&found, recall.reach, now)?;
        let targets = self.targets_of(recall)?;
        let is_free = |subject| match subject {
            Subject::Copy(account, _) => !visible.contains(account.0),
            Subject::Target(n) => match targets.get(n as usize).map(|one| &one.destination) {
                Some(Destination::Account(account)) => !visible.contains(account.0),
                _ => false,
            },
            // A hold keeps copies that are here, none that are on their way to others.
            Subject::Onward(..) => false,
        };
        Ok(left.into_iter().any(is_free))
    }

    /// Puts a recall on the list of its submission's; those that were undone go.
    pub(crate) fn list_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
    ) -> Result<(), NotSealed> {
        let Some(submission) = recall.submission else {
            return Ok(());
        };
        let mut listed = self.of_submission_in(txn, Some(submission))?;
        listed.retain(|one| !is_undone(one) && one.id != recall.id);
        if listed.len() >= limits::MAX_RECALLS_OF_ONE {
            return Err(NotSealed::Refused(Refusal::RateLimited));
        }
        let ids = listed.iter().map(|one| one.id).chain([recall.id]);
        let row: Vec<u8> = ids.flat_map(|id| id.0).collect();
        txn.put(tables::of_submission(submission), row);
        Ok(())
    }

    fn of_submission_in(
        &self,
        txn: &mut Transaction<'_>,
        submission: Option<OriginId>,
    ) -> Result<Vec<Recall>, RecallError> {
        let Some(submission) = submission else {
            return Ok(Vec::new());
        };
        let row = txn.get(&tables::of_submission(submission))?;
        let recall = |id| self.recall_in(txn, id);
        ids(row.as_deref())?.into_iter().map(recall).collect()
    }
}

const fn is_undone(recall: &Recall) -> bool {
    matches!(recall.state, State::Restoring | State::Restored)
}

fn takes(recall: &Recall, asked: &Recall) -> bool {
    !is_undone(recall) && recall.takes_all_of(asked)
}

fn ids(row: Option<&[u8]>) -> Result<Vec<RecallId>, Damaged> {
    let row = row.unwrap_or_default();
    let ids = row.chunks(ID).map(|id| id.try_into().map(RecallId));
    ids.collect::<Result<_, _>>().map_err(|_| Damaged)
}
