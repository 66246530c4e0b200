//! EmailSubmission: every property, error and consequence, without a server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use house::{BOB, CAROL, House};
use serde_json::{Value, json};
use tern_base::EmailAddress;
use tern_delivery::Outbox;
use tern_directory::{NewAccount, Target, add_members, create_account, create_group, set_alias};
use tern_mailbox::limits::WIDE_LANDINGS;
use tern_mailbox::{INBOX, Role};
use tern_session::ids;
use tern_store::Range;

const LETTER: &str = "From: bob@example.org\r\nTo: Carol <carol@example.org>\r\n\
                      Bcc: ed@far.example\r\nSubject: Hello\r\n\r\nHow are you?\r\n";

/// A draft of Bob's: its id.
fn draft(house: &mut House, letter: &str) -> String {
    let blob = house.upload("message/rfc822", letter.as_bytes());
    let drafts = house.mailbox(Role::Drafts);
    let email = json!({"blobId": blob, "mailboxIds": {drafts: true}, "keywords": {"$draft": true}});
    let made = house.call("Email/import", json!({"emails": {"e": email}}));
    made["created"]["e"]["id"].as_str().unwrap().to_owned()
}

fn identity(house: &mut House) -> String {
    let all = house.call("Identity/get", json!({"ids": null}));
    all["list"][0]["id"].as_str().unwrap().to_owned()
}

/// Submits a draft with this envelope: what was created, or the error.
fn submit(house: &mut House, email: &str, envelope: &Value) -> Result<Value, Value> {
    let identity = identity(house);
    let new = json!({"identityId": identity, "emailId": email, "envelope": envelope});
    let set = house.call("EmailSubmission/set", json!({"create": {"s": new}}));
    match set["created"]["s"].is_object() {
        true => Ok(set["created"]["s"].clone()),
        false => Err(set["notCreated"]["s"].clone()),
    }
}

fn held() -> Value {
    json!({
        "mailFrom": {"email": "bob@example.org", "parameters": {"HOLDFOR": "60"}},
        "rcptTo": [{"email": "carol@example.org"}],
    })
}

fn copies(house: &House) -> usize {
    let view = house.mailboxes.view(CAROL, INBOX).unwrap();
    view.iter().count()
}

fn send_due(house: &mut House) -> usize {
    house.now = house.now.plus_millis(60_000);
    let dispatched = house.delivery.send_due(house.now, &mut house.entropy);
    dispatched.unwrap().accepted.len()
}

fn get(house: &mut House, id: &str) -> Value {
    let got = house.call("EmailSubmission/get", json!({"ids": [id, "S1-0"]}));
    assert_eq!(got["notFound"], json!(["S1-0"]));
    got["list"][0].clone()
}

#[test]
fn a_draft_is_sent_to_whom_its_header_names_and_becomes_what_the_client_says() {
    let mut house = House::new();
    let email = draft(&mut house, LETTER);
    let (drafts, sent) = (house.mailbox(Role::Drafts), house.mailbox(Role::Sent));
    let identity = identity(&mut house);
    let args = json!({
        "accountId": "A1",
        "create": {"s": {"identityId": identity, "emailId": email}},
        "onSuccessUpdateEmail": {"#s": {
            format!("mailboxIds/{drafts}"): null, format!("mailboxIds/{sent}"): true,
            "keywords/$draft": null,
        }, "#other": {"keywords/$seen": true}},
        "onSuccessDestroyEmail": null,
    });
    let responses = house.calls(&json!([["EmailSubmission/set", args, "c"]]));
    let set = &responses[0][1];
    let made = &set["created"]["s"];
    assert_eq!(made["undoStatus"], "final", "{set}");
    assert_eq!(made["sendAt"], "2027-01-15T08:00:00Z");
    // RFC 8621 7.5: one Email/set follows, with the same method call id.
    assert_eq!(responses.len(), 2);
    assert_eq!(responses[1][0], "Email/set");
    assert_eq!(responses[1][2], "c");
    assert_eq!(responses[1][1]["updated"], json!({email.as_str(): null}));
    let got = house.call(
        "Email/get",
        json!({"ids": [email], "properties": ["mailboxIds", "keywords"]}),
    );
    assert_eq!(got["list"][0]["mailboxIds"], json!({sent: true}));
    assert_eq!(got["list"][0]["keywords"], json!({}));
    assert_eq!(copies(&house), 1);
    // The envelope that is told is made of the draft's header.
    let message = ids::parse_email_id(BOB, &email).unwrap();
    let row = house.mailboxes.message(BOB, message).unwrap();
    let exposures = house.sealing.exposures(row.digest).unwrap();
    let own = exposures.iter().find(|it| (it.0, it.1) == (BOB, message));
    assert!(own.is_some(), "{exposures:?}");
    let id = made["id"].as_str().unwrap().to_owned();
    let now = get(&mut house, &id);
    assert_eq!(
        now["envelope"],
        json!({
            "mailFrom": {"email": "bob@example.org", "parameters": null},
            "rcptTo": [
                {"email": "carol@example.org", "parameters": null},
                {"email": "ed@far.example", "parameters": null},
            ],
        })
    );
    let status = &now["deliveryStatus"];
    assert_eq!(status["carol@example.org"]["delivered"], "yes");
    assert_eq!(status["ed@far.example"]["delivered"], "queued");
    assert_eq!(status["ed@far.example"]["displayed"], "unknown");
    assert_eq!(
        (&now["emailId"], &now["identityId"]),
        (&json!(email), &json!(identity))
    );
    house.check();
}

#[test]
fn what_waits_is_undone_and_what_has_left_is_not() {
    let mut house = House::new();
    let email = draft(&mut house, LETTER);
    let first = submit(&mut house, &email, &held()).unwrap();
    let second = submit(&mut house, &email, &held()).unwrap();
    assert_eq!(first["undoStatus"], "pending");
    assert_eq!(first["sendAt"], "2027-01-15T08:01:00Z");
    let state = house.call("EmailSubmission/get", json!({"ids": []}))["state"].clone();
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    let (first, second) = (id(&first), id(&second));
    let update = |house: &mut House, id: &str, patch: Value| {
        let set = house.call("EmailSubmission/set", json!({"update": {id: patch}}));
        set["notUpdated"][id]["type"].clone()
    };
    let canceled = json!({"undoStatus": "canceled"});
    let odd = json!({"sendAt": "2028-01-15T08:01:00Z"});
    assert_eq!(update(&mut house, &first, odd), "invalidProperties");
    assert_eq!(update(&mut house, &first, json!(1)), "invalidPatch");
    assert_eq!(update(&mut house, &first, canceled.clone()), Value::Null);
    assert_eq!(update(&mut house, "S2-00", canceled.clone()), "notFound");
    let destroy = |house: &mut House, id: &str| {
        let set = house.call("EmailSubmission/set", json!({"destroy": [id]}));
        set["notDestroyed"][id]["type"].clone()
    };
    assert_eq!(destroy(&mut house, &second), "forbidden");
    // The draft goes; what waits is sent as it was.
    house.call("Email/set", json!({"destroy": [email]}));
    assert_eq!(send_due(&mut house), 1);
    assert_eq!(copies(&house), 1);
    assert_eq!(
        update(&mut house, &second, canceled.clone()),
        "cannotUnsend"
    );
    assert_eq!(get(&mut house, &first)["undoStatus"], "canceled");
    assert_eq!(get(&mut house, &first)["deliveryStatus"], Value::Null);
    assert_eq!(get(&mut house, &second)["undoStatus"], "final");
    let args = json!({"sinceState": state});
    let changes = house.call("EmailSubmission/changes", args.clone());
    let mut updated = vec![first.clone(), second.clone()];
    updated.sort();
    let mut told: Vec<String> = serde_json::from_value(changes["updated"].clone()).unwrap();
    told.sort();
    assert_eq!(told, updated);
    assert_eq!(destroy(&mut house, &first), Value::Null);
    let changes = house.call("EmailSubmission/changes", args);
    assert_eq!(changes["destroyed"], json!([first]));
    assert_eq!(
        house.error("EmailSubmission/changes", json!({"sinceState": "9999"})),
        "cannotCalculateChanges"
    );
    let stale = json!({"ifInState": state, "destroy": [second]});
    assert_eq!(house.error("EmailSubmission/set", stale), "stateMismatch");
    house.check();
}

#[test]
fn a_canceled_submission_may_destroy_its_email() {
    let mut house = House::new();
    let email = draft(&mut house, LETTER);
    let made = submit(&mut house, &email, &held()).unwrap();
    let id = made["id"].as_str().unwrap();
    let args = json!({
        "accountId": "A1", "update": {id: {"undoStatus": "canceled"}},
        "onSuccessDestroyEmail": [id, "S1-0"],
    });
    let responses = house.calls(&json!([["EmailSubmission/set", args, "c"]]));
    assert_eq!(responses[1][1]["destroyed"], json!([email]));
    assert_eq!(send_due(&mut house), 0);
    assert_eq!(copies(&house), 0);
    house.check();
}

#[test]
fn every_error_of_a_submission_has_its_name() {
    let mut house = House::new();
    let email = draft(&mut house, LETTER);
    let envelope = |from: &str, to: &[&str]| {
        let to: Vec<Value> = to.iter().map(|to| json!({"email": to})).collect();
        json!({"mailFrom": {"email": from}, "rcptTo": to})
    };
    let refused = |house: &mut House, email: &str, envelope: &Value| {
        submit(house, email, envelope).unwrap_err()
    };
    let bob = "bob@example.org";
    let error = refused(&mut house, &email, &envelope("carol@example.org", &[bob]));
    assert_eq!(error["type"], "forbiddenMailFrom");
    let error = refused(&mut house, &email, &envelope(bob, &[]));
    assert_eq!(error["type"], "noRecipients");
    let error = refused(
        &mut house,
        &email,
        &envelope(bob, &["nobody@example.org", "x"]),
    );
    assert_eq!(error["type"], "invalidRecipients");
    assert_eq!(
        error["invalidRecipients"],
        json!(["x", "nobody@example.org"])
    );
    let error = refused(
        &mut house,
        &email,
        &envelope(bob, &["a@far.example"; 1_001]),
    );
    assert_eq!(error["type"], "tooManyRecipients");
    assert_eq!(error["maxRecipients"], 1_000);
    for odd in [
        json!(7),
        json!({"mailFrom": {"email": bob}}),
        json!({"mailFrom": {"email": "x"}, "rcptTo": [{"email": bob}]}),
        json!({"mailFrom": {"email": bob, "parameters": {"HOLDFOR": 7}}, "rcptTo": []}),
        json!({"mailFrom": {"email": bob, "parameters": {"SOON": null}}, "rcptTo": [{"email": bob}]}),
        json!({"mailFrom": {"email": bob}, "rcptTo": [{"mail": bob}]}),
    ] {
        let error = refused(&mut house, &email, &odd);
        assert_eq!(error["type"], "invalidProperties", "{odd}");
        assert_eq!(error["properties"], json!(["envelope"]), "{odd}");
    }
    let good = envelope(bob, &["carol@example.org"]);
    let error = refused(&mut house, "M1-999", &good);
    assert_eq!(error["properties"], json!(["emailId"]));
    for (letter, kind) in [
        ("From: carol@example.org\r\n\r\nx\r\n", "forbiddenFrom"),
        (
            "From: bob@example.org\r\nSender: carol@example.org\r\n\r\nx\r\n",
            "forbiddenFrom",
        ),
        (
            "From: bob@example.org, bob@example.org\r\n\r\nx\r\n",
            "invalidEmail",
        ),
        ("Subject: no From\r\n\r\nx\r\n", "invalidEmail"),
        ("From: bob@example.org\r\n\r\nx\ny\r\n", "invalidEmail"),
        (
            "From: bob@example.org\r\nDelivered-To: carol@example.org\r\n\r\nx\r\n",
            "forbiddenToSend",
        ),
    ] {
        let email = draft(&mut house, letter);
        let error = refused(&mut house, &email, &good);
        assert_eq!(error["type"], kind, "{letter}: {error}");
    }
    let identity = identity(&mut house);
    for (new, property) in [
        (
            json!({"identityId": "I1-9", "emailId": email}),
            "identityId",
        ),
        (json!({"emailId": email}), "identityId"),
        (
            json!({"identityId": identity, "emailId": email, "sendAt": "x"}),
            "sendAt",
        ),
        (
            json!({"identityId": identity, "emailId": email, "odd": 1}),
            "odd",
        ),
    ] {
        let set = house.call("EmailSubmission/set", json!({"create": {"s": new}}));
        assert_eq!(set["notCreated"]["s"]["properties"], json!([property]));
    }
    let odd = json!({"onSuccessUpdateEmail": []});
    assert_eq!(house.error("EmailSubmission/set", odd), "invalidArguments");
    assert_eq!(copies(&house), 0);
    house.check();
}

#[test]
fn what_a_header_has_for_an_address_is_sent_to_as_it_is_or_not_at_all() {
    // RFC 8621 7, 7.5: nothing is put in the place of what is missing.
    let mut house = House::new();
    for (to, odd) in [
        ("bob", "bob"),
        ("Bob Smith", "Bob Smith"),
        ("@b.example", "@b.example"),
        ("Carol <a b@far.example>", "a b@far.example"),
    ] {
        let letter = format!("From: bob@example.org\r\nTo: {to}\r\n\r\nx\r\n");
        let email = draft(&mut house, &letter);
        let error = submit(&mut house, &email, &Value::Null).unwrap_err();
        assert_eq!(error["type"], "invalidRecipients", "{to}: {error}");
        assert_eq!(error["invalidRecipients"], json!([odd]), "{to}");
    }
    // RFC 5321 4.1.2: a local part in quotes.
    let letter = "From: bob@example.org\r\nTo: \"john doe\"@far.example,\r\n \"eve\"@far.example,\r\n                   Eve <eve@FAR.example>\r\nCc: G: carol@example.org;\r\n\r\nx\r\n";
    let email = draft(&mut house, letter);
    let made = submit(&mut house, &email, &Value::Null).unwrap();
    let to = |email: &str| json!({"email": email, "parameters": null});
    assert_eq!(
        made["envelope"]["rcptTo"],
        json!([
            to("\"john doe\"@far.example"),
            to("eve@far.example"),
            to("carol@example.org")
        ])
    );
    house.check();
}

#[test]
fn a_sender_that_the_identity_is_not_gives_way_to_it() {
    // RFC 8621 7: "the email property from the Identity MUST be used instead".
    let mut house = House::new();
    let sales = EmailAddress::parse("sales@example.org").unwrap();
    set_alias(&*house.engine, &sales, &[Target::Account(BOB)]).unwrap();
    let letter = "From: sales@example.org\r\nTo: carol@example.org\r\n\r\nx\r\n";
    let email = draft(&mut house, letter);
    let all = house.call("Identity/get", json!({"ids": null}));
    for identity in all["list"].as_array().unwrap() {
        let new = json!({"identityId": identity["id"], "emailId": email});
        let set = house.call("EmailSubmission/set", json!({"create": {"s": new}}));
        let envelope = &set["created"]["s"]["envelope"];
        assert_eq!(envelope["mailFrom"]["email"], identity["email"], "{set}");
    }
    assert_eq!(all["list"].as_array().unwrap().len(), 2);
    house.check();
}

#[test]
fn who_writes_to_too_many_is_told_to_wait() {
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
    let email = draft(&mut house, LETTER);
    let envelope = |to: &[&str]| {
        let to: Vec<Value> = to.iter().map(|email| json!({"email": email})).collect();
        json!({"mailFrom": {"email": "bob@example.org"}, "rcptTo": to})
    };
    let all = [
        "a@far.example",
        "b@far.example",
        "c@far.example",
        "d@far.example",
    ];
    let error = submit(&mut house, &email, &envelope(&all)).unwrap_err();
    assert_eq!(error["type"], "tooManyRecipients");
    assert_eq!(error["maxRecipients"], 3);
    let error = submit(&mut house, &email, &envelope(&["x"])).unwrap_err();
    assert_eq!(error["type"], "invalidRecipients");
    assert_eq!(
        left.load(Ordering::Relaxed),
        3,
        "what is refused does not count"
    );
    let twice = [all[0], all[1], all[0]];
    submit(&mut house, &email, &envelope(&twice)).unwrap();
    assert_eq!(
        left.load(Ordering::Relaxed),
        1,
        "whoever is named twice is one"
    );
    let error = submit(&mut house, &email, &envelope(&all[..2])).unwrap_err();
    assert_eq!(error["type"], "rateLimit");
    submit(&mut house, &email, &envelope(&all[..1])).unwrap();
    let error = submit(&mut house, &email, &envelope(&all[..1])).unwrap_err();
    assert_eq!(error["type"], "rateLimit");
    assert_eq!(house.delivery.due(house.now, 9).unwrap().len(), 3);
}

#[test]
fn what_goes_out_to_very_many_is_kept_by_letter_though_its_sender_has_it_before() {
    let mut house = House::new();
    let address = |name: &str| EmailAddress::parse(&format!("{name}@example.org")).unwrap();
    let all = create_group(&*house.engine, &address("all"), "All", house.now).unwrap();
    let mut members = Vec::new();
    for n in 0..WIDE_LANDINGS {
        let new = NewAccount {
            address: address(&format!("user{n}")),
            display_name: String::new(),
            quota_bytes: 0,
        };
        let account = create_account(&*house.engine, &new, house.now).unwrap().id;
        let made = house.mailboxes.create_account(account, 0, &[], house.now);
        made.unwrap();
        members.push(Target::Account(account));
    }
    add_members(&*house.engine, all.id, &members).unwrap();
    // Whoever makes a letter dates it, as Email/set does.
    let letter = format!("Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n{LETTER}");
    let email = draft(&mut house, &letter);
    let envelope = json!({
        "mailFrom": {"email": "bob@example.org"},
        "rcptTo": [{"email": "all@example.org"}],
    });
    submit(&mut house, &email, &envelope).unwrap();
    let digest = tern_mime::content_digest(house.mailboxes.content_key(), letter.as_bytes());
    let copies = house.mailboxes.copies(digest).unwrap();
    assert_eq!(copies.len(), 1 + WIDE_LANDINGS);
    // Of every copy that was served there is a row by letter: the draft's is there.
    let by_letter = |table: u8| {
        let range = Range::prefix([&[table][..], &digest.0].concat());
        house.engine.scan(&range, 10).unwrap().rows.len()
    };
    assert_eq!([0x8a, 0x8c].map(by_letter), [1, 1]);
    let served = house.sealing.exposures(digest).unwrap();
    let draft = copies.iter().find(|copy| copy.account == BOB).unwrap();
    assert_eq!((served[0].0, served[0].1), (BOB, draft.message));
    house.check();
}

#[test]
fn there_is_one_vacation_response() {
    let mut house = House::new();
    let got = house.call("VacationResponse/get", json!({"ids": ["singleton", "x"]}));
    assert_eq!(got["notFound"], json!(["x"]));
    assert_eq!(
        got["list"],
        json!([{
            "id": "singleton", "isEnabled": false, "fromDate": null, "toDate": null,
            "subject": null, "textBody": null, "htmlBody": null,
        }])
    );
    let args = json!({
        "ifInState": got["state"], "create": {"c": {}}, "destroy": ["singleton", "x"],
        "update": {
            "singleton": {"isEnabled": true, "toDate": "2027-02-01T00:00:00Z", "textBody": "Away."},
            "x": {"isEnabled": true},
        },
    });
    let set = house.call("VacationResponse/set", args.clone());
    assert_eq!(set["updated"], json!({"singleton": null}));
    assert_eq!(set["notUpdated"]["x"]["type"], "notFound");
    assert_eq!(set["notCreated"]["c"]["type"], "singleton");
    assert_eq!(set["notDestroyed"]["singleton"]["type"], "singleton");
    assert_eq!(set["notDestroyed"]["x"]["type"], "notFound");
    assert_eq!(house.error("VacationResponse/set", args), "stateMismatch");
    for (patch, kind) in [
        (json!({"isEnabled": null}), "invalidProperties"),
        (json!({"fromDate": "today"}), "invalidProperties"),
        (json!({"subject": 7}), "invalidProperties"),
        (json!({"odd": 1}), "invalidProperties"),
        (json!({"textBody/0": "x"}), "invalidPatch"),
        (json!({"htmlBody": "x".repeat(30_000)}), "tooLarge"),
    ] {
        let set = house.call(
            "VacationResponse/set",
            json!({"update": {"singleton": patch}}),
        );
        assert_eq!(set["notUpdated"]["singleton"]["type"], kind, "{patch}");
    }
    let got = house.call(
        "VacationResponse/get",
        json!({"properties": ["textBody", "toDate"]}),
    );
    let told = json!([{"id": "singleton", "textBody": "Away.", "toDate": "2027-02-01T00:00:00Z"}]);
    assert_eq!(got["list"], told);
    // Who writes to Bob meanwhile is answered.
    let letter =
        "From: carol@example.org\r\nTo: bob@example.org\r\nMessage-ID: <a@b>\r\n\r\nHi\r\n";
    house.receive("carol@example.org", letter);
    let sent = house.delivery.answer_owed(house.now, &mut house.entropy);
    assert_eq!(sent.unwrap().accepted.len(), 1);
    assert_eq!(copies(&house), 1);
    house.check();
}
