//! The log at its boundary: what is appended is read, verified and exported; every kind of
//! tampering with the stored rows is named.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use tern_audit::{
    Actor, Authentication, Draft, EntryId, Filter, Hash, Verified, append, append_in, check,
    export_jsonl, head, read, verify,
};
use tern_base::{AccountId, Timestamp};
use tern_store::mem::Injected;
use tern_store::{Batch, Engine, MemEngine, Range, Read, StoreError, Verdict, transact};

fn id(n: u64) -> EntryId {
    EntryId((u128::from(n) << 64 | 7).to_be_bytes())
}

fn draft(n: u64, action: &str) -> Draft {
    let actor = Actor::Account {
        account: AccountId(n as u32 % 3),
        address: format!("user{}@example.org", n % 3),
    };
    Draft::new(id(n), Timestamp(1_000 * n), actor, action)
        .target(format!("message {}", n % 2))
        .detail("number", n)
        .detail("text", "naïve \"quoted\" \\ \u{1}\u{7f}\u{2028}\n")
}

fn filled(count: u64) -> MemEngine {
    let engine = MemEngine::new();
    for n in 1..=count {
        let action = ["account.create", "account", "accounting", "login"][n as usize % 4];
        let appended = append(&engine, &draft(n, action)).unwrap();
        assert_eq!((appended.sequence, appended.new), (n, true));
    }
    engine
}

fn intact(engine: &dyn Engine, entries: u64) {
    match verify(engine, 1, None).unwrap() {
        Verified::Intact { entries: n, head } => assert_eq!((n, head.sequence), (entries, entries)),
        broken => panic!("{broken:?}"),
    }
    assert_eq!(check(engine).unwrap(), []);
}

#[test]
fn an_empty_log_is_intact() {
    intact(&MemEngine::new(), 0);
}

#[test]
fn the_first_entry_is_hashed_as_documented() {
    let engine = MemEngine::new();
    let mut first = draft(1, "account.create");
    first.details.clear();
    first.peer = Some("192.0.2.1".to_owned());
    first.authentication = Some(Authentication {
        mechanism: "PLAIN".to_owned(),
        factors: vec!["password".to_owned(), "totp".to_owned()],
        credential: None,
        second_factor_at: Some(Timestamp(5)),
    });
    let first = first.detail("b", u64::MAX).detail("a", "x\"\\\u{8}\u{1f}ü");
    append(&engine, &first).unwrap();
    let zeros = "0".repeat(64);
    let canonical = format!(
        concat!(
            r#"{{"action":"account.create","actor":{{"account":1,"address":"user1@example.org","#,
            r#""kind":"account"}},"authentication":{{"factors":["password","totp"],"#,
            r#""mechanism":"PLAIN","second_factor_at":"1970-01-01T00:00:00.005Z"}},"#,
            r#""details":{{"a":"x\"\\\b\u001fü","b":"18446744073709551615"}},"#,
            r#""id":"00000000000000010000000000000007","peer":"192.0.2.1","previous":"{}","#,
            r#""sequence":1,"target":"message 1","time":"1970-01-01T00:00:01.000Z"}}"#,
        ),
        zeros
    );
    let entry = tern_audit::entry(&engine, 1).unwrap().unwrap();
    assert_eq!(entry.canonical_json(), canonical);
    assert_eq!(entry.draft, first);
    // sha256sum of these bytes.
    let sum = "17776e79e89aeaabd791631b09d1d5a97658e77793bb07590e17a1273191c3f8";
    assert_eq!(entry.hash.to_string(), sum);
    assert_eq!(head(&engine).unwrap().hash, entry.hash);
}

#[test]
fn an_exported_log_verifies_with_any_json_reader() {
    let engine = filled(10);
    let (mut lines, mut from) = (String::new(), Some(1));
    while let Some(next) = from {
        let page = export_jsonl(&engine, next, 3).unwrap();
        lines.push_str(&page.lines);
        from = page.next;
    }
    let mut previous = Hash::ZERO.to_string();
    for (n, line) in lines.lines().enumerate() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let entry = &row["entry"];
        assert_eq!(entry["sequence"], n + 1);
        assert_eq!(entry["previous"], previous.as_str());
        // serde_json's maps are sorted: its rendering is the canonical one.
        let stored = tern_audit::entry(&engine, n as u64 + 1).unwrap().unwrap();
        assert_eq!(entry.to_string(), stored.canonical_json());
        previous = row["hash"].as_str().unwrap().to_owned();
    }
    assert_eq!(lines.lines().count(), 10);
    assert_eq!(previous, head(&engine).unwrap().hash.to_string());
}

#[test]
fn the_same_id_is_appended_once() {
    let engine = filled(3);
    let again = append(&engine, &draft(2, "account")).unwrap();
    assert_eq!((again.sequence, again.new), (2, false));
    intact(&engine, 3);
}

#[test]
fn appends_survive_conflicts_and_lost_answers() {
    let engine = MemEngine::new();
    let commits = AtomicU64::new(0);
    engine.set_fault_hook(Some(Box::new(move |_| {
        match commits.fetch_add(1, Ordering::Relaxed) % 5 {
            0 => Some(Injected::Conflict),
            2 => Some(Injected::UnknownApplied),
            3 => Some(Injected::UnknownDropped),
            _ => None,
        }
    })));
    for n in 1..=20 {
        loop {
            match append(&engine, &draft(n, "login")) {
                Ok(appended) => break assert_eq!(appended.sequence, n),
                Err(error) => assert_eq!(error, StoreError::Unknown.into()),
            }
        }
    }
    engine.set_fault_hook(None);
    intact(&engine, 20);
}

#[test]
fn an_entry_and_its_act_commit_together_or_not_at_all() {
    let engine = MemEngine::new();
    let work = |verdict: fn(()) -> Verdict<()>| {
        transact::<_, tern_audit::AuditError>(&engine, |txn| {
            txn.put(b"\x20act".to_vec(), vec![1]);
            append_in(txn, draft(1, "act"))?;
            Ok(verdict(()))
        })
    };
    work(Verdict::Abandon).unwrap();
    assert_eq!(engine.get(b"\x20act").unwrap(), None);
    intact(&engine, 0);
    work(Verdict::Commit).unwrap();
    assert_eq!(engine.get(b"\x20act").unwrap(), Some(vec![1]));
    intact(&engine, 1);
}

#[test]
fn long_texts_are_cut_and_bad_names_refused() {
    let engine = MemEngine::new();
    let long = draft(1, "login").target("ü".repeat(5_000));
    append(&engine, &long).unwrap();
    let target = tern_audit::entry(&engine, 1).unwrap().unwrap().draft.target;
    let target = target.unwrap();
    assert!(target.len() <= tern_audit::limits::MAX_TEXT && target.ends_with("ü…"));
    for action in ["", "two words", "ü", &"x".repeat(65)] {
        assert!(append(&engine, &draft(2, action)).is_err(), "{action}");
    }
    assert!(append(&engine, &draft(2, "login").detail("", "x")).is_err());
    intact(&engine, 1);
}

fn rows(engine: &MemEngine) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = Range::prefix(vec![0x41]);
    engine.scan(&all, 1_000).unwrap().rows
}

/// Changes rows behind the log's back.
fn tamper(engine: &MemEngine, change: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    change(&mut batch);
    engine.commit(batch).unwrap();
}

fn broken_at(engine: &MemEngine) -> Option<u64> {
    match verify(engine, 1, None).unwrap() {
        Verified::Intact { .. } => None,
        Verified::Broken(broken) => Some(broken.sequence),
    }
}

#[test]
fn every_changed_byte_of_an_entry_shows() {
    let pristine = filled(5);
    let (key, value) = rows(&pristine)[2].clone();
    for at in 0..value.len() {
        let engine = pristine.fork();
        let mut changed = value.clone();
        changed[at] ^= 1;
        tamper(&engine, |batch| batch.put(key.clone(), changed));
        assert_eq!(broken_at(&engine), Some(3), "byte {at}");
        assert!(!check(&engine).unwrap().is_empty());
    }
}

#[test]
fn removed_swapped_and_added_entries_show() {
    let pristine = filled(5);
    let all = rows(&pristine);
    for (n, (key, _)) in all.iter().enumerate() {
        let engine = pristine.fork();
        tamper(&engine, |batch| batch.delete(key.clone()));
        assert_eq!(broken_at(&engine), Some(n as u64 + 1), "removed {n}");
    }
    let engine = pristine.fork();
    tamper(&engine, |batch| {
        batch.put(all[1].0.clone(), all[2].1.clone());
        batch.put(all[2].0.clone(), all[1].1.clone());
    });
    assert_eq!(broken_at(&engine), Some(2));

    let engine = pristine.fork();
    let mut behind = all[4].0.clone();
    *behind.last_mut().unwrap() = 9;
    tamper(&engine, |batch| batch.put(behind, all[4].1.clone()));
    assert_eq!(broken_at(&engine), Some(6));
}

#[test]
fn a_log_cut_short_shows() {
    let pristine = filled(5);
    let all = rows(&pristine);
    // The last entry and the head: the head row alone can't be put right without its hash.
    let engine = pristine.fork();
    tamper(&engine, |batch| batch.delete(vec![0x40]));
    assert_eq!(broken_at(&engine), Some(1));
    let engine = pristine.fork();
    tamper(&engine, |batch| batch.delete(all[4].0.clone()));
    assert_eq!(broken_at(&engine), Some(5));
    let engine = pristine.fork();
    tamper(&engine, |batch| batch.put(vec![0x40], vec![9]));
    assert_eq!(broken_at(&engine), Some(0));
}

#[test]
fn a_range_is_verified_alone() {
    let engine = filled(9);
    let Verified::Intact { entries, .. } = verify(&engine, 4, Some(6)).unwrap() else {
        panic!("broken");
    };
    assert_eq!(entries, 3);
    let (key, _) = rows(&engine)[7].clone();
    tamper(&engine, |batch| batch.delete(key));
    let intact = |from, to| matches!(verify(&engine, from, to), Ok(Verified::Intact { .. }));
    assert!(intact(4, Some(6)));
    assert!(!intact(4, Some(8)));
    assert!(!intact(9, None));
}

#[test]
fn reads_by_filter_newest_first() {
    let engine = filled(24);
    let all = |filter: Filter| {
        let (mut found, mut until) = (vec![], None);
        loop {
            let page = read(&engine, &filter, until, 2).unwrap();
            found.extend(page.entries.iter().map(|entry| entry.sequence));
            match page.next {
                Some(next) => until = Some(next),
                None => break found,
            }
        }
    };
    let filter = Filter::default;
    assert_eq!(all(filter()), (1..=24).rev().collect::<Vec<_>>());
    let account = Some(AccountId(1));
    assert_eq!(
        all(Filter {
            account,
            ..filter()
        }),
        [22, 19, 16, 13, 10, 7, 4, 1]
    );
    let action = |name: &str| Some(name.to_owned());
    let below = all(Filter {
        action: action("account"),
        ..filter()
    });
    assert_eq!(below, [24, 21, 20, 17, 16, 13, 12, 9, 8, 5, 4, 1]);
    let part_of_a_name = all(Filter {
        action: action("acc"),
        ..filter()
    });
    assert_eq!(part_of_a_name, [0; 0]);
    let target = Some("message 0".to_owned());
    let (since, before) = (Some(Timestamp(5_000)), Some(Timestamp(9_000)));
    assert_eq!(
        all(Filter {
            target,
            since,
            before,
            ..filter()
        }),
        [8, 6]
    );
}
