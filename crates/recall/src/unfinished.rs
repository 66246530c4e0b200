//! Since when something of a recall is left to do: what was put on record from then on is still
//! needed.

use tern_base::Timestamp;

use crate::{RecallError, Recalls, State};

impl Recalls {
    /// When the oldest recall was asked for that is not over.
    pub fn oldest_unfinished(&self) -> Result<Option<Timestamp>, RecallError> {
        let mut oldest = None;
        self.each_recall(|recall| {
            let ended = recall.state.is_over() || matches!(recall.state, State::Refused(_));
            if recall.is_open() || !ended {
                let asked = recall.requested;
                oldest = Some(oldest.map_or(asked, |oldest: Timestamp| oldest.min(asked)));
            }
        })?;
        Ok(oldest)
    }
}
