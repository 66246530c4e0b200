//! Random histories of two sessions on one mailbox: a client that applies every untagged response
//! always has what the server has, with and without QRESYNC, and after having been away.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{BOB, Client, House};
use tern_base::{Entropy, SeededEntropy};
use tern_mailbox::INBOX;

type Flags = BTreeSet<String>;

/// What a client knows of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slot {
    uid: Option<u32>,
    flags: Option<Flags>,
}

/// A client that believes the server.
struct Model {
    client: Client,
    qresync: bool,
    slots: Vec<Slot>,
    exists: usize,
    selected: bool,
    uid_validity: u32,
    highest: u64,
    idle: bool,
    log: Vec<String>,
}

impl Model {
    fn new(house: &mut House, qresync: bool) -> Self {
        let mut model = Self {
            client: Client::login(house),
            qresync,
            slots: Vec::new(),
            exists: 0,
            selected: false,
            uid_validity: 0,
            highest: 0,
            idle: false,
            log: Vec::new(),
        };
        if qresync {
            model.ask(house, "ENABLE QRESYNC");
        }
        model.select(house);
        model
    }

    fn ask(&mut self, house: &mut House, command: &str) -> String {
        self.log.push(format!("C: {command}"));
        let line = match command {
            "DONE" => command.to_owned(),
            _ => format!("t {command}"),
        };
        let output = self.client.ask(house, &line);
        self.apply(&output);
        output
    }

    /// A notification, and what it brings.
    fn notify(&mut self, house: &mut House) {
        self.client.notify(house);
        let output = std::mem::take(&mut self.client.output);
        assert!(
            self.idle || output.is_empty(),
            "unasked: {}",
            output.escape_ascii()
        );
        self.apply(&String::from_utf8_lossy(&output));
    }

    fn select(&mut self, house: &mut House) {
        if self.qresync && self.uid_validity != 0 {
            let known: Vec<String> = self.uids().map(|uid| uid.to_string()).collect();
            let known = if known.is_empty() {
                "1".into()
            } else {
                known.join(",")
            };
            let pairs = self.pairs();
            let (validity, modseq) = (self.uid_validity, self.highest);
            self.ask(
                house,
                &format!("SELECT INBOX (QRESYNC ({validity} {modseq} {known}{pairs}))"),
            );
        } else {
            self.slots.clear();
            self.ask(house, "SELECT INBOX");
        }
        self.selected = true;
        self.complete(house);
    }

    /// Sequence match data (RFC 7162 3.2.5.2), for every other message.
    fn pairs(&self) -> String {
        let pairs: Vec<(usize, u32)> = (1..).zip(self.uids()).step_by(2).collect();
        if pairs.is_empty() {
            return String::new();
        }
        let join = |numbers: Vec<String>| numbers.join(",");
        let numbers = join(pairs.iter().map(|(number, _)| number.to_string()).collect());
        let uids = join(pairs.iter().map(|(_, uid)| uid.to_string()).collect());
        format!(" ({numbers} {uids})")
    }

    /// A silent store is told nothing of: the client knows itself what it made of the flags.
    fn take_for_done(&mut self, by_uid: bool, set: &str, sign: &str, flag: &str) {
        let named: Vec<u32> = set
            .split(',')
            .map(|number| number.parse().unwrap())
            .collect();
        for (number, slot) in (1..).zip(&mut self.slots) {
            let name = if by_uid { slot.uid } else { Some(number) };
            let flags = slot.flags.as_mut();
            let Some(flags) = flags.filter(|_| name.is_some_and(|name| named.contains(&name)))
            else {
                continue;
            };
            match sign {
                "-" => {
                    flags.remove(flag);
                }
                sign => {
                    if sign.is_empty() {
                        flags.clear();
                    }
                    flags.insert(flag.to_owned());
                }
            }
        }
    }

    fn uids(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().filter_map(|slot| slot.uid)
    }

    /// Asks for what it does not know of new messages.
    fn complete(&mut self, house: &mut House) {
        for _ in 0..4 {
            let unknown = |slot: &Slot| slot.uid.is_none() || slot.flags.is_none();
            let Some(first) = self.slots.iter().position(unknown) else {
                return;
            };
            let from = first + 1;
            let answer = self.ask(house, &format!("FETCH {from}:* (UID FLAGS)"));
            if answer.contains("EXPUNGEISSUED") {
                self.ask(house, "NOOP");
            }
        }
    }

    fn apply(&mut self, output: &str) {
        let mut lines = output.split_terminator("\r\n");
        let mut newest = self.highest;
        let mut told = None;
        while let Some(line) = lines.next() {
            let mut line = line.to_owned();
            // The one literal that this client asks for has no line end in it.
            while line.ends_with('}') {
                line.push_str(lines.next().unwrap());
            }
            self.log.push(format!("S: {line}"));
            assert!(!line.contains(" BAD "), "{}", self.story());
            if let Some((_, rest)) = line.split_once("[HIGHESTMODSEQ ") {
                told = rest.split(']').next().unwrap().parse().ok();
            }
            if let Some((_, rest)) = line.split_once("[UIDVALIDITY ") {
                self.uid_validity = rest.split(']').next().unwrap().parse().unwrap();
            }
            if let Some(modseq) = self.untagged(&line) {
                newest = newest.max(modseq);
            }
        }
        // RFC 7162 3.2.4: what the server says goes before what was seen.
        self.highest = told.unwrap_or(newest);
    }

    /// Applies one response; the mod-sequence that it has.
    fn untagged(&mut self, line: &str) -> Option<u64> {
        let rest = line.strip_prefix("* ")?;
        if let Some(set) = rest.strip_prefix("VANISHED ") {
            let earlier = set.strip_prefix("(EARLIER) ");
            self.vanished(earlier.unwrap_or(set));
            match earlier {
                // RFC 7162 3.2.10.1: EXISTS counted these out already.
                Some(_) => self.slots.resize(self.exists, Slot::default()),
                None => self.exists = self.slots.len(),
            }
            return None;
        }
        let (number, rest) = rest.split_once(' ')?;
        let number: usize = number.parse().ok()?;
        if rest == "EXISTS" {
            assert!(
                number >= self.uids().count() || self.qresync,
                "{}",
                self.story()
            );
            self.exists = number;
            // Before VANISHED (EARLIER) a resynchronising client may have more than there are.
            if number > self.slots.len() {
                self.slots.resize(number, Slot::default());
            }
            return None;
        }
        if rest == "EXPUNGE" {
            assert!(
                !self.qresync && number <= self.slots.len(),
                "{}",
                self.story()
            );
            self.slots.remove(number - 1);
            self.exists = self.slots.len();
            return None;
        }
        let items = rest.strip_prefix("FETCH ")?;
        assert!(number <= self.slots.len(), "{}", self.story());
        let word = |name: &str| -> Option<&str> {
            let start = items.find(name)? + name.len();
            items[start..].split([' ', ')']).next()
        };
        let slot = &mut self.slots[number - 1];
        if let Some(uid) = word("UID ") {
            let uid = uid.parse().ok();
            let same = slot.uid.is_none() || slot.uid == uid;
            slot.uid = uid;
            assert!(same, "{}", self.story());
        }
        let slot = &mut self.slots[number - 1];
        if let Some(start) = items.find("FLAGS (") {
            let list = items[start + 7..].split(')').next().unwrap();
            slot.flags = Some(list.split_ascii_whitespace().map(str::to_owned).collect());
        }
        word("MODSEQ (").and_then(|modseq| modseq.parse().ok())
    }

    fn vanished(&mut self, set: &str) {
        for range in set.split(',') {
            let (from, to) = range.split_once(':').unwrap_or((range, range));
            let (from, to): (u32, u32) = (from.parse().unwrap(), to.parse().unwrap());
            for uid in from..=to {
                let known = self.slots.iter().position(|slot| slot.uid == Some(uid));
                // One that it has not asked for yet is some unknown one between its neighbours:
                // they are all alike.
                let before = |slot: &Slot| slot.uid.is_some_and(|known| known < uid);
                let start = self.slots.iter().rposition(before).map_or(0, |at| at + 1);
                let is_unknown = |at: &usize| self.slots[*at].uid.is_none();
                let unknown = (start..self.slots.len()).take_while(is_unknown).next();
                if let Some(at) = known.or(unknown) {
                    self.slots.remove(at);
                }
            }
        }
    }

    fn story(&self) -> String {
        self.log.join("\n")
    }

    /// Compares with the server, at a moment at which all was told.
    fn compare(&mut self, house: &mut House) {
        self.ask(house, "NOOP");
        self.complete(house);
        self.ask(house, "NOOP");
        let view = house.mailboxes.view(BOB, INBOX).unwrap();
        let names = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];
        let server: Vec<Slot> = view
            .iter()
            .map(|entry| {
                let bits = entry.flags.system_bits();
                let system = (0..5)
                    .filter(|bit| bits & (1 << bit) != 0)
                    .map(|bit| names[bit]);
                let all = system.chain(entry.flags.keywords());
                Slot {
                    uid: Some(entry.uid.0),
                    flags: Some(all.map(str::to_owned).collect()),
                }
            })
            .collect();
        assert_eq!(self.slots, server, "{}", self.story());
    }
}

fn set(entropy: &mut SeededEntropy, numbers: &[u32]) -> Option<String> {
    if numbers.is_empty() {
        return None;
    }
    let mut pick = || numbers[entropy.below(numbers.len() as u64) as usize];
    Some(format!("{},{}", pick(), pick()))
}

/// A client that waits or is away comes back some time.
fn is_busy(model: &mut Model, house: &mut House, dice: &mut SeededEntropy) -> bool {
    if model.selected && !model.idle {
        return false;
    }
    if dice.below(3) == 0 {
        if std::mem::take(&mut model.idle) {
            model.ask(house, "DONE");
            model.complete(house);
        } else {
            model.select(house);
        }
    }
    true
}

/// One thing that a client does.
fn act(model: &mut Model, house: &mut House, dice: &mut SeededEntropy) {
    if is_busy(model, house, dice) {
        return;
    }
    let by_uid = dice.below(2) == 0;
    let numbers: Vec<u32> = if by_uid {
        model.uids().collect()
    } else {
        (1..=u32::try_from(model.slots.len()).unwrap()).collect()
    };
    let (uid, set) = (if by_uid { "UID " } else { "" }, set(dice, &numbers));
    let flag = ["\\Seen", "\\Flagged", "\\Deleted", "$A", "$B"][dice.below(5) as usize];
    let silent = ["", ".SILENT"][dice.below(2) as usize];
    let sign = ["+", "-", ""][dice.below(3) as usize];
    match (dice.below(14), set) {
        (0..=3, Some(set)) => {
            if !silent.is_empty() {
                model.take_for_done(by_uid, &set, sign, flag);
            }
            model.ask(
                house,
                &format!("{uid}STORE {set} {sign}FLAGS{silent} ({flag})"),
            );
        }
        (4, Some(set)) => {
            model.ask(house, &format!("{uid}FETCH {set} (BODY[TEXT]<0.1>)"));
        }
        (12..=13, Some(_)) => {
            // Away at once, with expunges of the other perhaps held back.
            model.ask(house, &format!("STORE 1:* +FLAGS ({flag})"));
            model.ask(house, "UNSELECT");
            model.selected = false;
            return;
        }
        (5, Some(set)) => {
            model.ask(house, &format!("{uid}MOVE {set} Trash"));
        }
        (6, Some(set)) => {
            model.ask(house, &format!("{uid}COPY {set} INBOX"));
        }
        (7, _) => {
            model.ask(house, "EXPUNGE");
        }
        (8, _) => {
            model.ask(house, "UID SEARCH UNDELETED");
            model.ask(house, "SEARCH TEXT x");
        }
        (9, _) => {
            model.ask(house, "IDLE");
            model.idle = true;
            return;
        }
        (10, _) => {
            model.ask(house, "UNSELECT");
            model.selected = false;
            return;
        }
        _ => {
            let content = format!("Subject: {}\r\n\r\nx\r\n", dice.below(1_000_000));
            model.client.append(house, "INBOX", "", content.as_bytes());
            let output = std::mem::take(&mut model.client.output);
            model.apply(&String::from_utf8_lossy(&output));
        }
    }
    model.complete(house);
}

fn history(seed: u64, qresync: [bool; 2]) {
    history_of(House::new(), seed, qresync);
}

fn history_of(mut house: House, seed: u64, qresync: [bool; 2]) {
    let mut dice = SeededEntropy::new(seed);
    let mut models: BTreeMap<usize, Model> = BTreeMap::new();
    for (who, qresync) in qresync.into_iter().enumerate() {
        models.insert(who, Model::new(&mut house, qresync));
    }
    for _ in 0..60 {
        house.mailboxes.trim_log(BOB).unwrap();
        let who = dice.below(2) as usize;
        act(models.get_mut(&who).unwrap(), &mut house, &mut dice);
        models.get_mut(&(1 - who)).unwrap().notify(&mut house);
        if dice.below(8) == 0 {
            let model = models.get_mut(&who).unwrap();
            if model.selected && !model.idle {
                model.compare(&mut house);
            }
        }
    }
    for model in models.values_mut() {
        if std::mem::take(&mut model.idle) {
            model.ask(&mut house, "DONE");
        }
        if !model.selected {
            model.select(&mut house);
        }
        model.compare(&mut house);
    }
    house.check();
}

#[test]
fn two_clients_know_what_the_server_knows() {
    for seed in 0..150 {
        history(seed, [false, false]);
    }
}

#[test]
fn and_where_the_changes_that_they_missed_are_forgotten() {
    for seed in 2_000..2_100 {
        let mut house = House::new();
        let mailboxes = common::open(&house.engine).remembering(seed % 8);
        house.reopen_as(mailboxes.into_opened());
        history_of(house, seed, [seed % 2 == 0, true]);
    }
}

#[test]
fn with_quick_resync_too() {
    for seed in 1_000..1_200 {
        history(seed, [true, seed % 2 == 0]);
    }
}
