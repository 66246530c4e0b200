//! Large fan-outs: cut off at every commit, resumed, and every copy there exactly once.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and runs a job twice at once"
)]

mod house;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use house::{House, address};
use tern_base::{AccountId, OriginId};
use tern_delivery::{Incoming, Resumed};
use tern_directory::target::Target;
use tern_directory::{add_members, create_group};
use tern_recall::{Outcome, RecallId, Request, Requested, Requester, Selector};
use tern_store::mem::Injected;
use tern_store::{MemEngine, StoreError};

/// More than two chunks, and some of each kind of destination.
const MEMBERS: usize = 1_100;
const OUTSIDE: usize = 5;

/// A house with a large group, of whose members one is full.
fn crowd() -> (House, Vec<AccountId>) {
    let house = House::new();
    let group = create_group(
        &house.engine,
        &address("crowd@tern.test"),
        "Crowd",
        house.now,
    );
    let group = group.unwrap().id;
    let mut accounts = Vec::new();
    for n in 0..MEMBERS {
        accounts.push(house.add_account(&format!("m{n}")));
    }
    house.mailboxes.set_quota(accounts[700], 1).unwrap();
    let mut members: Vec<Target> = accounts.iter().map(|id| Target::Account(*id)).collect();
    for n in 0..OUTSIDE {
        members.push(Target::Address(address(&format!("o{n}@far.example"))));
    }
    for chunk in members.chunks(1_000) {
        add_members(&house.engine, group, chunk).unwrap();
    }
    (house, accounts)
}

fn letter(house: &mut House) -> Incoming {
    let to = ["crowd@tern.test", "nobody@tern.test", "bob@tern.test"];
    let mut incoming = house.incoming("alice@tern.test", &to, Some("alice"));
    incoming.content = b"Received: by mx\r\nSubject: all\r\n\r\nHello\r\n".to_vec();
    incoming
}

/// Every copy is there once, the sender was told of what failed once, nothing is left over.
fn all_there(house: &House, accounts: &[AccountId], origin: OriginId) {
    house.check();
    let digest = tern_recall::submission::submission(&house.engine, origin);
    let digest = digest.unwrap().expect("the submission is on record").digest;
    let mut copies: BTreeMap<AccountId, usize> = BTreeMap::new();
    for copy in house.mailboxes.copies(digest).unwrap() {
        assert_eq!(copy.origin, origin);
        *copies.entry(copy.account).or_default() += 1;
    }
    assert!(copies.values().all(|count| *count == 1));
    assert_eq!(
        copies.len(),
        MEMBERS - 1 + 1,
        "all but the full one, and bob"
    );
    assert!(!copies.contains_key(&accounts[700]));
    let items = tern_queue::by_origin(&house.engine, origin).unwrap();
    assert_eq!(items.len(), OUTSIDE);
    let targets = tern_recall::submission::targets(&house.engine, origin).unwrap();
    assert_eq!(targets.len(), MEMBERS + OUTSIDE + 1, "and bob");
    let refused = tern_recall::Destination::Nowhere;
    assert_eq!(targets[700].destination, refused, "the full one");
    let told = house.inbox(house.account("alice"));
    assert_eq!(told.len(), 1, "one notice");
    assert!(told[0].contains("Final-Recipient: rfc822; nobody@tern.test"));
    assert!(told[0].contains("Final-Recipient: rfc822; crowd@tern.test"));
    let jobs = tern_store::Range::prefix(vec![0x61]);
    let rows = tern_store::Read::scan(&house.engine, &jobs, 10)
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 0, "no job is left");
}

/// What the disk holds before each commit of one accept, and after the last.
fn images(house: &mut House, incoming: &Incoming) -> Vec<MemEngine> {
    let mut images = Vec::new();
    // The hook runs under the engine's lock, so an image is taken by cutting a run short there.
    for cut in 0.. {
        let engine = house.engine.fork();
        let mut run = House::over(engine, house.now);
        let count = AtomicUsize::new(0);
        run.engine.set_fault_hook(Some(Box::new(move |_| {
            (count.fetch_add(1, Ordering::SeqCst) >= cut).then_some(Injected::Full)
        })));
        let done = run.accept(incoming.clone());
        run.engine.set_fault_hook(None);
        let image = run.engine.fork();
        images.push(image);
        if done.is_ok_and(|done| done.cut_off.is_none()) {
            return images;
        }
    }
    images
}

#[test]
fn whoever_sends_to_very_many_is_answered_before_the_copies_are_there() {
    let (mut house, accounts) = crowd();
    let incoming = letter(&mut house);
    let origin = incoming.origin;
    let (now, bob) = (house.now, house.account("bob"));
    let taken = house
        .delivery
        .take_over(incoming, now, &mut house.entropy)
        .unwrap();
    assert!(!taken.is_whole);
    let planned = (taken.accepted.local, taken.accepted.outside);
    assert_eq!(planned, (MEMBERS + 1, OUTSIDE));
    assert!(house.inbox(bob).is_empty(), "nothing is anywhere yet");
    // A stop here leaves it to the next start.
    let mut later = House::over(house.engine.fork(), now);
    let resumed = later.delivery.resume(now, &mut later.entropy).unwrap();
    assert_eq!(resumed.finished.len(), 1);
    all_there(&later, &accounts, origin);
    let done = house
        .delivery
        .fan_out(taken.accepted, now, &mut house.entropy);
    assert_eq!((done.cut_off, done.local), (None, MEMBERS));
    all_there(&house, &accounts, origin);
    // What fits one transaction is there at once.
    let mut small = house.incoming("alice@tern.test", &["carol@tern.test"], Some("alice"));
    small.content = b"Subject: x\r\n\r\nx\r\n".to_vec();
    let taken = house.delivery.take_over(small, now, &mut house.entropy);
    assert!(taken.unwrap().is_whole);
    assert_eq!(house.inbox(house.account("carol")).len(), 1);
}

#[test]
fn cut_off_at_every_commit() {
    let (mut house, accounts) = crowd();
    let incoming = letter(&mut house);
    let images = images(&mut house, &incoming);
    assert!(images.len() >= 6, "{} commits", images.len());
    let mut accepted = 0;
    for (n, image) in images.into_iter().enumerate() {
        let mut later = House::over(image, house.now);
        let submission = tern_recall::submission::submission(&later.engine, incoming.origin);
        let was_accepted = submission.unwrap().is_some();
        let finished = later
            .delivery
            .resume(later.now, &mut later.entropy)
            .unwrap()
            .finished;
        if was_accepted {
            accepted += 1;
            all_there(&later, &accounts, incoming.origin);
            assert!(
                finished
                    .iter()
                    .all(|done| done.cut_off.is_none() && done.outside == OUTSIDE)
            );
            // Once more changes nothing.
            assert_eq!(
                later
                    .delivery
                    .resume(later.now, &mut later.entropy)
                    .unwrap(),
                Resumed::default()
            );
        } else {
            // Nothing happened; the sender tries again and all is well.
            assert_eq!(finished, [], "{n}");
            let done = later.accept(incoming.clone());
            assert!(done.is_ok(), "{n}: {done:?}");
            all_there(&later, &accounts, incoming.origin);
        }
    }
    assert!(
        accepted >= 4,
        "{accepted} images after the accepting commit"
    );
}

#[test]
fn a_full_disk_before_the_accepting_commit_is_temporary_and_after_it_is_not_the_senders() {
    let (mut house, accounts) = crowd();
    let incoming = letter(&mut house);
    let mut answers = Vec::new();
    for cut in 0..4 {
        let mut run = House::over(house.engine.fork(), house.now);
        let count = AtomicUsize::new(0);
        run.engine.set_fault_hook(Some(Box::new(move |_| {
            (count.fetch_add(1, Ordering::SeqCst) >= cut).then_some(Injected::Full)
        })));
        let done = run.accept(incoming.clone());
        run.engine.set_fault_hook(None);
        answers.push(done.is_ok());
        match done {
            Ok(done) => assert_eq!(done.cut_off, Some(StoreError::Full.into())),
            Err(error) => {
                assert!(error.is_full());
                assert_eq!(error.fault(), tern_base::Fault::Temporary);
                // What was never accepted is forgotten after the grace time.
                let later = run.now.plus_millis(2 * 3_600_000);
                let resumed = run.delivery.resume(later, &mut run.entropy).unwrap();
                assert_eq!(resumed, Resumed::default());
                run.check();
                let rows = tern_store::Range::prefix(vec![0x62]);
                let left = tern_store::Read::scan(&run.engine, &rows, 10).unwrap().rows;
                assert_eq!(left.len(), 0);
                continue;
            }
        }
        run.delivery.resume(run.now, &mut run.entropy).unwrap();
        all_there(&run, &accounts, incoming.origin);
    }
    assert_eq!(answers, [false, false, true, true]);
}

#[test]
fn lost_answers_and_conflicts_bring_nothing_twice() {
    let (mut house, accounts) = crowd();
    let incoming = letter(&mut house);
    for fault in [
        Injected::UnknownApplied,
        Injected::UnknownDropped,
        Injected::Conflict,
    ] {
        for nth in 2..6 {
            let mut run = House::over(house.engine.fork(), house.now);
            let count = AtomicUsize::new(0);
            run.engine.set_fault_hook(Some(Box::new(move |_| {
                (count.fetch_add(1, Ordering::SeqCst) == nth).then_some(fault)
            })));
            let done = run.accept(incoming.clone()).unwrap();
            run.engine.set_fault_hook(None);
            assert_eq!(done.cut_off, None, "{fault:?} at {nth}");
            all_there(&run, &accounts, incoming.origin);
        }
    }
}

#[test]
fn lost_answers_of_a_single_delivery() {
    for (submitter, fault) in [
        (Some("alice"), Injected::UnknownApplied),
        (Some("alice"), Injected::UnknownDropped),
        (None, Injected::UnknownApplied),
        (None, Injected::UnknownDropped),
    ] {
        let mut house = House::new();
        let mut incoming = house.incoming("alice@tern.test", &["bob@tern.test"], submitter);
        incoming.content = b"Subject: one\r\n\r\nHello\r\n".to_vec();
        let count = AtomicUsize::new(0);
        house.engine.set_fault_hook(Some(Box::new(move |_| {
            (count.fetch_add(1, Ordering::SeqCst) == 0).then_some(fault)
        })));
        let done = house.accept(incoming);
        house.engine.set_fault_hook(None);
        assert_eq!(
            done.map(|done| done.local),
            Ok(1),
            "{submitter:?} {fault:?}"
        );
        assert_eq!(house.inbox(house.account("bob")).len(), 1);
        house.check();
    }
}

#[test]
fn nothing_is_left_when_there_is_no_room_at_all() {
    let mut house = House::new();
    let mut incoming = house.incoming("alice@tern.test", &["bob@tern.test"], Some("alice"));
    incoming.content = b"Subject: one\r\n\r\nHello\r\n".to_vec();
    house
        .engine
        .set_fault_hook(Some(Box::new(|_| Some(Injected::Full))));
    let error = house.accept(incoming.clone()).unwrap_err();
    house.engine.set_fault_hook(None);
    assert_eq!(error, StoreError::Full.into());
    assert_eq!(house.inbox(house.account("bob")).len(), 0);
    house.check();
    assert_eq!(house.accept(incoming).unwrap().local, 1);
    house.check();
}

#[test]
fn two_runners_of_one_job() {
    let (mut house, accounts) = crowd();
    let incoming = letter(&mut house);
    // Cut off right after the accepting commit.
    let mut run = House::over(house.engine.fork(), house.now);
    let count = AtomicUsize::new(0);
    run.engine.set_fault_hook(Some(Box::new(move |_| {
        (count.fetch_add(1, Ordering::SeqCst) >= 2).then_some(Injected::Full)
    })));
    assert!(run.accept(incoming.clone()).unwrap().cut_off.is_some());
    run.engine.set_fault_hook(None);
    let run = Arc::new(run);
    let finished = Arc::new(Mutex::new(0));
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (run, finished) = (Arc::clone(&run), Arc::clone(&finished));
            scope.spawn(move || {
                let mut entropy = tern_base::SeededEntropy::new(seed);
                let done = run.delivery.resume(run.now, &mut entropy).unwrap();
                assert_eq!(done.failed, []);
                *finished.lock().unwrap() += done.finished.len();
            });
        }
    });
    assert_eq!(*finished.lock().unwrap(), 1, "one runner finished it");
    all_there(&run, &accounts, incoming.origin);
}

#[test]
fn long_addresses_stay_within_a_batch() {
    let mut house = House::new();
    let label = "d".repeat(60);
    let domain = format!("{label}.{label}.{label}.{label}.far.example");
    let to: Vec<String> = (0..600).map(|n| format!("{:0>64}@{domain}", n)).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let mut incoming = house.incoming("alice@tern.test", &to, Some("alice"));
    for recipient in &mut incoming.recipients {
        recipient.orcpt = Some(format!("rfc822;{}", "o".repeat(2_000)));
    }
    incoming.content = vec![b'x'; 500_000];
    let done = house.accept(incoming).unwrap();
    assert_eq!((done.outside, done.cut_off), (600, None));
    house.check();
}

/// All of a chunk fail, and each report repeats the longest original recipient that there may be.
#[test]
fn long_reports_of_one_chunk_stay_within_a_row() {
    let (mut house, accounts) = crowd();
    for account in &accounts[..130] {
        house.mailboxes.set_quota(*account, 1).unwrap();
    }
    let to = ["crowd@tern.test"];
    let mut incoming = house.incoming("ann@far.example", &to, None);
    incoming.content = b"Subject: all\r\n\r\nHello\r\n".to_vec();
    incoming.recipients[0].orcpt = Some(format!("rfc822;{}@far.example", "x".repeat(480)));
    let done = house.accept(incoming).unwrap();
    assert_eq!(done.cut_off, None);
    assert_eq!(done.local, MEMBERS - 131);
    house.check();
}

fn recall_of(origin: OriginId, chosen: &[&str]) -> Request {
    Request {
        id: RecallId([9; 16]),
        selector: Selector::Submission(origin),
        requester: Requester {
            account: None,
            name: "root".into(),
            authentication: tern_policy::Authentication::default(),
        },
        chosen: chosen.iter().map(|text| (*text).to_owned()).collect(),
        selection: tern_policy::Selection::Any,
        attachment: None,
        reach: tern_recall::Reach::default(),
        notices: tern_recall::Notices::default(),
        batch: None,
        as_answer: false,
        reason: None,
        replacement: None,
        expires: None,
    }
}

/// A recall limited to the group falls at every point of the delivery: whoever is reached later
/// never sees a copy, bob keeps his, and every copy has one outcome in the end.
#[test]
fn recalled_half_way_every_chosen_copy_is_stopped_and_has_its_outcome() {
    let (mut house, _) = crowd();
    let incoming = letter(&mut house);
    for chosen in [&["crowd@tern.test"][..], &[]] {
        let mut half_way = 0;
        for image in images(&mut house, &incoming) {
            let mut later = House::over(image, house.now);
            let recalls = later.recalls();
            let request = recall_of(incoming.origin, chosen);
            let answer = recalls.request(&request, later.now).unwrap();
            if !matches!(answer, Requested::Sealed(_)) {
                continue;
            }
            recalls.run(request.id, later.now).unwrap();
            let at_once = recalls.status(request.id, 0).unwrap();
            half_way += usize::from(at_once.on_their_way > 0);
            later
                .delivery
                .resume(later.now, &mut later.entropy)
                .unwrap();
            recalls.run_open(later.now).unwrap();
            let status = recalls.status(request.id, 0).unwrap();
            let count = |outcome| status.tally.of(outcome);
            let bob = u64::from(chosen.is_empty());
            let stopped = count(Outcome::WithdrawnUnexposed) + count(Outcome::BlockedLate);
            // Under the seal the full one has room: what is stopped takes none of it.
            let full = stopped - bob - (MEMBERS as u64 - 1);
            assert!(full <= 1, "{:?}", status.tally);
            assert_eq!(count(Outcome::Prevented), OUTSIDE as u64);
            assert_eq!(count(Outcome::KeptByPolicy), 1 - bob);
            assert_eq!(
                status.tally.iter().count(),
                2 + usize::from(bob == 0)
                    + usize::from(
                        count(Outcome::WithdrawnUnexposed) > 0 && count(Outcome::BlockedLate) > 0
                    )
            );
            assert_eq!(status.on_their_way, 0);
            let left = later.mailboxes.copies(status.recall.digest).unwrap();
            assert_eq!(left.len() as u64, 1 - bob, "bob's alone is left");
            assert_eq!(
                tern_queue::list(&later.engine, None, 9)
                    .unwrap()
                    .items
                    .len(),
                0
            );
            assert_eq!(recalls.check().unwrap(), []);
            later.check();
        }
        assert!(half_way >= 2, "{half_way} of the cuts were half-way");
    }
}

/// From the seal on, before anything else of the recall has run, the queue hands out exactly what
/// was not chosen: however many recipients there are.
#[test]
fn the_queue_holds_exactly_the_chosen_outside_recipients() {
    let mut house = House::new();
    let to: Vec<String> = (0..450).map(|n| format!("u{n}@far.example")).collect();
    let names: Vec<&str> = to.iter().map(String::as_str).collect();
    let mut incoming = house.incoming("alice@tern.test", &names, Some("alice"));
    incoming.content = b"Subject: all\r\n\r\nHello\r\n".to_vec();
    let origin = incoming.origin;
    house.accept(incoming).unwrap();
    let chosen: Vec<&str> = names.iter().step_by(3).copied().collect();
    let recalls = house.recalls();
    let request = recall_of(origin, &chosen);
    recalls.request(&request, house.now).unwrap();
    for (n, status) in tern_queue::by_origin(&house.engine, origin)
        .unwrap()
        .iter()
        .enumerate()
    {
        let lease = tern_queue::LeaseId(n as u64);
        let taken = house
            .delivery
            .take(&[status.id()], lease, house.now, 60_000)
            .unwrap();
        let number = status.id().number_in(origin).unwrap();
        assert_eq!(taken.is_none(), number % 3 == 0, "recipient {number}");
    }
    recalls.run(request.id, house.now).unwrap();
    let tally = recalls.tally(request.id).unwrap();
    assert_eq!(
        (
            tally.of(Outcome::Prevented),
            tally.of(Outcome::KeptByPolicy)
        ),
        (150, 300)
    );
    assert_eq!(recalls.check().unwrap(), []);
}
