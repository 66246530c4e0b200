//! Recalls of what owners deleted, put back or copied, of the largest copies, and where answers
//! were lost.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::Uid;
use tern_mailbox::{
    Access, ExposureLevel, FlagChange, FlagRequest, Flags, INBOX, Transfer, limits,
};
use tern_queue::{LeaseId, Outcome as RelayOutcome, Reply};
use tern_recall::{Outcome, Reason, RecallId, Refusal, Requested, Selector, State, Submission};
use tern_store::mem::Injected;
use tern_store::{Batch, Engine, Verdict};

fn restore(house: &mut House, id: RecallId, sent: &Submission) {
    let selector = Selector::Submission(sent.id);
    let requester = house.request(ALICE, selector).requester;
    house.recalls.restore(id, &requester, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Restored);
}

#[test]
fn who_has_no_other_copy_gets_back_one_that_a_client_had_put_back() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    // Bob had deleted his, and his other client still has it. Dave has it from elsewhere.
    let uid = [Uid(1)];
    let deleted = house
        .mailboxes
        .expunge(&Access::owner(BOB, INBOX), &uid, false, house.now);
    deleted.unwrap();
    let id = house.recall(ALICE, &sent).id();
    for account in [BOB, BOB, CAROL, DAVE] {
        house.append(account, INBOX, &house.letter(1));
    }
    house.recalls.refresh_late(id.tag(), house.now).unwrap();
    restore(&mut house, id, &sent);
    for account in [BOB, CAROL, DAVE] {
        assert_eq!(house.uids(account, INBOX).len(), 1, "account {account}");
    }
    // Whoever restores once more finds nothing to do.
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.uids(BOB, INBOX).len(), 1);
    assert_eq!(house.sealing.vaulted(id.tag(), None, 9).unwrap().len(), 2);
    house.check();
}

#[test]
fn what_was_put_back_is_given_back_once_wherever_the_restore_was_cut_off() {
    for kill_at in 0.. {
        let mut house = House::new();
        let sent = house.submit(ALICE, &[CAROL], &[], 1);
        let id = house.recall(ALICE, &sent).id();
        for account in [BOB, BOB, DAVE] {
            house.append(account, INBOX, &house.letter(1));
        }
        house.recalls.refresh_late(id.tag(), house.now).unwrap();
        let selector = Selector::Submission(sent.id);
        let requester = house.request(ALICE, selector).requester;
        house.recalls.restore(id, &requester, house.now).unwrap();
        let finished = house.killed_at(kill_at, |house| house.recalls.run(id, house.now));
        let house = house.restarted();
        house.recalls.run_open(house.now).unwrap();
        for account in [BOB, CAROL, DAVE] {
            let shown = house.uids(account, INBOX).len();
            assert_eq!(shown, 1, "account {account}, cut off at {kill_at}");
        }
        house.check();
        if finished {
            return;
        }
    }
}

#[test]
fn a_lost_answer_to_a_restore_leaves_no_seal_in_memory() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    let selector = Selector::Submission(sent.id);
    let requester = house.request(ALICE, selector).requester;
    let mut commits = 0;
    house.engine.set_fault_hook(Some(Box::new(move |_| {
        commits += 1;
        (commits == 1).then_some(Injected::UnknownApplied)
    })));
    let answer = house.recalls.restore(id, &requester, house.now);
    house.engine.set_fault_hook(None);
    assert!(answer.is_err(), "nobody knows");
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Restoring);
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(house.uids(BOB, INBOX), [2]);
    let message = house.message_at(BOB, 2);
    let row = house.mailboxes.message(BOB, message).unwrap();
    assert!(house.mailboxes.read(BOB, &row, 0..9).is_ok());
    house.check();
}

#[test]
fn what_may_have_been_taken_outside_is_never_said_to_be_prevented() {
    let unanswered = || RelayOutcome::Unanswered {
        reply: Reply {
            code: 0,
            enhanced: None,
            text: "the connection was lost".into(),
            host: None,
        },
        together: 1,
    };
    let maybe = ("a@x.test", Outcome::Relayed, Reason::MaybeTakenOutside);
    // Before the recall; and while an attempt is under way.
    for recalled_first in [false, true] {
        let mut house = House::new();
        let sent = house.submit(ALICE, &[], &["a@x.test"], 1);
        let item = house.items(&sent)[0];
        let lease = LeaseId(1);
        tern_queue::lease(&house.engine, item, lease, house.now, 60_000).unwrap();
        let attempt = |house: &House| {
            let schedule = tern_queue::Schedule::default();
            let mailboxes = &house.mailboxes;
            let record = |txn: &mut tern_store::Transaction<'_>| {
                let outcome = unanswered();
                let done = tern_queue::record_in(txn, item, lease, &outcome, &schedule, house.now)?;
                if let tern_queue::Recorded::Finished { item, .. } = done {
                    mailboxes.unlink_blob_in(txn, item.blob, house.now)?;
                }
                Ok::<_, tern_mailbox::MailboxError>(Verdict::Commit(()))
            };
            tern_store::transact(&house.engine, record).unwrap();
        };
        if !recalled_first {
            attempt(&house);
        }
        let id = house.recall(ALICE, &sent).id();
        if recalled_first {
            attempt(&house);
            house.recalls.run_open(house.now).unwrap();
        }
        assert_eq!(house.outcomes(id), [maybe]);
        house.check();
    }
}

#[test]
fn what_went_with_its_folder_is_already_gone_and_stays_so() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let folder = house.mailboxes.create_folder(BOB, "Work", None, house.now);
    let work = folder.unwrap().id;
    let to_work = Transfer {
        from: Access::owner(BOB, INBOX),
        uids: &[Uid(1)],
        to: work,
        by: None,
    };
    house.mailboxes.move_messages(&to_work, house.now).unwrap();
    // Killed after the folder went, before what is in it did.
    assert!(!house.killed_at(1, |house| {
        Ok(house
            .mailboxes
            .delete_folder(&Access::owner(BOB, work), house.now)?)
    }));
    let mut house = house.restarted();
    let id = house.recall(ALICE, &sent).id();
    let gone = (
        "bob@example.org",
        Outcome::AlreadyGone,
        Reason::DeletedUnread,
    );
    assert_eq!(house.outcomes(id), [gone]);
    restore(&mut house, id, &sent);
    house.upkeep.finish_deletions(house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    house.check();
}

#[test]
fn a_copy_counts_as_exposed_where_its_owner_has_had_the_content() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    house.serve(BOB, 1, ExposureLevel::Body);
    let within_inbox = Transfer {
        from: Access::owner(BOB, INBOX),
        uids: &[Uid(1)],
        to: INBOX,
        by: None,
    };
    house.mailboxes.copy(&within_inbox, house.now).unwrap();
    house.append(CAROL, INBOX, &house.letter(1));
    let carol = house.message_at(CAROL, 2);
    let id = house.recall(ALICE, &sent).id();
    let outcomes = house.copy_outcomes(id);
    let exposed = |outcome| outcome == Outcome::WithdrawnExposed;
    let of_bob = outcomes.iter().filter(|(account, ..)| *account == BOB);
    assert_eq!(of_bob.filter(|o| exposed(o.2.outcome)).count(), 2);
    let of_carol = outcomes.iter().filter(|(account, ..)| *account == CAROL);
    for (_, message, outcome) in of_carol {
        assert_eq!(
            exposed(outcome.outcome),
            *message == carol,
            "hers is unread"
        );
    }
    house.check();
}

/// As many and as long keywords as there may be.
fn full_flags() -> Flags {
    let mut flags = Flags::empty();
    let long = limits::MAX_KEYWORD_BYTES / limits::MAX_KEYWORDS;
    for n in 0..limits::MAX_KEYWORDS {
        assert!(flags.add_keyword(&format!("{n:0>long$}")));
    }
    flags
}

#[test]
fn two_hundred_copies_with_the_longest_rows_are_taken_and_brought_back() {
    const PLACES: usize = 5;
    let mut house = House::new();
    let crowd = house.crowd(256);
    let sent = house.submit(ALICE, &crowd, &[], 1);
    for account in &crowd {
        let (account, now) = (*account, house.now);
        let flag = FlagRequest {
            access: Access::owner(account, INBOX),
            uids: &[Uid(1)],
            change: &FlagChange::Set(full_flags()),
            unchanged_since: None,
            by: None,
        };
        house.mailboxes.change_flags(&flag).unwrap();
        let places = if account == crowd[100] {
            limits::MAX_PLACEMENTS
        } else {
            PLACES
        };
        for n in 1..places {
            let path = format!("f{n}");
            let folder = house.mailboxes.create_folder(account, &path, None, now);
            let transfer = Transfer {
                from: Access::owner(account, INBOX),
                uids: &[Uid(1)],
                to: folder.unwrap().id,
                by: None,
            };
            house.mailboxes.copy(&transfer, now).unwrap();
        }
    }
    let id = house.recall(ALICE, &sent).id();
    let recall = house.recalls.recall(id).unwrap();
    assert_eq!(recall.state, State::Done);
    let outcomes = house.copy_outcomes(id);
    assert_eq!(outcomes.len(), crowd.len());
    assert!(outcomes.iter().all(|o| o.2.outcome.is_withdrawn()));
    house.check();
    restore(&mut house, id, &sent);
    for account in &crowd {
        let view = house.mailboxes.view(*account, INBOX).unwrap();
        let entry = view.iter().next().unwrap();
        assert_eq!(entry.flags, full_flags());
        let shown = house.mailboxes.placements(*account, entry.message).unwrap();
        assert!(shown.len() == PLACES || *account == crowd[100]);
        assert!(shown.len() == limits::MAX_PLACEMENTS || *account != crowd[100]);
    }
    house.check();
}

#[test]
fn a_removed_account_keeps_nobody_from_recalling_or_restoring() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let other = house.submit(ALICE, &[BOB, CAROL], &[], 2);
    let first = house.recall(ALICE, &sent).id();
    house.upkeep.remove_account(BOB, house.now).unwrap();
    house.recalls.forget_triggers(BOB).unwrap();
    let second = house.recall(ALICE, &other).id();
    let gone = house.outcomes(second);
    let of_bob = (
        "bob@example.org",
        Outcome::AlreadyGone,
        Reason::RemovedUnread,
    );
    assert!(gone.contains(&of_bob), "{gone:?}");
    restore(&mut house, first, &sent);
    assert_eq!(house.uids(CAROL, INBOX).len(), 1);
    // Of the account nothing is left but the evidence.
    let kept = house.sealing.vaulted(first.tag(), None, 9).unwrap();
    let kept: Vec<_> = kept.iter().map(|copy| copy.account).collect();
    assert_eq!(kept, [BOB]);
    house.check();
}

/// A letter the rows of whose seals are damaged.
#[test]
fn one_that_can_not_be_asked_for_does_not_keep_back_those_behind_it() {
    let mut house = House::new();
    let stuck = house.submit(ALICE, &[BOB], &[], 1);
    let sent = house.submit(ALICE, &[BOB], &[], 2);
    let folder = house.mailboxes.folder(ALICE, "Recall").unwrap();
    for n in [1, 2] {
        house.append(ALICE, folder.id, &house.letter(n));
    }
    let mut damage = Batch::new();
    damage.put([&[0x1d], &stuck.digest.0[..]].concat(), vec![0xff]);
    house.engine.commit(damage).unwrap();
    let answers = house.triggers(ALICE).unwrap();
    let [
        Requested::Refused(id, Refusal::Failed),
        Requested::Sealed(_),
    ] = answers[..]
    else {
        panic!("{answers:?}");
    };
    let why = house.recalls.decided(id).unwrap().unwrap();
    assert_eq!(why.inputs[0].0, "error");
    assert_eq!(house.triggers(ALICE).unwrap(), []);
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(house.uids(BOB, INBOX), [1], "what can be taken back is");
    let list = house.recalls.list(Some(ALICE), 10).unwrap();
    let recalled: Vec<_> = list.iter().map(|line| line.recall.submission).collect();
    assert_eq!(recalled.len(), 2);
    assert!(recalled.contains(&Some(sent.id)));
    house.check();
}
