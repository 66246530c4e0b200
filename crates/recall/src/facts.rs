//! Gathering what a plan rests on: a handful of key scans, whatever the size of the store.

use tern_base::{ContentDigest, OriginId};
use tern_store::StoreError;

use crate::{Facts, RecallError, Recalls, Submission, submission};

impl Recalls {
    /// The facts about a submission as they are now.
    pub(crate) fn facts(&self, submission: Submission) -> Result<Facts, RecallError> {
        let id: OriginId = submission.id;
        let digest: ContentDigest = submission.digest;
        let targets = submission::targets(&*self.engine, id)?;
        let rivals = submission::by_others(&*self.engine, submission.account, digest)?;
        let copies = self.mailboxes.copies(digest)?;
        let exposures = self.mailboxes.exposures(digest)?;
        let items = tern_queue::by_origin(&*self.engine, id)?;
        Ok(Facts {
            submission,
            targets,
            copies,
            rivals,
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

    /// The submission that a recall is about.
    pub(crate) fn submission_of(&self, recall: &crate::Recall) -> Result<Submission, RecallError> {
        let id = recall
            .submission
            .ok_or(RecallError::WrongState("about no submission"))?;
        Ok(submission::submission(&*self.engine, id)?.ok_or(StoreError::Damaged)?)
    }
}
