//! Recalls that wait for a second factor or for other people, and who frees them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::{AccountId, Uid};
use tern_directory::{Grant, GrantScope, Role};
use tern_mailbox::{ExposureLevel, INBOX};
use tern_policy::Authentication;
use tern_recall::{
    Awaited, RecallError, RecallId, Refusal, Request, Requested, Requester, Selector, State,
    Submission, limits,
};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

fn grant(house: &House, account: AccountId, role: Role) {
    let grant = Grant {
        account,
        role,
        scope: GrantScope::Everyone,
    };
    tern_directory::grant_role(&house.engine, &grant, None, house.now).unwrap();
}

fn person(account: AccountId, name: &str) -> Requester {
    Requester {
        account: Some(account),
        name: format!("{name}@example.org"),
        authentication: Authentication::default(),
    }
}

fn operator(name: &str) -> Requester {
    Requester {
        account: None,
        name: name.into(),
        authentication: Authentication::default(),
    }
}

fn actions(house: &House) -> Vec<String> {
    let head = tern_audit::head(&house.engine).unwrap().sequence;
    let entries = (1..=head).map(|n| tern_audit::entry(&house.engine, n).unwrap().unwrap());
    entries.map(|entry| entry.draft.action).collect()
}

/// Alice's letter, which Bob has opened.
fn opened(house: &mut House) -> Submission {
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    house.serve(BOB, 1, ExposureLevel::Body);
    sent
}

/// Alice's letter to more people than she may take it back from alone.
fn sent_to_many(house: &mut House) -> Submission {
    let mut to = house.crowd(25);
    to.push(BOB);
    house.submit(ALICE, &to, &[], 1)
}

fn asked_by_imap(house: &mut House, sent: &Submission) -> Request {
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.requester = person(ALICE, "alice");
    request.requester.authentication.protocol = "imap".into();
    request
}

/// Asks, and does what is to be done of it.
fn ask(house: &House, request: &Request) -> Requested {
    let answer = house.recalls.request(request, house.now).unwrap();
    house.recalls.run(answer.id(), house.now).unwrap();
    answer
}

fn state(house: &House, id: RecallId) -> State {
    house.recalls.recall(id).unwrap().state
}

fn inbox_text(house: &House, account: AccountId, uid: u32) -> String {
    let message = house.message_at(account, uid);
    let row = house.mailboxes.message(account, message).unwrap();
    let content = house.mailboxes.read(account, &row, 0..u64::MAX).unwrap().0;
    String::from_utf8(content).unwrap()
}

fn link_in(mail: &str) -> String {
    let start = "https://mail.example.org/recall/confirm/";
    let token = mail.split(start).nth(1).unwrap();
    token.split("\r\n").next().unwrap().to_owned()
}

#[test]
fn what_was_opened_waits_for_a_second_factor_and_touches_nothing() {
    let mut house = House::by_default();
    let sent = opened(&mut house);
    let request = asked_by_imap(&mut house, &sent);
    let until = house.now.plus_millis(15 * MINUTE_MS);
    let waits = Requested::Waiting(request.id, Awaited::StepUp { until });
    assert_eq!(ask(&house, &request), waits);
    assert_eq!(state(&house, request.id), State::AwaitingStepUp);
    assert_eq!(house.uids(BOB, INBOX), [1]);
    let his = house.message_at(BOB, 1);
    assert!(house.mailboxes.message(BOB, his).is_ok());
    let report = house.report(ALICE);
    assert!(
        report.contains("Waits for your second factor: Letter 1"),
        "{report}"
    );
    // Asked again, under the same id and another, it is the same request.
    assert_eq!(ask(&house, &request), waits);
    let again = asked_by_imap(&mut house, &sent);
    assert_eq!(ask(&house, &again), waits);
    // What is shown of it tells what would happen.
    let shown = house
        .recalls
        .waiting(request.id, house.now)
        .unwrap()
        .unwrap();
    assert_eq!(
        (shown.sender.as_str(), shown.recipients),
        ("alice@example.org", 2)
    );
    let total: u64 = shown.would_be.iter().map(|(_, n)| n).sum();
    assert_eq!(total, 2);
    house.check();
    // Only she frees it.
    let now = house.now.plus_millis(14 * MINUTE_MS);
    let other = house.recalls.stepped_up(request.id, BOB, "totp", None, now);
    assert_eq!(other, Err(RecallError::NoRecall));
    let answer = house
        .recalls
        .stepped_up(request.id, ALICE, "totp", Some("192.0.2.1".into()), now)
        .unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    house.recalls.run(request.id, now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty() && house.uids(CAROL, INBOX).is_empty());
    let report = house.report(ALICE);
    assert!(
        report.contains("\r\nSubject: Taken back: Letter 1\r\n"),
        "{report}"
    );
    let again = house
        .recalls
        .stepped_up(request.id, ALICE, "totp", None, now);
    assert_eq!(again, Ok(Requested::Joined(request.id)));
    for action in [
        "recall.request",
        "recall.step-up",
        "recall.verdict",
        "recall.done",
    ] {
        let count = actions(&house).iter().filter(|one| *one == action).count();
        assert_eq!(count, 1, "{action}");
    }
    house.check();
}

#[test]
fn the_link_is_bound_to_the_recall_and_worth_nothing_afterwards() {
    let mut house = House::by_default();
    let sent = opened(&mut house);
    let request = asked_by_imap(&mut house, &sent);
    ask(&house, &request);
    house.recalls.run(request.id, house.now).unwrap();
    assert_eq!(
        house.uids(ALICE, INBOX),
        [1],
        "one mail, however often it is looked at"
    );
    let mail = inbox_text(&house, ALICE, 1);
    assert!(
        mail.contains("Letter 1") && !mail.contains("Body 1"),
        "{mail}"
    );
    let token = link_in(&mail);
    let now = house.now;
    let link_of = |token: &str, now| house.recalls.link_of(token, now).unwrap();
    assert_eq!(link_of(&token, now), Some((request.id, ALICE)));
    assert_eq!(
        link_of(&token, now),
        Some((request.id, ALICE)),
        "a look uses nothing up"
    );
    assert_eq!(
        link_of(&token, now.plus_millis(15 * MINUTE_MS)),
        None,
        "expired"
    );
    let mut forged = token.clone().into_bytes();
    let last = forged.len() - 2;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    assert_eq!(link_of(std::str::from_utf8(&forged).unwrap(), now), None);
    assert_eq!(link_of(&token[..22], now), None);
    assert_eq!(link_of("", now), None);
    house
        .recalls
        .stepped_up(request.id, ALICE, "totp", None, now)
        .unwrap();
    assert_eq!(link_of(&token, now), None, "replayed");
    house.recalls.run(request.id, now).unwrap();
    house.check();
}

#[test]
fn what_is_not_confirmed_in_time_expires() {
    let mut house = House::by_default();
    let sent = opened(&mut house);
    let request = asked_by_imap(&mut house, &sent);
    ask(&house, &request);
    house.now = house.now.plus_millis(15 * MINUTE_MS);
    let late = house
        .recalls
        .stepped_up(request.id, ALICE, "totp", None, house.now);
    assert_eq!(late, Err(RecallError::WrongState("expired")));
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(state(&house, request.id), State::Expired);
    assert_eq!(house.uids(BOB, INBOX), [1]);
    let report = house.report(ALICE);
    assert!(
        report.contains("Not taken back") && report.contains("Expired on"),
        "{report}"
    );
    // A clock that goes back brings nothing to life.
    house.now = tern_base::Timestamp(house.now.0 - 14 * MINUTE_MS);
    let late = house
        .recalls
        .stepped_up(request.id, ALICE, "totp", None, house.now);
    assert_eq!(late, Err(RecallError::WrongState("expired")));
    // She may ask again.
    let again = asked_by_imap(&mut house, &sent);
    assert!(matches!(ask(&house, &again), Requested::Waiting(id, _) if id == again.id));
    house.check();
}

#[test]
fn others_approve_once_each_and_never_what_is_their_own() {
    let mut house = House::by_default();
    let sent = sent_to_many(&mut house);
    for account in [ALICE, BOB] {
        grant(&house, account, Role::Manager);
    }
    let request = asked_by_imap(&mut house, &sent);
    let until = house.now.plus_millis(72 * HOUR_MS);
    let approvers = 1;
    let waits = Requested::Waiting(request.id, Awaited::Approval { approvers, until });
    assert_eq!(ask(&house, &request), waits);
    let approve = |by: &Requester| {
        house
            .recalls
            .approve(request.id, by, Some("yes"), house.now)
    };
    assert!(matches!(
        approve(&person(ALICE, "alice")),
        Err(RecallError::NotAllowed(_))
    ));
    // Carol holds no role, and giving herself one is refused.
    assert!(matches!(
        approve(&person(CAROL, "carol")),
        Err(RecallError::NotAllowed(_))
    ));
    let own = Grant {
        account: CAROL,
        role: Role::Manager,
        scope: GrantScope::Everyone,
    };
    assert!(tern_directory::grant_role(&house.engine, &own, Some(CAROL), house.now).is_err());
    // A claimed name changes nothing: roles are the account's.
    assert!(matches!(
        approve(&person(CAROL, "bob")),
        Err(RecallError::NotAllowed(_))
    ));
    // Each of these attempts is on record.
    let filter = tern_audit::Filter {
        action: Some(String::from("recall.approve-refused")),
        ..tern_audit::Filter::default()
    };
    let refused = tern_audit::read(&house.engine, &filter, None, 10).unwrap();
    assert_eq!(refused.entries.len(), 3);
    let stepped = house
        .recalls
        .stepped_up(request.id, ALICE, "totp", None, house.now);
    assert_eq!(stepped, Ok(waits), "a factor is no approval");
    assert_eq!(
        approve(&person(BOB, "bob")),
        Ok(Requested::Sealed(request.id))
    );
    house.recalls.run(request.id, house.now).unwrap();
    assert_eq!(
        house.uids(BOB, INBOX),
        [2],
        "the mail to the approver, and no more"
    );
    let report = house.report(ALICE);
    assert!(
        report.contains("Approved by bob@example.org on "),
        "{report}"
    );
    house.check();
}

/// Two people have to approve: one who does it twice is one.
#[test]
fn two_approvals_are_of_two_people() {
    let two = "@id(\"two\") @approval(\"1h\") @approvers(\"2\") forbid (principal, \
               action == Tern::Action::\"recall.own\", resource) unless { context.approvals >= 2 };";
    let roles = tern_policy::SHIPPED_DEFAULT[0];
    let set = tern_policy::PolicySet::load(&[roles, ("two.cedar", two)]).unwrap();
    let mut house = House::under(std::sync::Arc::new(set));
    let sent = house.submit(ALICE, &[DAVE], &[], 1);
    grant(&house, BOB, Role::Manager);
    grant(&house, CAROL, Role::ComplianceOfficer);
    let request = asked_by_imap(&mut house, &sent);
    ask(&house, &request);
    let approve = |by: &Requester, now| house.recalls.approve(request.id, by, None, now).unwrap();
    let later = house.now.plus_millis(30 * MINUTE_MS);
    let until = house.now.plus_millis(HOUR_MS);
    let waits = Requested::Waiting(
        request.id,
        Awaited::Approval {
            approvers: 2,
            until,
        },
    );
    for now in [house.now, later] {
        assert_eq!(
            approve(&person(BOB, "bob"), now),
            waits,
            "no more time than there was"
        );
    }
    assert_eq!(
        house
            .recalls
            .wait_of(request.id)
            .unwrap()
            .unwrap()
            .approvals
            .len(),
        1
    );
    house.recalls.run(request.id, later).unwrap();
    assert_eq!(house.uids(DAVE, INBOX), [1]);
    assert_eq!(
        approve(&operator("root"), later),
        Requested::Sealed(request.id)
    );
    house.recalls.run(request.id, later).unwrap();
    assert!(house.uids(DAVE, INBOX).is_empty());
    house.check();
}

#[test]
fn declined_or_cancelled_it_is_over() {
    let mut house = House::by_default();
    let sent = sent_to_many(&mut house);
    grant(&house, BOB, Role::Manager);
    let request = asked_by_imap(&mut house, &sent);
    ask(&house, &request);
    let decline = |by| {
        house
            .recalls
            .decline(request.id, &by, Some("No."), house.now)
    };
    assert!(matches!(
        decline(person(CAROL, "carol")),
        Err(RecallError::NotAllowed(_))
    ));
    assert_eq!(decline(person(BOB, "bob")), Ok(()));
    house.recalls.run(request.id, house.now).unwrap();
    let refused = State::Refused(Refusal::ApprovalRequired);
    assert_eq!(state(&house, request.id), refused);
    let report = house.report(ALICE);
    assert!(
        report.contains("Declined by bob@example.org on "),
        "{report}"
    );
    assert!(report.contains("\"No.\""), "{report}");
    let approved = house
        .recalls
        .approve(request.id, &operator("root"), None, house.now);
    assert_eq!(
        approved,
        Ok(Requested::Refused(request.id, Refusal::ApprovalRequired))
    );
    let second = asked_by_imap(&mut house, &sent);
    ask(&house, &second);
    let cancel = |by: &Requester| house.recalls.cancel(second.id, by, house.now);
    assert_eq!(cancel(&person(BOB, "bob")), Err(RecallError::NoRecall));
    assert_eq!(cancel(&person(ALICE, "alice")), Ok(()));
    assert_eq!(
        cancel(&person(ALICE, "alice")),
        Err(RecallError::WrongState("cancelled"))
    );
    let approved = house
        .recalls
        .approve(second.id, &person(BOB, "bob"), None, house.now);
    assert_eq!(approved, Err(RecallError::WrongState("cancelled")));
    house.recalls.run(second.id, house.now).unwrap();
    assert_eq!(house.uids(BOB, INBOX).first(), Some(&1));
    house.check();
}

/// Bob reads the letter while it waits for approval: now it needs the factor too, and what was
/// approved stays approved.
/// What came to nothing needs nothing of the audit log any more.
#[test]
fn what_was_cancelled_or_has_expired_keeps_no_entries() {
    let mut house = House::by_default();
    let sent = opened(&mut house);
    for cancelled in [true, false] {
        let request = asked_by_imap(&mut house, &sent);
        assert!(matches!(ask(&house, &request), Requested::Waiting(..)));
        let since = house.recalls.oldest_unfinished().unwrap();
        assert_eq!(since, Some(house.now));
        if cancelled {
            house
                .recalls
                .cancel(request.id, &operator("root"), house.now)
                .unwrap();
        }
        house.now = house.now.plus_millis(HOUR_MS);
        house.recalls.run_open(house.now).unwrap();
        let ended = match cancelled {
            true => State::Cancelled,
            false => State::Expired,
        };
        assert_eq!(state(&house, request.id), ended);
        assert_eq!(house.recalls.oldest_unfinished().unwrap(), None);
    }
    house.check();
}

#[test]
fn the_question_is_asked_again_with_what_has_happened_since() {
    let mut house = House::by_default();
    let sent = sent_to_many(&mut house);
    grant(&house, CAROL, Role::Manager);
    let request = asked_by_imap(&mut house, &sent);
    ask(&house, &request);
    house.serve(BOB, 1, ExposureLevel::Body);
    // By then it is too old to be asked for; it was not when she asked.
    house.now = house.now.plus_millis(48 * HOUR_MS);
    let approved = house
        .recalls
        .approve(request.id, &person(CAROL, "carol"), None, house.now);
    let until = house.now.plus_millis(15 * MINUTE_MS);
    let waits = Requested::Waiting(request.id, Awaited::StepUp { until });
    assert_eq!(approved, Ok(waits));
    house.recalls.run(request.id, house.now).unwrap();
    assert_eq!(house.uids(ALICE, INBOX), [1], "the link");
    let freed = house
        .recalls
        .stepped_up(request.id, ALICE, "totp", None, house.now);
    assert_eq!(freed, Ok(Requested::Sealed(request.id)));
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    house.check();
}

#[test]
fn what_another_has_taken_back_meanwhile_is_not_taken_back_twice() {
    let mut house = House::by_default();
    let sent = opened(&mut house);
    let request = asked_by_imap(&mut house, &sent);
    ask(&house, &request);
    let mut other = house.request(ALICE, Selector::Submission(sent.id));
    other.requester = operator("root");
    assert_eq!(ask(&house, &other), Requested::Sealed(other.id));
    let freed = house
        .recalls
        .stepped_up(request.id, ALICE, "totp", None, house.now);
    assert_eq!(
        freed,
        Ok(Requested::Refused(request.id, Refusal::AlreadyRecalled))
    );
    house.recalls.run(request.id, house.now).unwrap();
    house.check();
}

/// There is nothing to wait for.
#[test]
fn who_has_no_second_factor_is_told_to_get_one() {
    let mut house = House::by_default();
    let sent = house.submit(CAROL, &[BOB], &[], 1);
    house.serve(BOB, 1, ExposureLevel::Body);
    let request = house.request(CAROL, Selector::Submission(sent.id));
    let refused = Requested::Refused(request.id, Refusal::StepUpRequired);
    assert_eq!(ask(&house, &request), refused);
    let report = house.report(CAROL);
    assert!(
        report.contains("none is set up for your account"),
        "{report}"
    );
    // Once she has one, it waits for it.
    house.enrol(CAROL);
    let again = house.request(CAROL, Selector::Submission(sent.id));
    assert!(matches!(ask(&house, &again), Requested::Waiting(id, _) if id == again.id));
    house.check();
}

/// It would otherwise wait until the clock gets there.
#[test]
fn what_began_to_wait_by_a_clock_that_was_ahead_is_over() {
    let mut house = House::by_default();
    let sent = opened(&mut house);
    let request = asked_by_imap(&mut house, &sent);
    let ahead = house.now.plus_millis(HOUR_MS);
    house.recalls.request(&request, ahead).unwrap();
    house.recalls.run(request.id, ahead).unwrap();
    let token = link_in(&inbox_text(&house, ALICE, 1));
    assert_eq!(house.recalls.link_of(&token, house.now), Ok(None));
    let freed = house
        .recalls
        .stepped_up(request.id, ALICE, "totp", None, house.now);
    assert_eq!(freed, Err(RecallError::WrongState("expired")));
    house.recalls.run(request.id, house.now).unwrap();
    house.check();
}

#[test]
fn who_may_approve_is_written_to_once_and_nobody_else() {
    let mut house = House::by_default();
    let sent = sent_to_many(&mut house);
    for account in [ALICE, CAROL, DAVE] {
        grant(&house, account, Role::ComplianceOfficer);
    }
    grant(&house, BOB, Role::Auditor);
    house.mailboxes.set_quota(DAVE, 1).unwrap();
    let mut request = asked_by_imap(&mut house, &sent);
    request.reason = Some("Wrong\r\nfile".into());
    for _ in 0..3 {
        ask(&house, &request);
        house.recalls.run(request.id, house.now).unwrap();
    }
    assert_eq!(house.uids(CAROL, INBOX), [1]);
    assert!(house.uids(ALICE, INBOX).is_empty(), "her own");
    assert_eq!(house.uids(BOB, INBOX), [1], "the letter, and no more");
    assert!(
        house.uids(DAVE, INBOX).is_empty(),
        "over quota, and no hindrance"
    );
    let mail = inbox_text(&house, CAROL, 1);
    for told in [
        "To: <carol@example.org>",
        "Subject: Approve to take back: Letter 1",
        "alice@example.org asks",
        "Recipients: 26\r\n",
        "Reason:\r\n> Wrong\r\n> file\r\n",
        &format!("tern recall approve {} --as carol@example.org", request.id),
    ] {
        assert!(mail.contains(told), "{told}: {mail}");
    }
    assert!(!mail.contains("Body 1") && !mail.contains("bob@"), "{mail}");
    house.check();
}

/// The token of the link in the newest mail of somebody who may approve.
fn approval_link(house: &House, account: AccountId) -> String {
    let uid = house.uids(account, INBOX).last().copied().unwrap();
    let mail = inbox_text(house, account, uid);
    let (_, token) = mail
        .split_once("https://mail.example.org/recall/approve/")
        .unwrap();
    token.split("\r\n").next().unwrap().to_owned()
}

#[test]
fn a_link_to_approve_is_of_one_person_one_waiting_and_three_days() {
    const LONG: &str = "@id(\"long\") @approval(\"10d\") @approvers(\"2\")
        forbid (principal, action == Tern::Action::\"recall.own\", resource)
        unless { context.approvals >= 2 };";
    let roles = tern_policy::SHIPPED_DEFAULT[0];
    let set = tern_policy::PolicySet::load(&[roles, ("long.cedar", LONG)]).unwrap();
    let mut house = House::under(std::sync::Arc::new(set));
    for account in [ALICE, CAROL, DAVE] {
        grant(&house, account, Role::Manager);
    }
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let request = asked_by_imap(&mut house, &sent);
    ask(&house, &request);
    let (carols, daves) = (approval_link(&house, CAROL), approval_link(&house, DAVE));
    let opens = |house: &House, token: &str| {
        let found = house.recalls.approval_link_of(token, house.now);
        found.unwrap()
    };
    assert_eq!(opens(&house, &carols), Some((request.id, CAROL)));
    assert_eq!(opens(&house, &daves), Some((request.id, DAVE)));
    // It frees nothing as a requester's link, and no octet of it may differ.
    assert_eq!(house.recalls.link_of(&carols, house.now), Ok(None));
    for at in 0..carols.len() {
        let mut other = carols.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        assert_eq!(opens(&house, &other), None, "{at}");
    }
    // Used up by an approval of theirs, and of nobody else's.
    let carol = person(CAROL, "carol");
    let answer = house.recalls.approve(request.id, &carol, None, house.now);
    assert!(matches!(answer, Ok(Requested::Waiting(..))), "{answer:?}");
    assert_eq!(opens(&house, &carols), None);
    assert_eq!(opens(&house, &daves), Some((request.id, DAVE)));
    // Whoever may not any more is shown nothing.
    let was = Grant {
        account: DAVE,
        role: Role::Manager,
        scope: GrantScope::Everyone,
    };
    tern_directory::revoke_role(&house.engine, &was).unwrap();
    assert_eq!(opens(&house, &daves), None);
    grant(&house, DAVE, Role::Manager);
    assert_eq!(opens(&house, &daves), Some((request.id, DAVE)));
    let began = house.now;
    house.now = began.plus_millis(limits::APPROVAL_LINK_MS);
    assert_eq!(
        opens(&house, &daves),
        None,
        "the request waits on, the link is over"
    );
    assert_eq!(state(&house, request.id), State::AwaitingApproval);
    house.now = began;
    let declined = house
        .recalls
        .decline(request.id, &person(DAVE, "dave"), None, began);
    assert_eq!(declined, Ok(()));
    assert_eq!(opens(&house, &daves), None);
    house.check();
}

#[test]
fn an_account_that_is_gone_takes_nothing_back() {
    let mut house = House::by_default();
    let sent = sent_to_many(&mut house);
    let request = asked_by_imap(&mut house, &sent);
    ask(&house, &request);
    house.upkeep.remove_account(ALICE, house.now).unwrap();
    tern_directory::remove_account(&house.engine, ALICE).unwrap();
    let freed = house
        .recalls
        .approve(request.id, &operator("root"), None, house.now);
    assert_eq!(
        freed,
        Ok(Requested::Refused(request.id, Refusal::NotEnabled))
    );
    house.recalls.run(request.id, house.now).unwrap();
    assert_eq!(house.uids(BOB, INBOX), [1]);
    house.check();
}

#[test]
fn more_than_so_many_do_not_wait_and_each_counts_as_a_request() {
    let forbid = "@id(\"two\") @approval(\"1h\") @approvers(\"1\") forbid (principal, \
                  action == Tern::Action::\"recall.own\", resource) \
                  unless { context.approvals >= 1 };";
    let roles = tern_policy::SHIPPED_DEFAULT[0];
    let set = tern_policy::PolicySet::load(&[roles, ("one.cedar", forbid)]).unwrap();
    let mut house = House::under(std::sync::Arc::new(set));
    let mut last = None;
    for n in 0..=limits::MAX_WAITING {
        let sent = house.submit(ALICE, &[BOB], &[], n);
        let request = asked_by_imap(&mut house, &sent);
        last = Some(house.recalls.request(&request, house.now).unwrap());
    }
    assert!(
        matches!(last, Some(Requested::Refused(_, Refusal::RateLimited))),
        "{last:?}"
    );
    assert_eq!(
        house.recalls.all_waiting(house.now).unwrap().len(),
        limits::MAX_WAITING
    );
    house.recalls.run_open(house.now).unwrap();
    house.check();
}

#[test]
fn killed_at_any_commit_it_waits_once_and_is_freed_once() {
    for kill_at in 0.. {
        let mut house = House::by_default();
        let sent = opened(&mut house);
        let request = asked_by_imap(&mut house, &sent);
        let through = house.killed_at(kill_at, |house| {
            let answer = house.recalls.request(&request, house.now)?;
            house.recalls.run(answer.id(), house.now)?;
            house
                .recalls
                .stepped_up(request.id, ALICE, "totp", None, house.now)?;
            house.recalls.run(request.id, house.now)
        });
        let house = house.restarted();
        house.recalls.run_open(house.now).unwrap();
        house.check();
        let answer = ask(&house, &request);
        if let Requested::Waiting(..) = answer {
            let message = house.uids(BOB, INBOX);
            assert_eq!(message, [1], "waits, so touches nothing: {kill_at}");
            house
                .recalls
                .stepped_up(request.id, ALICE, "totp", None, house.now)
                .unwrap();
            house.recalls.run(request.id, house.now).unwrap();
        }
        assert_eq!(house.uids(ALICE, INBOX).len(), 1, "one link: {kill_at}");
        assert_eq!(state(&house, request.id), State::Done, "{kill_at}");
        assert!(
            house
                .mailboxes
                .view(BOB, INBOX)
                .unwrap()
                .get(Uid(1))
                .is_none()
        );
        let steps = actions(&house);
        for action in ["recall.request", "recall.step-up", "recall.verdict"] {
            let count = steps.iter().filter(|one| *one == action).count();
            assert_eq!(count, 1, "{action} {kill_at}");
        }
        house.report(ALICE);
        house.check();
        if through {
            return;
        }
    }
}
