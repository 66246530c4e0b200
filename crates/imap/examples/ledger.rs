//! What it costs a fetch of bodies that what is served is put on record first: the fetch of a client that
//! was served nothing yet, beside the same fetch again, when everything is on record already.
//!
//! `cargo run --release -p tern-imap --example ledger [messages [accounts]]`
//!
//! Every pair reads the same octets, which were read before by the mailboxes alone, so that neither is the
//! one that fills the caches. What is left of the ledger in the second fetch is the look whether
//! everything is on record; it is timed by itself, and what a fetch without any ledger takes is the second
//! fetch without it. Times are wall clock, a synced commit is part of them; medians over the accounts.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement by hand"
)]

mod support;

use std::sync::Arc;
use std::time::Instant;

use support::{Client, NOW, deliver, mailboxes_over, now};
use tern_base::{AccountId, MessageId};
use tern_mailbox::{ExposureLevel, INBOX, Mailboxes, MessageRow, Served, Share, Viewer};
use tern_store_rocksdb::{RocksEngine, Settings};

/// How often everything is read again.
const AGAIN: usize = 5;

/// How everything is fetched, by a client that is the first to do it this way.
#[derive(Clone, Copy)]
struct Fetch {
    name: &'static str,
    at_once: bool,
}

const FETCHES: [Fetch; 3] = [
    Fetch {
        name: "all at once, as delivered",
        at_once: true,
    },
    Fetch {
        name: "all at once, served to another client before",
        at_once: true,
    },
    Fetch {
        name: "one by one, served to others before",
        at_once: false,
    },
];

/// Microseconds for a message: on the clock, and of this thread on a processor.
#[derive(Clone, Copy)]
struct Cost {
    clock: f64,
    processor: f64,
}

type Name = (&'static str, &'static str);

/// Median costs, by what was done.
#[derive(Default)]
struct Costs(Vec<(Name, Vec<Cost>)>);

impl Costs {
    fn time(&mut self, what: Name, messages: usize, work: impl FnOnce()) {
        let (clock, processor) = (Instant::now(), now());
        work();
        let each = |seconds: f64| seconds * 1e6 / messages as f64;
        let cost = Cost {
            clock: each(clock.elapsed().as_secs_f64()),
            processor: each((now() - processor).as_secs_f64()),
        };
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, costs)) => costs.push(cost),
            None => self.0.push((what, vec![cost])),
        }
    }

    fn median(&self, what: Name) -> Cost {
        let (_, costs) = self.0.iter().find(|(name, _)| *name == what).unwrap();
        let median = |of: fn(&Cost) -> f64| {
            let mut all: Vec<f64> = costs.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        Cost {
            clock: median(|cost| cost.clock),
            processor: median(|cost| cost.processor),
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise| arguments.next().map_or(otherwise, |n| n.parse().unwrap());
    let (messages, accounts): (usize, u32) = (number(2_000), number(9) as u32);
    let directory = tempfile::tempdir().unwrap();
    let engine = RocksEngine::open(&directory.path().join("store"), &Settings::default()).unwrap();
    let mailboxes = mailboxes_over(Arc::new(engine)).mailboxes;
    let mut costs = Costs::default();
    for account in (1..=accounts).map(AccountId) {
        deliver(&mailboxes, account, messages);
        measure(&mailboxes, account, messages, &mut costs);
    }
    for fetch in FETCHES {
        tell(&costs, fetch);
    }
    let record = costs.median(("by itself", "record"));
    println!(
        "the record of everything by itself: {:.2} µs each",
        record.clock
    );
    let all = SIDE_BY_SIDE.map(|sessions| (sessions, side_by_side(&mailboxes, sessions)));
    for (sessions, each) in all {
        println!("one by one, by {sessions} sessions at once, first: {each:.1} µs a message");
    }
}

/// Sessions that share a sync, since they fetch at the same time.
const SIDE_BY_SIDE: [u32; 3] = [1, 16, 64];
/// Messages that each of them fetches.
const EACH: usize = 200;

/// Microseconds for a message of all that many sessions fetch one by one, each in an account of its own.
fn side_by_side(mailboxes: &Arc<Mailboxes>, sessions: u32) -> f64 {
    let of = |session: u32| AccountId(1_000 * sessions + session);
    let mut clients = Vec::new();
    for session in 0..sessions {
        deliver(mailboxes, of(session), EACH);
        warm(mailboxes, of(session));
        clients.push(client(mailboxes, of(session), 1));
    }
    let started = Instant::now();
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| {
                for number in 1..=EACH {
                    client.command(format!("f FETCH {number} BODY.PEEK[]\r\n").as_bytes());
                }
            });
        }
    });
    started.elapsed().as_secs_f64() * 1e6 / f64::from(sessions) / EACH as f64
}

fn client(mailboxes: &Arc<Mailboxes>, account: AccountId, host: u8) -> Client {
    let mut client = Client::new(mailboxes, account, [192, 0, 2, host].into());
    client.command(b"s SELECT INBOX\r\n");
    client
}

/// Reads everything by the mailboxes alone.
fn warm(mailboxes: &Mailboxes, account: AccountId) -> Vec<(MessageId, MessageRow)> {
    let view = mailboxes.view(account, INBOX).unwrap();
    let ids: Vec<MessageId> = view.iter().map(|entry| entry.message).collect();
    let rows = mailboxes.messages(account, &ids).unwrap();
    let rows = rows.into_iter().map(|row| row.unwrap().unwrap());
    let rows: Vec<(MessageId, MessageRow)> = ids.into_iter().zip(rows).collect();
    for (_, row) in &rows {
        mailboxes.read(account, row, 0..row.size.into()).unwrap();
    }
    rows
}

fn measure(mailboxes: &Arc<Mailboxes>, account: AccountId, messages: usize, costs: &mut Costs) {
    let rows = warm(mailboxes, account);
    for (fetch, host) in FETCHES.into_iter().zip(1..) {
        let mut client = client(mailboxes, account, host);
        let mut all = || match fetch.at_once {
            true => drop(client.command(b"f FETCH 1:* BODY.PEEK[]\r\n")),
            false => {
                for number in 1..=messages {
                    client.command(format!("f FETCH {number} BODY.PEEK[]\r\n").as_bytes());
                }
            }
        };
        costs.time((fetch.name, "first"), messages, &mut all);
        for _ in 0..AGAIN {
            costs.time((fetch.name, "again"), messages, &mut all);
        }
    }
    let served: Vec<Served> = rows.iter().map(|row| whole(account, row)).collect();
    let viewer = Viewer {
        protocol: "imap",
        address: "192.0.2.4".into(),
        ..Viewer::default()
    };
    for what in ["record", "look"] {
        costs.time(("by itself", what), messages, || {
            for chunk in served.chunks(tern_mailbox::limits::CHUNK) {
                mailboxes.record_served(chunk, &viewer, NOW).unwrap();
            }
        });
    }
}

fn whole(account: AccountId, (message, row): &(MessageId, MessageRow)) -> Served {
    Served {
        account,
        message: *message,
        digest: row.digest,
        origin: row.origin,
        carries: false,
        level: ExposureLevel::Downloaded,
        share: Share::ALL,
    }
}

fn tell(costs: &Costs, fetch: Fetch) {
    let (first, again) = (
        costs.median((fetch.name, "first")),
        costs.median((fetch.name, "again")),
    );
    let look = costs.median(("by itself", "look"));
    let line = |of: fn(&Cost) -> f64| {
        let without = of(&again) - of(&look);
        let more = |cost: f64| (cost / without - 1.0) * 100.0;
        format!(
            "without {without:>6.1} µs, again {:>6.1} ({:+.1} %), first {:>6.1} ({:+.1} %)",
            of(&again),
            more(of(&again)),
            of(&first),
            more(of(&first)),
        )
    };
    println!("{}", fetch.name);
    println!("  clock:     {}", line(|cost| cost.clock));
    println!("  processor: {}", line(|cost| cost.processor));
}
