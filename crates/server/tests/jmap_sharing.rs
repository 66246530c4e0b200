//! Mailboxes of others by JMAP on a server at work: given by JMAP, IMAP and the command line, read, pushed,
//! lost by a recall, taken away; and what is on record of it.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::House;
use house::events::{Events, types};
use house::jmap::JmapClient;
use serde_json::{Value, json};

fn session(client: &JmapClient<'_>) -> Value {
    let answer = client.http("GET", "/jmap/session", "");
    serde_json::from_str(&answer.body).expect("JSON")
}

/// A call about somebody else's account.
fn of(client: &JmapClient<'_>, account: &str, name: &str, mut args: Value) -> Value {
    args["accountId"] = account.into();
    client.call(name, args)
}

fn inbox_of(client: &JmapClient<'_>) -> String {
    let found = client.call("Mailbox/query", json!({"filter": {"role": "inbox"}}));
    found["ids"][0].as_str().expect("an id").to_owned()
}

#[test]
fn rights_are_the_same_by_either_protocol_and_readers_are_on_record() {
    let house = House::started("");
    house.send("first");
    let (bob, carol) = (house.jmap("bob"), house.jmap("carol"));
    let nobody = json!({"accountId": bob.account, "ids": null});
    assert_eq!(carol.error("Email/get", nobody.clone()), "accountNotFound");
    let before = session(&carol);
    let principals = carol.call("Principal/get", json!({"ids": null}));
    let of_carol = principals["list"].as_array().expect("a list").iter();
    let mut of_carol = of_carol.filter(|it| it["email"] == "carol@example.org");
    let of_carol = of_carol.next().expect("carol")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    // Given by JMAP, shown by IMAP.
    let inbox = inbox_of(&bob);
    let patch = json!({format!("shareWith/{of_carol}"): {"mayReadItems": true}});
    let set = bob.call("Mailbox/set", json!({"update": {inbox.as_str(): patch}}));
    assert_eq!(set["notUpdated"], Value::Null, "{set}");
    let mut imap = house.imap("bob");
    let listed = imap.command("GETACL INBOX").expect("an answer");
    assert!(listed.says("carol@example.org lr"), "{listed:?}");
    // More of it given by IMAP, shown by JMAP.
    imap.command("SETACL INBOX carol@example.org +s")
        .expect("an answer");
    let got = of(&carol, &bob.account, "Mailbox/get", json!({"ids": null}));
    let rights = &got["list"][0]["myRights"];
    assert_eq!(
        (&rights["mayReadItems"], &rights["maySetSeen"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(rights["mayAddItems"], false);
    let now = session(&carol);
    assert_ne!(now["state"], before["state"]);
    assert_eq!(now["accounts"][&bob.account]["name"], "bob@example.org");
    assert_eq!(now["accounts"][&bob.account]["isPersonal"], false);
    let log = house.done(&["--json", "audit", "list", "--action", "mailbox.share"]);
    assert!(log.contains("jmap") && log.contains("imap"), "{log}");

    // A reader reads, marks as read, and IMAP sees it.
    let all = json!({"ids": null, "properties": ["bodyValues", "subject", "blobId"], "fetchTextBodyValues": true});
    let got = of(&carol, &bob.account, "Email/get", all.clone());
    assert_eq!(got["list"][0]["subject"], "first", "{got}");
    let email = got["list"][0]["id"].as_str().expect("an id").to_owned();
    let blob = got["list"][0]["blobId"].as_str().expect("an id").to_owned();
    let seen = json!({"update": {email.as_str(): {"keywords/$seen": true}}});
    let set = of(&carol, &bob.account, "Email/set", seen);
    assert_eq!(set["notUpdated"], Value::Null, "{set}");
    imap.command("SELECT INBOX").expect("an answer");
    let flags = imap.command("FETCH 1 FLAGS").expect("an answer");
    assert!(flags.says("\\Seen"), "{flags:?}");
    let path = format!("/jmap/download/{}/{blob}/letter", bob.account);
    assert_eq!(carol.http("GET", &path, "").status, 200);

    // Taken back, it is gone from under the reader, who is told at once.
    let mut events = Events::open_as(&house, "carol", "types=Email&ping=0", "");
    let recalled = house.done(&[
        "recall",
        "run",
        "first@example.org",
        "--by",
        "alice@example.org",
    ]);
    assert!(recalled.contains("withdrawn-exposed"), "{recalled}");
    let (changed, _) = events.change(&bob.account);
    assert_eq!(types(&changed), ["Email"]);
    let since = json!({"sinceState": got["state"]});
    let changes = of(&carol, &bob.account, "Email/changes", since);
    assert_eq!(changes["destroyed"], json!([email]));
    // It takes more than one step, and each is told.
    let mut told = changed["Email"].clone();
    while told != changes["newState"] {
        told = events.change(&bob.account).0["Email"].clone();
    }
    assert_eq!(carol.http("GET", &path, "").status, 404);
    let gone = of(&carol, &bob.account, "Email/get", json!({"ids": [email]}));
    assert_eq!(gone["notFound"], json!([email]));
    let list = house.done(&["--json", "recall", "list"]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let id = list[0]["id"].as_str().expect("an id");
    let status = house.done(&["recall", "status", id]);
    assert!(status.contains("of carol@example.org"), "{status}");

    // Taken away, the account is not there any more.
    imap.command("DELETEACL INBOX carol@example.org")
        .expect("an answer");
    assert_eq!(carol.error("Email/get", nobody), "accountNotFound");
    assert_eq!(session(&carol), before);
    assert_eq!(carol.http("GET", &path, "").status, 404);
    assert_eq!(house.done(&["check"]), "everything holds\n");
}

#[test]
fn what_others_share_is_pushed_and_what_they_do_not_is_not() {
    let house = House::started("");
    let (bob, carol) = (house.jmap("bob"), house.jmap("carol"));
    let mut events = Events::open_as(&house, "carol", "types=*&ping=0", "");
    // Somebody gives rights, which is news of the reader's own, and then there is an account to hear of.
    house.done(&[
        "mailbox",
        "share",
        "bob@example.org",
        "INBOX",
        "--with",
        "carol@example.org",
    ]);
    let mut told = json!({});
    while told.get(&carol.account).is_none() || told.get(&bob.account).is_none() {
        for (account, changed) in events.next().data["changed"].as_object().expect("accounts") {
            told[account] = changed.clone();
        }
    }
    assert_eq!(types(&told[&carol.account]), ["ShareNotification"]);
    assert_eq!(types(&told[&bob.account]), ["Email", "Mailbox", "Thread"]);
    let notices = carol.call("ShareNotification/get", json!({"ids": null}));
    assert_eq!(notices["list"][0]["changedBy"]["principalId"], Value::Null);
    assert_eq!(notices["list"][0]["objectAccountId"], json!(bob.account));
    assert_eq!(told[&carol.account]["ShareNotification"], notices["state"]);
    // What happens elsewhere in the account is not heard: the next is the letter.
    let made = bob.call("Mailbox/set", json!({"create": {"k": {"name": "Own"}}}));
    let own = made["created"]["k"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let create = json!({"create": {"k": {"mailboxIds": {own.as_str(): true}}}});
    bob.call("Email/set", create);
    house.send("one");
    let (changed, id) = events.change(&bob.account);
    assert_eq!(
        types(&changed),
        ["Email", "EmailDelivery", "Mailbox", "Thread"]
    );
    let got = of(&carol, &bob.account, "Email/get", json!({"ids": []}));
    assert_eq!(changed["Email"], got["state"]);
    // Whoever was away hears of it with the next connection.
    drop(events);
    house.send("two");
    let mut events = Events::open_as(&house, "carol", "types=Email&ping=0", &id);
    let (changed, _) = events.change(&bob.account);
    assert_eq!(types(&changed), ["Email"]);
}

#[test]
fn what_is_uploaded_for_somebody_elses_account_is_imported_there() {
    let house = House::started("");
    let (bob, carol) = (house.jmap("bob"), house.jmap("carol"));
    let letter = house::message("brought");
    let path = format!("/jmap/upload/{}/", bob.account);
    assert_eq!(carol.http("POST", &path, &letter).status, 404);
    house.done(&[
        "mailbox",
        "share",
        "bob@example.org",
        "INBOX",
        "--with",
        "carol@example.org",
        "--rights",
        "lri",
    ]);
    let answer = carol.http("POST", &path, &letter);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let uploaded: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(uploaded["accountId"], json!(bob.account));
    let blob = uploaded["blobId"].as_str().expect("an id");
    let path = |account: &str| format!("/jmap/download/{account}/{blob}/letter");
    assert_eq!(carol.http("GET", &path(&bob.account), "").status, 200);
    assert_eq!(bob.http("GET", &path(&bob.account), "").status, 404);
    let email = json!({"blobId": blob, "mailboxIds": {inbox_of(&bob): true}});
    let imported = of(
        &carol,
        &bob.account,
        "Email/import",
        json!({"emails": {"k": email}}),
    );
    assert!(imported["created"]["k"].is_object(), "{imported}");
    let mut imap = house.imap("bob");
    let opened = imap.command("SELECT INBOX").expect("an answer");
    assert!(opened.says("1 EXISTS"), "{opened:?}");
}
