//! The main job, played by real protocol sessions: mail comes in, is read in several clients, and
//! is taken back. Prints what each person sees; any step that does not hold is an error.

use std::io;
use std::time::{Duration, Instant};

use super::client::{Reader, Sender};
use super::{House, PASSWORD};

/// The message that should not have been sent.
const MESSAGE: &str = "From: Alice <alice@example.org>\r\n\
To: bob@example.org, carol@example.org, team@example.org, partner@elsewhere.test\r\n\
Subject: Salaries 2027, all staff\r\n\
Date: Sat, 21 Nov 2026 09:14:00 +0000\r\n\
Message-ID: <salaries-2027@example.org>\r\n\
MIME-Version: 1.0\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
\r\n\
Please find everybody's salary below.\r\n\
Bob: 71,400. Carol: 68,900. Dave: 64,250.\r\n";

/// How long a recall may take to reach everybody here.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long the demo waits for what happens by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plays everything. The error says which step did not hold.
pub(super) fn play(house: &House) -> io::Result<()> {
    sends(house)?;
    let (mut bob, mut bob_phone, mut carol) = reads(house)?;
    let id = recalls(house, &mut bob_phone, &mut carol)?;
    reported(house, &id)?;
    stays_away(house, &mut bob, &id)?;
    comes_back(house, &mut carol, &id)?;
    proves(house)?;
    say("", "Everything held.");
    Ok(())
}

fn sends(house: &House) -> io::Result<()> {
    scene("alice sends a message to bob, carol, the group team@ and somebody outside");
    let to = ["bob@example.org", "carol@example.org", "team@example.org", "partner@elsewhere.test"];
    let login = Some(("alice@example.org", PASSWORD));
    let answer = Sender::connect(house.submissions, login)?.send("alice@example.org", &to, MESSAGE)?;
    say("alice", &answer);
    house.reader("alice", "Thunderbird")?.append("Sent", MESSAGE)?;
    say("alice", "her client puts a copy into Sent");
    Ok(())
}

fn reads(house: &House) -> io::Result<(Reader, Reader, Reader)> {
    scene("bob reads it, carol files it, dave has not looked yet");
    let mut bob = house.reader("bob", "Outlook")?;
    bob.command("SELECT INBOX")?;
    let seen = bob.fetch(1)?;
    holds(seen.contains("Bob: 71,400"), "bob sees the text")?;
    say("bob", "opens the message: \"Bob: 71,400. Carol: 68,900. …\"");
    let mut phone = house.reader("bob", "iPhone Mail")?;
    phone.command("SELECT INBOX")?;
    phone.idle()?;
    say("bob", "his phone waits in IDLE");
    let mut carol = house.reader("carol", "Apple Mail")?;
    carol.command("CREATE Finance")?;
    carol.command("CREATE Keep")?;
    carol.command("SELECT INBOX")?;
    carol.command("COPY 1 Keep")?;
    carol.command("MOVE 1 Finance")?;
    say("carol", "moves it into Finance, and copies it to Keep");
    holds(house.reader("dave", "test")?.count("INBOX")? == 1, "dave has it by way of the group")?;
    Ok((bob, phone, carol))
}

fn recalls(house: &House, phone: &mut Reader, carol: &mut Reader) -> io::Result<String> {
    scene("alice drags the message from Sent into Recall");
    let mut alice = house.reader("alice", "Thunderbird")?;
    alice.command("SELECT Sent")?;
    let start = Instant::now();
    alice.command("MOVE 1 Recall")?;
    let pushed = loop {
        let line = phone.pushed()?;
        if line.ends_with("EXPUNGE") || line.contains("VANISHED") {
            break line;
        }
    };
    let spent = start.elapsed();
    say("bob", &format!("his phone is told: {pushed}  ({} ms after the move)", spent.as_millis()));
    holds(spent < AT_ONCE, "within a second")?;
    house.until(PATIENCE, "the recall is done", || {
        Ok(house.cli_json(&["recall", "list", "--json"])?[0]["state"] == "done")
    })?;
    for mailbox in ["INBOX", "Finance", "Keep"] {
        holds(carol.count(mailbox)? == 0, "carol's copies are gone")?;
    }
    say("carol", "Finance: 0 messages, Keep: 0 messages");
    holds(house.reader("dave", "test")?.count("INBOX")? == 0, "dave never sees it")?;
    say("dave", "INBOX: 0 messages");
    let recall = house.cli_json(&["recall", "list", "--json"])?;
    let id = recall[0]["id"].as_str().unwrap_or_default().to_owned();
    let queued = house.cli(&["queue", "list"])?;
    holds(!queued.contains("partner@elsewhere.test"), "the outside copy left the queue")?;
    say("outside", "the copy that waited in the queue is cancelled");
    Ok(id)
}

fn reported(house: &House, id: &str) -> io::Result<()> {
    scene("alice finds a report in Recall");
    let mut alice = house.reader("alice", "Thunderbird")?;
    alice.command("SELECT Recall")?;
    let mut report = String::new();
    house.until(PATIENCE, "the report is there", || {
        alice.command("NOOP")?;
        let count = alice.count("Recall")?;
        report = if count < 2 { String::new() } else { alice.fetch(count)? };
        Ok(report.contains("Partly taken back") || report.contains("Taken back"))
    })?;
    let text = report.split("\r\n\r\n").skip(2).take_while(|part| !part.starts_with('{'));
    for line in text.flat_map(str::lines).take_while(|line| !line.starts_with("--report")) {
        say("alice", &format!("│ {line}"));
    }
    let status = house.cli_json(&["recall", "status", id, "--json"])?;
    let outcome = |who: &str| {
        let copies = status["copies"].as_array().cloned().unwrap_or_default();
        let copy = copies.into_iter().find(|copy| copy["recipient"] == who);
        copy.map_or(String::new(), |copy| copy["outcome"].as_str().unwrap_or("").to_owned())
    };
    for (who, expected) in [
        ("bob@example.org", "withdrawn-exposed"),
        ("carol@example.org", "withdrawn-unexposed"),
        ("dave@example.org", "withdrawn-unexposed"),
        ("erin@example.org", "withdrawn-unexposed"),
        ("partner@elsewhere.test", "prevented"),
    ] {
        let found = outcome(who);
        holds(found == expected, &format!("{who}: {expected}, found {found:?}"))?;
        holds(report.contains(expected), "the report says so too")?;
    }
    Ok(())
}

fn stays_away(house: &House, bob: &mut Reader, id: &str) -> io::Result<()> {
    scene("it does not come back");
    bob.command("NOOP")?;
    bob.append("INBOX", MESSAGE)?;
    holds(bob.count("INBOX")? == 0, "what bob's client puts back is gone at once")?;
    say("bob", "a client that was offline puts it back: accepted, and gone at once");
    let late = Sender::connect(house.submissions, Some(("alice@example.org", PASSWORD)))?
        .send("alice@example.org", &["dave@example.org"], MESSAGE)?;
    say("late", &format!("the same letter is delivered again: {late}"));
    holds(house.reader("dave", "test")?.count("INBOX")? == 0, "a late delivery is blocked")?;
    house.until(PATIENCE, "both are in the report", || {
        let status = house.cli_json(&["recall", "status", id, "--json"])?;
        Ok(status["outcomes"]["blocked-late"] == 2)
    })?;
    say("alice", "her report now has two copies blocked-late");
    Ok(())
}

fn comes_back(house: &House, carol: &mut Reader, id: &str) -> io::Result<()> {
    scene("the recall is undone: tern recall restore");
    house.cli(&["recall", "restore", id])?;
    house.until(PATIENCE, "carol's copies are back", || {
        Ok(carol.count("Finance")? == 1 && carol.count("Keep")? == 1)
    })?;
    say("carol", "Finance: 1 message, Keep: 1 message");
    Ok(())
}

fn proves(house: &House) -> io::Result<()> {
    scene("the audit log and the store are checked");
    say("admin", house.cli(&["audit", "verify"])?.trim());
    say("admin", house.cli(&["check"])?.trim());
    Ok(())
}

fn scene(title: &str) {
    println!("\n── {title}");
}

fn say(who: &str, what: &str) {
    println!("  {who:>8}  {what}");
}

fn holds(held: bool, what: &str) -> io::Result<()> {
    if held { Ok(()) } else { Err(io::Error::other(format!("did not hold: {what}"))) }
}
