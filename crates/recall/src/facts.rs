//! Gathering what a plan rests on: a handful of key scans, whatever the size of the store.

use roaring::RoaringBitmap;
use tern_base::{AccountId, ContentDigest, MessageId};
use tern_mailbox::{Exposure, Origins};
use tern_store::StoreError;

use crate::{Facts, Reach, RecallError, Recalls, Submission, rivals, submission};

impl Recalls {
    /// The facts about a submission as they are now.
    pub(crate) fn facts(&self, submission: Submission) -> Result<Facts, RecallError> {
        let (engine, id, digest) = (&*self.engine, submission.id, submission.digest);
        // Looked at before the copies: whoever counts as reached has got theirs by then.
        let under_way = submission::under_way(engine, id)?;
        let targets = submission::targets(engine, id)?;
        let origins = rivals::origins(engine, &submission)?;
        let mut copies = self.mailboxes.copies(digest)?;
        copies.extend(self.mailboxes.carriers(digest)?);
        let exposures = self.served(digest, &origins, Reach::Attached)?;
        let items = tern_queue::by_origin(engine, id)?;
        Ok(Facts {
            submission,
            reached: under_way.map_or(targets.len(), |way| way.reached as usize),
            targets,
            copies,
            origins,
            spared: RoaringBitmap::new(),
            reach: Reach::Attached,
            visible: RoaringBitmap::new(),
            exposures: exposures
                .into_iter()
                .map(|(a, m, exposure)| ((a, m), exposure))
                .collect(),
            items: items
                .into_iter()
                .map(|status| (status.id(), status))
                .collect(),
        })
    }

    /// What was served of the copies of a letter that are a sender's to take back, also of those
    /// that are gone, and of the messages within reach that carry it.
    pub(crate) fn served(
        &self,
        digest: ContentDigest,
        origins: &Origins,
        reach: Reach,
    ) -> Result<Vec<(AccountId, MessageId, Exposure)>, RecallError> {
        let mut served = self.mailboxes.exposures(digest)?;
        served.retain(|(_, _, exposure)| origins.covers(exposure.origin));
        let mut carriers = self.mailboxes.carriers(digest)?;
        carriers.retain(|copy| origins.covers(copy.origin) && reach.reaches(copy.carriage()));
        let exposures = self.mailboxes.exposures_of(digest, &carriers)?;
        let carriers = carriers.into_iter().zip(exposures);
        served.extend(carriers.filter_map(|(copy, exposure)| {
            exposure.map(|exposure| (copy.account, copy.message, exposure))
        }));
        Ok(served)
    }

    /// The submission that a recall is about.
    pub(crate) fn submission_of(&self, recall: &crate::Recall) -> Result<Submission, RecallError> {
        let id = recall
            .submission
            .ok_or(RecallError::WrongState("about no submission"))?;
        Ok(submission::submission(&*self.engine, id)?.ok_or(StoreError::Damaged)?)
    }
}
