//! What clients are told without asking, without a server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{BOB, House};
use serde_json::{Value, json};
use tern_directory::{
    CredentialId, PasswordCost, Passwords, add_app_password, limits, set_password, update_account,
};
use tern_jmap::push::{Position, Wanted, look, verification};
use tern_mailbox::Role;
use tern_queue::{LeaseId, Outcome, QueueId, Reply};

/// What a listener that stands at `at` is told of a type, if anything.
fn news(house: &House, at: &mut Position, name: &str) -> Option<Value> {
    let wanted = Wanted::of([name]).unwrap();
    let (now, change) = look(&house.verbs(), BOB, &wanted, Some(at)).unwrap();
    *at = now;
    change.map(|change| change["changed"]["A1"][name].clone())
}

/// A letter of Bob's that is submitted: its id.
fn submit(house: &mut House, parameters: &Value, to: &str) -> String {
    let letter = "From: bob@example.org\r\nSubject: Hello\r\n\r\nHow are you?\r\n";
    let blob = house.upload("message/rfc822", letter.as_bytes());
    let email = json!({"blobId": blob, "mailboxIds": {house.mailbox(Role::Drafts): true}});
    let made = house.call("Email/import", json!({"emails": {"e": email}}));
    let identities = house.call("Identity/get", json!({"ids": null}));
    let new = json!({
        "identityId": identities["list"][0]["id"], "emailId": made["created"]["e"]["id"],
        "envelope": {
            "mailFrom": {"email": "bob@example.org", "parameters": parameters},
            "rcptTo": [{"email": to}],
        },
    });
    let set = house.call("EmailSubmission/set", json!({"create": {"s": new}}));
    set["created"]["s"]["id"].as_str().unwrap().to_owned()
}

/// An attempt to hand on what waits in the queue.
fn attempt(house: &mut House, outcome: &Outcome) {
    house.now = house.now.plus_millis(24 * 3_600_000);
    let id: QueueId = house.delivery.due(house.now, 1).unwrap()[0].id;
    let lease = LeaseId(1);
    let taken = house
        .delivery
        .take(&[id], lease, house.now, 60_000)
        .unwrap();
    assert!(taken.is_some());
    let (delivery, now) = (&house.delivery, house.now);
    let concluded = delivery.conclude(
        &[(id, outcome.clone())],
        lease,
        false,
        now,
        &mut house.entropy,
    );
    concluded.unwrap();
}

#[test]
fn what_becomes_of_what_was_sent_is_news() {
    let mut house = House::new();
    let mut at = Position::now(&house.verbs(), BOB).unwrap();
    let state = |house: &mut House| {
        let got = house.call("EmailSubmission/get", json!({"ids": []}));
        Some(got["state"].clone())
    };
    let mut heard = |house: &mut House| {
        let told = news(house, &mut at, "EmailSubmission");
        assert_eq!(news(house, &mut at, "EmailSubmission"), None, "told once");
        assert!(told.is_none() || told == state(house), "{told:?}");
        told.is_some()
    };
    let held = submit(&mut house, &json!({"HOLDFOR": "60"}), "carol@example.org");
    assert!(heard(&mut house));
    let undo = json!({"update": {held.as_str(): {"undoStatus": "canceled"}}});
    house.call("EmailSubmission/set", undo);
    assert!(heard(&mut house));
    submit(&mut house, &Value::Null, "ed@far.example");
    assert!(heard(&mut house));
    house.receive("carol@example.org", "Subject: x\r\n\r\nx\r\n");
    assert!(!heard(&mut house), "another type");
    // What another server says of it.
    let reply = |code| Reply {
        code,
        enhanced: None,
        text: "so".to_owned(),
        host: None,
    };
    attempt(&mut house, &Outcome::Temporary(reply(451)));
    assert!(heard(&mut house));
    attempt(&mut house, &Outcome::Delivered(reply(250)));
    assert!(heard(&mut house));
    house.now = house.now.plus_millis(3_600_000);
    assert!(!heard(&mut house));
    house.check();
}

const KEYS: [&str; 2] = [
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "BTBZMqHH6r4Tts7J_aSIgg",
];

fn call(house: &mut House, name: &str, args: &Value) -> Value {
    let response = house.calls(&json!([[name, args, "c"]])).swap_remove(0);
    assert_eq!(response[0], name, "{response}");
    response[1].clone()
}

fn set(house: &mut House, args: &Value) -> Value {
    call(house, "PushSubscription/set", args)
}

fn new() -> Value {
    json!({
        "deviceClientId": "tablet", "url": "https://push.example.net/1",
        "keys": {"p256dh": KEYS[0], "auth": format!("{}==", KEYS[1])},
        "expires": "2027-01-20T08:00:00Z", "types": ["Email"],
    })
}

fn housed() -> House {
    let mut house = House::new();
    let passwords = Passwords::new(PasswordCost::default(), &mut house.entropy).unwrap();
    let entropy = &mut house.entropy;
    set_password(&*house.engine, BOB, "correct horse", &passwords, entropy).unwrap();
    house
}

#[test]
fn a_subscription_is_told_to_its_credential_and_never_where_it_leads() {
    let mut house = housed();
    let made = set(&mut house, &json!({"create": {"p": new()}}));
    assert_eq!(made["accountId"], Value::Null);
    assert_eq!(made.get("oldState"), None);
    let id = made["created"]["p"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        made["created"]["p"],
        json!({"id": id, "verificationCode": null}),
        "what was sent is not told again"
    );
    let mut object = json!({
        "id": id, "deviceClientId": "tablet", "verificationCode": null,
        "expires": "2027-01-20T08:00:00Z", "types": ["Email"],
    });
    let get = json!({"ids": null});
    let got = call(&mut house, "PushSubscription/get", &get);
    assert_eq!(got, json!({"list": [object], "notFound": []}));
    let some = json!({"ids": [id, "P1-99", "P2-1"], "properties": ["types"]});
    let got = call(&mut house, "PushSubscription/get", &some);
    assert_eq!(
        got,
        json!({"list": [{"id": id, "types": ["Email"]}], "notFound": ["P1-99", "P2-1"]})
    );
    // By the code it is proved, and only then shown; the code comes by the URL alone.
    let subscription = house.subscriptions.all(BOB, house.now).unwrap().remove(0);
    let told = verification(BOB, &subscription);
    assert_eq!(told["pushSubscriptionId"], id.as_str());
    let code = &told["verificationCode"];
    let update = json!({"update": {id.as_str(): {
        "verificationCode": code, "types": null, "expires": null, "deviceClientId": "tablet",
    }}});
    let set_at = set(&mut house, &update);
    // As late as it can be.
    let latest = "2027-02-14T08:00:00Z";
    assert_eq!(
        set_at["updated"],
        json!({id.as_str(): {"expires": latest}}),
        "{set_at}"
    );
    object["verificationCode"].clone_from(code);
    object["types"] = Value::Null;
    object["expires"] = latest.into();
    let got = call(&mut house, "PushSubscription/get", &get);
    assert_eq!(got["list"], json!([object]));
    // Another credential of the account, and another account.
    let (engine, now) = (&*house.engine, house.now);
    let phone = add_app_password(engine, BOB, "phone", &[], now, &mut house.entropy).unwrap();
    house.credential = phone.info.id;
    let got = call(&mut house, "PushSubscription/get", &get);
    assert_eq!(got["list"], json!([]));
    let touch = json!({"update": {id.as_str(): {"types": null}}, "destroy": [id]});
    let refused = set(&mut house, &touch);
    assert_eq!(refused["notDestroyed"][&id]["type"], "notFound");
    assert_eq!(refused["notUpdated"][&id]["type"], "willDestroy");
    house.credential = CredentialId::PASSWORD;
    let destroyed = set(&mut house, &json!({"destroy": [id]}));
    assert_eq!(destroyed["destroyed"], json!([id]));
    let got = call(&mut house, "PushSubscription/get", &get);
    assert_eq!(got["list"], json!([]));
}

#[test]
fn every_error_of_a_subscription_has_its_name() {
    let mut house = housed();
    let error = |house: &mut House, name: &str, args: Value| {
        let response = house.calls(&json!([[name, args, "c"]])).swap_remove(0);
        assert_eq!(response[0], "error", "{response}");
        response[1]["type"].as_str().unwrap().to_owned()
    };
    // RFC 8620 7.2.1
    for name in ["url", "keys"] {
        let private = json!({"properties": ["id", name]});
        assert_eq!(
            error(&mut house, "PushSubscription/get", private),
            "forbidden"
        );
    }
    for (name, args) in [
        ("PushSubscription/get", json!({"properties": ["odd"]})),
        ("PushSubscription/get", json!({"accountId": "A1"})),
        ("PushSubscription/set", json!({"accountId": "A1"})),
        ("PushSubscription/set", json!({"ifInState": "1"})),
    ] {
        assert_eq!(
            error(&mut house, name, args.clone()),
            "invalidArguments",
            "{args}"
        );
    }
    let cases = [
        ("url", json!("http://push.example.net/")),
        ("url", json!("push")),
        ("url", json!("https://")),
        ("url", json!("https://a:b@push.example.net/")),
        (
            "url",
            json!(format!("https://push.example.net/{}", "x".repeat(2_048))),
        ),
        ("url", Value::Null),
        ("deviceClientId", json!("")),
        ("deviceClientId", json!("x".repeat(256))),
        ("keys", json!({"p256dh": KEYS[0]})),
        ("keys", json!({"p256dh": KEYS[1], "auth": KEYS[1]})),
        ("keys", json!({"p256dh": KEYS[0], "auth": KEYS[0]})),
        (
            "keys",
            json!({"p256dh": format!("A{}", &KEYS[0][1..]), "auth": KEYS[1]}),
        ),
        ("keys", json!("x")),
        ("expires", json!("2027-01-15T08:00:00Z")),
        ("expires", json!("soon")),
        ("types", json!("Email")),
        ("types", json!([1])),
        (
            "types",
            json!((0..65).map(|n| n.to_string()).collect::<Vec<_>>()),
        ),
        ("verificationCode", json!("guess")),
        ("odd", json!(1)),
        ("id", json!("P1-1")),
    ];
    for (name, value) in cases {
        let mut wrong = new();
        wrong[name] = value;
        let made = set(&mut house, &json!({"create": {"p": wrong}}));
        let refused = &made["notCreated"]["p"];
        assert_eq!(refused["type"], "invalidProperties", "{wrong}");
        assert_eq!(refused["properties"], json!([name]), "{wrong}");
    }
    let mut inner = new();
    inner["url"] = "https://10.0.0.1/".into();
    let made = set(&mut house, &json!({"create": {"p": inner, "q": new()}}));
    assert_eq!(made["notCreated"]["p"]["type"], "forbidden");
    let id = made["created"]["q"]["id"].as_str().unwrap().to_owned();
    for (kind, patch) in [
        ("invalidProperties", json!({"verificationCode": "guess"})),
        ("invalidProperties", json!({"verificationCode": 1})),
        (
            "invalidProperties",
            json!({"url": "https://push.example.net/2"}),
        ),
        ("invalidProperties", json!({"keys": null})),
        ("invalidProperties", json!({"deviceClientId": "other"})),
        (
            "invalidProperties",
            json!({"expires": "2027-01-01T00:00:00Z"}),
        ),
        ("invalidPatch", json!({"types/0": "Email"})),
        ("invalidPatch", json!(1)),
    ] {
        let refused = set(&mut house, &json!({"update": {id.as_str(): patch}}));
        assert_eq!(refused["notUpdated"][&id]["type"], kind, "{patch}");
    }
    let gone = set(
        &mut house,
        &json!({"update": {"P1-99": {}}, "destroy": ["P1-98"]}),
    );
    assert_eq!(gone["notUpdated"]["P1-99"]["type"], "notFound");
    assert_eq!(gone["notDestroyed"]["P1-98"]["type"], "notFound");
    // As many as there may be, and as often.
    let mut kinds = Vec::new();
    for _ in 0..2 {
        for _ in 1..limits::MAX_SUBSCRIPTIONS {
            set(&mut house, &json!({"create": {"p": new()}}));
        }
        let made = set(&mut house, &json!({"create": {"p": new()}}));
        kinds.push(made["notCreated"]["p"]["type"].clone());
        let all = house.subscriptions.all(BOB, house.now).unwrap();
        for subscription in all {
            house.subscriptions.end(BOB, subscription.id).unwrap();
        }
    }
    assert_eq!(kinds, [json!("overQuota"), json!("rateLimit")]);
    // What was shown is good no more by the time that it is used.
    update_account(&*house.engine, BOB, |bob| bob.disabled = true).unwrap();
    let made = set(&mut house, &json!({"create": {"p": new()}}));
    assert_eq!(made["notCreated"]["p"]["type"], "forbidden");
}
