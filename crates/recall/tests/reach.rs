//! How far a recall reaches, who may ask how often, what its sender is told, and how long what it
//! withdrew is kept.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and asks for several things at once"
)]

mod house;

use std::sync::{Barrier, Mutex};

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_audit::Detail;
use tern_base::{AccountId, Uid};
use tern_mailbox::{Access, ExposureLevel, INBOX, Origins};
use tern_queue::LeaseId;
use tern_recall::{
    Destination, Outcome, Reason, Refusal, Requested, Selector, State, Subject, Submission, Target,
    limits, submission,
};
use tern_store::Verdict;

const DAY_MS: u64 = 24 * 3_600_000;

/// Replaces where a submission led.
fn lead(house: &House, sent: &Submission, targets: &[Target]) {
    tern_store::transact(&house.engine, |txn| -> Result<_, tern_store::StoreError> {
        submission::record_targets_in(txn, sent.id, 0, targets);
        Ok(Verdict::Commit(()))
    })
    .unwrap();
}

fn by_way_of(recipient: &str, account: AccountId) -> Target {
    Target::of(recipient, &[recipient], Destination::Account(account))
}

fn audited(house: &House, action: &str) -> Vec<tern_audit::Entry> {
    let head = tern_audit::head(&house.engine).unwrap().sequence;
    let entries = (1..=head).map(|n| tern_audit::entry(&house.engine, n).unwrap().unwrap());
    entries.filter(|e| e.draft.action == action).collect()
}

/// Bob deletes what his inbox holds.
fn delete_all(house: &House, account: AccountId) {
    let uids: Vec<Uid> = house.uids(account, INBOX).into_iter().map(Uid).collect();
    house
        .mailboxes
        .expunge(&Access::owner(account, INBOX), &uids, false, house.now)
        .unwrap();
}

#[test]
fn the_sender_sees_what_they_addressed_and_nobody_behind_it() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL, DAVE], &[], 1);
    let targets = [
        by_way_of("team@example.org", BOB),
        by_way_of("team@example.org", CAROL),
        Target::of("dave@example.org", &[], Destination::Account(DAVE)),
    ];
    lead(&house, &sent, &targets);
    house.serve(CAROL, 1, ExposureLevel::Body);
    // Erin got it by no address that Alice wrote.
    house.append(house::OUTSIDE, INBOX, &house.letter(1));
    let id = house.recall(ALICE, &sent).id();
    let report = house.report(ALICE);
    for hidden in ["bob@", "carol@", "erin@"] {
        assert!(!report.contains(hidden), "{hidden}: {report}");
    }
    assert!(report.contains("  dave@example.org\r\n"), "{report}");
    let team = "  team@example.org\r\n      1 of 2: Taken back; it had not been opened. \
                (withdrawn-unexposed)\r\n      1 of 2: Taken back, but it had been opened";
    assert!(report.contains(team), "{report}");
    assert!(report.contains("  Copies elsewhere\r\n"), "{report}");
    let all = house.outcomes(id);
    assert_eq!(all.len(), 4, "an operator sees each: {all:?}");
    assert!(all.iter().any(|line| line.0 == "carol@example.org"));
    house.check();
}

#[test]
fn a_rivals_copy_says_nothing_of_the_recipients() {
    let mut house = House::new();
    let hers = house.submit(ALICE, &[BOB, DAVE], &[], 1);
    house.now = house.now.plus_millis(10);
    let his = house.submit(CAROL, &[BOB, DAVE], &[], 1);
    // Bob reads the copy that Carol sent, and deletes both.
    house.serve(BOB, 2, ExposureLevel::Body);
    delete_all(&house, BOB);
    // Dave deletes hers; Carol takes back her own.
    house
        .mailboxes
        .expunge(&Access::owner(DAVE, INBOX), &[Uid(1)], false, house.now)
        .unwrap();
    house.recall(CAROL, &his);
    let id = house.recall(ALICE, &hers).id();
    let gone = |name| (name, Outcome::AlreadyGone, Reason::DeletedUnread);
    assert_eq!(
        house.outcomes(id),
        [gone("bob@example.org"), gone("dave@example.org")]
    );
    house.check();
}

#[test]
fn who_sent_it_first_takes_back_whatever_turns_up_however_often_it_was_sent() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB], &[], 1);
    house.now = house.now.plus_millis(10);
    house.submit(BOB, &[CAROL], &[], 1);
    house.now = house.now.plus_millis(10);
    let again = house.submit(ALICE, &[BOB], &[], 1);
    house.append(DAVE, INBOX, &house.letter(1));
    let id = house.recall(ALICE, &again).id();
    assert_eq!(house.uids(CAROL, INBOX), [1], "what Bob sent is his");
    for account in [BOB, DAVE] {
        assert!(house.uids(account, INBOX).is_empty(), "{account}");
    }
    let digest = again.digest;
    let seal = house.sealing.seal_of(digest, id.tag()).unwrap().unwrap();
    assert!(matches!(seal.origins, Origins::AllBut { others, .. } if others.len() == 1));
    house.check();
}

/// He sent it later, and last; that makes him no author.
#[test]
fn a_reader_who_sends_it_on_takes_back_only_what_he_sent() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB], &[], 1);
    house.now = house.now.plus_millis(10);
    let his = house.submit(BOB, &[CAROL], &[], 1);
    house.append(DAVE, INBOX, &house.letter(1));
    let id = house.recall(BOB, &his).id();
    assert!(house.uids(CAROL, INBOX).is_empty());
    assert_eq!(house.uids(DAVE, INBOX), [1], "it may have been hers");
    let seal = house.sealing.seal_of(his.digest, id.tag()).unwrap();
    assert_eq!(seal.unwrap().origins, Origins::Only(vec![his.id]));
    house.check();
}

#[test]
fn hers_is_found_among_hundreds_of_the_same_letter() {
    let mut house = House::new();
    let hers = house.submit(ALICE, &[DAVE], &[], 1);
    for _ in 0..150 {
        house.now = house.now.plus_millis(10);
        house.submit(BOB, &[CAROL], &[], 1);
    }
    let request = house.request(ALICE, Selector::Letter(ALICE, hers.digest, None));
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(DAVE, INBOX).is_empty());
    assert_eq!(house.uids(CAROL, INBOX).len(), 150, "none of them is hers");
    house.check();
}

#[test]
fn a_letter_sent_again_by_others_too_often_can_still_be_taken_back() {
    let mut house = House::new();
    let hers = house.submit(ALICE, &[DAVE], &[], 1);
    let others = |txn: &mut tern_store::Transaction<'_>| -> Result<_, tern_store::StoreError> {
        for n in 0..=limits::MAX_RIVALS as u64 {
            let mut id = hers.id;
            id.0[8..].copy_from_slice(&n.to_be_bytes());
            let rival = Submission {
                id,
                account: BOB,
                ..hers.clone()
            };
            submission::record_in(txn, &rival)?;
        }
        Ok(Verdict::Commit(()))
    };
    tern_store::transact(&house.engine, others).unwrap();
    let id = house.recall(ALICE, &hers).id();
    assert!(house.uids(DAVE, INBOX).is_empty());
    let seal = house.sealing.seal_of(hers.digest, id.tag()).unwrap();
    assert_eq!(seal.unwrap().origins, Origins::Only(vec![hers.id]));
    house.check();
}

#[test]
fn requests_at_once_count_for_each_other() {
    let mut house = House::new();
    let sent: Vec<_> = (0..14)
        .map(|n| house.submit(ALICE, &[BOB], &[], n))
        .collect();
    let requests: Vec<_> = sent
        .iter()
        .map(|sent| house.request(ALICE, Selector::Submission(sent.id)))
        .collect();
    let (start, sealed) = (Barrier::new(requests.len()), Mutex::new(0));
    let (recalls, now) = (&house.recalls, house.now);
    std::thread::scope(|scope| {
        for request in &requests {
            let (start, sealed) = (&start, &sealed);
            scope.spawn(move || {
                start.wait();
                // Told to try again, where so many at once get into each other's way.
                let answer = (0..50).find_map(|_| recalls.request(request, now).ok());
                if let Some(Requested::Sealed(_)) = answer {
                    *sealed.lock().unwrap() += 1;
                }
            });
        }
    });
    assert_eq!(*sealed.lock().unwrap(), 10);
    house.recalls.run_open(house.now).unwrap();
    house.check();
}

#[test]
fn a_flood_of_refused_requests_has_one_record_and_one_report() {
    let mut house = House::new();
    let hers = house.submit(ALICE, &[BOB], &[], 1);
    let mut last = None;
    for _ in 0..1_000 {
        let request = house.request(CAROL, Selector::Submission(hers.id));
        let answer = house.recalls.request(&request, house.now).unwrap();
        house.recalls.run(answer.id(), house.now).unwrap();
        last = Some(answer);
    }
    assert!(matches!(
        last,
        Some(Requested::Refused(_, Refusal::RateLimited))
    ));
    let on_record = limits::MAX_REFUSALS + 1;
    assert_eq!(
        house.recalls.list(Some(CAROL), 2_000).unwrap().len(),
        on_record
    );
    let folder = house.mailboxes.folder(CAROL, "Recall").unwrap().id;
    assert_eq!(house.uids(CAROL, folder).len(), on_record, "reports");
    assert_eq!(audited(&house, "recall.request").len(), on_record);
    let flood = audited(&house, "recall.refusals");
    let newest = flood.last().unwrap().draft.details.get("requests").cloned();
    assert_eq!((flood.len(), newest), (9, Some(Detail::Number(512))));
    // An hour later they are answered one by one again.
    house.now = house.now.plus_millis(limits::RATE_WINDOW_MS + 1);
    let request = house.request(CAROL, Selector::Submission(hers.id));
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Refused(request.id, Refusal::NotYours));
    house.recalls.run(request.id, house.now).unwrap();
    house.check();
}

#[test]
fn every_outcome_and_every_restored_copy_is_in_the_audit_log() {
    let mut house = House::new();
    let out = ["a@x.test", "b@x.test"];
    let sent = house.submit(ALICE, &[ALICE, BOB, CAROL], &out, 1);
    delete_all(&house, CAROL);
    let leased = house.items(&sent)[1];
    tern_queue::lease(&house.engine, leased, LeaseId(1), house.now, 60_000).unwrap();
    let id = house.recall(ALICE, &sent).id();
    house.append(DAVE, INBOX, &house.letter(1));
    house.recalls.refresh_late(id.tag(), house.now).unwrap();
    house.now = house.now.plus_millis(60_001);
    house.recalls.run_open(house.now).unwrap();
    let reasons = |entries: &[tern_audit::Entry]| -> Vec<String> {
        let reason = |entry: &tern_audit::Entry| match entry.draft.details.get("reason") {
            Some(Detail::Text(reason)) => reason.clone(),
            _ => "none".to_owned(),
        };
        entries.iter().map(reason).collect()
    };
    let entries = audited(&house, "recall.outcome");
    assert_eq!(
        reasons(&entries),
        [
            "queued",
            "in-flight",
            "never-served",
            "own-copy",
            "deleted-unread",
            "put-back",
            "maybe-taken-outside",
        ]
    );
    let recipient = entries[0].draft.details.get("recipient").cloned();
    assert_eq!(recipient, Some(Detail::Text("a@x.test".into())));
    assert_eq!(audited(&house, "recall.settled").len(), 1);
    let requester = house
        .request(ALICE, Selector::Submission(sent.id))
        .requester;
    house.recalls.restore(id, &requester, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    let back = audited(&house, "recall.copy-restored");
    // Dave, who was not addressed, has no other copy than the one that he put back.
    assert_eq!(reasons(&back), ["never-served", "put-back"]);
    house.check();
}

#[test]
fn what_was_kept_long_enough_is_purged_and_a_restore_says_so() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    house.now = house.now.plus_millis(60 * DAY_MS);
    house.append(BOB, INBOX, &house.letter(1));
    house.recalls.refresh_late(id.tag(), house.now).unwrap();
    assert_eq!(house.recalls.purge(house.now).unwrap(), 0);
    house.now = house.now.plus_millis(31 * DAY_MS);
    assert_eq!(house.recalls.purge(house.now).unwrap(), 2);
    assert_eq!(house.recalls.purge(house.now).unwrap(), 0);
    assert_eq!(audited(&house, "recall.copy-purged").len(), 2);
    let kept = house.sealing.vaulted(id.tag(), None, 9).unwrap();
    assert_eq!(kept.len(), 1, "what came later stays longer");
    let purged = |house: &House| {
        let outcomes = house.recalls.outcomes(id).unwrap();
        let purged = outcomes.iter().filter(|(_, o)| o.purged.is_some());
        (outcomes.len(), purged.count())
    };
    assert_eq!(purged(&house), (3, 2));
    house.check();
    house.now = house.now.plus_millis(60 * DAY_MS);
    assert_eq!(house.recalls.purge(house.now).unwrap(), 1);
    let mut requester = house
        .request(ALICE, Selector::Submission(sent.id))
        .requester;
    // Late enough that its sender can't undo it any more.
    requester.account = None;
    house.recalls.restore(id, &requester, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Restored);
    assert!(house.uids(BOB, INBOX).is_empty());
    let report = house.report(ALICE);
    assert!(
        report.contains("No longer kept: it can't be put back."),
        "{report}"
    );
    assert_eq!(purged(&house), (3, 3));
    house.check();
}

/// The sweep is killed before each commit in turn; the next one goes on.
#[test]
fn a_sweep_that_was_killed_goes_on() {
    for kill_at in 0.. {
        let mut house = House::new();
        let crowd = house.crowd(300);
        let sent = house.submit(ALICE, &crowd, &[], 1);
        let id = house.recall(ALICE, &sent).id();
        house.now = house.now.plus_millis(91 * DAY_MS);
        let now = house.now;
        let finished = house.killed_at(kill_at, |house| house.recalls.purge(now));
        let house = house.restarted();
        house.recalls.purge(house.now).unwrap();
        assert!(house.sealing.vaulted(id.tag(), None, 9).unwrap().is_empty());
        let outcomes = house.recalls.outcomes(id).unwrap();
        assert!(outcomes.iter().all(|(_, outcome)| outcome.purged.is_some()));
        house.check();
        if finished {
            return assert!(kill_at >= 4, "only {kill_at} commits");
        }
    }
}

#[test]
fn a_kill_during_an_attempt_to_relay_is_settled_when_its_lease_runs_out() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[], &["a@x.test"], 1);
    let lease_ms = 600_000;
    let item = house.items(&sent)[0];
    tern_queue::lease(&house.engine, item, LeaseId(1), house.now, lease_ms).unwrap();
    let id = house.recall(ALICE, &sent).id();
    let mut house = house.restarted();
    house.recalls.run_open(house.now).unwrap();
    let pending = ("a@x.test", Outcome::Pending, Reason::InFlight);
    assert_eq!(house.outcomes(id), [pending]);
    house.now = house.now.plus_millis(lease_ms + 1);
    house.recalls.run_open(house.now).unwrap();
    let lost = ("a@x.test", Outcome::Relayed, Reason::MaybeTakenOutside);
    assert_eq!(house.outcomes(id), [lost]);
    assert!(house.report(ALICE).contains("maybe-taken-outside"));
    house.check();
}

/// A report that was being written while something else happened is not the last word, even where
/// the record said before, too, that it was due.
#[test]
fn a_report_overtaken_by_an_outcome_is_written_again() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    house.append(BOB, INBOX, &house.letter(1));
    // Noted, and killed before the report: the record says that one is due.
    house.killed_at(1, |house| house.recalls.refresh_late(id.tag(), house.now));
    let mut house = house.restarted();
    house.append(CAROL, INBOX, &house.letter(1));
    let before = house.recalls.recall(id).unwrap();
    house.recalls.refresh_late(id.tag(), house.now).unwrap();
    let after = house.recalls.recall(id).unwrap();
    assert!(
        after.generation > before.generation,
        "each change is told apart"
    );
    assert_eq!(after.reported, after.generation);
    let copies = house.recalls.outcomes(id).unwrap();
    let late = copies
        .iter()
        .filter(|(subject, _)| matches!(subject, Subject::Copy(..)));
    assert_eq!(late.count(), 3);
    assert!(house.report(ALICE).contains("3 copies in all"));
    house.check();
}

/// How many copies are unread says who has read theirs: to look counts as to ask.
#[test]
fn a_look_at_what_is_unread_counts_as_a_request() {
    let mut house = House::by_default();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    let look = |request: &tern_recall::Request| house.recalls.dry_run(request, house.now).unwrap();
    for _ in 0..20 {
        assert!(look(&request).is_ok(), "all copies");
    }
    request.selection = tern_policy::Selection::OnlyUnread;
    for n in 0..10 {
        assert!(look(&request).is_ok(), "{n}");
    }
    assert_eq!(look(&request).unwrap_err(), Refusal::RateLimited);
    house.check();
}

/// To plan what somebody else sent is told nothing, not even that there is such a message.
#[test]
fn a_plan_of_what_is_not_ones_own_finds_nothing() {
    let mut house = House::by_default();
    let hers = house.submit(ALICE, &[BOB], &[], 1);
    let mut none = hers.id;
    none.0[15] ^= 1;
    for id in [hers.id, none] {
        let request = house.request(BOB, Selector::Submission(id));
        let plan = house.recalls.plan(&request, house.now).unwrap();
        assert_eq!(plan.unwrap_err(), Refusal::NotFound);
    }
}
