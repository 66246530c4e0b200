//! What recipients are told of a recall: whom, what of it, and once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::{AccountId, Uid};
use tern_mailbox::{Client, ExposureLevel, INBOX, Served, Share, Viewer};
use tern_policy::Notice;
use tern_recall::{Notices, RecallId, Request, Selector, Submission, limits};

/// The notices in somebody's inbox.
fn notices(house: &House, account: AccountId) -> Vec<String> {
    let view = house.mailboxes.view(account, INBOX).unwrap();
    let mut texts = Vec::new();
    for uid in house.uids(account, INBOX) {
        let message = view.get(Uid(uid)).unwrap().message;
        let row = house.mailboxes.message(account, message).unwrap();
        let body = house.mailboxes.read(account, &row, 0..u64::MAX).unwrap().0;
        texts.push(String::from_utf8(body).unwrap());
    }
    texts.retain(|text| text.contains("From: Recall <recall@"));
    texts
}

fn count(house: &House, accounts: &[AccountId]) -> Vec<usize> {
    let count = |account: &AccountId| notices(house, *account).len();
    accounts.iter().map(count).collect()
}

/// Alice's message to Bob, who opened it, and to Carol, who did not; she has a copy herself.
fn opened_by_bob(house: &mut House) -> Submission {
    let sent = house.submit(ALICE, &[BOB, CAROL, ALICE], &[], 1);
    house.serve(BOB, 1, ExposureLevel::Body);
    sent
}

fn request(
    house: &mut House,
    sent: &Submission,
    whom: Option<Notice>,
    text: Option<&str>,
) -> Request {
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.requester.name = String::from("alice@example.org");
    request.notices = Notices {
        whom,
        text: text.map(str::to_owned),
    };
    request
}

fn carry_out(house: &House, request: &Request) {
    let answer = house.recalls.request(request, house.now).unwrap();
    house.recalls.run(answer.id(), house.now).unwrap();
}

#[test]
fn who_had_opened_it_is_told_what_it_was_and_nobody_else_is_told() {
    let mut house = House::new();
    let sent = opened_by_bob(&mut house);
    let request = request(&mut house, &sent, None, None);
    carry_out(&house, &request);
    assert_eq!(count(&house, &[BOB, CAROL, ALICE]), [1, 0, 0]);
    let notice = notices(&house, BOB).remove(0);
    for expected in [
        "\r\nSubject: Taken back: Letter 1\r\n",
        "\r\nAuto-Submitted: auto-generated\r\n",
        "\r\n\r\nalice@example.org took back a message that was in your mailbox.\r\n",
        "\r\nSubject:    Letter 1\r\n",
        " by alice@example.org\r\n",
    ] {
        assert!(notice.contains(expected), "{expected}: {notice}");
    }
    assert!(!notice.contains("Body 1"), "{notice}");
    // Asked again, run again or undone, it tells nobody once more.
    carry_out(&house, &request);
    house.recalls.run_open(house.now).unwrap();
    let by = &request.requester;
    house.recalls.restore(request.id, by, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(count(&house, &[BOB, CAROL, ALICE]), [1, 0, 0]);
    house.check();
}

#[test]
fn of_all_who_are_told_only_those_who_opened_it_learn_the_subject() {
    let mut house = House::new();
    let sent = opened_by_bob(&mut house);
    let request = request(&mut house, &sent, Some(Notice::All), Some("Wrong list."));
    carry_out(&house, &request);
    assert_eq!(count(&house, &[BOB, CAROL, ALICE]), [1, 1, 0]);
    assert!(notices(&house, BOB)[0].contains("Letter 1"));
    let unopened = notices(&house, CAROL).remove(0);
    assert!(!unopened.contains("Letter"), "{unopened}");
    assert!(unopened.contains("\r\nSubject: A message to you was taken back\r\n"));
    assert!(unopened.contains("alice@example.org writes:\r\n\r\n> Wrong list.\r\n"));
    house.check();
}

#[test]
fn the_text_is_plain_marked_as_the_requesters_and_of_limited_length() {
    let mut house = House::new();
    let sent = opened_by_bob(&mut house);
    let long = "x".repeat(limits::MAX_NOTICE_TEXT * 2);
    let text = format!("Sorry.\r\nSubject: no\r\r\n\n\u{1b}[2Jbell\u{7}\n{long}");
    let request = request(&mut house, &sent, None, Some(&text));
    carry_out(&house, &request);
    let notice = notices(&house, BOB).remove(0);
    let expected = "\r\n> Sorry.\r\n> Subject: no\r\n>\r\n> [2Jbell\r\n> xxx";
    assert!(notice.contains(expected), "{notice}");
    assert!(notice.matches('x').count() < limits::MAX_NOTICE_TEXT);
    assert!(notice.lines().all(|line| line.len() < 998));
    let bare = notice.replace("\r\n", "");
    assert!(!bare.contains(char::is_control), "{bare:?}");
}

#[test]
fn nobody_is_told_where_that_was_asked_for_or_something_else_is_to_be_read() {
    for kind in ["none", "correction", "expiry"] {
        let mut house = House::new();
        let sent = opened_by_bob(&mut house);
        let mut request = request(&mut house, &sent, None, Some("Sorry."));
        match kind {
            "none" => request.notices.whom = Some(Notice::None),
            "correction" => request.replacement = Some("2@example.org".into()),
            _ => {
                request.id = RecallId::of_expiry(ALICE, sent.id);
                request.expires = Some(house.now);
            }
        }
        carry_out(&house, &request);
        assert!(house.uids(BOB, INBOX).is_empty(), "taken back: {kind}");
        // Where it was asked for, they are told of those as well.
        let mut house = House::new();
        let sent = opened_by_bob(&mut house);
        request.selector = Selector::Submission(sent.id);
        request.notices.whom = Some(Notice::ExposedOnly);
        carry_out(&house, &request);
        assert_eq!(count(&house, &[BOB, CAROL]), [1, 0], "{kind}");
    }
}

/// What is taken back at a time that somebody thinks of later is taken back like any other message.
#[test]
fn whoever_had_opened_it_is_told_of_what_a_time_was_set_for_later() {
    let mut house = House::new();
    let sent = opened_by_bob(&mut house);
    let mut request = request(&mut house, &sent, None, None);
    request.expires = Some(house.now);
    carry_out(&house, &request);
    assert_eq!(count(&house, &[BOB, CAROL]), [1, 0]);
}

#[test]
fn an_operators_name_is_not_told() {
    let mut house = House::new();
    let sent = opened_by_bob(&mut house);
    let mut request = request(&mut house, &sent, None, None);
    request.requester.account = None;
    request.requester.name = String::from("root");
    carry_out(&house, &request);
    let notice = notices(&house, BOB).remove(0);
    assert!(notice.contains("An operator of this server took back"));
    assert!(!notice.contains("root"), "{notice}");
}

#[test]
fn a_full_mailbox_or_a_removed_account_keeps_back_no_others_notice() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL, DAVE], &[], 1);
    let request = request(&mut house, &sent, Some(Notice::All), None);
    let answer = house.recalls.request(&request, house.now).unwrap();
    house.mailboxes.set_quota(BOB, 1).unwrap();
    house.upkeep.remove_account(CAROL, house.now).unwrap();
    house.recalls.run(answer.id(), house.now).unwrap();
    assert_eq!(count(&house, &[BOB, DAVE]), [0, 1]);
    // It is over: room that there is later changes nothing.
    house.mailboxes.set_quota(BOB, 0).unwrap();
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(count(&house, &[BOB, DAVE]), [0, 1]);
}

#[test]
fn the_report_says_who_got_one_and_who_could_not() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL, DAVE], &[], 1);
    house.serve(CAROL, 1, ExposureLevel::Body);
    let request = request(&mut house, &sent, Some(Notice::All), Some("Sorry."));
    let answer = house.recalls.request(&request, house.now).unwrap();
    house.mailboxes.set_quota(DAVE, 1).unwrap();
    house.recalls.run(answer.id(), house.now).unwrap();
    let status = house.recalls.status(request.id, 9).unwrap();
    let of = |account: AccountId| {
        let address = tern_directory::account(&house.engine, account)
            .unwrap()
            .unwrap();
        let address = address.address.to_string();
        let line = status.lines.iter().find(|line| line.recipient == address);
        line.unwrap().noticed.map(|noticed| noticed.landed)
    };
    let told = [BOB, CAROL, DAVE].map(of);
    assert_eq!(told, [Some(true), Some(true), Some(false)]);
    let json = status.json();
    assert_eq!(
        (&json["notice"], &json["noticeText"]),
        (&"all".into(), &"Sorry.".into())
    );
    assert_eq!(json["copies"][0]["notice"]["outcome"], "sent");
    let report = house.report(ALICE);
    assert_eq!(report.matches("A notice was sent.").count(), 2, "{report}");
    assert!(report.contains("A notice was not accepted"), "{report}");
    assert!(report.contains("\"notice\": \"not-accepted\""), "{report}");
    assert_eq!(house.actions("recall.noticed"), ["recall.noticed"]);
    house.check();
}

#[test]
fn where_nobody_was_to_get_one_nothing_is_said_of_notices() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let request = request(&mut house, &sent, None, None);
    carry_out(&house, &request);
    let report = house.report(ALICE);
    assert!(!report.contains("A notice"), "{report}");
    assert!(house.actions("recall.noticed").is_empty());
    house.check();
}

#[test]
fn killed_at_any_commit_everybody_is_told_once() {
    let mut cut = 0;
    for kill_at in 0.. {
        let mut house = House::new();
        // More than one transaction writes to.
        let crowd = house.crowd(230);
        let sent = house.submit(ALICE, &crowd, &[], 1);
        let request = request(&mut house, &sent, Some(Notice::All), None);
        let through = house.killed_at(kill_at, |house| {
            let answer = house.recalls.request(&request, house.now)?;
            house.recalls.run(answer.id(), house.now)
        });
        let house = house.restarted();
        carry_out(&house, &request);
        house.recalls.run_open(house.now).unwrap();
        let counts = count(&house, &crowd);
        assert!(
            counts.iter().all(|told| *told == 1),
            "{kill_at}: {counts:?}"
        );
        if through {
            house.check();
            break;
        }
        cut += 1;
    }
    assert!(cut > 6, "in the middle of the notices, too: {cut}");
}

/// Carol may read Bob's mailbox, and did: that tells him neither what it was nor whose.
#[test]
fn in_whose_mailbox_somebody_else_had_read_it_learns_no_subject() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, DAVE], &[], 1);
    house.serve(DAVE, 1, ExposureLevel::Body);
    let message = house.message_at(BOB, 1);
    let row = house.mailboxes.message(BOB, message).unwrap();
    let served = Served {
        account: BOB,
        message,
        digest: row.digest,
        origin: row.origin,
        carries: false,
        level: ExposureLevel::Downloaded,
        share: Share::ALL,
    };
    let reader = Client {
        reader: Some(CAROL),
        ..Client::default()
    };
    let viewer = Viewer {
        device: reader.id(),
        ..Viewer::default()
    };
    let boxes = &house.mailboxes;
    boxes.record_served(&[served], &viewer, house.now).unwrap();
    let request = request(&mut house, &sent, None, None);
    carry_out(&house, &request);
    let [bobs, daves] = [BOB, DAVE].map(|account| notices(&house, account).remove(0));
    assert!(
        !bobs.contains("Letter 1") && !bobs.contains(" by alice@"),
        "{bobs}"
    );
    assert!(
        daves.contains("Letter 1") && daves.contains(" by alice@"),
        "{daves}"
    );
    house.check();
}
