//! `Mailbox/query` and `Mailbox/set`.

use serde_json::{Value, json};
use tern_base::MailboxId;
use tern_mailbox::{Flags, INBOX};

use crate::house::{ALICE, House};

/// Makes a mailbox; its id.
fn made(house: &mut House, object: Value) -> Result<String, Value> {
    let answer = house.call("Mailbox/set", json!({"create": {"m": object}}));
    match answer["created"]["m"]["id"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(answer["notCreated"]["m"].clone()),
    }
}

fn changed(house: &mut House, id: &str, patch: Value) -> Result<(), Value> {
    let answer = house.call("Mailbox/set", json!({"update": {id: patch}}));
    match answer["notUpdated"][id].clone() {
        Value::Null => Ok(()),
        error => Err(error),
    }
}

fn refused(error: &Value) -> (&str, &Value) {
    (error["type"].as_str().unwrap(), &error["properties"])
}

/// The names of the mailboxes that a query finds.
fn names(house: &mut House, args: Value) -> Vec<String> {
    let found = house.call("Mailbox/query", args);
    let got = house.call(
        "Mailbox/get",
        json!({"ids": found["ids"], "properties": ["name"]}),
    );
    let list = got["list"].as_array().unwrap();
    list.iter()
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn mailboxes_are_found_sorted_and_told_as_a_tree() {
    let mut house = House::new();
    let a = made(&mut house, json!({"name": "a", "sortOrder": 5})).unwrap();
    let deep = json!({"name": "Zeta", "parentId": a, "isSubscribed": false});
    let zeta = made(&mut house, deep).unwrap();
    made(
        &mut house,
        json!({"name": "beta", "parentId": zeta, "sortOrder": 1}),
    )
    .unwrap();
    let by_name = json!([{"property": "name"}]);
    let cases = [
        (
            json!({"sort": by_name}),
            vec!["a", "beta", "Inbox", "Sent", "Trash", "Zeta"],
        ),
        (
            json!({"sort": by_name, "sortAsTree": true}),
            vec!["a", "Zeta", "beta", "Inbox", "Sent", "Trash"],
        ),
        (
            json!({"sort": [{"property": "name", "isAscending": false}], "sortAsTree": true}),
            vec!["Trash", "Sent", "Inbox", "a", "Zeta", "beta"],
        ),
        (
            json!({"sort": [{"property": "sortOrder", "isAscending": false}, {"property": "name"}]}),
            vec!["a", "beta", "Inbox", "Sent", "Trash", "Zeta"],
        ),
        (json!({"filter": {"parentId": a}}), vec!["Zeta"]),
        (
            json!({"filter": {"parentId": null, "hasAnyRole": false}}),
            vec!["a"],
        ),
        (json!({"filter": {"parentId": "F1-99"}}), vec![]),
        (json!({"filter": {"role": "trash"}}), vec!["Trash"]),
        (json!({"filter": {"role": "odd"}}), vec![]),
        (
            json!({"filter": {"role": null}, "sort": by_name}),
            vec!["a", "beta", "Zeta"],
        ),
        (
            json!({"filter": {"name": "ETA"}, "sort": by_name}),
            vec!["beta", "Zeta"],
        ),
        (json!({"filter": {"isSubscribed": false}}), vec!["Zeta"]),
        (
            json!({"filter": {"operator": "NOT", "conditions": [{"name": "zeta"}]},
                   "filterAsTree": true, "sort": by_name}),
            vec!["a", "Inbox", "Sent", "Trash"],
        ),
        (json!({"sort": by_name, "position": -1}), vec!["Zeta"]),
        (
            json!({"sort": by_name, "anchor": zeta, "anchorOffset": -1, "limit": 1}),
            vec!["Trash"],
        ),
    ];
    for (args, expected) in cases {
        assert_eq!(names(&mut house, args.clone()), expected, "{args}");
    }
    for (args, kind) in [
        (json!({"filter": {"odd": 1}}), "unsupportedFilter"),
        (json!({"filter": {"name": 1}}), "invalidArguments"),
        (json!({"sort": [{"property": "role"}]}), "unsupportedSort"),
        (json!({"anchor": "F1-99"}), "anchorNotFound"),
        (json!({"sortAsTree": 1}), "invalidArguments"),
    ] {
        assert_eq!(house.error("Mailbox/query", args.clone()), kind, "{args}");
    }
    let none = json!({"sinceQueryState": "99"});
    let kind = house.error("Mailbox/queryChanges", none);
    assert_eq!(kind, "cannotCalculateChanges");
    let few = json!({"sinceQueryState": "1", "maxChanges": 1});
    assert_eq!(house.error("Mailbox/queryChanges", few), "tooManyChanges");
}

#[test]
fn mailboxes_are_made_whatever_the_order_they_are_named_in() {
    let mut house = House::new();
    let create = json!({
        "a": {"name": "inner", "parentId": "#b"},
        "b": {"name": "outer", "parentId": "#c", "role": "archive"},
        "c": {"name": "top"},
        "d": {"name": "lost", "parentId": "#e"},
        "e": {"name": "lost too", "parentId": "#d"},
    });
    let before = house.call("Mailbox/get", json!({"ids": []}))["state"].clone();
    let answer = house.call(
        "Mailbox/set",
        json!({"create": create, "ifInState": before}),
    );
    assert_eq!(answer["oldState"], before);
    let told = &answer["created"]["b"];
    assert_eq!(told["totalEmails"], 0);
    assert_eq!(told["isSubscribed"], true);
    assert_eq!(told.get("name"), None, "the client has said so");
    let paths: Vec<String> = house
        .mailboxes
        .folders(ALICE)
        .unwrap()
        .into_iter()
        .map(|it| it.path)
        .collect();
    assert_eq!(
        paths,
        [
            "INBOX",
            "Sent",
            "Trash",
            "top",
            "top/outer",
            "top/outer/inner"
        ]
    );
    assert_eq!(refused(&answer["notCreated"]["d"]).1, &json!(["parentId"]));
    let changes = house.call("Mailbox/changes", json!({"sinceState": before}));
    assert_eq!(changes["created"].as_array().unwrap().len(), 3);
    let stale = json!({"ifInState": before, "destroy": []});
    assert_eq!(house.error("Mailbox/set", stale), "stateMismatch");
    let many = json!({"destroy": vec!["F1-9"; 1_001]});
    assert_eq!(house.error("Mailbox/set", many), "requestTooLarge");
}

#[test]
fn properties_that_can_not_be_are_named() {
    let mut house = House::new();
    let a = made(&mut house, json!({"name": "a"})).unwrap();
    let b = made(&mut house, json!({"name": "b", "parentId": a})).unwrap();
    let long = "x".repeat(256);
    for (object, property) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": 1}), "name"),
        (json!({"name": "x/y"}), "name"),
        (json!({"name": "x\u{7}"}), "name"),
        (json!({"name": long}), "name"),
        (json!({"name": "x", "parentId": "F1-99"}), "parentId"),
        (json!({"name": "x", "role": "trash"}), "role"),
        (json!({"name": "x", "role": "odd"}), "role"),
        (json!({"name": "x", "sortOrder": -1}), "sortOrder"),
        (json!({"name": "x", "isSubscribed": null}), "isSubscribed"),
        (json!({"name": "x", "totalEmails": 1}), "totalEmails"),
        (json!({"name": "x", "odd": 0}), "odd"),
    ] {
        let error = made(&mut house, object.clone()).unwrap_err();
        assert_eq!(
            refused(&error),
            ("invalidProperties", &json!([property])),
            "{object}"
        );
    }
    for (patch, property) in [
        (json!({"parentId": b}), "parentId"),
        (json!({"parentId": a}), "parentId"),
        (json!({"role": "sent"}), "role"),
        (json!({"unreadEmails": 1}), "unreadEmails"),
    ] {
        let error = changed(&mut house, &a, patch.clone()).unwrap_err();
        assert_eq!(
            refused(&error),
            ("invalidProperties", &json!([property])),
            "{patch}"
        );
    }
    let error = changed(&mut house, &a, json!(1)).unwrap_err();
    assert_eq!(refused(&error).0, "invalidPatch");
    let error = changed(&mut house, "F1-99", json!({"name": "x"})).unwrap_err();
    assert_eq!(refused(&error).0, "notFound");
    let error = changed(&mut house, "F1-1", json!({"name": "Mine"})).unwrap_err();
    assert_eq!(refused(&error).0, "forbidden");
    // As it is is no change, and the order of the inbox is its owner's.
    let as_is = json!({"id": "F1-1", "name": "Inbox", "role": "inbox", "sortOrder": 1});
    changed(&mut house, "F1-1", as_is).unwrap();
    let mut parent = a;
    for level in 2..=20 {
        parent = made(
            &mut house,
            json!({"name": format!("{level}"), "parentId": parent}),
        )
        .unwrap();
    }
    let error = made(&mut house, json!({"name": "x", "parentId": parent})).unwrap_err();
    assert_eq!(refused(&error).1, &json!(["parentId"]));
}

#[test]
fn a_role_is_passed_on_within_one_call() {
    let mut house = House::new();
    let a = made(&mut house, json!({"name": "a"})).unwrap();
    let update = json!({a.clone(): {"role": "trash"}, "F1-3": {"role": null}});
    let answer = house.call("Mailbox/set", json!({"update": update}));
    assert_eq!(answer["notUpdated"], Value::Null);
    let changes = names(&mut house, json!({"filter": {"role": "trash"}}));
    assert_eq!(changes, ["a"]);
    let patch = json!({"name": "b", "parentId": "F1-2", "sortOrder": 7, "isSubscribed": false});
    changed(&mut house, &a, patch).unwrap();
    let got = house.call("Mailbox/get", json!({"ids": [a]}));
    let got = &got["list"][0];
    assert_eq!(
        (&got["name"], &got["parentId"]),
        (&json!("b"), &json!("F1-2"))
    );
    assert_eq!(
        (&got["sortOrder"], &got["isSubscribed"]),
        (&json!(7), &json!(false))
    );
}

#[test]
fn what_holds_something_goes_only_where_that_is_asked_for() {
    let mut house = House::new();
    let a = made(&mut house, json!({"name": "a"})).unwrap();
    let b = made(&mut house, json!({"name": "b", "parentId": a})).unwrap();
    let of_b = MailboxId(b.strip_prefix("F1-").unwrap().parse().unwrap());
    house.append(of_b, b"Subject: x\r\n\r\nText", 0, Flags::empty());
    let mut destroy = |ids: Value, remove: bool| {
        let args = json!({"destroy": ids, "onDestroyRemoveEmails": remove});
        let answer = house.call("Mailbox/set", args);
        (answer["destroyed"].clone(), answer["notDestroyed"].clone())
    };
    let (_, not) = destroy(json!([a, b]), false);
    assert_eq!(not[&b]["type"], "mailboxHasEmail");
    assert_eq!(not[&a]["type"], "mailboxHasChild");
    let (_, not) = destroy(json!([a]), true);
    assert_eq!(not[&a]["type"], "mailboxHasChild");
    let (_, not) = destroy(json!(["F1-1", "F1-99"]), true);
    assert_eq!(not["F1-1"]["type"], "forbidden");
    assert_eq!(not["F1-99"]["type"], "notFound");
    // The inner one first, however they are named.
    let (gone, not) = destroy(json!([a, b]), true);
    assert_eq!((gone, not), (json!([b, a]), Value::Null));
    let left = house.call("Email/query", json!({"calculateTotal": true}));
    assert_eq!(left["total"], 0);
    let update = json!({"update": {"F1-2": {"name": "x"}}, "destroy": ["F1-2"]});
    let answer = house.call("Mailbox/set", update);
    assert_eq!(answer["notUpdated"]["F1-2"]["type"], "willDestroy");
    assert_eq!(answer["destroyed"], json!(["F1-2"]));
    assert!(house.mailboxes.view(ALICE, INBOX).is_ok());
}
