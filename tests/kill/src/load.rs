//! The load: each worker one connection and one verb, all at once, until the socket breaks.
//!
//! What is about to be asked is noted before it is sent, what was acknowledged after: so the ledger
//! never knows less than the server.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread::JoinHandle;

use tern_interop::Tern;
use tern_interop::house::address;
use tern_interop::line::Line;

use crate::ledger::{Event, Ledger, Said};
use crate::random::Random;
use crate::session::{
    Result, append, expect_ok, imap, is_whole, message, number_after, submission, submit, token_of,
    unexpected,
};

/// Who receives. Each has a worker of its own: bob watches, carol appends, dave moves, erin
/// fetches.
pub(crate) const RECIPIENTS: [&str; 4] = ["bob", "carol", "dave", "erin"];

/// Recalls of one sender in a run: the default policy allows ten an hour.
const RECALLS: usize = 9;

/// What every worker has.
#[derive(Clone)]
struct Bench {
    tern: Arc<Tern>,
    ledger: Arc<Mutex<Ledger>>,
    start: Arc<Barrier>,
    round: u64,
    random: Random,
}

impl Bench {
    fn note(&self, event: Event) {
        self.ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(event);
    }
}

/// The workers of one round.
pub(crate) struct Load {
    workers: Vec<(&'static str, JoinHandle<Result<()>>)>,
    start: Arc<Barrier>,
}

/// How many workers wait at the start.
const WORKERS: usize = 8;

impl Load {
    /// Connects every worker; none begins before [`Load::begin`].
    pub(crate) fn prepare(
        tern: &Arc<Tern>,
        ledger: &Arc<Mutex<Ledger>>,
        round: u64,
        random: &mut Random,
    ) -> Self {
        let start = Arc::new(Barrier::new(WORKERS + 1));
        let bench = || Bench {
            tern: Arc::clone(tern),
            ledger: Arc::clone(ledger),
            start: Arc::clone(&start),
            round,
            random: Random::new(0),
        };
        let (to_recall, recallable) = channel();
        let (to_restore, restorable) = channel();
        let mut workers = Vec::with_capacity(WORKERS);
        let mut spawn = |name, run: Box<dyn FnOnce(Bench) -> Result<()> + Send>| {
            let bench = Bench {
                random: random.fork(),
                ..bench()
            };
            workers.push((name, std::thread::spawn(move || run(bench))));
        };
        spawn(
            "sender",
            Box::new(move |bench| send(bench, Some(to_recall))),
        );
        spawn("other sender", Box::new(|bench| send(bench, None)));
        spawn(
            "recaller",
            Box::new(move |bench| recall(&bench, &recallable, &to_restore)),
        );
        spawn(
            "restorer",
            Box::new(move |bench| restore(&bench, &restorable)),
        );
        spawn("watcher", Box::new(|bench| watch(&bench)));
        spawn("appender", Box::new(keep));
        spawn("mover", Box::new(shift));
        spawn("fetcher", Box::new(fetch));
        assert_eq!(workers.len(), WORKERS);
        Self { workers, start }
    }

    /// Lets them go, once all are ready.
    pub(crate) fn begin(&self) {
        self.start.wait();
    }

    /// Waits until the kill has ended them all. Answers what ended them otherwise: an answer that
    /// should not have come.
    pub(crate) fn end(self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, worker) in self.workers {
            match worker.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::Other => {
                    wrong.push(format!("{name}: {error}"));
                }
                // The socket broke: that is the kill.
                Ok(Err(_)) => {}
                Err(_) => wrong.push(format!("{name}: panicked")),
            }
        }
        wrong
    }
}

/// The sender of a round, who is new in it.
pub(crate) fn sender(round: u64) -> String {
    format!("s{round}")
}

/// Submits messages to some of the recipients, now and then to one outside.
fn send(mut bench: Bench, recallable: Option<Sender<(String, String)>>) -> Result<()> {
    let (name, letter) = match &recallable {
        Some(_) => (sender(bench.round), 'r'),
        None => ("alice".to_owned(), 'a'),
    };
    let connected = submission(&bench.tern, &name);
    bench.start.wait();
    let mut line = connected?;
    for number in 0..900 {
        let token = format!("k{}{letter}{number}", bench.round);
        let chosen = 1 + bench.random.below((1 << RECIPIENTS.len()) - 1);
        let recipients: Vec<&'static str> = RECIPIENTS
            .into_iter()
            .enumerate()
            .filter(|(place, _)| chosen >> place & 1 == 1)
            .map(|(_, recipient)| recipient)
            .collect();
        let outside = bench
            .random
            .once_in(4)
            .then(|| format!("{token}@elsewhere.test"));
        let mut to: Vec<String> = recipients.iter().map(|name| address(name)).collect();
        to.extend(outside.clone());
        let largest = if bench.random.once_in(8) {
            60_000
        } else {
            3_000
        };
        let size = 200 + bench.random.below(largest);
        let content = message(&name, &token, size);
        let event = |said| Event::Submit {
            token: token.clone(),
            recipients: recipients.clone(),
            outside: outside.clone(),
            said,
        };
        bench.note(event(Said::Asked));
        submit(&mut line, &name, &to, &content)?;
        bench.note(event(Said::Acknowledged));
        if let Some(recallable) = &recallable
            && bench.random.once_in(2)
        {
            // The recaller has all it can take, perhaps.
            let _ = recallable.send((token, content));
        }
    }
    Ok(())
}

/// Puts what the sender sent into `Recall`, and waits for each report.
fn recall(
    bench: &Bench,
    recallable: &Receiver<(String, String)>,
    restorable: &Sender<(String, String)>,
) -> Result<()> {
    let connected = imap(&bench.tern, &sender(bench.round));
    bench.start.wait();
    let mut line = connected?;
    expect_ok("SELECT", line.imap("SELECT Recall")?)?;
    for (number, (token, content)) in recallable.iter().take(RECALLS).enumerate() {
        bench.note(Event::Recall(token.clone(), Said::Asked));
        append(&mut line, "Recall", &content)?;
        bench.note(Event::Recall(token.clone(), Said::Acknowledged));
        let id = wait_for_report(&mut line, &token)?;
        bench.note(Event::Reported(token.clone()));
        if number % 3 == 0 {
            let _ = restorable.send((token, id));
        }
    }
    Ok(())
}

/// Looks for the report of a message that says it is done; answers the recall's id.
fn wait_for_report(line: &mut Line, token: &str) -> Result<String> {
    loop {
        let search = format!("UID SEARCH KEYWORD $RecallReport SUBJECT \"back: Letter {token}\"");
        let found = expect_ok("SEARCH", line.imap(&search)?)?;
        let uid = found
            .untagged
            .iter()
            .find(|line| line.starts_with("* SEARCH"));
        let Some(uid) = uid.and_then(|line| number_after(line, "SEARCH")) else {
            expect_ok("NOOP", line.imap("NOOP")?)?;
            continue;
        };
        let fetched = expect_ok(
            "FETCH",
            line.imap(&format!("UID FETCH {uid} BODY.PEEK[1]"))?,
        )?;
        let text = fetched.untagged.join("\n");
        if text.contains("could not be taken back") {
            return Err(unexpected("recall", &text));
        }
        if let Some((_, rest)) = text.split_once("Reference:") {
            let id = rest.split_whitespace().next().unwrap_or_default();
            return Ok(id.to_owned());
        }
        // Replaced by a newer report between the two commands.
    }
}

/// Undoes recalls by the command line.
fn restore(bench: &Bench, restorable: &Receiver<(String, String)>) -> Result<()> {
    bench.start.wait();
    for (token, id) in restorable {
        bench.note(Event::Restore(token.clone(), Said::Asked));
        let said = bench.tern.tern(&["recall", "restore", &id], "");
        if said.status == 0 {
            bench.note(Event::Restore(token, Said::Acknowledged));
        }
    }
    Ok(())
}

/// Sits in IDLE on bob's inbox and notes every UID that is expunged.
fn watch(bench: &Bench) -> Result<()> {
    let connected = imap(&bench.tern, "bob");
    bench.start.wait();
    let mut line = connected?;
    expect_ok("SELECT", line.imap("SELECT INBOX")?)?;
    let mut uids: Vec<u32> = Vec::new();
    // No UID FETCH: during that one EXPUNGE may come (RFC 9051 7.5.1).
    fetch_new(&mut line, &mut uids)?;
    loop {
        let tag = line.imap_send("IDLE")?;
        let mut grown = false;
        while !grown {
            let answer = line.imap_line()?;
            grown = answer.ends_with(" EXISTS");
            expunge(bench, &mut uids, &answer);
        }
        line.send(b"DONE\r\n")?;
        for answer in expect_ok("IDLE", line.imap_reply(&tag)?)?.untagged {
            expunge(bench, &mut uids, &answer);
        }
        fetch_new(&mut line, &mut uids)?;
    }
}

/// Asks for the UIDs of what came behind those that are known. RFC 9051 7.5.1: no EXPUNGE comes
/// during a FETCH, so the numbers hold until its end; one that came would be an error.
fn fetch_new(line: &mut Line, uids: &mut Vec<u32>) -> Result<()> {
    let fetch = format!("FETCH {}:* (UID)", uids.len() + 1);
    for answer in line.imap(&fetch)?.untagged {
        let number = number_after(&answer, "* ").unwrap_or(0) as usize;
        if answer.ends_with(" EXPUNGE") {
            return Err(unexpected("EXPUNGE during FETCH", &answer));
        }
        // Where nothing is new, `n:*` means the last message.
        if answer.contains(" FETCH ") && number == uids.len() + 1 {
            uids.extend(number_after(&answer, "UID "));
        }
    }
    Ok(())
}

fn expunge(bench: &Bench, uids: &mut Vec<u32>, answer: &str) {
    if !answer.ends_with(" EXPUNGE") {
        return;
    }
    let number = number_after(answer, "* ").unwrap_or(0) as usize;
    if (1..=uids.len()).contains(&number) {
        bench.note(Event::Expunged(uids.remove(number - 1)));
    }
}

/// Appends to a box of carol's own.
fn keep(mut bench: Bench) -> Result<()> {
    let connected = imap(&bench.tern, "carol");
    bench.start.wait();
    let mut line = connected?;
    for number in 0..u64::MAX {
        let token = format!("k{}b{number}", bench.round);
        let content = message("carol", &token, 100 + bench.random.below(20_000));
        bench.note(Event::Append(token.clone(), Said::Asked));
        let uid = append(&mut line, "Box", &content)?;
        bench.note(Event::Append(token.clone(), Said::Acknowledged));
        if let Some(uid) = uid {
            bench.note(Event::Named(("carol", "Box".to_owned()), uid, token));
        }
    }
    Ok(())
}

/// Moves dave's mail into his archive, some of it copied first.
fn shift(mut bench: Bench) -> Result<()> {
    let connected = imap(&bench.tern, "dave");
    bench.start.wait();
    let mut line = connected?;
    expect_ok("SELECT", line.imap("SELECT INBOX")?)?;
    loop {
        let header = "UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (X-Token)])";
        let mut found = Vec::new();
        for answer in line.imap(header)?.untagged {
            if let (Some(uid), Some(token)) = (number_after(&answer, "UID "), token_of(&answer)) {
                found.push((uid, token.to_owned()));
            }
        }
        for (uid, token) in found {
            if bench.random.once_in(3) {
                bench.note(Event::Copy(token.clone(), Said::Asked));
                if did(&line.imap(&format!("UID COPY {uid} Copies"))?) {
                    bench.note(Event::Copy(token.clone(), Said::Acknowledged));
                }
            }
            if bench.random.once_in(2) {
                bench.note(Event::Move(token.clone(), Said::Asked));
                if did(&line.imap(&format!("UID MOVE {uid} Archive"))?) {
                    bench.note(Event::Move(token, Said::Acknowledged));
                }
            }
        }
        expect_ok("NOOP", line.imap("NOOP")?)?;
    }
}

/// Whether a COPY or MOVE moved anything: a message that was taken back meanwhile is not there.
fn did(reply: &tern_interop::line::Reply) -> bool {
    let told = |line: &String| line.contains("[COPYUID ");
    reply.is_ok() && (told(&reply.tagged) || reply.untagged.iter().any(told))
}

/// Reads erin's mail, whole; what comes must be whole.
fn fetch(mut bench: Bench) -> Result<()> {
    let connected = imap(&bench.tern, "erin");
    bench.start.wait();
    let mut line = connected?;
    let selected = expect_ok("SELECT", line.imap("SELECT INBOX")?)?;
    let next = selected
        .untagged
        .iter()
        .find_map(|line| number_after(line, "[UIDNEXT "));
    let mut from = next.unwrap_or(1);
    loop {
        let what = if bench.random.once_in(2) {
            "BODY[]"
        } else {
            "BODY.PEEK[]"
        };
        for answer in line
            .imap(&format!("UID FETCH {from}:* (UID {what})"))?
            .untagged
        {
            let (Some(uid), Some(token)) = (number_after(&answer, "UID "), token_of(&answer))
            else {
                continue;
            };
            if !is_whole(&answer, token) {
                return Err(unexpected("FETCH is not whole", &answer));
            }
            from = from.max(uid + 1);
            let inbox = ("erin", "INBOX".to_owned());
            bench.note(Event::Named(inbox, uid, token.to_owned()));
            bench.note(Event::Fetched(token.to_owned()));
        }
        expect_ok("NOOP", line.imap("NOOP")?)?;
    }
}
