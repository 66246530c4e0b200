//! Gathering what a plan rests on: a handful of key scans, whatever the size of the store.

use roaring::RoaringBitmap;
use tern_store::StoreError;

use crate::{Facts, RecallError, Recalls, Submission, rivals, submission};

impl Recalls {
    /// The facts about a submission as they are now.
    pub(crate) fn facts(&self, submission: Submission) -> Result<Facts, RecallError> {
        let (engine, id, digest) = (&*self.engine, submission.id, submission.digest);
        // Looked at before the copies: whoever counts as reached has got theirs by then.
        let under_way = submission::under_way(engine, id)?;
        let targets = submission::targets(engine, id)?;
        let origins = rivals::origins(engine, &submission)?;
        let copies = self.mailboxes.copies(digest)?;
        let mut exposures = self.mailboxes.exposures(digest)?;
        exposures.retain(|(_, _, exposure)| origins.covers(exposure.origin));
        let items = tern_queue::by_origin(engine, id)?;
        Ok(Facts {
            submission,
            reached: under_way.map_or(targets.len(), |way| way.reached as usize),
            targets,
            copies,
            origins,
            spared: RoaringBitmap::new(),
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
