//! A damaged row keeps a chore from what it is about, and from nothing else.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::*;
use tern_base::{AccountId, SeededEntropy, Timestamp, Uid};
use tern_mailbox::{
    Access, Client, Cover, Grantee, Hooks, INBOX, MailboxError, Rights, RightsChange, Sighting,
    limits,
};
use tern_store::{Batch, Engine, Range, Read, StoreError, Verdict};

const DAMAGED: MailboxError = MailboxError::Store(StoreError::Damaged);

fn rows(house: &House, prefix: &[u8]) -> Vec<Vec<u8>> {
    let page = house.engine.scan(&Range::prefix(prefix.to_vec()), 1_000);
    page.unwrap().rows.into_iter().map(|(key, _)| key).collect()
}

fn put(house: &House, key: Vec<u8>, row: Option<Vec<u8>>) {
    let mut batch = Batch::new();
    match row {
        Some(row) => batch.put(key, row),
        None => batch.delete(key),
    }
    house.engine.commit(batch).unwrap();
}

/// Damages the first row of a table, or of an account in it.
fn damage(house: &House, prefix: &[u8]) {
    let first = rows(house, prefix).swap_remove(0);
    put(house, first, Some(vec![0xff]));
}

/// The rows of an account in a table.
fn of(table: u8, account: AccountId) -> Vec<u8> {
    [&[table][..], &account.0.to_be_bytes()].concat()
}

#[test]
fn other_contents_are_collected() {
    let mut house = House::new();
    for n in 1..4 {
        house.append(ALICE, INBOX, &letter(n));
        let inbox = Access::owner(ALICE, INBOX);
        let gone = house
            .mailboxes
            .expunge(&inbox, &[Uid(n as u32)], false, house.now);
        assert_eq!(gone.unwrap().len(), 1);
        house.now = house.now.plus_millis(1);
    }
    // The one that has waited longest.
    let first = rows(&house, &[0x1e]).swap_remove(0);
    let blob = [&[0x1a][..], &first[9..]].concat();
    put(&house, blob.clone(), Some(vec![0xff]));
    let later = house.now.plus_millis(limits::UNREFERENCED_GRACE_MS);
    assert_eq!(house.upkeep.collect(later, 100), Err(DAMAGED));
    assert_eq!(rows(&house, &[0x1a]), [blob]);
}

#[test]
fn other_uploads_expire() {
    let house = House::new();
    let mut entropy = SeededEntropy::new(1);
    for account in [ALICE, BOB] {
        let upload = house
            .mailboxes
            .upload(account, "text/plain", b"x", house.now, &mut entropy);
        upload.unwrap();
    }
    damage(&house, &of(0x7c, ALICE));
    let later = house.now.plus_millis(limits::UPLOAD_LIFETIME_MS);
    assert_eq!(house.upkeep.expire_uploads(later, 100), Err(DAMAGED));
    assert_eq!(rows(&house, &of(0x7c, BOB)).len(), 0);
    assert_eq!(rows(&house, &of(0x7c, ALICE)).len(), 1);
}

#[test]
fn other_logs_are_trimmed_and_every_account_behind_has_its_turn() {
    let mut house = House::new();
    let remembering = open_with(&house.engine, Hooks::none()).remembering(5);
    house.reopen_as(remembering.into_opened());
    for account in [ALICE, BOB] {
        for n in 0..9 {
            house.append(account, INBOX, &letter(n));
        }
    }
    damage(&house, &of(0x15, ALICE));
    assert_eq!(house.upkeep.trim_logs(), Err(DAMAGED));
    assert!(house.mailboxes.account_head(BOB).unwrap().logged <= 5);
}

#[test]
fn what_is_known_of_other_clients_is_written() {
    let house = House::new();
    let saw = |account| {
        let client = Client {
            name: "Phone".into(),
            ..Client::default()
        };
        let sighting = Sighting {
            account,
            client,
            address: String::new(),
            told: None,
        };
        house.mailboxes.saw_device(sighting, house.now);
    };
    saw(ALICE);
    house.upkeep.write_devices(Timestamp(u64::MAX)).unwrap();
    damage(&house, &of(0x7b, ALICE));
    saw(ALICE);
    saw(BOB);
    assert_eq!(
        house.upkeep.write_devices(Timestamp(u64::MAX)),
        Err(DAMAGED)
    );
    assert_eq!(rows(&house, &of(0x7b, BOB)).len(), 1);
    // What could not be brought together is noted no more.
    assert_eq!(house.upkeep.write_devices(Timestamp(u64::MAX)), Ok(()));
}

#[test]
fn an_index_row_without_its_grant_goes_with_whom_it_names() {
    let house = House::new();
    let trash = house.mailboxes.folder(ALICE, "Trash").unwrap().id;
    for mailbox in [INBOX, trash] {
        let given = house.mailboxes.transact(&[ALICE, BOB], |txn| {
            let (grantee, rights) = (Grantee::Account(BOB), RightsChange::Set(Rights::READ));
            let given = house
                .mailboxes
                .change_rights_in(txn, (ALICE, mailbox), grantee, rights);
            given.map(Verdict::Commit)
        });
        assert_eq!(given, Ok(Rights::READ));
    }
    let grants = rows(&house, &[0x80]);
    put(&house, grants[0].clone(), None);
    put(&house, grants[1].clone(), Some(vec![0xff]));
    assert_eq!(rows(&house, &[0x81]).len(), 2);
    house.upkeep.drop_grants_of(Grantee::Account(BOB)).unwrap();
    assert_eq!(rows(&house, &[0x80]).len() + rows(&house, &[0x81]).len(), 0);
    house.check();
}

#[test]
fn a_check_tells_of_a_row_that_can_not_be_read_and_looks_at_all_others() {
    let mut house = House::new();
    for account in [ALICE, BOB] {
        for n in 1..4 {
            house.append(account, INBOX, &letter(n));
        }
    }
    let mut entropy = SeededEntropy::new(1);
    let mailboxes = &house.mailboxes;
    let upload = mailboxes.upload(ALICE, "text/plain", b"x", house.now, &mut entropy);
    upload.unwrap();
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    assert_eq!(house.withdraw_all(digest), 2);
    house.check();
    let tables = [
        0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x18, 0x19, 0x1a, 0x1c, 0x65, 0x7a, 0x7c, 0x8a,
    ];
    for table in tables {
        let engine = house.engine.fork();
        let house = House::over(engine.clone(), open(&engine));
        damage(&house, &[table]);
        // Something else is amiss in the account behind.
        let last = rows(&house, &of(0x15, BOB)).pop().unwrap();
        put(&house, last, None);
        let found = house.upkeep.check(&Default::default()).unwrap();
        let is_told = |what: &str| found.iter().any(|one| one.0.contains(what));
        assert!(is_told("a row can't be read"), "{table:02x}: {found:?}");
        assert!(is_told("change log ends before"), "{table:02x}: {found:?}");
    }
}

#[test]
fn an_index_entry_and_its_row_are_each_missed() {
    let mut house = House::new();
    house.append(BOB, INBOX, &letter(1));
    house.append(BOB, INBOX, &letter(2));
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    assert_eq!(house.withdraw_all(digest), 1);
    let found = |table: u8, is_there: bool| {
        let engine = house.engine.fork();
        let house = House::over(engine.clone(), open(&engine));
        let mut key = rows(&house, &[table]).swap_remove(0);
        match is_there {
            true => put(&house, key, None),
            // The same of another message.
            false => {
                let row = house.engine.get(&key).unwrap();
                *key.last_mut().unwrap() += 100;
                put(&house, key, row);
            }
        }
        let found = house.upkeep.check(&Default::default()).unwrap();
        found.into_iter().map(|one| one.0).collect::<Vec<_>>()
    };
    for (table, says) in [
        (0x18, "copy"),
        (0x17, "thread"),
        (0x1f, "vault"),
        (0x65, "placement"),
    ] {
        for is_there in [true, false] {
            let found = found(table, is_there);
            assert!(
                matches!(&found[..], [one] if one.contains(says)),
                "{says}: {found:?}"
            );
        }
    }
}
