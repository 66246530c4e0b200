//! A purge over the default engine: once it is compacted no file of the store has a run of what was
//! purged, no row has a word of its text, and what was not recalled is there as before.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tern_base::{AccountId, Entropy as _, OriginId, SeededEntropy, Timestamp};
use tern_mailbox::{Flags, FolderSpec, INBOX, Landing, Lineage, Mailboxes, NoListener, Upkeep};
use tern_policy::{Authentication, built_in};
use tern_recall::{
    Destination, Keys, RecallId, Recalls, Request, Requester, Selector, Settings, Submission,
    Target, submission,
};
use tern_store::{Engine, Range, Verdict};
use tern_store_rocksdb::RocksEngine;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const SENDER: AccountId = AccountId(1);
const RECIPIENTS: [AccountId; 2] = [AccountId(2), AccountId(3)];
/// Octets that are looked for at once.
const RUN: usize = 16;

struct House {
    engine: Arc<dyn Engine>,
    mailboxes: Arc<Mailboxes>,
    upkeep: Upkeep,
    recalls: Recalls,
    entropy: SeededEntropy,
    now: Timestamp,
}

impl House {
    fn new(engine: Arc<dyn Engine>) -> Self {
        let now = Timestamp::from_secs(1_800_000_000);
        let (keys, listener) = (
            Keys {
                content: [7; 32],
                token: [9; 32],
            },
            Arc::new(NoListener),
        );
        let opened = tern_recall::open(
            Arc::clone(&engine),
            keys,
            built_in(),
            Settings::default(),
            listener,
        );
        let (opened, recalls) = opened.unwrap();
        let folders = [FolderSpec {
            path: "Recall",
            role: None,
        }];
        for account in [SENDER].iter().chain(&RECIPIENTS) {
            opened
                .mailboxes
                .create_account(*account, 0, &folders, now)
                .unwrap();
        }
        Self {
            engine,
            mailboxes: opened.mailboxes,
            upkeep: opened.upkeep,
            recalls,
            entropy: SeededEntropy::new(1),
            now,
        }
    }

    /// A letter with a text of these words, and with octets that no compression makes shorter.
    fn letter(&mut self, words: &str, count: usize) -> (Vec<u8>, Vec<u8>) {
        let mut octets = vec![0; count];
        self.entropy.fill(&mut octets);
        let letter = [
            format!(
                "From: a@example.org\r\nTo: b@example.org\r\nSubject: {words}\r\n\
                 Message-ID: <{words}@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\
                 \r\n--b\r\n\r\nText of {words}\r\n--b\r\nContent-Type: application/octet-stream\r\n\
                 Content-Transfer-Encoding: binary\r\n\r\n"
            )
            .into_bytes(),
            octets.clone(),
            b"\r\n--b--\r\n".to_vec(),
        ];
        (letter.concat(), octets)
    }

    fn send(&mut self, words: &str, content: Vec<u8>) -> Submission {
        let (id, now) = (OriginId::new(self.now, &mut self.entropy), self.now);
        let prepared = self.mailboxes.prepare(content, now).unwrap();
        let landings = RECIPIENTS.map(|account| Landing {
            account,
            mailbox: INBOX,
            flags: Flags::empty(),
            received: now,
            prefix: Vec::new(),
            origin: id,
            lineage: Lineage::Delivered,
            brought_by: None,
        });
        for placed in self.mailboxes.land(&prepared, &landings, now).unwrap() {
            placed.unwrap();
        }
        let sent = Submission {
            id,
            account: SENDER,
            mail_from: None,
            message_id: format!("{words}@example.org"),
            subject: words.into(),
            digest: prepared.digest,
            carried: Vec::new(),
            text: None,
            label: None,
            answers: Vec::new(),
            size: prepared.size(),
            submitted: now,
            recipients: 2,
            accounts: 2,
            outside: 0,
        };
        let targets = RECIPIENTS.map(|account| {
            let recipient = format!("{account}@example.org");
            Target::of(&recipient, &[], Destination::Account(account))
        });
        tern_store::transact(&*self.engine, |txn| {
            submission::record_in(txn, &sent)?;
            for (first, chunk) in submission::target_chunks(&targets) {
                submission::record_targets_in(txn, id, first, chunk);
            }
            Ok::<_, tern_store::StoreError>(Verdict::Commit(()))
        })
        .unwrap();
        sent
    }

    fn recall(&mut self, sent: &Submission) -> RecallId {
        let requester = Requester {
            account: None,
            name: "operator".into(),
            authentication: Authentication::default(),
        };
        let id = RecallId(OriginId::new(self.now, &mut self.entropy).0);
        let request = Request::new(id, Selector::Submission(sent.id), requester);
        let _ = self.recalls.request(&request, self.now).unwrap();
        self.recalls.run(id, self.now).unwrap();
        id
    }

    /// How many rows say something.
    fn rows_with(&self, words: &str) -> usize {
        let (mut count, mut next) = (
            0,
            Some(Range {
                start: vec![0],
                end: vec![0xff; 64],
                reverse: false,
            }),
        );
        while let Some(range) = next {
            let page = self.engine.scan(&range, 1_000).unwrap();
            let says = |value: &Vec<u8>| value.windows(words.len()).any(|w| w == words.as_bytes());
            count += page.rows.iter().filter(|(_, value)| says(value)).count();
            next = page.next;
        }
        count
    }

    /// Brings enough mail for the words of what was there before to be kept for searches, and has that done.
    fn keep_words(&mut self) {
        for n in 0..64 {
            let (letter, _) = self.letter(&format!("filler {n}"), 10);
            self.send(&format!("filler {n}"), letter);
        }
        for account in RECIPIENTS {
            for held in self.mailboxes.account_view(account).unwrap().iter() {
                self.mailboxes.want_words(account, held.message);
            }
        }
        assert!(self.upkeep.make_words(100).unwrap());
    }

    /// How many rows of words have one that begins as no other.
    fn words_with(&self, word: &str) -> usize {
        let rows = self
            .engine
            .scan(&Range::prefix(vec![0x84]), 1_000)
            .unwrap()
            .rows;
        let says = |row: &[u8]| row.windows(word.len()).any(|w| w == word.as_bytes());
        rows.iter().filter(|(_, row)| says(row)).count()
    }

    fn check(&self) {
        assert_eq!(self.upkeep.check(&BTreeMap::new()), Ok(Vec::new()));
        assert_eq!(self.recalls.check(), Ok(Vec::new()));
    }
}

/// How many of some runs the files below a directory have.
fn found(directory: &Path, runs: &BTreeSet<&[u8]>) -> usize {
    let mut found = BTreeSet::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            // Unlinked meanwhile, perhaps.
            let file = fs::read(path).unwrap_or_default();
            found.extend(file.windows(RUN).filter_map(|run| runs.get(run)).copied());
        }
    }
    found.len()
}

#[test]
fn what_was_purged_is_in_no_file_of_the_store_and_its_text_in_no_row() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("store");
    let settings = tern_store_rocksdb::Settings::default();
    let rocks = Arc::new(RocksEngine::open(&path, &settings).unwrap());
    let engine: Arc<dyn Engine> = rocks.clone();
    let mut house = House::new(engine);
    // In the batch that refers to it, and ahead of it.
    let (small, small_octets) = house.letter("wolverine", 20_000);
    let (large, large_octets) = house.letter("pangolin", 400_000);
    let (other, other_octets) = house.letter("capybara", 400_000);
    let purged = [&small_octets, &large_octets].map(|all| all.chunks_exact(RUN).collect());
    let stays: BTreeSet<&[u8]> = other_octets.chunks_exact(RUN).collect();
    let small = house.send("wolverine", small);
    let large = house.send("pangolin", large);
    house.send("capybara", other);
    house.keep_words();
    for word in ["wolverine", "pangolin", "capybara"] {
        assert_eq!(house.words_with(word), 2, "{word}");
    }
    rocks.compact().unwrap();
    for runs in &purged {
        assert!(found(&path, runs) > runs.len() * 9 / 10);
    }
    assert!(house.rows_with("Text of pangolin") > 0, "the preview");
    for sent in [small, large] {
        house.recall(&sent);
    }
    for word in ["wolverine", "pangolin"] {
        assert_eq!(house.words_with(word), 0, "{word}");
    }
    house.now = house.now.plus_millis(91 * DAY_MS);
    assert_eq!(house.recalls.purge(house.now), Ok(4));
    house.now = house.now.plus_millis(DAY_MS);
    assert_eq!(house.upkeep.collect(house.now, 100), Ok(2));
    house.check();
    assert!(
        purged.iter().any(|runs| found(&path, runs) > 0),
        "not compacted yet"
    );
    rocks.compact().unwrap();
    for word in ["Text of wolverine", "Text of pangolin"] {
        assert_eq!(house.rows_with(word), 0, "{word}");
    }
    assert!(house.rows_with("Text of capybara") > 0);
    drop(house);
    // Files are unlinked in the background; what was left of that is done at the next start.
    drop(rocks);
    drop(RocksEngine::open(&path, &settings).unwrap());
    for runs in &purged {
        assert_eq!(found(&path, runs), 0);
    }
    assert!(found(&path, &stays) > stays.len() * 9 / 10);
}
