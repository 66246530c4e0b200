//! Taking back one attachment: it is gone from every copy, and the rest of the message stays. Every test
//! ends with a check of the whole store.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::counting::Counting;
use house::*;
use tern_base::{AccountId, MessageId, Timestamp, Uid};
use tern_mailbox::{
    Access, ExposureLevel, FlagChange, FlagRequest, Flags, INBOX, KEPT, SystemFlag, Transfer,
};
use tern_policy::Notice;
use tern_queue::LeaseId;
use tern_recall::{
    Attachment, HoldId, NewHold, Outcome, Reason, RecallId, Refusal, Request, Requested, Requester,
    Scope, Selector, State, Submission,
};

const PLAN: &str = "cGxhbg==";
const LIST: &str = "bGlzdA==";

/// A message with two files attached.
fn letter() -> Vec<u8> {
    let file = |name: &str, content: &str| {
        format!(
            "--b\r\nContent-Type: application/pdf; name={name}\r\n\
             Content-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename={name}\r\n\r\n{content}\r\n"
        )
    };
    format!(
        "From: alice@example.org\r\nTo: all@example.org\r\nSubject: Plans\r\n\
         Date: Sat, 21 Nov 2026 22:06:00 +0000\r\nMessage-ID: <1@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSee these.\r\n{}{}--b--\r\n",
        file("plan.pdf", PLAN),
        file("list.pdf", LIST),
    )
    .into_bytes()
}

fn asked(house: &mut House, sent: &Submission, attachment: &str) -> Request {
    Request {
        attachment: Some(Attachment::asked(attachment)),
        ..house.request(ALICE, Selector::Submission(sent.id))
    }
}

fn take(house: &mut House, sent: &Submission, attachment: &str) -> RecallId {
    let request = asked(house, sent, attachment);
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    house.recalls.run(request.id, house.now).unwrap();
    request.id
}

fn restore(house: &House, id: RecallId) {
    let requester = tern_recall::Requester {
        account: None,
        name: "root".into(),
        authentication: Default::default(),
    };
    house.recalls.restore(id, &requester, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Restored);
}

/// What an account reads in its inbox.
fn inbox(house: &House, account: AccountId) -> Vec<String> {
    let view = house.mailboxes.view(account, INBOX).unwrap();
    let read = |message: MessageId| {
        let row = house.mailboxes.message(account, message).unwrap();
        let body = house.mailboxes.read(account, &row, 0..u64::MAX).unwrap().0;
        String::from_utf8(body).unwrap()
    };
    view.iter().map(|entry| read(entry.message)).collect()
}

/// The one message in an inbox, by which of its two files it still has.
fn files(house: &House, account: AccountId) -> (bool, bool) {
    let inbox = inbox(house, account);
    assert_eq!(inbox.len(), 1, "{inbox:#?}");
    assert!(inbox[0].contains("See these.") && inbox[0].contains("Subject: Plans"));
    (inbox[0].contains(PLAN), inbox[0].contains(LIST))
}

#[test]
fn one_attachment_is_gone_and_the_rest_stays() {
    let mut house = House::new();
    let outside = ["xaver@example.net"];
    let sent = house.submit_content(ALICE, &[BOB, CAROL], &outside, &letter());
    let own = house.mailboxes.folder(ALICE, "Sent").unwrap().id;
    house.append(ALICE, own, &letter());
    let (account, from, uids) = (BOB, INBOX, &[Uid(1)]);
    let to = house.mailboxes.folder(BOB, "Sent").unwrap().id;
    let transfer = Transfer {
        from: Access::owner(account, from),
        uids,
        to,
        by: None,
    };
    house.mailboxes.copy(&transfer, house.now).unwrap();
    let seen = FlagRequest {
        access: Access::owner(account, INBOX),
        uids,
        change: &FlagChange::Add(Flags::of(&[SystemFlag::Seen])),
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&seen).unwrap();
    house.serve(CAROL, 1, ExposureLevel::Attachment);
    let before = house
        .mailboxes
        .message(BOB, house.message_at(BOB, 1))
        .unwrap();
    let mut request = asked(&mut house, &sent, "plan.pdf");
    request.requester.name = "alice@example.org".into();
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    // Until it is taken out nothing of the copy is served.
    let hidden = house.mailboxes.message(BOB, house.message_at(BOB, 1));
    assert_eq!(hidden, Err(tern_mailbox::MailboxError::Sealed));
    house.recalls.run(request.id, house.now).unwrap();

    assert_eq!(files(&house, BOB), (false, true));
    assert_eq!(files(&house, CAROL), (false, true));
    let note =
        "An attachment, \"plan.pdf\" (part 2, application/pdf), was taken back by the sender on";
    let read = inbox(&house, BOB)[0].replace("=\r\n", "");
    assert!(read.contains(note), "{read}");
    assert_eq!(house.uids(BOB, to), [2]);
    let view = house.mailboxes.view(BOB, INBOX).unwrap();
    let entry = view.get(Uid(2)).unwrap();
    assert!(entry.flags.has(SystemFlag::Seen));
    let after = house.mailboxes.message(BOB, entry.message).unwrap();
    assert_eq!(
        (after.thread, after.received),
        (before.thread, before.received)
    );
    // One content for all of them.
    let hers = house
        .mailboxes
        .message(CAROL, house.message_at(CAROL, 2))
        .unwrap();
    assert_eq!((hers.blob, after.blob == before.blob), (after.blob, false));
    let whole = house.mailboxes.view(ALICE, own).unwrap();
    let whole = house
        .mailboxes
        .message(ALICE, whole.iter().next().unwrap().message)
        .unwrap();
    assert_eq!(whole.digest, sent.digest, "the sender's own stays as it is");

    let mut ends = house.outcomes(request.id);
    ends.retain(|(_, _, reason)| *reason != Reason::OwnCopy);
    ends.sort();
    let ends: Vec<_> = ends
        .iter()
        .map(|(_, outcome, reason)| (*outcome, *reason))
        .collect();
    let expected = [
        (Outcome::WithdrawnUnexposed, Reason::NeverServed),
        (Outcome::WithdrawnExposed, Reason::BodyServed),
        (Outcome::Prevented, Reason::Queued),
    ];
    assert_eq!(ends, expected);
    let report = house.report(ALICE);
    assert!(
        report.contains("Attachment: \"plan.pdf\" (part 2, application/pdf)"),
        "{report}"
    );
    assert!(report.contains("the rest of the message stays"));
    let decided = house.recalls.decided(request.id).unwrap().unwrap();
    let told = (
        "context.options.attachment".to_owned(),
        "plan.pdf".to_owned(),
    );
    assert!(decided.inputs.contains(&told), "{:?}", decided.inputs);
    let (_, kept) = house.recalls.kept_content(request.id).unwrap().unwrap();
    assert!(kept.ends_with(&letter()), "the vault has it whole");
    assert_eq!(house.actions("recall.stand-ins").len(), 1);
    // The same asked again joins it, by number or by name; the other attachment does not.
    for again in ["2", "plan.pdf"] {
        let again = asked(&mut house, &sent, again);
        let answer = house.recalls.request(&again, house.now).unwrap();
        assert_eq!(answer, Requested::Joined(request.id));
    }
    house.check();
}

#[test]
fn a_restore_brings_the_whole_back_and_takes_the_rest_away() {
    let mut house = House::new();
    let sent = house.submit_content(ALICE, &[BOB, CAROL], &[], &letter());
    let was = house.message_at(BOB, 1);
    let id = take(&mut house, &sent, "2");
    let (account, from, uids) = (BOB, INBOX, &[Uid(2)]);
    let to = house.mailboxes.folder(BOB, "Sent").unwrap().id;
    let transfer = Transfer {
        from: Access::owner(account, from),
        uids,
        to,
        by: None,
    };
    house.mailboxes.move_messages(&transfer, house.now).unwrap();
    restore(&house, id);
    assert_eq!(files(&house, BOB), (true, true));
    assert_eq!(files(&house, CAROL), (true, true));
    assert_eq!(house.message_at(BOB, 3), was);
    assert_eq!(
        house.uids(BOB, to),
        [] as [u32; 0],
        "wherever its owner had moved it"
    );
    // And again.
    take(&mut house, &sent, "2");
    assert_eq!(files(&house, BOB), (false, true));
    house.check();
}

/// Carol's copy arrives.
fn arrives_late(house: &House, sent: &Submission) {
    let content = [b"Received: by test\r\n".to_vec(), letter()].concat();
    let prepared = house.mailboxes.prepare(content, house.now).unwrap();
    let landing = tern_mailbox::Landing {
        account: CAROL,
        mailbox: INBOX,
        flags: Flags::empty(),
        received: house.now,
        prefix: b"Delivered-To: carol\r\n".to_vec(),
        origin: sent.id,
        lineage: tern_mailbox::Lineage::Delivered,
        brought_by: None,
    };
    house
        .mailboxes
        .land(&prepared, &[landing], house.now)
        .unwrap();
}

#[test]
fn what_arrives_late_arrives_without_it_and_what_is_put_back_does_not() {
    let mut house = House::new();
    let sent = house.submit_content(ALICE, &[BOB, CAROL], &[], &letter());
    let message = house.message_at(CAROL, 1);
    let work = |txn: &mut tern_store::Transaction<'_>| {
        let gone = house.mailboxes.remove_in(txn, CAROL, message, house.now);
        gone.map(tern_store::Verdict::Commit)
    };
    house.mailboxes.transact(&[CAROL], work).unwrap();
    let id = take(&mut house, &sent, "2");
    arrives_late(&house, &sent);
    assert!(inbox(&house, CAROL).is_empty());
    assert_eq!(house.recalls.refresh_late(id.tag(), house.now).unwrap(), 1);
    assert_eq!(files(&house, CAROL), (false, true));
    assert!(inbox(&house, CAROL)[0].starts_with("Delivered-To: carol\r\n"));
    let put_back = house.append(BOB, INBOX, &letter());
    assert_eq!(put_back.sealed, Some(id.tag()));
    house.recalls.refresh_late(id.tag(), house.now).unwrap();
    assert_eq!(files(&house, BOB), (false, true), "once");
    restore(&house, id);
    assert_eq!(files(&house, BOB), (true, true));
    assert_eq!(files(&house, CAROL), (true, true));
    house.check();
}

#[test]
fn what_is_not_there_or_is_signed_is_refused_and_nothing_is_touched() {
    let mut house = House::new();
    let sent = house.submit_content(ALICE, &[BOB], &[], &letter());
    let signed = "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: s\r\n\
                  Date: Sat, 21 Nov 2026 22:06:00 +0000\r\nMessage-ID: <2@example.org>\r\n\
                  Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\
                  Content-Type: application/pdf; name=plan.pdf\r\n\r\nx\r\n--b\r\n\
                  Content-Type: application/pkcs7-signature\r\n\r\nx\r\n--b--\r\n";
    let signed = house.submit_content(ALICE, &[BOB], &[], signed.as_bytes());
    for (sent, attachment, refusal) in [
        (&sent, "4", Refusal::NoSuchAttachment),
        (&sent, "1", Refusal::NoSuchAttachment),
        (&sent, "other.pdf", Refusal::NoSuchAttachment),
        (&signed, "plan.pdf", Refusal::AttachmentProtected),
    ] {
        let request = asked(&mut house, sent, attachment);
        assert_eq!(
            house
                .recalls
                .plan(&request, house.now)
                .unwrap()
                .unwrap_err(),
            refusal
        );
        let answer = house.recalls.request(&request, house.now).unwrap();
        assert_eq!(answer, Requested::Refused(request.id, refusal));
        house.recalls.run(request.id, house.now).unwrap();
        let state = house.recalls.recall(request.id).unwrap().state;
        assert_eq!(state, State::Refused(refusal));
    }
    // Whoever may not ask is not told what there is.
    let mut request = asked(&mut house, &sent, "plan.pdf");
    request.requester.account = Some(BOB);
    let first = house.recalls.request(&request, house.now).unwrap();
    let mut request = asked(&mut house, &sent, "other.pdf");
    request.requester.account = Some(BOB);
    let second = house.recalls.request(&request, house.now).unwrap();
    let refusal = |answer| match answer {
        Requested::Refused(_, refusal) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(first), refusal(second));
    assert_eq!(house.uids(BOB, INBOX), [1, 2]);
    house.check();
}

#[test]
fn a_recall_of_the_whole_takes_what_was_left() {
    for restored_first in [0, 1] {
        let mut house = House::new();
        let sent = house.submit_content(ALICE, &[BOB], &[], &letter());
        house.serve(BOB, 1, ExposureLevel::Body);
        let part = take(&mut house, &sent, "2");
        let whole = house.recall(ALICE, &sent).id();
        assert_ne!(part, whole);
        assert!(inbox(&house, BOB).is_empty());
        let (_, outcome, reason) = house.outcomes(whole)[0];
        let exposed = (Outcome::WithdrawnExposed, Reason::BodyServed);
        assert_eq!((outcome, reason), exposed, "what was read is not forgotten");
        assert_eq!(house.outcomes(whole).len(), 1);
        house.check();
        let order = [whole, part];
        restore(&house, order[restored_first]);
        match restored_first {
            0 => assert_eq!(files(&house, BOB), (false, true)),
            _ => assert!(inbox(&house, BOB).is_empty()),
        }
        house.check();
        restore(&house, order[1 - restored_first]);
        assert_eq!(files(&house, BOB), (true, true));
        assert_eq!(inbox(&house, BOB).len(), 1);
        house.check();
    }
}

#[test]
fn two_are_taken_one_after_the_other_and_restored_in_any_order() {
    for first in [0, 1] {
        let mut house = House::new();
        let sent = house.submit_content(ALICE, &[BOB, CAROL], &[], &letter());
        let plan = take(&mut house, &sent, "plan.pdf");
        let list = take(&mut house, &sent, "list.pdf");
        assert_eq!(files(&house, BOB), (false, false));
        let ends = house.outcomes(list);
        assert!(ends.len() == 2 && ends.iter().all(|(_, outcome, _)| outcome.is_withdrawn()));
        house.check();
        let order = [plan, list];
        restore(&house, order[first]);
        house.recalls.run_open(house.now).unwrap();
        assert_eq!(files(&house, BOB), (first == 0, first == 1));
        assert_eq!(files(&house, CAROL), (first == 0, first == 1));
        house.check();
        restore(&house, order[1 - first]);
        assert_eq!(files(&house, BOB), (true, true));
        assert_eq!(files(&house, CAROL), (true, true));
        house.check();
    }
}

#[test]
fn what_is_left_does_not_come_up_under_a_recall_of_the_whole() {
    let mut house = House::new();
    let sent = house.submit_content(ALICE, &[BOB], &[], &letter());
    let request = asked(&mut house, &sent, "2");
    let whole = house.request(ALICE, Selector::Submission(sent.id));
    let (another, now) = (house.another(), house.now);
    let asked_for = whole.clone();
    // The whole is asked for when the copy is in the vault, and its place is about to be taken.
    house.recalls.request(&request, now).unwrap();
    let mut commits = 0;
    while house
        .sealing
        .vaulted(request.id.tag(), None, 1)
        .unwrap()
        .is_empty()
    {
        commits += 1;
        house.killed_at(commits, |house| house.recalls.run(request.id, now));
    }
    house.once_before_next_commit(move || {
        another.request(&asked_for, now).unwrap();
        another.run(asked_for.id, now).unwrap();
    });
    house.recalls.run(request.id, now).unwrap();
    house.recalls.run_open(now).unwrap();
    assert!(inbox(&house, BOB).is_empty());
    house.check();
    restore(&house, whole.id);
    assert_eq!(files(&house, BOB), (false, true));
    restore(&house, request.id);
    assert_eq!(files(&house, BOB), (true, true));
    house.check();
}

#[test]
fn killed_at_any_commit_each_place_is_taken_once() {
    let mut done = false;
    for kill_at in 0.. {
        if done {
            assert!(kill_at > 5, "{kill_at}");
            break;
        }
        let mut house = House::new();
        let crowd = house.crowd(70);
        let sent = house.submit_content(ALICE, &crowd, &[], &letter());
        let mut request = asked(&mut house, &sent, "2");
        request.notices.whom = Some(Notice::None);
        let work = |house: &mut House| {
            house.recalls.request(&request, house.now)?;
            house.recalls.run(request.id, house.now)
        };
        done = house.killed_at(kill_at, work);
        let mut house = house.restarted();
        let answer = house.recalls.request(&request, house.now).unwrap();
        assert_eq!(answer.id(), request.id);
        house.recalls.run_open(house.now).unwrap();
        for account in &crowd {
            assert_eq!(files(&house, *account), (false, true));
        }
        house.check();
        let killed = |house: &mut House| {
            let by = request.requester.clone();
            house.recalls.restore(request.id, &by, house.now)?;
            house.recalls.run(request.id, house.now)
        };
        house.killed_at(kill_at, killed);
        let house = house.restarted();
        restore(&house, request.id);
        for account in &crowd {
            assert_eq!(files(&house, *account), (true, true));
        }
        house.check();
    }
}

#[test]
fn what_carries_it_goes_whole_and_what_is_left_stays_when_the_vault_is_purged() {
    let mut house = House::new();
    let sent = house.submit_content(ALICE, &[BOB], &[], &letter());
    let forward = [
        b"From: bob@example.org\r\nSubject: Fwd\r\nMessage-ID: <f@example.org>\r\n\
          Content-Type: message/rfc822\r\n\r\n"
            .to_vec(),
        letter(),
    ]
    .concat();
    house.append(CAROL, INBOX, &forward);
    let id = take(&mut house, &sent, "2");
    assert!(inbox(&house, CAROL).is_empty());
    assert_eq!(files(&house, BOB), (false, true));
    house.now = Timestamp(house.now.0 + 91 * 24 * 60 * 60 * 1000);
    assert_eq!(house.recalls.purge(house.now).unwrap(), 2);
    assert_eq!(files(&house, BOB), (false, true));
    restore(&house, id);
    assert_eq!(
        files(&house, BOB),
        (false, true),
        "the whole of it is kept no longer"
    );
    house.check();
}

#[test]
fn what_was_left_and_is_held_is_counted_when_the_whole_comes_back() {
    let mut house = House::new();
    let sent = house.submit_content(ALICE, &[BOB], &[], &letter());
    let part = take(&mut house, &sent, "2");
    let whole = house.recall(ALICE, &sent).id();
    let hold = NewHold {
        id: HoldId([7; 16]),
        scope: Scope {
            account: Some(BOB),
            ..Scope::default()
        },
        why: "case 12".into(),
        ends: None,
        visible: false,
    };
    let operator = Requester {
        account: None,
        name: "root".into(),
        authentication: Default::default(),
    };
    house
        .recalls
        .place_hold(&hold, &operator, house.now)
        .unwrap();
    restore(&house, part);
    // What was left of it stays in the vault for the hold alone, and counts as what holds keep.
    let kept = house.sealing.vaulted(KEPT, None, 9).unwrap();
    let [rest] = &kept[..] else {
        panic!("{kept:?}");
    };
    let head = house.mailboxes.account_head(BOB).unwrap();
    assert_eq!(head.kept_bytes, u64::from(rest.row.message.size));
    house.check();
    restore(&house, whole);
    assert_eq!(files(&house, BOB), (true, true));
    house
        .recalls
        .release_hold(hold.id, &operator, house.now)
        .unwrap();
    house.recalls.purge(house.now).unwrap();
    assert_eq!(house.mailboxes.account_head(BOB).unwrap().kept_bytes, 0);
    house.check();
}

#[test]
fn what_the_last_look_finds_has_its_place_taken() {
    let mut house = House::new();
    let sent = house.submit_content(ALICE, &[BOB, CAROL], &["xaver@example.net"], &letter());
    let message = house.message_at(CAROL, 1);
    let work = |txn: &mut tern_store::Transaction<'_>| {
        let gone = house.mailboxes.remove_in(txn, CAROL, message, house.now);
        gone.map(tern_store::Verdict::Commit)
    };
    house.mailboxes.transact(&[CAROL], work).unwrap();
    let item = house.items(&sent)[0];
    tern_queue::lease(&house.engine, item, LeaseId(1), house.now, 60_000).unwrap();
    take(&mut house, &sent, "2");
    // Nobody was told of it: the look that settles what is pending finds it, and is the last.
    arrives_late(&house, &sent);
    house.now = house.now.plus_millis(60_001);
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(files(&house, CAROL), (false, true));
    house.check();
}

/// Whoever received a message can name it, and any file that may be in it.
#[test]
fn for_whoever_may_not_ask_no_message_is_read() {
    let mut house = House::new();
    let sent = house.submit_content(ALICE, &[BOB], &[], &letter());
    let engine = Arc::new(Counting::new(house.engine.clone()));
    let (recalls, _) = house.recalls_over(Arc::<Counting>::clone(&engine));
    let mut request = asked(&mut house, &sent, "plan.pdf");
    request.requester.account = Some(BOB);
    let answer = recalls.request(&request, house.now).unwrap();
    assert!(matches!(answer, Requested::Refused(..)), "{answer:?}");
    assert_eq!(engine.contents(), 0);
    let request = asked(&mut house, &sent, "plan.pdf");
    let answer = recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    assert!(engine.contents() > 0);
}
