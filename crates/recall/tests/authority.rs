//! Who may do what changes at the very moment at which it is done.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::{AccountId, EmailAddress};
use tern_directory::{Grant, GrantScope, GroupId, Role, Target};
use tern_mailbox::INBOX;
use tern_recall::{RecallError, Request, Requested, Selector, State, Submission};
use tern_store::MemEngine;

fn role(account: AccountId, role: Role, scope: GrantScope) -> Grant {
    Grant {
        account,
        role,
        scope,
    }
}

fn give(engine: &MemEngine, grant: &Grant) {
    let now = tern_base::Timestamp(7);
    assert!(tern_directory::grant_role(engine, grant, None, now).unwrap());
}

/// Bob asks for what Alice sent.
fn asked_by_bob(house: &mut House, sent: &Submission) -> Request {
    house.request(BOB, Selector::Submission(sent.id))
}

fn ward(house: &House, members: &[Target]) -> GroupId {
    let address = EmailAddress::parse("ward@example.org").unwrap();
    let group = tern_directory::create_group(&house.engine, &address, "", house.now).unwrap();
    tern_directory::add_members(&house.engine, group.id, members).unwrap();
    group.id
}

fn refused(answer: &Requested) -> bool {
    matches!(answer, Requested::Refused(..))
}

/// As many grants as before say nothing.
#[test]
fn a_role_that_goes_while_another_is_given_takes_nothing_back() {
    let mut house = House::by_default();
    let sent = house.submit(ALICE, &[DAVE], &[], 1);
    let mine = role(BOB, Role::ComplianceOfficer, GrantScope::Everyone);
    give(&house.engine, &mine);
    let request = asked_by_bob(&mut house, &sent);
    let engine = house.engine.clone();
    house.once_before_next_commit(move || {
        assert!(tern_directory::revoke_role(&engine, &mine).unwrap());
        give(&engine, &role(CAROL, Role::Auditor, GrantScope::Everyone));
    });
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert!(refused(&answer), "{answer:?}");
    assert_eq!(house.uids(DAVE, INBOX), [1]);
    house.check();
}

/// A role over a group is over nobody who has left it.
#[test]
fn a_sender_who_leaves_the_group_meanwhile_is_not_recalled_by_a_role_over_it() {
    let mut house = House::by_default();
    let sent = house.submit(ALICE, &[DAVE], &[], 1);
    let group = ward(&house, &[Target::Account(ALICE)]);
    let over = GrantScope::Group(group);
    give(&house.engine, &role(BOB, Role::ComplianceOfficer, over));
    let request = asked_by_bob(&mut house, &sent);
    let engine = house.engine.clone();
    house.once_before_next_commit(move || {
        tern_directory::remove_members(&engine, group, &[Target::Account(ALICE)]).unwrap();
    });
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert!(refused(&answer), "{answer:?}");
    assert_eq!(house.uids(DAVE, INBOX), [1]);
    house.check();
}

#[test]
fn whoever_loses_the_role_while_a_recall_is_undone_undoes_nothing() {
    let mut house = House::by_default();
    let sent = house.submit(ALICE, &[DAVE], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    let mine = role(BOB, Role::ComplianceOfficer, GrantScope::Everyone);
    give(&house.engine, &mine);
    let by = asked_by_bob(&mut house, &sent).requester;
    let (engine, gone) = (house.engine.clone(), mine.clone());
    house.once_before_next_commit(move || {
        assert!(tern_directory::revoke_role(&engine, &gone).unwrap());
    });
    let answer = house.recalls.restore(id, &by, house.now);
    assert!(
        matches!(answer, Err(RecallError::NotAllowed(_))),
        "{answer:?}"
    );
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Done);
    // It was this alone.
    give(&house.engine, &mine);
    assert_eq!(house.recalls.restore(id, &by, house.now), Ok(()));
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.uids(DAVE, INBOX).len(), 1);
    house.check();
}
