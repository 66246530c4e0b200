//! What a session costs by itself: the commands of the bench, without sockets.
//!
//! `cargo run --release -p tern-imap --example session_speed [filter [rounds [messages [directory]]]]`.
//! Without a directory the engine is the one in memory: a bound, no promise. With one it is RocksDB
//! there, which is filled if it is empty. Times are the thread's time on a processor, so that other
//! work on the machine matters less.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement by hand"
)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;

use support::{Client, NOW, mailboxes_over, message, now};
use tern_base::AccountId;
use tern_imap::Session;
use tern_mailbox::Mailboxes;
use tern_store::{Engine, MemEngine};
use tern_store_rocksdb::RocksEngine;

const ACCOUNT: AccountId = AccountId(1);
/// Messages of one APPEND.
const BATCH: usize = 100;

/// A client of it.
fn client(mailboxes: &Arc<Mailboxes>) -> Client {
    Client::new(mailboxes, ACCOUNT, [192, 0, 2, 1].into())
}

/// Appends messages to the inbox.
fn fill(client: &mut Client, messages: usize) {
    for first in (0..messages).step_by(BATCH) {
        let mut command = b"a APPEND INBOX".to_vec();
        for number in first..messages.min(first + BATCH) {
            let content = message(number);
            command.extend_from_slice(format!(" {{{}+}}\r\n", content.len()).as_bytes());
            command.extend_from_slice(&content);
        }
        command.extend_from_slice(b"\r\n");
        client.command(&command);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let filter = arguments.next().unwrap_or_default();
    let mut number = |otherwise| arguments.next().map_or(otherwise, |n| n.parse().unwrap());
    let (rounds, messages): (usize, usize) = (number(7), number(5_000));
    let engine: Arc<dyn Engine> = match arguments.next().map(PathBuf::from) {
        Some(directory) => Arc::new(RocksEngine::open(&directory, &Default::default()).unwrap()),
        None => Arc::new(MemEngine::new()),
    };
    let mailboxes = mailboxes_over(engine).mailboxes;
    let fresh = mailboxes.account_head(ACCOUNT).is_err();
    if fresh {
        mailboxes.create_account(ACCOUNT, 0, &[], NOW).unwrap();
    }
    let mut client = client(&mailboxes);
    if fresh {
        let start = now();
        fill(&mut client, messages);
        let each = (now() - start).as_secs_f64() / messages as f64;
        println!("{:<44} {:>12.0}/s", "append, many at once", 1.0 / each);
    }
    client.command(b"s SELECT INBOX\r\n");
    let commands = [
        "SELECT INBOX",
        "FETCH 1:* FLAGS",
        "FETCH 1:* (UID FLAGS)",
        "UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)",
        "FETCH 1:* ENVELOPE",
        "FETCH 1:* BODYSTRUCTURE",
        "FETCH 1:* (FLAGS UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE)])",
        "FETCH 1:* BODY.PEEK[]",
        "FETCH 1:* BODY.PEEK[]<0.1000>",
        "SEARCH UNSEEN",
        "SEARCH SUBJECT particular",
        "SEARCH FROM nobody",
        "SEARCH HEADER Message-ID <9999.1@example.net>",
        "SEARCH TEXT lazy",
        "SEARCH BODY absent",
        "STORE 1:* +FLAGS.SILENT (\\Seen)",
        "STORE 1:* -FLAGS (\\Seen)",
    ];
    for command in commands {
        if !command.contains(&filter) {
            continue;
        }
        let mut best = f64::MAX;
        let mut first = 0.0;
        let mut octets = 0;
        for round in 0..rounds {
            let line = format!("c {command}\r\n");
            let start = now();
            octets = client.command(line.as_bytes());
            let took = (now() - start).as_secs_f64();
            if round == 0 {
                first = took;
            }
            best = best.min(took);
        }
        println!(
            "{command:<84} {:>10.0}/s first {:>8.2} ms best {:>8.2} ms {:>8.1} MB/s",
            messages as f64 / best,
            first * 1e3,
            best * 1e3,
            octets as f64 / best / 1e6
        );
    }
    idle(&mailboxes);
}

/// Resident memory of sessions that wait in IDLE on the mailbox.
fn idle(mailboxes: &Arc<Mailboxes>) {
    const SESSIONS: usize = 2_000;
    let resident = || -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        pages.unwrap_or(0) * 4096
    };
    // The first one warms what is shared.
    let mut waiting = vec![waits(mailboxes)];
    let before = resident();
    waiting.extend((0..SESSIONS).map(|_| waits(mailboxes)));
    let each = resident().saturating_sub(before) / SESSIONS;
    println!(
        "an idle session: {each} octets, {} of them the session itself",
        size_of::<Session>()
    );
}

fn waits(mailboxes: &Arc<Mailboxes>) -> Client {
    let mut client = client(mailboxes);
    client.command(b"s SELECT INBOX\r\ni IDLE\r\n");
    client
}
