//! Who acts on the server.

mod chores;
mod counsel;
mod freer;
mod imap;
mod organizer;
mod reader;
mod recaller;
mod redirector;
mod relay;
mod remover;
mod sender;
mod sharer;
mod syncer;
mod triggers;
mod webmail;

use tern_base::AccountId;

use crate::dice::Dice;
use crate::server::PEOPLE;
use crate::sim::Sim;

/// Somebody who does one thing at a time.
pub(crate) trait Actor {
    /// What it is called in the list of races.
    fn name(&self) -> &'static str;

    /// Whose client it is: once that account is removed, its connections are cut and it is no more.
    fn account(&self) -> Option<AccountId> {
        None
    }

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
    for (account, name) in (1..).map(AccountId).zip(PEOPLE) {
        actors.extend(clients(account, name, dice));
    }
    actors.push(Box::new(sender::Sender::outside()));
    actors.push(Box::new(sender::Sender::list()));
    for _ in 0..2 {
        actors.push(Box::new(relay::Relay::default()));
        actors.push(Box::new(recaller::Recaller::default()));
        actors.push(Box::new(triggers::Triggers::default()));
    }
    // In some runs only: what is held is not hidden, or not removed.
    if dice.chance(400) {
        actors.push(Box::new(counsel::Counsel::default()));
    }
    // The same: whoever is gone neither sends nor reads.
    if dice.chance(400) {
        actors.push(Box::new(remover::Remover::default()));
    }
    // The same: what is sent on, its owner may not get.
    if dice.chance(300) {
        actors.push(Box::new(redirector::Redirector));
    }
    // The same: most people share nothing.
    if dice.chance(600) {
        actors.push(Box::new(sharer::Sharer));
        for (account, _) in (1..).map(AccountId).zip(PEOPLE) {
            actors.push(Box::new(imap::Imap::guest(account)));
        }
    }
    actors.push(Box::new(freer::Freer));
    actors.push(Box::new(chores::Chores));
    actors
}

/// The clients of one account. Not every account has every kind.
pub(crate) fn clients(account: AccountId, name: &str, dice: &mut Dice) -> Vec<Box<dyn Actor>> {
    let mut clients: Vec<Box<dyn Actor>> = Vec::new();
    clients.push(Box::new(organizer::Organizer::new(account)));
    for _ in 0..=dice.below(2) {
        clients.push(Box::new(reader::Reader::new(account)));
    }
    for _ in 0..dice.below(3) {
        clients.push(Box::new(imap::Imap::new(account)));
    }
    if dice.chance(500) {
        clients.push(Box::new(syncer::Syncer::new(account)));
    }
    if dice.chance(500) {
        clients.push(Box::new(webmail::Webmail::new(account)));
    }
    let senders = match name {
        "alice" => 3,
        "bob" => 1,
        _ => 0,
    };
    for _ in 0..senders {
        clients.push(Box::new(sender::Sender::inside(account)));
    }
    clients
}
