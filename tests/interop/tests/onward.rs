//! What somebody sent on to another server by their own client: a recall stops it, its outcome is one of
//! its own, and the report counts it without telling who sent it where. Whoever had opened theirs gets a
//! notice, and the report says so.
#![allow(clippy::unwrap_used, reason = "a test panics")]

use serde_json::{Value, json};
use tern_interop::House;
use tern_interop::house::letter;

const FAR: &str = "somebody@far.example";

/// Bob's letter with hers attached, as it came.
fn forwarded(attached: &str) -> String {
    format!(
        "From: bob@example.org\r\nTo: {FAR}\r\nSubject: Have a look\r\n\
         Date: Fri, 20 Nov 2026 11:11:12 +0100\r\nMessage-ID: <forwarded@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"parts\"\r\n\r\n\
         --parts\r\n\r\nHave a look.\r\n\
         --parts\r\nContent-Type: message/rfc822\r\n\r\n{attached}\r\n--parts--\r\n"
    )
}

/// The copies of the report that a mail has as an attachment, by recipient.
fn addressed(report: &str) -> Vec<(Value, Value)> {
    let start = report.find("\r\n{").unwrap();
    let end = report.rfind("}\r\n").unwrap();
    let report: Value = serde_json::from_str(&report[start..=end]).unwrap();
    let ends = report["addressed"].as_array().unwrap().iter();
    ends.map(|one| (one["recipient"].clone(), one["copies"][0].clone()))
        .collect()
}

#[test]
fn what_was_sent_on_by_a_client_has_its_outcome_and_the_report_says_who_got_a_notice() {
    let house = House::new();
    let word = "zweigonward";
    let content = letter("alice", "bob@example.org, carol@example.org", word);
    house
        .submit_tls("alice", &["bob@example.org", "carol@example.org"], &content)
        .ok();
    let mut bob = house.imap("bob");
    let messages = bob.messages("INBOX");
    let (_, hers) = messages
        .iter()
        .find(|(_, text)| text.contains(word))
        .unwrap();
    let attached = hers.replace("\r\n", "\n").replace('\n', "\r\n");
    house
        .submit_starttls("bob", &[FAR], &forwarded(&attached))
        .ok();
    let waiting = house.tern.queue();
    assert_eq!(waiting.len(), 1, "{waiting:#?}");

    let id = format!("{word}@example.org");
    let run = ["recall", "run", &id, "--by", "alice@example.org"];
    house.tern.tern(&run, "").ok();
    let recall = house.tern.recalls().remove(0);
    let status = house.tern.recall_status(recall["id"].as_str().unwrap());
    let copies = status["copies"].as_array().unwrap();
    let of = |who: &str| copies.iter().find(|one| one["recipient"] == who).unwrap();
    // By whom it was sent on is for those who may see it.
    assert_eq!(of(FAR)["sentOn"]["by"], "bob@example.org", "{status:#}");
    for (who, outcome, notice) in [
        (FAR, "prevented", Value::Null),
        ("bob@example.org", "withdrawn-exposed", json!("sent")),
        ("carol@example.org", "withdrawn-unexposed", Value::Null),
    ] {
        assert_eq!(of(who)["outcome"], outcome, "{status:#}");
        assert_eq!(of(who)["notice"]["outcome"], notice, "{status:#}");
    }
    assert_eq!(house.tern.queue(), [Value::Null; 0]);
    assert!(bob.holds("INBOX", "took back a message"), "the notice");
    assert!(
        !house.imap("carol").holds("INBOX", word),
        "nor a word of it"
    );

    // Her report is read by her client.
    let mut alice = house.imap("alice");
    let reports = alice.messages("Recall");
    let (_, report) = reports
        .iter()
        .find(|(_, text)| text.contains("Taken back: "))
        .unwrap();
    assert!(!report.contains(FAR), "{report}");
    let report = report.replace("\r\n", "\n").replace('\n', "\r\n");
    let outcome = |copy: &Value| (copy["outcome"].clone(), copy["notice"].clone());
    let told: Vec<_> = addressed(&report)
        .iter()
        .map(|(who, copy)| (who.clone(), outcome(copy)))
        .collect();
    for expected in [
        (
            json!("bob@example.org"),
            (json!("withdrawn-exposed"), json!("sent")),
        ),
        (
            json!("carol@example.org"),
            (json!("withdrawn-unexposed"), Value::Null),
        ),
        (Value::Null, (json!("prevented"), Value::Null)),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
    drop((alice, bob));
    house.close();
}
