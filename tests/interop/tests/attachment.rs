//! One attachment is taken back: the file is gone for imapclient and mbsync, the text stays where it was
//! with its flags, a session in IDLE is told, and the whole comes back with a restore.
#![allow(clippy::unwrap_used, reason = "a test panics")]

use serde_json::json;
use tern_interop::house::address;
use tern_interop::mbsync::Mirror;
use tern_interop::{Agent, DEADLINE, House, until};

const TEXT: &str = "zweigattachmentquartz";
const FILE: &str = "c2VjcmV0IHByaWNlcw==";

fn letter() -> String {
    format!(
        "From: <{}>\r\nTo: <{}>\r\nSubject: prices\r\nMessage-ID: <prices@example.org>\r\n\
         Date: Sat, 21 Nov 2026 22:06:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{TEXT}\r\n--b\r\n\
         Content-Type: application/pdf; name=prices.pdf\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=prices.pdf\r\n\r\n{FILE}\r\n--b--\r\n",
        address("alice"),
        address("bob"),
    )
}

/// The one message with the text, and its flags.
fn read(agent: &mut Agent) -> Option<(u64, String, serde_json::Value)> {
    let mut messages = agent.messages("INBOX").into_iter();
    let (uid, text) = messages.find(|(_, text)| text.contains(TEXT))?;
    assert!(
        !messages.any(|(_, text)| text.contains(TEXT)),
        "it is there twice"
    );
    agent.call("select_folder", json!(["INBOX"]));
    let flags = agent.call("get_flags", json!([[uid]]));
    Some((uid, text, flags[uid.to_string()].clone()))
}

#[test]
fn one_attachment_is_gone_for_imapclient_and_mbsync_and_the_text_stays() {
    let house = House::new();
    house
        .submit_tls("alice", &[&address("bob")], &letter())
        .ok();
    let mut bob = house.imap("bob");
    let ((uid, text, _), _) = until("bob has it", DEADLINE, || read(&mut bob));
    assert!(text.contains(FILE));
    bob.call("add_flags", json!([[uid], ["\\Flagged"]]));
    let mirror = Mirror::new(&house, "bob", "mirror");
    mirror.sync().ok();
    let mut idle = house.imap("bob");
    idle.call("select_folder", json!(["INBOX"]));
    idle.call("idle", json!([]));

    let by = address("alice");
    let asked = ["<prices@example.org>", "--by", &by, "--attachment"];
    let with = |verb, attachment| [&["recall", verb][..], &asked, &[attachment]].concat();
    let wrong = house.tern.tern(&with("run", "other.pdf"), "").failed();
    assert!(wrong.contains("no-such-attachment"), "{wrong}");
    let plan = house.tern.json(&with("plan", "prices.pdf"));
    let withdrawn = &plan["messages"][0]["outcomes"]["withdrawn-exposed"];
    assert_eq!(*withdrawn, 1, "{plan}");
    let status = house.tern.json(&with("run", "prices.pdf"));
    assert_eq!(status["attachment"]["part"], "2", "{status}");
    assert_eq!(status["attachment"]["name"], "prices.pdf");
    let id = status["id"].as_str().unwrap().to_owned();

    let (told, _) = idle.idle_until("EXPUNGE", DEADLINE);
    if !told.iter().any(|one| one[1] == "EXISTS") {
        idle.idle_until("EXISTS", DEADLINE);
    }
    let ((now, text, flags), _) = until("bob has the rest", DEADLINE, || read(&mut bob));
    assert!(now > uid && !text.contains(FILE), "{text}");
    let note = text.replace("=\r\n", "");
    assert!(note.contains("An attachment, \"prices.pdf\""), "{note}");
    assert!(
        flags.as_array().unwrap().contains(&json!("\\Flagged")),
        "{flags}"
    );
    mirror.sync().ok();
    assert!(mirror.holding("INBOX", FILE).is_empty());
    assert_eq!(mirror.holding("INBOX", TEXT).len(), 1);

    house.tern.json(&["recall", "restore", &id]);
    let ((again, text, flags), _) = until("bob has the whole", DEADLINE, || {
        read(&mut bob).filter(|(_, text, _)| text.contains(FILE))
    });
    assert!(again > now && text.contains("prices.pdf"), "{text}");
    assert!(
        flags.as_array().unwrap().contains(&json!("\\Flagged")),
        "{flags}"
    );
    house.close();
}
