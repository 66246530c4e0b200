//! Bad input over real sockets: each case is answered or cut off within its limit, and the server
//! goes on serving others.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test panics and reads clocks"
)]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tern_interop::house::{address, letter, password};
use tern_interop::line::{Line, auth_plain};
use tern_interop::process::run;
use tern_interop::{DEADLINE, House, Tern};

/// Passwords in the clear, so that a bare socket can try them.
const IN_THE_CLEAR: &str = "[smtp]\nauth_without_tls = true\nsubmission_requires_tls = false\n\
    max_message_size = 100000\n[imap]\nauth_without_tls = true\nmax_message_size = 100000\n";

fn smtp(house: &House, kind: &str) -> Line {
    let mut line = Line::connect(house.tern.address(kind)).unwrap();
    assert!(line.smtp_reply().unwrap().starts_with("220 "));
    assert!(line.smtp("EHLO client.test").unwrap().starts_with("250"));
    line
}

fn imap(house: &House) -> Line {
    let mut line = Line::connect(house.tern.address("imap")).unwrap();
    assert!(line.line().unwrap().starts_with("* OK"));
    line
}

/// Somebody else is served as ever.
fn others_are_served(house: &House, word: &str) {
    house
        .submit_tls(
            "alice",
            &["carol@example.org"],
            &letter("alice", "carol", word),
        )
        .ok();
    assert!(house.imap("carol").holds("INBOX", word));
}

#[test]
fn wrong_passwords_by_the_dozen() {
    let limits =
        format!("{IN_THE_CLEAR}\n[limits]\nmax_login_failures = 12\nuncounted_networks = []\n");
    let house = House::with(&limits);
    let mut bob = house.imap("bob");
    let started = Instant::now();
    let guesses: Vec<_> = (0..8)
        .map(|guesser| {
            let address = house.tern.address(if guesser % 2 == 0 {
                "imap"
            } else {
                "submission"
            });
            #[allow(clippy::disallowed_methods, reason = "guessers at once")]
            std::thread::spawn(move || guess(address, guesser % 2 == 0))
        })
        .collect();
    let told: Vec<String> = guesses
        .into_iter()
        .flat_map(|guess| guess.join().unwrap())
        .collect();
    assert!(told.len() >= 12, "{told:#?}");
    for line in &told {
        let refused = line.starts_with("NO")
            || line.starts_with("535")
            || line.starts_with("454")
            || line.starts_with("421");
        assert!(refused, "{line}");
    }
    assert!(
        started.elapsed() > Duration::from_millis(250),
        "no guess was delayed"
    );
    // Who is in stays in; the address that guessed is refused even with the right password now.
    bob.call("select_folder", json!(["INBOX"]));
    let mut line = imap(&house);
    let reply = line
        .imap(&format!("LOGIN bob@example.org \"{}\"", password("bob")))
        .unwrap();
    assert!(reply.tagged.starts_with("NO"), "{reply:?}");
    house.close();
}

/// Guesses until it is shown out; answers what it was told.
fn guess(address: std::net::SocketAddr, is_imap: bool) -> Vec<String> {
    let mut told = Vec::new();
    let mut line = Line::connect(address).unwrap();
    if is_imap {
        line.line().unwrap();
        while let Ok(reply) = line.imap("LOGIN bob@example.org guess") {
            told.push(reply.tagged);
        }
    } else {
        line.smtp_reply().unwrap();
        line.smtp("EHLO guesser.test").unwrap();
        let guess = auth_plain("bob@example.org", "guess");
        while let Ok(reply) = line.smtp(&format!("AUTH PLAIN {guess}")) {
            told.push(reply);
        }
    }
    assert!(told.len() <= 10, "never shown out: {told:?}");
    told
}

#[test]
fn lines_without_an_end() {
    let house = House::with(IN_THE_CLEAR);
    let long = vec![b'A'; 200_000];
    for kind in ["smtp", "submission"] {
        let mut line = smtp(&house, kind);
        let sent = line.send(&long).and_then(|()| line.send(b"\r\nQUIT\r\n"));
        let rest = line.rest().unwrap_or_default();
        assert!(
            sent.is_err() || rest.starts_with('5') || rest.starts_with("421"),
            "{rest:?}"
        );
    }
    let mut line = imap(&house);
    let sent = line
        .send(&long)
        .and_then(|()| line.send(b"\r\nx LOGOUT\r\n"));
    let rest = line.rest().unwrap_or_default();
    assert!(
        sent.is_err() || rest.contains("BYE") || rest.contains(" BAD"),
        "{rest:?}"
    );
    others_are_served(&house, "afterlonglines");
    house.close();
}

#[test]
fn garbage_around_starttls_is_never_obeyed() {
    let house = House::new();
    // Commands sent in the clear behind STARTTLS must not be run under TLS (CVE-2011-0411).
    for kind in ["smtp", "submission"] {
        let mut line = smtp(&house, kind);
        line.patience(Duration::from_secs(3)).unwrap();
        line.send(b"STARTTLS\r\nNOOP\r\nMAIL FROM:<a@elsewhere.test>\r\n")
            .unwrap();
        let rest = line.rest().unwrap_or_default();
        assert!(!rest.contains("250"), "{rest:?}");
    }
    let mut line = imap(&house);
    line.patience(Duration::from_secs(3)).unwrap();
    line.send(b"a STARTTLS\r\nb NOOP\r\nc CAPABILITY\r\n")
        .unwrap();
    let rest = line.rest().unwrap_or_default();
    assert!(!rest.contains("b OK") && !rest.contains("c OK"), "{rest:?}");
    // Bytes that are no TLS behind a STARTTLS that was accepted, and on the TLS ports.
    let mut line = smtp(&house, "submission");
    assert!(line.smtp("STARTTLS").unwrap().starts_with("220"));
    line.send(&[0x16, 3, 1, 0xff, 0xff, 0, 1, 2, 3, 0, 0, 0, 0, 7])
        .unwrap();
    line.send(&[b'x'; 70_000]).ok();
    let _ = line.rest();
    for kind in ["imaps", "submissions"] {
        let mut line = Line::connect(house.tern.address(kind)).unwrap();
        line.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let rest = line.rest().unwrap_or_default();
        assert!(!rest.contains("OK") && !rest.contains("220"), "{rest:?}");
    }
    others_are_served(&house, "aftergarbage");
    house.close();
}

#[test]
fn a_message_that_is_too_large() {
    let house = House::with(IN_THE_CLEAR);
    let large = letter("alice", "bob", "large") + &"0123456789 and so on\r\n".repeat(6_000);
    let said = house
        .submit_tls("alice", &["bob@example.org"], &large)
        .failed();
    assert!(said.contains("552"), "{said}");
    // Announced or not: BDAT has no SIZE to refuse by.
    let mut line = smtp(&house, "smtp");
    assert!(
        line.smtp("MAIL FROM:<a@elsewhere.test> SIZE=9999999")
            .unwrap()
            .starts_with("552")
    );
    let mut bob = house.imap("bob");
    let appended = bob.attempt("append", json!(["INBOX", large, [], null]));
    let error = appended.unwrap_err();
    assert!(
        error.contains("TOOBIG") || error.contains("large"),
        "{error}"
    );
    let mut bob = house.imap("bob");
    assert!(bob.uids("INBOX").is_empty());
    others_are_served(&house, "afterlarge");
    house.close();
}

#[test]
fn nobody_relays_and_nobody_sends_as_another() {
    let house = House::with(IN_THE_CLEAR);
    let mut line = smtp(&house, "smtp");
    assert!(
        line.smtp("MAIL FROM:<a@elsewhere.test>")
            .unwrap()
            .starts_with("250")
    );
    assert!(
        line.smtp("RCPT TO:<b@third.test>")
            .unwrap()
            .starts_with('5')
    );
    assert!(
        line.smtp("RCPT TO:<nobody@example.org>")
            .unwrap()
            .starts_with("550")
    );
    assert!(
        line.smtp("RCPT TO:<robert@example.org>")
            .unwrap()
            .starts_with("250")
    );
    let mut line = smtp(&house, "submission");
    assert!(
        line.smtp("MAIL FROM:<alice@example.org>")
            .unwrap()
            .starts_with("530")
    );
    let proof = auth_plain(&address("bob"), &password("bob"));
    assert!(
        line.smtp(&format!("AUTH PLAIN {proof}"))
            .unwrap()
            .starts_with("235")
    );
    assert!(
        line.smtp("MAIL FROM:<alice@example.org>")
            .unwrap()
            .starts_with('5')
    );
    house.close();
}

#[test]
fn commands_of_no_grammar() {
    let house = House::with(IN_THE_CLEAR);
    let mut line = imap(&house);
    let hostile = [
        "a",
        "",
        "a FETCH",
        "a LOGIN {5",
        "a SELECT INBOX",
        "\u{0}\u{1}",
        "a SEARCH ((((((((((((",
        "a APPEND INBOX {999999999999999999999}",
        "a FETCH 1 BODY[1.2.3.4.5.6.7.8.9.HEADER.FIELDS",
        "a UID FETCH 4294967296:* FLAGS",
        "* OK",
        "+ go on",
    ];
    let mut answered = 0;
    for command in hostile {
        if line.send(format!("{command}\r\n").as_bytes()).is_err() {
            break;
        }
        answered += 1;
    }
    assert!(answered > 0);
    let _ = line.send(b"z LOGOUT\r\n");
    let rest = line.rest().unwrap_or_default();
    assert!(rest.contains("BAD") && !rest.contains("a OK"), "{rest:?}");
    let mut line = imap(&house);
    let login = format!("LOGIN bob@example.org \"{}\"", password("bob"));
    assert!(line.imap(&login).unwrap().is_ok());
    for command in [
        "SELECT {2}",
        "NO SUCH COMMAND",
        "SEARCH CHARSET KLINGON ALL",
        "FETCH 0 FLAGS",
    ] {
        let reply = match command.ends_with('}') {
            true => {
                let tag = line.imap_send(command).unwrap();
                assert!(line.line().unwrap().starts_with('+'));
                line.send(b"xx\r\n").unwrap();
                line.imap_reply(&tag).unwrap()
            }
            false => line.imap(command).unwrap(),
        };
        assert!(!reply.is_ok(), "{command}: {reply:?}");
    }
    assert!(
        line.imap("SELECT INBOX").unwrap().is_ok(),
        "the session goes on"
    );
    others_are_served(&house, "afternonsense");
    house.close();
}

#[test]
fn a_slip_in_the_configuration_names_line_key_and_nearest_key() {
    let tern = Tern::configured("[limits]\nmax_conections = 10\n");
    let mut command = Command::new(tern.bin());
    command.arg("serve").arg("--config").arg(tern.config());
    let said = run(&mut command, b"", DEADLINE).failed();
    let text = std::fs::read_to_string(tern.config()).unwrap();
    let line = text
        .lines()
        .position(|line| line.contains("max_conections"))
        .unwrap()
        + 1;
    for needle in [
        "max_conections",
        "`max_connections`",
        "limits",
        &line.to_string(),
    ] {
        assert!(said.contains(needle), "{needle}: {said}");
    }
    let tern = Tern::configured("[log2]\n");
    let mut command = Command::new(tern.bin());
    command.arg("serve").arg("--config").arg(tern.config());
    let said = run(&mut command, b"", DEADLINE).failed();
    assert!(said.contains("log2") && said.contains("`log`"), "{said}");
}

/// Two servers over one data directory would be the end of it.
#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let house = House::new();
    let mut command = Command::new(house.tern.bin());
    command
        .arg("serve")
        .arg("--config")
        .arg(house.tern.config());
    let said = run(&mut command, b"", DEADLINE).failed();
    assert!(!said.trim().is_empty());
    others_are_served(&house, "aftersecond");
    house.close();
}
