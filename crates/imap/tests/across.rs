//! A message that is copied or moved into another account, where a seal covers it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{Client, House};
use tern_imap::event::Event;
use tern_mailbox::Cover;

const LETTER: &[u8] = b"Subject: one\r\nMessage-ID: <1@example.org>\r\n\r\nwords\r\n";

/// It lies in a mailbox of Bob's in which Alice may do anything, and is sealed for her alone.
fn house() -> (House, Client) {
    let mut house = House::new();
    let mut bob = Client::login(&mut house);
    bob.ask(&mut house, "c CREATE Work");
    bob.append(&mut house, "Work", "", LETTER);
    house.share("bob", "Work", "alice@example.org", "lrswite");
    let alice = house.account("alice").0;
    house.seal_over(LETTER, Cover::Only([alice].into()));
    let mut alice = Client::login_as(&mut house, "alice");
    let selected = alice.ask(&mut house, "s SELECT \"Other Users/bob@example.org/Work\"");
    assert!(selected.contains("* 1 EXISTS"), "{selected}");
    alice.session.take_events();
    (house, alice)
}

#[test]
fn what_comes_under_a_seal_by_copy_or_move_settles_the_client_and_is_told_at_once() {
    for (command, code) in [
        ("c COPY 1 INBOX", "c OK [COPYUID"),
        ("c MOVE 1 INBOX", "[COPYUID"),
    ] {
        let (mut house, mut alice) = house();
        let answer = alice.ask(&mut house, command);
        assert!(answer.contains(code) && answer.contains("c OK"), "{answer}");
        let events = alice.session.take_events();
        let sealed = events
            .iter()
            .filter(|event| matches!(event, Event::Sealed(_)));
        assert_eq!(sealed.count(), 1, "{command}: {events:?}");
        // It has a UID in her account, and was never shown there.
        let status = alice.ask(&mut house, "n STATUS INBOX (MESSAGES UIDNEXT)");
        assert!(status.contains("MESSAGES 0 UIDNEXT 2"), "{status}");
        house.vaulted(LETTER);
        house.check();
    }
}
