//! What left this server and comes back with something added is recognised by its token, whatever a client
//! brings it by: a recall takes it, and none of it stays that is put back later.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use base64::Engine as _;
use house::House;
use house::jmap::JmapClient;
use serde_json::{Value, json};

/// What a mailing list makes of a message.
fn from_a_list(mail: &str, footer: &str) -> String {
    let tagged = mail.replace("Subject: ", "Subject: [list] ");
    assert_ne!(tagged, mail);
    format!("{tagged}-- \r\n{footer}\r\n")
}

/// Puts a message into an account's inbox by JMAP.
fn import(client: &JmapClient<'_>, mail: &str) -> Value {
    let path = format!("/jmap/upload/{}/", client.account);
    let answer = client.http("POST", &path, mail);
    assert_eq!(answer.status, 201, "{}", answer.body);
    let uploaded: Value = serde_json::from_str(&answer.body).expect("JSON");
    let got = client.call("Mailbox/query", json!({"filter": {"role": "inbox"}}));
    let inbox = got["ids"][0].as_str().expect("an id");
    let email = json!({"blobId": uploaded["blobId"], "mailboxIds": {inbox: true}});
    client.call("Email/import", json!({"emails": {"e": email}}))
}

/// The same with the message as data, by an Email of its own.
fn upload(client: &JmapClient<'_>, mail: &str) -> Value {
    let data = base64::engine::general_purpose::STANDARD.encode(mail);
    let create = json!({"b": {"data": [{"data:asBase64": data}], "type": "message/rfc822"}});
    let made = client.call("Blob/upload", json!({"create": create}));
    let got = client.call("Mailbox/query", json!({"filter": {"role": "inbox"}}));
    let inbox = got["ids"][0].as_str().expect("an id");
    let email = json!({"blobId": made["created"]["b"]["id"], "mailboxIds": {inbox: true}});
    client.call("Email/import", json!({"emails": {"e": email}}))
}

/// The subjects of an account's messages.
fn subjects(client: &JmapClient<'_>) -> Vec<String> {
    let calls = json!([
        ["Email/query", {"accountId": client.account}, "q"],
        ["Email/get", {"accountId": client.account, "properties": ["subject"],
            "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"}}, "g"],
    ]);
    let answers = client.calls(&calls);
    let list = answers[1][1]["list"].as_array().expect("a list");
    let mut all: Vec<String> = list
        .iter()
        .map(|email| email["subject"].as_str().unwrap_or_default().to_owned())
        .collect();
    all.sort();
    all
}

#[test]
fn what_came_back_and_a_client_appends_or_imports_goes_with_a_recall() {
    let house = House::started("");
    // What goes to nobody outside has nowhere to come back from.
    let sent = house.submission("alice").send(
        "alice@example.org",
        &["bob@example.org", "list@far.example"],
        house::message("quartz").as_bytes(),
    );
    assert_eq!(sent.expect("an answer").1.0, 250);
    let mut bob = house.imap("bob");
    bob.command("SELECT INBOX").expect("an answer");
    let fetched = bob.command("FETCH 1 BODY.PEEK[]").expect("an answer");
    let mail = String::from_utf8_lossy(&fetched.literals[0]).into_owned();
    assert!(mail.contains("Recall-Token: "), "{mail}");
    let without: String = mail
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("Recall-Token: "))
        .collect();

    let carol = house.jmap("carol");
    let mut by_imap = house.imap("carol");
    let by_append = from_a_list(&mail, "appended");
    let by_import = from_a_list(&mail, "imported");
    let by_blob = from_a_list(&mail, "from data");
    let unknown = from_a_list(&without, "no token").replace("[list]", "[other]");
    for mail in [&by_append, &unknown] {
        let done = by_imap
            .append("INBOX", "", mail.as_bytes())
            .expect("an answer");
        assert!(done.is_ok(), "{done:?}");
    }
    for made in [import(&carol, &by_import), upload(&carol, &by_blob)] {
        assert!(made["created"]["e"].is_object(), "{made}");
    }
    let came = "[list] quartz".to_owned();
    let stays = "[other] quartz".to_owned();
    assert_eq!(
        subjects(&carol),
        [came.clone(), came.clone(), came, stays.clone()]
    );

    // As whoever runs the server: by the default policy what was read waits for a second factor.
    house.done(&["recall", "run", "quartz@example.org"]);
    // Whoever brought one had it, and is told.
    let notice = "A message to you was taken back".to_owned();
    let left = [notice, stays];
    assert_eq!(subjects(&carol), left);
    assert_eq!(subjects(&house.jmap("bob")), ["Taken back: quartz"]);
    // What is put back later is stopped.
    let done = by_imap
        .append("INBOX", "", by_append.as_bytes())
        .expect("an answer");
    assert!(done.is_ok(), "{done:?}");
    import(&carol, &from_a_list(&mail, "later"));
    assert_eq!(subjects(&carol), left);
}
