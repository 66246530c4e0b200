//! The run: one thread, one seed, a clock that moves when the simulation says so.
//!
//! Every step lets one actor do one thing; at the engine's points another actor may do one thing
//! inside it. After each outermost step the oracle compares what is durable with what was
//! permitted and promised.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use tern_base::{AccountId, ContentDigest, Fault, SeededEntropy, Timestamp};
use tern_mailbox::SealTag;
use tern_policy::PolicySet;
use tern_session::{Credentials, Verified};
use tern_store::{Batch, MemEngine, Operation};

use crate::actors::{self, Actor};
use crate::dice::Dice;
use crate::engine::{Fate, SimEngine, Watch};
use crate::listed::Received;
use crate::oracle::Oracle;
use crate::server::{self, Server};
use crate::{Failure, Options, Sabotage, Summary};

/// When the simulated world begins: 2026-11-21T22:06:00Z.
const BEGIN: Timestamp = Timestamp(1_795_298_760_000);
/// How deep one actor runs inside another's step.
const MAX_DEPTH: usize = 2;

/// How often things go wrong in this run, in a thousand: every seed draws its own mix, so that
/// some runs are quiet and some are full of one kind of trouble.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) conflict: usize,
    pub(crate) full: usize,
    pub(crate) unknown: usize,
    pub(crate) kill: usize,
    pub(crate) interleave: usize,
    pub(crate) cut: usize,
}

impl Trouble {
    fn drawn(dice: &mut Dice) -> Self {
        let mut of = |levels: &[usize]| dice.pick(levels).unwrap_or(0);
        Self {
            conflict: of(&[0, 20, 100]),
            full: of(&[0, 0, 15]),
            unknown: of(&[0, 0, 15, 50]),
            kill: of(&[0, 0, 4, 12]),
            interleave: of(&[0, 60, 200]),
            cut: of(&[0, 20, 80]),
        }
    }
}

/// Everything of one run.
pub(crate) struct Sim {
    pub(crate) options: Options,
    pub(crate) dice: RefCell<Dice>,
    pub(crate) oracle: RefCell<Oracle>,
    pub(crate) trouble: Cell<Trouble>,
    now: Cell<Timestamp>,
    server: RefCell<Rc<Server>>,
    policy: Arc<PolicySet>,
    actors: RefCell<Vec<Option<Box<dyn Actor>>>>,
    depth: Cell<usize>,
    /// Whether the oracle looks: nobody else acts, and nothing goes wrong.
    looking: Cell<bool>,
    step: Cell<usize>,
    trace: RefCell<Vec<String>>,
    /// Whether content is arriving: for the sabotage that hides tombstones from it.
    arriving: Cell<bool>,
    /// Every seal so far: for the sabotage that forgets them.
    sealed: RefCell<Vec<(ContentDigest, SealTag)>>,
    kills: Cell<usize>,
    /// Who is at it, each within a step of the one before.
    acting: RefCell<Vec<&'static str>>,
    /// Who has been at it since the outermost step began.
    within: RefCell<Vec<&'static str>>,
    /// How often a seal was changed within a step of whom or around it, or came upon what.
    races: RefCell<BTreeMap<&'static str, usize>>,
    /// What a mailing list elsewhere was sent.
    pub(crate) listed: RefCell<Vec<Received>>,
}

impl Sim {
    pub(crate) fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// What the shell would answer: everybody who has an account knows its password.
    pub(crate) fn verify(&self, credentials: &Credentials) -> Verified {
        let login = &credentials.login;
        let found = self.oracle.borrow().people.named(login);
        found.map_or(Verified::Refused, |account| {
            credentials.accepted(account, login.clone(), None)
        })
    }

    pub(crate) fn server(&self) -> Rc<Server> {
        Rc::clone(&self.server.borrow())
    }

    pub(crate) fn below(&self, bound: usize) -> usize {
        self.dice.borrow_mut().below(bound)
    }

    pub(crate) fn chance(&self, per_mille: usize) -> bool {
        self.dice.borrow_mut().chance(per_mille)
    }

    pub(crate) fn pick<T: Clone>(&self, of: &[T]) -> Option<T> {
        self.dice.borrow_mut().pick(of)
    }

    pub(crate) fn entropy(&self) -> SeededEntropy {
        self.dice.borrow_mut().entropy()
    }

    /// Whether the process that an actor talks to is gone.
    pub(crate) fn is_dead(&self) -> bool {
        self.server.borrow().engine.is_dead()
    }

    /// An error that is the server's own fault is a broken promise by itself: no trouble here
    /// damages a row. Everything else may happen.
    pub(crate) fn server_fault(&self, what: &str, fault: Fault, error: &dyn std::fmt::Display) {
        if fault == Fault::Ours && !self.is_dead() {
            self.oracle.borrow_mut().broke(format!("{what}: {error}"));
        }
    }

    /// Adds a line to the trace, where one is kept.
    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        if self.options.trace {
            let depth = ">".repeat(self.depth.get());
            let text = format!("{:4} {depth}{}", self.step.get(), line());
            self.trace.borrow_mut().push(text);
        }
    }

    fn start(seed: u64, options: Options) -> Result<Rc<Self>, String> {
        let mut dice = Dice::new(seed);
        let mem = MemEngine::new();
        server::found(&mem, BEGIN)?;
        let engine = SimEngine::over(mem);
        let oracle = Oracle::new(engine.durable())?;
        let policy = server::policy(dice.chance(400));
        let server = Server::open(engine, &policy).map_err(|error| error.to_string())?;
        let trouble = Trouble::drawn(&mut dice);
        let actors = actors::cast(&mut dice);
        Ok(Rc::new(Self {
            options,
            dice: RefCell::new(dice),
            oracle: RefCell::new(oracle),
            trouble: Cell::new(trouble),
            now: Cell::new(BEGIN),
            server: RefCell::new(Rc::new(server)),
            policy,
            actors: RefCell::new(actors.into_iter().map(Some).collect()),
            depth: Cell::new(0),
            looking: Cell::new(false),
            step: Cell::new(0),
            trace: RefCell::default(),
            arriving: Cell::new(false),
            sealed: RefCell::default(),
            kills: Cell::new(0),
            acting: RefCell::default(),
            within: RefCell::default(),
            races: RefCell::default(),
            listed: RefCell::default(),
        }))
    }

    /// Lets one actor do one thing.
    fn act(&self) {
        let slot = {
            let actors = self.actors.borrow();
            let present: Vec<usize> = (0..actors.len()).filter(|n| actors[*n].is_some()).collect();
            self.dice.borrow_mut().pick(&present)
        };
        let Some(slot) = slot else { return };
        let Some(mut actor) = self.actors.borrow_mut()[slot].take() else {
            return;
        };
        if !self.is_served(&*actor) {
            return;
        }
        self.acting.borrow_mut().push(actor.name());
        self.within.borrow_mut().push(actor.name());
        actor.step(self);
        self.acting.borrow_mut().pop();
        self.actors.borrow_mut()[slot] = Some(actor);
    }

    /// Whether an actor's account, where it is the client of one, is there: the shell has cut off all
    /// others.
    fn is_served(&self, actor: &dyn Actor) -> bool {
        let account = actor.account();
        account.is_none_or(|account| self.oracle.borrow().people.is_there(account))
    }

    /// Somebody new sits down.
    pub(crate) fn seat(&self, account: AccountId) {
        let name = self.name_of(account);
        let clients = actors::clients(account, name, &mut self.dice.borrow_mut());
        self.actors
            .borrow_mut()
            .extend(clients.into_iter().map(Some));
    }

    /// The name of an account, also of one that is gone.
    pub(crate) fn name_of(&self, account: AccountId) -> &'static str {
        self.oracle.borrow().people.name_of(account)
    }

    /// One outermost step, and its check.
    fn one_step(&self, settling: bool) -> Result<(), String> {
        self.step.set(self.step.get() + 1);
        let pause = match self.chance(20) {
            true => 3_600_000 * (1 + self.below(5) as u64),
            false => self.below(20_000) as u64,
        };
        if !settling {
            self.now.set(self.now().plus_millis(pause));
        }
        self.within.borrow_mut().clear();
        self.act();
        self.looking.set(true);
        let killed = self.is_dead();
        if killed {
            self.restart()?;
        }
        self.oracle.borrow_mut().check_step(&self.server())?;
        if killed {
            let server = self.server();
            self.oracle.borrow_mut().check_whole(&server, false)?;
        }
        self.looking.set(false);
        Ok(())
    }

    /// The next process: every session and handle of the old one is gone.
    fn restart(&self) -> Result<(), String> {
        self.tell(|| "killed and started again".to_owned());
        self.kills.set(self.kills.get() + 1);
        for actor in self.actors.borrow_mut().iter_mut().flatten() {
            actor.killed(self);
        }
        let engine = self.server.borrow().engine.restarted();
        self.oracle.borrow_mut().restarted(engine.durable())?;
        let server = Server::open(engine, &self.policy).map_err(|error| error.to_string())?;
        *self.server.borrow_mut() = Rc::new(server);
        Ok(())
    }

    /// No more trouble and nothing new: what was begun is finished.
    fn settle(&self) -> Result<(), String> {
        self.trouble.set(Trouble::default());
        self.tell(|| "settling".to_owned());
        for actor in self.actors.borrow_mut().iter_mut().flatten() {
            actor.retire(self);
        }
        for _ in 0..3 {
            self.now.set(self.now().plus_millis(3_600_000));
            let count = self.actors.borrow().len();
            for slot in 0..count {
                let Some(mut actor) = self.actors.borrow_mut()[slot].take() else {
                    continue;
                };
                if !self.is_served(&*actor) {
                    continue;
                }
                actor.settle(self);
                self.actors.borrow_mut()[slot] = Some(actor);
                self.oracle.borrow_mut().check_step(&self.server())?;
            }
        }
        self.oracle.borrow_mut().check_whole(&self.server(), true)
    }

    fn play(&self) -> Result<(), String> {
        for _ in 0..self.options.steps {
            self.one_step(false)?;
        }
        self.settle()
    }
}

/// Whether a seal falls, settles or is taken away.
fn is_seal(operation: &Operation) -> bool {
    match operation {
        Operation::Put(key, value) => tern_mailbox::sealed_by_row(key, Some(value)).is_some(),
        Operation::Delete(key) => tern_mailbox::sealed_by_row(key, None).is_some(),
        _ => false,
    }
}

impl Sim {
    /// Whoever changed a seal now has met everybody else of the outermost step.
    fn raced_with_others(&self) {
        let Some(own) = self.acting.borrow().last().copied() else {
            return;
        };
        let mut others = self.within.borrow().clone();
        if let Some(itself) = others.iter().rposition(|name| *name == own) {
            others.remove(itself);
        }
        others.into_iter().for_each(|other| self.raced(other));
    }

    /// A seal and somebody else have met.
    fn raced(&self, with: &'static str) {
        *self.races.borrow_mut().entry(with).or_default() += 1;
    }

    /// Where that is the sabotage: again and again, as the server asks the rows again and again.
    fn forget_seals(&self) {
        if self.options.sabotage == Sabotage::ForgetSeals {
            let server = self.server.borrow();
            for (digest, tag) in self.sealed.borrow().iter() {
                server.sealing.forget_seal(*digest, *tag);
            }
        }
    }
}

impl Watch for Sim {
    fn before_snapshot(&self) {
        self.forget_seals();
        let trouble = self.trouble.get();
        // Rarer than at commits: there are many more snapshots.
        let may = !self.looking.get() && self.depth.get() < MAX_DEPTH;
        if may && self.chance(trouble.interleave / 10) {
            self.nested();
        }
    }

    fn before_commit(&self, batch: &Batch) -> Fate {
        if self.looking.get() {
            return Fate::Through;
        }
        let trouble = self.trouble.get();
        if self.depth.get() < MAX_DEPTH && self.chance(trouble.interleave) {
            self.nested();
        }
        if self.options.sabotage.swallows(batch) {
            return Fate::Swallowed;
        }
        let fates = [
            (trouble.conflict, Fate::Conflict),
            (trouble.full, Fate::Full),
            (trouble.unknown, Fate::UnknownApplied),
            (trouble.unknown, Fate::UnknownDropped),
            (trouble.kill, Fate::KilledBefore),
            (trouble.kill, Fate::KilledAfter),
        ];
        for (per_mille, fate) in fates {
            if per_mille > 0 && self.chance(per_mille) {
                self.tell(|| format!("commit: {fate:?}"));
                if batch.operations().iter().any(is_seal) {
                    self.raced(match fate {
                        Fate::Full => "a full disk",
                        Fate::KilledBefore | Fate::KilledAfter => "a kill",
                        Fate::Conflict => "a conflict",
                        _ => "a lost answer",
                    });
                }
                return fate;
            }
        }
        Fate::Through
    }

    fn committed(&self, operations: &[Operation]) {
        let tags = self.oracle.borrow_mut().committed(operations, self.now());
        for (digest, tag) in tags {
            self.tell(|| format!("seal of {digest} changed"));
            self.raced_with_others();
            self.sealed.borrow_mut().push((digest, tag));
        }
        self.forget_seals();
    }

    fn hides(&self, key: &[u8]) -> bool {
        let hide = self.options.sabotage == Sabotage::HideTombstones;
        hide && self.arriving.get() && crate::sabotage::is_seal(key)
    }

    fn leaves_out(&self, operation: &Operation, batch: &Batch) -> bool {
        !self.looking.get() && self.options.sabotage.leaves_out(operation, batch)
    }
}

impl Sim {
    /// Calls the server with content that is to be stored.
    pub(crate) fn arrival<T>(&self, bring: impl FnOnce() -> T) -> T {
        self.arriving.set(true);
        let outcome = bring();
        self.arriving.set(false);
        outcome
    }

    /// Runs another actor's step inside the one that is at a point of the engine.
    fn nested(&self) {
        if self.is_dead() {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        self.act();
        self.depth.set(self.depth.get() - 1);
    }
}

/// Runs one seed.
pub(crate) fn run(seed: u64, options: Options) -> Result<(Summary, Vec<String>), Failure> {
    let fail = |what: String, step: usize, trace: Vec<String>| Failure {
        seed,
        step,
        what,
        trace,
    };
    let sim = Sim::start(seed, options).map_err(|what| fail(what, 0, Vec::new()))?;
    let watch: Rc<dyn Watch> = Rc::<Sim>::clone(&sim);
    let watching = crate::engine::Watching::begin(watch);
    let outcome = sim.play();
    drop(watching);
    let trace = sim.trace.take();
    match outcome {
        Ok(()) => {
            let mut summary = sim.oracle.borrow().summary(sim.kills.get());
            summary.races = sim.races.take();
            Ok((summary, trace))
        }
        Err(what) => Err(fail(what, sim.step.get(), trace)),
    }
}
