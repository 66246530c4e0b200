//! Blobs within requests (RFC 9404), and how much room an account has (RFC 9425).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::atomic::AtomicU32;

use serde_json::{Value, json};
use tern_mailbox::Role;

use house::{BOB, House, Uploads};

#[test]
fn a_blob_is_made_of_texts_and_parts_of_others() {
    let mut house = House::new();
    let fox = house.upload("text/plain", b"The quick brown fox");
    let create = json!({"create": {
        "b1": {"data": [{"data:asText": "How "}, {"data:asBase64": "bm93"}, {"blobId": fox, "offset": 9, "length": 6}], "type": "text/x"},
        "b2": {"data": [{"blobId": "#b1"}]},
        "none": {"data": [{"blobId": "U1"}]},
        "part": {"data": [{"blobId": fox, "offset": 10, "length": 10}]},
        "both": {"data": [{"blobId": fox, "data:asText": ""}]},
        "bad": {"data": [{"data:asBase64": "!"}]},
        "empty": {"data": []},
        "missing": {"type": "text/x"},
    }});
    let made = house.call("Blob/upload", create);
    let kind = |name: &str| {
        made["notCreated"][name]["type"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(kind("none"), "blobNotFound");
    for name in ["part", "both", "bad", "missing"] {
        assert_eq!(kind(name), "invalidProperties", "{name}");
    }
    assert_eq!(
        (
            &made["created"]["b1"]["type"],
            &made["created"]["b1"]["size"]
        ),
        (&json!("text/x"), &json!(13))
    );
    // RFC 9404 4.1.
    let empty = &made["created"]["empty"];
    assert_eq!(empty["size"], 0, "{made}");
    assert_eq!(house.download(empty["id"].as_str().unwrap()).unwrap(), b"");
    for name in ["b1", "b2"] {
        let id = made["created"][name]["id"].as_str().unwrap();
        assert_eq!(house.download(id).unwrap(), b"How now brown");
    }
}

#[test]
fn what_is_uploaded_in_a_request_counts_as_uploads_do() {
    let mut house = House::new();
    house.uploads = Uploads(AtomicU32::new(1));
    let text = |text: &str| json!({"data": [{"data:asText": text}]});
    // What can't be uploaded counts as nothing.
    let create = json!({"create": {"a": {"data": [{}]}, "b": text("x"), "c": text("y")}});
    let made = house.call("Blob/upload", create);
    assert_eq!(made["notCreated"]["a"]["type"], "invalidProperties");
    assert!(made["created"]["b"].is_object(), "{made}");
    assert_eq!(made["notCreated"]["c"]["type"], "rateLimit");
}

#[test]
fn parts_and_digests_of_blobs_are_read_in_a_request() {
    let mut house = House::new();
    let fox = house.upload(
        "text/plain",
        b"The quick brown fox jumped over the lazy dog.",
    );
    let bytes = house.upload("application/x", b"\xff\0");
    let get = |house: &mut House, more: Value| {
        let mut args = json!({"ids": [fox]});
        args.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        house.call("Blob/get", args)["list"][0].clone()
    };
    assert_eq!(
        get(&mut house, json!({"offset": 4, "length": 5})),
        json!({"id": fox, "size": 45, "data:asText": "quick"})
    );
    let cut = get(
        &mut house,
        json!({"offset": 40, "length": 9, "properties": ["data:asBase64"]}),
    );
    assert_eq!(
        cut,
        json!({"id": fox, "data:asBase64": "IGRvZy4=", "isTruncated": true})
    );
    let digest = get(&mut house, json!({"properties": ["digest:sha-256"]}));
    assert_eq!(
        digest["digest:sha-256"],
        "aLEoK5HeLAVMNmKcuN1EfxLwltPjxYeXjcIkhERjNIM="
    );
    let odd = house.call("Blob/get", json!({"ids": [bytes, "U1"]}));
    assert_eq!(
        odd["list"][0],
        json!({"id": bytes, "size": 2, "data:asBase64": "/wA=", "isEncodingProblem": true})
    );
    assert_eq!(odd["notFound"], json!(["U1"]));
    assert_eq!(
        house.error("Blob/get", json!({"ids": [], "properties": ["digest:md5"]})),
        "invalidArguments"
    );
}

#[test]
fn a_blob_is_looked_up_where_it_belongs() {
    let mut house = House::new();
    let drafts = house.mailbox(Role::Drafts);
    let create = json!({"create": {"k": {"mailboxIds": {drafts.as_str(): true}}}});
    let made = house.call("Email/set", create)["created"]["k"].clone();
    let loose = house.upload("x/y", b"z");
    let args =
        json!({"typeNames": ["Email", "Mailbox", "Thread"], "ids": [made["blobId"], loose, "U1"]});
    let found = house.call("Blob/lookup", args);
    let matched = json!({"Email": [made["id"]], "Mailbox": [drafts], "Thread": [made["threadId"]]});
    assert_eq!(found["list"][0]["matchedIds"], matched);
    assert_eq!(found["list"][1]["matchedIds"]["Email"], json!([]));
    assert_eq!(found["notFound"], json!(["U1"]));
    assert_eq!(
        house.error("Blob/lookup", json!({"typeNames": ["Odd"], "ids": []})),
        "unknownDataType"
    );
}

#[test]
fn a_quota_tells_what_is_used_and_what_may_be() {
    let mut house = House::new();
    let none = house.call("Quota/get", json!({"ids": null}));
    assert_eq!(none["list"], json!([]));
    house.mailboxes.set_quota(BOB, 10_000).unwrap();
    let appeared = house.call("Quota/changes", json!({"sinceState": none["state"]}));
    assert_eq!(appeared["created"].as_array().unwrap().len(), 1);
    let drafts = house.mailbox(Role::Drafts);
    let create = json!({"create": {"k": {"mailboxIds": {drafts.as_str(): true}}}});
    let made = house.call("Email/set", create.clone());
    let quota = house.call("Quota/get", json!({"ids": null}))["list"][0].clone();
    assert_eq!(
        (&quota["used"], &quota["hardLimit"]),
        (&made["created"]["k"]["size"], &json!(10_000))
    );
    let changed = house.call("Quota/changes", json!({"sinceState": appeared["newState"]}));
    assert_eq!(changed["updated"], json!([quota["id"]]));
    assert_eq!(changed["updatedProperties"], json!(["used"]));
    let query = house.call("Quota/query", json!({"filter": {"resourceType": "octets"}}));
    assert_eq!(query["ids"], json!([quota["id"]]));
    let unlike = json!({"operator": "NOT", "conditions": [{"name": "ai", "type": "Email"}]});
    let query = house.call(
        "Quota/query",
        json!({"filter": unlike, "calculateTotal": true}),
    );
    assert_eq!((&query["ids"], &query["total"]), (&json!([]), &json!(0)));
    let since = |state: &Value| json!({"sinceQueryState": state});
    let came = house.call("Quota/queryChanges", since(&none["state"]));
    assert_eq!(came["added"], json!([{"id": quota["id"], "index": 0}]));
    let used = house.call("Quota/queryChanges", since(&appeared["newState"]));
    assert_eq!((&used["added"], &used["removed"]), (&json!([]), &json!([])));
    assert_eq!(
        house.error("Quota/query", json!({"filter": {"odd": "1"}})),
        "unsupportedFilter"
    );
    assert_eq!(
        house.error("Quota/query", json!({"sort": [{"property": "odd"}]})),
        "unsupportedSort"
    );
    house.mailboxes.set_quota(BOB, 1).unwrap();
    let over = house.call("Email/set", create);
    assert_eq!(over["notCreated"]["k"]["type"], "overQuota");
    for state in ["", "x", "9999-1"] {
        assert_eq!(
            house.error("Quota/changes", json!({"sinceState": state})),
            "cannotCalculateChanges"
        );
    }
}

#[test]
fn an_account_is_copied_from_by_nobody_else() {
    let mut house = House::new();
    let copy = |from: &str| json!({"fromAccountId": from, "create": {}});
    assert_eq!(house.error("Email/copy", copy("A2")), "fromAccountNotFound");
    assert_eq!(house.error("Email/copy", copy("A1")), "invalidArguments");
}
