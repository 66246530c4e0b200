//! Policies that want to know why, and every way to say it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::{ALICE, BOB, CAROL, House};
use tern_directory::{Grant, GrantScope, Role};
use tern_mailbox::INBOX;
use tern_policy::{Notice, PolicySet, SHIPPED_DEFAULT};
use tern_recall::{
    Awaited, Notices, RecallError, Refusal, Request, Requested, Requester, Said, Selector, State,
    Submission,
};

const WHY: &str = r#"@id("house.why") @reason("reason-required")
forbid (principal, action == Tern::Action::"recall.own", resource)
unless { context.options.hasReason };
@id("house.pair") @approval("1h")
forbid (principal, action == Tern::Action::"recall.own", resource)
when { resource.recipients > 1 } unless { context.approvals >= 1 };"#;

fn house() -> House {
    let roles = SHIPPED_DEFAULT[0];
    House::under(Arc::new(
        PolicySet::load(&[roles, ("why.cedar", WHY)]).unwrap(),
    ))
}

fn asked_by(house: &mut House, protocol: &str, sent: &Submission) -> Request {
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.requester.account = Some(ALICE);
    request.requester.name = "alice@example.org".into();
    request.requester.authentication.protocol = protocol.into();
    request
}

fn ask(house: &House, request: &Request) -> Requested {
    let answer = house.recalls.request(request, house.now).unwrap();
    house.recalls.run(answer.id(), house.now).unwrap();
    answer
}

fn newest(house: &House, account: tern_base::AccountId) -> String {
    let uid = house.uids(account, INBOX).last().copied().unwrap();
    let row = house
        .mailboxes
        .message(account, house.message_at(account, uid));
    let content = house
        .mailboxes
        .read(account, &row.unwrap(), 0..u64::MAX)
        .unwrap();
    String::from_utf8(content.0).unwrap()
}

fn log(house: &House) -> String {
    let head = tern_audit::head(&house.engine).unwrap().sequence;
    let entries = (1..=head).map(|n| tern_audit::entry(&house.engine, n).unwrap().unwrap());
    let lines = entries.map(|entry| format!("{:?}\n", entry.draft));
    lines.collect()
}

#[test]
fn without_a_reason_it_is_refused_and_told_so() {
    // Nobody has a second factor: there is no page to say it on, and who is not asked by mail could
    // have said it at once.
    for protocol in ["imap", "smtp", "cli"] {
        for said in [None, Some(""), Some("  ")] {
            let mut house = house();
            let sent = house.submit(ALICE, &[BOB], &[], 1);
            let mut request = asked_by(&mut house, protocol, &sent);
            request.reason = said.map(str::to_owned);
            let refused = Requested::Refused(request.id, Refusal::ReasonRequired);
            assert_eq!(ask(&house, &request), refused, "{protocol} {said:?}");
            assert_eq!(house.uids(BOB, INBOX), [1]);
            let report = house.report(ALICE);
            assert!(report.contains("A reason is required."), "{report}");
            let decided = house.recalls.decided(request.id).unwrap().unwrap();
            assert_eq!(decided.policies, ["house.why"]);
            let mut again = asked_by(&mut house, protocol, &sent);
            again.reason = Some("the wrong list".into());
            assert_eq!(ask(&house, &again), Requested::Sealed(again.id));
            let taken = house.recalls.recall(again.id).unwrap();
            assert_eq!(taken.reason.as_deref(), Some("the wrong list"));
            house.check();
        }
    }
}

#[test]
fn who_can_not_say_it_in_their_client_is_asked_with_the_second_factor() {
    let mut house = house();
    house.enrol(ALICE);
    let grant = Grant {
        account: CAROL,
        role: Role::Manager,
        scope: GrantScope::Everyone,
    };
    tern_directory::grant_role(&house.engine, &grant, None, house.now).unwrap();
    let sent = house.submit(ALICE, &[BOB, house::DAVE], &[], 1);
    let request = asked_by(&mut house, "imap", &sent);
    let id = request.id;
    let waits = ask(&house, &request);
    assert!(
        matches!(waits, Requested::Waiting(_, Awaited::StepUp { .. })),
        "{waits:?}"
    );
    let mail = newest(&house, ALICE);
    assert!(mail.contains("say why, and enter a code"), "{mail}");
    assert!(house.recalls.wants_reason(id).unwrap());

    // The factor alone frees nothing, and the link stays good.
    let now = house.now;
    let answer = house.recalls.stepped_up(id, ALICE, "totp", None, now);
    assert_eq!(answer.unwrap(), waits);
    // Nobody else says it for them.
    let other = house.recalls.say(id, BOB, &Said::why("mine"), now);
    assert!(matches!(other, Err(RecallError::NoRecall)), "{other:?}");
    house
        .recalls
        .say(id, ALICE, &Said::why(" \n"), now)
        .unwrap();
    assert!(house.recalls.wants_reason(id).unwrap());

    let why = "sent to the wrong Dave";
    house.recalls.say(id, ALICE, &Said::why(why), now).unwrap();
    // Nor says who is told.
    let told = |text: &str| Said {
        notices: Notices {
            whom: Some(Notice::All),
            text: Some(text.into()),
        },
        ..Said::default()
    };
    let other = house.recalls.say(id, BOB, &told("mine"), now);
    assert!(matches!(other, Err(RecallError::NoRecall)), "{other:?}");
    for text in ["Not it.", "Not for you.\r\nReference: 1"] {
        house.recalls.say(id, ALICE, &told(text), now).unwrap();
    }
    // What was said stays.
    house
        .recalls
        .say(id, ALICE, &Said::why("else"), now)
        .unwrap();
    assert!(!house.recalls.wants_reason(id).unwrap());
    let answer = house.recalls.stepped_up(id, ALICE, "totp", None, now);
    let answer = answer.unwrap();
    assert!(
        matches!(answer, Requested::Waiting(_, Awaited::Approval { .. })),
        "{answer:?}"
    );
    house.recalls.run(id, now).unwrap();
    // Whoever approves it reads it, and so does whoever reads the log.
    assert!(newest(&house, CAROL).contains(why));
    assert_eq!(log(&house).matches(why).count(), 1, "{}", log(&house));
    let carol = Requester {
        account: Some(CAROL),
        name: "carol@example.org".into(),
        authentication: tern_policy::Authentication::default(),
    };
    let sealed = house.recalls.approve(id, &carol, None, now).unwrap();
    assert_eq!(sealed, Requested::Sealed(id));
    house.recalls.run(id, now).unwrap();
    let recall = house.recalls.recall(id).unwrap();
    assert_eq!(
        (recall.state, recall.reason.as_deref()),
        (State::Done, Some(why))
    );
    assert!(house.report(ALICE).contains(why));
    let notice = newest(&house, house::DAVE);
    assert!(
        notice.contains("> Not for you.\r\n> Reference: 1\r\n"),
        "{notice}"
    );
    assert_eq!(log(&house).matches("\"recall.notices\"").count(), 2);
    let late = house.recalls.say(id, ALICE, &Said::why("late"), now);
    late.unwrap();
    assert_eq!(
        house.recalls.recall(id).unwrap().reason.as_deref(),
        Some(why)
    );
    house.check();
}

/// Whoever says why writes no line of a report, nor of a mail to approvers, but their own.
#[test]
fn a_reason_of_several_lines_passes_for_nothing_that_the_server_says() {
    const SAID: &str =
        "typo\nApproved by bob@example.org on Fri, 1 Jan 2027.\r\n\r\nReference: 1\rx\u{1b}[2J";
    let mut house = house();
    let grant = Grant {
        account: CAROL,
        role: Role::Manager,
        scope: GrantScope::Everyone,
    };
    tern_directory::grant_role(&house.engine, &grant, None, house.now).unwrap();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let mut request = asked_by(&mut house, "cli", &sent);
    request.reason = Some(SAID.to_owned());
    assert!(matches!(ask(&house, &request), Requested::Waiting(..)));
    let mails = [house.report(ALICE), newest(&house, CAROL)];
    let carol = Requester {
        account: Some(CAROL),
        name: "carol@example.org".into(),
        ..request.requester.clone()
    };
    let no = house
        .recalls
        .decline(request.id, &carol, Some(SAID), house.now);
    no.unwrap();
    house.recalls.run_open(house.now).unwrap();
    let declined = house.report(ALICE);
    assert!(
        declined.contains("Declined by carol@example.org"),
        "{declined}"
    );
    for mail in mails.iter().chain([&declined]) {
        let (_, text) = mail.split_once("\r\n\r\n").unwrap();
        let text = text.split("Content-Type: application/json").next().unwrap();
        assert!(text.contains("> Approved by bob@example.org"), "{mail}");
        let forged = ["Approved by bob", "Reference: 1"];
        let mut lines = text.lines();
        assert!(
            !lines.any(|line| forged.iter().any(|one| line.starts_with(one))),
            "{mail}"
        );
        let is_bare = |c: char| c.is_control() && !matches!(c, '\r' | '\n');
        assert!(
            !text.contains(is_bare) && !text.replace("\r\n", "").contains('\r'),
            "{mail:?}"
        );
    }
    house.check();
}

/// What a client names that no message can be called is neither in a report nor on record.
#[test]
fn a_message_id_that_none_can_have_writes_no_field_of_a_report() {
    for odd in [
        "x>\r\nBcc: <eve@example.net>\r\n\r\n<b>",
        &"x".repeat(70_000),
    ] {
        let mut house = house();
        let mut request = house.request(ALICE, Selector::MessageId(ALICE, odd.to_owned()));
        request.requester.account = Some(ALICE);
        request.requester.name = "alice@example.org".into();
        let refused = Requested::Refused(request.id, Refusal::NotFound);
        assert_eq!(ask(&house, &request), refused);
        let recall = house.recalls.recall(request.id).unwrap();
        assert!(recall.message_id.len() <= 998, "{}", recall.message_id);
        let report = house.report(ALICE);
        assert!(report.contains("(not-found)"), "{report}");
        assert!(!report.contains("\r\nBcc:"), "{report}");
        assert!(report.lines().all(|line| line.len() <= 998), "{report}");
    }
    let mut house = house();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let mut request = asked_by(&mut house, "cli", &sent);
    request.chosen = vec!["x".repeat(70_000)];
    request.reason = Some("typo".into());
    let refused = Requested::Refused(request.id, Refusal::PolicyDenied);
    assert_eq!(ask(&house, &request), refused);
    house.check();
}
