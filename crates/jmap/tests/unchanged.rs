//! A client may send an object whole: what can't change is taken as it is, and refused otherwise (RFC
//! 8620 5.3).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::recall::Asks;
use house::{BOB, CAROL, House};
use serde_json::{Value, json};
use tern_mailbox::{ExposureLevel, Role};

const LETTER: &str = "From: Bob <bob@example.org>\r\nTo: carol@example.org\r\nSubject: Hello\r\n\
    Date: Fri, 15 Jan 2027 08:00:00 +0000\r\nX-Odd: yes\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
    --c\r\nContent-Type: text/plain\r\n\r\nHow are you?\r\n\
    --c\r\nContent-Type: text/html\r\n\r\n<p>How are you?</p>\r\n--c--\r\n\
    --b\r\nContent-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment\r\n\r\na,b\r\n\
    --b--\r\n";

fn letter(house: &mut House) -> String {
    let blob = house.upload("message/rfc822", LETTER.as_bytes());
    let drafts = house.mailbox(Role::Drafts);
    let email = json!({"blobId": blob, "mailboxIds": {drafts: true}});
    let made = house.call("Email/import", json!({"emails": {"e": email}}));
    made["created"]["e"]["id"].as_str().unwrap().to_owned()
}

fn update(house: &mut House, kind: &str, id: &str, patch: &Value) -> Result<(), Value> {
    let set = house.call(&format!("{kind}/set"), json!({"update": {id: patch}}));
    match set["notUpdated"].is_null() {
        true => Ok(()),
        false => Err(set["notUpdated"][id].clone()),
    }
}

/// Something else than this.
fn other(value: &Value) -> Value {
    match value {
        Value::Null => json!("other"),
        Value::Bool(it) => json!(!it),
        Value::Number(it) => json!(it.as_u64().unwrap() + 1),
        Value::String(it) => json!(format!("{it}-other")),
        Value::Array(_) => json!(["other"]),
        Value::Object(_) => json!({"other": true}),
    }
}

/// Sends an object whole as it is, and then each of its properties but these as something else.
fn check(house: &mut House, kind: &str, object: &Value, can_change: &[&str]) {
    let id = object["id"].as_str().unwrap();
    let whole = update(house, kind, id, object);
    assert_eq!(whole, Ok(()), "{kind} whole");
    for (name, value) in object.as_object().unwrap() {
        if can_change.contains(&name.as_str()) {
            continue;
        }
        let again = update(house, kind, id, &json!({name: value}));
        assert_eq!(again, Ok(()), "{kind} {name}");
        let error = update(house, kind, id, &json!({name: other(value)})).unwrap_err();
        assert_eq!(error["type"], "invalidProperties", "{kind} {name}");
        let told = match name.as_str() {
            "myRights" => "myRights/other",
            name => name,
        };
        assert_eq!(error["properties"], json!([told]), "{kind} {name}");
    }
    let error = update(house, kind, id, &json!({"odd": null})).unwrap_err();
    assert_eq!(error["properties"], json!(["odd"]), "{kind}");
}

fn get(house: &mut House, kind: &str, args: Value) -> Value {
    house.call(&format!("{kind}/get"), args)["list"][0].clone()
}

#[test]
fn an_email_is_sent_whole() {
    let mut house = House::new();
    let id = letter(&mut house);
    let mut names: Vec<Value> = get(&mut house, "Email", json!({"ids": [id]}))
        .as_object()
        .unwrap()
        .keys()
        .map(|name| json!(name))
        .collect();
    names.extend(
        [
            "bodyStructure",
            "headers",
            "header:X-Odd:asText",
            "header:To:all",
        ]
        .map(Value::from),
    );
    let all = json!({
        "ids": [id], "properties": names, "fetchAllBodyValues": true,
        "bodyProperties": ["partId", "type", "headers", "subParts"],
    });
    let object = get(&mut house, "Email", all.clone());
    assert_eq!(object["bodyValues"].as_object().unwrap().len(), 3);
    check(&mut house, "Email", &object, &["mailboxIds", "keywords"]);
    let mut flagged = object.clone();
    flagged["keywords"] = json!({"$flagged": true});
    assert_eq!(update(&mut house, "Email", &id, &flagged), Ok(()));
    assert_eq!(
        get(&mut house, "Email", all)["keywords"],
        flagged["keywords"]
    );
    // As much of the texts as it was asked for.
    let short = json!({
        "ids": [id], "properties": ["bodyValues"], "fetchTextBodyValues": true,
        "maxBodyValueBytes": 5,
    });
    let short = get(&mut house, "Email", short);
    assert_eq!(short["bodyValues"]["1.1"]["isTruncated"], true);
    assert_eq!(update(&mut house, "Email", &id, &short), Ok(()));
    // In part, too, but never within a list.
    for (path, value, error) in [
        ("bodyValues/1.1/isTruncated", json!(false), None),
        (
            "bodyValues/1.1/isTruncated",
            json!(true),
            Some("invalidProperties"),
        ),
        (
            "from/0",
            object["from"][0].clone(),
            Some("invalidProperties"),
        ),
    ] {
        let done = update(&mut house, "Email", &id, &json!({path: value}));
        let error = error.map_or(Value::Null, Value::from);
        assert_eq!(done.err().unwrap_or_default()["type"], error, "{path}");
    }
    house.check();
}

#[test]
fn what_a_client_compares_is_on_record_as_served() {
    let mut house = House::new();
    house.receive("carol@example.org", LETTER);
    let found = house.call("Email/query", json!({}));
    let id = found["ids"][0].as_str().unwrap().to_owned();
    let level = |house: &House| {
        let view = house.mailboxes.account_view(BOB).unwrap();
        let held = view.iter().next().unwrap();
        let row = house.mailboxes.message(BOB, held.message).unwrap();
        let exposures = house.sealing.exposures(row.digest).unwrap();
        exposures.first().map(|(_, _, it)| it.level)
    };
    let texts = |part: &str| json!({"bodyValues": {part: {"value": "guess"}}});
    for (patch, wanted) in [
        (json!({"size": 1}), None),
        (json!({"subject": "guess"}), Some(ExposureLevel::Headers)),
        (json!({"preview": "guess"}), Some(ExposureLevel::Preview)),
        (texts("1.1"), Some(ExposureLevel::Body)),
        (texts("2"), Some(ExposureLevel::Attachment)),
    ] {
        assert!(update(&mut house, "Email", &id, &patch).is_err());
        assert_eq!(level(&house), wanted, "{patch}");
    }
}

#[test]
fn every_other_object_is_sent_whole() {
    let mut house = House::new();
    let email = letter(&mut house);
    let drafts = house.mailbox(Role::Drafts);
    let mailbox = get(&mut house, "Mailbox", json!({"ids": [drafts]}));
    assert_eq!(mailbox["totalEmails"], 1);
    let can_change = ["name", "parentId", "role", "sortOrder", "isSubscribed"];
    check(&mut house, "Mailbox", &mailbox, &can_change);
    let right = json!({"myRights/mayDelete": true});
    assert_eq!(update(&mut house, "Mailbox", &drafts, &right), Ok(()));

    let identity = get(&mut house, "Identity", json!({"ids": null}));
    let can_change = ["name", "replyTo", "bcc", "textSignature", "htmlSignature"];
    check(&mut house, "Identity", &identity, &can_change);

    let vacation = get(&mut house, "VacationResponse", json!({"ids": null}));
    let can_change = [
        "isEnabled",
        "fromDate",
        "toDate",
        "subject",
        "textBody",
        "htmlBody",
    ];
    check(&mut house, "VacationResponse", &vacation, &can_change);

    let envelope = json!({
        "mailFrom": {"email": "bob@example.org", "parameters": {"HOLDFOR": "60"}},
        "rcptTo": [{"email": "carol@example.org", "parameters": null}],
    });
    let new = json!({"identityId": identity["id"], "emailId": email, "envelope": envelope});
    house.call("EmailSubmission/set", json!({"create": {"s": new}}));
    let submission = get(&mut house, "EmailSubmission", json!({"ids": null}));
    check(&mut house, "EmailSubmission", &submission, &["undoStatus"]);
    house.check();
}

#[test]
fn a_recall_is_sent_whole() {
    let mut house = House::under(Arc::new(Asks::Approval));
    let sent = house.send(BOB, CAROL, "one");
    let new = json!({"create": {"k": {"messageId": sent.message_id}}});
    house.call("Recall/set", new);
    let mut recall = get(&mut house, "Recall", json!({"ids": null}));
    check(&mut house, "Recall", &recall, &[]);
    recall["action"] = json!({"type": "cancel"});
    let id = recall["id"].as_str().unwrap().to_owned();
    assert_eq!(update(&mut house, "Recall", &id, &recall), Ok(()));
    let now = get(&mut house, "Recall", json!({"ids": null}));
    assert_eq!(now["state"], "cancelled");
}
