//! Measures one message to many accounts and its recall on the default engine, without protocols:
//! the ceiling of what the server can do. `cargo run --release -p tern-recall --example fanout -- 100000`;
//! with `draft` behind it one of them is the sender, whose client has put a copy there before it is sent, as
//! clients that speak JMAP do; with `words` everybody has searched it, so that there are words to be dropped (beside `anew`, without).
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement may panic and reads the clock"
)]

use std::sync::Arc;
use std::time::Instant;

use tern_base::{AccountId, MessageId, OriginId, SeededEntropy, Timestamp};
use tern_mailbox::{
    AppendRequest, Flags, FolderSpec, INBOX, Landing, Lineage, Mailboxes, NoListener, Opened,
    Upkeep, Viewer,
};
use tern_policy::{Authentication, built_in};
use tern_recall::{
    Destination, Keys, RecallId, Recalls, Request, Requester, Selector, Settings, Submission,
    Target, submission,
};
use tern_store::{Engine, Verdict};

fn main() {
    let count: u32 = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(10_000);
    let is_asked = |what| std::env::args().nth(2).is_some_and(|word| word == what);
    let has_draft = is_asked("draft");
    let directory = tempfile::tempdir().unwrap();
    let engine = tern_store_rocksdb::RocksEngine::open(
        &directory.path().join("store"),
        &tern_store_rocksdb::Settings::default(),
    );
    let engine: Arc<dyn Engine> = Arc::new(engine.unwrap());
    let now = Timestamp::from_secs(1_800_000_000);
    let (opened, recalls) = opened(&engine);
    let Opened {
        mailboxes, upkeep, ..
    } = &opened;
    let accounts: Vec<AccountId> = (1..=count).map(AccountId).collect();
    timed("accounts made", count, || {
        make_accounts(mailboxes, &accounts, now)
    });
    let id = OriginId::new(now, &mut SeededEntropy::new(1));
    if has_draft {
        put_draft(mailboxes, AccountId(1), now);
    }
    timed("delivered", count, || {
        deliver(mailboxes, &*engine, &accounts, id, now)
    });
    if is_asked("words") || is_asked("anew") {
        // So that the ids of everybody's block are all given out.
        upkeep.begin_anew(now).unwrap();
    }
    if is_asked("words") {
        timed("words made", count, || {
            keep_words(mailboxes, upkeep, &accounts)
        });
    }
    let operator = Requester {
        account: None,
        name: "operator".into(),
        authentication: Authentication::default(),
    };
    let request = Request::new(RecallId([1; 16]), Selector::Submission(id), operator);
    timed("planned", count, || {
        drop(recalls.plan(&request, now).unwrap())
    });
    timed("sealed", count, || {
        let _ = recalls.request(&request, now).unwrap();
    });
    timed("withdrawn", count, || {
        std::thread::scope(|scope| {
            scope.spawn(|| recalls.assist(request.id, 0, now).unwrap());
            recalls.run(request.id, now).unwrap();
        });
    });
    println!("{:?}", recalls.tally(request.id).unwrap());
}

fn opened(engine: &Arc<dyn Engine>) -> (Opened, Recalls) {
    let keys = Keys {
        content: [7; 32],
        token: [9; 32],
    };
    let (settings, listener) = (Settings::default(), Arc::new(NoListener));
    tern_recall::open(Arc::clone(engine), keys, built_in(), settings, listener).unwrap()
}

fn timed(what: &str, count: u32, work: impl FnOnce()) {
    let (start, cpu) = (Instant::now(), cpu_ms());
    work();
    let spent = start.elapsed();
    let rate = f64::from(count) / spent.as_secs_f64();
    println!(
        "{what:>16}: {:>9.1} ms, {rate:>9.0}/s, {:>6} ms of CPU",
        spent.as_secs_f64() * 1e3,
        cpu_ms() - cpu
    );
}

/// What this process has used of the processors (proc_pid_stat(5), in ticks of 10 ms): what is
/// comparable on a machine that does other things too.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|n| n.parse::<u64>().ok()).sum::<u64>() * 10
}

fn make_accounts(mailboxes: &Mailboxes, accounts: &[AccountId], now: Timestamp) {
    let folders = [FolderSpec {
        path: "Sent",
        role: None,
    }];
    std::thread::scope(|scope| {
        for part in accounts.chunks(accounts.len().div_ceil(16)) {
            scope.spawn(move || {
                for account in part {
                    mailboxes
                        .create_account(*account, 0, &folders, now)
                        .unwrap();
                }
            });
        }
    });
}

fn content() -> Vec<u8> {
    let mut content = b"From: a@example.org\r\nTo: all@example.org\r\nSubject: News\r\n\
        Date: Sat, 21 Nov 2026 22:06:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n"
        .to_vec();
    content.extend((0..4096u32).map(|n| {
        if n % 70 == 69 {
            b'\n'
        } else {
            b'a' + (n % 26) as u8
        }
    }));
    content
}

/// Has the words of everybody's message kept, as after a search that read it.
fn keep_words(mailboxes: &Mailboxes, upkeep: &Upkeep, accounts: &[AccountId]) {
    for some in accounts.chunks(tern_mailbox::limits::WANTED_WORDS_ACCOUNTS) {
        for account in some {
            mailboxes.want_words(*account, MessageId(1));
        }
        while !upkeep.make_words(some.len()).unwrap() {}
    }
}

/// A copy in the sender's account, which the sender's client brings.
fn put_draft(mailboxes: &Mailboxes, sender: AccountId, now: Timestamp) {
    let request = AppendRequest {
        account: sender,
        mailbox: INBOX,
        content: content(),
        flags: Flags::empty(),
        received: None,
        origin: OriginId::new(now, &mut SeededEntropy::new(2)),
        by: Viewer::default().into(),
    };
    mailboxes.append(request, now).unwrap();
}

fn deliver(
    mailboxes: &Mailboxes,
    engine: &dyn Engine,
    accounts: &[AccountId],
    id: OriginId,
    now: Timestamp,
) {
    let prepared = mailboxes.prepare(content(), now).unwrap();
    let landing = |account: &AccountId| Landing {
        account: *account,
        mailbox: INBOX,
        flags: Flags::empty(),
        received: now,
        prefix: format!(
            "Return-Path: <a@example.org>\r\nDelivered-To: user{account}@example.org\r\n"
        )
        .into(),
        origin: id,
        lineage: Lineage::Delivered,
        brought_by: None,
    };
    let landings: Vec<Landing> = accounts.iter().map(landing).collect();
    for placed in mailboxes.land(&prepared, &landings, now).unwrap() {
        placed.unwrap();
    }
    let sent = Submission {
        id,
        account: AccountId(u32::MAX),
        mail_from: None,
        message_id: "1@example.org".into(),
        subject: b"News".to_vec(),
        digest: prepared.digest,
        carried: Vec::new(),
        text: None,
        label: None,
        answers: Vec::new(),
        size: prepared.size(),
        submitted: now,
        recipients: 1,
        accounts: accounts.len() as u32,
        outside: 0,
    };
    let all = "all@example.org";
    let target = |account: &AccountId| Target::of(all, &[all], Destination::Account(*account));
    let targets: Vec<Target> = accounts.iter().map(target).collect();
    for (first, chunk) in submission::target_chunks(&targets) {
        tern_store::transact(engine, |txn| -> Result<_, tern_store::StoreError> {
            submission::record_in(txn, &sent)?;
            submission::record_targets_in(txn, id, first, chunk);
            Ok(Verdict::Commit(()))
        })
        .unwrap();
    }
}
