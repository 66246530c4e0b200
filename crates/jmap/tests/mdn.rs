//! MDN (RFC 9007): every property, every error, and that one notification leaves at most.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use house::{BOB, CAROL, House};
use serde_json::{Value, json};
use tern_delivery::Outbox;
use tern_mailbox::{ExposureLevel, Flagging, Flags, INBOX, Role, Update};
use tern_session::ids;

const LETTER: &str = "From: carol@example.org\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
                      Message-ID: <1@example.org>\r\nOriginal-Recipient: rfc822;sales@example.org\r\n\
                      Disposition-Notification-To: Carol <carol@example.org>\r\n\r\nHow are you?\r\n";

/// A letter in Bob's mailbox: its id.
fn received(house: &mut House, letter: &str) -> String {
    let before: Vec<Value> = all(house);
    house.receive("carol@example.org", letter);
    let now = all(house);
    let new = now.into_iter().find(|id| !before.contains(id));
    new.unwrap().as_str().unwrap().to_owned()
}

fn all(house: &mut House) -> Vec<Value> {
    let got = house.call("Email/query", json!({}));
    got["ids"].as_array().unwrap().clone()
}

fn identity(house: &mut House) -> String {
    let all = house.call("Identity/get", json!({"ids": null}));
    all["list"][0]["id"].as_str().unwrap().to_owned()
}

fn displayed() -> Value {
    json!({
        "actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed",
    })
}

/// Sends one: every response.
fn send(house: &mut House, mdn: &Value) -> Vec<Value> {
    let args = json!({
        "accountId": ids::account_id(house.who), "identityId": identity(house), "send": {"k": mdn},
        "onSuccessUpdateEmail": {"#k": {"keywords/$mdnsent": true}},
    });
    house.calls(&json!([["MDN/send", args, "c"]]))
}

/// The error of one that is not sent.
fn refused(house: &mut House, mdn: &Value) -> Value {
    let responses = send(house, mdn);
    assert_eq!(responses.len(), 1, "{responses:?}");
    assert_eq!(responses[0][1]["sent"], Value::Null);
    responses[0][1]["notSent"]["k"].clone()
}

/// What Carol has in her inbox.
fn inbox(house: &House) -> Vec<Vec<u8>> {
    let view = house.mailboxes.view(CAROL, INBOX).unwrap();
    let read = |message| {
        let row = house.mailboxes.message(CAROL, message).unwrap();
        house.mailboxes.read(CAROL, &row, 0..u64::MAX).unwrap().0
    };
    view.iter().map(|entry| read(entry.message)).collect()
}

fn keywords(house: &mut House, id: &str) -> Value {
    let args = json!({"ids": [id], "properties": ["keywords"]});
    house.call("Email/get", args)["list"][0]["keywords"].clone()
}

#[test]
fn a_notification_is_sent_as_it_was_asked_for_and_reads_back_so() {
    let mut house = House::new();
    let id = received(&mut house, LETTER);
    let mdn = json!({
        "forEmailId": id, "subject": "Read: Grüße", "textBody": "It was déjà shown.\n",
        "includeOriginalMessage": true, "reportingUA": "pc.example; Mail 1",
        "disposition": displayed(), "extensionFields": {"X-Extra": "4"},
        "finalRecipient": "rfc822; bob@example.org",
    });
    let responses = send(&mut house, &mdn);
    assert_eq!(
        responses[0][1]["sent"]["k"],
        json!({
            "originalRecipient": "rfc822;sales@example.org", "originalMessageId": "<1@example.org>",
            "mdnGateway": null, "error": null,
        })
    );
    // RFC 9007 2.1: one Email/set follows, with the same method call id.
    assert_eq!(responses[1][0], "Email/set");
    assert_eq!(responses[1][1]["updated"], json!({id.as_str(): null}));
    assert_eq!(responses[1][2], "c");
    assert_eq!(keywords(&mut house, &id), json!({"$mdnsent": true}));
    let sent = inbox(&house);
    assert_eq!(sent.len(), 1);
    let text = String::from_utf8(sent[0].clone()).unwrap();
    // RFC 8098 3
    assert!(text.starts_with("Return-Path: <>\r\n"), "{text}");
    assert!(text.contains("In-Reply-To: <1@example.org>\r\n"), "{text}");
    assert!(!text.contains("Auto-Submitted"), "{text}");
    house.who = CAROL;
    let got = house.call("Email/query", json!({}));
    let args = json!({"ids": got["ids"], "properties": ["blobId", "from", "to", "subject"]});
    let email = house.call("Email/get", args)["list"][0].clone();
    assert_eq!(
        email["from"],
        json!([{"name": "bob", "email": "bob@example.org"}])
    );
    assert_eq!(
        email["to"],
        json!([{"name": null, "email": "carol@example.org"}])
    );
    assert_eq!(email["subject"], "Read: Grüße");
    let parsed = house.call("MDN/parse", json!({"blobIds": [email["blobId"]]}));
    let blob = email["blobId"].as_str().unwrap();
    let mut expected = mdn.clone();
    expected["forEmailId"] = Value::Null;
    expected["textBody"] = "It was déjà shown.\n".into();
    expected["originalRecipient"] = "rfc822;sales@example.org".into();
    expected["originalMessageId"] = "<1@example.org>".into();
    expected["mdnGateway"] = Value::Null;
    expected["error"] = Value::Null;
    assert_eq!(parsed["parsed"], json!({blob: expected}));
    assert_eq!(
        (&parsed["notParsable"], &parsed["notFound"]),
        (&Value::Null, &Value::Null)
    );
    house.check();
}

#[test]
fn whoever_notifies_too_many_is_told_to_wait() {
    let mut house = House::new();
    let left = Arc::new(AtomicU32::new(3));
    let of = Arc::clone(&left);
    house.outbox =
        Outbox::new(Arc::clone(&house.delivery), |_| {}).allowing(3, move |who, many| {
            assert_eq!(who, BOB);
            let take = |left: u32| left.checked_sub(many);
            of.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
        });
    // Bob may have brought it himself.
    let letter = |to: &str| format!("Disposition-Notification-To: {to}\r\n\r\nSo?\r\n");
    let to_two = letter("a@far.example, b@far.example");
    let first = received(&mut house, &to_two);
    let mdn = json!({"forEmailId": first, "disposition": displayed()});
    assert_ne!(send(&mut house, &mdn)[0][1]["sent"]["k"], Value::Null);
    assert_eq!(left.load(Ordering::Relaxed), 1);
    let second = received(&mut house, &to_two);
    let mdn = json!({"forEmailId": second, "disposition": displayed()});
    assert_eq!(refused(&mut house, &mdn)["type"], "rateLimit");
    // It may be sent later.
    assert_eq!(keywords(&mut house, &second), json!({}));
    let to_four = letter("a@x.example, b@x.example, c@x.example, d@x.example");
    let third = received(&mut house, &to_four);
    let mdn = json!({"forEmailId": third, "disposition": displayed()});
    let error = refused(&mut house, &mdn);
    assert_eq!(
        (&error["type"], &error["maxRecipients"]),
        (&"tooManyRecipients".into(), &3.into())
    );
    assert_eq!(house.delivery.due(house.now, 9).unwrap().len(), 2);
}

#[test]
fn what_the_client_leaves_open_the_server_says() {
    let mut house = House::new();
    let id = received(&mut house, LETTER);
    let mdn = json!({
        "forEmailId": id, "subject": null,
        "disposition": {
            "actionMode": "automatic-action", "sendingMode": "mdn-sent-automatically",
            "type": "deleted",
        },
    });
    let sent = send(&mut house, &mdn)[0][1]["sent"]["k"].clone();
    assert_eq!(sent["subject"], "Deleted: Grüße");
    assert_eq!(sent["finalRecipient"], "rfc822; bob@example.org");
    assert_eq!(sent["includeOriginalMessage"], false);
    assert_eq!(
        (&sent["reportingUA"], &sent["extensionFields"]),
        (&Value::Null, &Value::Null)
    );
    assert!(
        sent["textBody"]
            .as_str()
            .unwrap()
            .contains("it was deleted"),
        "{sent}"
    );
    assert_eq!(
        (&sent["forEmailId"], &sent["disposition"]),
        (&Value::Null, &Value::Null)
    );
    let text = String::from_utf8(inbox(&house).remove(0)).unwrap();
    assert!(text.contains("Auto-Submitted: auto-replied\r\n"), "{text}");
    assert!(
        text.contains("automatic-action/MDN-sent-automatically; deleted\r\n"),
        "{text}"
    );
    assert!(!text.contains("How are you?"), "{text}");
    house.check();
}

#[test]
fn of_a_message_one_notification_is_sent() {
    let mut house = House::new();
    let id = received(&mut house, LETTER);
    let mdn = json!({"forEmailId": id, "disposition": displayed()});
    // Twice in one call, which sets the keyword for both.
    let args = json!({
        "identityId": identity(&mut house), "send": {"a": mdn, "b": mdn},
        "onSuccessUpdateEmail": {
            "#a": {"keywords": {"$seen": true, "$mdnsent": true}},
            "#b": {"keywords/$mdnsent": true},
        },
    });
    let both = house.call("MDN/send", args);
    assert!(both["sent"]["a"].is_object(), "{both}");
    assert_eq!(both["notSent"]["b"]["type"], "mdnAlreadySent");
    assert_eq!(
        keywords(&mut house, &id),
        json!({"$seen": true, "$mdnsent": true})
    );
    assert_eq!(refused(&mut house, &mdn)["type"], "mdnAlreadySent");
    assert_eq!(inbox(&house).len(), 1);
    // What another client has set counts, in whatever case IMAP has it.
    let id = received(&mut house, &LETTER.replace("<1@", "<2@"));
    let mut add = Flags::empty();
    assert!(add.add_keyword("$MDNSent"));
    let flagging = Some(Flagging::Change {
        add,
        remove: Flags::empty(),
    });
    let message = ids::parse_email_id(BOB, &id).unwrap();
    let update = Update {
        message,
        placing: None,
        flagging,
        by: None,
    };
    house.mailboxes.update(BOB, &update, house.now).unwrap();
    let mdn = json!({"forEmailId": id, "disposition": displayed()});
    assert_eq!(refused(&mut house, &mdn)["type"], "mdnAlreadySent");
    assert_eq!(inbox(&house).len(), 1);
    house.check();
}

#[test]
fn of_many_who_claim_a_message_at_once_one_is_first() {
    let mut house = House::new();
    let id = received(&mut house, LETTER);
    let message = ids::parse_email_id(BOB, &id).unwrap();
    let mailboxes = &house.mailboxes;
    let firsts: usize = thread::scope(|scope| {
        let claim = || usize::from(mailboxes.flag_once(BOB, message, "$mdnsent").unwrap());
        let all: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(firsts, 1);
    house.check();
}

#[test]
fn a_call_that_names_nobody_or_marks_nothing_is_refused_whole() {
    let mut house = House::new();
    let id = received(&mut house, LETTER);
    let mdn = json!({"forEmailId": id, "disposition": displayed()});
    let identity = identity(&mut house);
    let good = json!({
        "identityId": identity, "send": {"k": mdn},
        "onSuccessUpdateEmail": {"#k": {"keywords/$mdnsent": true}},
    });
    let with = |name: &str, value: Value| {
        let mut args = good.clone();
        args[name] = value;
        args
    };
    for args in [
        // RFC 9007 2.1: whatever is not found of these two is an argument.
        with("accountId", "A2".into()),
        with("identityId", "I2-1".into()),
        with("identityId", Value::Null),
        with("send", json!([])),
        with("odd", json!(1)),
        with("onSuccessUpdateEmail", Value::Null),
        with(
            "onSuccessUpdateEmail",
            json!({"k": {"keywords/$mdnsent": true}}),
        ),
        with(
            "onSuccessUpdateEmail",
            json!({"#k": {"keywords/$seen": true}}),
        ),
        with(
            "onSuccessUpdateEmail",
            json!({"#k": {"keywords/$mdnsent": null}}),
        ),
        with(
            "onSuccessUpdateEmail",
            json!({"#k": {"keywords": {"$MDNSent": true}}}),
        ),
    ] {
        let error = house.error("MDN/send", args.clone());
        assert_eq!(error, "invalidArguments", "{args}");
    }
    let many: serde_json::Map<String, Value> =
        (0..1_001).map(|n| (format!("k{n}"), mdn.clone())).collect();
    assert_eq!(
        house.error("MDN/send", with("send", many.into())),
        "requestTooLarge"
    );
    assert_eq!(inbox(&house).len(), 0);
    assert_eq!(keywords(&mut house, &id), json!({}));
    assert_eq!(house.call("MDN/send", good)["notSent"], Value::Null);
}

#[test]
fn every_error_of_a_notification_has_its_name() {
    let mut house = House::new();
    let id = received(&mut house, LETTER);
    let with = |name: &str, value: Value| {
        let mut mdn = json!({"forEmailId": id, "disposition": displayed()});
        mdn[name] = value;
        mdn
    };
    let mode = |name: &str, value: &str| {
        let mut all = displayed();
        all[name] = value.into();
        all
    };
    for (mdn, property) in [
        (with("forEmailId", Value::Null), "forEmailId"),
        (with("subject", "a\r\nBcc: x".into()), "subject"),
        (with("subject", json!(1)), "subject"),
        (with("textBody", json!(1)), "textBody"),
        (
            with("includeOriginalMessage", "yes".into()),
            "includeOriginalMessage",
        ),
        (with("reportingUA", "a\u{85}b".into()), "reportingUA"),
        (with("reportingUA", "x".repeat(901).into()), "reportingUA"),
        (with("disposition", Value::Null), "disposition"),
        (
            with("disposition", mode("type", "Displayed")),
            "disposition",
        ),
        (
            with("disposition", mode("actionMode", "manual")),
            "disposition",
        ),
        (
            with("disposition", mode("sendingMode", "MDN-sent-manually")),
            "disposition",
        ),
        (with("disposition", mode("odd", "x")), "disposition"),
        (
            with("finalRecipient", "x400; bob@example.org".into()),
            "finalRecipient",
        ),
        (
            with("finalRecipient", "rfc822; bob".into()),
            "finalRecipient",
        ),
        (
            with("extensionFields", json!({"Disposition": "x"})),
            "extensionFields",
        ),
        (
            with("extensionFields", json!({"X: y": "x"})),
            "extensionFields",
        ),
        (
            with("extensionFields", json!({"X-Y": "x\r\ny"})),
            "extensionFields",
        ),
        (with("extensionFields", json!(["X-Y"])), "extensionFields"),
        (
            with("originalMessageId", "<1@example.org>".into()),
            "originalMessageId",
        ),
        (
            with("originalRecipient", "rfc822;x@y".into()),
            "originalRecipient",
        ),
        (with("mdnGateway", "x".into()), "mdnGateway"),
        (with("error", json!(["x"])), "error"),
        (with("odd", json!(1)), "odd"),
    ] {
        let error = refused(&mut house, &mdn);
        assert_eq!(error["type"], "invalidProperties", "{mdn}");
        assert_eq!(error["properties"], json!([property]), "{mdn}");
    }
    assert_eq!(refused(&mut house, &json!(7))["type"], "invalidProperties");
    let error = refused(&mut house, &with("textBody", "x".repeat(70_000).into()));
    assert_eq!(error["type"], "tooLarge");
    let error = refused(
        &mut house,
        &with("finalRecipient", "rfc822; carol@example.org".into()),
    );
    assert_eq!(error["type"], "forbiddenFrom");
    for id in ["M1-999", "M2-1", "odd"] {
        assert_eq!(
            refused(&mut house, &with("forEmailId", id.into()))["type"],
            "notFound"
        );
    }
    assert_eq!(keywords(&mut house, &id), json!({}));
    assert_eq!(inbox(&house).len(), 0);
}

#[test]
fn nobody_is_notified_who_may_not_be() {
    let mut house = House::new();
    let asks = "Disposition-Notification-To: Carol <carol@example.org>\r\n";
    let many: String = (0..11).map(|n| format!("a{n}@far.example, ")).collect();
    for (to, kind) in [
        (String::new(), "notFound"),
        (
            "Disposition-Notification-To: nobody\r\n".to_owned(),
            "notFound",
        ),
        ("Disposition-Notification-To:\r\n".to_owned(), "notFound"),
        (
            format!("Disposition-Notification-To: {many}b@far.example\r\n"),
            "notFound",
        ),
        (
            "Disposition-Notification-To: nobody@example.org\r\n".to_owned(),
            "notFound",
        ),
        // RFC 8098 2.2
        (
            format!("{asks}Disposition-Notification-Options: a=optional,x; b= Required,y\r\n"),
            "forbidden",
        ),
        // RFC 8098 3: no notification of a notification.
        (
            format!(
                "{asks}MIME-Version: 1.0\r\nContent-Type: multipart/report; boundary=b;\r\n \
                 report-type=Disposition-Notification\r\n"
            ),
            "forbidden",
        ),
    ] {
        let letter = LETTER.replace(asks, &to);
        let id = received(&mut house, &letter);
        let mdn = json!({"forEmailId": id, "disposition": displayed()});
        assert_eq!(refused(&mut house, &mdn)["type"], kind, "{to}");
        assert_eq!(keywords(&mut house, &id), json!({}), "{to}");
    }
    // RFC 8098 2.1: without a person only to whoever sent it.
    let automatic = json!({
        "actionMode": "automatic-action", "sendingMode": "mdn-sent-automatically",
        "type": "displayed",
    });
    for to in ["ed@far.example", "carol@example.org, ed@far.example"] {
        let letter = LETTER.replace("Carol <carol@example.org>", to);
        let id = received(&mut house, &letter);
        let mdn = json!({"forEmailId": id, "disposition": automatic});
        assert_eq!(refused(&mut house, &mdn)["type"], "forbidden", "{to}");
        let mdn = json!({"forEmailId": id, "disposition": displayed()});
        assert_eq!(send(&mut house, &mdn).len(), 2, "{to}");
    }
    // What can't be sent on as it is.
    let drafts = house.mailbox(Role::Drafts);
    let blob = house.upload(
        "message/rfc822",
        LETTER.replace("you?\r\n", "you?\n").as_bytes(),
    );
    let email = json!({"blobId": blob, "mailboxIds": {drafts: true}});
    let made = house.call("Email/import", json!({"emails": {"e": email}}));
    let id = &made["created"]["e"]["id"];
    let mdn = json!({"forEmailId": id, "disposition": displayed(), "includeOriginalMessage": true});
    let error = refused(&mut house, &mdn);
    assert_eq!(error["properties"], json!(["includeOriginalMessage"]));
    assert_eq!(inbox(&house).len(), 1);
    house.check();
}

#[test]
fn a_notification_of_what_the_account_sent_names_its_email() {
    let mut house = House::new();
    let sent = house.mailbox(Role::Sent);
    let letter = "From: bob@example.org\r\nTo: carol@example.org\r\nMessage-ID: <7@example.org>\r\n\
                  Subject: Plans\r\n\r\nSee below.\r\n";
    let blob = house.upload("message/rfc822", letter.as_bytes());
    let email = json!({"blobId": blob, "mailboxIds": {sent: true}});
    let made = house.call("Email/import", json!({"emails": {"e": email}}));
    let id = made["created"]["e"]["id"].clone();
    let new = json!({"identityId": identity(&mut house), "emailId": id});
    let set = house.call("EmailSubmission/set", json!({"create": {"s": new}}));
    assert!(set["created"]["s"].is_object(), "{set}");
    let report = |about: &str, types: &str| {
        format!(
            "From: carol@example.org\r\nTo: bob@example.org\r\nSubject: Shown\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/html\r\n\r\n<p>Shown</p>\r\n--b\r\nContent-Type: {types}\r\n\r\n\
             Reporting-UA: x\r\nMDN-Gateway: dns; gw.example\r\nFinal-Recipient: rfc822;carol@example.org\r\n\
             {about}Disposition: automatic-action/MDN-sent-automatically; Processed/error\r\n\
             Error: one\r\nError: two\r\n--b--\r\n"
        )
    };
    let kind = "message/disposition-notification";
    let mut parse = |letter: &str| {
        let blob = house.upload("message/rfc822", letter.as_bytes());
        let parsed = house.call("MDN/parse", json!({"blobIds": [blob, blob]}));
        match parsed["notParsable"] == json!([blob]) {
            true => Value::Null,
            false => parsed["parsed"][&blob].clone(),
        }
    };
    let own = parse(&report("Original-Message-ID: <7@example.org>\r\n", kind));
    assert_eq!(
        own,
        json!({
            "forEmailId": id, "subject": "Shown", "textBody": null, "includeOriginalMessage": false,
            "reportingUA": "x", "mdnGateway": "dns; gw.example", "originalRecipient": null,
            "finalRecipient": "rfc822;carol@example.org",
            "originalMessageId": "<7@example.org>", "error": ["one", "two"],
            "extensionFields": null, "disposition": {
                "actionMode": "automatic-action", "sendingMode": "mdn-sent-automatically",
                "type": "processed",
            },
        })
    );
    let other = parse(&report("Original-Message-ID: <8@example.org>\r\n", kind));
    assert_eq!(other["forEmailId"], Value::Null);
    assert_eq!(parse(&report("", kind))["originalMessageId"], Value::Null);
    assert_eq!(parse(&report("", "message/delivery-status")), Value::Null);
    assert_eq!(parse(letter), Value::Null);
    assert_eq!(parse(""), Value::Null);
    let args = json!({"blobIds": ["G1-0", "odd"]});
    let parsed = house.call("MDN/parse", args);
    assert_eq!(parsed["notFound"], json!(["G1-0", "odd"]));
    assert_eq!(parsed["parsed"], Value::Null);
    let many: Vec<String> = (0..1_001).map(|n| format!("b{n}")).collect();
    assert_eq!(
        house.error("MDN/parse", json!({"blobIds": many})),
        "requestTooLarge"
    );
    let other = json!({"accountId": "A2", "blobIds": []});
    assert_eq!(house.error("MDN/parse", other), "invalidArguments");
    house.check();
}

#[test]
fn the_original_that_goes_with_a_notification_is_on_record_as_served() {
    let mut house = House::new();
    let served = |house: &House, id: &str| {
        let message = ids::parse_email_id(BOB, id).unwrap();
        let ledger = house.sealing.ledger(BOB, message).unwrap();
        let level = |one: &tern_mailbox::Serving| (one.protocol.clone(), one.level());
        ledger.servings.iter().map(level).collect::<Vec<_>>()
    };
    for includes in [false, true] {
        let id = received(&mut house, LETTER);
        let mdn = json!({
            "forEmailId": id, "disposition": displayed(), "includeOriginalMessage": includes,
        });
        let responses = send(&mut house, &mdn);
        assert!(responses[0][1]["sent"]["k"].is_object(), "{responses:?}");
        let expected = match includes {
            true => vec![("jmap".to_owned(), Some(ExposureLevel::Downloaded))],
            false => vec![("jmap".to_owned(), Some(ExposureLevel::Headers))],
        };
        assert_eq!(served(&house, &id), expected);
    }
}

#[test]
fn what_a_notification_tells_of_a_header_is_on_record_as_served() {
    let mut house = House::new();
    let id = received(&mut house, LETTER);
    let message = ids::parse_email_id(BOB, &id).unwrap();
    let level = |house: &House| {
        let row = house.mailboxes.message(BOB, message).unwrap();
        let exposures = house.sealing.exposures(row.digest).unwrap();
        let of_bob = exposures.iter().find(|(account, _, _)| *account == BOB);
        of_bob.map(|(_, _, exposure)| exposure.level)
    };
    let blob = json!({"ids": [id], "properties": ["blobId"]});
    let blob = house.call("Email/get", blob)["list"][0]["blobId"].clone();
    let account = ids::account_id(BOB);
    let of = (account.as_str(), blob.as_str().unwrap());
    let size = tern_jmap::download_size(&house.verbs(), &house.caller(), of).unwrap();
    assert!(size.is_some_and(|size| size > LETTER.len() as u64));
    assert_eq!(level(&house), None, "its size says nothing of it");
    let mdn = json!({"forEmailId": id, "disposition": displayed()});
    let responses = send(&mut house, &mdn);
    let subject = &responses[0][1]["sent"]["k"]["subject"];
    assert_eq!(subject, "Displayed: Gr\u{fc}\u{df}e");
    assert_eq!(level(&house), Some(ExposureLevel::Headers));
}

#[test]
fn the_original_is_within_the_memory_there_is() {
    let mut house = House::new();
    let long = format!("{LETTER}{}", "x\r\n".repeat(tern_jmap::limits::ANSWER_FREE));
    let id = received(&mut house, &long);
    let mdn = json!({"forEmailId": id, "disposition": displayed(), "includeOriginalMessage": true});
    house.memory = std::sync::Arc::new(tern_session::Budget::new(long.len() as u64 / 2));
    assert_eq!(refused(&mut house, &mdn)["type"], "serverFail");
    house.memory = std::sync::Arc::new(tern_session::Budget::new(2 * long.len() as u64));
    let responses = send(&mut house, &mdn);
    assert!(responses[0][1]["sent"]["k"].is_object(), "{responses:?}");
}
