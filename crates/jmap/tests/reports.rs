//! EmailSubmission: `dsnBlobIds` and `mdnBlobIds` (RFC 8621 7), without a server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::{CAROL, House};
use serde_json::{Value, json};
use tern_mailbox::Role;
use tern_queue::{LeaseId, Outcome, Reply};

const LETTER: &str = "From: bob@example.org\r\nSubject: Hello\r\nMessage-ID: <1@example.org>\r\n\
                      Disposition-Notification-To: bob@example.org\r\n\r\nHow are you?\r\n";

/// Bob's letter to Carol and to Ed, who is elsewhere: its submission.
fn submit(house: &mut House) -> String {
    let blob = house.upload("message/rfc822", LETTER.as_bytes());
    let drafts = house.mailbox(Role::Drafts);
    let email = json!({"blobId": blob, "mailboxIds": {drafts: true}});
    let made = house.call("Email/import", json!({"emails": {"e": email}}));
    let identities = house.call("Identity/get", json!({"ids": null}));
    let rcpt = ["carol@example.org", "ed@far.example"].map(|to| json!({"email": to}));
    let new = json!({
        "emailId": made["created"]["e"]["id"], "identityId": identities["list"][0]["id"],
        "envelope": {"mailFrom": {"email": "bob@example.org"}, "rcptTo": rcpt},
    });
    let set = house.call("EmailSubmission/set", json!({"create": {"s": new}}));
    let made = &set["created"]["s"];
    assert_eq!(
        (&made["dsnBlobIds"], &made["mdnBlobIds"]),
        (&json!([]), &json!([]))
    );
    made["id"].as_str().unwrap().to_owned()
}

/// Ed's server refuses it.
fn refuse(house: &mut House) {
    let due = house.delivery.due(house.now, 1).unwrap();
    let (delivery, now) = (Arc::clone(&house.delivery), house.now);
    delivery
        .take(&[due[0].id], LeaseId(1), now, 60_000)
        .unwrap();
    let reply = Reply {
        code: 550,
        enhanced: Some((5, 1, 1)),
        text: "nobody here".to_owned(),
        host: None,
    };
    let ended = [(due[0].id, Outcome::Permanent(reply))];
    let done = delivery.conclude(&ended, LeaseId(1), false, now, &mut house.entropy);
    done.unwrap();
}

/// Carol says that she was shown it.
fn notify(house: &mut House) {
    let who = std::mem::replace(&mut house.who, CAROL);
    let got = house.call("Email/query", json!({}));
    let identities = house.call("Identity/get", json!({"ids": null}));
    let disposition = json!({
        "actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed",
    });
    let mdn = json!({"forEmailId": got["ids"][0], "disposition": disposition});
    let args = json!({
        "identityId": identities["list"][0]["id"], "send": {"k": mdn},
        "onSuccessUpdateEmail": {"#k": {"keywords/$mdnsent": true}},
    });
    let sent = house.call("MDN/send", args);
    assert!(sent["sent"]["k"].is_object(), "{sent}");
    house.who = who;
}

fn get(house: &mut House, id: &str, properties: Value) -> Value {
    let args = json!({"ids": [id], "properties": properties});
    house.call("EmailSubmission/get", args)["list"][0].clone()
}

/// Bob's messages, the newest first: id and blob.
fn messages(house: &mut House) -> Vec<(String, Value)> {
    let sort = json!([{"property": "receivedAt", "isAscending": false}]);
    let found = house.call("Email/query", json!({"sort": sort}));
    let args = json!({"ids": found["ids"], "properties": ["blobId"]});
    let got = house.call("Email/get", args);
    let all = got["list"].as_array().unwrap().iter();
    let of = |it: &Value| (it["id"].as_str().unwrap().to_owned(), it["blobId"].clone());
    all.map(of).collect()
}

#[test]
fn reports_are_blobs_of_messages_and_a_change_of_the_submission_alone() {
    let mut house = House::new();
    let id = submit(&mut house);
    let known: Vec<Value> = messages(&mut house).into_iter().map(|it| it.1).collect();
    let state = get_state(&mut house);
    let queried = house.call("EmailSubmission/query", json!({}));
    refuse(&mut house);
    notify(&mut house);
    let new: Vec<Value> = messages(&mut house).into_iter().map(|it| it.1).collect();
    let new: Vec<&Value> = new.iter().filter(|it| !known.contains(it)).collect();
    let both = json!(["dsnBlobIds", "mdnBlobIds", "deliveryStatus"]);
    let now = get(&mut house, &id, both);
    let (dsn, mdn) = (&now["dsnBlobIds"][0], &now["mdnBlobIds"][0]);
    assert_eq!(new.len(), 2);
    assert!(
        new.contains(&dsn) && new.contains(&mdn) && dsn != mdn,
        "{now}"
    );
    assert_eq!(
        now["deliveryStatus"],
        json!({
            "carol@example.org": {
                "smtpReply": "250 2.1.5 In the mailbox", "delivered": "yes", "displayed": "yes",
            },
            "ed@far.example": {
                "smtpReply": "550 5.1.1 nobody here", "delivered": "no", "displayed": "unknown",
            },
        })
    );
    // Either by itself, too.
    let one = get(&mut house, &id, json!(["mdnBlobIds"]));
    assert_eq!(one, json!({"id": id, "mdnBlobIds": [mdn]}));
    for (blob, kind) in [(dsn, "delivery-status"), (mdn, "disposition-notification")] {
        let octets = house.download(blob.as_str().unwrap()).unwrap();
        let text = String::from_utf8(octets).unwrap();
        assert!(
            text.contains("multipart/report") && text.contains(kind),
            "{text}"
        );
    }
    let since = json!({"sinceState": state});
    let changes = house.call("EmailSubmission/changes", since);
    assert_eq!(changes["updated"], json!([id]));
    // RFC 8620 5.3: an object may be sent whole.
    let whole = json!({"dsnBlobIds": now["dsnBlobIds"], "mdnBlobIds": now["mdnBlobIds"]});
    let set = house.call("EmailSubmission/set", json!({"update": {&id: whole}}));
    assert_eq!(set["notUpdated"], Value::Null);
    let other = json!({"dsnBlobIds": []});
    let set = house.call("EmailSubmission/set", json!({"update": {&id: other}}));
    assert_eq!(set["notUpdated"][&id]["properties"], json!(["dsnBlobIds"]));
    let since = json!({"sinceQueryState": queried["queryState"]});
    let changes = house.call("EmailSubmission/queryChanges", since);
    assert_eq!(
        (&changes["added"], &changes["removed"]),
        (&json!([]), &json!([]))
    );
    house.check();
}

#[test]
fn a_report_that_is_gone_stays_in_the_list_and_leads_nowhere() {
    let mut house = House::new();
    let id = submit(&mut house);
    refuse(&mut house);
    let now = get(&mut house, &id, json!(["dsnBlobIds"]));
    let blob = now["dsnBlobIds"][0].clone();
    let all = messages(&mut house);
    let (email, _) = all.into_iter().find(|it| it.1 == blob).unwrap();
    let set = house.call("Email/set", json!({"destroy": [email]}));
    assert_eq!(set["destroyed"], json!([email]));
    assert_eq!(get(&mut house, &id, json!(["dsnBlobIds"])), now);
    assert_eq!(house.download(blob.as_str().unwrap()), None);
    house.check();
}

#[test]
fn reports_go_with_the_submission_that_they_are_about() {
    let mut house = House::new();
    let id = submit(&mut house);
    refuse(&mut house);
    let set = house.call("EmailSubmission/set", json!({"destroy": [id]}));
    assert_eq!(set["destroyed"], json!([id]));
    // The message stays, and is about nothing that is known.
    let before = messages(&mut house).len();
    notify(&mut house);
    assert_eq!(messages(&mut house).len(), before + 1);
    let got = house.call("EmailSubmission/get", json!({"ids": null}));
    assert_eq!(got["list"], json!([]));
    house.check();
}

fn get_state(house: &mut House) -> Value {
    house.call("EmailSubmission/get", json!({"ids": []}))["state"].clone()
}
