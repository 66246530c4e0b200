//! The main scenes: a message is sent, spreads, is taken back, tries to come back, and is restored.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic as _, Result, miette};
use serde_json::{Value, json};

use super::client::{ImapClient, ImapReply};
use super::organisation::{TEAM, address};
use super::stage::Stage;
use crate::cli::Outcome;
use crate::control::audit::AuditRequest;
use crate::control::request::{QueueRequest, Request, StoreRequest};
use crate::server::Addresses;

const OUTSIDE: &str = "outside@elsewhere.test";
const MESSAGE: &str = "From: Alice <alice@example.org>\r\n\
    To: Bob <bob@example.org>, Carol <carol@example.org>, team@example.org,\r\n \
    outside@elsewhere.test\r\n\
    Subject: Salaries 2027\r\n\
    Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\
    Message-ID: <salaries-2027@example.org>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    \r\n\
    Everybody's salaries for next year. Not meant for all of you.\r\n";
const SUBJECT: &str = "Salaries 2027";
/// A notice follows the recall within this time.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// Plays every scene and says whether all held.
pub(super) fn play(addresses: &Addresses, data_dir: &Path) -> Result<Outcome> {
    let started = Instant::now();
    let mut stage = Stage::new(addresses, data_dir);
    let played = scenes(&mut stage).into_diagnostic();
    let (held, failures) = stage.end();
    println!(
        "\n{held} held, {} did not, in {} ms",
        failures.len(),
        started.elapsed().as_millis()
    );
    played?;
    match failures.is_empty() {
        true => Ok(Outcome::Done),
        false => Err(miette!("did not hold: {}", failures.join("; "))),
    }
}

fn scenes(stage: &mut Stage<'_>) -> io::Result<()> {
    stage.scene("Alice sends a message to Bob, Carol, the team and somebody outside");
    send(stage)?;
    stage.scene("Bob reads it, and leaves a second client idling");
    let (mut bob, read) = bob_reads(stage)?;
    let mut tablet = stage.jmap("bob", "bob's tablet")?;
    let found = tablet.call("Email/query", json!({"filter": {"text": "salaries"}}))?;
    let id = found["ids"][0].clone();
    stage.hold("Bob's tablet finds it by JMAP", id.is_string());
    let state = tablet.call("Email/get", json!({"ids": [id], "properties": ["subject"]}))?;
    let state = state["state"].clone();
    let mut idling = stage.imap("bob", "bob's phone")?;
    idling.command("SELECT INBOX")?;
    let idle = idling.idle()?;
    stage.scene("Carol files it and keeps a copy");
    let mut carol = carol_files(stage)?;
    stage.scene("Alice moves her copy from Sent into Recall");
    let mut alice = stage.imap("alice", "alice")?;
    alice.command("SELECT Sent")?;
    let moving = Instant::now();
    let moved = alice.command("MOVE 1 Recall")?;
    stage.hold("the move was done", moved.is_ok());
    let pushed = idling.wait_for("EXPUNGE")?;
    let after = moving.elapsed().as_millis();
    let told = pushed.iter().any(|line| line == "* 1 EXPUNGE");
    stage.hold(
        &format!("Bob's phone was told without asking, after {after} ms"),
        told,
    );
    idling.done(&idle)?;
    let refused = bob.command("FETCH 1 BODY.PEEK[]")?;
    let served = refused
        .literals
        .iter()
        .any(|l| contains(l, "Everybody's salaries"));
    stage.hold(
        "Bob's other client can't fetch it any more",
        !served && !refused.says("BODY[]"),
    );
    let noop = bob.command("NOOP")?;
    let gone = noop.says("1 EXPUNGE") || refused.says("1 EXPUNGE");
    stage.hold("and is told that it is gone", gone);
    let recall = finished(stage)?;
    stage.scene("It is nowhere");
    nowhere(stage, &mut carol)?;
    let got = tablet.call("Email/get", json!({"ids": [id], "properties": ["preview"]}))?;
    let changes = tablet.call("Email/changes", json!({"sinceState": state}))?;
    stage.hold(
        "Bob's tablet finds it no more, and is told that it is gone",
        got["notFound"] == json!([id]) && changes["destroyed"] == json!([id]),
    );
    stage.scene("Alice reads the report");
    report(stage, &mut alice)?;
    stage.scene("Bob's client puts its own copy back, and a list delivers it late");
    comes_back(stage, &mut bob, &mut carol, &read)?;
    stage.scene("The operator restores it");
    restore(stage, &recall, &mut bob, &mut carol)?;
    stage.scene("The log and the store are right");
    let verified = stage.operator(&Request::Audit(AuditRequest::Verify {
        key: None,
        checkpoints: Vec::new(),
    }))?;
    println!("   {}", verified.text);
    stage.hold("the audit log holds", !verified.found_wrong);
    let checked = stage.operator(&Request::Store(StoreRequest::Check))?;
    println!("   {}", checked.text);
    stage.hold("the store holds", !checked.found_wrong);
    Ok(())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

fn send(stage: &mut Stage<'_>) -> io::Result<()> {
    let mut alice = stage.submission("alice")?;
    let to = [&*address("bob"), &*address("carol"), TEAM, OUTSIDE];
    let (recipients, (code, _)) = alice.send(&address("alice"), &to, MESSAGE.as_bytes())?;
    let accepted = recipients.iter().all(|(code, _)| *code == 250) && code == 250;
    stage.hold("the message was accepted for everybody", accepted);
    alice.command("QUIT")?;
    let mut alice = stage.imap("alice", "alice")?;
    let kept = alice.append("Sent", "\\Seen", MESSAGE.as_bytes())?;
    stage.hold("her copy is in Sent", kept.is_ok());
    alice.command("LOGOUT")?;
    // The first attempt finds no route; from then on the copy waits.
    let attempted = |items: &Value| {
        let first = items.get(0);
        let is = |key: &str, value: Value| first.and_then(|item| item.get(key)) == Some(&value);
        is("attempts", 1.into()) && is("state", "ready".into())
    };
    let queue = stage.operator_until(&Request::Queue(QueueRequest::List), attempted)?;
    println!("   queue: {}", queue.text);
    stage.hold(
        "the copy for outside waits in the queue",
        attempted(&queue.data),
    );
    Ok(())
}

fn bob_reads(stage: &mut Stage<'_>) -> io::Result<(ImapClient, Vec<u8>)> {
    let mut bob = stage.imap("bob", "bob's desktop")?;
    let selected = bob.command("SELECT INBOX")?;
    stage.hold("Bob has one message", selected.number("EXISTS") == Some(1));
    let fetched = bob.command("FETCH 1 BODY[]")?;
    let content = fetched.literals.into_iter().next().unwrap_or_default();
    stage.hold(
        "Bob has read it",
        contains(&content, "Everybody's salaries"),
    );
    Ok((bob, content))
}

fn carol_files(stage: &mut Stage<'_>) -> io::Result<ImapClient> {
    let mut carol = stage.imap("carol", "carol")?;
    carol.command("SELECT INBOX")?;
    carol.command("STORE 1 +FLAGS (\\Flagged $Important)")?;
    carol.command("CREATE Projects/2027")?;
    carol.command("COPY 1 Archive")?;
    carol.command("MOVE 1 Projects/2027")?;
    for (mailbox, wanted) in [("INBOX", 0), ("Projects/2027", 1), ("Archive", 1)] {
        let n = messages(&mut carol, mailbox)?;
        stage.hold(
            &format!("Carol's {mailbox} holds {wanted}"),
            n == Some(wanted),
        );
    }
    Ok(carol)
}

fn messages(client: &mut ImapClient, mailbox: &str) -> io::Result<Option<u32>> {
    Ok(client
        .command(&format!("EXAMINE {mailbox}"))?
        .number("EXISTS"))
}

/// Waits until the recall is done; answers its id.
fn finished(stage: &mut Stage<'_>) -> io::Result<String> {
    let request = Request::RecallList {
        batch: None,
        by: None,
    };
    let first = |recalls: &Value, key: &str| {
        let value = recalls.get(0).and_then(|recall| recall.get(key));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let list = stage.operator_until(&request, |recalls| first(recalls, "state") == "done")?;
    println!("   recalls: {}", list.text);
    stage.hold("the recall is done", first(&list.data, "state") == "done");
    stage.hold(
        "and took everything back",
        first(&list.data, "withdrawn") == "all",
    );
    Ok(first(&list.data, "id"))
}

fn nowhere(stage: &mut Stage<'_>, carol: &mut ImapClient) -> io::Result<()> {
    for mailbox in ["INBOX", "Projects/2027", "Archive"] {
        let n = messages(carol, mailbox)?;
        stage.hold(&format!("Carol's {mailbox} is empty"), n == Some(0));
    }
    for name in ["dave", "erin"] {
        let mut client = stage.imap(name, name)?;
        let n = messages(&mut client, "INBOX")?;
        stage.hold(&format!("{name} never saw it"), n == Some(0));
    }
    let queue = stage.operator(&Request::Queue(QueueRequest::List))?;
    println!("   queue: {}", queue.text);
    let empty = queue.data.as_array().is_some_and(Vec::is_empty);
    stage.hold("the copy for outside never left", empty);
    Ok(())
}

fn report(stage: &mut Stage<'_>, alice: &mut ImapClient) -> io::Result<()> {
    let n = messages(alice, "Recall")?;
    stage.hold("Recall holds her copy and the report", n == Some(2));
    let fetched = alice.command("FETCH 2 BODY.PEEK[1]")?;
    let report = fetched
        .literals
        .first()
        .map(|r| String::from_utf8_lossy(r).into_owned());
    let report = report.unwrap_or_default();
    for line in report.lines() {
        println!("   | {line}");
    }
    let named = report.contains(SUBJECT);
    let people = [
        "bob@example.org",
        "carol@example.org",
        "team@example.org",
        OUTSIDE,
    ];
    let whole = people.iter().all(|address| report.contains(address));
    stage.hold(
        "the report names the message and every address that she wrote",
        named && whole,
    );
    Ok(())
}

fn comes_back(
    stage: &mut Stage<'_>,
    bob: &mut ImapClient,
    carol: &mut ImapClient,
    read: &[u8],
) -> io::Result<()> {
    let told = Instant::now();
    let mut n = messages(bob, "INBOX")?;
    while n == Some(0) && told.elapsed() < TOLD_WITHIN {
        n = messages(bob, "INBOX")?;
    }
    stage.hold("Bob, who had opened it, is told once", n == Some(1));
    let appended = bob.append("INBOX", "\\Seen", read)?;
    stage.hold("Bob's client may put it back", appended.is_ok());
    let n = messages(bob, "INBOX")?;
    stage.hold("and it is gone at once", n == Some(1));
    let mut list = stage.other_server()?;
    let to = address("carol");
    let (_, (code, _)) = list.send("list-bounces@elsewhere.test", &[&to], read)?;
    stage.hold("a late delivery is accepted", code == 250);
    let n = messages(carol, "INBOX")?;
    stage.hold("and shown to nobody", n == Some(0));
    Ok(())
}

fn restore(
    stage: &mut Stage<'_>,
    id: &str,
    bob: &mut ImapClient,
    carol: &mut ImapClient,
) -> io::Result<()> {
    stage.operator(&Request::RecallRestore {
        id: id.to_owned(),
        by: None,
    })?;
    let status = Request::RecallStatus {
        id: id.to_owned(),
        seen_by: None,
    };
    let restored = |status: &Value| status.get("state").and_then(Value::as_str) == Some("restored");
    let answer = stage.operator_until(&status, restored)?;
    stage.hold("the recall is undone", restored(&answer.data));
    let seen = flags(bob, "INBOX")?;
    stage.hold("Bob has it again, as read", seen.says("\\Seen"));
    for mailbox in ["Projects/2027", "Archive"] {
        let flags = flags(carol, mailbox)?;
        let kept = flags.says("\\Flagged") && flags.says("$Important");
        stage.hold(
            &format!("Carol's {mailbox} holds it again, with its flags"),
            kept,
        );
    }
    Ok(())
}

fn flags(client: &mut ImapClient, mailbox: &str) -> io::Result<ImapReply> {
    client.command(&format!("EXAMINE {mailbox}"))?;
    client.command("FETCH * (FLAGS)")
}
