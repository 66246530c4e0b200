//! A store that is put back from a backup.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::fs;

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
