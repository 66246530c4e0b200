//! What one request may take of the server: work, and memory for its answer.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use house::faulty::FaultyEngine;
use serde_json::{Value, json};
use tern_jmap::limits;
use tern_mailbox::Role;
use tern_session::{Budget, ContentMemory as _, Unlimited, ids};

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
    let email = import(&mut house, &letter(6 << 20));
    let upload = house.upload("message/rfc822", HELD.as_bytes());
    let part = parts(&mut house)[0].clone();
    let account = ids::account_id(house.who);
    // It is read to find out that it is no message.
    let large = limits::MAX_SIZE_UPLOAD as usize;
    let mut no_message = vec![b'\n'];
    no_message.resize(large, 0);
    let no_message = house.upload("message/rfc822", &no_message);
    let parse = json!(["Email/parse", {"accountId": account, "blobIds": [no_message]}, "p"]);
    let mut calls = vec![parse; (limits::MAX_WORK / large as u64) as usize];
    let reads = calls.len();
    let drafts = house.mailbox(Role::Drafts);
    let keep = json!({"blobId": upload, "mailboxIds": {drafts.as_str(): true}});
    let compose = json!({"mailboxIds": {drafts: true}, "bodyStructure": {"blobId": part}});
    let behind = json!([
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
    calls.extend(behind.as_array().unwrap().iter().cloned());
    let mut responses = house.calls(&json!(calls));
    for read in responses.drain(..reads) {
        assert_eq!(read[1]["notParsable"], json!([no_message]));
    }
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
            "Email/query",
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
fn a_search_that_finds_no_end_leaves_work_for_the_calls_behind_it() {
    let mut house = House::new();
    let email = import(&mut house, &letter(6 << 20));
    let part = parts(&mut house)[0].clone();
    let account = ids::account_id(house.who);
    let calls = json!([
        // 400 words in 6 MiB are more than a request looks through.
        ["SearchSnippet/get", {"accountId": account, "filter": words(400), "emailIds": [email]}, "0"],
        ["SearchSnippet/get", {"accountId": account, "filter": words(350), "emailIds": [email]}, "1"],
        ["Email/query", {"accountId": account, "filter": {"subject": "eee"}}, "2"],
        ["Email/get", {"accountId": account, "ids": [email], "properties": ["subject"]}, "3"],
        ["Blob/get", {"accountId": account, "ids": [part]}, "4"],
    ]);
    let responses = house.calls(&calls);
    let kinds: Vec<&str> = responses.iter().map(kind).collect();
    let wanted = [
        "unsupportedFilter",
        "unsupportedFilter",
        "Email/query",
        "Email/get",
        "Blob/get",
    ];
    assert_eq!(kinds, wanted, "{responses:?}");
}

#[test]
fn conversations_are_told_apart_by_a_few_keywords() {
    let mut house = House::new();
    let email = import(&mut house, &letter(100));
    let filter = |count: usize| {
        let condition = |n: usize| json!({"noneInThreadHaveKeyword": format!("k{n}")});
        let conditions: Vec<Value> = (0..count).map(condition).collect();
        json!({"filter": {"operator": "AND", "conditions": conditions}})
    };
    let most = limits::MAX_THREAD_KEYWORDS;
    assert_eq!(
        house.call("Email/query", filter(most))["ids"],
        json!([email])
    );
    for method in ["Email/query", "Email/queryChanges"] {
        let mut ask = filter(most + 1);
        if method == "Email/queryChanges" {
            ask["sinceQueryState"] = "0".into();
        }
        assert_eq!(house.error(method, ask), "unsupportedFilter", "{method}");
    }
    // The last of them has a bit of its own.
    let flag = json!({"update": {&email: {format!("keywords/k{}", most - 1): true}}});
    assert!(house.call("Email/set", flag)["notUpdated"].is_null());
    assert_eq!(house.call("Email/query", filter(most))["ids"], json!([]));
    assert_eq!(
        house.call("Email/query", filter(most - 1))["ids"],
        json!([email])
    );
}

#[test]
fn what_is_attached_is_not_read_for_a_search() {
    let engine = Arc::new(FaultyEngine::default());
    let store = Arc::<FaultyEngine>::clone(&engine);
    let mut house = House::over(store, tern_policy::unattended());
    let attached = "QUJD".repeat(4 * limits::ANSWER_FREE);
    let large = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst words\r\n\
         --b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{attached}\r\n\
         --b\r\n\r\nlast words\r\n--b--\r\n"
    );
    let email = import(&mut house, large.as_bytes());
    engine.pieces_read();
    let filter = json!({"body": "\"last words\" first"});
    let found = house.call("Email/query", json!({"filter": filter}));
    assert_eq!(found["ids"], json!([email]));
    assert!(engine.pieces_read() <= 4, "of seventeen");
    let ask = json!({"filter": filter, "emailIds": [email]});
    let snippet = house.call("SearchSnippet/get", ask)["list"][0].clone();
    assert!(
        snippet["preview"].as_str().unwrap().contains("<mark>"),
        "{snippet}"
    );
    assert!(engine.pieces_read() <= 4, "of seventeen");
}

#[test]
fn what_a_search_keeps_of_messages_is_within_the_memory_there_is() {
    let mut house = House::new();
    let names = |n: usize| {
        (0..3_000)
            .map(|it| format!("somebody.{n}.{it}@far.example"))
            .collect::<Vec<_>>()
    };
    for n in 0..20 {
        let letter = format!(
            "Subject: s{n}\r\nTo: {}\r\n\r\nx\r\n",
            names(n).join(",\r\n ")
        );
        import(&mut house, letter.as_bytes());
    }
    house.memory = Arc::new(Budget::new(0));
    // What does not pass is let go, and so is what nothing more is asked of.
    let none = json!({"filter": {"from": "zzz"}});
    assert_eq!(house.call("Email/query", none)["ids"], json!([]));
    let all = json!({"filter": {"to": "far"}});
    assert_eq!(
        house.call("Email/query", all)["ids"]
            .as_array()
            .unwrap()
            .len(),
        20
    );
    // What they are sorted by is kept until they are.
    let sorted = json!({"sort": [{"property": "subject"}]});
    assert_eq!(
        house.error("Email/query", sorted.clone()),
        "serverUnavailable"
    );
    house.memory = Arc::new(Budget::new(4 << 20));
    assert_eq!(
        house.call("Email/query", sorted)["ids"]
            .as_array()
            .unwrap()
            .len(),
        20
    );
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
    let letter = letter(limits::ANSWER_FREE / 4);
    let emails: Vec<String> = (0..7).map(|_| import(&mut house, &letter)).collect();
    let ask = json!({
        "accountId": ids::account_id(house.who), "ids": emails,
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
    assert_eq!(told(house.calls(&one)), ["requestTooLarge"]);
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
    // More than there ever is, however little is held by others.
    let calls = house.calls(&two);
    assert_eq!(told(calls), ["Email/get", "requestTooLarge", "Core/echo"]);
    // What is held by others now is there later.
    let steps = Arc::new(Budget::new(2 * limits::ANSWER_STEP as u64));
    let others = steps.reserve(None, limits::ANSWER_STEP as u64);
    house.memory = Arc::<Budget>::clone(&steps);
    let calls = house.calls(&two);
    assert_eq!(told(calls), ["Email/get", "serverUnavailable", "Core/echo"]);
    drop(others);
    let calls = house.calls(&two);
    assert_eq!(told(calls), ["Email/get", "Email/get", "Core/echo"]);
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
fn of_a_long_text_no_more_is_read_than_is_told() {
    let engine = Arc::new(FaultyEngine::default());
    let store = Arc::<FaultyEngine>::clone(&engine);
    let mut house = House::over(store, tern_policy::unattended());
    let email = import(&mut house, &letter(16 * limits::ANSWER_FREE));
    let ask = |max: usize| {
        json!({"ids": [email], "properties": ["bodyValues"], "fetchTextBodyValues": true,
            "maxBodyValueBytes": max})
    };
    engine.pieces_read();
    house.memory = Arc::new(Budget::new(4 * limits::ANSWER_FREE as u64));
    let got = house.call("Email/get", ask(10));
    let value = &got["list"][0]["bodyValues"]["1"];
    let wanted = json!({"value": "eeeeeeeeee", "isTruncated": true, "isEncodingProblem": false});
    assert_eq!(*value, wanted);
    assert!(engine.pieces_read() <= 3, "of sixteen");
    // All of it is more than there is memory for.
    let most = 16 * limits::ANSWER_FREE;
    assert_eq!(house.error("Email/get", ask(most)), "serverUnavailable");
    house.memory = Arc::new(Unlimited);
    let got = house.call("Email/get", ask(most));
    assert_eq!(got["list"][0]["bodyValues"]["1"]["isTruncated"], false);
    assert!(engine.pieces_read() >= 16);
}

#[test]
fn a_start_that_says_too_little_is_read_on() {
    // Soft line breaks, which say nothing, are more than what is read at first.
    let mut house = House::new();
    let breaks = "=\r\n".repeat(2 * limits::ANSWER_FREE);
    let letter =
        format!("Content-Transfer-Encoding: quoted-printable\r\n\r\n{breaks}end of it and more");
    let email = import(&mut house, letter.as_bytes());
    let ask = json!({"ids": [email], "properties": ["bodyValues"], "fetchTextBodyValues": true,
        "maxBodyValueBytes": 9});
    let got = house.call("Email/get", ask);
    let value = &got["list"][0]["bodyValues"]["1"];
    assert_eq!(
        (&value["value"], &value["isTruncated"]),
        (&json!("end of it"), &json!(true))
    );
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
        "requestTooLarge"
    );
    house.memory = Arc::new(Budget::new(4 << 20));
    let list = house.call("EmailSubmission/get", all)["list"].clone();
    assert_eq!(list[0]["envelope"]["rcptTo"].as_array().unwrap().len(), 900);
}

#[test]
fn a_download_needs_what_is_decoded_for_it_and_no_more_than_its_part() {
    let mut house = House::new();
    let rest = "x".repeat(5_000);
    let email = import(&mut house, format!("{HELD}{rest}").as_bytes());
    let ask = json!({"ids": [email], "properties": ["attachments", "blobId"]});
    let got = house.call("Email/get", ask)["list"][0].clone();
    let upload = house.upload("message/rfc822", HELD.as_bytes());
    let of_upload = parts(&mut house)[1].clone();
    let needs = |id: &Value| {
        let account = ids::account_id(house.who);
        let of = (account.as_str(), id.as_str().unwrap());
        tern_jmap::download_needs(&house.verbs(), &house.caller(), of).unwrap()
    };
    // As it stands, and decoded.
    assert_eq!(
        needs(&got["attachments"][0]["blobId"]),
        2 * "SGVsbG8=".len() as u64
    );
    assert_eq!(
        needs(&of_upload),
        2 * HELD.len() as u64,
        "all of it is parsed"
    );
    for read_by_pieces in [&got["blobId"], &json!(upload), &json!("no")] {
        assert_eq!(needs(read_by_pieces), 0);
    }
}
