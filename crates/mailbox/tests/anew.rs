//! A store that was put back from a backup gives out nothing that it may have given out before.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::BTreeSet;

use tern_base::{MailboxId, Modseq};
use tern_mailbox::{INBOX, MailboxError, Rights, ShareNotice};
use tern_store::{Batch, Engine, Finding, Read, Verdict};

use house::*;

#[test]
fn what_was_given_out_after_the_backup_is_not_given_out_again() {
    let mut house = House::new();
    house.append(ALICE, INBOX, &letter(1));
    let backup = house.engine.fork();
    let lost = [2, 3].map(|number| house.append(ALICE, INBOX, &letter(number)));
    let work = house
        .mailboxes
        .create_folder(ALICE, "Work", None, house.now);
    let (lost_modseq, work) = (lost[1].modseq, work.unwrap());

    house.engine = backup;
    house.reopen();
    house.now = house.now.plus_millis(60_000);
    let before = house.mailboxes.folders(ALICE).unwrap();
    // Cut off in the middle, it is done again.
    for _ in 0..2 {
        assert_eq!(house.upkeep.begin_anew(house.now), Ok(2));
        house.check();
    }
    let after = house.mailboxes.folders(ALICE).unwrap();
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.id, &before.path), (after.id, &after.path));
        assert!(after.uid_validity > before.uid_validity.max(work.uid_validity));
    }
    // Whatever names they take from each other later, none is taken for another.
    let validities: BTreeSet<u32> = after.iter().map(|folder| folder.uid_validity).collect();
    assert_eq!(validities.len(), after.len());
    let again = house.append(ALICE, INBOX, &letter(4));
    assert!(lost.iter().all(|lost| lost.message < again.message));
    assert!(again.uid_validity > lost[1].uid_validity && again.modseq > lost_modseq);
    let new_work = house
        .mailboxes
        .create_folder(ALICE, "Work", None, house.now);
    let new_work = new_work.unwrap();
    assert!(new_work.id > work.id && new_work.uid_validity > work.uid_validity);
    // Whoever was told a state begins anew, whether the backup had come so far or not.
    for state in [Modseq(1), lost_modseq] {
        let changes = house.mailboxes.account_changes(ALICE, state, 10);
        assert_eq!(changes, Err(MailboxError::NoHistory));
    }
    assert_eq!(house.mailboxes.view(ALICE, INBOX).unwrap().len(), 2);
    house.check();
}

#[test]
fn two_mailboxes_of_one_uid_validity_are_a_finding() {
    let house = House::new();
    let folders = house.mailboxes.folders(ALICE).unwrap();
    let row = |mailbox: MailboxId| [&[0x11, 0, 0, 0, 1][..], &mailbox.0.to_be_bytes()].concat();
    let inbox = house.engine.get(&row(INBOX)).unwrap().unwrap();
    let mut batch = Batch::new();
    // But for its name it is the inbox.
    batch.put(row(folders[1].id), inbox);
    house.engine.commit(batch).unwrap();
    let findings = house.upkeep.check(&Default::default()).unwrap();
    let shared = |finding: &Finding| finding.0.contains("has the UIDVALIDITY of another");
    assert!(findings.iter().any(shared), "{findings:?}");
}

#[test]
fn what_was_told_of_rights_is_not_told_again_by_the_same_number() {
    let house = House::new();
    let notice = |name: &str| ShareNotice {
        at: house.now,
        by: Some(BOB),
        by_name: "Bob".to_owned(),
        by_address: None,
        owner: BOB,
        mailbox: INBOX,
        name: name.to_owned(),
        before: Rights::NONE,
        rights: Rights::READ,
    };
    let note = |name| {
        let noted = house.mailboxes.transact(&[ALICE], |txn| {
            let noted = house.mailboxes.note_share_in(txn, ALICE, &notice(name));
            noted.map(Verdict::Commit)
        });
        noted.unwrap();
        let all = house.mailboxes.share_notices(ALICE).unwrap();
        (all.state, all.all.last().unwrap().0)
    };
    let lost = note("lost");
    house.upkeep.begin_anew(house.now).unwrap();
    let again = note("again");
    assert!(again.0 > lost.0 && again.1 > lost.1, "{lost:?} {again:?}");
    for since in [0, lost.0, lost.0 + 1] {
        let changes = house.mailboxes.share_notice_changes(ALICE, since, 10);
        assert_eq!(changes, Ok(None));
    }
    house.check();
}
