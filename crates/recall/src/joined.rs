//! Which recall a request joins: one of what the same account sent of the letter that takes all that is
//! asked for, whichever sending it names. A request that names more, or others, gets a recall of its own;
//! a copy that another recall has taken already keeps its outcome there.
//!
//! A recall takes what its seal covers, for as long as that holds. One whose time is over takes nothing any
//! more, nor does one that was undone, or is being undone. A recall that left a copy for a hold, which is over
//! by now, does not take that one either.
//!
//! One row for each letter and account lists its recalls, so two requests at once know of each other. Those
//! that were undone stay on it for as long as there is room: what they had kept may be purged.

use tern_base::Timestamp;
use tern_base::codec::Damaged;
use tern_store::Transaction;

use crate::grant::NotSealed;
use crate::left::{Left, names_all_of};
use crate::{
    Destination, Outcome, Recall, RecallError, RecallId, Recalls, Refusal, State, Subject,
    Submission, limits, tables,
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
        let Some(key) = list_of(asked) else {
            return Ok(None);
        };
        for id in ids(self.engine.get(&key)?.as_deref())? {
            if self.takes(&self.recall(id)?, asked, now)? {
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
        for recall in self.listed_in(txn, asked)? {
            if self.takes(&recall, asked, now)? {
                return Ok(Some(recall.id));
            }
        }
        Ok(None)
    }

    /// The recalls that were granted of what the account of a submission sent of its letter.
    pub(crate) fn recalls_of(&self, found: &Submission) -> Result<Vec<RecallId>, RecallError> {
        let key = tables::of_letter(found.digest, found.account);
        Ok(ids(self.engine.get(&key)?.as_deref())?)
    }

    /// Whether a recall takes, and keeps away, all that is asked for.
    fn takes(&self, recall: &Recall, asked: &Recall, now: Timestamp) -> Result<bool, RecallError> {
        if is_undone(recall) || !recall.takes_all_of(asked) {
            return Ok(false);
        }
        let seal = self.sealing.seal_of(recall.digest, recall.id.tag())?;
        let Some(seal) = seal.filter(|seal| seal.holds_at(now)) else {
            return Ok(false);
        };
        // What came in may have been forgotten by now.
        let Some(found) = self.submission_found(asked)? else {
            return Ok(false);
        };
        let origins = self.origins(&found, asked.is_set_when_sent(&found))?;
        if !seal.origins.covers_all_of(&origins) {
            return Ok(false);
        }
        let named = Left::read(&*self.engine, recall.id)?.named(&seal.cover);
        let wanted = self.named(&found, &origins, &asked.chosen)?;
        Ok(names_all_of(&named, &wanted) && !self.has_left_any(recall, now)?)
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
        let origins = self.origins(&found, recall.is_set_when_sent(&found))?;
        let (_, visible) = self.visible((&found, &origins), recall.reach, now)?;
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

    /// Puts a recall on the list of its letter's; where that is full, those that were undone go.
    pub(crate) fn list_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
    ) -> Result<(), NotSealed> {
        let Some(key) = list_of(recall) else {
            return Ok(());
        };
        let mut listed = self.listed_in(txn, recall)?;
        listed.retain(|one| one.id != recall.id);
        while listed.len() >= limits::MAX_RECALLS_OF_ONE {
            match listed.iter().position(is_undone) {
                Some(undone) => drop(listed.remove(undone)),
                None => return Err(NotSealed::Refused(Refusal::RateLimited)),
            }
        }
        let ids = listed.iter().map(|one| one.id).chain([recall.id]);
        let row: Vec<u8> = ids.flat_map(|id| id.0).collect();
        txn.put(key, row);
        Ok(())
    }

    fn listed_in(
        &self,
        txn: &mut Transaction<'_>,
        of: &Recall,
    ) -> Result<Vec<Recall>, RecallError> {
        let Some(key) = list_of(of) else {
            return Ok(Vec::new());
        };
        let row = txn.get(&key)?;
        let recall = |id| self.recall_in(txn, id);
        ids(row.as_deref())?.into_iter().map(recall).collect()
    }
}

/// The list that a recall is on, where a message was found.
fn list_of(recall: &Recall) -> Option<Vec<u8>> {
    recall.submission?;
    let account = recall.owner.unwrap_or(Submission::OUTSIDE);
    Some(tables::of_letter(recall.digest, account))
}

const fn is_undone(recall: &Recall) -> bool {
    matches!(recall.state, State::Restoring | State::Restored)
}

fn ids(row: Option<&[u8]>) -> Result<Vec<RecallId>, Damaged> {
    let row = row.unwrap_or_default();
    let ids = row.chunks(ID).map(|id| id.try_into().map(RecallId));
    ids.collect::<Result<_, _>>().map_err(|_| Damaged)
}
