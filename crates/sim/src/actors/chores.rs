//! What the server does every minute, and at its start.

use tern_base::Fault;

use super::Actor;
use crate::oracle::Promise;
use crate::sim::Sim;

/// The worker.
pub(crate) struct Chores;

impl Chores {
    fn round(sim: &Sim) {
        let server = sim.server();
        let now = sim.now();
        let failed = |what: &str, fault: Fault, error: &dyn std::fmt::Display| {
            sim.tell(|| format!("{what}: {error}"));
            sim.server_fault(what, fault, error);
        };
        if let Err(error) = server.upkeep.finish_deletions(now) {
            failed("deletions", error.fault(), &error);
        }
        match server.delivery.resume(now, &mut sim.entropy()) {
            Ok(resumed) => {
                for (_, error) in &resumed.failed {
                    failed("resume", error.fault(), error);
                }
                for accepted in resumed.finished {
                    sim.oracle
                        .borrow_mut()
                        .promised(accepted.origin, Promise::Accepted);
                    server.report_late(&accepted.late);
                }
            }
            Err(error) => failed("resume", error.fault(), &error),
        }
        if let Err(error) = server.recalls.run_open(now) {
            failed("recalls", error.fault(), &error);
        }
        if let Err(error) = server.recalls.purge(now) {
            failed("purge", error.fault(), &error);
        }
        let followed = server.upkeep.follow_words();
        if let Err(error) = followed.and_then(|()| server.upkeep.make_words(64)) {
            failed("words", error.fault(), &error);
        }
        let schedule = &server.delivery.settings().schedule;
        if let Err(error) = tern_queue::prune(&server.engine, schedule, now) {
            failed("prune", error.fault(), &error);
        }
        if let Err(error) = server.upkeep.collect(now, 1_000) {
            failed("collect", error.fault(), &error);
        }
    }
}

impl Actor for Chores {
    fn name(&self) -> &'static str {
        "a chore"
    }

    fn step(&mut self, sim: &Sim) {
        sim.tell(|| "chores".to_owned());
        Self::round(sim);
    }

    fn settle(&mut self, sim: &Sim) {
        Self::round(sim);
    }
}
