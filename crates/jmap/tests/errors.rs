//! The errors of a `/set` that no other test makes, each by its type (RFC 8620 5.3, RFC 8621 4.6).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::faulty::FaultyEngine;
use house::{BOB, House};
use serde_json::{Map, Value, json};
use tern_mailbox::{Role, limits};
use tern_session::ids;
use tern_store::StoreError;

/// A message in Drafts: its id.
fn draft(house: &mut House) -> String {
    let drafts = house.mailbox(Role::Drafts);
    let create = json!({"create": {"k": {"mailboxIds": {drafts: true}}}});
    let made = house.call("Email/set", create);
    made["created"]["k"]["id"].as_str().unwrap().to_owned()
}

/// The type of the error of an update.
fn refused(house: &mut House, id: &str, patch: &Value) -> String {
    let set = house.call("Email/set", json!({"update": {id: patch}}));
    assert_eq!(set["updated"], Value::Null, "{patch}");
    assert_eq!(set["oldState"], set["newState"], "{patch}");
    set["notUpdated"][id]["type"].as_str().unwrap().to_owned()
}

fn keywords(count: usize) -> Value {
    let all = (0..count).map(|n| (format!("k{n}"), true.into()));
    Value::Object(all.collect::<Map<_, _>>())
}

#[test]
fn an_update_that_cannot_be_changes_nothing_and_says_why() {
    let mut house = House::new();
    let id = draft(&mut house);
    let drafts = house.mailbox(Role::Drafts);
    let cases = [
        ("invalidPatch", json!(1)),
        (
            "invalidPatch",
            json!({"keywords": {}, "keywords/$seen": true}),
        ),
        (
            "invalidPatch",
            json!({"mailboxIds": {drafts.as_str(): true}, format!("mailboxIds/{drafts}"): null}),
        ),
        ("invalidPatch", json!({"keywords/a/b": true})),
        (
            "invalidPatch",
            json!({format!("mailboxIds/{drafts}/x"): true}),
        ),
        ("invalidProperties", json!({"keywords/$seen": false})),
        ("invalidProperties", json!({"keywords/a b": true})),
        ("invalidProperties", json!({"subject": "other"})),
        ("invalidProperties", json!({"mailboxIds/F1-99": true})),
        (
            "invalidProperties",
            json!({format!("mailboxIds/{drafts}"): null}),
        ),
    ];
    for (kind, patch) in cases {
        assert_eq!(refused(&mut house, &id, &patch), kind, "{patch}");
    }
    assert_eq!(refused(&mut house, "M1-99", &json!({})), "notFound");
    assert_eq!(refused(&mut house, "M2-1", &json!({})), "notFound");
    house.check();
}

#[test]
fn of_updates_together_each_is_done_or_not_by_itself() {
    let mut house = House::new();
    let ids: Vec<String> = (0..5).map(|_| draft(&mut house)).collect();
    let flag = json!({"keywords/$flagged": true});
    let mut update: Map<String, Value> = ids.iter().map(|id| (id.clone(), flag.clone())).collect();
    // One is refused when it is read, the others within the transaction, in part or at once.
    let none = json!({"keywords/$seen": true, "mailboxIds/F1-99": true});
    update[&ids[0]] = json!({"subject": "other"});
    update[&ids[2]] = none;
    update.insert("M1-99".to_owned(), flag);
    let set = house.call("Email/set", json!({"update": update}));
    for (id, kind) in [
        (ids[0].as_str(), "invalidProperties"),
        (&ids[2], "invalidProperties"),
        ("M1-99", "notFound"),
    ] {
        assert_eq!(set["notUpdated"][id]["type"], kind, "{id}");
    }
    let get = json!({"ids": ids, "properties": ["keywords"]});
    let got = house.call("Email/get", get);
    for (number, id) in ids.iter().enumerate() {
        let is_done = !matches!(number, 0 | 2);
        assert_eq!(set["updated"].get(id).is_some(), is_done, "{id}");
        let object = got["list"].as_array().unwrap().iter();
        let keywords = object
            .filter(|it| it["id"] == **id)
            .map(|it| &it["keywords"]);
        let wanted = match is_done {
            true => json!({"$flagged": true}),
            false => json!({}),
        };
        assert!(keywords.eq([&wanted]), "{id}");
    }
    house.check();
}

#[test]
fn more_updates_than_one_transaction_takes_are_all_done() {
    let mut house = House::new();
    let ids: Vec<String> = (0..limits::CHUNK + 2).map(|_| draft(&mut house)).collect();
    let flag = json!({"keywords/$flagged": true});
    let update: Map<String, Value> = ids.iter().map(|id| (id.clone(), flag.clone())).collect();
    let set = house.call("Email/set", json!({"update": update}));
    assert_eq!(set["updated"].as_object().unwrap().len(), ids.len());
    let since = json!({"sinceState": set["oldState"]});
    let changes = house.call("Email/changes", since);
    assert_eq!(changes["updated"].as_array().unwrap().len(), ids.len());
    house.check();
}

#[test]
fn a_message_that_is_destroyed_by_the_same_call_is_not_updated() {
    let mut house = House::new();
    let id = draft(&mut house);
    let both = json!({"update": {id.as_str(): {"keywords/$seen": true}}, "destroy": [id]});
    let set = house.call("Email/set", both);
    assert_eq!(set["notUpdated"][&id]["type"], "willDestroy");
    assert_eq!(set["destroyed"], json!([id]));
    house.check();
}

#[test]
fn keywords_and_mailboxes_of_a_message_are_limited() {
    let mut house = House::new();
    let id = draft(&mut house);
    let most = json!({"keywords": keywords(limits::MAX_KEYWORDS)});
    let set = house.call("Email/set", json!({"update": {id.as_str(): most}}));
    assert_eq!(set["notUpdated"], Value::Null);
    let more = json!({"keywords/other": true});
    assert_eq!(refused(&mut house, &id, &more), "tooManyKeywords");
    let more = json!({"keywords": keywords(limits::MAX_KEYWORDS + 1)});
    assert_eq!(refused(&mut house, &id, &more), "tooManyKeywords");
    let all = (0..=limits::MAX_PLACEMENTS).map(|n| {
        let made = house
            .mailboxes
            .create_folder(BOB, &format!("f{n}"), None, house.now);
        (ids::mailbox_id(BOB, made.unwrap().id), true.into())
    });
    let all: Map<String, Value> = all.collect();
    let patch = json!({"mailboxIds": all});
    assert_eq!(refused(&mut house, &id, &patch), "tooManyMailboxes");
    let made = house.call("Email/set", json!({"create": {"k": patch}}));
    assert_eq!(made["notCreated"]["k"]["type"], "tooManyMailboxes");
    house.check();
}

#[test]
fn a_blob_over_the_size_is_not_made() {
    let mut house = House::new();
    let octets = "x".repeat(tern_jmap::limits::MAX_SIZE_BLOB_SET as usize + 1);
    let create = json!({"create": {"b": {"data": [{"data:asText": octets}]}}});
    let made = house.call("Blob/upload", create);
    assert_eq!(made["notCreated"]["b"]["type"], "tooLarge");
    assert_eq!(
        made["notCreated"]["b"]["maxSize"],
        tern_jmap::limits::MAX_SIZE_BLOB_SET
    );
}

/// What needs no store is none of these.
const METHODS: [&str; 11] = [
    "Mailbox/get",
    "Mailbox/query",
    "Thread/get",
    "Email/get",
    "Email/query",
    "Identity/get",
    "EmailSubmission/get",
    "EmailSubmission/query",
    "VacationResponse/get",
    "Recall/get",
    "Recall/query",
];

#[test]
fn what_the_store_can_not_do_now_is_told_apart_from_what_it_can_not_do() {
    for (fault, kind) in [
        (StoreError::Busy, "serverUnavailable"),
        (StoreError::Full, "serverUnavailable"),
        (StoreError::Damaged, "serverFail"),
        (StoreError::Engine("gone".to_owned()), "serverFail"),
    ] {
        let engine = Arc::new(FaultyEngine::default());
        let mut house = House::over(engine.clone(), tern_policy::unattended());
        engine.fail(Some(fault));
        for method in METHODS {
            let ids = match method.ends_with("/get") {
                true => json!({"ids": ["x"]}),
                false => json!({}),
            };
            assert_eq!(house.error(method, ids), kind, "{method}");
        }
        engine.fail(None);
        house.call("Mailbox/get", json!({"ids": null}));
    }
}

#[test]
fn an_object_that_can_not_be_stored_now_is_no_failure_of_the_call() {
    let engine = Arc::new(FaultyEngine::default());
    let mut house = House::over(engine.clone(), tern_policy::unattended());
    let id = draft(&mut house);
    house.call("Email/get", json!({"ids": [id]}));
    let patch = json!({"keywords/$seen": true});
    engine.fail_commits(true);
    assert_eq!(refused(&mut house, &id, &patch), "serverFail");
    engine.fail_commits(false);
    let set = house.call("Email/set", json!({"update": {id: patch}}));
    assert_eq!(set["notUpdated"], Value::Null);
    house.check();
}
