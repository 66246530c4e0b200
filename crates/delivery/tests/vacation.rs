//! Answers of those who are away: to whom, how often, and to whom never.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use tern_base::Timestamp;
use tern_delivery::{DeliveryError, Outbox, Vacation, limits};
use tern_store::mem::Injected;

const WEEK: u64 = limits::ANSWER_AGAIN_MS;

fn letter(further: &str) -> Vec<u8> {
    let text = format!(
        "From: ed@far.example\nTo: Alice <alice@tern.test>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\
         Message-ID: <letter@far.example>\n{further}\nAre you there?\n"
    );
    text.replace('\n', "\r\n").into_bytes()
}

fn set(house: &House, vacation: &Vacation) {
    let outbox = Outbox::new(Arc::clone(&house.delivery), |_| {});
    let alice = house.account("alice");
    outbox.set_vacation(alice, vacation, house.now).unwrap();
}

fn away() -> Vacation {
    Vacation {
        is_enabled: true,
        text: Some("Ich bin bis Sommer fort – später mehr.".to_owned()),
        ..Vacation::default()
    }
}

/// Brings a letter from outside; how many answers leave then.
fn receive(house: &mut House, from: &str, to: &str, content: Vec<u8>) -> usize {
    let mut incoming = house.incoming(from, &[to], None);
    incoming.content = content;
    house.accept(incoming).unwrap();
    answers(house)
}

fn answers(house: &mut House) -> usize {
    let sent = house.delivery.answer_owed(house.now, &mut house.entropy);
    let answered = sent.unwrap();
    assert!(answered.failed.is_empty(), "{:?}", answered.failed);
    answered.accepted.len()
}

/// The newest message that waits to leave.
fn newest(house: &House) -> String {
    let items = house.delivery.due(house.now, 100).unwrap();
    let item = items.iter().max_by_key(|item| item.created).unwrap();
    assert_eq!(item.mail_from, None);
    let blob = house.mailboxes.read_blob_of(item.blob, item.size as u32);
    String::from_utf8(blob.unwrap()).unwrap()
}

#[test]
fn whoever_writes_is_answered_once_a_week() {
    let mut house = House::new();
    assert_eq!(
        receive(&mut house, "ed@far.example", "alice@tern.test", letter("")),
        0
    );
    set(&house, &away());
    assert_eq!(
        receive(&mut house, "ed@far.example", "alice@tern.test", letter("")),
        1
    );
    let answer = newest(&house);
    for part in [
        "From: \"alice\" <alice@tern.test>",
        "To: <ed@far.example>",
        "Auto-Submitted: auto-replied",
        "In-Reply-To: <letter@far.example>",
        "References: <letter@far.example>",
    ] {
        assert!(answer.contains(part), "{part}\n{answer}");
    }
    let parsed = tern_mime::parse(answer.as_bytes());
    let subject = tern_mime::decode_header_text(&parsed.envelope.subject.unwrap());
    assert_eq!(subject, "Auto: Grüße");
    assert!(
        parsed
            .preview
            .starts_with("Ich bin bis Sommer fort – später"),
        "{}",
        parsed.preview
    );
    // Again, also by another spelling, nobody is answered; another is.
    assert_eq!(
        receive(&mut house, "Ed@far.example", "alice@tern.test", letter("")),
        0
    );
    assert_eq!(
        receive(&mut house, "flo@far.example", "alice@tern.test", letter("")),
        1
    );
    house.now = house.now.plus_millis(WEEK - 1);
    assert_eq!(
        receive(&mut house, "ed@far.example", "alice@tern.test", letter("")),
        0
    );
    house.now = house.now.plus_millis(1);
    assert_eq!(
        receive(&mut house, "ed@far.example", "alice@tern.test", letter("")),
        1
    );
    // What it says has changed.
    house.now = house.now.plus_millis(1);
    let both = Vacation {
        subject: Some("Away\r\nBcc: all@tern.test".to_owned()),
        html: Some("<p>Away</p>".to_owned()),
        ..away()
    };
    set(&house, &both);
    assert_eq!(
        receive(&mut house, "ed@far.example", "alice@tern.test", letter("")),
        1
    );
    let answer = newest(&house);
    assert!(answer.contains("multipart/alternative"), "{answer}");
    assert!(!answer.contains("\nBcc"), "{answer}");
    house.now = house.now.plus_millis(WEEK + 1);
    assert_eq!(house.delivery.forget_answered(house.now).unwrap(), 2);
    house.check();
}

#[test]
fn machines_lists_and_the_account_itself_are_not_answered() {
    let mut house = House::new();
    set(&house, &away());
    for (from, to, content) in [
        ("<>", "alice@tern.test", letter("")),
        ("mailer-daemon@far.example", "alice@tern.test", letter("")),
        ("owner-x@far.example", "alice@tern.test", letter("")),
        ("x-request@far.example", "alice@tern.test", letter("")),
        ("no-reply@far.example", "alice@tern.test", letter("")),
        ("al@tern.test", "alice@tern.test", letter("")),
        (
            "ed@far.example",
            "alice@tern.test",
            letter("Auto-Submitted: auto-generated\n"),
        ),
        (
            "ed@far.example",
            "alice@tern.test",
            letter("Precedence: bulk\n"),
        ),
        (
            "ed@far.example",
            "alice@tern.test",
            letter("List-Id: <x.far.example>\n"),
        ),
        (
            "ed@far.example",
            "alice@tern.test",
            letter("X-Auto-Response-Suppress: All\n"),
        ),
        // By way of a group, and where nobody named her.
        ("ed@far.example", "staff@tern.test", letter("")),
        (
            "ed@far.example",
            "al@tern.test",
            b"To: x@far.example\r\n\r\nx\r\n".to_vec(),
        ),
    ] {
        let shown = String::from_utf8_lossy(&content).into_owned();
        assert_eq!(
            receive(&mut house, from, to, content),
            0,
            "{from} {to} {shown}"
        );
    }
    // By an alias that the header names, she is.
    let content = b"To: al@tern.test\r\nAuto-Submitted: no\r\n\r\nx\r\n".to_vec();
    assert_eq!(
        receive(&mut house, "ed@far.example", "al@tern.test", content),
        1
    );
    house.check();
}

#[test]
fn nobody_is_answered_before_or_after() {
    let mut house = House::new();
    let now = house.now;
    let from = now.plus_millis(1_000);
    let to = now.plus_millis(2_000);
    set(
        &house,
        &Vacation {
            from: Some(from),
            to: Some(to),
            ..away()
        },
    );
    for (at, answered) in [(now, 0), (from, 1), (Timestamp(to.0 - 1), 1), (to, 0)] {
        house.now = at;
        let sender = format!("{}@far.example", at.0);
        assert_eq!(
            receive(&mut house, &sender, "alice@tern.test", letter("")),
            answered,
            "{at:?}"
        );
    }
    let alice = house.account("alice");
    house.delivery.remove_vacation(alice).unwrap();
    assert_eq!(
        house.delivery.forget_answered(Timestamp(u64::MAX)).unwrap(),
        0
    );
    let outbox = Outbox::new(Arc::clone(&house.delivery), |_| {});
    assert_eq!(outbox.vacation(alice).unwrap(), (0, Vacation::default()));
    let long = Vacation {
        text: Some("x".repeat(limits::MAX_VACATION_TEXT + 1)),
        ..away()
    };
    let refused = outbox.set_vacation(alice, &long, house.now);
    assert!(matches!(refused, Err(DeliveryError::Limit(_))));
    house.check();
}

#[test]
fn a_damaged_row_keeps_back_nobody_elses_answer() {
    let mut house = House::new();
    set(&house, &away());
    // A row of the account before Alice's that says nothing.
    let mut key = vec![0xa5];
    key.extend([0; 4 + 16]);
    let put = |txn: &mut tern_store::Transaction<'_>| {
        txn.put(key.clone(), vec![0xff]);
        Ok::<_, tern_store::StoreError>(tern_store::Verdict::Commit(()))
    };
    tern_store::transact(&house.engine, put).unwrap();
    let mut incoming = house.incoming("ed@far.example", &["alice@tern.test"], None);
    incoming.content = letter("");
    house.accept(incoming).unwrap();
    let answered = house.delivery.answer_owed(house.now, &mut house.entropy);
    let answered = answered.unwrap();
    assert_eq!((answered.accepted.len(), answered.failed.len()), (1, 1));
}

#[test]
fn killed_at_any_commit_somebody_is_answered_once() {
    for kill_at in 0.. {
        let mut house = House::new();
        set(&house, &away());
        let mut incoming = house.incoming("bob@tern.test", &["alice@tern.test"], None);
        incoming.content = letter("");
        let mut commits = 0;
        house.engine.set_fault_hook(Some(Box::new(move |_| {
            commits += 1;
            (commits > kill_at).then_some(Injected::Full)
        })));
        let accepted = house.accept(incoming);
        let answered = house.delivery.answer_owed(house.now, &mut house.entropy);
        house.engine.set_fault_hook(None);
        let is_done = accepted.is_ok() && answered.is_ok_and(|it| it.failed.is_empty());
        let mut house = House::over(house.engine.clone(), house.now);
        answers(&mut house);
        answers(&mut house);
        let copies = house.inbox(house.account("bob")).len();
        assert_eq!(copies, usize::from(accepted.is_ok()), "{kill_at}");
        house.check();
        if is_done {
            assert!(kill_at >= 2, "{kill_at}");
            break;
        }
    }
}
