//! Where the RFCs are easily read otherwise: what foreign test suites ask that clients seldom do.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use serde_json::{Value, json};
use tern_mailbox::Role;

use house::House;

/// What is made, or the SetError.
fn create(house: &mut House, kind: &str, object: &Value) -> Result<Value, Value> {
    let set = house.call(&format!("{kind}/set"), json!({"create": {"k": object}}));
    match set["created"]["k"].clone() {
        Value::Null => Err(set["notCreated"]["k"].clone()),
        created => Ok(created),
    }
}

/// The properties that a SetError names, in order.
fn named(error: &Value) -> Vec<String> {
    assert_eq!(error["type"], "invalidProperties", "{error}");
    let all = error["properties"].as_array().unwrap().iter();
    let mut all: Vec<String> = all.map(|name| name.as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

/// An Email in the drafts with these properties.
fn draft(house: &House, properties: Value) -> Value {
    let mut email = properties;
    let drafts = house.mailbox(Role::Drafts);
    email["mailboxIds"] = json!({drafts: true});
    email
}

fn get(house: &mut House, id: &Value, properties: &Value) -> Value {
    let got = house.call("Email/get", json!({"ids": [id], "properties": properties}));
    got["list"][0].clone()
}

#[test]
fn what_a_creation_id_names_is_told_by_its_id() {
    // RFC 8620 5.3: the keys of "updated" and "notUpdated" are ids.
    let mut house = House::new();
    let email = draft(&house, json!({}));
    let calls = json!([
        ["Mailbox/set", {"accountId": "A1", "create": {"m": {"name": "Work"}}}, "0"],
        ["Email/set", {"accountId": "A1", "create": {"e": email}}, "1"],
        ["Mailbox/set", {"accountId": "A1", "update": {"#m": {"sortOrder": 3}}}, "2"],
        ["Email/set", {"accountId": "A1", "update": {"#e": {"mailboxIds/#m": true}}}, "3"],
        ["Email/set", {"accountId": "A1", "update": {"#e": {"size": 1}, "#none": {}}}, "4"],
    ]);
    let all = house.calls(&calls);
    let id = |call: usize, creation: &str| {
        let id = &all[call][1]["created"][creation]["id"];
        id.as_str().unwrap().to_owned()
    };
    let (mailbox, email) = (id(0, "m"), id(1, "e"));
    assert_eq!(all[2][1]["updated"], json!({mailbox: null}));
    assert_eq!(all[3][1]["updated"], json!({email.clone(): null}));
    let refused = &all[4][1]["notUpdated"];
    assert_eq!(named(&refused[&email]), ["size"]);
    assert_eq!(refused["#none"]["type"], "notFound");
}

#[test]
fn all_properties_that_are_wrong_are_told_together() {
    // RFC 8620 5.3 "invalidProperties"
    let mut house = House::new();
    let mut wrong = |kind: &str, object: Value| {
        let error = create(&mut house, kind, &object).expect_err("refused");
        named(&error)
    };
    let mailbox = json!({"parentId": 7, "role": "king", "sortOrder": -1, "isSubscribed": "x", "id": "F1", "odd": 1});
    assert_eq!(
        wrong("Mailbox", mailbox),
        [
            "id",
            "isSubscribed",
            "name",
            "odd",
            "parentId",
            "role",
            "sortOrder"
        ]
    );
    let email = json!({
        "keywords": ["$seen"], "receivedAt": "now", "subject": 5, "preview": "x",
        "header:X-Any:asDate": "x", "textBody": {},
    });
    assert_eq!(
        wrong("Email", email),
        [
            "header:X-Any:asDate",
            "keywords",
            "mailboxIds",
            "preview",
            "receivedAt",
            "subject",
            "textBody"
        ]
    );
    let identity = json!({"email": 5, "name": 5, "bcc": 5, "mayDelete": true});
    assert_eq!(
        wrong("Identity", identity),
        ["bcc", "email", "mayDelete", "name"]
    );
    let submission = json!({"undoStatus": "final", "sendAt": "x"});
    assert_eq!(
        wrong("EmailSubmission", submission),
        ["emailId", "identityId", "sendAt", "undoStatus"]
    );
    let vacation = json!({"isEnabled": null, "fromDate": "today", "subject": 5});
    let set = house.call(
        "VacationResponse/set",
        json!({"update": {"singleton": vacation}}),
    );
    assert_eq!(
        named(&set["notUpdated"]["singleton"]),
        ["fromDate", "isEnabled", "subject"]
    );
    let import = json!({"emails": {"k": {"odd": 1}}});
    let imported = house.call("Email/import", import);
    assert_eq!(
        named(&imported["notCreated"]["k"]),
        ["blobId", "mailboxIds", "odd"]
    );
    let upload = json!({"create": {"k": {"type": 5, "odd": 1}}});
    let uploaded = house.call("Blob/upload", upload);
    assert_eq!(named(&uploaded["notCreated"]["k"]), ["data", "odd", "type"]);
}

#[test]
fn null_sets_a_property_to_its_default() {
    // RFC 8620 5.3 PatchObject
    let mut house = House::new();
    let email = draft(&house, json!({"keywords": {"$seen": true, "x": true}}));
    let email = create(&mut house, "Email", &email).unwrap()["id"].clone();
    let update = json!({"update": {email.as_str().unwrap(): {"keywords": null}}});
    assert_eq!(house.call("Email/set", update)["notUpdated"], Value::Null);
    assert_eq!(
        get(&mut house, &email, &json!(["keywords"]))["keywords"],
        json!({})
    );
    let mailbox = json!({"name": "Work", "sortOrder": 7});
    let mailbox = create(&mut house, "Mailbox", &mailbox).unwrap()["id"].clone();
    let update = json!({"update": {mailbox.as_str().unwrap(): {"sortOrder": null}}});
    assert_eq!(house.call("Mailbox/set", update)["notUpdated"], Value::Null);
    let got = house.call("Mailbox/get", json!({"ids": [mailbox]}));
    assert_eq!(got["list"][0]["sortOrder"], 0);
}

#[test]
fn a_name_that_a_mailbox_has_already_names_that_mailbox() {
    let mut house = House::new();
    let mut make = |object: Value| create(&mut house, "Mailbox", &object);
    let work = make(json!({"name": "Work"})).unwrap()["id"].clone();
    let inner = make(json!({"name": "Work", "parentId": work})).unwrap()["id"].clone();
    let error = make(json!({"name": "Work"})).expect_err("refused");
    assert_eq!(
        (&error["type"], &error["existingId"]),
        (&json!("alreadyExists"), &work)
    );
    let error = make(json!({"name": "inBox"})).expect_err("refused");
    assert_eq!(
        (&error["type"], &error["existingId"]),
        (&json!("alreadyExists"), &json!("F1-1"))
    );
    let inner = inner.as_str().unwrap();
    let update = json!({"update": {inner: {"parentId": null}}});
    let error = house.call("Mailbox/set", update)["notUpdated"][inner].clone();
    assert_eq!(
        (&error["type"], &error["existingId"]),
        (&json!("alreadyExists"), &work)
    );
}

#[test]
fn what_counts_of_mailboxes_is_how_they_are_after_the_call() {
    // RFC 8620 5.3: the states between are the server's own.
    let mut house = House::new();
    let make = json!({"create": {
        "a": {"name": "A", "role": "archive"}, "b": {"name": "B"}, "in": {"name": "A", "parentId": "#b"},
        "old": {"name": "Old"},
    }});
    let made = house.call("Mailbox/set", make)["created"].clone();
    let id = |creation: &str| made[creation]["id"].as_str().unwrap().to_owned();
    let (a, b, inside, old) = (id("a"), id("b"), id("in"), id("old"));
    let arrange = json!({
        // A name and a special use that others of the call give up.
        "create": {"new": {"name": "Old", "role": "archive"}, "c": {"name": "Z"}},
        "update": {
            // Two change names, and a third one waits for one of them to be elsewhere.
            &a: {"name": "B", "role": null},
            &b: {"name": "A"},
            &inside: {"parentId": null, "name": "Y"},
        },
        "destroy": [old],
    });
    let set = house.call("Mailbox/set", arrange);
    assert_eq!(
        (&set["notCreated"], &set["notUpdated"], &set["notDestroyed"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let got = house.call("Mailbox/get", json!({"ids": [a, b, inside]}));
    let names: Vec<&Value> = got["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["B", "A", "Y"]);
    // One goes into the other, which comes out of it.
    let set = house.call(
        "Mailbox/set",
        json!({"update": {&a: {"parentId": b}, &inside: {"parentId": a}}}),
    );
    assert_eq!(set["notUpdated"], Value::Null);
    let set = house.call(
        "Mailbox/set",
        json!({"update": {&a: {"parentId": inside}, &inside: {"parentId": b}}}),
    );
    assert_eq!(set["notUpdated"], Value::Null);
    // What is not possible after the call either is refused, one by one.
    let set = house.call(
        "Mailbox/set",
        json!({"update": {&b: {"parentId": a}, &inside: {"name": "Q"}}, "create": {"k": {"name": "Z"}}}),
    );
    assert_eq!(named(&set["notUpdated"][&b]), ["parentId"]);
    assert_eq!(set["updated"], json!({&inside: null}));
    assert_eq!(set["notCreated"]["k"]["type"], "alreadyExists");
    let set = house.call(
        "Mailbox/set",
        json!({"update": {&b: {"name": "Z"}, &inside: {"name": "Inbox", "parentId": null}}}),
    );
    let refused = &set["notUpdated"];
    assert_eq!(refused[&b]["type"], "alreadyExists");
    assert_eq!(refused[&inside]["existingId"], "F1-1");
    house.check();
}

#[test]
fn an_import_is_as_old_as_its_newest_received_field() {
    // RFC 8621 4.8
    let mut house = House::new();
    let drafts = house.mailbox(Role::Drafts);
    let received = "Received: from a by b; x\r\n\tid 1; Wed, 2 Jul 2003 10:52:37 +0200\r\n\
        Received: from c by a; Tue, 1 Jul 2003 10:52:37 +0200\r\n";
    let now = "2027-01-15T08:00:00Z";
    for (header, wanted) in [
        (received, "2003-07-02T08:52:37Z"),
        ("Received: from a by b; no date\r\n", now),
        ("", now),
    ] {
        let letter = format!("{header}Subject: x\r\n\r\nText\r\n");
        let blob = house.upload("message/rfc822", letter.as_bytes());
        let import = json!({"emails": {"k": {"blobId": blob, "mailboxIds": {&drafts: true}}}});
        let made = house.call("Email/import", import)["created"]["k"]["id"].clone();
        assert_eq!(
            get(&mut house, &made, &json!(["receivedAt"]))["receivedAt"],
            wanted
        );
    }
}

#[test]
fn a_parsed_blob_that_is_none_is_null() {
    // RFC 8621 4.9
    let mut house = House::new();
    let letter = house.upload("message/rfc822", b"Subject: x\r\n\r\n");
    let none = house.upload("application/octet-stream", &[0, 1, 255]);
    let parsed = house.call("Email/parse", json!({"blobIds": ["no"]}));
    assert_eq!(
        (
            &parsed["parsed"],
            &parsed["notParsable"],
            &parsed["notFound"]
        ),
        (&Value::Null, &Value::Null, &json!(["no"]))
    );
    let parsed = house.call("Email/parse", json!({"blobIds": [letter, none]}));
    assert_eq!(parsed["parsed"][&letter]["subject"], "x");
    assert_eq!(
        (&parsed["notParsable"], &parsed["notFound"]),
        (&json!([none]), &Value::Null)
    );
}

#[test]
fn what_is_no_message_is_not_imported() {
    // RFC 8621 4.8: what the server does not repair, it refuses.
    let mut house = House::new();
    let drafts = house.mailbox(Role::Drafts);
    for (octets, refused) in [
        (&b"this is not an email"[..], true),
        (&[0, 1, 255], true),
        (b"", true),
        (b"\r\nSubject: in the body\r\n", true),
        (b"Subject: x", false),
        (b"no field\r\nSubject: x\r\n\r\n", false),
    ] {
        let blob = house.upload("message/rfc822", octets);
        let import = json!({"emails": {"k": {"blobId": blob, "mailboxIds": {&drafts: true}}}});
        let imported = house.call("Email/import", import);
        let error = &imported["notCreated"]["k"]["type"];
        let wanted = if refused {
            json!("invalidEmail")
        } else {
            Value::Null
        };
        assert_eq!(*error, wanted, "{octets:?}");
        let parsed = house.call("Email/parse", json!({"blobIds": [blob]}));
        assert_eq!(
            parsed["notParsable"] == json!([blob]),
            refused,
            "{octets:?}"
        );
    }
    let all = house.call("Email/get", json!({"ids": null, "properties": ["id"]}));
    assert_eq!(all["list"].as_array().unwrap().len(), 2);
}

#[test]
fn a_mailbox_is_made_of_one_that_was_told() {
    // RFC 8620 5.3: what the server sets may be told as it will be.
    let mut house = House::new();
    let made = create(&mut house, "Mailbox", &json!({"name": "One"})).unwrap();
    let got = house.call("Mailbox/get", json!({"ids": [made["id"]]}));
    let mut told = got["list"][0].clone();
    told.as_object_mut().unwrap().remove("id");
    told["name"] = "Two".into();
    create(&mut house, "Mailbox", &told).unwrap();
    told["name"] = "Three".into();
    told["totalEmails"] = 52.into();
    told["myRights"]["mayRename"] = false.into();
    told["myRights"]["mayFly"] = true.into();
    let error = create(&mut house, "Mailbox", &told).expect_err("refused");
    assert_eq!(
        named(&error),
        ["myRights/mayFly", "myRights/mayRename", "totalEmails"]
    );
    let update = json!({"update": {made["id"].as_str().unwrap(): {"myRights": {"mayDelete": false}, "name": 5}}});
    let refused = house.call("Mailbox/set", update)["notUpdated"].clone();
    let error = refused
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!(named(&error), ["myRights/mayDelete", "name"]);
}

#[test]
fn a_part_with_a_text_tells_no_size_and_one_with_a_blob_any() {
    // RFC 8621 4.6
    let mut house = House::new();
    let text = json!({
        "textBody": [{"partId": "t", "type": "text/plain", "size": 4}],
        "bodyValues": {"t": {"value": "text"}},
    });
    let email = draft(&house, text);
    let error = create(&mut house, "Email", &email).expect_err("refused");
    assert_eq!(named(&error), ["textBody/0/size"]);
    let blob = house.upload("text/plain", b"text");
    let attached = json!({"attachments": [{"blobId": blob, "type": "text/plain", "size": 9}]});
    let email = draft(&house, attached);
    create(&mut house, "Email", &email).unwrap();
}

#[test]
fn a_raw_field_is_written_with_its_folds_and_stays_one_field() {
    let mut house = House::new();
    let folded = " one\r\n two\r\n\tthree";
    let email = draft(&house, json!({"header:X-Any": folded}));
    let made = create(&mut house, "Email", &email).unwrap()["id"].clone();
    let got = get(&mut house, &made, &json!(["header:X-Any", "bcc"]));
    assert_eq!(
        (&got["header:X-Any"], &got["bcc"]),
        (&json!(folded), &Value::Null)
    );
    for bad in [
        " one\r\nBcc: x@example.org",
        " one\r\n\r\nbody",
        " one\r\n \r\nBcc: x@example.org",
        " one\r\n \r\n two",
        " one\n two",
        " one\r two",
        " one\r\n",
    ] {
        let email = draft(&house, json!({"header:X-Any": bad}));
        let error = create(&mut house, "Email", &email).expect_err("refused");
        assert_eq!(named(&error), ["header:X-Any"], "{bad:?}");
    }
}

#[test]
fn a_field_that_no_message_may_have_is_not_written() {
    let mut house = House::new();
    // RFC 5322 3.6: lists have something in them, which clients forget.
    let empty = json!({
        "to": [], "cc": [], "references": [], "header:Resent-To:asGroupedAddresses": [],
        "header:List-Help:asURLs": [], "header:X-Any:asText:all": [],
    });
    let email = draft(&house, empty);
    let made = create(&mut house, "Email", &email).unwrap()["id"].clone();
    let names = ["To", "Cc", "References", "Resent-To", "List-Help", "X-Any"];
    let names: Vec<String> = names.iter().map(|name| format!("header:{name}")).collect();
    let got = get(&mut house, &made, &json!(names));
    for name in &names {
        assert_eq!(got[name], Value::Null, "{name}");
    }
    // RFC 5322 2.1.1 and 3.3
    for (name, value) in [
        ("header:X-Any", format!(" {}", "x".repeat(992))),
        ("header:X-Any", format!(" x\r\n {}", "x".repeat(998))),
        ("sentAt", "0001-01-01T00:00:00Z".to_owned()),
    ] {
        let email = draft(&house, json!({name: value}));
        let error = create(&mut house, "Email", &email).expect_err("refused");
        assert_eq!(named(&error), [name]);
    }
    let email = draft(
        &house,
        json!({"header:X-Any": format!(" {}", "x".repeat(991))}),
    );
    create(&mut house, "Email", &email).unwrap();
}

#[test]
fn a_blob_is_attached_as_a_media_type_of_octets() {
    let mut house = House::new();
    let odd = house.upload("odd", b"\0");
    let mut attach = |kind: Option<&str>| {
        let attached =
            json!({"attachments": [{"blobId": odd, "type": kind, "disposition": "attachment"}]});
        let email = draft(&house, attached);
        create(&mut house, "Email", &email)
    };
    for kind in [
        "odd",
        "/",
        "text/",
        "/plain",
        "te xt/plain",
        "multipart/mixed",
    ] {
        let error = attach(Some(kind)).expect_err("refused");
        assert_eq!(named(&error), ["attachments/0/type"], "{kind}");
    }
    attach(Some("text/csv; header=present")).unwrap();
    // What an upload was called is the server's to judge.
    let made = attach(None).unwrap()["id"].clone();
    let got = get(&mut house, &made, &json!(["attachments"]));
    assert_eq!(got["attachments"][0]["type"], "application/octet-stream");
}

#[test]
fn names_of_files_are_read_as_programs_write_them() {
    // RFC 2231, and RFC 2047 as many write it
    let mut house = House::new();
    let drafts = house.mailbox(Role::Drafts);
    for (disposition, name) in [
        ("filename=\"=?utf-8?b?w6Q=?= =?utf-8?b?w7Y=?=\"", "äö"),
        ("filename=\"=?utf-8?q?=C3=A4?=.txt\"", "ä.txt"),
        ("filename*0=\"a\"; filename*1=\"b.txt\"", "ab.txt"),
        ("filename=\"a\\\"=?\"", "a\"=?"),
    ] {
        let letter = format!(
            "Content-Type: application/pdf\r\nContent-Disposition: attachment; {disposition}\r\n\r\nx"
        );
        let blob = house.upload("message/rfc822", letter.as_bytes());
        let import = json!({"emails": {"k": {"blobId": blob, "mailboxIds": {&drafts: true}}}});
        let made = house.call("Email/import", import)["created"]["k"]["id"].clone();
        let got = get(&mut house, &made, &json!(["attachments"]));
        assert_eq!(got["attachments"][0]["name"], name, "{disposition}");
    }
}

#[test]
fn a_keyword_has_up_to_255_characters() {
    // RFC 8621 4.1.1
    let mut house = House::new();
    let mut set = |length: usize| {
        let email = draft(&house, json!({"keywords": {"k".repeat(length): true}}));
        create(&mut house, "Email", &email)
    };
    set(255).unwrap();
    assert_eq!(named(&set(256).expect_err("refused")), ["keywords"]);
}

#[test]
fn no_blob_is_copied_from_nowhere_or_to_where_it_is() {
    // RFC 8620 6.3: a method of the core.
    let mut house = House::new();
    let copy =
        |to: &str, from: &str| json!({"accountId": to, "fromAccountId": from, "blobIds": ["b"]});
    for (to, from, error) in [
        ("A1", "A2", "fromAccountNotFound"),
        ("A1", "no", "fromAccountNotFound"),
        ("A2", "A1", "accountNotFound"),
        ("A1", "A1", "invalidArguments"),
    ] {
        assert_eq!(house.error("Blob/copy", copy(to, from)), error);
    }
    let nothing = json!({"fromAccountId": "A2"});
    assert_eq!(house.error("Blob/copy", nothing), "invalidArguments");
}

#[test]
fn every_address_of_a_long_field_is_told() {
    // RFC 8621 4.1.2.3.
    let mut house = House::new();
    let to: Vec<Value> = (0..600)
        .map(|n| json!({"name": null, "email": format!("recipient-{n:03}@example.org")}))
        .collect();
    let email = draft(&house, json!({"subject": "s", "to": to}));
    let made = create(&mut house, "Email", &email).unwrap();
    let told = get(&mut house, &made["id"], &json!(["to"]));
    assert_eq!(told["to"], json!(to));
}

#[test]
fn a_content_id_is_told_without_its_comment() {
    // RFC 8621 4.1.4.
    let mut house = House::new();
    let blob = house.upload(
        "message/rfc822",
        b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-ID: <logo@x> (a logo)\r\n\r\nx",
    );
    let parsed = house.call(
        "Email/parse",
        json!({"blobIds": [blob], "properties": ["bodyStructure"]}),
    );
    assert_eq!(parsed["parsed"][&blob]["bodyStructure"]["cid"], "logo@x");
}
