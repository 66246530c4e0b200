//! What other recalls hold, or held until it was purged, of a recipient who has no copy: they did not
//! delete it.
//!
//! Invariant: what is in the vault is found whichever recall holds it, and while that one is undone,
//! since all is read as one transaction sees it: a copy that one recall hands over to another
//! meanwhile is found with either. A plan and a recall find the same.
//!
//! Refuses to count what a client put back: its owner may have deleted the first one all the same.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{AccountId, Timestamp};
use tern_mailbox::{Carriage, ExposureLevel, SealTag};
use tern_store::{Transaction, Verdict};

use crate::restore::is_put_back;
use crate::{
    CopyOutcome, Destination, Facts, Reason, Recall, RecallError, RecallId, Recalls, tables,
};

/// Outcomes that are read at once.
const PAGE: usize = 1_000;

/// Where to look for what other recalls hold of a letter.
pub(crate) struct Elsewhere {
    /// The recalls of the same letter, or of one that it carries: that may have been taken back, and
    /// it with that.
    tags: Vec<SealTag>,
    /// The recalls of what the same account sent of it, whose outcomes stay when what they held is purged.
    recalls: BTreeSet<RecallId>,
}

impl Elsewhere {
    fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.recalls.is_empty()
    }
}

impl Recalls {
    /// Where to look, as a transaction sees it.
    pub(crate) fn elsewhere_in(
        &self,
        txn: &Transaction<'_>,
        recall: &Recall,
        facts: &Facts,
    ) -> Result<Elsewhere, RecallError> {
        let mut tags = Vec::new();
        let carried = facts.submission.carried.iter().map(|letter| letter.digest);
        for digest in std::iter::once(recall.digest).chain(carried) {
            tags.extend(self.sealing.seal_tags_in(txn, digest)?);
        }
        tags.retain(|tag| *tag != recall.id.tag());
        let mut recalls = BTreeSet::from_iter(self.recalls_of(&facts.submission)?);
        recalls.remove(&recall.id);
        Ok(Elsewhere { tags, recalls })
    }

    /// The outcomes of all recipients without a copy of whom other recalls hold one: for plans, which are
    /// shown. A recall looks when it settles each.
    pub(crate) fn taken_elsewhere(
        &self,
        recall: &Recall,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<BTreeMap<AccountId, CopyOutcome>, RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            let mut taken = BTreeMap::new();
            let elsewhere = self.elsewhere_in(txn, recall, facts)?;
            let whole = facts.copies.iter().filter(|copy| copy.carrier.is_none());
            let holders: BTreeSet<AccountId> = whole.map(|copy| copy.account).collect();
            let accounts = facts
                .targets
                .iter()
                .filter_map(|target| match target.destination {
                    Destination::Account(account) => Some(account),
                    Destination::Outside { .. } | Destination::Nowhere => None,
                });
            let without = |account: &AccountId| !elsewhere.is_empty() && !holders.contains(account);
            for account in accounts.filter(without) {
                let one = self.taken_elsewhere_in(txn, recall, facts, &elsewhere, account, now)?;
                taken.extend(one.map(|outcome| (account, outcome)));
            }
            Ok::<_, RecallError>(Verdict::Abandon(taken))
        })
    }

    /// The outcome of the copy of an account that other recalls hold, or held; of several the one that most
    /// was served of.
    pub(crate) fn taken_elsewhere_in(
        &self,
        txn: &Transaction<'_>,
        recall: &Recall,
        facts: &Facts,
        elsewhere: &Elsewhere,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<CopyOutcome>, RecallError> {
        let mut found = Vec::new();
        for tag in &elsewhere.tags {
            for copy in self.sealing.vaulted_of_in(txn, *tag, account)? {
                let row = &copy.row.message;
                // One that somebody else sent is another one.
                let covered = row.digest == recall.digest
                    && row.letters().any(|letter| {
                        let brought_by = Carriage::brought_by(letter.carriage, row.origin);
                        letter.digest == recall.digest && facts.origins.covers(brought_by)
                    });
                if covered && !is_put_back(recall, &copy) {
                    let exposure = facts.exposures.get(&(account, copy.message));
                    found.push(CopyOutcome::withdrawn(exposure.cloned(), now));
                }
            }
        }
        for id in &elsewhere.recalls {
            found.extend(purged_in(txn, *id, account, now)?);
        }
        let served = |outcome: &CopyOutcome| -> Option<ExposureLevel> {
            outcome.exposure.as_ref().map(|exposure| exposure.level)
        };
        Ok(found.into_iter().max_by_key(served))
    }
}

/// What a recall had taken of an account and does not hold any more, since it was kept long enough.
fn purged_in(
    txn: &Transaction<'_>,
    id: RecallId,
    account: AccountId,
    now: Timestamp,
) -> Result<Vec<CopyOutcome>, RecallError> {
    let mut found = Vec::new();
    let mut next = Some(tables::copy_outcomes_of(id, account));
    while let Some(range) = next {
        let page = txn.scan(&range, PAGE)?;
        for (_, row) in &page.rows {
            let outcome = CopyOutcome::decode(row)?;
            let whole = outcome.carriage.is_none() && outcome.reason != Reason::PutBack;
            if whole && outcome.outcome.is_withdrawn() && outcome.purged.is_some() {
                found.push(CopyOutcome::withdrawn(outcome.exposure, now));
            }
        }
        next = page.next;
    }
    Ok(found)
}
