//! What a recall costs others once it is done.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod house;

use std::sync::Arc;

use house::counting::Counting;
use house::{ALICE, BOB, House};
use tern_base::Uid;
use tern_mailbox::{
    Access, ExposureLevel, FlagChange, FlagRequest, Flags, INBOX, Ledger, SystemFlag,
};
use tern_policy::Selection;
use tern_recall::{Outcome, Requested, Selector};

/// A list is made often, and recalls stay for long.
#[test]
fn a_list_looks_for_no_copy_under_what_is_settled() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let kept = house.submit(ALICE, &[BOB], &[], 2);
    let engine = Arc::new(Counting::new(house.engine.clone()));
    let (recalls, opened) = house.recalls_over(Arc::<Counting>::clone(&engine));
    let looked = || {
        engine.forget();
        let hidden = opened.mailboxes.hidden(BOB).unwrap().len();
        (hidden, engine.asked())
    };
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let answer = recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    let (hidden, cost) = looked();
    assert_eq!(hidden, 1);
    assert!(cost > 0, "its copies are looked for");
    recalls.run(request.id, house.now).unwrap();
    assert_eq!(looked(), (0, 0));
    let left = opened.mailboxes.view(BOB, INBOX).unwrap();
    assert_eq!(left.iter().count(), 1);
    let row = opened
        .mailboxes
        .message(BOB, left.iter().next().unwrap().message);
    assert_eq!(row.unwrap().digest, kept.digest);
}

/// Whether a copy was read is asked of the copies, all together: not of the mailboxes that they are in.
#[test]
fn to_ask_for_unread_copies_alone_reads_no_more_for_each_recipient() {
    let mut house = House::new();
    let crowd = house.crowd(40);
    house.submit(ALICE, &crowd, &[], 1);
    let sent = house.submit(ALICE, &crowd, &[], 2);
    let seen = FlagRequest {
        access: Access::owner(crowd[0], INBOX),
        uids: &[Uid(2)],
        change: &FlagChange::Add(Flags::of(&[SystemFlag::Seen])),
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&seen).unwrap();
    let engine = Arc::new(Counting::new(house.engine.clone()));
    let (recalls, _) = house.recalls_over(Arc::<Counting>::clone(&engine));
    let asked = house.request(ALICE, Selector::Submission(sent.id));
    let planned = |selection| {
        let mut request = asked.clone();
        request.selection = selection;
        engine.forget();
        let (_, plan) = recalls.plan(&request, house.now).unwrap().unwrap();
        (plan.tally().of(Outcome::WithdrawnUnexposed), engine.asked())
    };
    let (all, cost_of_all) = planned(Selection::Any);
    let (unread, cost_of_unread) = planned(Selection::OnlyUnread);
    assert_eq!((all, unread), (40, 39));
    let more = cost_of_unread - cost_of_all;
    assert!(more < 10, "{more} reads more for 40 recipients");
}

/// Whoever is told of a recall by mail is told in chunks: a ledger is not asked for one by one.
#[test]
fn the_ledgers_of_many_copies_are_read_together() {
    let mut house = House::new();
    let crowd = house.crowd(40);
    house.submit(ALICE, &crowd, &[], 1);
    for account in &crowd[..30] {
        house.serve(*account, 1, ExposureLevel::Body);
    }
    let engine = Arc::new(Counting::new(house.engine.clone()));
    let (_, opened) = house.recalls_over(Arc::<Counting>::clone(&engine));
    let copies: Vec<_> = crowd
        .iter()
        .map(|account| (*account, house.message_at(*account, 1)))
        .collect();
    engine.forget();
    let together = opened.sealing.ledgers(&copies).unwrap();
    assert_eq!(engine.asked(), 2);
    for ((account, message), ledger) in copies.iter().zip(&together) {
        assert_eq!(opened.sealing.ledger(*account, *message).unwrap(), *ledger);
    }
    let served = |ledger: &&Ledger| !ledger.servings.is_empty();
    assert_eq!(together.iter().filter(served).count(), 30);
}

/// How much of a recall there may be is known by a few rows, however many it speaks of.
#[test]
fn how_much_there_is_to_do_is_known_beforehand() {
    let mut house = House::new();
    let crowd = house.crowd(40);
    let all = house.submit(ALICE, &crowd, &["out@elsewhere.test"], 1);
    let some = house.submit(ALICE, &crowd, &[], 2);
    let whole = house.request(ALICE, Selector::Submission(all.id));
    house.recalls.request(&whole, house.now).unwrap();
    let mut chosen = house.request(ALICE, Selector::Submission(some.id));
    chosen.chosen = vec![format!("account{}@example.org", crowd[0])];
    house.recalls.request(&chosen, house.now).unwrap();
    assert_eq!(house.recalls.width(whole.id), Ok(41));
    assert_eq!(house.recalls.width(chosen.id), Ok(1));
}
