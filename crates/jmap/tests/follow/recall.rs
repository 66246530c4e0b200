//! `Recall/query` and `Recall/queryChanges`.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::client::{Client, found};
use crate::house::recall::{Asks, CODE};
use crate::house::{BOB, CAROL, House};

fn ask(house: &mut House, request: Value) -> Value {
    let set = house.call("Recall/set", json!({"create": {"k": request}}));
    match set["created"]["k"]["id"].clone() {
        Value::Null => set["notCreated"]["k"]["recallId"].clone(),
        id => id,
    }
}

fn act(house: &mut House, id: &Value, action: &str) {
    let id = id.as_str().unwrap();
    let mut action = json!({"type": action});
    if action["type"] != "cancel" {
        action["code"] = CODE.into();
    }
    let update = json!({"update": {id: {"action": action}}});
    house.call("Recall/set", update);
}

/// The account's Email of this subject.
fn email(house: &mut House, subject: &str) -> Value {
    let all = house.call("Email/get", json!({"ids": null, "properties": ["subject"]}));
    let mut all = all["list"].as_array().unwrap().iter();
    all.find(|it| it["subject"] == subject).unwrap()["id"].clone()
}

/// Checks what each filter finds.
fn check(house: &mut House, cases: Vec<(Value, Vec<&Value>)>) {
    for (filter, wanted) in cases {
        let ids = found(house, "Recall", filter.clone(), json!(null));
        assert_eq!(ids.iter().collect::<Vec<_>>(), wanted, "{filter}");
    }
}

#[test]
fn recalls_are_found_by_each_condition_and_sorted_by_each_property() {
    let mut house = House::new();
    let (one, two) = (house.send(BOB, CAROL, "one"), house.send(BOB, CAROL, "Two"));
    let a = ask(&mut house, json!({"messageId": two.message_id}));
    house.now = house.now.plus_millis(60_000);
    let later = json!({"messageId": one.message_id, "expiresAt": "2027-02-01T00:00:00Z"});
    let b = ask(&mut house, later);
    house.now = house.now.plus_millis(60_000);
    let c = ask(&mut house, json!({"messageId": "none@example.org"}));
    let (of_one, of_two) = (email(&mut house, "one"), email(&mut house, "Two"));
    check(
        &mut house,
        vec![
            (json!(null), vec![&a, &b, &c]),
            (json!({"state": "done"}), vec![&a]),
            (json!({"state": "planned"}), vec![&b]),
            (json!({"state": "refused"}), vec![&c]),
            (json!({"state": "running"}), vec![]),
            (json!({"requestedBy": "Bob@example.org"}), vec![&a, &b, &c]),
            (json!({"requestedBy": "bob"}), vec![]),
            (json!({"requestedVia": "jmap"}), vec![&a, &b, &c]),
            (json!({"requestedVia": "imap"}), vec![]),
            (json!({"before": "2027-01-15T08:01:00Z"}), vec![&a]),
            (json!({"after": "2027-01-15T08:01:00Z"}), vec![&b, &c]),
            (json!({"subject": "tw"}), vec![&a]),
            (json!({"messageId": one.message_id}), vec![&b]),
            (json!({"messageId": ""}), vec![]),
            (json!({"submissionId": two.id.to_string()}), vec![&a]),
            (json!({"batchId": "00"}), vec![]),
            (json!({"emailId": of_one}), vec![&b]),
            (json!({"emailId": of_two, "state": "done"}), vec![&a]),
            (json!({"emailId": "M1-99"}), vec![]),
            (json!({"emailId": "M2-1"}), vec![]),
            (
                json!({"operator": "OR", "conditions": [{"state": "refused"}, {"subject": "ONE"}]}),
                vec![&b, &c],
            ),
        ],
    );
    let by = |property: &str, up: bool| json!([{"property": property, "isAscending": up}]);
    for (sort, wanted) in [
        (by("requestedAt", false), vec![&c, &b, &a]),
        (by("finishedAt", true), vec![&b, &c, &a]),
        (by("requestedBy", false), vec![&a, &b, &c]),
        (by("subject", true), vec![&c, &b, &a]),
        (
            json!([{"property": "subject", "collation": "i;octet"}]),
            vec![&c, &a, &b],
        ),
        (by("state", false), vec![&c, &b, &a]),
    ] {
        let ids = found(&mut house, "Recall", json!(null), sort.clone());
        assert_eq!(ids.iter().collect::<Vec<_>>(), wanted, "{sort}");
    }
    house.who = CAROL;
    let sent = json!({"messageId": one.message_id});
    check(&mut house, vec![(json!(null), vec![]), (sent, vec![])]);
}

#[test]
fn what_can_not_be_asked_of_recalls_is_told_by_its_type() {
    let mut house = House::new();
    let filter = |filter: Value| json!({"filter": filter});
    for (args, error) in [
        (filter(json!({"outcomes": 1})), "unsupportedFilter"),
        (filter(json!({"state": "odd"})), "invalidArguments"),
        (filter(json!({"state": ["done"]})), "invalidArguments"),
        (filter(json!({"after": "soon"})), "invalidArguments"),
        (
            json!({"sort": [{"property": "messageId"}]}),
            "unsupportedSort",
        ),
        (json!({"anchor": "R0"}), "anchorNotFound"),
        (json!({"accountId": "A2"}), "accountNotFound"),
    ] {
        assert_eq!(house.error("Recall/query", args.clone()), error, "{args}");
    }
    let changes = "Recall/queryChanges";
    for state in ["", "x", "7"] {
        let since = json!({"sinceQueryState": state});
        assert_eq!(house.error(changes, since), "cannotCalculateChanges");
    }
    for n in 0..2 {
        let sent = house.send(BOB, CAROL, &format!("m{n}"));
        ask(&mut house, json!({"messageId": sent.message_id}));
    }
    let since = json!({"sinceQueryState": "0", "maxChanges": 1});
    assert_eq!(house.error(changes, since), "tooManyChanges");
    // How much a reader sees can change without any recall changing.
    let of_message = json!({"messageId": "m0@example.org"});
    let asked = house.call("Recall/query", json!({"filter": of_message}));
    assert_eq!(asked["canCalculateChanges"], false);
    let since = json!({"sinceQueryState": asked["queryState"], "filter": of_message});
    assert_eq!(house.error(changes, since), "cannotCalculateChanges");
    let asked = house.call("Recall/query", json!({"filter": {"state": "done"}}));
    assert_eq!(asked["canCalculateChanges"], true);
}

#[test]
fn whoever_approves_does_not_learn_by_queries_what_a_get_does_not_tell() {
    let mut house = House::under(Arc::new(Asks::Approval));
    let sent = house.send(BOB, CAROL, "one");
    let id = ask(&mut house, json!({"messageId": sent.message_id}));
    house.who = CAROL;
    let received = email(&mut house, "one");
    act(&mut house, &id, "approve");
    let got = house.call("Recall/get", json!({"ids": [id]}));
    assert_eq!(got["list"][0]["visibility"], "none");
    let (message, submission) = (json!(sent.message_id), json!(sent.id.to_string()));
    check(
        &mut house,
        vec![
            (json!({"state": "done", "subject": "one"}), vec![&id]),
            (json!({"messageId": message}), vec![]),
            (json!({"submissionId": submission}), vec![]),
            (json!({"emailId": received}), vec![]),
            (
                json!({"operator": "NOT", "conditions": [{"messageId": message}]}),
                vec![&id],
            ),
        ],
    );
    house.who = BOB;
    check(
        &mut house,
        vec![(
            json!({"messageId": message, "submissionId": submission}),
            vec![&id],
        )],
    );
}

#[derive(Clone, Debug)]
enum Act {
    Ask(bool),
    AskForNothing,
    Approve(usize),
    Decline(usize),
    Cancel(usize),
    Restore(usize),
    Wait(u64),
    Look(usize),
}

fn acts() -> impl Strategy<Value = Act> {
    let nth = || 0..5_usize;
    prop_oneof![
        4 => any::<bool>().prop_map(Act::Ask),
        1 => Just(Act::AskForNothing),
        4 => nth().prop_map(Act::Approve),
        1 => nth().prop_map(Act::Decline),
        1 => nth().prop_map(Act::Cancel),
        2 => nth().prop_map(Act::Restore),
        2 => (1..7_u64).prop_map(|seconds| Act::Wait(seconds * 10_000)),
        8 => (0..QUERIES).prop_map(Act::Look),
    ]
}

const QUERIES: usize = 7;

/// A query, and whose it is.
fn query(n: usize) -> (tern_base::AccountId, Value) {
    let by = |property: &str| json!([{"property": property, "isAscending": false}]);
    match n {
        0 => (BOB, json!({})),
        1 => (
            BOB,
            json!({"filter": {"state": "done"}, "sort": by("finishedAt")}),
        ),
        2 => (
            BOB,
            json!({"filter": {"operator": "NOT", "conditions": [{"state": "awaiting-approval"}]}}),
        ),
        3 => (
            BOB,
            json!({"sort": [{"property": "state"}, {"property": "subject"}]}),
        ),
        4 => (
            BOB,
            json!({"filter": {"after": "2027-01-15T08:00:40Z"}, "sort": by("requestedAt")}),
        ),
        5 => (CAROL, json!({"sort": by("state")})),
        _ => (
            CAROL,
            json!({"filter": {"requestedBy": "bob@example.org", "state": "restored"}}),
        ),
    }
}

fn play(house: &mut House, act_now: &Act, sent: &mut usize) {
    let nth = |house: &mut House, n: usize| {
        house.who = BOB;
        let all = house.call("Recall/query", json!({}));
        let all = all["ids"].as_array().unwrap().clone();
        Some(all.get(n.checked_rem(all.len())?)?.clone())
    };
    house.who = BOB;
    match *act_now {
        Act::Ask(later) => {
            *sent += 1;
            let message = house.send(BOB, CAROL, &format!("m{sent}"));
            let expires = later.then_some("2027-01-15T08:02:00Z");
            let expires = expires.filter(|_| house.now.as_secs() < 1_800_000_100);
            ask(
                house,
                json!({"messageId": message.message_id, "expiresAt": expires}),
            );
        }
        Act::AskForNothing => drop(ask(house, json!({"messageId": "none@example.org"}))),
        Act::Approve(n) | Act::Decline(n) | Act::Cancel(n) => {
            let Some(id) = nth(house, n) else { return };
            let (who, action) = match act_now {
                Act::Approve(_) => (CAROL, "approve"),
                Act::Decline(_) => (CAROL, "decline"),
                _ => (BOB, "cancel"),
            };
            house.who = who;
            act(house, &id, action);
        }
        Act::Restore(n) => {
            let Some(id) = nth(house, n) else { return };
            house.call("Recall/restore", json!({"ids": [id]}));
        }
        Act::Wait(millis) => {
            house.now = house.now.plus_millis(millis);
            house.recalls.begin_due(house.now).unwrap();
            house.recalls.run_open(house.now).unwrap();
        }
        Act::Look(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_client_that_follows_recalls_has_what_a_fresh_query_finds(
        acts in prop::collection::vec(acts(), 1..60),
    ) {
        let mut house = House::under(Arc::new(Asks::Approval));
        let mut clients = Vec::new();
        for n in 0..QUERIES {
            let (who, args) = query(n);
            house.who = who;
            clients.push(Client::fresh(&mut house, "Recall", &args));
        }
        let (mut sent, mut looks) = (0, 0);
        for act in &acts {
            play(&mut house, act, &mut sent);
            if let Act::Look(n) = *act {
                house.who = query(n).0;
                clients[n].follow(&mut house);
                looks += 1;
            }
        }
        prop_assert_eq!(clients.iter().map(|client| client.told).sum::<usize>(), looks);
    }
}
