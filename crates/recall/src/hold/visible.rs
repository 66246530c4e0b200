//! What holds mean for a recall: whether its message is held, and whose copies may not be hidden.

use roaring::RoaringBitmap;
use tern_base::Timestamp;

use super::Hold;
use super::book::Head;
use crate::{Destination, RecallError, Recalls, Submission, submission};

impl Recalls {
    /// Whether a copy of a submission is held.
    pub(crate) fn on_hold(&self, found: &Submission, now: Timestamp) -> Result<bool, RecallError> {
        let snapshot = self.engine.snapshot()?;
        let (_, all) = self.holds.all_of(&*snapshot)?;
        for hold in all.iter().filter(|hold| hold.is_in_force(now)) {
            if !hold.fits_submission(found) {
                continue;
            }
            let held = match hold.scope.account {
                None => true,
                Some(account) => {
                    account == found.account || self.mailboxes.has_copies(found.digest, account)?
                }
            };
            if held {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The accounts whose copies of a submission may not be hidden now, and the holds by which
    /// that is so: a seal rests on them.
    pub(crate) fn visible(
        &self,
        found: &Submission,
        now: Timestamp,
    ) -> Result<(Head, RoaringBitmap), RecallError> {
        let snapshot = self.engine.snapshot()?;
        let (head, all) = self.holds.all_of(&*snapshot)?;
        drop(snapshot);
        let mut accounts = RoaringBitmap::new();
        let forbids =
            |hold: &&Hold| hold.visible && hold.is_in_force(now) && hold.fits_submission(found);
        for hold in all.iter().filter(forbids) {
            match hold.scope.account {
                Some(account) => drop(accounts.insert(account.0)),
                None => return Ok((head, self.everybody(found)?)),
            }
        }
        Ok((head, accounts))
    }

    /// Every account that a submission led to, or that has the letter.
    fn everybody(&self, found: &Submission) -> Result<RoaringBitmap, RecallError> {
        let targets = submission::targets(&*self.engine, found.id)?;
        let led_to = targets
            .iter()
            .filter_map(|target| match target.destination {
                Destination::Account(account) => Some(account.0),
                Destination::Outside { .. } | Destination::Nowhere => None,
            });
        let copies = self.mailboxes.copies(found.digest)?;
        Ok(led_to
            .chain(copies.iter().map(|copy| copy.account.0))
            .collect())
    }
}
