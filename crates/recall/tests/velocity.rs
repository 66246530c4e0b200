//! The brake on an account that takes back far more than it usually may.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::AccountId;
use tern_directory::{Grant, GrantScope, Role};
use tern_mailbox::INBOX;
use tern_policy::Authentication;
use tern_recall::{Awaited, Refusal, Requested, Requester, Selector, State, submission};

const HOUR_MS: u64 = 3_600_000;

fn operator() -> Requester {
    Requester {
        account: None,
        name: "root".into(),
        authentication: Authentication::default(),
    }
}

fn grant(house: &House, account: AccountId, role: Role) {
    let grant = Grant {
        account,
        role,
        scope: GrantScope::Everyone,
    };
    tern_directory::grant_role(&house.engine, &grant, None, house.now).unwrap();
}

fn count(house: &House, action: &str) -> usize {
    let head = tern_audit::head(&house.engine).unwrap().sequence;
    let entries = (1..=head).map(|n| tern_audit::entry(&house.engine, n).unwrap().unwrap());
    entries.filter(|entry| entry.draft.action == action).count()
}

/// Alice asks for one more letter to Bob.
fn ask(house: &mut House, n: usize) -> Requested {
    let sent = house.submit(ALICE, &[BOB], &[], n);
    house.recall(ALICE, &sent)
}

#[test]
fn who_goes_on_beyond_their_rate_needs_a_second_person_until_somebody_has_looked() {
    let mut house = House::by_default();
    for account in [ALICE, CAROL] {
        grant(&house, account, Role::Administrator);
    }
    for n in 0..15 {
        assert!(house.recalls.frozen(ALICE).unwrap().is_none(), "{n}");
        let answer = ask(&mut house, n);
        assert_eq!(matches!(answer, Requested::Sealed(_)), n < 10, "{answer:?}");
    }
    let frozen = house.recalls.frozen(ALICE).unwrap().unwrap();
    assert!(
        frozen.why.contains("5 requests beyond its rate"),
        "{frozen:?}"
    );
    for _ in 0..2 {
        house.recalls.run_open(house.now).unwrap();
    }
    assert_eq!(house.uids(CAROL, INBOX), [1], "told once");
    assert!(
        house.uids(ALICE, INBOX).is_empty(),
        "not the account itself"
    );
    assert_eq!(count(&house, "recall.freeze"), 1);
    house.check();
    // An hour later she is within her rate, and waits all the same.
    house.now = house.now.plus_millis(HOUR_MS + 1);
    let answer = ask(&mut house, 20);
    let Requested::Waiting(id, Awaited::Approval { approvers: 1, .. }) = answer else {
        panic!("{answer:?}");
    };
    // Whoever may approve it is told what they would be ending.
    house.recalls.run(id, house.now).unwrap();
    let uid = house.uids(CAROL, INBOX).last().copied().unwrap();
    let row = house.mailboxes.message(CAROL, house.message_at(CAROL, uid));
    let mail = house.mailboxes.read(CAROL, &row.unwrap(), 0..u64::MAX);
    let mail = String::from_utf8(mail.unwrap().0).unwrap();
    assert!(
        mail.contains("are frozen since") && mail.contains(&frozen.why),
        "{mail}"
    );
    let freed = house.recalls.approve(id, &operator(), None, house.now);
    assert_eq!(freed, Ok(Requested::Sealed(id)));
    house.recalls.run(id, house.now).unwrap();
    assert!(
        house.recalls.frozen(ALICE).unwrap().is_none(),
        "somebody has looked"
    );
    assert_eq!(count(&house, "recall.unfreeze"), 1);
    assert!(matches!(ask(&mut house, 21), Requested::Sealed(_)));
    house.check();
}

/// Carl let it go before anybody had reason to look: that the account is frozen since, nobody has looked into.
#[test]
fn an_approval_from_before_an_account_was_frozen_counts_no_more() {
    let mut house = House::by_default();
    let crowd = house.crowd(26);
    let sent = house.submit(ALICE, &crowd, &[], 100);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    let at = house.now.plus_millis(6 * HOUR_MS);
    request.expires = Some(at);
    let asked = house.recalls.request(&request, house.now).unwrap();
    assert!(
        matches!(asked, Requested::Waiting(_, Awaited::Approval { .. })),
        "{asked:?}"
    );
    let planned = house
        .recalls
        .approve(request.id, &operator(), None, house.now);
    let planned = planned.unwrap();
    assert!(
        matches!(planned, Requested::Waiting(_, Awaited::Time { .. })),
        "{planned:?}"
    );
    house.now = house.now.plus_millis(2 * HOUR_MS);
    for n in 0..15 {
        ask(&mut house, n);
    }
    assert!(house.recalls.frozen(ALICE).unwrap().is_some());
    house.now = at;
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(
        house.recalls.recall(request.id).unwrap().state,
        State::AwaitingApproval
    );
    assert!(house.recalls.frozen(ALICE).unwrap().is_some());
    assert_eq!(count(&house, "recall.unfreeze"), 0);
    let wait = house.recalls.wait_of(request.id).unwrap().unwrap();
    assert!(wait.approvals.iter().all(|one| one.lapsed), "{wait:?}");
    // The same person may approve it again, knowing that by now.
    house.now = house.now.plus_millis(1);
    let freed = house
        .recalls
        .approve(request.id, &operator(), None, house.now);
    assert_eq!(freed, Ok(Requested::Sealed(request.id)));
    assert!(house.recalls.frozen(ALICE).unwrap().is_none());
    house.recalls.run_open(house.now).unwrap();
    house.check();
}

#[test]
fn what_a_frozen_account_took_back_is_kept_until_somebody_has_looked() {
    let mut house = House::by_default();
    let kept = |house: &House, id: tern_recall::RecallId| {
        let kept = house.sealing.vaulted(id.tag(), None, 9).unwrap();
        kept.len()
    };
    let mut first = None;
    for n in 0..15 {
        let answer = ask(&mut house, n);
        first.get_or_insert(answer.id());
    }
    let first = first.unwrap();
    assert!(house.recalls.frozen(ALICE).unwrap().is_some());
    assert_eq!(kept(&house, first), 1);
    // Far longer than anything is kept.
    house.now = house.now.plus_millis(400 * 24 * HOUR_MS);
    for _ in 0..2 {
        assert_eq!(house.recalls.purge(house.now).unwrap(), 0);
    }
    assert_eq!(kept(&house, first), 1);
    house.check();
    let done = house.recalls.unfreeze(ALICE, &operator(), house.now);
    assert!(done.unwrap());
    assert_eq!(house.recalls.purge(house.now).unwrap(), 10);
    assert_eq!(kept(&house, first), 0);
    house.check();
}

#[test]
fn who_takes_back_from_very_many_within_an_hour_is_frozen() {
    let mut house = House::by_default();
    // Each by itself needs nobody.
    let everybody = house.crowd(1_001);
    let to = &everybody[..20];
    let mut sealed = 0;
    for n in 0..20 {
        let sent = house.submit(ALICE, to, &[], n);
        // Nine an hour.
        house.now = house.now.plus_millis(HOUR_MS / 9);
        match house.recall(ALICE, &sent) {
            Requested::Sealed(_) => sealed += 1,
            answer => panic!("{n}: {answer:?}"),
        }
    }
    assert_eq!(sealed, 20, "180 an hour is fine");
    let sent = house.submit(DAVE, &everybody, &[], 99);
    let request = house.request(DAVE, Selector::Submission(sent.id));
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert!(matches!(answer, Requested::Waiting(..)), "{answer:?}");
    let decided = house.recalls.decided(request.id).unwrap().unwrap();
    assert_eq!(decided.policies, ["default.frozen", "default.recipients"]);
    let frozen = house.recalls.frozen(DAVE).unwrap().unwrap();
    assert!(frozen.why.contains("1001 recipients"), "{frozen:?}");
    assert!(
        house
            .recalls
            .unfreeze(DAVE, &operator(), house.now)
            .unwrap()
    );
    assert!(
        !house
            .recalls
            .unfreeze(DAVE, &operator(), house.now)
            .unwrap()
    );
    let one = house.submit(DAVE, &[BOB], &[], 100);
    assert!(matches!(house.recall(DAVE, &one), Requested::Sealed(_)));
    house.recalls.run_open(house.now).unwrap();
    house.check();
}

/// To choose one address is to choose all whom it leads to.
#[test]
fn a_group_that_is_chosen_counts_as_all_its_members() {
    let mut house = House::by_default();
    let everybody = house.crowd(1_001);
    let sent = house.submit(DAVE, &everybody, &[], 1);
    let mut targets = submission::targets(&house.engine, sent.id).unwrap();
    for target in &mut targets {
        target.path.recipient = "all@example.org".into();
    }
    tern_store::transact(&house.engine, |txn| {
        while submission::forget_targets_in(txn, sent.id, 100)? {}
        for (first, chunk) in submission::target_chunks(&targets) {
            submission::record_targets_in(txn, sent.id, first, chunk);
        }
        Ok::<_, tern_store::StoreError>(tern_store::Verdict::Commit(()))
    })
    .unwrap();
    let mut request = house.request(DAVE, Selector::Submission(sent.id));
    request.chosen = vec!["all@example.org".into()];
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert!(matches!(answer, Requested::Waiting(..)), "{answer:?}");
    let frozen = house.recalls.frozen(DAVE).unwrap().unwrap();
    assert!(frozen.why.contains("1001 recipients"), "{frozen:?}");
    // Policies are told the same; of a name that leads nowhere, that it is nobody.
    let told = |id| {
        let inputs = house.recalls.decided(id).unwrap().unwrap().inputs;
        let mut inputs = inputs.into_iter();
        inputs.find_map(|(name, n)| (name == "context.options.recipients").then_some(n))
    };
    assert_eq!(told(request.id).as_deref(), Some("1001"));
    let mut nobody = house.request(DAVE, Selector::Submission(sent.id));
    nobody.chosen = vec!["nobody@example.org".into()];
    let would = house.recalls.would_be(&nobody, house.now).unwrap().unwrap();
    let zero = ("context.options.recipients".into(), "0".into());
    assert!(would.inputs.contains(&zero), "{would:?}");
    house.check();
}

/// A removed account leaves nothing behind that anybody would be written to about.
#[test]
fn a_frozen_account_can_be_removed() {
    let mut house = House::by_default();
    grant(&house, CAROL, Role::Administrator);
    for n in 0..15 {
        let answer = ask(&mut house, n);
        let limited = matches!(answer, Requested::Refused(_, Refusal::RateLimited));
        assert_eq!(limited, n >= 10);
    }
    house.recalls.forget_triggers(ALICE).unwrap();
    assert!(house.recalls.all_frozen().unwrap().is_empty());
    house.recalls.run_open(house.now).unwrap();
    assert!(house.uids(CAROL, INBOX).is_empty());
    house.check();
}
