//! Measures accepting messages on the default engine, without protocols: the ceiling of what the
//! server can take in. `cargo run --release -p tern-delivery --example rate -- 64 4096`: threads,
//! and octets of a message.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement may panic, reads the clock and starts threads"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tern_base::{AccountId, Domain, EmailAddress, OriginId, SeededEntropy, Timestamp};
use tern_delivery::{Delivery, Incoming, IncomingRecipient, Settings, Submitter};
use tern_directory::{NewAccount, add_domain, create_account};
use tern_mailbox::NoListener;
use tern_queue::Schedule;
use tern_store::Engine;

const ACCOUNTS: usize = 1_000;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|n| n.parse().ok());
    let threads: usize = numbers.next().unwrap_or(64);
    let size: usize = numbers.next().unwrap_or(4_096);
    let directory = tempfile::tempdir().unwrap();
    let engine = tern_store_rocksdb::RocksEngine::open(
        &directory.path().join("store"),
        &tern_store_rocksdb::Settings::default(),
    );
    let engine: Arc<dyn Engine> = Arc::new(engine.unwrap());
    let now = Timestamp::from_secs(1_800_000_000);
    let keys = tern_recall::Keys {
        content: [7; 32],
        token: [9; 32],
    };
    let recall = tern_recall::Settings::default();
    let mailboxes = tern_recall::mailboxes(&engine, keys, &recall, Arc::new(NoListener));
    let mailboxes = Arc::new(mailboxes.unwrap());
    add_domain(&*engine, &Domain::parse("tern.test").unwrap(), now).unwrap();
    let people: Vec<(AccountId, EmailAddress)> = (0..ACCOUNTS)
        .map(|n| {
            let new = NewAccount {
                address: EmailAddress::parse(&format!("u{n}@tern.test")).unwrap(),
                display_name: String::new(),
                quota_bytes: 0,
            };
            let id = create_account(&*engine, &new, now).unwrap().id;
            mailboxes.create_account(id, 0, &[], now).unwrap();
            (id, new.address)
        })
        .collect();
    let settings = Settings {
        hostname: "mx.tern.test".to_owned(),
        schedule: Schedule::default(),
        label_header: String::new(),
    };
    let delivery = Delivery::new(engine, mailboxes, settings, [9; 32]);
    for submitted in [false, true] {
        let done = AtomicU64::new(0);
        let (started, cpu) = (Instant::now(), cpu_ms());
        std::thread::scope(|scope| {
            for seed in 0..threads {
                let (delivery, people, done) = (&delivery, &people, &done);
                scope.spawn(move || {
                    let mut entropy = SeededEntropy::new(seed as u64 * 2 + u64::from(submitted));
                    while started.elapsed() < Duration::from_secs(5) {
                        let incoming = letter(people, size, submitted, now, &mut entropy);
                        let accepted = delivery.accept(incoming, now, &mut entropy).unwrap();
                        done.fetch_add(accepted.local as u64, Ordering::Relaxed);
                    }
                });
            }
        });
        let done = done.into_inner() as f64;
        let rate = done / started.elapsed().as_secs_f64();
        let each = (cpu_ms() - cpu) as f64 * 1e3 / done;
        let kind = if submitted { "submitted" } else { "received" };
        println!(
            "{kind}: {rate:.0} messages of {size} octets a second on {threads} threads, \
             {each:.1} us of CPU each"
        );
    }
}

/// What this process has used of the processors (proc_pid_stat(5), in ticks of 10 ms): what is
/// comparable on a machine that does other things too.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|n| n.parse::<u64>().ok()).sum::<u64>() * 10
}

fn letter(
    people: &[(AccountId, EmailAddress)],
    size: usize,
    submitted: bool,
    now: Timestamp,
    entropy: &mut SeededEntropy,
) -> Incoming {
    let origin = OriginId::new(now, entropy);
    let number = usize::from(origin.0[14]) * 256 + usize::from(origin.0[15]);
    let (account, from) = people.get(number % people.len()).unwrap();
    let (_, to) = people.get((number * 7 + 1) % people.len()).unwrap();
    let mut content = format!(
        "Received: by mx.tern.test id {origin}\r\nFrom: <{from}>\r\nTo: <{to}>\r\n\
         Subject: number {origin}\r\nMessage-ID: <{origin}@far.example>\r\n\
         Date: {}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        now.rfc5322()
    )
    .into_bytes();
    while content.len() < size {
        content.extend_from_slice(
            b"The quick brown fox jumps over the lazy dog, again and again.\r\n",
        );
    }
    Incoming {
        origin,
        mail_from: Some(from.clone()),
        recipients: vec![IncomingRecipient::new(to.clone())],
        ret: None,
        envid: None,
        smtputf8: false,
        content,
        submitter: submitted.then(|| Submitter {
            account: *account,
            login: from.to_string(),
            connection: None,
        }),
    }
}
