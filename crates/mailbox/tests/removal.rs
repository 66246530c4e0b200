//! What an owner deleted stays deleted, and of an account that is removed nothing is left: cut off
//! at any commit. Every test ends with a check of the whole store.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{AccountId, BlobId, ContentDigest, MailboxId, MessageId, OriginId, Timestamp, Uid};
use tern_mailbox::{
    Access, AppendRequest, Exposure, ExposureLevel, Flags, INBOX, Landing, Lineage, MailboxError,
    Placed, Served, Share, Transfer, Viewer,
};
use tern_store::mem::Injected;
use tern_store::{Batch, Engine, MemEngine, Range, Read, StoreError, Verdict};

use house::{ALICE, BOB, House, TAG, open};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const CONTENT: &[u8] =
    b"References: <began@it.test>\r\nMessage-ID: <1@x>\r\nSubject: letter\r\n\r\nBody\r\n";

/// Two accounts without folders.
fn house() -> House {
    let engine = MemEngine::new();
    let house = House::over(engine.clone(), open(&engine));
    for account in [ALICE, BOB] {
        house
            .mailboxes
            .create_account(account, 0, &[], NOW)
            .unwrap();
    }
    house
}

fn viewer() -> Viewer {
    Viewer {
        protocol: "imap",
        client: "Mua".to_owned(),
        address: "192.0.2.1".to_owned(),
        ..Viewer::default()
    }
}

fn append(house: &House, account: AccountId, mailbox: MailboxId) -> Placed {
    let request = AppendRequest {
        account,
        mailbox,
        content: CONTENT.to_vec(),
        flags: Flags::empty(),
        received: None,
        origin: OriginId([1; 16]),
        by: viewer().into(),
    };
    house.mailboxes.append(request, NOW).unwrap()
}

fn deliver(house: &House, account: AccountId) -> Placed {
    let prepared = house.mailboxes.prepare(CONTENT.to_vec(), NOW).unwrap();
    let landing = Landing {
        account,
        mailbox: INBOX,
        flags: Flags::empty(),
        received: NOW,
        prefix: Vec::new(),
        origin: OriginId([2; 16]),
        lineage: Lineage::Delivered,
        brought_by: None,
    };
    let mut placed = house.mailboxes.land(&prepared, &[landing], NOW).unwrap();
    placed.pop().unwrap().unwrap()
}

fn digest() -> ContentDigest {
    tern_mime::content_digest(&[7; 32], CONTENT)
}

fn withdraw(house: &House, copy: (AccountId, MessageId)) -> bool {
    let gone = house.mailboxes.transact(&[copy.0], |txn| {
        house
            .sealing
            .withdraw_in(txn, &[copy], TAG, NOW)
            .map(Verdict::Commit)
    });
    gone.unwrap()[0].is_some()
}

fn restore(house: &House, copy: (AccountId, MessageId)) -> Option<Vec<(MailboxId, Uid)>> {
    let back = house.mailboxes.transact(&[copy.0], |txn| {
        house
            .sealing
            .restore_in(txn, copy.0, copy.1)
            .map(Verdict::Commit)
    });
    back.unwrap()
}

fn check(house: &House) {
    assert_eq!(house.upkeep.check(&BTreeMap::new()).unwrap(), []);
}

/// Runs `work`, whose commits from number `cut` on are refused; true if it got through.
fn cut_off<T>(
    engine: &MemEngine,
    cut: usize,
    work: impl FnOnce() -> Result<T, MailboxError>,
) -> bool {
    let mut commits = 0;
    engine.set_fault_hook(Some(Box::new(move |_| {
        commits += 1;
        (commits > cut).then_some(Injected::Full)
    })));
    let done = work();
    engine.set_fault_hook(None);
    done.is_ok()
}

#[test]
fn what_went_with_its_folder_is_not_withdrawn_and_never_back() {
    for elsewhere in [false, true] {
        let mut house = house();
        let work = house
            .mailboxes
            .create_folder(ALICE, "Work", None, NOW)
            .unwrap()
            .id;
        let placed = deliver(&house, ALICE);
        let to_work = Transfer {
            from: Access::owner(ALICE, INBOX),
            uids: &[placed.uid],
            to: work,
            by: None,
        };
        match elsewhere {
            true => house.mailboxes.copy(&to_work, NOW).unwrap(),
            false => house.mailboxes.move_messages(&to_work, NOW).unwrap(),
        };
        // Killed between the folder and what is in it.
        assert!(!cut_off(&house.engine, 1, || house
            .mailboxes
            .delete_folder(&Access::owner(ALICE, work), NOW)));
        house.reopen();
        let copy = (ALICE, placed.message);
        assert_eq!(withdraw(&house, copy), elsewhere);
        assert_eq!(house.mailboxes.copies(digest()).unwrap(), []);
        check(&house);
        let back = restore(&house, copy);
        assert_eq!(
            back.map(|placements| placements.len()),
            elsewhere.then_some(1),
            "only what was still in the inbox"
        );
        house.upkeep.finish_deletions(NOW).unwrap();
        let left = house.mailboxes.view(ALICE, INBOX).unwrap().len();
        assert_eq!(left, usize::from(elsewhere));
        check(&house);
    }
}

#[test]
fn a_deletion_that_fails_keeps_no_other_from_being_finished() {
    let house = house();
    for account in [ALICE, BOB] {
        let work = house
            .mailboxes
            .create_folder(account, "Work", None, NOW)
            .unwrap();
        append(&house, account, work.id);
        assert!(!cut_off(&house.engine, 1, || {
            house
                .mailboxes
                .delete_folder(&Access::owner(account, work.id), NOW)
        }));
    }
    let messages = Range::prefix([&[0x14][..], &ALICE.0.to_be_bytes()].concat());
    let rows = house.engine.scan(&messages, 10).unwrap().rows;
    let write = |value: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut batch = Batch::new();
        rows.iter()
            .for_each(|(key, row)| batch.put(key.clone(), value(row)));
        house.engine.commit(batch).unwrap();
    };
    write(&|_| vec![0xff; 3]);
    let emptying = |account| house.mailboxes.is_emptying(account).unwrap();
    assert_eq!(
        house.upkeep.finish_deletions(NOW),
        Err(MailboxError::Store(StoreError::Damaged))
    );
    assert_eq!((emptying(ALICE), emptying(BOB)), (true, false));
    write(&|row| row.to_vec());
    house.upkeep.finish_deletions(NOW).unwrap();
    assert!(!emptying(ALICE));
    check(&house);
}

/// An account with some of everything, one copy of it withdrawn.
fn furnished(house: &House) -> MessageId {
    let withdrawn = deliver(house, ALICE).message;
    assert!(withdraw(house, (ALICE, withdrawn)));
    for n in 0..3 {
        let folder = house
            .mailboxes
            .create_folder(ALICE, &format!("f{n}/g"), None, NOW);
        append(house, ALICE, folder.unwrap().id);
    }
    deliver(house, BOB);
    withdrawn
}

/// Every row of a table whose keys begin with Alice's id.
fn rows_of_alice(engine: &MemEngine) -> Vec<u8> {
    let of_tables = (0x10..=0x1f).chain([0x60, 0x65]);
    let has_rows = |table: &u8| {
        // Keyed by the letter, by the content, by the tag, by the time.
        let by_others = [0x18, 0x19, 0x1a, 0x1b, 0x1d, 0x1e, 0x1f].contains(table);
        let range = Range::prefix([&[*table][..], &ALICE.0.to_be_bytes()].concat());
        !by_others && !engine.scan(&range, 1).unwrap().rows.is_empty()
    };
    of_tables.filter(has_rows).collect()
}

#[test]
fn nothing_is_left_of_an_account_but_what_was_withdrawn() {
    for cut in 0.. {
        let mut house = house();
        let withdrawn = furnished(&house);
        let done = cut_off(&house.engine, cut, || {
            house.upkeep.remove_account(ALICE, NOW)
        });
        house.reopen();
        check(&house);
        if cut > 0 {
            let gone = Err(MailboxError::NoAccount);
            assert_eq!(house.mailboxes.view(ALICE, INBOX).map(drop), gone.clone());
            assert_eq!(
                house
                    .mailboxes
                    .create_folder(ALICE, "x", None, NOW)
                    .map(drop),
                gone
            );
            assert_eq!(house.mailboxes.folders(ALICE).unwrap(), []);
        }
        house.upkeep.finish_deletions(NOW).unwrap();
        house.upkeep.remove_account(ALICE, NOW).unwrap();
        assert_eq!(rows_of_alice(&house.engine), [0x1c, 0x65], "the vault");
        let copies = house.mailboxes.copies(digest()).unwrap();
        assert!(copies.iter().all(|copy| copy.account == BOB) && copies.len() == 1);
        // Evidence: there, readable for whoever may, and nobody's to have back.
        let vaulted = house.sealing.vaulted(TAG, None, 10).unwrap();
        assert_eq!(vaulted.len(), 1);
        assert_eq!(restore(&house, (ALICE, withdrawn)), None);
        assert_eq!(house.sealing.vaulted(TAG, None, 10).unwrap(), vaulted);
        house.upkeep.collect_all().unwrap();
        check(&house);
        if done {
            assert!(cut > 5, "{cut} commits");
            return;
        }
    }
}

#[test]
fn a_withdrawal_from_an_account_on_its_way_out_finds_it_deleted() {
    let house = house();
    let placed = deliver(&house, ALICE);
    assert!(!cut_off(&house.engine, 1, || house
        .upkeep
        .remove_account(ALICE, NOW)));
    assert!(!withdraw(&house, (ALICE, placed.message)));
    assert_eq!(
        house.mailboxes.copies(digest()).unwrap(),
        [],
        "it is not found again"
    );
    check(&house);
    house.upkeep.finish_deletions(NOW).unwrap();
    assert_eq!(rows_of_alice(&house.engine), []);
    check(&house);
}

#[test]
fn the_check_notices_what_was_left_behind() {
    let house = house();
    furnished(&house);
    let findings = house.upkeep.check_accounts(&BTreeSet::from([BOB])).unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        house.upkeep.check_accounts(&BTreeSet::from([ALICE, BOB])),
        Ok(vec![])
    );
    // Its head alone is gone.
    tern_store::transact(&house.engine, |txn| {
        txn.delete([&[0x10][..], &ALICE.0.to_be_bytes()].concat());
        Ok::<_, tern_store::StoreError>(Verdict::Commit(()))
    })
    .unwrap();
    let findings = house.upkeep.check(&BTreeMap::new()).unwrap();
    for name in [
        "mailbox",
        "counters",
        "placement",
        "message",
        "change",
        "thread key",
        "thread",
    ] {
        let says = format!("account {ALICE} is not there, and has a {name} row");
        assert!(findings.iter().any(|finding| finding.0 == says), "{name}");
    }
    // Placements of the vault are no leftovers, but one that belongs to nothing is.
    tern_store::transact(&house.engine, |txn| {
        let key = [&[0x65][..], &BOB.0.to_be_bytes(), &[7; 8], &[1; 4]].concat();
        txn.put(key, vec![1, 0, 0, 0]);
        Ok::<_, tern_store::StoreError>(Verdict::Commit(()))
    })
    .unwrap();
    let more = house.upkeep.check(&BTreeMap::new()).unwrap();
    assert_eq!(more.len(), findings.len() + 1);
}

/// Octets, a structure with its preview, and an exposure that belong to nothing.
#[test]
fn the_check_notices_what_a_purge_would_have_left() {
    let house = house();
    let copy = deliver(&house, ALICE);
    let record_key = |table: u8| {
        let message = copy.message.0.to_be_bytes();
        [&[table][..], &digest().0, &ALICE.0.to_be_bytes(), &message].concat()
    };
    house
        .mailboxes
        .expunge(&Access::owner(ALICE, INBOX), &[copy.uid], false, NOW)
        .unwrap();
    house.upkeep.collect_all().unwrap();
    check(&house);
    assert_eq!(house.engine.blob_piece_count(), 0);
    let left = |write: &dyn Fn(&mut Batch)| {
        let mut batch = Batch::new();
        write(&mut batch);
        house.engine.commit(batch).unwrap();
        let found = house.upkeep.check(&BTreeMap::new()).unwrap();
        found.into_iter().map(|found| found.0).collect::<Vec<_>>()
    };
    let found = left(&|batch| batch.put_blob_piece(BlobId([3; 32]), 0, b"text".to_vec()));
    assert!(matches!(&found[..], [only] if only.starts_with("octets of no content")));
    let found = left(&|batch| batch.put([&[0x1b][..], &[7; 32]].concat(), vec![1]));
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("structure and preview of no content"));
    let exposure = Exposure {
        level: ExposureLevel::Body,
        at: NOW,
        protocol: String::new(),
        client: String::new(),
        address: String::new(),
        origin: OriginId([0; 16]),
    };
    let found = left(&|batch| batch.put(record_key(0x8a), exposure.encode()));
    assert_eq!(found.len(), 3);
    assert!(found[2].starts_with("exposure that no roll has"));
    // Of the tenth block: one client was served the body of its sixth message.
    let block = [&ALICE.0.to_be_bytes()[..], &9u64.to_be_bytes()].concat();
    let sheet_key = [&[0x7a][..], &block, &[0]].concat();
    let sheet = [&[1, 0, 0][..], &[0; 8], &[0, 1, 5, 0xff, 1, 3, 9, 0]].concat();
    let found = left(&|batch| batch.put(sheet_key.clone(), sheet.clone()));
    assert!(found[2].starts_with("served to nobody on the roll"));
    let roll = |level| [&[2, 0, 1][..], &[7; 16], &[1, 5, level, 9, 0], &[0; 2]].concat();
    let with_roll = |level| {
        let key = [&[0x19][..], &block].concat();
        left(&|batch| batch.put(key.clone(), roll(level)))
    };
    assert_eq!(with_roll(3).len(), 3, "nothing is amiss with it");
    assert!(with_roll(1)[2].starts_with("more was served than the roll says"));
    assert!(with_roll(4)[2].starts_with("the roll of"));
}

#[test]
fn what_a_client_brings_and_what_is_made_of_what_was_served_is_exposed() {
    let house = house();
    let exposed = |copy: &Placed| -> Option<Exposure> {
        let all = house.sealing.exposures(digest()).unwrap();
        let is_it = |of: &AccountId, id: &MessageId| (*of, *id) == (copy.account, copy.message);
        let found = all.into_iter().find(|(of, id, _)| is_it(of, id));
        found.map(|(_, _, exposure)| exposure)
    };
    let delivered = deliver(&house, ALICE);
    let within_inbox = |uid: Uid| {
        let transfer = Transfer {
            from: Access::owner(ALICE, INBOX),
            uids: &[uid],
            to: INBOX,
            by: None,
        };
        let pairs = house.mailboxes.copy(&transfer, NOW).unwrap();
        let view = house.mailboxes.view(ALICE, INBOX).unwrap();
        let message = view.get(pairs[0].to).unwrap().message;
        Placed {
            message,
            ..delivered.clone()
        }
    };
    assert_eq!(
        exposed(&within_inbox(delivered.uid)),
        None,
        "of nothing served"
    );
    let served = Served {
        account: ALICE,
        message: delivered.message,
        digest: digest(),
        origin: OriginId([1; 16]),
        carries: false,
        level: ExposureLevel::Body,
        share: Share::NONE,
    };
    house
        .mailboxes
        .record_served(&[served], &viewer(), NOW)
        .unwrap();
    let first = exposed(&delivered);
    assert_eq!(first.as_ref().map(|e| e.level), Some(ExposureLevel::Body));
    assert_eq!(exposed(&within_inbox(delivered.uid)), first);
    let brought = exposed(&append(&house, BOB, INBOX)).unwrap();
    assert_eq!(
        (brought.level, brought.client.as_str(), brought.at),
        (ExposureLevel::Downloaded, "Mua", NOW)
    );
    check(&house);
}
