//! What of a message is served is on record whatever way it goes, and no request makes an answer of any size.

use serde_json::{Value, json};
use tern_mailbox::{ExposureLevel, Flags, INBOX};

use crate::house::{ALICE, House};

const MIXED: &str = "From: ann@example.org\r\nTo: bob@example.org\r\nSubject: figures\r\n\
    MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n\
    --b\r\nContent-Type: application/pdf; name=f.pdf\r\nContent-Disposition: attachment\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=\r\n--b--\r\n";

/// How much of the message JMAP has served, as far as it is on record.
fn served(house: &House, content: &str) -> Option<ExposureLevel> {
    let key = house.mailboxes.content_key();
    let digest = tern_mime::content_digest(key, content.as_bytes());
    let copies = house.mailboxes.copies(digest).unwrap();
    let copy = &copies[0];
    let ledger = house.sealing.ledger(copy.account, copy.message);
    let servings = ledger.unwrap().servings;
    let by_jmap = servings.iter().filter(|it| it.protocol == "jmap");
    by_jmap.filter_map(|it| it.level()).max()
}

/// Puts a message into the inbox; its id.
fn put(house: &mut House, content: &str) -> String {
    house.append(INBOX, content.as_bytes(), 0, Flags::empty());
    let found = house.call("Email/query", json!({}));
    found["ids"][0].as_str().unwrap().to_owned()
}

fn attachment(house: &mut House, id: &str) -> Value {
    let properties = json!({"ids": [id], "properties": ["attachments"]});
    house.call("Email/get", properties)["list"][0]["attachments"][0]["blobId"].clone()
}

#[test]
fn what_is_put_into_another_message_or_mailbox_has_been_served() {
    let into = json!({tern_session::ids::mailbox_id(ALICE, INBOX): true});
    // What is attached is a message, so that it can be imported.
    let mixed = MIXED.replace("JVBERi0xLjQ=", "U3ViamVjdDogeA0KDQpU");
    for by_import in [true, false] {
        let mut house = House::new();
        let id = put(&mut house, &mixed);
        let part = attachment(&mut house, &id);
        assert_eq!(
            served(&house, &mixed),
            None,
            "its structure alone says nothing of it"
        );
        let answer = match by_import {
            true => {
                let emails = json!({"k": {"blobId": part, "mailboxIds": into}});
                house.call("Email/import", json!({"emails": emails}))
            }
            false => {
                let email = json!({
                    "mailboxIds": into, "subject": "fwd",
                    "attachments": [{"blobId": part, "type": "application/pdf"}],
                });
                house.call("Email/set", json!({"create": {"k": email}}))
            }
        };
        assert!(answer["created"]["k"].is_object(), "{answer}");
        assert_eq!(served(&house, &mixed), Some(ExposureLevel::Attachment));
        // And once it is sealed, it is no blob any more.
        house.seal(mixed.as_bytes());
        let emails = json!({"k": {"blobId": part, "mailboxIds": into}});
        let answer = house.call("Email/import", json!({"emails": emails}));
        assert_eq!(answer["notCreated"]["k"]["properties"], json!(["blobId"]));
    }
}

#[test]
fn header_fields_of_parts_are_header_fields() {
    for properties in [json!(["headers"]), json!(["header:Subject:asText"])] {
        let mut house = House::new();
        let id = put(&mut house, MIXED);
        let get = json!({
            "ids": [id], "properties": ["bodyStructure"], "bodyProperties": properties,
        });
        let answer = house.call("Email/get", get);
        assert!(
            answer["list"][0].to_string().contains("figures"),
            "{answer}"
        );
        assert_eq!(served(&house, MIXED), Some(ExposureLevel::Headers));
    }
}

#[test]
fn one_field_under_many_names_makes_no_answer_of_any_size() {
    let mut house = House::new();
    let content = format!(
        "X-Abcdefgh: {}\r\nSubject: a\r\n\r\nb\r\n",
        "x".repeat(1 << 20)
    );
    let id = put(&mut house, &content);
    // The field in this case and that: the same field, and each time another property.
    let spelt = |n: usize| -> String {
        let letter = |(at, c): (usize, char)| match n >> at & 1 {
            0 => c,
            _ => c.to_ascii_uppercase(),
        };
        let name: String = "x-abcdefgh".chars().enumerate().map(letter).collect();
        format!("header:{name}:asRaw")
    };
    let names = |many: usize| (0..many * 4).step_by(4).map(spelt).collect::<Vec<_>>();
    let get = |names: &[String]| json!({"ids": [id], "properties": names});
    assert_eq!(
        house.call("Email/get", get(&names(60)))["list"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(house.error("Email/get", get(&names(70))), "requestTooLarge");
    assert_eq!(
        house.error("Email/get", get(&names(257))),
        "invalidArguments"
    );
    let of_parts = json!({
        "ids": [id], "properties": ["bodyStructure"], "bodyProperties": names(70),
    });
    assert_eq!(house.error("Email/get", of_parts), "requestTooLarge");
}

#[test]
fn two_parts_that_were_served_count_where_they_stand_and_as_long_as_they_are_there() {
    use base64::Engine as _;

    let mut house = House::new();
    let data = base64::engine::general_purpose::STANDARD.encode([7; 6_000]);
    let lines: Vec<&str> = data
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let part = format!(
        "--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines.join("\r\n")
    );
    let content = format!(
        "From: ann@example.org\r\nSubject: two\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}{part}--b--\r\n"
    );
    let id = put(&mut house, &content);
    let properties = json!({"ids": [id], "properties": ["attachments"]});
    let parts = house.call("Email/get", properties)["list"][0]["attachments"].clone();
    let mut percent = Vec::new();
    for n in [0, 1] {
        let into = json!({tern_session::ids::mailbox_id(ALICE, INBOX): true});
        let email = json!({
            "mailboxIds": into, "subject": "fwd",
            "attachments": [{"blobId": parts[n]["blobId"], "type": "application/pdf"}],
        });
        let answer = house.call("Email/set", json!({"create": {"k": email}}));
        assert!(answer["created"]["k"].is_object(), "{answer}");
        let digest = tern_mime::content_digest(house.mailboxes.content_key(), content.as_bytes());
        let copy = &house.mailboxes.copies(digest).unwrap()[0];
        let ledger = house.sealing.ledger(copy.account, copy.message).unwrap();
        let by_jmap = ledger.servings.iter().filter(|it| it.protocol == "jmap");
        percent.push(by_jmap.map(|it| it.share.percent()).max().unwrap());
    }
    // Each is half of it, in eighths that it touches.
    assert!((50..=63).contains(&percent[0]), "{percent:?}");
    assert_eq!(percent[1], 100);
}
