//! The real binary over real sockets: both ways to TLS, logins, delivery, push, limits, slow
//! clients, a kill, and an orderly end.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::time::Duration;

use house::{House, PASSWORD, address, is_closed, message};
use tern_server::demo::client::{ImapClient, SmtpClient};

#[test]
fn mail_arrives_by_both_ways_to_tls() {
    let house = House::started("");
    let mut alice = SmtpClient::new(house.wire(house.ports.submission)).expect("a banner");
    let (code, _) = alice
        .command("MAIL FROM:<alice@example.org>")
        .expect("an answer");
    assert_eq!(code, 530, "nothing is submitted before TLS");
    alice.start_tls().expect("TLS");
    assert_eq!(
        alice
            .login(&address("alice"), PASSWORD)
            .expect("an answer")
            .0,
        235
    );
    let content = message("first");
    let sent = alice.send(
        "alice@example.org",
        &["bob@example.org"],
        content.as_bytes(),
    );
    assert_eq!(sent.expect("an answer").1.0, 250);
    house.send("second");

    let mut bob = ImapClient::new(house.wire(house.ports.imap)).expect("a greeting");
    let early = bob.login(&address("bob"), PASSWORD).expect("an answer");
    assert!(
        early.done.contains("NO") || early.done.contains("BAD"),
        "{}",
        early.done
    );
    bob.start_tls().expect("TLS");
    assert!(
        bob.login(&address("bob"), PASSWORD)
            .expect("an answer")
            .is_ok()
    );
    assert_eq!(
        bob.command("SELECT INBOX")
            .expect("an answer")
            .number("EXISTS"),
        Some(2)
    );
    let fetched = bob.command("FETCH 1:2 BODY.PEEK[TEXT]").expect("an answer");
    let texts: Vec<&[u8]> = fetched.literals.iter().map(Vec::as_slice).collect();
    assert_eq!(
        texts,
        [
            &b"Text of first.\r\n.dot\r\n"[..],
            b"Text of second.\r\n.dot\r\n"
        ]
    );
}

#[test]
fn idle_is_told_of_new_mail_and_of_flags_set_elsewhere() {
    let house = House::started("");
    let mut phone = house.imap("bob");
    phone.command("SELECT INBOX").expect("an answer");
    let idle = phone.idle().expect("idling");
    house.send("news");
    phone.wait_for("1 EXISTS").expect("told");
    let mut desktop = house.imap("bob");
    desktop.command("SELECT INBOX").expect("an answer");
    desktop
        .command("STORE 1 +FLAGS (\\Flagged)")
        .expect("an answer");
    phone.wait_for("(\\Flagged))").expect("told");
    desktop
        .command("STORE 1 +FLAGS.SILENT (\\Deleted)")
        .expect("an answer");
    desktop.command("EXPUNGE").expect("an answer");
    phone.wait_for("1 EXPUNGE").expect("told");
    assert!(phone.done(&idle).expect("an answer").is_ok());
}

#[test]
fn logins_that_fail_say_nothing_and_end_the_session() {
    let house = House::started("");
    let mut answers = Vec::new();
    for login in ["bob@example.org", "nobody@example.org"] {
        let wire = house.secure_wire(house.ports.imaps);
        let mut client = ImapClient::new(wire).expect("a greeting");
        let reply = client.login(login, "wrong password").expect("an answer");
        assert!(reply.done.starts_with("NO"), "{}", reply.done);
        answers.push(reply.done);
    }
    assert_eq!(answers[0], answers[1]);
    let mut smtp = SmtpClient::new(house.secure_wire(house.ports.submissions)).expect("a banner");
    let (code, _) = smtp
        .login(&address("bob"), "wrong password")
        .expect("an answer");
    assert_eq!(code, 535);
    house.done(&["account", "disable", "bob@example.org"]);
    let (code, _) = smtp.login(&address("bob"), PASSWORD).expect("an answer");
    assert_eq!(code, 535, "a disabled account is refused in the same words");
}

#[test]
fn too_many_failures_are_refused_unseen() {
    let house = House::started("[limits]\nmax_login_failures = 1\nuncounted_networks = []\n");
    let wire = house.secure_wire(house.ports.imaps);
    let mut client = ImapClient::new(wire).expect("a greeting");
    client
        .login(&address("bob"), "wrong password")
        .expect("an answer");
    let reply = client.login(&address("bob"), PASSWORD).expect("an answer");
    assert!(!reply.is_ok(), "{}", reply.done);
}

#[test]
fn what_was_accepted_outlives_a_kill() {
    let mut house = House::started("");
    for subject in ["one", "two", "three"] {
        house.send(subject);
    }
    house.kill();
    house.start();
    let mut bob = house.imap("bob");
    assert_eq!(
        bob.command("SELECT INBOX")
            .expect("an answer")
            .number("EXISTS"),
        Some(3)
    );
    house.send("four");
    assert!(bob.command("NOOP").expect("an answer").says("4 EXISTS"));
    assert!(house.stop().0);
    assert_eq!(house.done(&["check"]), "everything holds\n");
}

#[test]
fn stopping_tells_every_session() {
    let mut house = House::started("");
    let mut idle = house.imap("bob");
    idle.command("SELECT INBOX").expect("an answer");
    idle.idle().expect("idling");
    let mut smtp = house.submission("alice");
    let (ended_well, took) = house.stop();
    assert!(ended_well);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let line = idle.wire().line().expect("a word");
    assert!(line.starts_with("* BYE"), "{line}");
    assert_eq!(smtp.reply().expect("a word").0, 421);
    assert!(is_closed(smtp.reply()));
}

#[test]
fn the_server_is_full_at_its_limit_and_not_after() {
    let house = House::started("[limits]\nmax_connections = 2\n");
    let first = house.imap("bob");
    let _second = house.imap("carol");
    let mut third = house.wire(house.ports.smtp);
    assert!(third.line().expect("a word").starts_with("421 "));
    assert!(is_closed(third.line()));
    drop(first);
    // The first one's end is seen before its place is free.
    let since = std::time::Instant::now();
    loop {
        let line = house.wire(house.ports.smtp).line();
        if line.is_ok_and(|line| line.starts_with("220 ")) {
            break;
        }
        assert!(since.elapsed() < house::TIME_LIMIT, "no place was freed");
    }
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting() {
    let mut house = House::started("[limits]\nwrite_timeout_secs = 1\n");
    let big = format!(
        "{}{}",
        message("big"),
        "0123456789abcde\r\n".repeat(250_000)
    );
    let mut bob = house.imap("bob");
    for _ in 0..10 {
        assert!(
            bob.append("INBOX", "", big.as_bytes())
                .expect("an answer")
                .is_ok()
        );
    }
    // It asks for 40 MB and reads none of it.
    let mut slow = house.imap("bob");
    slow.command("SELECT INBOX").expect("an answer");
    slow.wire()
        .send(b"x FETCH 1:* BODY.PEEK[]\r\n")
        .expect("sent");
    bob.command("SELECT INBOX").expect("an answer");
    for n in 0..20 {
        house.send(&format!("quick{n}"));
    }
    assert!(bob.command("NOOP").expect("an answer").says("30 EXISTS"));
    // It is cut off in the end: what it can still read is not all of it.
    house.wait_log("cut off: the client does not take its output");
    let all = 10 * big.len();
    let mut read = 0;
    while let Ok(bytes) = slow.wire().exactly(4096) {
        read += bytes.len();
    }
    assert!(read < all, "{read} of {all}");
}

#[test]
fn commands_in_one_piece_are_answered_in_order() {
    let house = House::started("");
    let mut wire = house.wire(house.ports.smtp);
    wire.line().expect("a banner");
    let many = "NOOP\r\n".repeat(90);
    let batch = format!("EHLO other.example\r\n{many}RCPT TO:<bob@example.org>\r\nQUIT\r\n");
    wire.send(batch.as_bytes()).expect("sent");
    let mut codes = Vec::new();
    while let Ok(line) = wire.line() {
        if line.as_bytes().get(3) != Some(&b'-') {
            codes.push(line.get(..3).unwrap_or_default().to_owned());
        }
    }
    assert_eq!(codes.len(), 93);
    assert_eq!(codes[91..], ["503", "221"]);
}

#[test]
fn the_demo_holds() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tern"))
        .args(["demo", "--once"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(", 0 did not"), "{text}");
}
