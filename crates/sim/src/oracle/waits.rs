//! Recalls that wait: none is sealed before as many people as it waits for have freed it, nor after
//! it was called off; none waits longer than it may.

use std::collections::{BTreeMap, BTreeSet};

use tern_recall::{Awaited, RecallId, Requested, State, Trigger};

use super::Oracle;
use crate::server::MANAGER;

/// What is known of everything that waits, or has waited.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// How many people each was said to wait for.
    of: BTreeMap<RecallId, usize>,
    /// Who has freed which, or tried to.
    by: BTreeMap<RecallId, BTreeSet<&'static str>>,
    over: BTreeSet<RecallId>,
}

impl Oracle {
    /// The answer to a request, or to somebody who frees one.
    pub(crate) fn answered(&mut self, answer: Requested) {
        if let Requested::Waiting(id, awaited) = answer {
            let people = match awaited {
                Awaited::StepUp { .. } => 1,
                Awaited::Approval { approvers, .. } => approvers as usize,
                Awaited::Time { .. } => 0,
            };
            self.waits.of.entry(id).or_insert(people);
        }
    }

    /// The answer to what an account asked for by a trigger.
    pub(crate) fn triggered(&mut self, trigger: Trigger, answer: Requested) {
        if !matches!(answer, Requested::Refused(..)) {
            *self.triggered.entry(trigger).or_default() += 1;
        }
        self.answered(answer);
    }

    /// Somebody who may is about to free a recall.
    pub(crate) fn freed_by(&mut self, id: RecallId, who: &'static str) {
        self.waits.by.entry(id).or_default().insert(who);
    }

    /// The server says that a recall was declined or cancelled.
    pub(crate) fn called_off(&mut self, id: RecallId) {
        self.waits.over.insert(id);
    }

    pub(super) fn check_freed(&mut self, id: RecallId) {
        let waits_for = self.waits.of.get(&id).copied().unwrap_or(0);
        // Who is gone by then has approved nothing.
        let (manager, named) = MANAGER;
        let gone = self.people.was_gone(manager);
        let by = self.waits.by.get(&id).into_iter().flatten();
        let freed_by = by.filter(|name| **name != named || !gone).count();
        if freed_by < waits_for {
            self.broke(format!(
                "recall {id} waits for {waits_for} and is sealed, freed by {freed_by}"
            ));
        }
        if self.waits.over.contains(&id) {
            self.broke(format!("recall {id} was called off and is sealed"));
        }
    }

    /// An account that is gone takes nothing back.
    pub(super) fn check_asker(&mut self, id: RecallId) {
        let by = match self.asked.get(&id) {
            Some(asked) => asked.requester,
            // By a client of the owner's.
            None => self
                .observer
                .recalls
                .recall(id)
                .ok()
                .and_then(|one| one.owner),
        };
        if let Some(account) = by.filter(|account| self.people.was_gone(*account)) {
            self.broke(format!(
                "recall {id} is sealed for account {account}, which was removed before"
            ));
        }
    }

    /// How many recalls were sealed after they had waited.
    pub(super) fn freed(&self) -> usize {
        let sealed = |id: &&RecallId| self.at_seal.contains_key(&id.tag());
        self.waits.of.keys().filter(sealed).count()
    }

    /// At rest, hours later, nothing waits for a factor, and what was called off is over.
    pub(super) fn check_waits(&mut self) -> Result<(), String> {
        let all = self.observer.recalls.list(None, usize::MAX);
        for line in all.map_err(|error| error.to_string())? {
            let (id, state) = (line.recall.id, line.recall.state);
            if state == State::AwaitingStepUp {
                self.broke(format!("recall {id} still waits for a factor"));
            }
            if self.waits.over.contains(&id)
                && !matches!(state, State::Refused(_) | State::Cancelled)
            {
                self.broke(format!(
                    "recall {id} was called off and is {}",
                    state.code()
                ));
            }
        }
        Ok(())
    }
}
