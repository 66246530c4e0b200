//! What somebody is shown who is asked to free a recall: the requester before they show a second
//! factor, and whoever may approve it.
//!
//! Refuses to tell the content of the message, or who its recipients are.

use tern_base::Timestamp;

use crate::status::each_row;
use crate::wait::is_planned;
use crate::{Plan, Recall, RecallError, RecallId, Recalls, Tally, Wait, limits, plan, tables};

/// A recall that waits, as whoever is to free it sees it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The recall.
    pub recall: Recall,
    /// What it waits for, who asked, and who has approved it until now.
    pub wait: Wait,
    /// The address of the account that sent the message.
    pub sender: String,
    /// When the message was sent.
    pub submitted: Timestamp,
    /// How many recipients it went to, after expansion.
    pub recipients: u64,
    /// How many copies would end how if it were granted now: for [`Recalls::told`], since not
    /// everybody who may free it may see who has read it.
    pub would_be: Tally,
}

impl Recalls {
    /// A recall that waits; none where it does not, or not any more.
    pub fn waiting(&self, id: RecallId, now: Timestamp) -> Result<Option<Waiting>, RecallError> {
        let recall = match self.recall(id) {
            Err(RecallError::NoRecall) => return Ok(None),
            recall => recall?,
        };
        let Some(wait) = self.wait_of(id)?.filter(|wait| {
            let expired = wait.awaited.until() <= now;
            recall.state.is_waiting() && !expired
        }) else {
            return Ok(None);
        };
        let found = self.submission_of(&recall)?;
        let facts = self.facts_now(found, &recall, now)?;
        let plan: Plan = plan(&facts, &recall.chosen, now);
        let found = &facts.submission;
        Ok(Some(Waiting {
            sender: self.address(found.account)?,
            submitted: found.submitted,
            recipients: u64::from(found.accounts) + u64::from(found.outside),
            would_be: plan.tally(),
            recall,
            wait,
        }))
    }

    /// The recalls that wait for somebody, those that expire first, first, then those that wait for their time; at
    /// most so many of each.
    pub fn all_waiting(&self, now: Timestamp) -> Result<Vec<Waiting>, RecallError> {
        let (mut asking, mut planned) = (Vec::new(), Vec::new());
        each_row(
            &*self.engine,
            tables::whole(tables::WAITS_UNTIL),
            |key, row| {
                let (list, most) = match is_planned(row)? {
                    true => (&mut planned, limits::MAX_PLANNED_SHOWN),
                    false => (&mut asking, limits::MAX_WAITING_SHOWN),
                };
                if list.len() < most {
                    list.push(tables::read_waits_until(key)?);
                }
                Ok(())
            },
        )?;
        let mut all = Vec::with_capacity(asking.len() + planned.len());
        for id in asking.into_iter().chain(planned) {
            all.extend(self.waiting(id, now)?);
        }
        Ok(all)
    }
}
