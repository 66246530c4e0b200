//! A store that is put back from a backup, and one whose log was damaged.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a real server takes real time, and a test may panic"
)]

mod house;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use house::House;

/// A number of Bob's inbox.
fn status(house: &House, item: &str) -> u64 {
    let mut bob = house.imap("bob");
    let reply = bob.command(&format!("STATUS INBOX ({item})"));
    let told = reply.expect("an answer").untagged.join("\n");
    let (_, number) = told.split_once(&format!("({item} ")).expect("the item");
    let digits = number.split(')').next().expect("its end");
    digits.parse().expect("a number")
}

#[test]
fn no_client_takes_what_comes_after_the_backup_for_what_it_knew() {
    let mut house = House::started("");
    house.send("before the backup");
    let backup = house.path("old");
    house.done(&["backup", backup.to_str().expect("UTF-8")]);
    house.send("after the backup");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&backup), 0o700, "it holds everybody's mail");
    let numbers = |house: &House| (status(house, "UIDVALIDITY"), status(house, "HIGHESTMODSEQ"));
    let before = numbers(&house);
    let start_again = |house: &mut House| {
        house.stop();
        house.start();
    };
    // It is what it was for a server that is only started again.
    start_again(&mut house);
    assert_eq!(numbers(&house), before);

    house.stop();
    fs::remove_dir_all(house.path("data/store")).expect("removed");
    fs::rename(&backup, house.path("data/store")).expect("put back");
    let mark = house.path("data/store/BACKUP");
    assert_eq!(house.done(&["check"]), "everything holds\n");
    assert!(mark.exists(), "whoever only looks at it leaves it as it is");
    house.start();
    assert!(!mark.exists());
    let restored = || house.done(&["audit", "search", "--action", "store.restored"]);
    assert_eq!(
        restored().lines().count(),
        1,
        "it is on record: {}",
        restored()
    );
    house.send("another after the backup");
    let after = numbers(&house);
    assert!(
        after.0 > before.0 && after.1 > before.1,
        "{before:?} {after:?}"
    );
    start_again(&mut house);
    assert_eq!(numbers(&house), after, "once for each backup");
    assert_eq!(house.done(&["check"]), "everything holds\n");
}

/// The newest write-ahead log of the store.
fn newest_log(house: &House) -> PathBuf {
    let files = fs::read_dir(house.path("data/store/db")).expect("the store's files");
    let logs = files.map(|file| file.expect("a file").path());
    let newest = logs
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .max();
    newest.expect("a log")
}

#[test]
fn a_damaged_log_is_told_and_no_number_is_given_out_again() {
    let mut house = House::started("");
    house.send("kept");
    let before = (
        status(&house, "UIDVALIDITY"),
        status(&house, "HIGHESTMODSEQ"),
    );
    house.kill();
    let log = newest_log(&house);
    let mut content = fs::read(&log).expect("the log");
    let at = content.len() - 20;
    content[at..].fill(0x5a);
    fs::write(&log, content).expect("damaged");
    // A program that opens it before does not take the news away.
    house.done(&["account", "list"]);
    house.start();
    assert!(house.has_logged("did not read back"));
    assert!(house.path("data/store/damaged-logs").exists());
    house.send("after the damage");
    let after = (
        status(&house, "UIDVALIDITY"),
        status(&house, "HIGHESTMODSEQ"),
    );
    assert!(
        after.0 > before.0 && after.1 > before.1,
        "{before:?} {after:?}"
    );
    house.stop();
    house.start();
    assert_eq!(status(&house, "UIDVALIDITY"), after.0, "once");
}
