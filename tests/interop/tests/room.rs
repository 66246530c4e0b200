//! No room: a full mailbox and a full disk, seen by foreign clients. Each is told so in the
//! protocol's own words, nothing acknowledged is lost, and mail is taken again once there is room.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test panics and reads clocks"
)]

use serde_json::json;
use tern_interop::house::{address, letter};
use tern_interop::{DEADLINE, Disk, House, Tern, until};

/// A message of about this many octets that does not compress.
fn large(word: &str, octets: usize) -> String {
    let mut state = word
        .bytes()
        .fold(1u64, |state, byte| state * 31 + u64::from(byte));
    let mut content = letter("alice", "bob", word);
    while content.len() < octets {
        for _ in 0..8 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            content += &format!("{:08x}", state >> 32);
        }
        content += "\r\n";
    }
    content
}

#[test]
fn a_full_mailbox_refuses_and_takes_mail_again() {
    let house = House::new();
    house
        .tern
        .tern(&["account", "quota", &address("bob"), "200000"], "")
        .ok();
    let mut bob = house.imap("bob");
    bob.call("append", json!(["INBOX", large("fits", 150_000), [], null]));
    let refused = bob.attempt("append", json!(["INBOX", large("over", 100_000), [], null]));
    assert!(refused.unwrap_err().contains("OVERQUOTA"));
    let quota = bob.call("get_quota", json!([]));
    assert!(
        quota[0].to_string().contains("limit=195"),
        "KiB allowed: {quota}"
    );

    // A sender is told for the recipient whose mailbox is full; the other one has the message.
    let to = [address("bob"), address("carol")];
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    house.deliver("x@elsewhere.test", &to, &large("both", 100_000));
    assert!(house.imap("carol").holds("INBOX", "The word is both"));
    assert!(!bob.holds("INBOX", "The word is both"));

    bob.call("select_folder", json!(["INBOX"]));
    bob.call("delete_messages", json!([[1]]));
    bob.call("expunge", json!([]));
    bob.call(
        "append",
        json!(["INBOX", large("again", 100_000), [], null]),
    );
    assert!(bob.holds("INBOX", "The word is again"));
    house.close();
}

/// Small enough that the memory of the store does not hide the disk.
const SMALL_STORE: &str = "[store]\nwrite_buffer_bytes = 8388608\nmax_wal_bytes = 16777216\n";

#[test]
fn a_full_disk_is_a_temporary_error_and_nothing_is_lost() {
    let mut tern = Tern::configured(SMALL_STORE);
    let Some(disk) = Disk::mount(&tern.dir().join("data"), 160) else {
        println!("skipped: no right to mount a file system");
        return;
    };
    tern.serve();
    let house = House::on(tern);
    let mut bob = house.imap("bob");
    let mut delivered = vec!["before".to_owned()];
    let bobs = address("bob");
    house
        .deliver("x@elsewhere.test", &[&bobs], &large("before", 300_000))
        .ok();

    // Mail fills the disk up to what is kept for everything else: a twentieth of it.
    disk.leave(20);
    let refused = (0..60).find_map(|n| {
        let word = format!("full{n}");
        let said = house.deliver("x@elsewhere.test", &[&bobs], &large(&word, 800_000));
        if said.status == 0 {
            delivered.push(word);
            return None;
        }
        Some(said.out + &said.err)
    });
    let refused = refused.unwrap_or_else(|| panic!("no end of room: {}", delivered.len()));
    assert!(refused.contains("452 4.3.1"), "{refused}");
    let append = json!(["INBOX", large("append", 800_000), [], null]);
    let error = bob.attempt("append", append.clone()).unwrap_err();
    assert!(error.contains("UNAVAILABLE"), "{error}");
    assert_all_there(&mut bob, &delivered);
    bob.call("select_folder", json!(["INBOX"]));
    bob.call("add_flags", json!([[1, 2], ["\\Flagged"]]));
    bob.call("move", json!([[2], "Archive"]));
    delivered.remove(1);

    // Then something else fills it to the last byte: what was read before can still be read.
    disk.fill();
    let error = bob.attempt("append", append).unwrap_err();
    assert!(error.contains("UNAVAILABLE"), "{error}");
    assert_all_there(&mut bob, &delivered);

    disk.free();
    until("mail is taken again", DEADLINE, || {
        let said = house.deliver(
            "x@elsewhere.test",
            &[&bobs],
            &letter("alice", "bob", "room"),
        );
        (said.status == 0).then_some(())
    });
    delivered.push("room".to_owned());
    assert_all_there(&mut bob, &delivered);
    drop(bob);

    // And a kill on top of it.
    let mut house = house;
    disk.fill();
    house.tern.kill();
    disk.free();
    house.tern.serve();
    assert_all_there(&mut house.imap("bob"), &delivered);
    house.tern.stop();
    house.tern.check();
    house.tern.verify_audit();
}

#[track_caller]
fn assert_all_there(bob: &mut tern_interop::Agent, words: &[String]) {
    let held = bob.messages("INBOX");
    for word in words {
        let text = format!("The word is {word}.");
        let count = held.iter().filter(|(_, m)| m.contains(&text)).count();
        assert_eq!(count, 1, "{word} of {} held", held.len());
    }
    assert_eq!(held.len(), words.len(), "more than was acknowledged");
}
