//! Whose copies stay: those that a hold forbids to hide, and, where only some were asked for by their
//! state (unexposed, or unread), the others.
//!
//! Invariant: an account is spared whole, or not at all; a seal covers accounts. What is looked at
//! is how things stand when the request is decided: a copy that is first opened in the moment
//! between that and the seal is taken, and its outcome says that it was exposed.

use roaring::RoaringBitmap;
use tern_mailbox::{ExposureLevel, Origins, SystemFlag};
use tern_policy::Selection;

use crate::{Reach, RecallError, Recalls, Submission};

impl Recalls {
    /// The accounts with a copy that is not in the state that was asked for.
    pub(crate) fn spared(
        &self,
        selection: Selection,
        reach: Reach,
        of: (&Submission, &Origins),
    ) -> Result<RoaringBitmap, RecallError> {
        match selection {
            Selection::Any => Ok(RoaringBitmap::new()),
            Selection::OnlyUnexposed => self.exposed_accounts(reach, of),
            Selection::OnlyUnread => self.accounts_that_read(reach, of),
        }
    }

    /// Those that had the content of a copy. Header fields alone expose nothing.
    fn exposed_accounts(
        &self,
        reach: Reach,
        (found, origins): (&Submission, &Origins),
    ) -> Result<RoaringBitmap, RecallError> {
        let served = self.served(found.digest, origins, reach)?;
        let exposed = served
            .iter()
            .filter(|(_, _, exposure)| exposure.level > ExposureLevel::Headers);
        Ok(exposed.map(|(account, ..)| account.0).collect())
    }

    /// Those with a copy that bears `\Seen` in any mailbox.
    fn accounts_that_read(
        &self,
        reach: Reach,
        (found, origins): (&Submission, &Origins),
    ) -> Result<RoaringBitmap, RecallError> {
        let mut copies = self.copies_and_carriers(found.digest, origins)?;
        copies.retain(|copy| reach.reaches(copy.carriage()));
        let read = self.sealing.bear_flag(&copies, SystemFlag::Seen)?;
        let copies = copies.iter().zip(read);
        let read = copies.filter(|(_, read)| *read == Some(true));
        Ok(read.map(|(copy, _)| copy.account.0).collect())
    }

    /// How many copies of others bear `\Seen` in no mailbox.
    pub(crate) fn unread(
        &self,
        reach: Reach,
        (found, origins): (&Submission, &Origins),
    ) -> Result<u64, RecallError> {
        let mut copies = self.copies_and_carriers(found.digest, origins)?;
        copies.retain(|copy| copy.account != found.account && reach.reaches(copy.carriage()));
        let read = self.sealing.bear_flag(&copies, SystemFlag::Seen)?;
        let unread = read.iter().filter(|read| **read == Some(false));
        Ok(unread.count() as u64)
    }
}
