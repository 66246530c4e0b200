//! `EmailSubmission/query` and `EmailSubmission/queryChanges`.

use proptest::prelude::*;
use serde_json::{Value, json};
use tern_mailbox::Role;

use crate::client::{Client, found};
use crate::house::House;

/// Drafts of Bob's, in two conversations: their ids, and those of the conversations.
fn drafts(house: &mut House) -> Vec<(Value, Value)> {
    let mut all = Vec::new();
    for (n, answers) in [(0, ""), (1, "In-Reply-To: <0@example.org>\r\n"), (2, "")] {
        let letter = format!(
            "From: bob@example.org\r\nTo: carol@example.org\r\nSubject: {}Topic {}\r\n\
             Message-ID: <{n}@example.org>\r\n{answers}\r\nText {n}\r\n",
            ["", "Re: ", ""][n],
            n / 2,
        );
        let blob = house.upload("message/rfc822", letter.as_bytes());
        let drafts = house.mailbox(Role::Drafts);
        let email = json!({"blobId": blob, "mailboxIds": {drafts: true}});
        let made = house.call("Email/import", json!({"emails": {"e": email}}));
        let made = &made["created"]["e"];
        all.push((made["id"].clone(), made["threadId"].clone()));
    }
    all
}

/// The identity that Bob has, and one more of the same address.
fn identities(house: &mut House) -> [Value; 2] {
    let all = house.call("Identity/get", json!({"ids": null}));
    let own = all["list"][0]["id"].clone();
    let new = json!({"create": {"i": {"name": "B.", "email": "bob@example.org"}}});
    let made = house.call("Identity/set", new);
    [own, made["created"]["i"]["id"].clone()]
}

/// Asks for a draft to be sent so many seconds from now.
fn submit(house: &mut House, identity: &Value, email: &Value, seconds: u64) -> Value {
    let envelope = json!({
        "mailFrom": {
            "email": "bob@example.org", "parameters": {"HOLDFOR": seconds.to_string()},
        },
        "rcptTo": [{"email": "carol@example.org"}],
    });
    let new = json!({"identityId": identity, "emailId": email, "envelope": envelope});
    let set = house.call("EmailSubmission/set", json!({"create": {"s": new}}));
    assert!(set["created"]["s"]["id"].is_string(), "{set}");
    set["created"]["s"]["id"].clone()
}

fn send_due(house: &mut House, seconds: u64) {
    house.now = house.now.plus_millis(seconds * 1_000);
    house
        .delivery
        .send_due(house.now, &mut house.entropy)
        .unwrap();
}

#[test]
fn submissions_are_found_by_each_condition_and_sorted_by_each_property() {
    let mut house = House::new();
    let (drafts, identities) = (drafts(&mut house), identities(&mut house));
    assert_eq!(drafts[0].1, drafts[1].1, "one conversation");
    let [own, other] = &identities;
    let mut submit = |identity: &Value, draft: usize, seconds: u64| {
        // Ids are in order by the millisecond.
        house.now = house.now.plus_millis(1);
        submit(&mut house, identity, &drafts[draft].0, seconds)
    };
    let a = submit(own, 2, 300);
    let b = submit(other, 1, 100);
    let c = submit(own, 0, 200);
    let a_id = a.as_str().unwrap();
    let cancel = json!({"update": {a_id: {"undoStatus": "canceled"}}});
    house.call("EmailSubmission/set", cancel);
    send_due(&mut house, 100);
    // They are sent at 08:05:00, 08:01:40 and 08:03:20.
    let cases = [
        (json!(null), vec![&a, &b, &c]),
        (json!({"identityIds": [own]}), vec![&a, &c]),
        (json!({"identityIds": []}), vec![]),
        (
            json!({"emailIds": [drafts[0].0, drafts[2].0, "M0"]}),
            vec![&a, &c],
        ),
        (json!({"threadIds": [drafts[0].1]}), vec![&b, &c]),
        (json!({"undoStatus": "pending"}), vec![&c]),
        (json!({"undoStatus": "final"}), vec![&b]),
        (json!({"undoStatus": "canceled"}), vec![&a]),
        (json!({"before": "2027-01-15T08:03:20Z"}), vec![&b]),
        (json!({"after": "2027-01-15T08:03:20Z"}), vec![&a, &c]),
        (
            json!({"after": "2027-01-15T08:01:40Z", "before": "2027-01-15T08:05:00Z", "identityIds": [own]}),
            vec![&c],
        ),
        (
            json!({"operator": "NOT", "conditions": [{"undoStatus": "final"}, {"identityIds": [other]}]}),
            vec![&a, &c],
        ),
    ];
    for (filter, wanted) in cases {
        let ids = found(&mut house, "EmailSubmission", filter.clone(), json!(null));
        assert_eq!(ids.iter().collect::<Vec<_>>(), wanted, "{filter}");
    }
    // Of the conversations, the one with the lower id comes first.
    let in_order = |with_b_and_c: [&'static str; 2], is_ascending: bool| {
        let of_b_and_c = drafts[0].1.as_str().unwrap().to_lowercase();
        let of_a = drafts[2].1.as_str().unwrap().to_lowercase();
        let [first, second] = with_b_and_c.map(|name| if name == "b" { &b } else { &c });
        match (of_a < of_b_and_c) == is_ascending {
            true => vec![&a, first, second],
            false => vec![first, second, &a],
        }
    };
    let by = |property: &str, up: bool| json!({"property": property, "isAscending": up});
    for (sort, wanted) in [
        (json!([by("sentAt", true)]), vec![&b, &c, &a]),
        (json!([by("sendAt", false)]), vec![&a, &c, &b]),
        (json!([by("emailId", true)]), vec![&c, &b, &a]),
        (
            json!([by("threadId", false), by("sentAt", true)]),
            in_order(["b", "c"], false),
        ),
        (
            json!([by("threadId", true), by("emailId", false)]),
            in_order(["b", "c"], true),
        ),
    ] {
        let ids = found(&mut house, "EmailSubmission", json!(null), sort.clone());
        assert_eq!(ids.iter().collect::<Vec<_>>(), wanted, "{sort}");
    }
    let window = json!({
        "sort": [by("sentAt", true)], "anchor": c, "anchorOffset": -1, "limit": 1,
        "calculateTotal": true,
    });
    let window = house.call("EmailSubmission/query", window);
    assert_eq!(
        (&window["ids"], &window["position"], &window["total"]),
        (&json!([b]), &json!(0), &json!(3))
    );
    assert_eq!(window["canCalculateChanges"], true);
}

#[test]
fn what_can_not_be_asked_of_submissions_is_told_by_its_type() {
    let mut house = House::new();
    let query = "EmailSubmission/query";
    let filter = |filter: Value| json!({"filter": filter});
    for (args, error) in [
        (filter(json!({"odd": 1})), "unsupportedFilter"),
        (filter(json!({"emailIds": "M1"})), "invalidArguments"),
        (filter(json!({"emailIds": [1]})), "invalidArguments"),
        (filter(json!({"undoStatus": "sent"})), "invalidArguments"),
        (filter(json!({"before": "yesterday"})), "invalidArguments"),
        (
            json!({"sort": [{"property": "undoStatus"}]}),
            "unsupportedSort",
        ),
        (
            json!({"sort": [{"property": "emailId", "collation": "i;odd"}]}),
            "unsupportedSort",
        ),
        (json!({"anchor": "S1-0"}), "anchorNotFound"),
        (json!({"accountId": "A2"}), "accountNotFound"),
    ] {
        assert_eq!(house.error(query, args.clone()), error, "{args}");
    }
    let changes = "EmailSubmission/queryChanges";
    for state in ["", "x", "99"] {
        let since = json!({"sinceQueryState": state});
        assert_eq!(house.error(changes, since), "cannotCalculateChanges");
    }
    let (drafts, [own, _]) = (drafts(&mut house), identities(&mut house));
    let state = house.call(query, json!({}))["queryState"].clone();
    submit(&mut house, &own, &drafts[0].0, 60);
    submit(&mut house, &own, &drafts[1].0, 60);
    let since = json!({"sinceQueryState": state, "maxChanges": 1});
    assert_eq!(house.error(changes, since), "tooManyChanges");
}

#[derive(Clone, Debug)]
enum Act {
    Submit(usize, usize, u64),
    Cancel(usize),
    Destroy(usize),
    Wait(u64),
    Look(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..2_usize, 0..3_usize, 1..9_u64).prop_map(|(i, e, s)| Act::Submit(i, e, s * 10)),
        2 => (0..9_usize).prop_map(Act::Cancel),
        2 => (0..9_usize).prop_map(Act::Destroy),
        3 => (1..5_u64).prop_map(|s| Act::Wait(s * 10)),
        8 => (0..QUERIES).prop_map(Act::Look),
    ]
}

const QUERIES: usize = 7;

fn query(n: usize, drafts: &[(Value, Value)], identities: &[Value; 2]) -> Value {
    let by = |property: &str| json!([{"property": property, "isAscending": false}]);
    match n {
        0 => json!({}),
        1 => json!({"filter": {"undoStatus": "pending"}, "sort": by("sentAt")}),
        2 => json!({"filter": {"identityIds": [identities[1]]}, "sort": by("emailId")}),
        3 => json!({"filter": {"threadIds": [drafts[0].1], "undoStatus": "final"}}),
        4 => json!({"filter": {"operator": "NOT", "conditions": [{"undoStatus": "final"}]}}),
        5 => json!({
            "filter": {"after": "2027-01-15T08:01:00Z"},
            "sort": [{"property": "threadId"}, {"property": "sentAt", "isAscending": false}],
        }),
        _ => json!({"filter": {"emailIds": [drafts[2].0]}, "sort": by("threadId")}),
    }
}

fn play(house: &mut House, act: &Act, drafts: &[(Value, Value)], identities: &[Value; 2]) {
    let nth = |house: &mut House, n: usize| {
        let all = house.call("EmailSubmission/query", json!({}));
        let all = all["ids"].as_array().unwrap().clone();
        let id = all.get(n.checked_rem(all.len())?)?;
        Some(id.as_str()?.to_owned())
    };
    match *act {
        Act::Submit(identity, email, seconds) => {
            submit(house, &identities[identity], &drafts[email].0, seconds);
        }
        Act::Cancel(n) => {
            let Some(id) = nth(house, n) else { return };
            let canceled = json!({"undoStatus": "canceled"});
            house.call("EmailSubmission/set", json!({"update": {id: canceled}}));
        }
        Act::Destroy(n) => {
            let Some(id) = nth(house, n) else { return };
            house.call("EmailSubmission/set", json!({"destroy": [id]}));
        }
        Act::Wait(seconds) => send_due(house, seconds),
        Act::Look(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_client_that_follows_submissions_has_what_a_fresh_query_finds(
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut house = House::new();
        let (drafts, identities) = (drafts(&mut house), identities(&mut house));
        let mut clients: Vec<Client> = (0..QUERIES)
            .map(|n| Client::fresh(&mut house, "EmailSubmission", &query(n, &drafts, &identities)))
            .collect();
        let mut looks = 0;
        for act in &acts {
            play(&mut house, act, &drafts, &identities);
            if let Act::Look(n) = *act {
                clients[n].follow(&mut house);
                looks += 1;
            }
        }
        // Nothing here makes the server forget what changed.
        prop_assert_eq!(clients.iter().map(|client| client.told).sum::<usize>(), looks);
    }
}
