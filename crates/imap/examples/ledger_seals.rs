//! How a first fetch fares while letters of others are sealed, one after the other: what is served is put on
//! record first, and a record depends on the seals.
//!
//! `cargo run --release -p tern-imap --example ledger_seals [messages [rounds]]`
//!
//! Sealed as a recall does it: a seal and its end, each a synced commit. Times are wall clock.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement by hand"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use support::{Client, NOW, deliver, mailboxes_over};
use tern_base::{AccountId, ContentDigest};
use tern_mailbox::{Cover, MailboxError, Mailboxes, Opened, Origins, Outside, Seal, SealTag};
use tern_store::Verdict;
use tern_store_rocksdb::{RocksEngine, Settings};

/// How many letters are sealed a second; the last is as many as can be.
const RATES: [Option<u32>; 3] = [Some(0), Some(200), None];
/// Messages of a mailbox that are fetched one by one.
const ALONE: usize = 200;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise| arguments.next().map_or(otherwise, |n| n.parse().unwrap());
    let (messages, rounds): (usize, usize) = (number(2_000), number(9));
    let directory = tempfile::tempdir().unwrap();
    let engine = RocksEngine::open(&directory.path().join("store"), &Settings::default()).unwrap();
    let opened = mailboxes_over(Arc::new(engine));
    let mut account = 0;
    for rate in RATES {
        let mut figures = Figures::default();
        for _ in 0..rounds {
            account += 1;
            deliver(&opened.mailboxes, AccountId(account), messages);
            let (stop, sealed) = (AtomicBool::new(false), AtomicU32::new(0));
            std::thread::scope(|scope| {
                scope.spawn(|| seal_others(&opened, account, rate, (&stop, &sealed)));
                let started = Instant::now();
                fetch(
                    &opened.mailboxes,
                    AccountId(account),
                    messages,
                    &mut figures,
                );
                figures.seconds += started.elapsed().as_secs_f64();
                stop.store(true, Ordering::SeqCst);
            });
            figures.sealed += sealed.load(Ordering::SeqCst);
        }
        figures.tell();
    }
}

#[derive(Default)]
struct Figures {
    /// Microseconds for a message.
    at_once: Vec<f64>,
    one_by_one: Vec<f64>,
    refused: usize,
    sealed: u32,
    seconds: f64,
}

impl Figures {
    fn tell(&mut self) {
        let rate = f64::from(self.sealed) / self.seconds;
        let refused = self.refused;
        let at_once = quantile(&mut self.at_once, 0.5);
        let alone = [0.5, 0.99].map(|part| quantile(&mut self.one_by_one, part));
        println!(
            "{rate:>6.0} sealed a second: at once {at_once:>5.1} µs each; one by one {:>6.1} µs, \
             p99 {:>7.1} µs; refused {refused}",
            alone[0], alone[1]
        );
    }
}

fn quantile(figures: &mut [f64], part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * part) as usize]
}

/// All of it at once by one client, some of it one by one by another.
fn fetch(mailboxes: &Arc<Mailboxes>, account: AccountId, messages: usize, figures: &mut Figures) {
    let client = |host: u8| {
        let mut client = Client::new(mailboxes, account, [192, 0, 2, host].into());
        client.command(b"s SELECT INBOX\r\n");
        client
    };
    let (mut first, mut second) = (client(1), client(2));
    let micros = |client: &mut Client, command: &str| {
        let started = Instant::now();
        client.command(command.as_bytes());
        started.elapsed().as_secs_f64() * 1e6
    };
    let all = micros(&mut first, "f FETCH 1:* BODY.PEEK[]\r\n");
    figures.at_once.push(all / messages as f64);
    for number in 1..=ALONE.min(messages) {
        let command = format!("f FETCH {number} BODY.PEEK[]\r\n");
        figures.one_by_one.push(micros(&mut second, &command));
    }
    figures.refused += first.refused + second.refused;
}

fn seal_others(
    opened: &Opened,
    account: u32,
    rate: Option<u32>,
    (stop, sealed): (&AtomicBool, &AtomicU32),
) {
    let started = Instant::now();
    for n in 0u32.. {
        let due = match rate {
            Some(0) => return,
            Some(rate) => Duration::from_secs(1) * n / rate,
            None => Duration::ZERO,
        };
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        if stop.load(Ordering::SeqCst) {
            return;
        }
        seal_one(opened, u128::from(account) << 32 | u128::from(n));
        sealed.store(n + 1, Ordering::SeqCst);
    }
}

fn seal_one(opened: &Opened, number: u128) {
    let Opened {
        mailboxes, sealing, ..
    } = opened;
    let (digest, tag) = (number.to_be_bytes(), number.to_le_bytes());
    let (digest, tag) = (ContentDigest(digest), SealTag(tag));
    let seal = Seal {
        tag,
        cover: Cover::Except(Default::default()),
        outside: Outside::All,
        origins: Origins::all(),
        attached: true,
        part: None,
        active: true,
        until: NOW,
    };
    let sealed = sealing.seal(digest, seal, |_| Ok::<_, MailboxError>(()));
    sealed.unwrap();
    let settled = mailboxes.transact(&[], |txn| {
        let settled = sealing.settle_seal_in(txn, digest, tag);
        settled.map(Verdict::Commit)
    });
    settled.unwrap();
    sealing.forget_seal(digest, tag);
}
