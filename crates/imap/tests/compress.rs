//! COMPRESS (RFC 4978): when it may be asked for, what it carries, and input that means no good. What is
//! said over a compressed connection is tested by all transcripts (`session.rs`).

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use std::sync::Arc;

use common::{Client, House, facts};
use tern_imap::Session;
use tern_imap::limits::INFLATE_PIECE;
use tern_imap::settings::Settings;
use tern_session::Peer;

const OFFERED: &str = " COMPRESS=DEFLATE";

#[test]
fn it_is_offered_to_whoever_has_logged_in_and_once() {
    let mut house = House::new();
    let mut client = Client::new(&mut house, true);
    let greeting = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
    assert!(!greeting.contains(OFFERED), "{greeting}");
    let early = client.ask(&mut house, "a COMPRESS DEFLATE");
    assert_eq!(early, "a BAD Authenticate first\r\n");

    let mut bob = Client::login(&mut house);
    assert!(bob.ask(&mut house, "a CAPABILITY").contains(OFFERED));
    let unknown = bob.ask(&mut house, "b COMPRESS BROTLI");
    assert_eq!(unknown, "b NO [CANNOT] No such compression\r\n");
    assert!(bob.ask(&mut house, "c COMPRESS").starts_with("c BAD "));
    bob.compress(&mut house);
    assert!(!bob.ask(&mut house, "d CAPABILITY").contains(OFFERED));
    let again = bob.ask(&mut house, "e COMPRESS DEFLATE");
    let active = "e NO [COMPRESSIONACTIVE] Compression is on already\r\n";
    assert_eq!(again, active);
    assert_eq!(
        bob.ask(&mut house, "f LOGOUT"),
        "* BYE Logging out\r\nf OK Logout completed\r\n"
    );
    assert!(bob.closed);
}

#[test]
fn whoever_runs_the_server_can_leave_it_out() {
    let mut house = House::new();
    let mut bob = Client::login(&mut house);
    let settings = Settings {
        compress: false,
        ..Settings::default()
    };
    let peer = Peer {
        ip: [192, 0, 2, 1].into(),
        tls: Some(facts()),
    };
    bob.session = Session::new(Arc::new(settings), peer, house.now);
    bob.drive(&mut house);
    bob.ask(&mut house, "a LOGIN bob x");
    bob.verified(&mut house, common::accept());
    bob.output.clear();
    assert!(!bob.ask(&mut house, "b CAPABILITY").contains(OFFERED));
    let refused = bob.ask(&mut house, "c COMPRESS DEFLATE");
    assert_eq!(refused, "c NO [CANNOT] No such compression\r\n");
}

#[test]
fn large_messages_go_either_way_and_what_is_said_to_who_idles() {
    let mut house = House::new();
    let (mut bob, mut other) = (Client::login(&mut house), Client::login(&mut house));
    bob.compress(&mut house);
    let line = "All of this has been said before, and will be again.\r\n";
    let content = format!("Subject: long\r\n\r\n{}", line.repeat(40_000));
    bob.append(&mut house, "INBOX", "", content.as_bytes());
    let answer = String::from_utf8(std::mem::take(&mut bob.output)).unwrap();
    assert!(answer.starts_with("p OK [APPENDUID "), "{answer}");
    bob.ask(&mut house, "a SELECT INBOX");
    bob.largest = 0;
    let fetched = bob.ask(&mut house, "b FETCH 1 BODY.PEEK[]");
    assert!(fetched.contains(&content));
    assert!(bob.largest < 20_000, "{} octets at once", bob.largest);
    // As it is told without a command.
    assert_eq!(bob.ask(&mut house, "c IDLE"), "+ idling\r\n");
    other.append(&mut house, "INBOX", "", b"Subject: short\r\n\r\n");
    bob.notify(&mut house);
    assert_eq!(bob.output, b"* 2 EXISTS\r\n");
    bob.output.clear();
    assert_eq!(bob.ask(&mut house, "DONE"), "c OK Idle completed\r\n");
    house.check();
}

#[test]
fn what_comes_with_the_command_is_taken_for_compressed() {
    let mut house = House::new();
    // As a block of RFC 1951 3.2.4 that is not compressed.
    let block = |text: &[u8]| {
        let length = u16::try_from(text.len()).unwrap();
        let mut octets = vec![0];
        octets.extend(length.to_le_bytes());
        octets.extend((!length).to_le_bytes());
        octets.extend(text);
        octets
    };
    let ask = b"a COMPRESS DEFLATE\r\n".to_vec();
    let mut bob = Client::login(&mut house);
    bob.send(
        &mut house,
        &[ask.clone(), block(b"b NOOP\r\n")].concat(),
        usize::MAX,
    );
    let said = [
        b"a OK Compression is on from here\r\n".to_vec(),
        block(b"b OK Noop completed\r\n"),
    ];
    assert_eq!(bob.output, said.concat());
    // What is not ends the connection, in the words of the connection.
    let mut bob = Client::login(&mut house);
    let behind = [ask, b"\x07 NOOP\r\n".to_vec()].concat();
    bob.send(&mut house, &behind, usize::MAX);
    assert!(bob.closed);
    let bye = block(b"* BYE The input can't be decompressed\r\n");
    assert!(bob.output.ends_with(&bye), "{}", bob.output.escape_ascii());
}

#[test]
fn little_that_becomes_much_is_taken_a_piece_at_a_time() {
    let mut house = House::new();
    let mut bob = Client::login(&mut house);
    bob.compress(&mut house);
    // A line without an end, and commands without number: each is bounded as if it came so.
    bob.send(&mut house, &vec![b'x'; 8 << 20], usize::MAX);
    assert!(bob.closed);
    let bye = b"* BYE Line too long\r\n";
    assert!(bob.output.ends_with(bye), "{}", bob.output.escape_ascii());

    let mut bob = Client::login(&mut house);
    bob.compress(&mut house);
    let commands = b"n NOOP\r\n".repeat(100_000);
    bob.steps = 0;
    bob.send(&mut house, &commands, usize::MAX);
    assert_eq!(bob.output, b"n OK Noop completed\r\n".repeat(100_000));
    assert!(bob.steps > commands.len() / INFLATE_PIECE);
    assert!(bob.largest < INFLATE_PIECE * 4, "{}", bob.largest);
}
