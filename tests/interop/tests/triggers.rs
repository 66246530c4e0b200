//! The triggers of people who have an ordinary mail client and nothing else: a keyword set by
//! imapclient; a forward, a Message-ID, a
//! correction and what Outlook's "Recall This Message" sends, submitted by swaks.
#![allow(clippy::unwrap_used, reason = "a test panics")]

mod job;

use std::process::Command;

use job::{Job, agent_has, exactly, find, report};
use serde_json::json;
use tern_interop::house::{self, address};
use tern_interop::process::run;
use tern_interop::{DEADLINE, House, until};

const ASK: &str = "recall@example.org";
/// A TNEF stream that says no more than `IPM.Outlook.Recall`.
const WINMAIL: &str = "eJ8+IgEAAQiABwATAAAASVBNLk91dGxvb2suUmVjYWxsAIIG";

/// A mail to the server's own address.
fn ask(from: &str, further: &str, body: &str) -> String {
    format!(
        "From: <{}>\r\nTo: {ASK}\r\nSubject: Fwd\r\nMessage-ID: <ask-{from}@example.org>\r\n\
         {further}\r\n{body}\r\n",
        address(from)
    )
}

/// The text of the one message of somebody's inbox that answers their mail.
fn reply(house: &House, who: &str) -> String {
    let mut agent = house.imap(who);
    let answers = format!("In-Reply-To: <ask-{who}@example.org>");
    let (text, _) = until("an answer by mail", DEADLINE, || {
        let messages = agent.messages("INBOX").into_iter();
        messages
            .map(|(_, text)| text)
            .find(|text| text.contains(&answers))
    });
    text
}

#[test]
fn the_keyword_set_by_imapclient() {
    let mut job = Job::begin("keyword");
    let uid = find(&mut job.alice, "Sent", &job.word);
    job.alice.call("add_flags", json!([[uid], ["$Recall"]]));
    job.bob_is_told();
    job.everybody_lost_it();
    job.queue_is_cancelled();
    let (id, text) = job.report();
    job.outcomes_agree(&id, &text);
    // Cleared, nothing comes back; her own copy stays where it was.
    let uid = find(&mut job.alice, "Sent", &job.word);
    job.alice.call("remove_flags", json!([[uid], ["$Recall"]]));
    assert_eq!(job.house.tern.recall_status(&id)["state"], "done");
    // On what somebody else sent it is refused.
    let uid = find(&mut job.bob, "INBOX", &job.other);
    job.bob.call("add_flags", json!([[uid], ["$Recall"]]));
    report(&mut job.bob, "Not taken back");
    assert!(agent_has(&mut job.carol, "INBOX", &job.other));
    let Job { house, .. } = job;
    house.close();
}

#[test]
fn the_sent_message_forwarded_as_an_attachment_by_swaks() {
    let mut job = Job::begin("forward");
    let to = [
        "bob@example.org",
        "carol@example.org",
        house::GROUP,
        house::OUTSIDE,
    ];
    let letter = house::letter("alice", &to.join(", "), &job.word);
    let further = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";
    let body = format!(
        "--b\r\n\r\nPlease take this back.\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
         {letter}\r\n--b--"
    );
    let mail = ask("alice", further, &body);
    job.house.submit_tls("alice", &[ASK], &mail).ok();
    job.bob_is_told();
    job.everybody_lost_it();
    job.queue_is_cancelled();
    let (id, text) = job.report();
    job.outcomes_agree(&id, &text);
    let reply = reply(&job.house, "alice");
    assert!(
        reply.contains("Taken back") && reply.contains(&id),
        "{reply}"
    );
    let Job { house, .. } = job;
    house.close();
}

#[test]
fn its_message_id_mailed_by_swaks_and_by_those_who_may_not() {
    let mut job = Job::begin("named");
    let named = format!("Please take back <{}@example.org>.", job.word);
    let mail = |from| ask(from, "", &named);
    // Nobody from outside, and nobody who has not sent it.
    let outside = job
        .house
        .deliver("eve@elsewhere.test", &[ASK], &mail("alice"));
    let outside = outside.failed();
    assert!(outside.contains("550 5.7.1"), "{outside}");
    job.house.submit_tls("bob", &[ASK], &mail("bob")).ok();
    let refused = reply(&job.house, "bob");
    assert!(refused.contains("Not taken back"), "{refused}");
    assert!(agent_has(&mut job.bob, "INBOX", &job.word));
    job.house
        .submit_starttls("alice", &["recall+please@example.org"], &mail("alice"))
        .ok();
    job.bob_is_told();
    let (id, text) = job.report();
    job.outcomes_agree(&id, &text);
    for member in ["bob", "carol", "dave", "erin"] {
        let has = agent_has(&mut job.house.imap(member), "INBOX", &job.word);
        assert!(!has, "{member}");
    }
    assert!(reply(&job.house, "alice").contains(&id));
    // The name is kept.
    let added = ["alias", "add", ASK, "bob@example.org"];
    let refused = job.house.tern.tern(&added, "").failed();
    assert!(refused.contains("is kept"), "{refused}");
    let Job { house, .. } = job;
    house.close();
}

#[test]
fn a_correction_submitted_by_swaks_takes_its_place() {
    let mut job = Job::begin("corrected");
    let to = ["bob@example.org", "carol@example.org"];
    let right = format!("{}right", job.word);
    let letter = house::letter("alice", &to.join(", "), &right);
    let supersedes = format!("Supersedes: <{}@example.org>\r\nMIME-Version", job.word);
    let letter = letter.replacen("MIME-Version", &supersedes, 1);
    job.house.submit_tls("alice", &to, &letter).ok();
    job.bob_is_told();
    let (id, text) = job.report();
    for member in ["bob", "carol", "dave", "erin"] {
        let has = agent_has(&mut job.house.imap(member), "INBOX", &job.word);
        assert!(!has, "{member}");
    }
    assert!(
        text.contains(&format!("Correction: <{right}@example.org>")),
        "{text}"
    );
    let status = job.house.tern.recall_status(&id);
    assert_eq!(status["replacedBy"], format!("{right}@example.org"));
    let corrected = job::read_by(&mut job.bob, &right);
    assert!(corrected.contains("Supersedes:") && corrected.contains(&exactly(&right)));
    let Job { house, .. } = job;
    house.close();
}

/// What Outlook sends for "Recall This Message": to the same people, with its class in the
/// attachment of its own kind.
#[test]
fn a_recall_message_of_outlook_submitted_by_swaks() {
    let mut job = Job::begin("outlook");
    let subject = format!("About {}", job.word);
    let mail = format!(
        "From: <{}>\r\nTo: {ASK}\r\nSubject: Recall: {subject}\r\nMessage-ID: <ask-alice@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\
         alice would like to recall the message.\r\n--b\r\n\
         Content-Type: application/ms-tnef; name=winmail.dat\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{WINMAIL}\r\n--b--\r\n",
        address("alice")
    );
    let to = ["bob@example.org", "carol@example.org", house::GROUP];
    // From outside it is a mail like any other.
    job.house.deliver(&address("alice"), &to[1..2], &mail).ok();
    let asked = |carol: &mut tern_interop::Agent| {
        let messages = carol.messages("INBOX").into_iter();
        messages
            .filter(|(_, text)| text.contains("would like to recall"))
            .count()
    };
    assert_eq!(asked(&mut job.carol), 1);
    assert!(agent_has(&mut job.bob, "INBOX", &job.word));
    job.house.submit_tls("alice", &to, &mail).ok();
    job.bob_is_told();
    job.everybody_lost_it();
    let (id, text) = job.report();
    job.outcomes_agree(&id, &text);
    assert!(reply(&job.house, "alice").contains(&id));
    assert_eq!(asked(&mut job.carol), 1, "nobody is shown the request");
    let Job { house, .. } = job;
    house.close();
}

#[test]
fn a_time_of_expiry_submitted_by_swaks() {
    let mut job = Job::begin("expires");
    let passing = format!("{}passing", job.word);
    let soon = run(
        Command::new("date").args(["-u", "-R", "-d", "+4 seconds"]),
        b"",
        DEADLINE,
    );
    let expires = format!("Expires: {}\r\nMIME-Version", soon.ok().trim());
    let letter = house::letter("alice", "bob", &passing).replacen("MIME-Version", &expires, 1);
    let to = ["bob@example.org"];
    job.house.submit_tls("alice", &to, &letter).ok();
    // From outside the field is a field.
    let foreign = letter.replace(&passing, &format!("{}foreign", job.word));
    job.house.deliver("eve@elsewhere.test", &to, &foreign).ok();
    let read = job::read_by(&mut job.bob, &passing);
    assert!(read.contains("Expires:"), "{read}");
    job.bob_is_told();
    assert!(!agent_has(&mut job.bob, "INBOX", &passing));
    assert!(job.bob.holds("INBOX", &format!("{}foreign", job.word)));
    let (_, text) = report(&mut job.alice, "Taken back");
    assert!(text.contains("Expires:"), "{text}");
    let Job { house, .. } = job;
    house.close();
}
