//! JMAP tells what changes: the event source over real sockets.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::House;
use house::events::{Events, types};
use house::jmap::JmapClient;
use serde_json::json;

fn states(client: &JmapClient<'_>) -> (String, String) {
    let state = |method: &str| {
        let got = client.call(method, json!({"ids": []}));
        got["state"].as_str().expect("a state").to_owned()
    };
    (state("Email/get"), state("Mailbox/get"))
}

#[test]
fn a_listener_hears_of_mail_flags_and_a_recall() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let mut events = Events::open(&house, "types=*&closeafter=no&ping=0", "");
    house.send("one");
    let (changed, _) = events.change(&bob.account);
    assert_eq!(
        types(&changed),
        ["Email", "EmailDelivery", "Mailbox", "Thread"]
    );
    let before = states(&bob);
    assert_eq!(changed["Email"], before.0.as_str());
    assert_eq!(changed["Mailbox"], before.1.as_str());
    // What IMAP changes is heard, too.
    let mut imap = house.imap("bob");
    imap.command("SELECT INBOX").expect("an answer");
    imap.command("STORE 1 +FLAGS (\\Flagged)")
        .expect("an answer");
    let (changed, _) = events.change(&bob.account);
    assert_eq!(types(&changed), ["Email", "Mailbox"]);
    let held = bob.call("Email/get", json!({"ids": null, "properties": ["subject"]}));
    house.done(&["recall", "run", "one@example.org"]);
    let (changed, _) = events.change(&bob.account);
    assert!(types(&changed).contains(&"Email") && !types(&changed).contains(&"EmailDelivery"));
    let changes = bob.call("Email/changes", json!({"sinceState": held["state"]}));
    assert_eq!(changes["destroyed"], json!([held["list"][0]["id"]]));
}

#[test]
fn a_listener_hears_of_the_types_it_named_and_of_nothing_twice() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let mut events = Events::open(&house, "types=EmailDelivery,Odd&ping=0", "");
    let mut once = Events::open(&house, "types=Email&closeafter=state", "");
    house.send("one");
    let (changed, _) = events.change(&bob.account);
    assert_eq!(types(&changed), ["EmailDelivery"]);
    let (changed, id) = once.change(&bob.account);
    assert_eq!(types(&changed), ["Email"]);
    assert_eq!(once.chunk(), "", "closed after the state");
    // A flag is no delivery: the next that is heard is the next message.
    let mut imap = house.imap("bob");
    imap.command("SELECT INBOX").expect("an answer");
    imap.command("STORE 1 +FLAGS (\\Seen)").expect("an answer");
    house.send("two");
    let (changed, newest) = events.change(&bob.account);
    assert_eq!(types(&changed), ["EmailDelivery"]);
    // One that comes back hears at once what it missed; one that missed nothing waits.
    let (missed, now) = Events::open(&house, "", &id).change(&bob.account);
    assert_eq!(
        types(&missed),
        ["Email", "EmailDelivery", "Mailbox", "Thread"]
    );
    assert_eq!(now, newest);
    let mut current = Events::open(&house, "", &now);
    // An id that was never given out: everything.
    let (all, _) = Events::open(&house, "", "odd").change(&bob.account);
    assert!(types(&all).len() > 4 && types(&all).contains(&"Quota"));
    imap.command("CREATE Box").expect("an answer");
    let (changed, _) = current.change(&bob.account);
    assert_eq!(types(&changed), ["Mailbox"]);
    // What the change log does not have is heard, too.
    let create = json!({"create": {"i": {"name": "Bob", "email": "bob@example.org"}}});
    let made = bob.call("Identity/set", create);
    assert!(made["created"]["i"]["id"].is_string(), "{made}");
    let (changed, _) = current.change(&bob.account);
    assert_eq!(changed, json!({"Identity": made["newState"]}));
}

#[test]
fn a_listener_is_pinged_and_ends_with_its_login_or_the_server() {
    let mut house = House::started("");
    let bob = house.jmap("bob");
    for wrong in ["ping=x", "closeafter=never"] {
        let path = format!("/jmap/eventsource/?{wrong}");
        assert_eq!(bob.http("GET", &path, "").status, 400, "{wrong}");
    }
    assert_eq!(bob.http("POST", "/jmap/eventsource/", "").status, 405);
    assert_eq!(house.get("/jmap/eventsource/").status, 401);
    let mut pinged = Events::open(&house, "ping=1", "");
    let event = pinged.next();
    let expected = json!({"interval": 10});
    assert_eq!((event.name.as_str(), &event.data), ("ping", &expected));
    house.done(&[
        "account",
        "password",
        "bob@example.org",
        "--password",
        "another one",
    ]);
    assert_eq!(pinged.chunk(), "", "whoever showed the old password is out");
    house.done(&[
        "account",
        "password",
        "bob@example.org",
        "--password",
        house::PASSWORD,
    ]);
    let mut last = Events::open(&house, "", "");
    let (ended, took) = house.stop();
    assert!(ended && took.as_secs() < 5, "{took:?}");
    assert_eq!(last.chunk(), "");
}

#[test]
fn what_a_listener_says_that_it_was_told_keeps_no_login_alive() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let own = bob.account.trim_start_matches('A');
    // As if Bob's own account were one of others.
    let last = format!("1~{own}-x");
    let mut events = Events::open(&house, "types=*&closeafter=no&ping=30", &last);
    events.change(&bob.account);
    house.send("one");
    let (changed, _) = events.change(&bob.account);
    assert!(types(&changed).contains(&"EmailDelivery"), "{changed}");
    let password = ["--password", "another one"];
    house.done(&[&["account", "password", "bob@example.org"], &password[..]].concat());
    assert_eq!(events.chunk(), "", "whoever showed the old password is out");
}

#[test]
fn many_connections_of_an_account_listen() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let mut listening: Vec<Events> = (0..64).map(|_| Events::open(&house, "", "")).collect();
    let _carols = Events::open_as(&house, "carol", "", "");
    house.send("one");
    for events in &mut listening {
        let (changed, _) = events.change(&bob.account);
        assert!(types(&changed).contains(&"EmailDelivery"));
    }
}

#[test]
fn a_listener_hears_of_what_becomes_of_what_was_sent() {
    let house = House::started("");
    let bob = house.jmap("bob");
    let boxes = bob.call("Mailbox/get", json!({"ids": null}));
    let email = json!({
        "mailboxIds": {boxes["list"][0]["id"].as_str().expect("an id"): true},
        "from": [{"email": "bob@example.org"}], "subject": "Later",
    });
    let made = bob.call("Email/set", json!({"create": {"e": email}}));
    let identities = bob.call("Identity/get", json!({"ids": null}));
    let mut events = Events::open(&house, "types=EmailSubmission", "");
    let new = json!({
        "identityId": identities["list"][0]["id"], "emailId": made["created"]["e"]["id"],
        "envelope": {
            "mailFrom": {"email": "bob@example.org", "parameters": {"HOLDFOR": "1"}},
            "rcptTo": [{"email": "alice@example.org"}],
        },
    });
    let set = bob.call("EmailSubmission/set", json!({"create": {"s": new}}));
    let (changed, _) = events.change(&bob.account);
    assert_eq!(changed, json!({"EmailSubmission": set["newState"]}));
    // Nobody asks for what follows: its time comes.
    loop {
        let (changed, _) = events.change(&bob.account);
        let got = bob.call("EmailSubmission/get", json!({"ids": null}));
        if got["list"][0]["undoStatus"] == "final" && changed["EmailSubmission"] == got["state"] {
            break;
        }
    }
}
