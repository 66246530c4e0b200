//! Since when something of a recall is left to do: what was put on record from then on is still
//! needed.

use tern_base::Timestamp;
use tern_store::StoreError;

use crate::status::each_row;
use crate::{Recall, RecallError, RecallId, Recalls, State, tables};

impl Recalls {
    /// When the oldest recall was asked for that is not over.
    pub fn oldest_unfinished(&self) -> Result<Option<Timestamp>, RecallError> {
        let mut oldest = None;
        each_row(
            &*self.engine,
            tables::whole(tables::RECALL),
            |key, value| {
                let id = key.get(1..).and_then(|id| id.try_into().ok()).map(RecallId);
                let recall = Recall::decode(id.ok_or(StoreError::Damaged)?, value)?;
                let ended = recall.state.is_over() || matches!(recall.state, State::Refused(_));
                if recall.is_open() || !ended {
                    let asked = recall.requested;
                    oldest = Some(oldest.map_or(asked, |oldest: Timestamp| oldest.min(asked)));
                }
                Ok(())
            },
        )?;
        Ok(oldest)
    }
}
