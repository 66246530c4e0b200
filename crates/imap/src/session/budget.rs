//! How much one step of a command may do before other sessions have their turn.
//!
//! Invariant: there is one for each step, whatever command it is of, and whatever is read, decoded, looked
//! through or changed is charged to it, in octets of reading. A step ends at the next place where it can
//! once its budget is spent or its output is full, so it is bounded by what it costs rather than by what
//! its answer says. Refuses to bound what a session holds: that is the memory that all sessions share.

use std::cell::Cell;
use std::sync::Arc;

use tern_mailbox::{MailboxError, Mailboxes, MessageRow};
use tern_mime::Structure;

use crate::limits::{
    MAX_STEP_OUTPUT, MESSAGES_PER_PIECE, WORK_OF_PIECE, WORK_OF_ROW, WORK_OF_TEST, WORK_PER_STEP,
};
use crate::respond::ResponseWriter;

/// The work of one step.
#[derive(Debug, Default)]
pub(super) struct StepBudget {
    spent: Cell<u64>,
}

impl StepBudget {
    /// Octets that were read, decoded or looked through.
    pub(super) fn octets(&self, octets: u64) {
        self.spent.set(self.spent.get().saturating_add(octets));
    }

    /// Entries of a view that were tested, and by how many conditions each.
    pub(super) fn tests(&self, entries: usize, conditions: usize) {
        self.octets(
            (entries.saturating_mul(conditions.max(1)) as u64).saturating_mul(WORK_OF_TEST),
        );
    }

    /// Rows that were looked up.
    pub(super) fn rows(&self, rows: usize) {
        self.octets((rows as u64).saturating_mul(WORK_OF_ROW));
    }

    /// Messages that were changed: what one commit takes is what a step does.
    pub(super) fn changes(&self, messages: usize) {
        const OF_CHANGE: u64 = WORK_PER_STEP / MESSAGES_PER_PIECE as u64;
        self.octets((messages as u64).saturating_mul(OF_CHANGE));
    }

    /// A piece of a command, whatever is in it: so that one which has nothing to charge ends, too.
    pub(super) fn piece(&self) {
        self.octets(WORK_OF_PIECE);
    }

    /// The structure of a message, which was read `ahead` and charged then, or is read now: a step that looks at
    /// the structure of a message has to ask here.
    pub(super) fn structure(
        &self,
        mailboxes: &Mailboxes,
        row: &MessageRow,
        ahead: Option<Arc<Structure>>,
    ) -> Result<Arc<Structure>, MailboxError> {
        if let Some(structure) = ahead {
            return Ok(structure);
        }
        let (structure, octets) = mailboxes.structure_and_work(row)?;
        self.octets(octets);
        Ok(structure)
    }

    /// Octets of output that the step may still write.
    pub(super) fn room(&self, out: &ResponseWriter) -> usize {
        MAX_STEP_OUTPUT.saturating_sub(out.len())
    }

    /// Whether the step has done enough, or written enough.
    pub(super) fn is_spent(&self, out: &ResponseWriter) -> bool {
        self.spent.get() >= WORK_PER_STEP || out.len() >= MAX_STEP_OUTPUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a step is over after `times` of `charge`, and not one before that.
    fn ends_after(times: usize, charge: impl Fn(&StepBudget)) {
        let (budget, out) = (StepBudget::default(), ResponseWriter::new());
        for _ in 1..times {
            charge(&budget);
            assert!(!budget.is_spent(&out));
        }
        charge(&budget);
        assert!(budget.is_spent(&out));
    }

    #[test]
    fn a_step_ends_by_whatever_is_much() {
        ends_after(16, |budget| budget.octets(1 << 20));
        ends_after(1, |budget| budget.changes(MESSAGES_PER_PIECE));
        ends_after(4, |budget| budget.rows(2 * MESSAGES_PER_PIECE));
        ends_after(64, |budget| budget.tests(1_024, 1));
        ends_after(64, |budget| budget.tests(1, 1_024));
        ends_after(64, StepBudget::piece);
        ends_after(2, |budget| budget.octets(WORK_PER_STEP - 1));
        ends_after(1, |budget| budget.octets(u64::MAX));
        let mut out = ResponseWriter::new();
        out.raw(&vec![b'x'; MAX_STEP_OUTPUT]);
        assert!(StepBudget::default().is_spent(&out));
    }
}
