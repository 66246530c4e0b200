//! What comes back of a submission: from here, from another server, and from who reads it.

use std::time::Instant;

use serde_json::{Value, json};
use tern_server::demo::client::SmtpClient;

use super::house::jmap::JmapClient;
use super::house::remote::Remote;
use super::house::{House, TIME_LIMIT, message};
use super::send::draft;

/// Alice's letter to these: the id of its submission.
fn submit(alice: &JmapClient<'_>, letter: &str, to: &[&str]) -> String {
    let (email, identity) = draft(alice, letter);
    let rcpt: Vec<Value> = to.iter().map(|to| json!({"email": to})).collect();
    let envelope = json!({"mailFrom": {"email": "alice@example.org"}, "rcptTo": rcpt});
    let new = json!({"identityId": identity, "emailId": email, "envelope": envelope});
    let set = alice.call("EmailSubmission/set", json!({"create": {"s": new}}));
    let id = set["created"]["s"]["id"].as_str();
    id.unwrap_or_else(|| panic!("{set}")).to_owned()
}

/// The submission, once it is as it should be.
fn until(alice: &JmapClient<'_>, id: &str, is: impl Fn(&Value) -> bool) -> Value {
    let since = Instant::now();
    loop {
        let got = alice.call("EmailSubmission/get", json!({"ids": [id]}));
        let now = got["list"][0].clone();
        if is(&now) {
            return now;
        }
        assert!(since.elapsed() < TIME_LIMIT, "{now:#}");
    }
}

/// What a download of a blob answers.
fn download(client: &JmapClient<'_>, blob: &Value) -> (u16, String) {
    let blob = blob.as_str().expect("an id");
    let path = format!("/jmap/download/{}/{blob}/report.eml", client.account);
    let answer = client.http("GET", &path, "");
    (answer.status, answer.body)
}

/// The blobs of the reports in a mailbox, as Emails have them.
fn report_blobs(client: &JmapClient<'_>) -> Value {
    let asked = json!({"ids": null, "properties": ["blobId", "header:Content-Type:asText"]});
    let all = client.call("Email/get", asked);
    let all = all["list"].as_array().expect("a list").iter();
    let is_report = |it: &&Value| {
        it["header:Content-Type:asText"]
            .to_string()
            .contains("report")
    };
    all.filter(is_report)
        .map(|it| it["blobId"].clone())
        .collect()
}

#[test]
fn a_bounce_of_this_server_is_among_the_reports_of_its_submission() {
    let house = House::started("");
    house.done(&["account", "quota", "bob@example.org", "1"]);
    let alice = house.jmap("alice");
    let to = ["bob@example.org", "carol@example.org"];
    let id = submit(&alice, &message("six"), &to);
    let got = alice.call("EmailSubmission/get", json!({"ids": [id]}));
    let now = &got["list"][0];
    assert_eq!(now["dsnBlobIds"], report_blobs(&alice), "{now:#}");
    assert_eq!(now["mdnBlobIds"], json!([]));
    assert_eq!(now["deliveryStatus"]["bob@example.org"]["delivered"], "no");
    assert_eq!(
        now["deliveryStatus"]["carol@example.org"]["delivered"],
        "yes"
    );
    let (status, report) = download(&alice, &now["dsnBlobIds"][0]);
    assert_eq!(status, 200);
    for part in [
        "Content-Type: multipart/report; report-type=delivery-status",
        "Final-Recipient: rfc822; bob@example.org",
    ] {
        assert!(report.contains(part), "{report}");
    }
}

#[test]
fn what_another_server_reports_later_is_known_by_its_envelope_id() {
    let remote = Remote::new();
    let routes = remote.route("other.test");
    let house = House::started(&format!("[relay.routes]\n{routes}"));
    let alice = house.jmap("alice");
    let id = submit(&alice, &message("seven"), &["ed@other.test"]);
    let mut call = remote.call();
    let heard = call.until_data();
    let mail = heard.iter().find(|line| line.starts_with("MAIL FROM:"));
    let envid = mail.and_then(|line| line.split(" ENVID=").nth(1));
    let envid = envid.unwrap_or_else(|| panic!("{heard:?}"));
    let envid = envid.split(' ').next().unwrap_or_default().to_owned();
    let content = call.content();
    assert!(!content.contains(&envid), "no reader has it");
    call.say("250 taken");
    let status = |now: &Value| now["deliveryStatus"]["ed@other.test"].clone();
    let before = until(&alice, &id, |now| status(now)["delivered"] == "unknown");
    assert_eq!(before["dsnBlobIds"], json!([]));
    let state = alice.call("EmailSubmission/get", json!({"ids": []}))["state"].clone();
    let send = |envid: &str| {
        let wire = house.wire(house.ports.smtp);
        let mut server = SmtpClient::new(wire).expect("a banner");
        let report = format!(
            "From: <MAILER-DAEMON@other.test>\r\nTo: <alice@example.org>\r\nSubject: Returned\r\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\n\r\nIt did not work.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; other.test\r\nOriginal-Envelope-Id: {envid}\r\n\r\n\
             Final-Recipient: rfc822; ed@other.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\
             Diagnostic-Code: smtp; 550 5.1.1 Ed has left\r\n\r\n\
             --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <seven@example.org>\r\n\r\n--b--\r\n"
        );
        let sent = server.send("", &["alice@example.org"], report.as_bytes());
        let (_, (code, text)) = sent.expect("an answer");
        assert_eq!(code, 250, "{text}");
    };
    // Whoever got the message can write this, and is listed with it.
    send("none");
    let listed = until(&alice, &id, |now| now["dsnBlobIds"] != json!([]));
    assert_eq!(status(&listed), status(&before));
    let changes = alice.call("EmailSubmission/changes", json!({"sinceState": state}));
    assert_eq!(changes["updated"], json!([id]));
    send(&envid);
    let now = until(&alice, &id, |now| status(now)["delivered"] == "no");
    assert_eq!(status(&now)["smtpReply"], "550 5.1.1 Ed has left");
    assert_eq!(now["dsnBlobIds"].as_array().map(Vec::len), Some(2));
    assert_eq!(now["dsnBlobIds"], report_blobs(&alice));
}

#[test]
fn who_was_shown_it_says_so_and_may_take_the_word_back() {
    let house = House::started("");
    let (alice, bob) = (house.jmap("alice"), house.jmap("bob"));
    let letter = message("eight");
    let letter = format!("Disposition-Notification-To: alice@example.org\r\n{letter}");
    let id = submit(&alice, &letter, &["bob@example.org"]);
    let displayed = |now: &Value| now["deliveryStatus"]["bob@example.org"]["displayed"].clone();
    let before = until(&alice, &id, |_| true);
    assert_eq!(
        (&before["mdnBlobIds"], displayed(&before)),
        (&json!([]), json!("unknown"))
    );
    let got = bob.call("Email/get", json!({"ids": null, "properties": ["id"]}));
    let identities = bob.call("Identity/get", json!({"ids": null}));
    let disposition = json!({
        "actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed",
    });
    let mdn = json!({"forEmailId": got["list"][0]["id"], "disposition": disposition});
    let args = json!({
        "identityId": identities["list"][0]["id"], "send": {"k": mdn},
        "onSuccessUpdateEmail": {"#k": {"keywords/$mdnsent": true}},
    });
    let sent = bob.call("MDN/send", args);
    assert!(sent["sent"]["k"].is_object(), "{sent}");
    let now = until(&alice, &id, |now| displayed(now) == "yes");
    assert_eq!(now["mdnBlobIds"], report_blobs(&alice));
    assert_eq!(now["dsnBlobIds"], json!([]));
    let blob = now["mdnBlobIds"][0].clone();
    assert_eq!(download(&alice, &blob).0, 200);
    // It is a message, which is taken back as any; what it was about is another one.
    let asked = json!({"ids": null, "properties": ["messageId", "blobId"]});
    let all = alice.call("Email/get", asked);
    let all = all["list"].as_array().expect("a list");
    let own = all.iter().find(|it| it["blobId"] == blob).expect("there");
    let message_id = own["messageId"][0].as_str().expect("an id");
    house.done(&["recall", "run", message_id]);
    assert_eq!(download(&alice, &blob).0, 404);
    let after = until(&alice, &id, |_| true);
    assert_eq!(
        (&after["mdnBlobIds"], displayed(&after)),
        (&json!([blob]), json!("yes"))
    );
}
