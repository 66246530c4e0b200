//! A store that was put back from a backup gives out nothing that it may have given out before.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use tern_base::Modseq;
use tern_mailbox::{INBOX, MailboxError};

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
