//! What composes a message, to the letter of RFC 8621 4.6 and as foreign suites ask it: fields of the part
//! that is the body, charsets, types, names, and what is wrong by its path.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use serde_json::{Value, json};
use tern_mailbox::Role;

use house::House;

/// What is made of an Email in the drafts, or the SetError.
fn create(house: &mut House, email: &Value) -> Result<Value, Value> {
    let mut email = email.clone();
    email["mailboxIds"] = json!({house.mailbox(Role::Drafts): true});
    let set = house.call("Email/set", json!({"create": {"k": email}}));
    match set["created"]["k"].clone() {
        Value::Null => Err(set["notCreated"]["k"].clone()),
        created => Ok(created),
    }
}

/// A message as it is read back, with the properties that a client gets unasked and its structure.
fn read_back(house: &mut House, made: &Value) -> Value {
    let properties = json!([
        "from",
        "subject",
        "messageId",
        "textBody",
        "htmlBody",
        "attachments",
        "bodyValues",
        "bodyStructure",
        "hasAttachment"
    ]);
    let get = json!({"ids": [made["id"]], "properties": properties, "fetchAllBodyValues": true});
    house.call("Email/get", get)["list"][0].clone()
}

/// The message, as octets.
fn octets(house: &House, made: &Value) -> String {
    let octets = house.download(made["blobId"].as_str().unwrap()).unwrap();
    String::from_utf8(octets).unwrap()
}

/// The paths that a SetError names.
fn named(error: &Value) -> Vec<&str> {
    assert_eq!(error["type"], "invalidProperties", "{error}");
    let all = error["properties"].as_array().unwrap().iter();
    all.map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn a_part_that_is_the_body_sets_fields_of_the_message() {
    let mut house = House::new();
    let blob = house.upload("text/plain", b"Hello there");
    let part = |content: (&str, &str)| {
        let mut part = json!({
            "header:from": "Foo <test@example.org>", "header:X-Foo": "x-bar",
            "header:subject": "a test subject", "header:Message-Id": "<one@example.net>",
            "header:date:asDate": "2018-08-30T12:00:59-04:00", "header:mime-version": "1.0",
            "type": "text/plain", "cid": "fooz", "language": ["US"],
        });
        part[content.0] = content.1.into();
        part
    };
    let values = json!({"t": {"value": "Hello there"}});
    for email in [
        json!({"textBody": [part(("partId", "t"))], "bodyValues": values}),
        json!({"textBody": [part(("blobId", &blob))]}),
        json!({"bodyStructure": part(("partId", "t")), "bodyValues": values}),
    ] {
        let made = create(&mut house, &email).unwrap();
        let got = read_back(&mut house, &made);
        assert_eq!(
            got["from"],
            json!([{"name": "Foo", "email": "test@example.org"}])
        );
        assert_eq!(got["subject"], "a test subject");
        assert_eq!(got["messageId"], json!(["one@example.net"]));
        let body = &got["textBody"][0];
        assert_eq!(
            (&body["cid"], &body["language"]),
            (&json!("fooz"), &json!(["US"]))
        );
        // RFC 5322 3.6: one of each, whoever sets it.
        let text = octets(&house, &made).to_ascii_lowercase();
        for field in [
            "message-id:",
            "date:",
            "mime-version:",
            "subject:",
            "x-foo:",
        ] {
            assert_eq!(
                text.matches(&format!("\r\n{field}")).count()
                    + usize::from(text.starts_with(field)),
                1,
                "{field} {text}"
            );
        }
    }
    // Beside others it is a part, and has the fields for itself.
    let email = json!({
        "subject": "of the message", "textBody": [part(("partId", "t"))], "bodyValues": values,
        "attachments": [{"blobId": blob}],
    });
    let made = create(&mut house, &email).unwrap();
    let got = read_back(&mut house, &made);
    assert_eq!(
        (&got["subject"], &got["from"]),
        (&json!("of the message"), &Value::Null)
    );
    assert_ne!(got["messageId"], json!(["one@example.net"]));
    house.check();
}

#[test]
fn a_text_is_in_the_least_charset_that_says_it() {
    // RFC 2046 4.1.2
    let mut house = House::new();
    for (text, charset) in [("plain", "us-ascii"), ("Grüße", "utf-8")] {
        let email = json!({"textBody": [{"partId": "t"}], "bodyValues": {"t": {"value": text}}});
        let made = create(&mut house, &email).unwrap();
        let got = read_back(&mut house, &made);
        assert_eq!(got["textBody"][0]["charset"], charset);
        let id = got["textBody"][0]["partId"].as_str().unwrap();
        assert_eq!(got["bodyValues"][id]["value"], text);
    }
}

#[test]
fn a_value_is_attached_as_any_type() {
    // RFC 8621 4.6: partId is tied to no type.
    let mut house = House::new();
    let value = "{\"name\":\n\"thing\"}\r";
    let email = json!({
        "textBody": [{"partId": "t"}],
        "attachments": [{"partId": "a", "type": "image/jpeg", "name": "image.jpg", "disposition": "attachment", "cid": "fooz"}],
        "bodyValues": {"t": {"value": "text"}, "a": {"value": value}},
    });
    let made = create(&mut house, &email).unwrap();
    let got = read_back(&mut house, &made);
    let attached = &got["attachments"][0];
    assert_eq!(
        (&attached["type"], &attached["name"]),
        (&json!("image/jpeg"), &json!("image.jpg"))
    );
    assert_eq!(attached["charset"], Value::Null);
    let blob = attached["blobId"].as_str().unwrap();
    assert_eq!(house.download(blob).unwrap(), value.as_bytes());
    assert_eq!(got["hasAttachment"], true);
}

#[test]
fn what_is_wrong_with_a_body_is_told_by_its_path_and_all_of_it() {
    let mut house = House::new();
    let blob = house.upload("text/plain", b"x");
    let values = json!({"t": {"value": "x"}, "cut": {"value": "x", "isTruncated": true, "isEncodingProblem": true}});
    let of = |part: Value| json!({"bodyStructure": part, "bodyValues": values});
    for (email, paths) in [
        (
            json!({
                "bodyStructure": {"partId": "t"}, "textBody": [{"partId": "t"}], "htmlBody": [],
                "attachments": [{"blobId": blob}], "bodyValues": values,
            }),
            vec!["textBody", "htmlBody", "attachments"],
        ),
        (
            of(json!({"partId": "t", "headers": [{"name": "foo", "value": "bar"}]})),
            vec!["bodyStructure/headers"],
        ),
        (
            of(json!({"partId": "t", "header:Content-Transfer-Encoding": "7BIT"})),
            vec!["bodyStructure/header:Content-Transfer-Encoding"],
        ),
        (of(json!({"partId": "no"})), vec!["bodyStructure/partId"]),
        (
            of(json!({"partId": "t", "blobId": blob})),
            vec!["bodyStructure/partId", "bodyStructure/blobId"],
        ),
        (
            of(json!({"partId": "cut"})),
            vec![
                "bodyValues/cut/isEncodingProblem",
                "bodyValues/cut/isTruncated",
            ],
        ),
        (
            of(json!({"partId": "t", "charset": "us-ascii", "size": 2})),
            vec!["bodyStructure/charset", "bodyStructure/size"],
        ),
        (of(json!({"type": "text/plain"})), vec!["bodyStructure"]),
        (
            of(json!({"type": "multipart/mixed", "subParts": [
                {"partId": "t"}, {"partId": "t", "name": 5, "language": "en"}, {"blobId": 7, "disposition": "in line; x=y"},
            ]})),
            vec![
                "bodyStructure/subParts/1/name",
                "bodyStructure/subParts/1/language",
                "bodyStructure/subParts/2/disposition",
                "bodyStructure/subParts/2/blobId",
            ],
        ),
        (
            json!({"header:foo": "bar", "bodyStructure": {"partId": "t", "header:Foo": "x"}, "bodyValues": values}),
            vec!["bodyStructure/header:Foo"],
        ),
        (
            json!({"textBody": [{"partId": "t", "type": "text/html"}], "htmlBody": [{"partId": "t", "cid": "a b"}],
                "attachments": [{"blobId": blob, "odd/one": 1}, 7], "bodyValues": values}),
            vec![
                "textBody/0/type",
                "htmlBody/0/cid",
                "attachments/0/odd~1one",
                "attachments/1",
            ],
        ),
        (
            json!({"textBody": [{"partId": "t"}, {"partId": "t"}], "bodyValues": values}),
            vec!["textBody"],
        ),
        (
            json!({"subject": 5, "textBody": [{"partId": "t", "language": [5]}], "bodyValues": values}),
            vec!["subject", "textBody/0/language"],
        ),
    ] {
        let error = create(&mut house, &email).expect_err("refused");
        assert_eq!(named(&error), paths, "{email}");
    }
    // One blob that two parts name is told once.
    let email = json!({"attachments": [{"blobId": "no"}, {"blobId": "no"}]});
    let error = create(&mut house, &email).expect_err("refused");
    assert_eq!(error["notFound"], json!(["no"]));
    house.check();
}

#[test]
fn a_name_says_nothing_of_how_a_part_is_shown() {
    let mut house = House::new();
    let email = json!({
        "textBody": [{"partId": "t", "name": "nöte.txt"}], "bodyValues": {"t": {"value": "text"}},
    });
    let made = create(&mut house, &email).unwrap();
    let got = read_back(&mut house, &made);
    let body = &got["textBody"][0];
    assert_eq!(
        (&body["name"], &body["disposition"]),
        (&json!("nöte.txt"), &Value::Null)
    );
    assert_eq!(
        (&got["attachments"], &got["hasAttachment"]),
        (&json!([]), &json!(false))
    );
}

#[test]
fn what_is_attached_is_read_as_attached() {
    let mut house = House::new();
    let notes = house.upload("text/plain", b"notes");
    let picture = house.upload("image/png", b"\x89PNG");
    let email = json!({
        "textBody": [{"partId": "t"}], "bodyValues": {"t": {"value": "text"}},
        "attachments": [{"blobId": notes}, {"blobId": picture, "cid": "p@x"}, {"blobId": picture, "type": "image/png"}],
    });
    let made = create(&mut house, &email).unwrap();
    let got = read_back(&mut house, &made);
    let types = |list: &str| -> Vec<Value> {
        let all = got[list].as_array().unwrap().iter();
        all.map(|part| part["type"].clone()).collect()
    };
    assert_eq!(types("textBody"), ["text/plain"]);
    assert_eq!(types("htmlBody"), ["text/plain"]);
    assert_eq!(
        types("attachments"),
        ["text/plain", "image/png", "image/png"]
    );
    assert_eq!(got["hasAttachment"], true);
}

#[test]
fn a_type_has_no_parameter_that_the_server_writes() {
    let mut house = House::new();
    let values = json!({"t": {"value": "ä"}});
    for part in [
        json!({"type": "multipart/mixed; boundary=x", "subParts": [{"partId": "t"}]}),
        json!({"type": "text/plain; charset=iso-8859-1", "partId": "t"}),
        json!({"type": "text/", "partId": "t"}),
        json!({"type": "text/x y", "partId": "t"}),
        json!({"type": "multipart/", "subParts": []}),
        json!({"type": "multipart/mixed", "partId": "t"}),
    ] {
        let email = json!({"bodyStructure": part, "bodyValues": values});
        let error = create(&mut house, &email).expect_err("refused");
        assert_eq!(named(&error), ["bodyStructure/type"], "{email}");
    }
    // Others are the client's to tell.
    let email = json!({
        "bodyStructure": {"type": "multipart/report; report-type=delivery-status", "subParts": [
            {"partId": "t", "type": "text/plain; format=flowed"},
        ]},
        "bodyValues": values,
    });
    let made = create(&mut house, &email).unwrap();
    let got = read_back(&mut house, &made);
    let inside = &got["bodyStructure"]["subParts"][0];
    assert_eq!(
        (&inside["type"], &inside["charset"]),
        (&json!("text/plain"), &json!("utf-8"))
    );
    let text = octets(&house, &made);
    assert!(
        text.contains("report-type=\"delivery-status\"") && text.contains("format=\"flowed\""),
        "{text}"
    );
}

#[test]
fn an_email_within_another_is_a_message() {
    // RFC 2046 5.1.5
    let mut house = House::new();
    let inner = create(&mut house, &json!({"subject": "inside"})).unwrap();
    let email = json!({"bodyStructure": {"type": "multipart/digest", "subParts": [{"blobId": inner["blobId"]}]}});
    let made = create(&mut house, &email).unwrap();
    let got = read_back(&mut house, &made);
    let part = &got["bodyStructure"]["subParts"][0];
    assert_eq!(part["type"], "message/rfc822");
    let blob = part["blobId"].as_str().unwrap();
    assert_eq!(
        house.download(blob).unwrap(),
        octets(&house, &inner).into_bytes()
    );
}
