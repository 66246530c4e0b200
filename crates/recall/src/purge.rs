//! Withdrawn copies that have been kept long enough are removed for good.
//!
//! What stays is the evidence: outcome rows say how each copy ended and when it was removed, and
//! the audit log has the removal. A sweep is driven by one row for each recall, which says since
//! when its oldest copy has been kept; cut off, the next sweep goes on.
//!
//! Refuses to remove what a frozen account took back: it may have been wiping its tracks, and nobody has
//! looked yet.

use tern_base::Timestamp;
use tern_mailbox::{Purged, Vaulted};
use tern_store::Verdict;

use crate::audit::{Act, copies_alone};
use crate::retention::Retention;
use crate::status::each_row;
use crate::{CopyOutcome, Recall, RecallError, RecallId, Recalls, Subject, tables};

/// Copies that one transaction removes.
const CHUNK: usize = 128;
/// How long after a sweep what it had to leave is looked at again at the earliest, in milliseconds.
const AGAIN_MS: u64 = 60 * 60 * 1000;
/// At the latest, whatever counts now: groups, domains and settings may be others by then.
const AGAIN_AT_LAST_MS: u64 = 24 * AGAIN_MS;

impl Recalls {
    /// Removes the withdrawn copies that have been kept long enough and that no hold keeps. To be called now and then;
    /// answers how many there were. A recall that fails does not keep back the others.
    pub fn purge(&self, now: Timestamp) -> Result<u64, RecallError> {
        self.sealing.forget_over(now)?;
        let swept = self.sweep_holds(now)?;
        let mut retention = Retention::of(self, now)?;
        let kept_since = retention.kept_since(now);
        let mut due = Vec::new();
        each_row(&*self.engine, tables::kept_since(kept_since), |key, _| {
            due.push(tables::read_kept(key)?);
            Ok(())
        })?;
        let (mut purged, mut failure) = (swept, None);
        for (since, id) in due {
            match self.purge_one(id, since, &mut retention, now) {
                Ok(count) => purged += count,
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        failure.map_or(Ok(purged), Err)
    }

    fn purge_one(
        &self,
        id: RecallId,
        since: Timestamp,
        retention: &mut Retention<'_>,
        now: Timestamp,
    ) -> Result<u64, RecallError> {
        let kept_since = retention.kept_since(now);
        let recall = self.recall(id)?;
        if !recall.state.is_over() || self.is_of_a_frozen_account(&recall)? {
            return Ok(0);
        }
        let (mut purged, mut left) = (0, None::<Timestamp>);
        let mut after = None;
        loop {
            let page = self.sealing.vaulted(id.tag(), after, CHUNK)?;
            let Some(last) = page.last() else { break };
            after = Some((last.account, last.message));
            let mut due = Vec::with_capacity(page.len());
            for copy in &page {
                let counts_from = retention.counts_from(copy)?;
                match counts_from <= kept_since {
                    true => due.push(copy),
                    false => left = left.into_iter().chain([counts_from]).min(),
                }
            }
            let Some(count) = self.purge_chunk(&recall, &due, now)? else {
                return Ok(purged);
            };
            // What a hold keeps is looked at again.
            if count < due.len() as u64 {
                left = left.into_iter().chain([kept_since]).min();
            }
            purged += count;
        }
        let left = left.map(|left| left.min(kept_since.plus_millis(AGAIN_AT_LAST_MS)));
        // While the seal stands, more can arrive: later than now.
        let seal = self.sealing.seal_of(recall.digest, id.tag())?;
        let next = left.or(seal.filter(|seal| seal.until > now).map(|_| now));
        let next = next.map(|next| next.max(kept_since.plus_millis(AGAIN_MS)));
        tern_store::transact(&*self.engine, |txn| {
            if self.recall_in(txn, id)?.generation != recall.generation {
                return Ok(Verdict::Abandon(()));
            }
            txn.delete(tables::kept(since, id));
            if let Some(next) = next {
                txn.put(tables::kept(next, id), Vec::new());
            }
            Ok::<_, RecallError>(Verdict::Commit(()))
        })?;
        Ok(purged)
    }

    /// Removes some copies; `None` when something happened to the recall meanwhile.
    fn purge_chunk(
        &self,
        recall: &Recall,
        copies: &[&Vaulted],
        now: Timestamp,
    ) -> Result<Option<u64>, RecallError> {
        if copies.is_empty() {
            return Ok(Some(0));
        }
        tern_store::transact(&*self.engine, |txn| {
            // An undo that began meanwhile has put them back, or is about to.
            if self.recall_in(txn, recall.id)?.generation != recall.generation {
                return Ok(Verdict::Abandon(None));
            }
            let (mut gone, mut purged) = (0, Vec::with_capacity(copies.len()));
            for copy in copies {
                let (account, message) = (copy.account, copy.message);
                if self.sealing.purge_in(txn, account, message, now)? != Purged::Gone {
                    continue;
                }
                gone += 1;
                let subject = Subject::Copy(account, message);
                let key = tables::outcome(recall.id, subject);
                if let Some(row) = txn.get(&key)? {
                    let outcome = CopyOutcome {
                        purged: Some(now),
                        ..CopyOutcome::decode(&row)?
                    };
                    txn.put(key, outcome.encode());
                    purged.push((subject, outcome));
                }
            }
            self.audit_outcomes(txn, recall, Act::Purged, &purged, copies_alone, now)?;
            Ok::<_, RecallError>(Verdict::Commit(Some(gone)))
        })
    }
}
