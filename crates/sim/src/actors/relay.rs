//! The worker that hands mail to other servers, and those servers: they take, refuse, put off,
//! and break off at any point. Recipients of one message at one domain go together, as the server's own
//! relay has it, and some of them are refused or are too many.

use tern_delivery::{DeliveryError, Outgoing};
use tern_queue::{Item, LeaseId, Outcome, QueueId, Reply};

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
        let domain = |item: &Item| item.recipient.domain().clone();
        let along = |other: &&Item| {
            other.id == item.id || (other.travels_with(&item) && domain(other) == domain(&item))
        };
        let ids: Vec<QueueId> = due.iter().filter(along).map(|item| item.id).collect();
        let lease = LeaseId(sim.below(1 << 30) as u64);
        let taken = server.delivery.take(&ids, lease, sim.now(), LEASE_MS)?;
        let Some(outgoing) = taken.filter(|_| !server.engine.is_dead()) else {
            return Ok(());
        };
        let letter = letter_of(&outgoing.content);
        for item in &outgoing.items {
            sim.tell(|| format!("relay takes letter {letter:?} to {}", item.recipient));
            let mut oracle = sim.oracle.borrow_mut();
            oracle.handed_to_relay(item.id, item.origin, &outgoing.content);
        }
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
        let mut ended = Vec::new();
        for (n, item) in outgoing.items.iter().enumerate() {
            // What the other server says of the first is what it says of the message.
            let own = if n == 0 { 0 } else { sim.below(4) };
            let outcome = match own {
                2 => Some(Outcome::Permanent(reply(550, "nobody of that name"))),
                3 => Some(Outcome::GivenBack(sim.now())),
                _ => Self::data(outgoing, item, ending, sim),
            };
            let recipient = &item.recipient;
            sim.tell(|| match &outcome {
                Some(outcome) => format!("relay to {recipient}: {outcome:?}"),
                None => format!("relay to {recipient}: the answer is lost"),
            });
            ended.extend(outcome.map(|outcome| (item.id, outcome)));
        }
        // Whoever does not hear the answer knows of nobody.
        if ending > 8 {
            return Ok(());
        }
        let overdue = outgoing.overdue.iter();
        ended.extend(overdue.map(|item| (item.id, Outcome::Temporary(reply(0, "cut off")))));
        let server = sim.server();
        let (now, mut entropy) = (sim.now(), sim.entropy());
        let done = server
            .delivery
            .conclude(&ended, lease, false, now, &mut entropy);
        done.map(drop)
    }

    /// What the other server says to the content, for a recipient that it took; `None` where nobody
    /// here hears it, and the lease runs out.
    fn data(outgoing: &Outgoing, item: &Item, ending: usize, sim: &Sim) -> Option<Outcome> {
        let taken = |sure: bool| {
            to_list(outgoing, item, sim);
            let recipient = item.recipient.canonical();
            let mut oracle = sim.oracle.borrow_mut();
            oracle.taken_outside(item.origin, &recipient, sure);
        };
        Some(match ending {
            0..=3 => {
                taken(true);
                Outcome::Delivered(reply(250, "taken"))
            }
            4 => Outcome::Permanent(reply(550, "no")),
            5 | 6 => Outcome::Temporary(reply(450, "later")),
            7 => Outcome::Temporary(reply(0, "broken off before the content")),
            // Broken off behind the last octet, and the worker saw it.
            8 => {
                taken(false);
                Outcome::Unanswered(reply(0, "no answer to the content"))
            }
            // The same, and nobody here knows.
            _ => {
                taken(false);
                return None;
            }
        })
    }
}

/// What the list's server has got, whatever it answered.
fn to_list(outgoing: &Outgoing, item: &Item, sim: &Sim) {
    if is_list(&item.recipient)
        && let Some(letter) = letter_of(&outgoing.content)
    {
        sim.listed.borrow_mut().push(Received {
            letter,
            content: outgoing.content.clone(),
            origin: item.origin,
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
            for item in &outgoing.items {
                to_list(&outgoing, item, sim);
                let recipient = item.recipient.canonical();
                let mut oracle = sim.oracle.borrow_mut();
                oracle.taken_outside(item.origin, &recipient, false);
            }
        }
    }
}
