//! `Email/set` creates messages: what is asked for is what is read back, and what is wrong is told.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use serde_json::{Value, json};
use tern_mailbox::Role;

use house::House;

/// Creates one Email; its object, or the SetError.
fn create(house: &mut House, email: &Value) -> Result<Value, Value> {
    let mut email = email.clone();
    let drafts = house.mailbox(Role::Drafts);
    email
        .as_object_mut()
        .unwrap()
        .entry("mailboxIds")
        .or_insert(json!({drafts: true}));
    let set = house.call("Email/set", json!({"create": {"k": email}}));
    match set["created"]["k"].clone() {
        Value::Null => Err(set["notCreated"]["k"].clone()),
        created => Ok(created),
    }
}

/// The type of the SetError of a creation.
fn refused(house: &mut House, email: &Value) -> String {
    let error = create(house, email).expect_err("refused");
    error["type"].as_str().unwrap().to_owned()
}

#[test]
fn a_message_is_read_back_as_it_was_asked_for() {
    let mut house = House::new();
    let picture = house.upload("image/png", b"\x89PNG\r\n\x1a\n\0");
    let notes = house.upload("text/plain", b"one\ntwo\n");
    let asked = json!({
        "keywords": {"$draft": true, "$seen": true},
        "receivedAt": "2026-01-02T03:04:05Z",
        "from": [{"name": "Bob é", "email": "bob@example.org"}],
        "to": [{"name": null, "email": "ann@example.org"}, {"name": "Carol, C.", "email": "c@example.org"}],
        "subject": "Grüße: \"prices\"",
        "messageId": ["x.1@example.org"],
        "inReplyTo": ["y@example.org"],
        "references": ["a@example.org", "y@example.org"],
        "sentAt": "2026-01-02T04:04:05+01:00",
        "header:X-Any:asText": "ünï",
        "header:Resent-To:asGroupedAddresses": [{"name": "Friends", "addresses": [{"name": null, "email": "f@example.org"}]}],
        "textBody": [{"partId": "t", "type": "text/plain"}],
        "htmlBody": [{"partId": "h", "type": "text/html"}],
        "bodyValues": {"t": {"value": "Hallo ü\nFrom here\n.dot\n"}, "h": {"value": "<p>Hallo</p>"}},
        "attachments": [
            {"blobId": picture, "type": "image/png", "cid": "pic@x", "disposition": "inline", "name": "Bild ü.png"},
            {"blobId": notes, "name": "notes.txt", "disposition": "attachment"},
        ],
    });
    let made = create(&mut house, &asked).unwrap();
    let properties = json!([
        "from",
        "to",
        "subject",
        "messageId",
        "inReplyTo",
        "references",
        "sentAt",
        "keywords",
        "receivedAt",
        "header:X-Any:asText",
        "header:Resent-To:asGroupedAddresses",
        "textBody",
        "htmlBody",
        "attachments",
        "bodyValues",
        "size",
        "blobId",
        "hasAttachment",
    ]);
    let get = json!({"ids": [made["id"]], "properties": properties, "fetchAllBodyValues": true});
    let email = house.call("Email/get", get)["list"][0].clone();
    for (name, value) in asked.as_object().unwrap() {
        if ![
            "textBody",
            "htmlBody",
            "bodyValues",
            "attachments",
            "mailboxIds",
        ]
        .contains(&name.as_str())
        {
            assert_eq!(&email[name], value, "{name}");
        }
    }
    assert_eq!(
        (&email["size"], &email["blobId"]),
        (&made["size"], &made["blobId"])
    );
    let value = |list: &str| {
        let id = email[list][0]["partId"].as_str().unwrap();
        email["bodyValues"][id]["value"].clone()
    };
    assert_eq!(value("textBody"), "Hallo ü\nFrom here\n.dot\n");
    assert_eq!(value("htmlBody"), "<p>Hallo</p>");
    let attached = email["attachments"].as_array().unwrap();
    let named: Vec<&Value> = attached.iter().map(|it| &it["name"]).collect();
    assert_eq!(named, ["Bild ü.png", "notes.txt"]);
    assert_eq!(attached[0]["cid"], "pic@x");
    let octets = |part: &Value| house.download(part["blobId"].as_str().unwrap()).unwrap();
    assert_eq!(octets(&attached[0]), b"\x89PNG\r\n\x1a\n\0");
    assert_eq!(octets(&attached[1]), b"one\ntwo\n");
    house.check();
}

#[test]
fn a_body_structure_is_kept_as_it_is() {
    let mut house = House::new();
    let letter = house.upload("message/rfc822", b"Subject: inside\r\n\r\nText\r\n");
    let asked = json!({
        "subject": "outside",
        "bodyStructure": {"type": "multipart/mixed", "header:X-Root": " yes", "subParts": [
            {"type": "multipart/alternative", "subParts": [
                {"partId": "a", "type": "text/plain", "header:Content-Duration:asText": "5"},
                {"partId": "b", "type": "text/html", "language": ["de", "en"], "location": "http://x/y"},
            ]},
            {"blobId": letter, "type": "message/rfc822"},
        ]},
        "bodyValues": {"a": {"value": "A"}, "b": {"value": "B"}},
    });
    let made = create(&mut house, &asked).unwrap();
    let wanted = ["type", "subParts", "language", "location", "blobId"];
    let get = json!({"ids": [made["id"]], "properties": ["bodyStructure", "header:X-Root"], "bodyProperties": wanted});
    let email = house.call("Email/get", get)["list"][0].clone();
    let root = &email["bodyStructure"];
    assert_eq!(root["type"], "multipart/mixed");
    assert_eq!(email["header:X-Root"], " yes");
    let html = &root["subParts"][0]["subParts"][1];
    assert_eq!(html["language"], json!(["de", "en"]));
    assert_eq!(html["location"], "http://x/y");
    let inside = &root["subParts"][1]["blobId"];
    let parsed = house.call(
        "Email/parse",
        json!({"blobIds": [inside], "properties": ["subject"]}),
    );
    assert_eq!(
        parsed["parsed"][inside.as_str().unwrap()]["subject"],
        "inside"
    );
    house.check();
}

#[test]
fn a_message_gets_what_it_must_have() {
    let mut house = House::new();
    let made = create(&mut house, &json!({"subject": "bare"})).unwrap();
    let octets = house.download(made["blobId"].as_str().unwrap()).unwrap();
    let text = String::from_utf8(octets).unwrap();
    for field in ["Message-ID: <", "Date: ", "MIME-Version: 1.0\r\n"] {
        assert_eq!(text.matches(field).count(), 1, "{text}");
    }
    // Found by its creation id in the same request.
    let drafts = house.mailbox(Role::Drafts);
    let calls = json!([
        ["Email/set", {"accountId": "A1", "create": {"k": {"mailboxIds": {drafts: true}}}}, "a"],
        ["Email/get", {"accountId": "A1", "ids": ["#k"], "properties": ["id"]}, "b"],
        ["Email/set", {"accountId": "A1", "update": {"#k": {"keywords/$flagged": true}}}, "c"],
    ]);
    let responses = house.calls(&calls);
    assert_eq!(
        responses[1][1]["list"][0]["id"],
        responses[0][1]["created"]["k"]["id"]
    );
    assert_eq!(
        responses[2][1]["notUpdated"],
        Value::Null,
        "{}",
        responses[2]
    );
}

#[test]
fn what_is_wrong_is_told_and_makes_nothing() {
    let mut house = House::new();
    let text = json!({"t": {"value": "x"}});
    let invalid = [
        json!({"mailboxIds": {}}),
        json!({"mailboxIds": {"F1-99": true}}),
        json!({"mailboxIds": {"F1-1": false}}),
        json!({"keywords": {"a b": true}}),
        json!({"receivedAt": "today"}),
        json!({"subject": "a\r\nBcc: x@example.org"}),
        json!({"from": [{"email": "a@b>\r\nX: y"}]}),
        json!({"header:X-A": "a\nb"}),
        json!({"messageId": ["a b"]}),
        json!({"sentAt": "yesterday"}),
        json!({"subject": "a", "header:Subject:asText": "b"}),
        json!({"header:Content-Type": "text/plain"}),
        json!({"headers": []}),
        json!({"id": "M1-1"}),
        json!({"odd": 1}),
        json!({"textBody": [{"partId": "t"}, {"partId": "t"}], "bodyValues": text}),
        json!({"textBody": [{"partId": "t", "type": "text/html"}], "bodyValues": text}),
        json!({"textBody": [{"partId": "t"}]}),
        json!({"textBody": [{"partId": "t", "charset": "utf-8"}], "bodyValues": text}),
        json!({"textBody": [{"partId": "t"}], "bodyValues": {"t": {"value": "x", "isTruncated": true}}}),
        json!({"bodyStructure": {"partId": "t", "type": "image"}, "bodyValues": text}),
        json!({"bodyStructure": {"partId": "t", "blobId": "b"}, "bodyValues": text}),
        json!({"bodyStructure": {"type": "text/plain", "subParts": []}}),
        json!({"bodyStructure": {"partId": "t"}, "textBody": [], "bodyValues": text}),
        json!({"bodyStructure": {"partId": "t", "header:Content-Transfer-Encoding": "8bit"}, "bodyValues": text}),
        json!({"subject": "x", "bodyStructure": {"partId": "t", "header:Subject": "y"}, "bodyValues": text}),
        json!({"bodyStructure": {"partId": "t", "name": "a\r\nX: y"}, "bodyValues": text}),
        json!(1),
    ];
    for email in invalid {
        let refused = match email.is_object() {
            true => refused(&mut house, &email),
            false => {
                let set = house.call("Email/set", json!({"create": {"k": email}}));
                set["notCreated"]["k"]["type"].as_str().unwrap().to_owned()
            }
        };
        assert_eq!(refused, "invalidProperties", "{email}");
    }
    let missing = json!({"attachments": [{"blobId": "U1"}, {"blobId": "G1-x"}]});
    let error = create(&mut house, &missing).unwrap_err();
    assert_eq!(
        (&error["type"], &error["notFound"]),
        (&json!("blobNotFound"), &json!(["U1", "G1-x"]))
    );
    let many: Value = (0..1_001)
        .map(|n| (n.to_string(), json!({})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(
        house.error("Email/set", json!({"create": many})),
        "requestTooLarge"
    );
    let all = house.call("Email/get", json!({"ids": null}));
    assert_eq!(all["list"], json!([]));
    house.check();
}

#[test]
fn the_type_of_an_upload_brings_no_field_into_a_header() {
    let mut house = House::new();
    for (kind, told) in [
        (
            "text/plain;a\r\nSupersedes: <1@x>\r\nX=b",
            "application/octet-stream",
        ),
        ("text/plain; a b=c", "application/octet-stream"),
        ("text/x-odd; name*0=\"c\"", "application/octet-stream"),
        (
            "text/x-odd; name=\"a\r\nX: b\"; charset=utf-8",
            "text/x-odd",
        ),
    ] {
        let blob = house.upload(kind, b"x");
        let made = create(&mut house, &json!({"bodyStructure": {"blobId": blob}})).unwrap();
        let ask = json!({"ids": [made["id"]], "properties": ["headers", "bodyStructure"]});
        let email = house.call("Email/get", ask)["list"][0].clone();
        assert_eq!(email["bodyStructure"]["type"], told, "{kind}");
        let fields = email["headers"].as_array().unwrap();
        let names = fields.iter().map(|field| field["name"].as_str().unwrap());
        let others: Vec<&str> = names
            .filter(|name| name.eq_ignore_ascii_case("supersedes") || name.starts_with('X'))
            .collect();
        assert_eq!(others, [""; 0], "{kind}: {fields:?}");
    }
}
