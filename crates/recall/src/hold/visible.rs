//! What holds mean for a recall: whether its message is held, and whose copies may not be hidden.
//!
//! Invariant: a hold is asked of everything that a seal would cover: the submission, what was sent
//! of the same letter before or after it, and what carries the letter.

use roaring::RoaringBitmap;
use tern_base::Timestamp;
use tern_mailbox::{CopyRow, MailboxError, Origins};
use tern_store::Transaction;

use super::Hold;
use super::book::Head;
use crate::{Destination, Reach, RecallError, Recalls, Submission, submission};

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
                    account == found.account || self.sealing.has_copies(found.digest, account)?
                }
            };
            if held {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a hold in force is about a message, whoever has it, in a transaction that then depends on
    /// every hold.
    pub(crate) fn is_held_in(
        &self,
        txn: &mut Transaction<'_>,
        found: Option<&Submission>,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        let all = self.holds.all_in(txn)?;
        let mut in_force = all.iter().filter(|hold| hold.is_in_force(now));
        Ok(found.is_some_and(|found| in_force.any(|hold| hold.is_about(found))))
    }

    /// The accounts whose copies a recall of a submission may not hide now, and the holds by which
    /// that is so: a seal rests on them.
    pub(crate) fn visible(
        &self,
        (found, origins): (&Submission, &Origins),
        reach: Reach,
        now: Timestamp,
    ) -> Result<(Head, RoaringBitmap), RecallError> {
        let snapshot = self.engine.snapshot()?;
        let (head, all) = self.holds.all_of(&*snapshot)?;
        drop(snapshot);
        let mut accounts = RoaringBitmap::new();
        let forbids = |hold: &&Hold| hold.visible && hold.is_in_force(now);
        // What may fit single copies, though it does not fit the submission.
        let mut others = Vec::new();
        for hold in all.iter().filter(forbids) {
            match (hold.fits_submission(found), hold.scope.account) {
                (true, Some(account)) => drop(accounts.insert(account.0)),
                // What carries the letter may be held by another one.
                (true, None) => accounts |= self.everybody(found)?,
                (false, _) => others.push(hold),
            }
        }
        // Copies are looked at one by one only where such a hold asks for it.
        if !others.is_empty() {
            self.add_holders(&others, (found, origins), reach, &mut accounts)?;
        }
        Ok((head, accounts))
    }

    /// Adds the accounts with a copy, or with a message that carries one, that fits a hold.
    fn add_holders(
        &self,
        holds: &[&Hold],
        (found, origins): (&Submission, &Origins),
        reach: Reach,
        accounts: &mut RoaringBitmap,
    ) -> Result<(), RecallError> {
        let mut copies = self.copies_and_carriers(found.digest, origins)?;
        copies.retain(|copy| reach.reaches(copy.carriage()));
        for copy in copies {
            if !accounts.contains(copy.account.0) && self.fits_any(holds, &copy)? {
                accounts.insert(copy.account.0);
            }
        }
        Ok(())
    }

    fn fits_any(&self, holds: &[&Hold], copy: &CopyRow) -> Result<bool, RecallError> {
        let row = match self.mailboxes.message(copy.account, copy.message) {
            Ok(row) => row,
            // Gone since it was listed, or hidden by another recall already.
            Err(MailboxError::NoMessage | MailboxError::NoAccount | MailboxError::Sealed) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let sent = submission::submission(&*self.engine, row.origin)?;
        self.sealing
            .as_leaving(copy.account, &row, |leaving| {
                for hold in holds {
                    if hold.fits(leaving, sent.as_ref())? {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .map_err(|error: MailboxError| error.into())
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
