//! People who have their mail sent on, to others here or elsewhere, and take that back.

use tern_base::EmailAddress;
use tern_store::Verdict;

use super::Actor;
use crate::server::{ALIAS, GROUP, PEOPLE, address};
use crate::sim::Sim;

/// Most redirects that there are at once: where all is sent on, nobody reads anything.
const MOST: usize = 2;

/// Somebody at the command line.
pub(crate) struct Redirector;

impl Actor for Redirector {
    fn name(&self) -> &'static str {
        "a redirect"
    }

    fn step(&mut self, sim: &Sim) {
        if !sim.chance(250) {
            return;
        }
        let (there, set) = {
            let oracle = sim.oracle.borrow();
            (oracle.people.there(), oracle.redirects.clone())
        };
        let account = match set.len() < MOST {
            true => sim.pick(&there),
            false => sim.pick(&set.keys().copied().collect::<Vec<_>>()),
        };
        let Some(account) = account.filter(|account| there.contains(account)) else {
            return;
        };
        let mut names: Vec<&str> = PEOPLE.to_vec();
        names.extend([GROUP.0, ALIAS.0, "one@remote.test", "four@else.test"]);
        let mut targets: Vec<EmailAddress> = Vec::new();
        // Of those who are gone there may be no address any more.
        if !set.contains_key(&account) {
            for _ in 0..=sim.below(2) {
                let name = sim
                    .pick(&names)
                    .filter(|name| *name != sim.name_of(account));
                targets.extend(name.map(address).filter(|one| !targets.contains(one)));
            }
        }
        let keep = sim.chance(500);
        // Done as a whole, past what may go wrong: what a half done redirect does is no question here.
        let durable = sim.server().engine.durable().clone();
        let done = tern_store::transact(&durable, |txn| {
            tern_directory::set_redirect_in(txn, account, &targets, keep).map(Verdict::Commit)
        });
        match done {
            Ok(_) => {
                sim.tell(|| format!("account {account} sends on to {targets:?}, keep: {keep}"));
                let mut oracle = sim.oracle.borrow_mut();
                oracle.redirected(account, &targets, keep);
            }
            Err(error) => sim.tell(|| format!("account {account} sends nothing on: {error}")),
        }
    }
}
