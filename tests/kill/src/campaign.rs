//! The campaign: load, kill, start, look, again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tern_interop::house::{DOMAIN, address, password};
use tern_interop::wait::until_or;
use tern_interop::{DEADLINE, Tern};

use crate::ledger::{Ledger, Said};
use crate::load::{Load, RECIPIENTS, sender};
use crate::random::Random;
use crate::session::imap;
use crate::sink::Sink;
use crate::verify::{
    Outside, is_settled, judge, judge_exposure, judge_outside, look, outcome_in, recalls,
};

/// How the campaign is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many kills.
    pub kills: u64,
    /// What every random choice follows from; the timing of threads does not.
    pub seed: u64,
    /// The store is checked offline after every so many kills.
    pub check_every: u64,
    /// Print a line for each kill.
    pub verbose: bool,
}

/// What was done, and what was wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Kills.
    pub kills: u64,
    /// Submissions that were acknowledged.
    pub submitted: usize,
    /// APPENDs that were acknowledged.
    pub appended: usize,
    /// MOVEs that were acknowledged.
    pub moved: usize,
    /// COPYs that were acknowledged.
    pub copied: usize,
    /// Messages that were fetched under load.
    pub fetched: u64,
    /// Of those that were taken back, how many had been fetched before, and are told of as exposed.
    pub exposed: usize,
    /// Messages that another server took.
    pub relayed: usize,
    /// Recalls that were asked for and acknowledged.
    pub recalled: usize,
    /// Recalls whose report was seen before the kill.
    pub reported: usize,
    /// Restores that were acknowledged.
    pub restored: usize,
    /// Expunges that were pushed to a session in IDLE.
    pub expunged: usize,
    /// Verbs that the kill cut off.
    pub cut_off: usize,
    /// Messages that everybody has at the end.
    pub messages: usize,
    /// The longest start after a kill.
    pub slowest_start: Duration,
    /// Everything that was not as it must be.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kills                       {}", self.kills)?;
        writeln!(f, "acknowledged: submissions   {}", self.submitted)?;
        writeln!(f, "              appends       {}", self.appended)?;
        writeln!(f, "              moves         {}", self.moved)?;
        writeln!(f, "              copies        {}", self.copied)?;
        writeln!(f, "relayed to another server    {}", self.relayed)?;
        writeln!(
            f,
            "              recalls       {} ({} reported)",
            self.recalled, self.reported
        )?;
        writeln!(f, "              restores      {}", self.restored)?;
        writeln!(f, "fetched whole under load    {}", self.fetched)?;
        writeln!(f, "exposed, then taken back    {}", self.exposed)?;
        writeln!(f, "expunges pushed             {}", self.expunged)?;
        writeln!(f, "verbs cut off by a kill     {}", self.cut_off)?;
        writeln!(f, "messages at the end         {}", self.messages)?;
        writeln!(
            f,
            "slowest start               {} ms",
            self.slowest_start.as_millis()
        )?;
        writeln!(f, "violations                  {}", self.violations.len())?;
        self.violations
            .iter()
            .try_for_each(|violation| writeln!(f, "  {violation}"))
    }
}

/// What is known besides the server: what it was asked and said, and what left it.
struct Books {
    ledger: Arc<Mutex<Ledger>>,
    sink: Sink,
}

/// Everybody may send a password in the clear: the load is not about TLS.
const CONFIGURATION: &str = "[smtp]\nauth_without_tls = true\nsubmission_requires_tls = false\n\
    [imap]\nauth_without_tls = true\n";

/// Latest kill after the load begins, in milliseconds.
const LATEST_MS: u64 = 400;

/// Runs the campaign against the binary in `TERN_BIN`. Stops at the first kill that leaves
/// something wrong. Panics when the server can't be started or the command line fails.
pub fn run(options: &Options) -> Report {
    let mut random = Random::new(options.seed);
    let sink = Sink::start();
    let route = format!("routes = {{ \"*\" = \"{}\" }}", sink.address());
    let mut tern = Tern::routed(&route, CONFIGURATION);
    tern.serve();
    tern.add_domain(DOMAIN);
    for name in RECIPIENTS.into_iter().chain(["alice"]) {
        tern.add_account(&address(name), &password(name));
    }
    make_folders(&tern);
    let books = Books {
        ledger: Arc::new(Mutex::new(Ledger::default())),
        sink,
    };
    let mut report = Report::default();
    for round in 0..options.kills {
        tern = one_kill(tern, &books, round, options, &mut random, &mut report);
        if !report.violations.is_empty() {
            return report;
        }
    }
    tern.stop();
    check_offline(&tern, &mut report);
    report
}

fn make_folders(tern: &Tern) {
    for (name, folder) in [("carol", "Box"), ("dave", "Copies"), ("dave", "Archive")] {
        let mut line = imap(tern, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        // It may be there from the start.
        let _ = line.imap(&format!("CREATE {folder}"));
        let selected = line.imap(&format!("EXAMINE {folder}"));
        assert!(
            selected.is_ok_and(|reply| reply.is_ok()),
            "{name} has no {folder}"
        );
    }
}

/// Load, kill, start, look.
fn one_kill(
    tern: Tern,
    books: &Books,
    round: u64,
    options: &Options,
    random: &mut Random,
    report: &mut Report,
) -> Tern {
    let name = sender(round);
    tern.add_account(&address(&name), &password(&name));
    let tern = Arc::new(tern);
    let load = Load::prepare(&tern, &books.ledger, round, random);
    let after = Duration::from_micros(random.below(LATEST_MS * 1_000));
    load.begin();
    wait_for(after);
    tern.kill_now();
    let unexpected = load.end();
    let Some(mut tern) = Arc::into_inner(tern) else {
        panic!("a worker still runs")
    };
    tern.kill();
    report.kills += 1;
    report.violations.extend(unexpected);
    if (round + 1).is_multiple_of(options.check_every.max(1)) {
        check_offline(&tern, report);
    }
    let started = tern.serve();
    report.slowest_start = report.slowest_start.max(started);
    verify(&tern, books, round, report);
    if options.verbose {
        let after = after.as_millis();
        println!(
            "kill {round} after {after} ms: start {} ms, {} submitted, {} recalled, {} messages",
            started.as_millis(),
            report.submitted,
            report.recalled,
            report.messages
        );
    }
    tern
}

/// Lets the load run for exactly as long as the random choice says: this is no wait for anything.
fn wait_for(time: Duration) {
    let (_sender, receiver) = channel::<()>();
    let _ = receiver.recv_timeout(time);
}

fn check_offline(tern: &Tern, report: &mut Report) {
    for words in [&["check"][..], &["audit", "verify"]] {
        let said = tern.tern(words, "");
        if said.status != 0 {
            report.violations.push(format!("offline: {said}"));
        }
    }
}

fn verify(tern: &Tern, books: &Books, round: u64, report: &mut Report) {
    let mut ledger = books.ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let started = Instant::now();
    let mut states = recalls(tern);
    let settled = until_or(DEADLINE, || {
        states = recalls(tern);
        is_settled(&ledger, &states, round).then_some(())
    });
    if settled.is_none() {
        let waited = started.elapsed();
        report.violations.push(format!(
            "recalls are not settled after {waited:?}: {states:?}"
        ));
    }
    let found = look(tern, round);
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            report.violations.push(format!("nobody can look: {error}"));
            return;
        }
    };
    let text = |item: &Value, name: &str| item[name].as_str().map(str::to_owned);
    let waiting = |item: &Value| Some((text(item, "recipient")?, text(item, "state")?));
    let queue: BTreeMap<String, String> = tern.queue().iter().filter_map(waiting).collect();
    report.violations.extend(judge(&ledger, &found, &states));
    let told = |id: &str, name: &str| outcome_in(&tern.recall_status(id), name);
    let (exposed, wrong) = judge_exposure(&ledger, &states, round, told);
    report.exposed += exposed;
    report.violations.extend(wrong);
    report.violations.append(&mut ledger.contradictions);
    for (place, seen) in &found.seen {
        report
            .violations
            .extend(ledger.identities.look(place, seen));
    }
    let outside = Outside {
        queue,
        taken: books.sink.taken(),
    };
    let judged = judge_outside(&ledger, &states, &outside);
    report.violations.extend(judged);
    report.relayed = outside.taken.len();
    let is = |said: Option<Said>| said == Some(Said::Acknowledged);
    let asked = |said: Option<Said>| said == Some(Said::Asked);
    report.submitted = ledger.count(|s| s.said == Said::Acknowledged);
    report.appended = ledger
        .appended
        .values()
        .filter(|said| is(Some(**said)))
        .count();
    report.moved = ledger.count(|s| is(s.moved));
    report.copied = ledger.count(|s| is(s.copied));
    report.recalled = ledger.count(|s| is(s.recall));
    report.reported = ledger.count(|s| s.reported);
    report.restored = ledger.count(|s| is(s.restore));
    report.fetched = ledger.fetched;
    report.expunged = ledger.expunged.len();
    report.cut_off = ledger.count(|s| s.said == Said::Asked)
        + ledger.count(|s| asked(s.moved) || asked(s.copied))
        + ledger.count(|s| asked(s.recall) || asked(s.restore))
        + ledger
            .appended
            .values()
            .filter(|said| asked(Some(**said)))
            .count();
    report.messages = found.count();
}
