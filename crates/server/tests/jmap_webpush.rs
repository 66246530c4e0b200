//! Push subscriptions over real sockets (RFC 8620 7.2): a push service on loopback, and a device that
//! reads what it is sent.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::House;
use house::jmap::JmapClient;
use house::receiver::{Device, Posted, PushService, pusher};
use serde_json::{Value, json};

const NAME: &str = "PushSubscription/set";

/// A house that pushes to a service.
fn housed() -> (House, PushService) {
    let service = PushService::new();
    let house = House::started(&service.options());
    (house, service)
}

fn set(client: &JmapClient<'_>, args: Value) -> Value {
    let mut responses = client.calls(&json!([[NAME, args, "c"]]));
    let response = responses.swap_remove(0);
    assert_eq!(response[0], NAME, "{response}");
    response[1].clone()
}

fn get(client: &JmapClient<'_>) -> Vec<Value> {
    let responses = client.calls(&json!([["PushSubscription/get", {"ids": null}, "c"]]));
    responses[0][1]["list"].as_array().expect("a list").clone()
}

/// Subscribes and answers with the code: the id.
fn subscribed(
    client: &JmapClient<'_>,
    service: &PushService,
    new: &Value,
    read: impl Fn(&Posted) -> Value,
) -> String {
    let made = set(client, json!({"create": {"p": new}}));
    let id = made["created"]["p"]["id"].as_str();
    let id = id.unwrap_or_else(|| panic!("{made}")).to_owned();
    let verification = read(&service.next());
    assert_eq!(verification["@type"], "PushVerification");
    assert_eq!(verification["pushSubscriptionId"], id.as_str());
    let code = json!({"verificationCode": verification["verificationCode"]});
    let verified = set(client, json!({"update": {&id: code}}));
    assert_eq!(verified["updated"], json!({&id: null}), "{verified}");
    id
}

fn types<'a>(change: &'a Value, account: &str) -> Vec<&'a str> {
    assert_eq!(change["@type"], "StateChange");
    let changed = change["changed"][account].as_object().expect("types");
    let mut names: Vec<&str> = changed.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_device_is_told_of_mail_and_of_a_recall_encrypted_and_signed() {
    let (house, service) = housed();
    let bob = house.jmap("bob");
    let device = Device::new();
    let new = json!({
        "deviceClientId": "tablet", "url": service.url("tablet?x=1"), "keys": device.keys(),
        "types": ["Email", "EmailDelivery"],
    });
    // Until it has proved itself it is told nothing but its code.
    let made = set(&bob, json!({"create": {"p": new}}));
    let id = made["created"]["p"]["id"].as_str().expect("an id");
    assert!(made["created"]["p"]["expires"].is_string(), "{made}");
    let posted = service.next();
    assert_eq!(posted.line, "POST /tablet?x=1 HTTP/1.1");
    assert_eq!(posted.field("content-type"), Some("application/json"));
    let ttl: u64 = posted
        .field("ttl")
        .expect("a TTL")
        .parse()
        .expect("seconds");
    assert!(ttl > 0);
    let verification = device.read(&posted);
    house.send("early");
    let guess = json!({"update": {id: {"verificationCode": "guess"}}});
    let refused = set(&bob, guess);
    assert_eq!(refused["notUpdated"][id]["type"], "invalidProperties");
    assert_eq!(get(&bob)[0]["verificationCode"], Value::Null);
    let code = verification["verificationCode"].clone();
    assert_eq!(
        verification,
        json!({"@type": "PushVerification", "pushSubscriptionId": id, "verificationCode": code})
    );
    let proved = set(&bob, json!({"update": {id: {"verificationCode": code}}}));
    assert_eq!(proved["updated"], json!({id: null}), "{proved}");
    // Then it is told how things are, and from then on what changes.
    let first = device.read(&service.next());
    assert_eq!(types(&first, &bob.account), ["Email", "EmailDelivery"]);
    house.send("secret");
    let posted = service.next();
    let change = device.read(&posted);
    assert_eq!(types(&change, &bob.account), ["Email", "EmailDelivery"]);
    assert!(!change.to_string().contains("secret"), "{change}");
    let got = bob.call("Email/get", json!({"ids": null, "properties": ["subject"]}));
    assert_eq!(change["changed"][&bob.account]["Email"], got["state"]);
    let (key, claims) = pusher(&posted);
    let session: Value =
        serde_json::from_str(&bob.http("GET", "/jmap/session", "").body).expect("JSON");
    let told = &session["capabilities"]["urn:ietf:params:jmap:webpush-vapid"];
    assert_eq!(told, &json!({"applicationServerKey": key}));
    let origin = service.url("");
    assert_eq!(claims["aud"], origin.trim_end_matches('/'));
    assert_eq!(claims["sub"], "mailto:postmaster@mx.example.org");
    // A recall is a change like any other.
    house.done(&["recall", "run", "secret@example.org"]);
    let change = device.read(&service.next());
    assert_eq!(types(&change, &bob.account), ["Email"]);
    let changes = bob.call("Email/changes", json!({"sinceState": got["state"]}));
    assert_eq!(
        changes["newState"],
        change["changed"][&bob.account]["Email"]
    );
    let destroyed = changes["destroyed"].as_array().expect("a list");
    assert_eq!(destroyed.len(), 1);
}

#[test]
fn what_is_missed_over_a_restart_is_told_and_nothing_twice() {
    let (mut house, service) = housed();
    let new = json!({"deviceClientId": "a", "url": service.url("a"), "types": ["EmailDelivery"]});
    let read = |posted: &Posted| posted.json();
    let (account, id) = {
        let bob = house.jmap("bob");
        let id = subscribed(&bob, &service, &new, read);
        (bob.account.clone(), id)
    };
    let told = service.next().json();
    house.send("one");
    let before = service.next().json();
    assert_ne!(told, before);
    // What the service did not take it is told again, with what changed since.
    service.answer("503 Busy\r\nRetry-After: 1");
    house.send("two");
    service.next();
    house.send("three");
    let bob = house.jmap("bob");
    let state = |change: &Value| change["changed"][&account]["EmailDelivery"].clone();
    let current = bob.call("Email/get", json!({"ids": []}))["state"].clone();
    // One message for both, or one for each where the third was slower than the wait.
    let mut told = state(&service.next().json());
    if told != current {
        told = state(&service.next().json());
    }
    assert_eq!(told, current);
    // A service that never takes it: the next start does.
    service.answer("503 Busy\r\nRetry-After: 3600");
    house.send("four");
    let refused = service.next().json();
    house.kill();
    house.start();
    let after = service.next().json();
    assert_eq!(state(&after), state(&refused));
    // What was told before the stop is not told again: the next is the next message.
    let (ended, _) = house.stop();
    assert!(ended);
    house.start();
    house.send("five");
    let next = service.next().json();
    let bob = house.jmap("bob");
    let got = bob.call("Email/get", json!({"ids": []}));
    assert_eq!(state(&next), got["state"]);
    assert!(service.is_quiet());
    let left = get(&bob);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], id.as_str());
}

#[test]
fn a_subscription_ends_with_its_credential_its_service_or_its_account() {
    let (mut house, service) = housed();
    let read = |posted: &Posted| posted.json();
    let new = |name: &str| json!({"deviceClientId": name, "url": service.url(name)});
    let made = house.done(&[
        "--json",
        "account",
        "app-password",
        "add",
        "bob@example.org",
        "--label",
        "phone",
        "--scope",
        "jmap",
    ]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let phone = house.jmap_by_token(made["token"].as_str().expect("a token"));
    let bob = house.jmap("bob");
    subscribed(&phone, &service, &new("phone"), read);
    assert_eq!(service.next().json()["@type"], "StateChange");
    subscribed(&bob, &service, &new("desk"), read);
    assert_eq!(service.next().json()["@type"], "StateChange");
    // Each credential sees its own.
    let names = |client: &JmapClient<'_>| -> Vec<Value> {
        let all = get(client);
        all.iter().map(|it| it["deviceClientId"].clone()).collect()
    };
    assert_eq!(
        (names(&phone), names(&bob)),
        (vec![json!("phone")], vec![json!("desk")])
    );
    let id = made["id"].to_string();
    house.done(&[
        "account",
        "app-password",
        "remove",
        "bob@example.org",
        id.trim_matches('"'),
    ]);
    house.send("one");
    assert_eq!(service.next().line, "POST /desk HTTP/1.1");
    // The service says that nobody is there any more.
    service.answer("410 Gone");
    house.send("two");
    assert_eq!(service.next().line, "POST /desk HTTP/1.1");
    house.wait_log("a push subscription ended");
    let bob = house.jmap("bob");
    subscribed(&bob, &service, &new("again"), read);
    assert_eq!(service.next().line, "POST /again HTTP/1.1");
    assert_eq!(names(&bob), [json!("again")]);
    house.send("three");
    assert_eq!(service.next().line, "POST /again HTTP/1.1");
    house.done(&["account", "disable", "bob@example.org"]);
    house.done(&["account", "disable", "bob@example.org", "--undo"]);
    house.send("four");
    let bob = house.jmap("bob");
    assert_eq!(names(&bob), [] as [Value; 0]);
    assert!(service.is_quiet());
}

#[test]
fn a_name_that_leads_into_the_own_network_is_not_followed() {
    // Some network may be reached, and the service is not there.
    let service = PushService::new();
    let mut house = House::started("[push]\nallowed_networks = [\"2001:db8::/32\"]\n");
    let bob = house.jmap("bob");
    for url in [
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://2130706433/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fd00::1]/",
    ] {
        let new = json!({"deviceClientId": "a", "url": url});
        let made = set(&bob, json!({"create": {"p": new}}));
        assert_eq!(made["notCreated"]["p"]["type"], "forbidden", "{url}");
    }
    // A name is not refused before it is looked up, and its addresses are.
    let new = json!({"deviceClientId": "a", "url": service.url("a")});
    let made = set(&bob, json!({"create": {"p": new}}));
    assert!(made["created"]["p"]["id"].is_string(), "{made}");
    house.wait_log("a push subscription leads nowhere");
    house.wait_log("a push subscription ended");
    assert_eq!(get(&house.jmap("bob")), [] as [Value; 0]);
    assert!(service.is_quiet());
}
