//! Identities: as many as the account's own addresses, and those that its owner adds.

use std::sync::Arc;

use tern_base::AccountId;
use tern_directory::{
    Correspondent, DirectoryError, Identities, IdentityDetails, IdentityId, Limit,
    account_by_address, check, limits, remove_account,
};
use tern_store::{Engine, MemEngine};

use crate::world::{act, address};

fn world() -> (Arc<dyn Engine>, Identities, AccountId) {
    let engine: Arc<dyn Engine> = Arc::new(MemEngine::new());
    for line in [
        "domain a.example",
        "account ann",
        "account ben",
        "alias sales ann",
        "alias both ann ben",
        "catch-all a.example ann",
    ] {
        act(&*engine, line).unwrap();
    }
    let ann = account_by_address(&*engine, &address("ann")).unwrap();
    let identities = Identities::new(Arc::clone(&engine));
    (engine, identities, ann.unwrap().id)
}

fn emails(identities: &Identities, account: AccountId) -> Vec<String> {
    let (_, all) = identities.all(account).unwrap();
    all.iter().map(|it| it.email.to_string()).collect()
}

fn named(name: &str) -> IdentityDetails {
    IdentityDetails {
        name: name.to_owned(),
        ..IdentityDetails::default()
    }
}

#[test]
fn each_address_that_is_the_accounts_alone_has_one_and_loses_it_with_the_address() {
    let (engine, identities, ann) = world();
    assert_eq!(
        emails(&identities, ann),
        ["ann@a.example", "sales@a.example"]
    );
    let (before, _) = identities.all(ann).unwrap();
    assert_eq!(
        identities.all(ann).unwrap().0,
        before,
        "reading changes nothing"
    );
    act(&*engine, "alias info ann").unwrap();
    act(&*engine, "-alias sales").unwrap();
    assert_eq!(
        emails(&identities, ann),
        ["ann@a.example", "info@a.example"]
    );
    let changes = identities.changes(ann, before, 100).unwrap().unwrap();
    assert_eq!(changes.destroyed, [IdentityId(2)]);
    assert_eq!(changes.created, [IdentityId(3)]);
    let first = identities.destroy(ann, IdentityId(1));
    assert_eq!(first, Err(DirectoryError::ComesWithAddress));
    assert_eq!(check(&*engine).unwrap(), []);
}

#[test]
fn others_are_of_the_accounts_own_addresses_and_keep_what_their_owner_says() {
    let (engine, identities, ann) = world();
    for foreign in ["ben", "both", "nobody", "ann@b.example"] {
        let made = identities.create(ann, &address(foreign), &named("x"));
        assert_eq!(made, Err(DirectoryError::NotOwnAddress), "{foreign}");
    }
    let details = IdentityDetails {
        name: "Ann".to_owned(),
        reply_to: Some(vec![Correspondent {
            name: None,
            email: "list@b.example".to_owned(),
        }]),
        bcc: Some(Vec::new()),
        text_signature: "-- \nAnn".to_owned(),
        html_signature: "<b>Ann</b>".to_owned(),
    };
    let made = identities
        .create(ann, &address("ann+shop"), &details)
        .unwrap();
    assert!(!made.comes_with_address);
    let (since, all) = identities.all(ann).unwrap();
    assert_eq!(all.last(), Some(&made));
    identities.update(ann, made.id, &named("Annie")).unwrap();
    identities.update(ann, made.id, &named("Annie")).unwrap();
    let (state, all) = identities.all(ann).unwrap();
    assert_eq!(state, since + 1, "the same again is no change");
    assert_eq!(all.last().unwrap().details, named("Annie"));
    identities.destroy(ann, made.id).unwrap();
    let gone = identities.update(ann, made.id, &named("x"));
    assert_eq!(gone, Err(DirectoryError::NotFound("identity")));
    assert_eq!(check(&*engine).unwrap(), []);
    remove_account(&*engine, ann).unwrap();
    assert_eq!(check(&*engine).unwrap(), []);
    assert_eq!(
        identities.all(ann),
        Err(DirectoryError::NotFound("account"))
    );
}

#[test]
fn changes_from_any_state_lead_to_what_is_there() {
    let (_, identities, ann) = world();
    let mut states = vec![(identities.all(ann).unwrap().0, ids(&identities, ann))];
    for n in 0..4 * limits::MAX_IDENTITIES {
        let made = identities.create(ann, &address("ann"), &named(&n.to_string()));
        let made = made.unwrap().id;
        states.push((identities.all(ann).unwrap().0, ids(&identities, ann)));
        identities.update(ann, made, &named("new")).unwrap();
        if n % 40 != 0 {
            identities.destroy(ann, made).unwrap();
        }
        states.push((identities.all(ann).unwrap().0, ids(&identities, ann)));
    }
    let there = ids(&identities, ann);
    let (mut told, mut untold) = (0, 0);
    for (mut since, mut known) in states {
        loop {
            let Some(changes) = identities.changes(ann, since, 7).unwrap() else {
                untold += 1;
                break;
            };
            known.retain(|id| !changes.destroyed.contains(id));
            known.extend(
                changes
                    .created
                    .iter()
                    .filter(|id| !known.contains(id))
                    .copied()
                    .collect::<Vec<_>>(),
            );
            since = changes.state;
            if !changes.has_more {
                told += 1;
                known.sort();
                assert_eq!(known, there);
                break;
            }
        }
    }
    assert!(told > 100 && untold > 0, "{told} {untold}");
    assert_eq!(identities.changes(ann, u64::MAX, 7).unwrap(), None);
}

fn ids(identities: &Identities, account: AccountId) -> Vec<IdentityId> {
    let (_, all) = identities.all(account).unwrap();
    all.iter().map(|it| it.id).collect()
}

#[test]
fn an_account_has_so_many_of_such_a_size() {
    let (_, identities, ann) = world();
    let long = IdentityDetails {
        html_signature: "x".repeat(limits::MAX_SIGNATURE + 1),
        ..IdentityDetails::default()
    };
    let made = identities.create(ann, &address("ann"), &long);
    assert_eq!(made, Err(DirectoryError::Limit(Limit::Signature)));
    for _ in 2..limits::MAX_IDENTITIES {
        identities
            .create(ann, &address("ann"), &named("x"))
            .unwrap();
    }
    let made = identities.create(ann, &address("ann"), &named("x"));
    assert_eq!(made, Err(DirectoryError::Limit(Limit::Identities)));
}
