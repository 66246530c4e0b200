//! Which recall a request joins: one of what the same account sent of the letter that takes all that is
//! asked for, whichever sending it names. A request that names more, or others, gets a recall of its own;
//! a copy that another recall has taken already keeps its outcome there.
//!
//! A recall takes what its seal covers, for as long as that holds. One whose time is over takes nothing any
//! more, nor does one that was undone, or is being undone. Whom a recall left, for a hold that is over by now, or
//! for the state of a copy that is another one by now, is not taken by it either.
//!
//! One row for each letter and account lists its recalls, so two requests at once know of each other. Those
//! that take nothing any more stay on it for as long as there is room: what they had kept may be purged. Each requester
//! has room of their own: nobody uses up what others may ask for.

use tern_base::Timestamp;
use tern_base::codec::Damaged;
use tern_mailbox::{Cover, Origins, Seal};
use tern_store::Transaction;

use crate::grant::NotSealed;
use crate::left::{Left, names_all_of};
use crate::{Recall, RecallError, RecallId, Recalls, Refusal, State, Submission, limits, tables};

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
        // What leaves is stopped by the numbers of its recipients, which say nothing of another sending's.
        let also = self.also(&found, &origins, asked)?;
        let leaving = self.outside(&found, &also, &asked.chosen)?;
        if !seal.outside.covers_all_of(&leaving) {
            return Ok(false);
        }
        let left = Left::read(&*self.engine, recall.id)?;
        let wanted = self.named(&found, &origins, &asked.chosen)?;
        if !names_all_of(&left.named(&seal.cover), &wanted) {
            return Ok(false);
        }
        Ok(!self.may_take_of(&left, &wanted, asked, (&found, &origins), now)?)
    }

    /// Whether a request may take what an earlier one had left, for a hold that does not keep it there any more, or
    /// for its state, which is another one by now.
    fn may_take_of(
        &self,
        left: &Left,
        wanted: &Cover,
        asked: &Recall,
        of: (&Submission, &Origins),
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        let left = Left::of(wanted, left.held.clone(), left.spared.clone()).all();
        if left.is_empty() {
            return Ok(false);
        }
        let (_, held) = self.visible(of, asked.reach, now)?;
        let left = left - held;
        Ok(!left.is_empty() && !left.is_subset(&self.spared(asked.selection, asked.reach, of)?))
    }

    /// Puts a recall on the list of its letter's, whose seal falls now. Where that is full, those go that take nothing
    /// any more, and nothing that this one does not.
    pub(crate) fn list_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        seal: &Seal,
        now: Timestamp,
    ) -> Result<(), NotSealed> {
        let Some(key) = list_of(recall) else {
            return Ok(());
        };
        let mut listed = self.listed_in(txn, recall)?;
        listed.retain(|one| one.id != recall.id);
        let is_full = |listed: &[Recall]| {
            let theirs = listed
                .iter()
                .filter(|one| one.requester == recall.requester);
            theirs.count() >= limits::MAX_RECALLS_OF_ONE
                || listed.len() >= limits::MAX_RECALLS_OF_ALL
        };
        while is_full(&listed) {
            match self.spare(&listed, (recall, seal), now)? {
                Some(spare) => drop(listed.remove(spare)),
                None => return Err(NotSealed::Refused(Refusal::RateLimited)),
            }
        }
        let ids = listed.iter().map(|one| one.id).chain([recall.id]);
        let row: Vec<u8> = ids.flat_map(|id| id.0).collect();
        txn.put(key, row);
        Ok(())
    }

    /// The first that the list can do without: one that was undone, else one whose seal is over, or covers nothing
    /// that the new one does not.
    fn spare(
        &self,
        listed: &[Recall],
        (recall, seal): (&Recall, &Seal),
        now: Timestamp,
    ) -> Result<Option<usize>, RecallError> {
        if let Some(undone) = listed.iter().position(is_undone) {
            return Ok(Some(undone));
        }
        for (n, one) in listed.iter().enumerate() {
            let other = self.sealing.seal_of(one.digest, one.id.tag())?;
            let is_needed = other.is_some_and(|other| {
                let is_taken = recall.takes_all_of(one) && takes_all_of(seal, &other);
                other.holds_at(now) && !is_taken
            });
            if !is_needed {
                return Ok(Some(n));
            }
        }
        Ok(None)
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

/// Whether a seal covers, for as long, all that another one covers.
fn takes_all_of(seal: &Seal, other: &Seal) -> bool {
    seal.until >= other.until
        && names_all_of(&seal.cover, &other.cover)
        && seal.origins.covers_all_of(&other.origins)
        && seal.outside.covers_all_of(&other.outside)
}

const fn is_undone(recall: &Recall) -> bool {
    matches!(recall.state, State::Restoring | State::Restored)
}

fn ids(row: Option<&[u8]>) -> Result<Vec<RecallId>, Damaged> {
    let row = row.unwrap_or_default();
    let ids = row.chunks(ID).map(|id| id.try_into().map(RecallId));
    ids.collect::<Result<_, _>>().map_err(|_| Damaged)
}
