//! Principals: who sees whom, and what is told of changes, from any state.

use std::sync::Arc;

use proptest::prelude::*;
use tern_base::{AccountId, Timestamp};
use tern_directory::{
    NewAccount, PrincipalId, Principals, Visible, account_by_address, check, create_account,
    create_group, update_account,
};
use tern_store::{Engine, MemEngine};

use crate::world::{act, address};

fn world() -> Arc<dyn Engine> {
    let engine: Arc<dyn Engine> = Arc::new(MemEngine::new());
    for line in [
        "domain a.example",
        "domain b.example",
        "account ann",
        "account ben",
        "account eve@b.example",
        "group team ann",
        "alias sales ann",
    ] {
        act(&*engine, line).unwrap();
    }
    engine
}

fn id(engine: &Arc<dyn Engine>, name: &str) -> AccountId {
    let found = account_by_address(&**engine, &address(name)).unwrap();
    found.unwrap().id
}

fn seen(principals: &Principals, by: AccountId) -> Vec<String> {
    let seen = principals.seen_by(by).unwrap();
    seen.iter().map(|one| one.address.to_string()).collect()
}

#[test]
fn an_account_sees_whom_the_configuration_lets_it() {
    let engine = world();
    let (ann, eve) = (id(&engine, "ann"), id(&engine, "eve@b.example"));
    let of = |visible| Principals::new(Arc::clone(&engine), visible);
    assert_eq!(seen(&of(Visible::Own), ann), ["ann@a.example"]);
    let domain = of(Visible::Domain);
    let of_a = ["ann@a.example", "ben@a.example", "team@a.example"];
    assert_eq!(seen(&domain, ann), of_a);
    assert_eq!(seen(&domain, eve), ["eve@b.example"]);
    let of_all = seen(&of(Visible::Everyone), eve);
    assert_eq!(of_all.len(), 4);
    // An id of somebody who is not seen is nobody's.
    let sees = domain.seen_by(ann).unwrap();
    assert_eq!(sees.get(PrincipalId::Account(eve)), None);
    assert!(sees.get(PrincipalId::Account(ann)).is_some());
    assert!(domain.seen_by(AccountId(99)).is_err());
}

#[test]
fn whoever_is_disabled_is_seen_by_itself_alone() {
    let engine = world();
    let (ann, ben) = (id(&engine, "ann"), id(&engine, "ben"));
    let principals = Principals::new(Arc::clone(&engine), Visible::Domain);
    let before = principals.seen_by(ann).unwrap().state();
    update_account(&*engine, ben, |account| account.disabled = true).unwrap();
    assert_eq!(seen(&principals, ann), ["ann@a.example", "team@a.example"]);
    assert_eq!(seen(&principals, ben).len(), 3);
    let changes = principals.changes(ann, before, 9).unwrap().unwrap();
    assert_eq!(changes.destroyed, [PrincipalId::Account(ben)]);
    // What nobody sees changes without news.
    update_account(&*engine, ben, |account| account.display_name = "B".into()).unwrap();
    let now = principals.seen_by(ann).unwrap().state();
    assert_eq!(now, changes.state);
    update_account(&*engine, ben, |account| account.disabled = false).unwrap();
    // From before it had gone nobody can say whether it is new.
    assert_eq!(principals.changes(ann, before, 9).unwrap(), None);
    let again = principals.seen_by(ann).unwrap().state();
    let none = principals.changes(ann, again, 9).unwrap().unwrap();
    assert!(none.created.is_empty() && none.updated.is_empty());
    assert_eq!(principals.changes(ann, again + 1, 9).unwrap(), None);
    assert_eq!(check(&*engine).unwrap(), []);
}

/// One change of the directory.
#[derive(Clone, Debug)]
enum Act {
    Account(u8),
    Group(u8),
    Rename(u8),
    Disable(u8, bool),
    Quota(u8),
    Remove(u8),
    RemoveGroup(u8),
}

fn any_act() -> impl Strategy<Value = Act> {
    let who = 0..6_u8;
    prop_oneof![
        who.clone().prop_map(Act::Account),
        who.clone().prop_map(Act::Group),
        who.clone().prop_map(Act::Rename),
        (who.clone(), any::<bool>()).prop_map(|(who, off)| Act::Disable(who, off)),
        who.clone().prop_map(Act::Quota),
        who.clone().prop_map(Act::Remove),
        who.prop_map(Act::RemoveGroup),
    ]
}

fn name(who: u8) -> String {
    format!(
        "p{who}@{}.example",
        if who.is_multiple_of(2) { 'a' } else { 'b' }
    )
}

fn run(engine: &Arc<dyn Engine>, step: u64, act_: &Act) {
    let found = |who| account_by_address(&**engine, &address(&name(who))).unwrap();
    match *act_ {
        Act::Account(who) => {
            let new = NewAccount {
                address: address(&name(who)),
                display_name: String::new(),
                quota_bytes: 0,
            };
            let _ = create_account(&**engine, &new, Timestamp(step));
        }
        Act::Group(who) => {
            let group = address(&format!("g{}", name(who)));
            let _ = create_group(&**engine, &group, "", Timestamp(step));
        }
        Act::Rename(who) | Act::Quota(who) => {
            if let Some(account) = found(who) {
                let is_rename = matches!(act_, Act::Rename(_));
                let change = |account: &mut tern_directory::Account| match is_rename {
                    true => account.display_name = format!("name {step}"),
                    false => account.quota_bytes = step,
                };
                update_account(&**engine, account.id, change).unwrap();
            }
        }
        Act::Disable(who, off) => {
            if let Some(account) = found(who) {
                update_account(&**engine, account.id, |account| account.disabled = off).unwrap();
            }
        }
        Act::Remove(who) => drop(act(&**engine, &format!("-account {}", name(who)))),
        Act::RemoveGroup(who) => drop(act(&**engine, &format!("-group g{}", name(who)))),
    }
}

type Known = std::collections::BTreeMap<PrincipalId, String>;

fn known(principals: &Principals, by: AccountId) -> (u64, Known) {
    let seen = principals.seen_by(by).unwrap();
    let all = seen.iter().map(|one| (one.id, one.name.clone()));
    (seen.state(), all.collect())
}

/// What a client has that follows the changes, a few at a time.
fn follow(
    principals: &Principals,
    by: AccountId,
    (mut since, mut has): (u64, Known),
    now: &Known,
) -> Option<Known> {
    loop {
        let changes = principals.changes(by, since, 2).unwrap()?;
        for id in changes.created.iter().chain(&changes.updated) {
            assert_eq!(has.contains_key(id), changes.updated.contains(id), "{id:?}");
            // A client reads what is there by then.
            has.insert(*id, now.get(id).cloned().unwrap_or_default());
        }
        // RFC 8620 5.2: what came and went between two calls may be named as gone.
        for id in &changes.destroyed {
            has.remove(id);
        }
        since = changes.state;
        if !changes.has_more {
            return Some(has);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_lead_from_any_state_to_what_is_seen(
        acts in prop::collection::vec(any_act(), 1..30),
    ) {
        let engine = world();
        let ann = id(&engine, "ann");
        for visible in [Visible::Own, Visible::Domain, Visible::Everyone] {
            let principals = Principals::new(Arc::clone(&engine), visible);
            let mut states = vec![known(&principals, ann)];
            for (step, act) in (1_000..).zip(&acts) {
                run(&engine, step, act);
                states.push(known(&principals, ann));
            }
            let (_, now) = states.last().cloned().unwrap();
            for state in states {
                let is_known = follow(&principals, ann, state, &now);
                if let Some(has) = is_known {
                    prop_assert_eq!(&has, &now);
                }
            }
            // The newest state can always be followed from.
            let newest = known(&principals, ann);
            prop_assert_eq!(follow(&principals, ann, newest, &now), Some(now));
        }
        prop_assert_eq!(check(&*engine).unwrap(), vec![]);
    }
}
