//! What other recalls hold of a recipient who has no copy: they did not delete it.
//!
//! Invariant: what is in the vault is found whichever recall holds it, and while that one is undone,
//! since all is read as one transaction sees it: a copy that one recall hands over to another
//! meanwhile is found with either.
//!
//! Refuses to count what a client put back: its owner may have deleted the first one all the same.

use tern_base::{AccountId, Timestamp};
use tern_mailbox::{ExposureLevel, Origins, SealTag};
use tern_store::Transaction;

use crate::restore::is_put_back;
use crate::{CopyOutcome, Facts, Recall, RecallError, Recalls};

/// Where to look for what other recalls hold of a letter.
pub(crate) struct Elsewhere {
    /// The recalls of the same letter, or of one that it carries: that may have been taken back, and
    /// it with that.
    tags: Vec<SealTag>,
    /// Brought by which transactions the copies are that this recall covers: one that somebody else
    /// sent is another one.
    origins: Origins,
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
            tags.extend(self.mailboxes.seal_tags_in(txn, digest)?);
        }
        tags.retain(|tag| *tag != recall.id.tag());
        let (_, origins) = self.covered(recall, facts)?;
        Ok(Elsewhere { tags, origins })
    }

    /// The outcome of the copy of an account that other recalls hold; of several the one that most
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
            for copy in self.mailboxes.vaulted_of_in(txn, *tag, account)? {
                let row = &copy.row.message;
                let covered = row.digest == recall.digest && elsewhere.origins.covers(row.origin);
                if covered && !is_put_back(recall, &copy) {
                    let exposure = facts.exposures.get(&(account, copy.message));
                    found.push(CopyOutcome::withdrawn(exposure.cloned(), now));
                }
            }
        }
        let served = |outcome: &CopyOutcome| -> Option<ExposureLevel> {
            outcome.exposure.as_ref().map(|exposure| exposure.level)
        };
        Ok(found.into_iter().max_by_key(served))
    }
}
