//! Whoever frees what waits: requesters who show a second factor, two people who approve, and some
//! who may do neither; and whoever calls it off.

use tern_base::AccountId;
use tern_recall::{RecallError, Requested, State, Waiting};

use super::Actor;
use super::recaller::requester;
use crate::server::{MANAGER, address};
use crate::sim::Sim;

/// People at pages and command lines.
pub(crate) struct Freer;

impl Freer {
    fn act(sim: &Sim) -> Result<(), RecallError> {
        let waiting = sim.server().recalls.all_waiting(sim.now())?;
        match sim.pick(&waiting) {
            Some(one) if one.recall.state == State::AwaitingStepUp => Self::factor(&one, sim),
            Some(one) => Self::approve(&one, sim),
            None => Ok(()),
        }
    }

    fn factor(one: &Waiting, sim: &Sim) -> Result<(), RecallError> {
        let (id, server) = (one.recall.id, sim.server());
        let Some(account) = one.wait.requester.account else {
            return Ok(());
        };
        match sim.below(8) {
            0 => {
                let people = sim.oracle.borrow().people.ever();
                let people: Vec<AccountId> =
                    people.into_iter().filter(|of| *of != account).collect();
                let Some(other) = sim.pick(&people) else {
                    return Ok(());
                };
                let done = server
                    .recalls
                    .stepped_up(id, other, "totp", None, sim.now());
                Self::must_fail(one, "a factor of somebody else", done, sim);
                Ok(())
            }
            1 => Self::cancel(one, sim),
            _ => {
                sim.tell(|| format!("{} shows a factor for {id}", sim.name_of(account)));
                sim.oracle.borrow_mut().freed_by(id, "a factor");
                let done = server
                    .recalls
                    .stepped_up(id, account, "totp", None, sim.now())?;
                Self::go_on(done, sim)
            }
        }
    }

    fn approve(one: &Waiting, sim: &Sim) -> Result<(), RecallError> {
        let (id, server, now) = (one.recall.id, sim.server(), sim.now());
        match sim.below(10) {
            0 => {
                // Their own, or of somebody who has no role.
                let account = match sim.chance(500) {
                    true => one.wait.requester.account.or(one.recall.owner),
                    false => Some(AccountId(5)),
                };
                let name = account.map_or_else(String::new, |of| sim.name_of(of).to_owned());
                let by = requester(account, name);
                let done = server.recalls.approve(id, &by, None, now);
                Self::must_fail(one, "an approval by whoever may not", done, sim);
                Ok(())
            }
            1 => {
                sim.tell(|| format!("{id} is declined"));
                let by = requester(None, "deputy".to_owned());
                server.recalls.decline(id, &by, Some("no"), now)?;
                if !server.engine.is_dead() {
                    sim.oracle.borrow_mut().called_off(id);
                }
                Ok(())
            }
            2 => Self::cancel(one, sim),
            _ => {
                let (manager, named) = MANAGER;
                let name = sim.pick(&["deputy", "second", named]).unwrap_or(named);
                sim.tell(|| format!("{name} approves {id}"));
                let by = match name == named {
                    true => requester(Some(manager), address(named).to_string()),
                    false => requester(None, name.to_owned()),
                };
                if name == named && sim.oracle.borrow().was_gone(manager) {
                    let done = server.recalls.approve(id, &by, None, now);
                    Self::must_fail(one, "an approval by who is gone", done, sim);
                    return Ok(());
                }
                sim.oracle.borrow_mut().freed_by(id, name);
                let done = server.recalls.approve(id, &by, None, now)?;
                Self::go_on(done, sim)
            }
        }
    }

    fn cancel(one: &Waiting, sim: &Sim) -> Result<(), RecallError> {
        let (id, server) = (one.recall.id, sim.server());
        sim.tell(|| format!("{id} is cancelled"));
        server.recalls.cancel(id, &one.wait.requester, sim.now())?;
        if !server.engine.is_dead() {
            sim.oracle.borrow_mut().called_off(id);
        }
        Ok(())
    }

    /// Does what follows, perhaps.
    fn go_on(answer: Requested, sim: &Sim) -> Result<(), RecallError> {
        sim.tell(|| format!("freed: {answer:?}"));
        sim.oracle.borrow_mut().answered(answer);
        match answer {
            Requested::Sealed(id) if sim.chance(600) => sim.server().recalls.run(id, sim.now()),
            _ => Ok(()),
        }
    }

    /// Whoever may not is told so, however the recall stands by now.
    fn must_fail(one: &Waiting, what: &str, done: Result<Requested, RecallError>, sim: &Sim) {
        if let Ok(answer) = done {
            let id = one.recall.id;
            let mut oracle = sim.oracle.borrow_mut();
            oracle.broke(format!("recall {id}: {what} was answered {answer:?}"));
        }
    }
}

impl Actor for Freer {
    fn name(&self) -> &'static str {
        "an approval"
    }

    fn step(&mut self, sim: &Sim) {
        if sim.chance(600)
            && let Err(error) = Self::act(sim)
        {
            sim.tell(|| format!("freeing: {error}"));
            sim.server_fault("freeing", error.fault(), &error);
        }
    }
}
