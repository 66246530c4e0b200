//! What somebody was not allowed to do to a recall is on record as what they did would be.

use tern_base::Timestamp;

use crate::audit::audit_entry;
use crate::request::by_requester;
use crate::wait::Held;
use crate::{Recall, RecallError, Recalls, Requester};

impl Recalls {
    /// Whether somebody may approve or decline a waiting recall; a no is on record.
    pub(crate) fn approver(
        &self,
        held: &Held,
        by: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        match self.may_approve(held, by, now) {
            Err(RecallError::NotAllowed(why)) => {
                self.record_refused(&held.recall, by, ("recall.approve-refused", why), "", now)?;
                Err(RecallError::NotAllowed(why))
            }
            answer => answer,
        }
    }

    /// Puts on record what was not done, why, and by which policies.
    pub(crate) fn record_refused(
        &self,
        recall: &Recall,
        by: &Requester,
        (action, why): (&str, &str),
        policies: &str,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        // Each attempt is one of its own, whatever was asked before.
        let step = format!("{action} {} {}", by.name, now.0);
        let mut entry = audit_entry(recall, &step, action, now).detail("verdict", why);
        if !policies.is_empty() {
            entry = entry.detail("policies", policies);
        }
        by_requester(&mut entry, by);
        tern_audit::append(&*self.engine, &entry)?;
        Ok(())
    }
}
