//! Every message of the corpus goes in by APPEND and comes back octet for octet: whole, in pieces,
//! header and text, and part by part.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use std::path::{Path, PathBuf};

use common::{Client, House};
use tern_session::Protocol as _;

fn files(directory: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some() {
            out.push(path);
        }
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    files(&root, &mut paths);
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// What a client sees of a message: NUL can't be in a literal.
fn on_the_wire(octets: &[u8]) -> Vec<u8> {
    let see = |byte: &u8| if *byte == 0 { 0x80 } else { *byte };
    octets.iter().map(see).collect()
}

/// The literals of an output, in order.
fn literals(output: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = output;
    while let Some(end) = rest.windows(3).position(|three| three == b"}\r\n") {
        let open = rest[..end].iter().rposition(|byte| *byte == b'{');
        let digits = open.and_then(|open| std::str::from_utf8(&rest[open + 1..end]).ok());
        let size = digits.and_then(|digits| digits.parse::<usize>().ok());
        rest = &rest[end + 3..];
        if let Some(size) = size {
            found.push(rest[..size].to_vec());
            rest = &rest[size..];
        }
    }
    found
}

fn literal(client: &mut Client, house: &mut House, command: &str) -> Vec<u8> {
    let output = client.command(house, command);
    assert!(
        output.windows(8).any(|eight| eight == b" OK Fetc"),
        "{command}: {}",
        output.escape_ascii()
    );
    literals(&output).into_iter().next().unwrap_or_default()
}

#[test]
fn the_corpus_comes_back_octet_for_octet() {
    let messages = corpus();
    assert!(messages.len() >= 100, "{} messages", messages.len());
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    for message in &messages {
        client.append(&mut house, "INBOX", "", message);
        let output = std::mem::take(&mut client.output);
        assert!(
            output.starts_with(b"p OK [APPENDUID"),
            "{}",
            output.escape_ascii()
        );
    }
    client.ask(&mut house, "s SELECT INBOX");
    for (number, message) in (1..).zip(&messages) {
        let wire = on_the_wire(message);
        let mut fetch =
            |item: &str| literal(&mut client, &mut house, &format!("f FETCH {number} {item}"));
        assert!(fetch("BODY.PEEK[]") == wire, "message {number}");
        assert!(fetch("RFC822") == wire, "message {number}");
        let both = [fetch("BODY.PEEK[HEADER]"), fetch("BODY.PEEK[TEXT]")].concat();
        assert!(both == wire, "header and text of message {number}");
        assert!(
            fetch("BINARY.PEEK[]").len() == message.len(),
            "binary {number}"
        );
        for piece in [997, 65_536] {
            let mut whole = Vec::new();
            while whole.len() < wire.len() {
                let octets = fetch(&format!("BODY.PEEK[]<{}.{piece}>", whole.len()));
                assert!(!octets.is_empty());
                whole.extend(octets);
            }
            assert!(whole == wire, "message {number} in pieces of {piece}");
        }
        let parsed = tern_mime::parse(message);
        parts(&parsed.body, &mut Vec::new(), &mut |path, part| {
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            let path = path.join(".");
            let range = part.body.start as usize..part.body.end as usize;
            let octets = fetch(&format!("BODY.PEEK[{path}]"));
            assert!(octets == wire[range], "part {path} of message {number}");
            let range = part.header.start as usize..part.header.end as usize;
            let octets = fetch(&format!("BODY.PEEK[{path}.MIME]"));
            assert!(
                octets == wire[range],
                "header of part {path} of message {number}"
            );
        });
    }
    // One response with everything, over all messages: every command ends well.
    let all = "g FETCH 1:* (FULL UID BODYSTRUCTURE PREVIEW EMAILID THREADID SAVEDATE BODY[])";
    let output = client.command(&mut house, all);
    assert!(output.ends_with(b"g OK Fetch completed\r\n"));
    house.check();
}

/// Calls `each` for every part that has a number.
fn parts(
    part: &tern_mime::Part,
    path: &mut Vec<u32>,
    each: &mut dyn FnMut(&[u32], &tern_mime::Part),
) {
    match &part.kind {
        tern_mime::PartKind::Multipart { parts: inner } => {
            for (number, part) in (1..).zip(inner) {
                path.push(number);
                each(path, part);
                if !matches!(part.kind, tern_mime::PartKind::Message { .. }) {
                    parts(part, path, each);
                } else {
                    parts(&part.children()[0], path, each);
                }
                path.pop();
            }
        }
        // RFC 9051 6.4.5.1: part 1 of what is no multipart is its body.
        _ if path.is_empty() => each(&[1], part),
        _ => {}
    }
}

#[test]
fn a_large_message_is_streamed_in_bounded_pieces() {
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    for number in 0..200_000 {
        message.extend_from_slice(format!("line {number}\r\n").as_bytes());
    }
    client.append(&mut house, "INBOX", "", &message);
    client.ask(&mut house, "s SELECT INBOX");
    (client.largest, client.steps) = (0, 0);
    assert!(literal(&mut client, &mut house, "a FETCH 1 BODY[]") == message);
    assert!(
        client.largest < 600 * 1024,
        "{} octets in one step",
        client.largest
    );
    assert!(client.steps > 4);
    let text = literal(&mut client, &mut house, "b FETCH 1 BODY.PEEK[TEXT]");
    assert!(text == message[18..]);
    let part = literal(
        &mut client,
        &mut house,
        "c FETCH 1 BINARY.PEEK[1]<300000.1000000>",
    );
    assert!(part == message[18 + 300_000..18 + 1_300_000]);

    // A seal in the middle of the literal ends the connection; nothing of the rest is sent.
    client.session.receive(b"d FETCH 1 BODY[]\r\n", house.now);
    assert!(client.step(&mut house));
    let before = client.output.len();
    assert!(before > 1000 && before < message.len());
    house.seal(&message);
    client.drive(&mut house);
    assert!(client.closed);
    assert_eq!(client.output.len(), before);

    // The same where the copy was withdrawn and the seal settled between two steps.
    message.extend_from_slice(b"another letter\r\n");
    let mut client = Client::login(&mut house);
    client.append(&mut house, "INBOX", "", &message);
    client.ask(&mut house, "s SELECT INBOX");
    client.session.receive(b"d FETCH 2 BODY[]\r\n", house.now);
    assert!(client.step(&mut house));
    let before = client.output.len();
    house.seal(&message);
    house.withdraw(&message);
    client.drive(&mut house);
    assert!(client.closed);
    assert_eq!(client.output.len(), before);
    house.check();
}

/// What is made of a message is under its seal as the message is, whenever it was made.
#[test]
fn a_seal_ends_a_literal_that_was_made_of_the_message_too() {
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let header = "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n";
    let many: String = (0..30_000)
        .map(|n| format!("X: {n} and some more\r\n"))
        .collect();
    let content = format!("{header}{many}\r\n{}", line.repeat(20_000)).into_bytes();
    for item in [
        "BINARY.PEEK[1]",
        "BINARY.PEEK[1]<100.800000>",
        "BODY.PEEK[HEADER.FIELDS (X)]",
        "BODY.PEEK[HEADER.FIELDS.NOT (Y)]<10.600000>",
    ] {
        for settled in [false, true] {
            let mut house = House::new();
            let mut client = Client::login(&mut house);
            client.append(&mut house, "INBOX", "", &content);
            client.ask(&mut house, "s SELECT INBOX");
            let fetch = format!("d FETCH 1 {item}\r\n");
            client.session.receive(fetch.as_bytes(), house.now);
            assert!(client.step(&mut house));
            let before = client.output.len();
            assert!(before > 1_000, "{item}: its first piece is there");
            house.seal(&content);
            if settled {
                house.withdraw(&content);
            }
            client.drive(&mut house);
            assert!(client.closed, "{item}");
            assert_eq!(client.output.len(), before, "{item}");
            house.check();
        }
    }
}

/// Where little is asked for that takes much to make, the answer does not wait for another step.
#[test]
fn what_was_made_is_written_in_the_step_that_made_it() {
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let header = "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let content = format!("{header}{}", line.repeat(300_000)).into_bytes();
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    client.append(&mut house, "INBOX", "", &content);
    client.output.clear();
    client.ask(&mut house, "s SELECT INBOX");
    let fetch = b"d FETCH 1 (BINARY.PEEK[1]<15000000.6> UID)\r\n";
    client.session.receive(fetch, house.now);
    assert!(client.step(&mut house));
    let told = String::from_utf8_lossy(&client.output).into_owned();
    assert_eq!(told, "* 1 FETCH (BINARY[1]<15000000> {6}\r\nABCABC");
}

#[test]
fn withdrawn_between_two_steps_is_not_served_from_an_old_batch() {
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    let messages: Vec<Vec<u8>> = (0..100)
        .map(|number| format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(10_000)).into_bytes())
        .collect();
    for message in &messages {
        client.append(&mut house, "INBOX", "", message);
    }
    client.ask(&mut house, "s SELECT INBOX");
    client
        .session
        .receive(b"d FETCH 1:* (UID BODY.PEEK[])\r\n", house.now);
    assert!(client.step(&mut house));
    house.seal(&messages[80]);
    house.withdraw(&messages[80]);
    client.drive(&mut house);
    let output = String::from_utf8_lossy(&client.output).into_owned();
    assert!(output.contains("Subject: 79\r\n") && output.contains("Subject: 81\r\n"));
    assert!(!output.contains("Subject: 80\r\n"));
    assert!(output.ends_with("d NO [EXPUNGEISSUED] Some messages are being removed\r\n"));
    assert!(client.largest < 300 * 1024);
    house.check();
}

#[test]
fn many_messages_of_one_append_are_all_there_or_none() {
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    let body = "x".repeat(4_000);
    let mut append = |house: &mut House, count: usize| {
        let mut octets = b"a APPEND INBOX".to_vec();
        for number in 0..count {
            let content = format!("Subject: {count} {number}\r\n\r\n{body}\r\n");
            octets.extend_from_slice(format!(" {{{}+}}\r\n{content}", content.len()).as_bytes());
        }
        octets.extend_from_slice(b"\r\n");
        client.send(house, &octets, usize::MAX);
        String::from_utf8_lossy(&std::mem::take(&mut client.output)).into_owned()
    };
    let answer = append(&mut house, 150);
    assert!(answer.contains("APPENDUID 1795298760 1:150]"), "{answer}");
    let answer = append(&mut house, 400);
    assert!(answer.starts_with("a NO [LIMIT]"), "{answer}");
    let view = house
        .mailboxes
        .view(common::BOB, tern_mailbox::INBOX)
        .unwrap();
    assert_eq!(view.len(), 150);
    house.check();
}
