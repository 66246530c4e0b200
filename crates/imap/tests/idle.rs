//! What an idling client is told in pieces, with changes between them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{BOB, Client, House};
use tern_session::Protocol as _;
use tern_store::mem::Injected;

fn content(subject: &str) -> Vec<u8> {
    format!("Subject: {subject}\r\n\r\nhi").into_bytes()
}

/// The mailbox goes first and what is in it after that: whoever looks between the two, and never hears
/// of the second, is told all the same.
#[test]
fn a_deleted_mailbox_ends_the_session_that_idles_in_it_though_nothing_else_changes() {
    let mut house = House::new();
    let mut idler = Client::login(&mut house);
    idler.ask(&mut house, "c CREATE Work");
    idler.ask(&mut house, "s SELECT Work");
    idler.ask(&mut house, "i IDLE");
    let work = house.mailboxes.folder(BOB, "Work").unwrap().id;
    let mut commits = 0;
    house.engine.set_fault_hook(Some(Box::new(move |_| {
        commits += 1;
        (commits > 1).then_some(Injected::Full)
    })));
    let cut_off = house
        .mailboxes
        .delete_folder(&tern_mailbox::Access::owner(BOB, work), house.now);
    assert!(cut_off.is_err(), "between its two commits");
    house.engine.set_fault_hook(None);
    idler.session.notify();
    idler.drive(&mut house);
    let told = String::from_utf8(std::mem::take(&mut idler.output)).unwrap();
    assert_eq!(told, "* BYE The selected mailbox was deleted\r\n");
    assert!(idler.closed);
    house.upkeep.finish_deletions(house.now).unwrap();
    house.check();
}

/// A message that comes while expunges are being told, and goes before it is told, is counted
/// before it is expunged: no number stands for a message that the client was not told of.
#[test]
fn what_came_and_went_between_two_pieces_is_counted_first() {
    for qresync in [false, true] {
        let mut house = House::new();
        let mut idler = Client::login(&mut house);
        let mut other = Client::login(&mut house);
        for subject in ["one", "two"] {
            other.append(&mut house, "INBOX", "", &content(subject));
        }
        if qresync {
            idler.ask(&mut house, "q ENABLE QRESYNC");
        }
        idler.ask(&mut house, "s SELECT INBOX");
        other.ask(&mut house, "s SELECT INBOX");
        idler.ask(&mut house, "i IDLE");

        other.ask(&mut house, "a STORE 1 +FLAGS.SILENT (\\Deleted)");
        other.ask(&mut house, "b EXPUNGE");
        other.append(&mut house, "INBOX", "\\Deleted", &content("three"));
        idler.session.notify();
        assert!(idler.step(&mut house), "a first piece, and more to do");
        other.ask(&mut house, "c EXPUNGE");
        idler.session.notify();
        idler.drive(&mut house);

        let told = String::from_utf8(std::mem::take(&mut idler.output)).unwrap();
        let expected = if qresync {
            "* VANISHED 1\r\n* 2 EXISTS\r\n* VANISHED 3\r\n"
        } else {
            "* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 2 EXPUNGE\r\n"
        };
        assert_eq!(told, expected);
    }
}
