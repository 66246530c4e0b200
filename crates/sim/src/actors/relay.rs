//! The worker that hands mail to other servers, and those servers: they take, refuse, put off, take so
//! many in one transaction, answer when others have done something meanwhile, and break off at any
//! point. Recipients of one message at one domain go together, as the server's own relay has it, by as many
//! transactions of one lease as it takes; some of them are refused or are too many.

use tern_base::Timestamp;
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
    sending: Option<Sending>,
}

/// An attempt under way.
struct Sending {
    outgoing: Box<Outgoing>,
    lease: LeaseId,
    /// When the lease runs out.
    until: Timestamp,
    host: Host,
    /// Whom the host was told of in the transaction under way.
    named: Vec<Item>,
    /// Who has no outcome yet.
    left: Vec<Item>,
}

/// How another server is.
#[derive(Clone, Copy, Debug)]
struct Host {
    /// It takes so many recipients in one transaction.
    takes: usize,
    /// It hangs up at this one.
    cuts_at: Option<usize>,
}

impl Host {
    fn any(sim: &Sim) -> Self {
        Self {
            takes: if sim.chance(500) { 1 } else { 1 + sim.below(4) },
            cuts_at: sim.chance(150).then(|| 2 + sim.below(3)),
        }
    }
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
        let along = due.iter().filter(along).take(item.most_together(due.len()));
        let mut ids: Vec<QueueId> = along.map(|item| item.id).collect();
        if !ids.contains(&item.id) {
            ids = vec![item.id];
        }
        let lease = LeaseId(sim.below(1 << 30) as u64);
        let taken = server.delivery.take(&ids, lease, sim.now(), LEASE_MS)?;
        let Some(outgoing) = taken.filter(|_| !server.engine.is_dead()) else {
            return Ok(());
        };
        let mut sending = Sending {
            lease,
            until: sim.now().plus_millis(LEASE_MS),
            host: Host::any(sim),
            named: Vec::new(),
            left: outgoing.items.clone(),
            outgoing: Box::new(outgoing),
        };
        sending.name(sim);
        self.sending = Some(sending);
        Ok(())
    }
}

impl Sending {
    /// Names those who are left, as many as the host takes.
    fn name(&mut self, sim: &Sim) {
        let takes = self.host.takes.min(self.left.len());
        self.named = self.left.drain(..takes).collect();
        let letter = letter_of(&self.outgoing.content);
        for item in &self.named {
            sim.tell(|| format!("relay takes letter {letter:?} to {}", item.recipient));
            let mut oracle = sim.oracle.borrow_mut();
            oracle.handed_to_relay(item.id, item.origin, &self.outgoing.content);
        }
    }

    /// The transaction ends in one of the ways in which transactions end, and another may follow. Whether
    /// one is under way.
    fn go_on(&mut self, sim: &Sim) -> Result<bool, DeliveryError> {
        let ending = sim.below(11);
        if self.host.cuts_at.is_some_and(|at| at <= self.named.len()) {
            let together = self.named.len() as u32;
            let all = [&mut self.named, &mut self.left];
            let all = all.into_iter().flat_map(std::mem::take);
            let cut = |item: Item| {
                let reply = reply(421, "too many recipients");
                (item.id, Outcome::Together { reply, together })
            };
            let ended = all.map(cut).collect();
            return self.record(ended, sim).map(|()| false);
        }
        // Whoever does not hear the answer knows of nobody.
        if !self.end(ending, sim)? {
            return Ok(false);
        }
        if self.left.is_empty() || sim.chance(200) || sim.now() >= self.until {
            self.give_back(Vec::new(), sim)?;
            return Ok(false);
        }
        let server = sim.server();
        let ids: Vec<QueueId> = self.left.iter().map(|item| item.id).collect();
        let still = server
            .delivery
            .still(&self.outgoing, &ids, self.lease, sim.now());
        let Ok(still) = still else {
            self.give_back(Vec::new(), sim)?;
            return Ok(false);
        };
        if server.engine.is_dead() {
            return Ok(false);
        }
        self.give_back(still, sim)?;
        self.name(sim);
        Ok(!self.named.is_empty())
    }

    /// Gives those back who are left, but for these.
    fn give_back(&mut self, but: Vec<QueueId>, sim: &Sim) -> Result<(), DeliveryError> {
        let left = std::mem::take(&mut self.left).into_iter();
        let (kept, back): (Vec<Item>, Vec<Item>) = left.partition(|item| but.contains(&item.id));
        self.left = kept;
        let back = back.iter().map(|item| (item.id, Outcome::GivenBack));
        self.record(back.collect(), sim)
    }

    /// What the other server says to those who were named; whether it was heard.
    fn end(&mut self, ending: usize, sim: &Sim) -> Result<bool, DeliveryError> {
        let mut ended = Vec::new();
        for (n, item) in self.named.iter().enumerate() {
            // What the other server says of the first is what it says of the message.
            let own = if n == 0 { 0 } else { sim.below(4) };
            let outcome = match own {
                2 => Some(Outcome::Permanent(reply(550, "nobody of that name"))),
                3 => Some(Outcome::GivenBack),
                _ => data(&self.outgoing, item, ending, sim),
            };
            let recipient = &item.recipient;
            sim.tell(|| match &outcome {
                Some(outcome) => format!("relay to {recipient}: {outcome:?}"),
                None => format!("relay to {recipient}: the answer is lost"),
            });
            ended.extend(outcome.map(|outcome| (item.id, outcome)));
        }
        self.named.clear();
        if ending > 8 {
            return Ok(false);
        }
        let overdue = std::mem::take(&mut self.outgoing.overdue).into_iter();
        ended.extend(overdue.map(|item| (item.id, Outcome::Temporary(reply(0, "cut off")))));
        self.record(ended, sim).map(|()| true)
    }

    fn record(&self, ended: Vec<(QueueId, Outcome)>, sim: &Sim) -> Result<(), DeliveryError> {
        if ended.is_empty() {
            return Ok(());
        }
        let (now, mut entropy) = (sim.now(), sim.entropy());
        let delivery = &sim.server().delivery;
        let done = delivery.conclude(&ended, self.lease, false, now, &mut entropy);
        done.map(drop)
    }
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
            Outcome::Unanswered {
                reply: reply(0, "no answer to the content"),
                together: outgoing.items.len() as u32,
            }
        }
        // The same, and nobody here knows.
        _ => {
            taken(false);
            return None;
        }
    })
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
            Some(mut sending) => sending.go_on(sim).map(|goes_on| {
                self.sending = goes_on.then_some(sending);
            }),
            None => self.take(sim),
        };
        if let Err(error) = done {
            sim.tell(|| format!("relay: {error}"));
            sim.server_fault("relay", error.fault(), &error);
        }
    }

    fn killed(&mut self, sim: &Sim) {
        // Whoever was being sent to may have all of it.
        if let Some(sending) = self.sending.take()
            && sim.chance(500)
        {
            for item in &sending.named {
                to_list(&sending.outgoing, item, sim);
                let recipient = item.recipient.canonical();
                let mut oracle = sim.oracle.borrow_mut();
                oracle.taken_outside(item.origin, &recipient, false);
            }
        }
    }
}
