//! What a client brings takes room on the disk only where there is room for it: large content is written
//! ahead of the transaction that keeps it, and stays for a while when that is refused.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use tern_base::{AccountId, OriginId, Uid};
use tern_mailbox::{Access, AppendRequest, Flags, INBOX, MailboxError, Placed, Viewer, limits};

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
    house.mailboxes.collect(house.now, 100).unwrap();
    house
        .mailboxes
        .expunge(&Access::owner(ALICE, INBOX), &[Uid(11)], false, house.now)
        .unwrap();
    assert_eq!(again(&house, times).map(|gone| gone.len()), Ok(1));
    house.check();
}
