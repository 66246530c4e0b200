//! An administrator who removes accounts, whatever is going on in them, and gives an address to
//! somebody else.

use tern_base::{AccountId, Fault};
use tern_delivery::Removals;
use tern_store::Verdict;

use super::Actor;
use crate::server;
use crate::sim::Sim;

/// Most accounts that are removed in a run: the world is small.
const MOST: usize = 2;

/// Somebody at the command line.
#[derive(Default)]
pub(crate) struct Remover {
    /// The names of removed accounts that somebody new may get.
    free: Vec<&'static str>,
}

impl Remover {
    fn begin(sim: &Sim) {
        let (there, removed) = {
            let oracle = sim.oracle.borrow();
            (oracle.people.there(), oracle.people.removed())
        };
        let Some(account) = sim.pick(&there).filter(|_| removed < MOST) else {
            return;
        };
        sim.tell(|| format!("account {account} is to be removed"));
        sim.oracle.borrow_mut().leaves(account);
    }

    /// As the command does it: the mark, then the rest.
    fn go_on(&mut self, account: AccountId, sim: &Sim) {
        let server = sim.server();
        let marked = tern_store::transact(&server.engine, |txn| {
            tern_directory::begin_removal_in(txn, account).map(Verdict::Commit)
        });
        if let Err(error) = marked {
            return failed(sim, error.fault(), &error);
        }
        let removals = Removals {
            delivery: &server.delivery,
            upkeep: &server.upkeep,
            recalls: &server.recalls,
        };
        let done = removals.finish(account, sim.now());
        match done {
            Ok(()) if server.engine.is_dead() => {}
            Ok(()) => {
                sim.tell(|| format!("account {account} is removed"));
                let mut oracle = sim.oracle.borrow_mut();
                oracle.left(account);
                self.free.push(oracle.people.name_of(account));
            }
            Err(error) => failed(sim, error.fault(), &error),
        }
    }

    /// Somebody new gets the address of an account that is gone.
    fn hire(&mut self, sim: &Sim) {
        let Some(name) = self.free.pop() else { return };
        let made = server::hire(sim.server().engine.durable(), name, sim.now());
        match made {
            Ok(account) => {
                sim.tell(|| format!("account {account} is {name} from now on"));
                sim.oracle.borrow_mut().joins(account, name);
                sim.seat(account);
            }
            Err(error) => sim.oracle.borrow_mut().broke(format!("hiring: {error}")),
        }
    }
}

fn failed(sim: &Sim, fault: Fault, error: &dyn std::fmt::Display) {
    sim.tell(|| format!("removal: {error}"));
    sim.server_fault("removal", fault, error);
}

impl Actor for Remover {
    fn name(&self) -> &'static str {
        "a removal"
    }

    fn step(&mut self, sim: &Sim) {
        let going = sim.oracle.borrow().people.going();
        match sim.below(12) {
            0 => Self::begin(sim),
            1 => self.hire(sim),
            2..=7 => going.iter().for_each(|account| self.go_on(*account, sim)),
            _ => {}
        }
    }

    fn settle(&mut self, sim: &Sim) {
        let going = sim.oracle.borrow().people.going();
        going.iter().for_each(|account| self.go_on(*account, sim));
    }
}
