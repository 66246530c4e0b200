//! Principals and share notifications (RFC 9670), without a server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{BOB, CAROL, House};
use serde_json::{Value, json};
use tern_base::{AccountId, Domain, EmailAddress};
use tern_directory::{
    NewAccount, Principals, Visible, add_domain, create_account, create_group, remove_group,
    update_account,
};

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn add(house: &House, email: &str, name: &str) -> AccountId {
    let new = NewAccount {
        address: address(email),
        display_name: name.to_owned(),
        quota_bytes: 0,
    };
    create_account(&*house.engine, &new, house.now).unwrap().id
}

/// Bob and Carol, a team, and somebody of another domain.
fn house() -> House {
    let house = House::new();
    add_domain(
        &*house.engine,
        &Domain::parse("far.example").unwrap(),
        house.now,
    )
    .unwrap();
    add(&house, "eve@far.example", "Eve");
    let team = address("team@example.org");
    create_group(&*house.engine, &team, "The Team", house.now).unwrap();
    house
}

fn query(house: &mut House, filter: Value) -> Value {
    house.call("Principal/query", json!({"filter": filter}))["ids"].clone()
}

#[test]
fn an_account_sees_itself_its_colleagues_and_their_groups() {
    let mut house = house();
    let got = house.call("Principal/get", json!({"ids": null}));
    let all = got["list"].as_array().unwrap();
    assert_eq!(all.len(), 3, "{got}");
    let bob = &all[0];
    assert_eq!(
        (&bob["id"], &bob["type"], &bob["name"]),
        (&json!("P1"), &json!("individual"), &json!("bob"))
    );
    // The account that the caller has, as the session tells of it.
    let own = &bob["accounts"]["A1"];
    assert_eq!(own["isPersonal"], true);
    assert_eq!(
        own["accountCapabilities"]["urn:ietf:params:jmap:principals"],
        json!({"currentUserPrincipalId": "P1"})
    );
    assert_eq!(
        own["accountCapabilities"]["urn:ietf:params:jmap:principals:owner"],
        json!({"accountIdForPrincipal": "A1", "principalId": "P1"})
    );
    assert_eq!(
        all[1],
        json!({
            "id": "P2", "type": "individual", "name": "carol", "description": null,
            "email": "carol@example.org", "timeZone": null, "capabilities": {}, "accounts": null,
        })
    );
    assert_eq!(
        (&all[2]["id"], &all[2]["type"], &all[2]["name"]),
        (&json!("PG1"), &json!("group"), &json!("The Team"))
    );
    // Who is not seen is not there.
    let args = json!({"ids": ["P3", "PG1", "P9", "x"], "properties": ["email"]});
    let got = house.call("Principal/get", args);
    assert_eq!(
        got["list"],
        json!([{"id": "PG1", "email": "team@example.org"}])
    );
    assert_eq!(got["notFound"], json!(["P3", "P9", "x"]));
    let odd = json!({"properties": ["odd"]});
    assert_eq!(house.error("Principal/get", odd), "invalidArguments");
    let other = json!({"accountId": "A2", "ids": null});
    assert_eq!(house.error("Principal/get", other), "accountNotFound");
}

#[test]
fn whom_an_account_sees_the_configuration_says() {
    let mut house = house();
    let state = house.call("Principal/get", json!({"ids": []}))["state"].clone();
    house.principals = Principals::new(house.engine.clone(), Visible::Own);
    assert_eq!(query(&mut house, Value::Null), json!(["P1"]));
    let got = house.call("Principal/get", json!({"ids": ["P2"]}));
    assert_eq!(got["notFound"], json!(["P2"]));
    // What was seen before is not to be worked out from changes.
    let since = json!({"sinceState": state});
    assert_eq!(
        house.error("Principal/changes", since),
        "cannotCalculateChanges"
    );
    house.principals = Principals::new(house.engine.clone(), Visible::Everyone);
    assert_eq!(
        query(&mut house, Value::Null),
        json!(["P1", "P2", "P3", "PG1"])
    );
}

#[test]
fn principals_are_found_by_every_condition_and_in_order() {
    let mut house = house();
    for (filter, found) in [
        (json!({"accountIds": ["A1", "A2"]}), json!(["P1"])),
        (json!({"accountIds": ["A2"]}), json!([])),
        (json!({"email": "TEAM@example"}), json!(["PG1"])),
        (json!({"name": "car"}), json!(["P2"])),
        (json!({"name": "example"}), json!([])),
        (json!({"text": "example"}), json!(["P1", "P2", "PG1"])),
        (json!({"text": "the t"}), json!(["PG1"])),
        (json!({"type": "group"}), json!(["PG1"])),
        (json!({"type": "Group"}), json!([])),
        (json!({"timeZone": "Europe/Vienna"}), json!([])),
        (
            json!({"text": "example", "type": "individual", "name": "b"}),
            json!(["P1"]),
        ),
        (
            json!({"operator": "NOT", "conditions": [{"type": "group"}, {"name": "bob"}]}),
            json!(["P2"]),
        ),
    ] {
        assert_eq!(query(&mut house, filter.clone()), found, "{filter}");
    }
    let args = json!({
        "sort": [{"property": "name", "isAscending": false}], "anchor": "P2", "limit": 2,
        "calculateTotal": true,
    });
    let found = house.call("Principal/query", args);
    // "The Team", "carol", "bob".
    assert_eq!(
        (&found["ids"], &found["total"]),
        (&json!(["P2", "P1"]), &json!(3))
    );
    assert_eq!(found["position"], 1);
    let args = json!({"sort": [{"property": "email", "collation": "i;octet"}], "limit": 1});
    assert_eq!(house.call("Principal/query", args)["ids"], json!(["P1"]));
    for (args, kind) in [
        (json!({"filter": {"odd": 1}}), "unsupportedFilter"),
        (json!({"filter": {"accountIds": "A1"}}), "invalidArguments"),
        (json!({"filter": {"accountIds": [1]}}), "invalidArguments"),
        (json!({"filter": {"timeZone": null}}), "invalidArguments"),
        (json!({"filter": {"type": 7}}), "invalidArguments"),
        (json!({"sort": [{"property": "type"}]}), "unsupportedSort"),
        (
            json!({"sort": [{"property": "name", "collation": "x"}]}),
            "unsupportedSort",
        ),
        (json!({"anchor": "P3"}), "anchorNotFound"),
    ] {
        assert_eq!(house.error("Principal/query", args.clone()), kind, "{args}");
    }
}

#[test]
fn what_changed_of_colleagues_is_told_and_of_others_not() {
    let mut house = house();
    let sorted = json!([{"property": "name"}]);
    let before = house.call("Principal/query", json!({"sort": sorted}));
    assert_eq!(before["ids"], json!(["P1", "P2", "PG1"]));
    let state = house.call("Principal/get", json!({"ids": []}))["state"].clone();
    assert_eq!(state, before["queryState"]);
    let engine = house.engine.clone();
    let dan = add(&house, "dan@example.org", "Anton");
    add(&house, "fay@far.example", "Fay");
    update_account(&*engine, CAROL, |account| {
        account.display_name = "Aaron".into()
    })
    .unwrap();
    let team = tern_directory::group_by_address(&*engine, &address("team@example.org"));
    remove_group(&*engine, team.unwrap().unwrap().id).unwrap();
    let changes = house.call("Principal/changes", json!({"sinceState": state}));
    let dan_id = format!("P{}", dan.0);
    assert_eq!(changes["created"], json!([dan_id]));
    assert_eq!(
        (&changes["updated"], &changes["destroyed"]),
        (&json!(["P2"]), &json!(["PG1"]))
    );
    let args = json!({"sinceQueryState": state, "sort": sorted, "calculateTotal": true});
    let moved = house.call("Principal/queryChanges", args.clone());
    assert_eq!(moved["removed"], json!(["PG1", "P2"]));
    let added = json!([{"id": "P2", "index": 0}, {"id": dan_id, "index": 1}]);
    assert_eq!((&moved["added"], &moved["total"]), (&added, &json!(3)));
    assert_eq!(moved["newQueryState"], changes["newState"]);
    // A part at a time leads to the same state.
    let first = house.call(
        "Principal/changes",
        json!({"sinceState": state, "maxChanges": 1}),
    );
    assert_eq!(
        (&first["created"], &first["hasMoreChanges"]),
        (&json!([dan_id]), &json!(true))
    );
    update_account(&*engine, dan, |account| account.disabled = true).unwrap();
    let rest = house.call(
        "Principal/changes",
        json!({"sinceState": first["newState"]}),
    );
    assert_eq!(rest["destroyed"], json!(["PG1", dan_id]));
    for wrong in ["d99", "e1", "1", "d01", ""] {
        for (method, name) in [
            ("Principal/changes", "sinceState"),
            ("Principal/queryChanges", "sinceQueryState"),
        ] {
            let error = house.error(method, json!({name: wrong}));
            assert_eq!(error, "cannotCalculateChanges", "{wrong}");
        }
    }
    let mut few = args;
    few["maxChanges"] = 2.into();
    assert_eq!(house.error("Principal/queryChanges", few), "tooManyChanges");
    assert!(tern_directory::check(&*engine).unwrap().is_empty());
}

#[test]
fn nobody_changes_principals_here() {
    let mut house = house();
    let args = json!({
        "create": {"c": {"type": "individual", "name": "x"}}, "destroy": ["PG1", "P3"],
        "update": {"P1": {"name": "x"}, "P9": {"name": "x"}},
    });
    let set = house.call("Principal/set", args);
    assert_eq!(set["notCreated"]["c"]["type"], "forbidden");
    assert_eq!(set["notUpdated"]["P1"]["type"], "forbidden");
    assert_eq!(set["notUpdated"]["P9"]["type"], "notFound");
    assert_eq!(set["notDestroyed"]["PG1"]["type"], "forbidden");
    assert_eq!(set["notDestroyed"]["P3"]["type"], "notFound");
    let stale = json!({"ifInState": "d0", "destroy": ["P1"]});
    assert_eq!(house.error("Principal/set", stale), "stateMismatch");
    assert_eq!(house.who, BOB);
    assert_eq!(query(&mut house, Value::Null), json!(["P1", "P2", "PG1"]));
}

#[test]
fn what_can_not_be_asked_of_notifications_is_told_by_its_type() {
    let mut house = House::new();
    let got = house.call("ShareNotification/get", json!({"ids": null}));
    assert_eq!((&got["list"], &got["notFound"]), (&json!([]), &json!([])));
    let state = got["state"].clone();
    let got = house.call("ShareNotification/get", json!({"ids": ["x", "x"]}));
    assert_eq!(got["notFound"], json!(["x"]));
    let changes = house.call("ShareNotification/changes", json!({"sinceState": state}));
    assert_eq!(
        (&changes["created"], &changes["newState"]),
        (&json!([]), &state)
    );
    let filter = json!({
        "after": "2026-01-01T00:00:00Z", "before": null, "objectType": "Mailbox",
        "objectAccountId": "A1",
    });
    let args = json!({"filter": filter, "sort": [{"property": "created"}], "calculateTotal": true});
    let found = house.call("ShareNotification/query", args);
    assert_eq!((&found["ids"], &found["total"]), (&json!([]), &json!(0)));
    let since = json!({"sinceQueryState": found["queryState"]});
    let moved = house.call("ShareNotification/queryChanges", since);
    assert_eq!(
        (&moved["removed"], &moved["added"]),
        (&json!([]), &json!([]))
    );
    let args = json!({"create": {"c": {}}, "update": {"x": {}}, "destroy": ["y"]});
    let set = house.call("ShareNotification/set", args);
    assert_eq!(set["notCreated"]["c"]["type"], "forbidden");
    assert_eq!(set["notUpdated"]["x"]["type"], "forbidden");
    assert_eq!(set["notDestroyed"]["y"]["type"], "notFound");
    for (method, args, kind) in [
        ("get", json!({"properties": ["odd"]}), "invalidArguments"),
        (
            "changes",
            json!({"sinceState": "1"}),
            "cannotCalculateChanges",
        ),
        (
            "changes",
            json!({"sinceState": "0", "maxChanges": 0}),
            "invalidArguments",
        ),
        ("set", json!({"ifInState": "1"}), "stateMismatch"),
        ("query", json!({"filter": {"odd": 1}}), "unsupportedFilter"),
        (
            "query",
            json!({"filter": {"after": "today"}}),
            "invalidArguments",
        ),
        (
            "query",
            json!({"filter": {"objectType": null}}),
            "invalidArguments",
        ),
        (
            "query",
            json!({"sort": [{"property": "name"}]}),
            "unsupportedSort",
        ),
        ("query", json!({"anchor": "x"}), "anchorNotFound"),
        (
            "queryChanges",
            json!({"sinceQueryState": "1"}),
            "cannotCalculateChanges",
        ),
    ] {
        let error = house.error(&format!("ShareNotification/{method}"), args.clone());
        assert_eq!(error, kind, "{method} {args}");
    }
}
