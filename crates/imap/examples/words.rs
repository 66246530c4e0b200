//! What a search of all texts of a mailbox costs: the first after a start without words that outlasted it, the
//! first with them, and the next; and what those words take.
//!
//! `cargo run --release -p tern-imap --example words [messages [directory]]`. The engine is RocksDB there, which is
//! filled if it is empty. Times are the thread's time on a processor, in ms.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement by hand"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use support::{Client, NOW, mailboxes_over, now};
use tern_base::{AccountId, Entropy, SeededEntropy};
use tern_mailbox::{INBOX, Landing, Lineage, Mailboxes, Opened};
use tern_store::{Engine, Range};
use tern_store_rocksdb::RocksEngine;

const ACCOUNT: AccountId = AccountId(1);
/// Words that there are, the common ones often, near Zipf's law.
const VOCABULARY: f64 = 40_000.0;
/// Words of a message.
const WORDS: usize = 250;

fn below_one(entropy: &mut SeededEntropy) -> f64 {
    let mut octets = [0; 8];
    entropy.fill(&mut octets);
    (u64::from_be_bytes(octets) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A word by its rank, as long as words are.
fn word(rank: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "ba", "cor", "da", "el", "fi", "gran", "ha", "in", "jo", "ka", "lum", "mer", "no", "pel",
        "sto", "ven",
    ];
    let mut rest = rank + 16;
    let mut out = String::new();
    while rest > 0 {
        out.push_str(SYLLABLES[(rest % 16) as usize]);
        rest /= 16;
    }
    out
}

/// One of its kind: what few messages say, and what only this one does.
fn message(number: usize) -> Vec<u8> {
    let mut entropy = SeededEntropy::new(number as u64);
    let mut some = || word(VOCABULARY.powf(below_one(&mut entropy)) as u64);
    let mut text = format!(
        "From: {} <sender{}@example.net>\r\nTo: bob@example.org\r\nSubject: {} {} {}\r\n\
         Date: Sat, 21 Nov 2026 22:06:00 +0000\r\nMessage-ID: <{number}.1@example.net>\r\n\r\n",
        some(),
        number % 1_000,
        some(),
        some(),
        some(),
    );
    for n in 0..WORDS {
        text.push_str(&some());
        text.push_str(if n % 10 == 9 { ".\r\n" } else { " " });
    }
    text.push_str(&format!(
        "ticket-{number:08} https://example.net/t/{:016x}\r\n",
        number * 0x9e37_79b9
    ));
    text.into_bytes()
}

fn open(directory: &Path) -> (Arc<dyn Engine>, Opened) {
    let engine: Arc<dyn Engine> =
        Arc::new(RocksEngine::open(directory, &Default::default()).unwrap());
    let opened = mailboxes_over(Arc::clone(&engine));
    (engine, opened)
}

fn fill(mailboxes: &Mailboxes, messages: usize) {
    mailboxes.create_account(ACCOUNT, 0, &[], NOW).unwrap();
    for number in 0..messages {
        let prepared = mailboxes.prepare(message(number), NOW).unwrap();
        let landing = Landing {
            account: ACCOUNT,
            mailbox: INBOX,
            flags: tern_mailbox::Flags::empty(),
            received: NOW,
            prefix: Vec::new(),
            origin: tern_base::OriginId([1; 16]),
            lineage: Lineage::Delivered,
            brought_by: None,
        };
        mailboxes.land(&prepared, &[landing], NOW).unwrap();
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = now();
    let out = work();
    let took = (now() - start).as_secs_f64() * 1e3;
    println!("{what:<60} {took:>10.2} ms");
    out
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// Searches of a session that has just begun.
fn searches(mailboxes: &Arc<Mailboxes>, when: &str) {
    let mut client = Client::new(mailboxes, ACCOUNT, [192, 0, 2, 1].into());
    client.command(b"s SELECT INBOX\r\n");
    let before = resident();
    for (what, command) in [
        ("a rare text, first", "c SEARCH BODY ticket-00007777\r\n"),
        ("another, again", "c SEARCH BODY ticket-00008888\r\n"),
        ("one that is nowhere", "c SEARCH BODY nowhere-at-all\r\n"),
    ] {
        timed(&format!("{when}: {what}"), || {
            client.command(command.as_bytes())
        });
    }
    println!(
        "{when}: memory grew by {:.1} MiB",
        resident().saturating_sub(before) as f64 / 1048576.0
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let messages: usize = arguments.next().map_or(20_000, |n| n.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let directory = arguments
        .next()
        .map_or_else(|| temporary.path().join("store"), Into::into);
    {
        let (_engine, Opened { mailboxes, .. }) = open(&directory);
        if mailboxes.account_head(ACCOUNT).is_err() {
            timed("filled", || fill(&mailboxes, messages));
        }
    }
    {
        let (engine, opened) = open(&directory);
        let Opened {
            mailboxes, upkeep, ..
        } = opened;
        searches(&mailboxes, "without rows");
        timed("words made durable", || {
            while !upkeep.make_words(64).unwrap() {}
        });
        searches(&mailboxes, "after that");
        let (mut rows, mut octets, mut next) = (0, 0, Some(Range::prefix(vec![0x84])));
        while let Some(range) = next {
            let page = engine.scan(&range, 64).unwrap();
            rows += page.rows.len();
            octets += page.rows.iter().map(|(_, row)| row.len()).sum::<usize>();
            next = page.next;
        }
        println!("{rows} rows, {} octets for each message", octets / messages);
    }
    let (_engine, Opened { mailboxes, .. }) = open(&directory);
    searches(&mailboxes, "with rows");
}
