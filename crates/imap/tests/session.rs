//! Transcripts of whole sessions: `data/session/*.txt`.
//!
//! `C: ` is a line from the client (CRLF is added), `S: ` a line that the server must send next;
//! `C2: ` and `S2: ` are a second client of the same account, and so on. In a client's line `\r\n` is a line
//! end and `<<name>>` a literal with the octets of `data/messages/name.eml`. `! ` is something that
//! happens: `plain` or `tls` (a connection begins in a new house), `session` (somebody has logged
//! in, in a new house), `second` (another session of the same house, or of the one who is named), `share who
//! mailbox with rights`, `join who`, `leave who` (the group `team@example.org`), `drop who` (the account is
//! removed), `started` (the TLS handshake
//! is done), `accept`, `refuse`, `throttle`, `unavailable` (the answer to credentials, after their
//! check), `timeout`, `shutdown`, `revoke`, `close` (the session must be closed), `clock n` (n
//! seconds pass), `quota n` (octets), `memory n` (octets of literals), `full` and `room` (the disk),
//! `damage` and `repair` (rows of messages no longer say anything, and do again), `deliver name
//! ...` (into the inbox, not by a client; `seen:name` with that flag), `seal name`, `withdraw name`,
//! `exposure name level, ...` (of each copy), `ledger name client level eighths, ...` (of the first
//! copy, the bits of the eighths in hexadecimal), `passed name client state, ...` (who was told of its
//! withdrawal; before whose name stands that of somebody else who reads), `marked who n` (settings of `$Recall`
//! that are requests). After each line of one client the other is notified.
//!
//! Every transcript runs five times: each client line whole, octet by octet, and in pieces of 7; then whole
//! and in pieces again, where everything is compressed once somebody has logged in.
//! With `TERN_BLESS` set the server's lines are written anew, to be reviewed.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use std::fmt::Write as _;

use common::{BOB, Client, House, NOW, accept, facts};
use tern_mailbox::Grantee;
use tern_session::{Budget, Ending, Protocol as _, Verified};
use tern_store::mem::Injected;

struct Run {
    house: House,
    clients: Vec<Client>,
    /// What was damaged, as it was.
    damaged: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Run {
    fn new(kind: &str, compressed: bool) -> Self {
        let mut house = House::new();
        house.compressed = compressed;
        let client = match kind {
            "session" => Client::login(&mut house),
            kind => Client::new(&mut house, kind == "tls"),
        };
        Self {
            house,
            clients: vec![client],
            damaged: Vec::new(),
        }
    }

    fn event(&mut self, event: &str) {
        let (name, argument) = event.split_once(' ').unwrap_or((event, ""));
        let client = &mut self.clients[0];
        let outcome = match name {
            "second" | "share" | "join" | "leave" | "drop" => return self.others(name, argument),
            "started" => return client.session.tls_started(facts()),
            "timeout" => {
                client.session.end(Ending::TimedOut);
                return client.drive(&mut self.house);
            }
            "shutdown" => {
                client.session.end(Ending::Stopping);
                return client.drive(&mut self.house);
            }
            "revoke" => {
                client.session.end(Ending::Revoked);
                return client.drive(&mut self.house);
            }
            "memory" => {
                self.house.memory = Budget::new(argument.parse().unwrap());
                return;
            }
            "close" => return assert!(client.closed, "still open"),
            "clock" => {
                let secs: u64 = argument.parse().unwrap();
                self.house.now = self.house.now.plus_millis(secs * 1_000);
                return;
            }
            "quota" => {
                let octets = argument.parse().unwrap();
                return self.house.mailboxes.set_quota(BOB, octets).unwrap();
            }
            "full" => {
                let hook = Box::new(|_: &_| Some(Injected::Full));
                return self.house.engine.set_fault_hook(Some(hook));
            }
            "room" => return self.house.engine.set_fault_hook(None),
            "damage" => return self.damaged = self.house.damage(),
            "repair" => return self.house.repair(std::mem::take(&mut self.damaged)),
            "deliver" => {
                for name in argument.split(' ') {
                    let seen = name.strip_prefix("seen:");
                    let content = message(seen.unwrap_or(name));
                    self.house.deliver(content, seen.is_some());
                }
                return;
            }
            "seal" => {
                self.house.seal(&message(argument));
                return;
            }
            "withdraw" => {
                self.house.withdraw(&message(argument));
                return self.notify_all();
            }
            "exposure" | "ledger" | "passed" | "marked" => return self.look(name, argument),
            "accept" => accept(),
            "refuse" => Verified::Refused,
            "throttle" => Verified::Throttled,
            "unavailable" => Verified::Unavailable,
            other => panic!("what is {other}?"),
        };
        let asked = client.verifying.take();
        assert_eq!(asked.as_deref(), Some(argument), "credentials");
        client.verified(&mut self.house, outcome);
    }

    /// What others do.
    fn others(&mut self, what: &str, argument: &str) {
        match what {
            "second" => {
                let who = if argument.is_empty() { "bob" } else { argument };
                let second = Client::login_as(&mut self.house, who);
                return self.clients.push(second);
            }
            "share" => {
                let words: Vec<&str> = argument.split(' ').collect();
                let [owner, path, who, rights] = words[..] else {
                    panic!("share {argument}");
                };
                self.house.share(owner, path, who, rights);
            }
            "join" | "leave" => self.house.member(argument, what == "join"),
            _ => {
                let account = self.house.account(argument);
                let now = self.house.now;
                self.house.upkeep.remove_account(account, now).unwrap();
            }
        }
        self.notify_all();
    }

    fn look(&self, what: &str, argument: &str) {
        match what {
            "exposure" => self.exposure(argument),
            "ledger" => self.ledger(argument),
            "marked" => self.marked(argument),
            _ => self.passed(argument),
        }
    }

    fn ledger(&self, argument: &str) {
        let (name, expect) = argument.split_once(' ').unwrap();
        let digest = self.house.digest(&message(name));
        let sealing = &self.house.sealing;
        let first = sealing.exposures(digest).unwrap().into_iter().next();
        let servings = first.map_or_else(Vec::new, |(account, message, _)| {
            let ledger = sealing.ledger(account, message).unwrap();
            assert_eq!(ledger.others, None);
            ledger.servings
        });
        let told = servings.iter().map(|serving| {
            let client = match serving.client.as_str() {
                "" => "-",
                client => client,
            };
            let reader = self.reader(serving.device);
            let level = serving.level().unwrap().name();
            format!("{reader}{client} {level} {:02x}", serving.share.0)
        });
        let told: Vec<String> = told.collect();
        assert_eq!(
            told.join(", "),
            expect.trim_start_matches("none"),
            "of {name}"
        );
    }

    /// Who reads by rights that they were given, before what their client is called.
    fn reader(&self, device: tern_mailbox::DeviceId) -> String {
        let Some(reader) = device.reader() else {
            return String::new();
        };
        let name = self.house.sharing.name_of(Grantee::Account(reader));
        let name = name.unwrap().unwrap();
        format!("{}:", name.split('@').next().unwrap())
    }

    fn marked(&self, argument: &str) {
        let (who, expect) = argument.split_once(' ').unwrap();
        let marks = self.house.sealing.marked(self.house.account(who), 10);
        assert_eq!(marks.unwrap().len().to_string(), expect, "marks of {who}");
    }

    fn passed(&self, argument: &str) {
        let (name, expect) = argument.split_once(' ').unwrap();
        let message = self.house.vaulted(&message(name));
        let sealing = &self.house.sealing;
        let told = sealing.told_of_withdrawal(BOB, message).unwrap();
        let mut told: Vec<String> = told
            .iter()
            .map(|(id, device, passed)| {
                let reader = self.reader(*id);
                format!("{reader}{} {}", device.client.title(), passed.code())
            })
            .collect();
        told.sort();
        assert_eq!(told.join(", "), expect, "of {name}");
    }

    fn exposure(&self, argument: &str) {
        let (name, level) = argument.split_once(' ').unwrap();
        let digest = self.house.digest(&message(name));
        let known = self.house.sealing.exposures(digest).unwrap();
        let levels: Vec<String> = known
            .iter()
            .map(|(_, _, exposure)| {
                assert_eq!(
                    (exposure.protocol.as_str(), exposure.address.as_str()),
                    ("imap", "192.0.2.1")
                );
                let client = &exposure.client;
                let space = if client.is_empty() { "" } else { " " };
                format!("{}{space}{client}", exposure.level.name())
            })
            .collect();
        let expect: Vec<&str> = match level {
            "none" => Vec::new(),
            levels => levels.split(", ").collect(),
        };
        assert_eq!(levels, expect, "exposure of {name}");
    }

    fn notify_all(&mut self) {
        for client in &mut self.clients {
            client.notify(&mut self.house);
        }
    }

    fn send(&mut self, who: usize, line: &str, chunk: usize) {
        self.clients[who].send(&mut self.house, &octets_of(line), chunk);
        for (number, client) in self.clients.iter_mut().enumerate() {
            if number != who {
                client.notify(&mut self.house);
            }
        }
    }

    fn expect(&mut self, who: usize, line: &str) {
        // It is offered once.
        let offered = match self.clients[who].is_compressed() {
            true => " COMPRESS=DEFLATE",
            false => "",
        };
        let line = line.replace(offered, "");
        let output = &mut self.clients[who].output;
        let end = output.windows(2).position(|pair| pair == b"\r\n");
        let end = end.unwrap_or_else(|| panic!("nothing sent, expected {line}"));
        let sent: Vec<u8> = output.drain(..end + 2).collect();
        assert_eq!(show(&sent[..end]), line);
    }

    fn finish(&self) {
        for client in &self.clients {
            assert!(client.output.is_empty(), "{}", client.output.escape_ascii());
        }
        self.house.check();
    }
}

/// A line as the transcript shows it: control characters escaped.
fn show(octets: &[u8]) -> String {
    let mut out = String::new();
    for c in String::from_utf8_lossy(octets).chars() {
        match c {
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

fn message(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/tests/data/messages/{name}.eml",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(path).unwrap()
}

fn octets_of(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("<<") {
        let (name, after) = after.split_once(">>").unwrap();
        let content = message(name);
        out.extend_from_slice(before.replace("\\r\\n", "\r\n").as_bytes());
        out.extend_from_slice(format!("{{{}+}}\r\n", content.len()).as_bytes());
        out.extend_from_slice(&content);
        rest = after;
    }
    out.extend_from_slice(rest.replace("\\r\\n", "\r\n").as_bytes());
    out.extend_from_slice(b"\r\n");
    out
}

/// The client of a line, and the line without its prefix.
fn of_client(line: &str, prefix: char) -> Option<(usize, &str)> {
    let rest = line.strip_prefix(prefix)?;
    let (number, rest) = rest.split_once(": ")?;
    match number {
        "" => Some((0, rest)),
        number => Some((number.parse::<usize>().ok()?.checked_sub(1)?, rest)),
    }
}

fn transcript(name: &str, text: &str, chunk: usize, compressed: bool) {
    let mut run: Option<Run> = None;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}: {line}", number + 1);
        // Shown by the test runner for the line that fails.
        println!("{place}");
        if let Some((who, line)) = of_client(line, 'C') {
            let run = run.as_mut().unwrap();
            for client in &run.clients {
                assert!(
                    client.output.is_empty(),
                    "before {place}: {}",
                    client.output.escape_ascii()
                );
            }
            run.send(who, line, chunk);
        } else if let Some((who, line)) = of_client(line, 'S') {
            run.as_mut().unwrap().expect(who, line);
        } else if let Some(event) = line.strip_prefix("! ") {
            match event {
                "plain" | "tls" | "session" => {
                    if let Some(done) = run.take() {
                        done.finish();
                    }
                    run = Some(Run::new(event, compressed));
                }
                event => run.as_mut().unwrap().event(event),
            }
        }
    }
    run.unwrap().finish();
}

/// The transcript with what the server really sends.
fn bless(text: &str) -> String {
    let mut run: Option<Run> = None;
    let mut out = String::new();
    for line in text.lines() {
        if of_client(line, 'S').is_some() {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if let Some((who, line)) = of_client(line, 'C') {
            run.as_mut().unwrap().send(who, line, usize::MAX);
        } else if let Some(event) = line.strip_prefix("! ") {
            match event {
                "plain" | "tls" | "session" => run = Some(Run::new(event, false)),
                event => run.as_mut().unwrap().event(event),
            }
        }
        for (number, client) in run
            .iter_mut()
            .flat_map(|run| run.clients.iter_mut().enumerate())
        {
            let prefix = match number {
                0 => String::from("S"),
                number => format!("S{}", number + 1),
            };
            let mut output = std::mem::take(&mut client.output);
            while let Some(end) = output.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = output.drain(..end + 2).collect();
                writeln!(out, "{prefix}: {}", show(&line[..end])).unwrap();
            }
        }
    }
    out
}

#[test]
fn transcripts() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/session");
    let mut commands = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut text = std::fs::read_to_string(&path).unwrap();
        if std::env::var_os("TERN_BLESS").is_some() {
            text = bless(&text);
            std::fs::write(&path, &text).unwrap();
        }
        for chunk in [usize::MAX, 1, 7] {
            transcript(&name, &text, chunk, false);
        }
        for chunk in [usize::MAX, 7] {
            transcript(&name, &text, chunk, true);
        }
        commands += text
            .lines()
            .filter(|line| of_client(line, 'C').is_some())
            .count();
    }
    assert!(commands > 150, "{commands} commands");
}

#[test]
fn plaintext_behind_starttls_is_never_executed() {
    let mut house = House::new();
    let mut client = Client::new(&mut house, false);
    client.output.clear();
    client
        .session
        .receive(b"a STARTTLS\r\nb LOGIN x y\r\n", NOW);
    client.drive(&mut house);
    assert_eq!(client.output, b"* BYE Plaintext behind STARTTLS\r\n");
    assert!(client.closed);

    let mut client = Client::new(&mut house, false);
    client.session.receive(b"a STARTTLS\r\n", NOW);
    client.drive(&mut house);
    client.session.receive(b"b LOGIN x y\r\n", NOW);
    client.session.tls_started(facts());
    client.drive(&mut house);
    assert!(client.closed && client.verifying.is_none());
}

#[test]
fn garbage_ends_the_session() {
    let mut house = House::new();
    let mut client = Client::new(&mut house, false);
    for _ in 0..30 {
        client.session.receive(b"\x16\x03\x01\r\n", NOW);
        client.drive(&mut house);
    }
    assert!(client.closed);
    assert!(client.output.ends_with(b"* BYE Too many bad commands\r\n"));
    assert!(client.output.len() < 3_000);
}

#[test]
fn the_login_deadline_is_not_put_off() {
    let mut house = House::new();
    let mut client = Client::new(&mut house, true);
    assert_eq!(client.session.deadline(), NOW.plus_millis(60_000));
    let later = NOW.plus_millis(50_000);
    client.session.receive(b"a NOOP\r\n", later);
    client.drive(&mut house);
    assert_eq!(client.session.deadline(), NOW.plus_millis(60_000));
    client.session.receive(b"a LOGIN x y\r\n", NOW);
    client.drive(&mut house);
    client.verified(&mut house, accept());
    assert_eq!(client.session.deadline(), NOW.plus_millis(1_800_000));
}

#[test]
fn numbers_stay_while_another_session_expunges_during_a_fetch() {
    let mut house = House::new();
    let mut reader = Client::login(&mut house);
    let content = format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(2_000));
    // More than one step puts on record: 1400 is looked for after it went.
    for _ in 0..1_500 {
        reader.append(&mut house, "INBOX", "", content.as_bytes());
    }
    let mut other = Client::login(&mut house);
    other.ask(&mut house, "s SELECT INBOX");
    reader.ask(&mut house, "s SELECT INBOX");
    reader
        .session
        .receive(b"f FETCH 1:* (UID BODY.PEEK[TEXT])\r\n", house.now);
    assert!(reader.step(&mut house));
    other.ask(&mut house, "t STORE 10,1400 +FLAGS.SILENT (\\Deleted)");
    other.ask(&mut house, "t EXPUNGE");
    reader.notify(&mut house);
    reader.drive(&mut house);
    let output = std::mem::take(&mut reader.output);
    let output = String::from_utf8_lossy(&output);
    let told = output.lines().filter_map(|line| line.strip_prefix("* "));
    let told: Vec<u32> = told
        .map(|line| {
            let (number, rest) = line.split_once(' ').unwrap();
            assert!(rest.starts_with(&format!("FETCH (UID {number} BODY[TEXT]")));
            number.parse().unwrap()
        })
        .collect();
    // 10 was written before it went.
    let expect: Vec<u32> = (1..=1_500).filter(|number| *number != 1_400).collect();
    assert_eq!(told, expect);
    assert!(!output.contains("EXPUNGE\r\n"));
    assert!(output.ends_with("f NO [EXPUNGEISSUED] Some messages are gone\r\n"));
    let told = "* 10 EXPUNGE\r\n* 1399 EXPUNGE\r\nn OK Noop completed\r\n";
    assert_eq!(reader.ask(&mut house, "n NOOP"), told);
    assert!(reader.largest < 300 * 1024);
    house.check();
}

#[test]
fn long_answers_come_in_bounded_steps() {
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    for _ in 0..3_000 {
        client.append(&mut house, "INBOX", "", b"Subject: x\r\n\r\nx\r\n");
    }
    for number in 0..500 {
        client.ask(
            &mut house,
            &format!("c CREATE {}{number}", "mailbox".repeat(35)),
        );
    }
    client.ask(&mut house, "s SELECT INBOX");
    let mut other = Client::login(&mut house);
    other.ask(&mut house, "s SELECT INBOX");
    let mut check = |command: &str, least: usize| {
        (client.largest, client.steps) = (0, 0);
        let output = client.command(&mut house, command);
        assert!(output.len() >= least, "{command}: {}", output.len());
        assert!(client.largest < 256 * 1024, "{command}: {}", client.largest);
        assert!(
            client.steps > output.len() / (256 * 1024),
            "{command}: {}",
            client.steps
        );
    };
    check("a LIST \"\" * RETURN (STATUS (MESSAGES))", 250_000);
    check(
        "b FETCH 1:* (FLAGS UID INTERNALDATE RFC822.SIZE EMAILID SAVEDATE)",
        300_000,
    );
    check("c FETCH 1:* (ENVELOPE BODYSTRUCTURE)", 300_000);
    check("d SEARCH ALL", 10_000);
    check("e SEARCH TEXT x", 10_000);
    check("f STORE 1:* +FLAGS (\\Deleted)", 90_000);
    check("g EXPUNGE", 30_000);
    // The same to the one that was not asked.
    let output = other.command(&mut house, "n NOOP");
    assert!(output.len() > 30_000 && other.largest < 256 * 1024);
    house.check();
}

#[test]
fn a_search_for_many_texts_is_many_steps() {
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    let text = "no such thing here\r\n".repeat(50_000);
    for number in 0..4 {
        let content = format!("Subject: {number}\r\n\r\n{text}");
        client.append(&mut house, "INBOX", "", content.as_bytes());
    }
    client.command(&mut house, "s SELECT INBOX");
    let mut steps = |keys: usize| {
        client.steps = 0;
        let command = format!("c SEARCH {}DELETED", "OR BODY absent ".repeat(keys));
        let answer = client.ask(&mut house, &command);
        assert!(answer.starts_with("* SEARCH\r\nc OK"), "{answer}");
        client.steps
    };
    // Four messages of 1 MB fit one step; looked through twenty times, each ends a step of its own.
    let few = steps(1);
    assert_eq!(steps(20), few + 4);
    assert_eq!(steps(128), few + 4);
}
