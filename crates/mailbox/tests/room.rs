//! What a client brings takes room on the disk only where there is room for it: large content is written
//! ahead of the transaction that keeps it, and stays for a while when that is refused.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use tern_base::{AccountId, MailboxId, OriginId, Uid};
use tern_mailbox::rows::AccountHead;
use tern_mailbox::{
    Access, AppendRequest, Flags, INBOX, MailboxError, Placed, Placing, Transfer, Update, Viewer,
    limits,
};
use tern_store::{Batch, Engine as _};

use house::*;

const LARGE: usize = 600_000;

/// A large message that no other is like.
fn large(number: usize) -> Vec<u8> {
    let mut content = letter(number);
    content.extend(std::iter::repeat_n(b'x', LARGE - content.len()));
    content
}

fn bring(house: &House, account: AccountId, content: Vec<u8>) -> Result<Placed, MailboxError> {
    let request = AppendRequest {
        account,
        mailbox: INBOX,
        content,
        flags: Flags::empty(),
        received: None,
        origin: OriginId([1; 16]),
        by: Viewer::default().into(),
    };
    house.mailboxes.append(request, house.now)
}

#[test]
fn nothing_is_written_of_what_there_is_no_room_for() {
    let house = House::new();
    house.mailboxes.set_quota(ALICE, LARGE as u64 - 1).unwrap();
    for number in 0..3 {
        let refused = bring(&house, ALICE, large(number));
        assert_eq!(refused, Err(MailboxError::QuotaExceeded));
    }
    assert_eq!(house.engine.blob_piece_count(), 0);
    bring(&house, ALICE, letter(1)).unwrap();
    // What goes with its coming makes room for what comes.
    let comes = |frees| {
        let boxes = &house.mailboxes;
        boxes
            .prepare_brought(ALICE, large(4), frees, house.now)
            .map(drop)
    };
    assert_eq!(comes(0), Err(MailboxError::QuotaExceeded));
    assert_eq!(comes(1_000), Ok(()));
    house.check();
}

#[test]
fn what_is_brought_and_removed_again_is_bounded_by_the_quota_too() {
    let mut house = House::new();
    house.mailboxes.set_quota(ALICE, LARGE as u64).unwrap();
    let again = |house: &House, number: usize| {
        let placed = bring(house, ALICE, large(number))?;
        let uids: [Uid; 1] = [placed.uid];
        house
            .mailboxes
            .expunge(&Access::owner(ALICE, INBOX), &uids, false, house.now)
    };
    let times = limits::BROUGHT_QUOTAS as usize;
    for number in 0..times {
        assert_eq!(again(&house, number).map(|gone| gone.len()), Ok(1));
    }
    let pieces = house.engine.blob_piece_count();
    assert_eq!(again(&house, times), Err(MailboxError::QuotaExceeded));
    assert_eq!(house.engine.blob_piece_count(), pieces);
    // Small messages go with their transaction, and others have room of their own.
    bring(&house, ALICE, letter(1)).unwrap();
    for number in 0..=times {
        bring(&house, BOB, large(number)).unwrap();
    }
    house.now = house.now.plus_millis(limits::UNREFERENCED_GRACE_MS);
    house.upkeep.collect(house.now, 100).unwrap();
    house
        .mailboxes
        .expunge(&Access::owner(ALICE, INBOX), &[Uid(11)], false, house.now)
        .unwrap();
    assert_eq!(again(&house, times).map(|gone| gone.len()), Ok(1));
    house.check();
}

/// What an account counts as its placements, whatever it has.
fn count_placements(house: &House, account: AccountId, placements: u64) {
    const ACCOUNT: u8 = 0x10;
    let key = [&[ACCOUNT][..], &account.0.to_be_bytes()].concat();
    let head = house.mailboxes.account_head(account).unwrap();
    let mut batch = Batch::new();
    batch.put(key, AccountHead { placements, ..head }.encode());
    house.engine.commit(batch).unwrap();
}

#[test]
fn what_has_no_octets_is_bounded_by_the_quota_too() {
    let house = House::new();
    let boxes = &house.mailboxes;
    boxes.set_quota(ALICE, 1_000_000).unwrap();
    let head = |account| boxes.account_head(account).unwrap();
    let uid = bring(&house, ALICE, letter(1)).unwrap().uid;
    let to = |path: &str| {
        boxes
            .create_folder(ALICE, path, None, house.now)
            .unwrap()
            .id
    };
    let (one, two) = (to("One"), to("Two"));
    let transfer = |from, to, uid: Uid, moving| {
        let transfer = Transfer {
            from: Access::owner(ALICE, from),
            uids: &[uid],
            to,
            by: None,
        };
        let done = boxes.transfer_some(&transfer, house.now, moving);
        done.map(|(pairs, _)| pairs[0].to)
    };
    let copied = transfer(INBOX, one, uid, false).unwrap();
    assert_eq!((head(ALICE).messages, head(ALICE).placements), (1, 2));
    house.check();

    count_placements(&house, ALICE, limits::LEAST_PLACEMENTS - 1);
    assert!(!boxes.is_full(&head(ALICE)));
    let second = bring(&house, ALICE, letter(2)).unwrap().uid;
    assert!(boxes.is_full(&head(ALICE)));
    let full = Err(MailboxError::QuotaExceeded);
    assert_eq!(bring(&house, ALICE, letter(3)).map(drop), full);
    assert_eq!(transfer(INBOX, two, second, false).map(drop), full);
    let id = boxes
        .view(ALICE, INBOX)
        .unwrap()
        .get(second)
        .unwrap()
        .message;
    let place_in = |mailboxes: &[MailboxId]| {
        let update = Update {
            message: id,
            placing: Some(Placing::Set(mailboxes.iter().copied().collect())),
            flagging: None,
            by: None,
        };
        boxes.update(ALICE, &update, house.now)
    };
    assert_eq!(place_in(&[INBOX, two]), full);
    assert_eq!(place_in(&[one]), Ok(()));
    assert_eq!(place_in(&[INBOX]), Ok(()));
    let second = boxes.view(ALICE, INBOX).unwrap().iter().last().unwrap().uid;
    // What only moves goes on.
    assert!(transfer(one, two, copied, true).is_ok());
    // A larger quota is one for more of them, and no quota is no bound.
    for quota in [(limits::LEAST_PLACEMENTS + 1) * 1_024, 0] {
        boxes.set_quota(ALICE, quota).unwrap();
        assert!(transfer(INBOX, two, second, false).is_ok(), "{quota}");
    }
}
