//! The worker that looks at recall mailboxes of accounts that changed, and at late copies.

use std::collections::BTreeMap;

use tern_base::AccountId;
use tern_recall::Trigger;

use super::Actor;
use crate::sim::Sim;

/// The worker.
#[derive(Default)]
pub(crate) struct Triggers {
    looked_at: BTreeMap<AccountId, u64>,
}

impl Triggers {
    fn look(&mut self, account: AccountId, sim: &Sim) {
        let server = sim.server();
        let changes = server.changes.of(account);
        if self.looked_at.get(&account) == Some(&changes) {
            return;
        }
        for trigger in Trigger::ALL {
            match server.recalls.triggered(account, trigger, sim.now()) {
                Ok(answers) => answers.into_iter().for_each(|answer| {
                    sim.tell(|| format!("{trigger:?} of account {account}: {answer:?}"));
                    sim.oracle.borrow_mut().triggered(trigger, answer);
                }),
                Err(error) => {
                    sim.tell(|| format!("{trigger:?} of account {account}: {error}"));
                    return sim.server_fault("triggers", error.fault(), &error);
                }
            }
        }
        self.looked_at.insert(account, changes);
    }

    fn late(sim: &Sim) {
        let server = sim.server();
        for tag in server.take_late() {
            if let Err(error) = server.recalls.refresh_late(tag, sim.now()) {
                sim.server_fault("late", error.fault(), &error);
                // The next look finds it; the real worker's chores do the same.
                server.report_late(&[tag]);
                return;
            }
        }
    }
}

impl Actor for Triggers {
    fn name(&self) -> &'static str {
        "a trigger"
    }

    fn step(&mut self, sim: &Sim) {
        let people = sim.oracle.borrow().people.there();
        for account in people {
            self.look(account, sim);
        }
        Self::late(sim);
    }

    fn killed(&mut self, _sim: &Sim) {
        self.looked_at.clear();
    }

    fn settle(&mut self, sim: &Sim) {
        self.looked_at.clear();
        self.step(sim);
    }
}
