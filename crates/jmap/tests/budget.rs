//! What one request may take of the server: work, and memory for its answer.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use house::faulty::FaultyEngine;
use serde_json::{Value, json};
use tern_jmap::limits;
use tern_mailbox::Role;
use tern_session::{Budget, ids};

/// Imports a message: its id.
fn import(house: &mut House, letter: &[u8]) -> String {
    let blob = house.upload("message/rfc822", letter);
    let drafts = house.mailbox(Role::Drafts);
    let email = json!({"blobId": blob, "mailboxIds": {drafts: true}});
    let made = house.call("Email/import", json!({"emails": {"e": email}}));
    made["created"]["e"]["id"].as_str().unwrap().to_owned()
}

fn letter(octets: usize) -> Vec<u8> {
    let line = [&b"e".repeat(76)[..], b"\r\n"].concat();
    let mut letter = b"Subject: eee\r\n\r\n".to_vec();
    letter.extend(line.repeat(octets / line.len()));
    letter
}

/// A filter for so many different words.
fn words(count: usize) -> Value {
    let all: Vec<String> = (0..count).map(|n| format!("w{n}")).collect();
    let conditions = all.chunks(limits::MAX_WORDS);
    let conditions = conditions.map(|some| json!({"body": some.join(" ")}));
    json!({"operator": "OR", "conditions": conditions.collect::<Vec<_>>()})
}

/// The type of an error, or the name of the method.
fn kind(response: &Value) -> &str {
    match response[0].as_str().unwrap() {
        "error" => response[1]["type"].as_str().unwrap(),
        name => name,
    }
}

const HELD: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n\
    --b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nV29ybGQ=\r\n\
    --b--\r\n";

/// The blob ids of the two parts of an upload.
fn parts(house: &mut House) -> Vec<Value> {
    let upload = house.upload("message/rfc822", HELD.as_bytes());
    let ask = json!({"blobIds": [upload], "properties": ["attachments"]});
    let parsed = house.call("Email/parse", ask)["parsed"][&upload].clone();
    let attachments = parsed["attachments"].as_array().unwrap();
    let ids = attachments.iter().map(|part| part["blobId"].clone());
    ids.collect()
}

#[test]
fn a_snippet_takes_what_it_shows_and_not_what_could_be_found() {
    let mut house = House::new();
    let email = import(&mut house, &letter(1 << 20));
    // The same word again and again, which is in every place.
    let body = "e ".repeat(limits::MAX_WORDS);
    let conditions = vec![json!({"body": body, "subject": body}); 200];
    let filter = json!({"operator": "AND", "conditions": conditions});
    let ask = json!({"filter": filter, "emailIds": [email]});
    // They are more words than a filter has.
    assert_eq!(house.error("SearchSnippet/get", ask), "unsupportedFilter");
    let ask = json!({"filter": {"body": body, "subject": body}, "emailIds": [email]});
    let snippet = house.call("SearchSnippet/get", ask)["list"][0].clone();
    assert_eq!(snippet["subject"], "<mark>eee</mark>");
    let preview = snippet["preview"].as_str().unwrap();
    assert!(preview.len() <= limits::MAX_SNIPPET, "{preview}");
    assert!(preview.starts_with("<mark>eee") && preview.ends_with("e</mark>"));
}

#[test]
fn the_work_of_a_request_is_one_for_all_of_its_calls() {
    let mut house = House::new();
    let email = import(&mut house, &letter(3 << 20));
    let upload = house.upload("message/rfc822", HELD.as_bytes());
    let part = parts(&mut house)[0].clone();
    let account = ids::account_id(house.who);
    let drafts = house.mailbox(Role::Drafts);
    let keep = json!({"blobId": upload, "mailboxIds": {drafts.as_str(): true}});
    let compose = json!({"mailboxIds": {drafts: true}, "bodyStructure": {"blobId": part}});
    let calls = json!([
        // 400 words in 3 MiB are more than a request looks through.
        ["SearchSnippet/get", {"accountId": account, "filter": words(400), "emailIds": [email]}, "0"],
        ["Blob/get", {"accountId": account, "ids": [part], "properties": ["size"]}, "1"],
        ["Blob/lookup", {"accountId": account, "ids": [part], "typeNames": ["Email"]}, "2"],
        ["Email/parse", {"accountId": account, "blobIds": [upload]}, "3"],
        ["MDN/parse", {"accountId": account, "blobIds": [upload]}, "4"],
        ["Email/get", {"accountId": account, "ids": [email], "fetchTextBodyValues": true,
            "properties": ["bodyValues"], "maxBodyValueBytes": 1}, "5"],
        ["Email/query", {"accountId": account, "filter": {"body": "w"}}, "6"],
        ["Email/import", {"accountId": account, "emails": {"e": keep}}, "7"],
        ["Email/set", {"accountId": account, "create": {"e": compose}}, "8"],
        ["Blob/upload", {"accountId": account, "create": {"b": {"data": [{"blobId": part}]}}}, "9"],
        ["Mailbox/get", {"accountId": account, "ids": null}, "10"],
    ]);
    let responses = house.calls(&calls);
    let kinds: Vec<&str> = responses.iter().map(kind).collect();
    let (filter, large) = ("unsupportedFilter", "requestTooLarge");
    assert_eq!(
        kinds,
        [
            filter,
            large,
            large,
            large,
            large,
            large,
            filter,
            "Email/import",
            "Email/set",
            "Blob/upload",
            "Mailbox/get",
        ],
        "{responses:?}"
    );
    for (index, name) in [(7, "e"), (8, "e"), (9, "b")] {
        let error = &responses[index][1]["notCreated"][name];
        assert_eq!(error["type"], "rateLimit", "{responses:?}");
    }
    // Another request has work of its own.
    let got = house.call("Blob/get", json!({"ids": [part], "properties": ["size"]}));
    assert_eq!(got["list"][0]["size"], 5);
    house.check();
}

#[test]
fn an_upload_is_read_once_for_all_of_its_parts_and_a_look_up_decodes_none() {
    let engine = Arc::new(FaultyEngine::default());
    let store = Arc::<FaultyEngine>::clone(&engine);
    let mut house = House::over(store, tern_policy::unattended());
    let parts = parts(&mut house);
    engine.pieces_read();
    let found = house.call("Blob/lookup", json!({"ids": parts, "typeNames": ["Email"]}));
    assert_eq!(found["notFound"], json!([]));
    assert_eq!(engine.pieces_read(), 1, "for its structure");
    let ask = json!({"ids": parts, "properties": ["data:asText"]});
    let list = house.call("Blob/get", ask)["list"].clone();
    let texts: Vec<&Value> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["data:asText"])
        .collect();
    assert_eq!(texts, ["Hello", "World"]);
    assert_eq!(engine.pieces_read(), 3, "and for each part");
}

#[test]
fn what_is_told_is_told_within_the_memory_there_is() {
    let mut house = House::new();
    let email = import(&mut house, &letter(2 * limits::ANSWER_FREE));
    let ask = json!({
        "accountId": ids::account_id(house.who), "ids": [email],
        "properties": ["bodyValues"], "fetchTextBodyValues": true,
    });
    let one = json!([["Email/get", ask, "0"]]);
    let two = json!([
        ["Email/get", ask, "0"],
        ["Email/get", ask, "1"],
        ["Core/echo", {}, "2"]
    ]);
    let told = |responses: Vec<Value>| -> Vec<String> {
        let kinds = responses.iter().map(kind);
        kinds.map(str::to_owned).collect()
    };
    house.memory = Arc::new(Budget::new(0));
    assert_eq!(told(house.calls(&one)), ["serverUnavailable"]);
    let echoed = json!([["Core/echo", {"a": 1}, "0"]]);
    assert_eq!(
        told(house.calls(&echoed)),
        ["Core/echo"],
        "so much there is always"
    );
    let step = Budget::new(limits::ANSWER_STEP as u64);
    house.memory = Arc::new(step.clone());
    assert_eq!(told(house.calls(&one)), ["Email/get"]);
    assert_eq!(step.reserved(), 0, "given back with the answer");
    let calls = house.calls(&two);
    assert_eq!(told(calls), ["Email/get", "serverUnavailable", "Core/echo"]);
}

#[test]
fn content_that_is_held_is_within_the_memory_there_is_one_object_at_a_time() {
    let mut house = House::new();
    let size = letter(2 * limits::ANSWER_FREE).len() as u64;
    let blob = house.upload("message/rfc822", &letter(2 * limits::ANSWER_FREE));
    let drafts = house.mailbox(Role::Drafts);
    let import = json!({"blobId": blob, "mailboxIds": {drafts.as_str(): true}});
    let attach = json!({"mailboxIds": {drafts: true}, "attachments": [{"blobId": blob}]});
    let twice = |what: &Value| json!({"a": what, "b": what});
    let budget = Budget::new(size);
    house.memory = Arc::new(budget.clone());
    let made = house.call("Email/import", json!({"emails": twice(&import)}));
    assert!(made["notCreated"].is_null(), "{made}");
    let made = house.call("Email/set", json!({"create": twice(&attach)}));
    assert!(made["notCreated"].is_null(), "{made}");
    assert_eq!(budget.reserved(), 0);
    house.memory = Arc::new(Budget::new(size - 1));
    let made = house.call("Email/import", json!({"emails": twice(&import)}));
    assert_eq!(made["notCreated"]["b"]["type"], "serverFail", "{made}");
    let made = house.call("Email/set", json!({"create": twice(&attach)}));
    assert_eq!(made["notCreated"]["a"]["type"], "serverFail", "{made}");
    let parse = json!({"blobIds": [blob]});
    assert_eq!(house.error("Email/parse", parse), "serverUnavailable");
    house.check();
}

#[test]
fn submissions_are_told_within_the_memory_there_is() {
    let mut house = House::new();
    let letter = b"From: bob@example.org\r\nTo: carol@example.org\r\n\r\nHello\r\n";
    let email = import(&mut house, letter);
    let identity = house.call("Identity/get", json!({"ids": null}))["list"][0]["id"].clone();
    let recipients: Vec<Value> = (0..900)
        .map(|n| json!({"email": format!("{n}@far.example")}))
        .collect();
    let sender = json!({"email": "bob@example.org", "parameters": {"HOLDFOR": "60"}});
    let envelope = json!({"mailFrom": sender, "rcptTo": recipients});
    let new = json!({"identityId": identity, "emailId": email, "envelope": envelope});
    let set = house.call("EmailSubmission/set", json!({"create": {"s": new}}));
    assert!(set["created"]["s"]["id"].is_string(), "{set}");
    house.memory = Arc::new(Budget::new(0));
    let all = json!({"ids": null});
    assert_eq!(
        house.error("EmailSubmission/get", all.clone()),
        "serverUnavailable"
    );
    house.memory = Arc::new(Budget::new(4 << 20));
    let list = house.call("EmailSubmission/get", all)["list"].clone();
    assert_eq!(list[0]["envelope"]["rcptTo"].as_array().unwrap().len(), 900);
}
