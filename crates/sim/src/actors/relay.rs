//! The worker that hands mail to other servers, and those servers: they take, refuse, put off,
//! and break off at any point.

use tern_base::OriginId;
use tern_delivery::{DeliveryError, Outgoing};
use tern_queue::{LeaseId, Outcome, Reply};

use super::Actor;
use crate::letter::{Part, marks};
use crate::listed::{Received, is_list};
use crate::sim::Sim;

/// How long an attempt may take.
const LEASE_MS: u64 = 600_000;

/// The worker.
#[derive(Default)]
pub(crate) struct Relay {
    sending: Option<(Box<Outgoing>, LeaseId)>,
}

impl Relay {
    fn take(&mut self, sim: &Sim) -> Result<(), DeliveryError> {
        let server = sim.server();
        let due = server.delivery.due(sim.now(), 20)?;
        let Some(item) = sim.pick(&due) else {
            return Ok(());
        };
        let lease = LeaseId(sim.below(1 << 30) as u64);
        let taken = server.delivery.take(item.id, lease, sim.now(), LEASE_MS)?;
        let Some(outgoing) = taken.filter(|_| !server.engine.is_dead()) else {
            return Ok(());
        };
        let letter = letter_of(&outgoing.content);
        sim.tell(|| format!("relay takes letter {letter:?} to {}", item.recipient));
        sim.oracle
            .borrow_mut()
            .handed_to_relay(item.id, item.origin, &outgoing.content);
        self.sending = Some((Box::new(outgoing), lease));
        Ok(())
    }

    /// The attempt ends in one of the ways in which attempts end.
    fn conclude(
        outgoing: &Outgoing,
        lease: LeaseId,
        ending: usize,
        sim: &Sim,
    ) -> Result<(), DeliveryError> {
        let (id, origin) = (outgoing.item.id, outgoing.item.origin);
        let recipient = outgoing.item.recipient.canonical();
        let taken = |sure: bool, origin: OriginId| {
            to_list(outgoing, sim);
            sim.oracle
                .borrow_mut()
                .taken_outside(origin, &recipient, sure);
        };
        let outcome = match ending {
            0..=3 => {
                taken(true, origin);
                Outcome::Delivered(reply(250, "taken"))
            }
            4 => Outcome::Permanent(reply(550, "no")),
            5 | 6 => Outcome::Temporary(reply(450, "later")),
            7 => Outcome::Temporary(reply(0, "broken off before the content")),
            // Broken off behind the last octet, and the worker saw it.
            8 => {
                taken(false, origin);
                Outcome::Unanswered(reply(0, "no answer to the content"))
            }
            // The same, and nobody here knows. The lease runs out.
            _ => {
                taken(false, origin);
                sim.tell(|| format!("relay to {recipient}: the answer is lost"));
                return Ok(());
            }
        };
        sim.tell(|| format!("relay to {recipient}: {outcome:?}"));
        let server = sim.server();
        let (now, mut entropy) = (sim.now(), sim.entropy());
        let done = server
            .delivery
            .conclude(id, lease, &outcome, false, now, &mut entropy);
        done.map(drop)
    }
}

/// What the list's server has got, whatever it answered.
fn to_list(outgoing: &Outgoing, sim: &Sim) {
    if is_list(&outgoing.item.recipient)
        && let Some(letter) = letter_of(&outgoing.content)
    {
        sim.listed.borrow_mut().push(Received {
            letter,
            content: outgoing.content.clone(),
            origin: outgoing.item.origin,
        });
    }
}

fn letter_of(content: &[u8]) -> Option<u32> {
    let marked = marks(content);
    let subject = marked.iter().find(|(part, _)| *part == Part::Subject);
    subject.map(|(_, number)| *number)
}

fn reply(code: u16, text: &str) -> Reply {
    Reply {
        code,
        enhanced: None,
        text: text.to_owned(),
        host: None,
    }
}

impl Actor for Relay {
    fn name(&self) -> &'static str {
        "a relay"
    }

    fn step(&mut self, sim: &Sim) {
        let done = match self.sending.take() {
            Some((outgoing, lease)) => Self::conclude(&outgoing, lease, sim.below(11), sim),
            None => self.take(sim),
        };
        if let Err(error) = done {
            sim.tell(|| format!("relay: {error}"));
            sim.server_fault("relay", error.fault(), &error);
        }
    }

    fn killed(&mut self, sim: &Sim) {
        // Whoever was being sent to may have all of it.
        if let Some((outgoing, _)) = self.sending.take()
            && sim.chance(500)
        {
            let recipient = outgoing.item.recipient.canonical();
            to_list(&outgoing, sim);
            let mut oracle = sim.oracle.borrow_mut();
            oracle.taken_outside(outgoing.item.origin, &recipient, false);
        }
    }
}
