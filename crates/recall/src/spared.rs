//! Whose copies stay: those that a hold forbids to hide, and, where only some were asked for by their
//! state (unexposed, or unread), the others.
//!
//! Invariant: an account is spared whole, or not at all; a seal covers accounts. What is looked at
//! is how things stand when the request is decided: a copy that is first opened in the moment
//! between that and the seal is taken, and its outcome says that it was exposed.

use roaring::RoaringBitmap;
use tern_mailbox::{CopyRow, ExposureLevel, MailboxError, SystemFlag};
use tern_policy::Selection;

use crate::{Reach, RecallError, Recalls, Submission, rivals};

impl Recalls {
    /// The accounts with a copy that is not in the state that was asked for.
    pub(crate) fn spared(
        &self,
        selection: Selection,
        reach: Reach,
        found: &Submission,
    ) -> Result<RoaringBitmap, RecallError> {
        match selection {
            Selection::Any => Ok(RoaringBitmap::new()),
            Selection::OnlyUnexposed => self.exposed_accounts(reach, found),
            Selection::OnlyUnread => self.accounts_that_read(reach, found),
        }
    }

    /// Those that had the content of a copy. Header fields alone expose nothing.
    fn exposed_accounts(
        &self,
        reach: Reach,
        found: &Submission,
    ) -> Result<RoaringBitmap, RecallError> {
        let origins = rivals::origins(&*self.engine, found)?;
        let served = self.served(found.digest, &origins, reach)?;
        let exposed = served
            .iter()
            .filter(|(_, _, exposure)| exposure.level > ExposureLevel::Headers);
        Ok(exposed.map(|(account, ..)| account.0).collect())
    }

    /// Those with a copy that bears `\Seen` in any mailbox.
    fn accounts_that_read(
        &self,
        reach: Reach,
        found: &Submission,
    ) -> Result<RoaringBitmap, RecallError> {
        let origins = rivals::origins(&*self.engine, found)?;
        let mut read = RoaringBitmap::new();
        let mut copies = self.copies_and_carriers(found.digest)?;
        copies.retain(|copy| reach.reaches(copy.carriage()));
        for copy in copies {
            let theirs = origins.covers(copy.origin) && !read.contains(copy.account.0);
            if theirs && self.is_read(&copy)? == Some(true) {
                read.insert(copy.account.0);
            }
        }
        Ok(read)
    }

    /// How many copies of others bear `\Seen` in no mailbox.
    pub(crate) fn unread(&self, reach: Reach, found: &Submission) -> Result<u64, RecallError> {
        let origins = rivals::origins(&*self.engine, found)?;
        let mut copies = self.copies_and_carriers(found.digest)?;
        copies.retain(|copy| {
            let theirs = copy.account != found.account && origins.covers(copy.origin);
            theirs && reach.reaches(copy.carriage())
        });
        let mut unread = 0;
        for copy in copies {
            unread += u64::from(self.is_read(&copy)? == Some(false));
        }
        Ok(unread)
    }

    /// Whether a copy bears `\Seen` in any mailbox; none where there is no copy any more.
    fn is_read(&self, copy: &CopyRow) -> Result<Option<bool>, RecallError> {
        let row = match self.mailboxes.message(copy.account, copy.message) {
            Ok(row) => row,
            // Gone since it was listed, or taken by another recall.
            Err(MailboxError::NoMessage | MailboxError::NoAccount | MailboxError::Sealed) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        for (mailbox, uid) in &row.placements {
            let view = match self.mailboxes.view(copy.account, *mailbox) {
                Ok(view) => view,
                Err(MailboxError::NoMailbox | MailboxError::NoAccount) => continue,
                Err(error) => return Err(error.into()),
            };
            if view
                .get(*uid)
                .is_some_and(|entry| entry.flags.has(SystemFlag::Seen))
            {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }
}
