//! Changes of the directory: what they refuse, and that conflicts, lost answers and races leave the
//! rows whole.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::world::{act, address, build, shown};
use tern_base::{AccountId, Domain, SeededEntropy};
use tern_directory::{
    account, addresses_of, begin_group_removal_in, check, domain, finish_group_removal,
    group_by_address, groups_being_removed, groups_of, list_accounts, list_addresses, list_domains,
    members, secrets,
};
use tern_store::mem::Injected;
use tern_store::{MemEngine, Range, Read, StoreError, Verdict, transact};

const SCRIPT: &str = "
    domain a.example
    domain b.example
    account alice Alice
    account bob Bob
    account carol@b.example Carol
    alias sales alice bob x@else.example
    alias sales bob carol@b.example
    alias only-bob bob
    group team alice bob #3 y@else.example
    group staff team carol@b.example
    leave team alice y@else.example nobody
    catch-all b.example bob
    -account bob
    account dora
    account erin
    group other dora erin
    -group other
    -alias nothing
    -account erin
    -domain c.example
    disable dora
";

fn rows(engine: &MemEngine) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = Range {
        start: vec![0x20],
        end: vec![0x30],
        reverse: false,
    };
    engine.scan(&all, 10_000).unwrap().rows
}

#[test]
fn faults_change_nothing_of_the_result() {
    let calm = MemEngine::new();
    build(&calm, SCRIPT);
    assert_eq!(check(&calm).unwrap(), []);
    assert_eq!(shown(&calm, "sales"), "carol < alias sales");
    assert_eq!(shown(&calm, "only-bob"), "UnknownUser");
    assert_eq!(shown(&calm, "x@b.example"), "UnknownUser");
    for period in 2..9 {
        for fate in [
            Injected::Conflict,
            Injected::UnknownApplied,
            Injected::UnknownDropped,
        ] {
            let engine = MemEngine::new();
            let commits = AtomicU64::new(0);
            engine.set_fault_hook(Some(Box::new(move |_| {
                let n = commits.fetch_add(1, Ordering::Relaxed);
                n.is_multiple_of(period).then_some(fate)
            })));
            build(&engine, SCRIPT);
            assert_eq!(rows(&engine), rows(&calm), "{fate:?} every {period}");
            assert_eq!(check(&engine).unwrap(), []);
        }
    }
}

#[test]
fn what_is_refused() {
    let engine = MemEngine::new();
    build(&engine, SCRIPT);
    for (line, error) in [
        (
            "account zoe@else.example",
            "the domain is not one of this server",
        ),
        ("account ALICE Other", "the address is taken"),
        ("account sales", "the address is taken"),
        ("account team", "the address is taken"),
        ("alias alice dora", "the address is taken"),
        ("alias team dora", "the address is taken"),
        ("alias new #99", "there is no such account"),
        ("alias new #2", "there is no such account"),
        ("alias new", "too many or too long: targets of an alias"),
        ("group new #99", "there is no such account"),
        ("group alice dora", "the address is taken"),
        ("leave nothing dora", "there is no such group"),
        ("-domain a.example", "the domain still has addresses"),
        (
            "catch-all else.example alice",
            "the domain is not one of this server",
        ),
        ("disable bob", "there is no such account"),
        ("catch-all a.example #99", "there is no such account"),
        // In lower case this address is longer than one may be.
        (
            format!("account {}", "İ".repeat(110)).as_str(),
            "too many or too long: local part",
        ),
    ] {
        assert_eq!(act(&engine, line).unwrap_err().to_string(), error, "{line}");
    }
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn ids_are_not_given_twice() {
    let engine = MemEngine::new();
    build(&engine, SCRIPT);
    let page = list_accounts(&engine, AccountId(1), 2).unwrap();
    let ids = |accounts: &[tern_directory::Account]| -> Vec<u32> {
        accounts.iter().map(|account| account.id.0).collect()
    };
    assert_eq!(ids(&page.accounts), [1, 3]);
    assert_eq!(page.next, Some(AccountId(4)));
    build(&engine, "account bob Again");
    let page = list_accounts(&engine, AccountId(4), 9).unwrap();
    assert_eq!((ids(&page.accounts), page.next), (vec![4, 6], None));
    assert_eq!(account(&engine, AccountId(2)).unwrap(), None);
}

#[test]
fn lists() {
    let engine = MemEngine::new();
    build(&engine, SCRIPT);
    build(&engine, "alias extra #1\nalias Mixed.Case alice");
    let texts = |list: Vec<tern_base::EmailAddress>| -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    };
    let of_alice = texts(addresses_of(&engine, AccountId(1)).unwrap());
    assert_eq!(
        of_alice,
        ["alice@a.example", "extra@a.example", "mixed.case@a.example"]
    );
    let a = Domain::parse("a.example").unwrap();
    let names = texts(list_addresses(&engine, &a).unwrap());
    let count = names.len() as u64;
    assert_eq!(count, domain(&engine, &a).unwrap().unwrap().addresses);
    assert!(names.contains(&"mixed.case@a.example".to_owned()));
    assert_eq!(list_domains(&engine).unwrap().len(), 2);
    assert_eq!(groups_of(&engine, AccountId(3)).unwrap().len(), 2);
    assert_eq!(groups_of(&engine, AccountId(1)).unwrap(), []);
}

#[test]
fn an_emptied_domain_can_go() {
    let engine = MemEngine::new();
    build(
        &engine,
        "domain a.example\naccount a\nalias b a\ngroup c a b",
    );
    build(&engine, "-group c\n-account a\n-domain a.example");
    let left = rows(&engine);
    // Only the counters stay.
    assert_eq!(left.len(), 1);
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn removal_and_addition_race_without_leftovers() {
    for round in 0..50 {
        let engine = MemEngine::new();
        build(&engine, "domain a.example\naccount a\naccount b\ngroup g b");
        let race = |line: &str| drop(act(&engine, line));
        std::thread::scope(|scope| {
            scope.spawn(|| race("-account a"));
            scope.spawn(|| race("alias n #1 b"));
            scope.spawn(|| race("group g #1"));
            scope.spawn(|| race("catch-all a.example #1"));
        });
        assert_eq!(check(&engine).unwrap(), [], "round {round}");
        assert_eq!(account(&engine, AccountId(1)).unwrap(), None);
        let engine = MemEngine::new();
        build(&engine, "domain a.example");
        let race = |line: &str| drop(act(&engine, line));
        std::thread::scope(|scope| {
            scope.spawn(|| race("-domain a.example"));
            scope.spawn(|| race("account a"));
        });
        assert_eq!(check(&engine).unwrap(), [], "round {round}");
    }
}

#[test]
fn a_removal_cut_off_is_finished_by_the_next() {
    let engine = MemEngine::new();
    build(
        &engine,
        "domain a.example\naccount a\naccount b\nalias n a b\ngroup g a",
    );
    let commits = AtomicU64::new(0);
    engine.set_fault_hook(Some(Box::new(move |_| {
        (commits.fetch_add(1, Ordering::Relaxed) > 0).then_some(Injected::Full)
    })));
    let error = act(&engine, "-account a").unwrap_err();
    assert_eq!(error, StoreError::Full.into());
    engine.set_fault_hook(None);
    // Half-way: nothing is delivered to it, and nothing can be added.
    assert_eq!(shown(&engine, "a"), "Disabled");
    assert!(act(&engine, "alias m #1").is_err());
    build(&engine, "-account a");
    assert_eq!(shown(&engine, "n"), "b < alias n");
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn damage_is_found() {
    let pristine = MemEngine::new();
    build(&pristine, SCRIPT);
    for (key, _) in rows(&pristine) {
        // Domain, account and credential rows can't be known to be missing, where nothing names
        // them; every row of this world is named.
        let engine = pristine.fork();
        let mut batch = tern_store::Batch::new();
        batch.delete(key.clone());
        tern_store::Engine::commit(&engine, batch).unwrap();
        assert_ne!(check(&engine).unwrap(), [], "{key:?}");
    }
}

#[test]
fn secrets_are_made_once() {
    let engine = MemEngine::new();
    let first = secrets(&engine, &mut SeededEntropy::new(1)).unwrap();
    let again = secrets(&engine, &mut SeededEntropy::new(2)).unwrap();
    assert_eq!(first, again);
    assert_eq!(format!("{first:?}"), "Secrets(..)");
    let keys = [first.content_key, first.token_key, first.session_key];
    assert!(keys.iter().all(|key| *key != [0; 32]));
    assert_eq!(
        keys.iter().collect::<std::collections::HashSet<_>>().len(),
        3
    );
    // A name in any case is one address.
    assert_eq!(address("BOB"), address("bob"));
}

#[test]
fn a_group_whose_removal_was_cut_off_is_gone_all_the_same() {
    let engine = MemEngine::new();
    build(
        &engine,
        "domain a.example\naccount a\ngroup g a x@else.example",
    );
    let name = address("g@a.example");
    let group = group_by_address(&engine, &name).unwrap().unwrap();
    let begun = transact(&engine, |txn| {
        begin_group_removal_in(txn, group.id).map(Verdict::Commit)
    });
    assert_eq!(begun, Ok(true));
    // Nobody reaches it, though its members are not out yet, and another may have the name.
    assert_eq!(group_by_address(&engine, &name), Ok(None));
    assert_eq!(groups_being_removed(&engine), Ok(vec![group.id]));
    assert_eq!(check(&engine).unwrap(), []);
    build(&engine, "group g a");
    let next = group_by_address(&engine, &name).unwrap().unwrap();
    assert_eq!(next.members, 1);
    finish_group_removal(&engine, group.id).unwrap();
    assert_eq!(groups_being_removed(&engine), Ok(Vec::new()));
    assert_eq!(members(&engine, group.id, None, 10).unwrap().members, []);
    assert_eq!(groups_of(&engine, AccountId(1)), Ok(vec![next.id]));
    assert_eq!(check(&engine).unwrap(), []);
}
