//! The placements of a mailbox as its view has them, for a change of many of its messages: what the view
//! knows is neither read nor compared row by row, and the next view is made of what the change wrote.
//!
//! Invariant: whoever changes a placement changes its mailbox's counters with it, under a new modseq. So
//! where the counters are what the view was made with, the placements are; and the transaction expects the
//! counters to stay so. A view that is older is not used.

use std::collections::BTreeMap;
use std::sync::Arc;

use tern_base::{MailboxId, Modseq, Uid};

use crate::rows::{Counters, PlacementRow};
use crate::view::View;

/// What a change knows of a mailbox, and what it makes of it.
pub(crate) struct Known {
    pub(crate) mailbox: MailboxId,
    view: Arc<View>,
    /// The placements that it wrote; `None` for one that went.
    changed: BTreeMap<Uid, Option<PlacementRow>>,
}

impl Known {
    /// The placements of a view. The caller has found its mailbox as it was then.
    pub(crate) const fn of(mailbox: MailboxId, view: Arc<View>) -> Self {
        Self {
            mailbox,
            view,
            changed: BTreeMap::new(),
        }
    }

    /// A placement as the change has left it.
    pub(crate) fn placement(&self, uid: Uid) -> Option<PlacementRow> {
        match self.changed.get(&uid) {
            Some(changed) => changed.clone(),
            None => self.view.get(uid).map(PlacementRow::from),
        }
    }

    /// Notes what a placement becomes.
    pub(crate) fn note(&mut self, uid: Uid, row: Option<&PlacementRow>) {
        self.changed.insert(uid, row.cloned());
    }

    /// The mailbox after the change, once it is committed; `None` where it left the mailbox alone.
    pub(crate) fn into_view(self, modseq: Modseq, counters: Option<Counters>) -> Option<View> {
        let counters = counters.filter(|_| !self.changed.is_empty())?;
        Some(self.view.after(modseq, counters, self.changed))
    }
}
