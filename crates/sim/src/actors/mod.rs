//! Who acts on the server.

mod chores;
mod counsel;
mod freer;
mod imap;
mod organizer;
mod reader;
mod recaller;
mod relay;
mod sender;
mod syncer;
mod triggers;

use tern_base::AccountId;

use crate::dice::Dice;
use crate::oracle::Oracle;
use crate::sim::Sim;

/// Somebody who does one thing at a time.
pub(crate) trait Actor {
    /// Does one thing.
    fn step(&mut self, sim: &Sim);

    /// The process was killed: every connection and handle is gone.
    fn killed(&mut self, _sim: &Sim) {}

    /// Nothing new is begun from here on, and connections are closed.
    fn retire(&mut self, sim: &Sim) {
        self.killed(sim);
    }

    /// Does what is left to do, without trouble.
    fn settle(&mut self, _sim: &Sim) {}
}

/// Everybody. Not every account has every kind of client in every run.
pub(crate) fn cast(dice: &mut Dice) -> Vec<Box<dyn Actor>> {
    let mut actors: Vec<Box<dyn Actor>> = Vec::new();
    for account in Oracle::people() {
        actors.push(Box::new(organizer::Organizer::new(account)));
        for _ in 0..=dice.below(2) {
            actors.push(Box::new(reader::Reader::new(account)));
        }
        for _ in 0..dice.below(3) {
            actors.push(Box::new(imap::Imap::new(account)));
        }
        if dice.chance(500) {
            actors.push(Box::new(syncer::Syncer::new(account)));
        }
    }
    for account in [1, 2] {
        actors.push(Box::new(sender::Sender::inside(AccountId(account))));
        actors.push(Box::new(sender::Sender::inside(AccountId(1))));
    }
    actors.push(Box::new(sender::Sender::outside()));
    for _ in 0..2 {
        actors.push(Box::new(relay::Relay::default()));
        actors.push(Box::new(recaller::Recaller::default()));
        actors.push(Box::new(triggers::Triggers::default()));
    }
    // In some runs only: what is held is not hidden, or not removed.
    if dice.chance(400) {
        actors.push(Box::new(counsel::Counsel::default()));
    }
    actors.push(Box::new(freer::Freer));
    actors.push(Box::new(chores::Chores));
    actors
}
