//! The whole server on the in-memory engine from one seed, with faults.
//!
//! One thread, a virtual clock, and every choice from the seed: senders over SMTP sessions,
//! a mailing list elsewhere that sends back what it was sent, clients of every habit over IMAP and JMAP, people who read the mailboxes
//! of others and people whose mail is sent on, the queue's worker, operators who take mail back and restore it, people
//! who approve, counsel who places legal holds. Things go wrong at every commit and every octet: conflicts, a full disk, lost answers, cut
//! connections, the process killed. An oracle that sees what is durable and every octet that
//! leaves compares both with what was promised.
//!
//! Invariant: the same seed and number of steps is the same run. Refuses to repair anything: the
//! first broken promise ends the run.

mod actors;
mod dice;
mod engine;
mod letter;
mod listed;
mod oracle;
mod sabotage;
mod server;
mod sim;

use std::collections::BTreeMap;

pub use sabotage::Sabotage;
pub use tern_recall::Trigger;

/// How a seed is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Steps before everything is let come to rest.
    pub steps: usize,
    /// Keep a trace of what happened.
    pub trace: bool,
    /// A defect to prove the oracle by.
    pub sabotage: Sabotage,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            steps: 400,
            trace: false,
            sabotage: Sabotage::None,
        }
    }
}

/// What a run did, so that a test can see that it did something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages accepted.
    pub accepted: usize,
    /// Seals that were set.
    pub seals: usize,
    /// Copies that were withdrawn.
    pub withdrawn: usize,
    /// Copies that were stopped on arrival.
    pub late: usize,
    /// Copies that were put back.
    pub restored: usize,
    /// Copies of which an octet of the body left.
    pub exposed: usize,
    /// Copies of which text left to somebody who reads them by rights in their owner's mailbox.
    pub shown: usize,
    /// Copies that were brought from somebody else's mailbox.
    pub brought: usize,
    /// Messages accepted that redirects led elsewhere.
    pub sent_on: usize,
    /// Recalls that were sealed after they had waited for somebody.
    pub freed: usize,
    /// Copies that their owners removed and holds keep.
    pub kept: usize,
    /// Accounts that were removed.
    pub removed: usize,
    /// Times the process was killed.
    pub kills: usize,
    /// What accounts asked for by each trigger, and was not refused.
    pub triggered: BTreeMap<Trigger, usize>,
    /// How often a seal fell, settled or went within a step of somebody else or around one, and how
    /// often its commit met trouble.
    pub races: BTreeMap<&'static str, usize>,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.seals += other.seals;
        self.withdrawn += other.withdrawn;
        self.late += other.late;
        self.restored += other.restored;
        self.exposed += other.exposed;
        self.shown += other.shown;
        self.brought += other.brought;
        self.sent_on += other.sent_on;
        self.freed += other.freed;
        self.kept += other.kept;
        self.removed += other.removed;
        self.kills += other.kills;
        for (trigger, count) in other.triggered {
            *self.triggered.entry(trigger).or_default() += count;
        }
        for (with, count) in other.races {
            *self.races.entry(with).or_default() += count;
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The step after which it showed.
    pub step: usize,
    /// What was broken.
    pub what: String,
    /// What had happened, where a trace was kept.
    pub trace: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {}, step {}: {}", self.seed, self.step, self.what)
    }
}

/// Runs one seed; the trace is empty unless one was asked for.
pub fn run(seed: u64, options: Options) -> Result<(Summary, Vec<String>), Failure> {
    sim::run(seed, options)
}
