//! Accounts that are removed: their copies have an honest outcome, and they take nothing back, nor let
//! others.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod house;

use std::sync::Arc;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::AccountId;
use tern_directory::{Grant, GrantScope, Role};
use tern_mailbox::{ExposureLevel, INBOX};
use tern_policy::Authentication;
use tern_recall::{
    Outcome, Reason, RecallError, Refusal, Requested, Requester, Selector, State, Subject,
};
use tern_store::{MemEngine, Verdict};

/// More than one recipient needs two people.
const TWO: &str = "@id(\"two\") @approval(\"1h\") @approvers(\"2\") forbid (principal, \
                   action == Tern::Action::\"recall.own\", resource) \
                   when { resource.recipients > 1 } unless { context.approvals >= 2 };";

fn by_two() -> House {
    let roles = tern_policy::SHIPPED_DEFAULT[0];
    let set = tern_policy::PolicySet::load(&[roles, ("two.cedar", TWO)]).unwrap();
    House::under(Arc::new(set))
}

fn mark(engine: &MemEngine, account: AccountId) {
    tern_store::transact(engine, |txn| {
        tern_directory::begin_removal_in(txn, account).map(Verdict::Commit)
    })
    .unwrap();
}

fn remove(house: &House, account: AccountId) {
    mark(&house.engine, account);
    house.upkeep.remove_account(account, house.now).unwrap();
    house.recalls.forget_triggers(account).unwrap();
    tern_directory::remove_account(&house.engine, account).unwrap();
}

fn approver(house: &House, account: AccountId, name: &str) -> Requester {
    let grant = Grant {
        account,
        role: Role::ComplianceOfficer,
        scope: GrantScope::Everyone,
    };
    tern_directory::grant_role(&house.engine, &grant, None, house.now).unwrap();
    person(account, name)
}

fn person(account: AccountId, name: &str) -> Requester {
    Requester {
        account: Some(account),
        name: format!("{name}@example.org"),
        authentication: Authentication::default(),
    }
}

#[test]
fn whose_account_was_removed_is_not_said_to_have_deleted_it() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL, DAVE], &[], 1);
    house.serve(BOB, 1, ExposureLevel::Body);
    remove(&house, BOB);
    remove(&house, CAROL);
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let (_, plan) = house.recalls.plan(&request, house.now).unwrap().unwrap();
    let planned: Vec<Reason> = plan.targets.iter().map(|(_, end)| end.reason).collect();
    let removed = [Reason::RemovedAfterServing, Reason::RemovedUnread];
    assert_eq!(planned, removed);
    let id = house.recall(ALICE, &sent).id();
    let rows = house.recalls.outcomes(id).unwrap();
    let ends: Vec<(Outcome, Reason)> = rows
        .iter()
        .filter(|(subject, _)| matches!(subject, Subject::Target(_)))
        .map(|(_, end)| (end.outcome, end.reason))
        .collect();
    assert_eq!(ends, removed.map(|why| (Outcome::AlreadyGone, why)));
    // What was served of it stays on record with its outcome.
    assert!(rows.iter().any(|(_, end)| end.exposure.is_some()));
    let report = house.report(ALICE);
    assert!(report.contains("account had been removed"), "{report}");
    assert!(!report.contains("had deleted it"), "{report}");
    house.check();
}

#[test]
fn what_was_taken_from_an_account_is_kept_when_it_is_removed_and_undone_it_stays() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    remove(&house, BOB);
    let before = house.outcomes(id);
    let asked = person(ALICE, "alice");
    house.recalls.restore(id, &asked, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Restored);
    assert_eq!(house.uids(CAROL, INBOX).len(), 1);
    let kept = house.sealing.vaulted(id.tag(), None, 9).unwrap();
    assert_eq!(
        kept.iter().map(|copy| copy.account).collect::<Vec<_>>(),
        [BOB]
    );
    assert_eq!(
        house.outcomes(id),
        before,
        "the outcomes stay what they were"
    );
    house.check();
}

#[test]
fn an_approval_of_an_account_that_is_gone_counts_no_more() {
    let mut house = by_two();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let dave = approver(&house, DAVE, "dave");
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let approve =
        |house: &House, by: &Requester| house.recalls.approve(request.id, by, None, house.now);
    house.recalls.request(&request, house.now).unwrap();
    let waits = approve(&house, &dave);
    assert!(matches!(waits, Ok(Requested::Waiting(..))), "{waits:?}");
    remove(&house, DAVE);
    assert!(matches!(
        approve(&house, &dave),
        Err(RecallError::NotAllowed(_))
    ));
    let operator = |name: &str| Requester {
        account: None,
        name: name.into(),
        authentication: Authentication::default(),
    };
    let waits = approve(&house, &operator("root"));
    assert!(matches!(waits, Ok(Requested::Waiting(..))), "{waits:?}");
    assert_eq!(house.uids(BOB, INBOX), [1]);
    let sealed = approve(&house, &operator("deputy"));
    assert_eq!(sealed, Ok(Requested::Sealed(request.id)));
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    house.check();
}

/// Nor does one of an account that was disabled, as a stolen one is at first.
#[test]
fn an_approval_of_an_account_that_is_disabled_counts_no_more() {
    let mut house = by_two();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let dave = approver(&house, DAVE, "dave");
    let request = house.request(ALICE, Selector::Submission(sent.id));
    house.recalls.request(&request, house.now).unwrap();
    let operator = |name: &str| Requester {
        account: None,
        ..person(DAVE, name)
    };
    let root = operator("root");
    for (by, disabled) in [(&dave, true), (&root, true), (&root, false)] {
        let answer = house.recalls.approve(request.id, by, None, house.now);
        // Asked again by who has approved it before, the answer is the one on record.
        assert!(matches!(answer, Ok(Requested::Waiting(..))), "{answer:?}");
        tern_directory::update_account(&house.engine, DAVE, |dave| dave.disabled = disabled)
            .unwrap();
    }
    assert_eq!(house.uids(BOB, INBOX), [1]);
    let deputy = operator("deputy");
    let sealed = house.recalls.approve(request.id, &deputy, None, house.now);
    assert_eq!(sealed, Ok(Requested::Sealed(request.id)));
    house.check();
}

#[test]
fn an_account_that_is_being_removed_asks_for_nothing_and_undoes_nothing() {
    let mut house = by_two();
    let first = house.submit(ALICE, &[BOB], &[], 1);
    let second = house.submit(ALICE, &[BOB], &[], 2);
    let done = house.recall(ALICE, &first).id();
    let mut request = house.request(ALICE, Selector::Submission(second.id));
    request.requester = person(ALICE, "alice");
    mark(&house.engine, ALICE);
    assert_eq!(
        house.recalls.request(&request, house.now),
        Ok(Requested::Refused(request.id, Refusal::NotEnabled))
    );
    let undone = house
        .recalls
        .restore(done, &person(ALICE, "alice"), house.now);
    assert!(matches!(undone, Err(RecallError::NotAllowed(_))));
    assert_eq!(house.uids(BOB, INBOX).len(), 1);
    house.check();
}

#[test]
fn a_seal_falls_before_the_removal_of_who_asked_begins_or_not_at_all() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.requester = person(ALICE, "alice");
    let engine = house.engine.clone();
    house.once_before_next_commit(move || mark(&engine, ALICE));
    assert_eq!(
        house.recalls.request(&request, house.now),
        Ok(Requested::Refused(request.id, Refusal::NotEnabled))
    );
    assert_eq!(house.uids(BOB, INBOX), [1]);
    house.check();
}

/// Whoever gets the address of somebody who is gone is somebody else, and is told nothing of what they had
/// asked for.
#[test]
fn who_gets_the_address_of_a_requester_sees_nothing_of_their_recalls() {
    let mut house = House::by_default();
    let role = Grant {
        account: BOB,
        role: Role::Administrator,
        scope: GrantScope::Everyone,
    };
    tern_directory::grant_role(&house.engine, &role, None, house.now).unwrap();
    let sent = house.submit(ALICE, &[CAROL], &[], 1);
    let mut request = house.request(BOB, Selector::Submission(sent.id));
    request.requester.name = "bob@example.org".into();
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert!(matches!(answer, Requested::Sealed(_)), "{answer:?}");
    house.recalls.run(request.id, house.now).unwrap();
    let view = |house: &House, by: &Requester| house.recalls.view(request.id, by, 10, house.now);
    assert!(view(&house, &request.requester).is_ok());
    remove(&house, BOB);
    let new = house.add_account("bob");
    let by = Requester {
        account: Some(new),
        ..request.requester.clone()
    };
    let seen = view(&house, &by).map(|_| ());
    assert_eq!(seen, Err(RecallError::NoRecall));
    house.check();
}
