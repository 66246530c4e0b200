//! What `Email/get` reads of a message's content: nothing for what its structure says, and all of a
//! small message at once. And that a conversation is read to its end.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use house::faulty::FaultyEngine;
use serde_json::json;

const LETTER: &str = "From: a@example.net\r\nSubject: s\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\nCaf=C3=A9=\r\n!\r\n\
    --b\r\nContent-Type: text/html\r\n\r\n<p>more</p>\r\n\
    --b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n\
    --b--\r\n";

#[test]
fn sizes_are_told_without_reading_and_a_message_is_read_once() {
    let engine = Arc::new(FaultyEngine::default());
    let store = Arc::<FaultyEngine>::clone(&engine);
    let mut house = House::over(store, tern_policy::unattended());
    house.receive("a@example.net", LETTER);
    let id = house.call("Email/query", json!({}))["ids"][0].clone();
    engine.pieces_read();

    let ask = json!({
        "ids": [id], "properties": ["bodyStructure", "textBody", "attachments"],
        "bodyProperties": ["type", "size"],
    });
    let email = house.call("Email/get", ask)["list"][0].clone();
    let sizes: Vec<_> = email["bodyStructure"]["subParts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| {
            (
                part["type"].as_str().unwrap(),
                part["size"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        sizes,
        [("text/plain", 6), ("text/html", 11), ("application/pdf", 5)]
    );
    assert_eq!(email["attachments"][0]["size"], 5);
    assert_eq!(engine.pieces_read(), 0, "the structure says it all");

    let ask = json!({
        "ids": [id], "properties": ["headers", "bodyStructure", "bodyValues"],
        "bodyProperties": ["partId", "header:Content-Type"], "fetchAllBodyValues": true,
    });
    let email = house.call("Email/get", ask)["list"][0].clone();
    assert_eq!(email["bodyValues"]["1"]["value"], "Café!");
    assert_eq!(email["bodyValues"]["2"]["value"], "<p>more</p>");
    let of_part = &email["bodyStructure"]["subParts"][2];
    assert_eq!(of_part["header:Content-Type"], " application/pdf");
    assert_eq!(engine.pieces_read(), 1, "two texts and four headers");
    house.check();
}

#[test]
fn a_conversation_is_told_whole_however_many_pages_it_has() {
    let engine = Arc::new(FaultyEngine::default());
    let store = Arc::<FaultyEngine>::clone(&engine);
    let mut house = House::over(store, tern_policy::unattended());
    for n in 0..5 {
        let answers = "In-Reply-To: <0@x>\r\nReferences: <0@x>\r\n";
        let answers = if n == 0 { "" } else { answers };
        let letter = format!("Message-ID: <{n}@x>\r\n{answers}Subject: s\r\n\r\n{n}\r\n");
        house.receive("a@example.net", &letter);
    }
    let found = house.call("Email/query", json!({"sort": [{"property": "receivedAt"}]}));
    let ask = json!({"ids": [found["ids"][0]], "properties": ["threadId"]});
    let thread = house.call("Email/get", ask)["list"][0]["threadId"].clone();
    engine.cut_pages(2);
    let told = house.call("Thread/get", json!({"ids": [thread]}));
    let told = told["list"][0]["emailIds"].as_array().unwrap().clone();
    assert_eq!(told.len(), 5, "{told:?}");
}
