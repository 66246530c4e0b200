//! The recalls of one retract, joined by its batch; and which messages were put back before.
//!
//! There is no index by batch: an operator asks seldom, and each recall is looked at as for a list of all.

use std::collections::BTreeMap;

use tern_base::OriginId;

use crate::{BatchId, Recall, RecallError, RecallId, Recalls, State};

impl Recalls {
    /// The recalls that one retract has asked for, the first one first.
    pub fn of_batch(&self, batch: BatchId) -> Result<Vec<Recall>, RecallError> {
        let mut recalls = Vec::new();
        self.each_recall(|recall| {
            if recall.batch == Some(batch) {
                recalls.push(recall);
            }
        })?;
        recalls.sort_by_key(|recall| (recall.requested, recall.submission, recall.id));
        Ok(recalls)
    }

    /// Which of some messages were taken back and put back again, by which recall last.
    pub fn put_back(
        &self,
        messages: &[OriginId],
    ) -> Result<BTreeMap<OriginId, RecallId>, RecallError> {
        let mut last = BTreeMap::new();
        self.each_recall(|recall| {
            let undone = recall.restored.filter(|_| recall.state == State::Restored);
            if let (Some(at), Some(message)) = (undone, recall.submission)
                && messages.contains(&message)
            {
                let known = last.entry(message).or_insert((at, recall.id));
                *known = (at, recall.id).max(*known);
            }
        })?;
        Ok(last
            .into_iter()
            .map(|(message, (_, id))| (message, id))
            .collect())
    }
}
