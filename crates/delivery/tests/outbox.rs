//! What clients ask to be sent: at its time, once, or not at all.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::{House, address};
use tern_base::{OriginId, Timestamp};
use tern_delivery::{
    Delivered, DeliveryError, NewSending, Outbox, Refusal, Sending, Stage, Stop, SubmitError,
    limits,
};
use tern_directory::update_account;
use tern_queue::{LeaseId, Outcome, Reply};
use tern_store::StoreError;
use tern_store::mem::Injected;

const LETTER: &str = "From: alice@tern.test\r\nTo: bob@tern.test\r\nBcc: carol@tern.test\r\n\
                      Subject: Hello\r\n\r\nHow are you?\r\n";

fn outbox(house: &House) -> Outbox {
    Outbox::new(Arc::clone(&house.delivery), |_| {})
}

fn stop(email: &str) -> Stop {
    Stop {
        email: email.to_owned(),
        parameters: Vec::new(),
    }
}

/// Alice's letter to these, held for so many seconds.
fn letter(house: &House, to: &[&str], hold: Option<u64>) -> NewSending {
    let seconds = hold.map(|seconds| seconds.to_string());
    let hold = seconds.iter().map(|seconds| ("HOLDFOR", &**seconds));
    house.sending(to, &hold.collect::<Vec<_>>(), LETTER)
}

fn submit(house: &mut House, new: NewSending) -> Result<Sending, SubmitError> {
    outbox(house).submit(new, house.now, &mut house.entropy)
}

fn send_due(house: &mut House, now: Timestamp) -> usize {
    let dispatched = house.delivery.send_due(now, &mut house.entropy).unwrap();
    assert!(dispatched.failed.is_empty(), "{:?}", dispatched.failed);
    dispatched.accepted.len()
}

fn stage(house: &House, id: OriginId) -> Stage {
    let (_, all) = outbox(house).all(house.account("alice")).unwrap();
    all.iter().find(|sending| sending.id == id).unwrap().stage
}

fn inbox(house: &House, who: &str) -> Vec<String> {
    house.inbox(house.account(who))
}

fn standing(house: &House, sending: &Sending) -> Vec<(String, Delivered)> {
    let (_, all) = outbox(house).all(sending_account(house)).unwrap();
    let now = all.iter().find(|it| it.id == sending.id).unwrap();
    let statuses = outbox(house).statuses(sending_account(house), now).unwrap();
    let each = statuses.unwrap_or_default().into_iter();
    each.map(|one| (one.recipient, one.delivered)).collect()
}

fn sending_account(house: &House) -> tern_base::AccountId {
    house.account("alice")
}

#[test]
fn a_sending_leaves_at_its_time_as_a_submission_like_any_other() {
    let mut house = House::new();
    let new = letter(&house, &["bob@tern.test", "ed@far.example"], Some(60));
    let sending = submit(&mut house, new).unwrap();
    let due = house.now.plus_millis(60_000);
    assert_eq!((sending.stage, sending.send_at), (Stage::Pending, due));
    assert_eq!(house.delivery.next_sending().unwrap(), Some(due));
    assert_eq!(send_due(&mut house, Timestamp(due.0 - 1)), 0);
    assert!(inbox(&house, "bob").is_empty());
    house.upkeep.collect_all().unwrap();
    house.check();
    // A restart later it is still there.
    let mut house = House::over(house.engine.clone(), due);
    assert_eq!(send_due(&mut house, due), 1);
    assert_eq!(send_due(&mut house, due), 0);
    let got = inbox(&house, "bob");
    let [got] = &got[..] else {
        panic!("{got:?}");
    };
    let trace = format!(
        "Received: by mx.tern.test with JMAP\r\n\tid {};",
        sending.id
    );
    for part in [&trace[..], "Recall-Token: ", "Message-ID: ", "Date: "] {
        assert!(got.contains(part), "{part} {got}");
    }
    assert!(!got.contains("Bcc"), "{got}");
    let on_record = tern_recall::submission::submission(&house.engine, sending.id).unwrap();
    assert_eq!(on_record.unwrap().account, house.account("alice"));
    assert_eq!(stage(&house, sending.id), Stage::Sent);
    assert_eq!(house.delivery.next_sending().unwrap(), None);
    house.check();
}

#[test]
fn what_was_called_off_serves_nobody_and_what_has_left_cannot_be() {
    let mut house = House::new();
    let (alice, due) = (house.account("alice"), house.now.plus_millis(60_000));
    let new = letter(&house, &["bob@tern.test"], Some(60));
    let undone = submit(&mut house, new.clone()).unwrap();
    let sent = submit(&mut house, new).unwrap();
    let cancel = |house: &House, id| outbox(house).cancel(alice, id, house.now).unwrap();
    assert_eq!(
        outbox(&house).forget(alice, undone.id).unwrap(),
        Some(false)
    );
    assert_eq!(cancel(&house, undone.id), Some(true));
    assert_eq!(cancel(&house, undone.id), Some(false));
    let foreign = outbox(&house).cancel(house.account("bob"), sent.id, house.now);
    assert_eq!(foreign.unwrap(), None);
    assert_eq!(send_due(&mut house, due), 1);
    assert_eq!(cancel(&house, sent.id), Some(false));
    assert_eq!(inbox(&house, "bob").len(), 1);
    assert_eq!(stage(&house, undone.id), Stage::Canceled);
    assert_eq!(outbox(&house).forget(alice, undone.id).unwrap(), Some(true));
    assert_eq!(outbox(&house).forget(alice, undone.id).unwrap(), None);
    house.check();
}

#[test]
fn killed_at_any_commit_it_is_sent_once() {
    for hold in [None, Some(60)] {
        for kill_at in 0.. {
            let mut house = House::new();
            let due = house.now.plus_millis(60_000);
            let new = letter(&house, &["bob@tern.test"], hold);
            let mut commits = 0;
            house.engine.set_fault_hook(Some(Box::new(move |_| {
                commits += 1;
                (commits > kill_at).then_some(Injected::Full)
            })));
            let asked = submit(&mut house, new);
            let dispatched = house.delivery.send_due(due, &mut house.entropy);
            let is_done = asked.is_ok() && dispatched.is_ok_and(|it| it.failed.is_empty());
            house.engine.set_fault_hook(None);
            let mut house = House::over(house.engine.clone(), due);
            let later = due.plus_millis(limits::SENDING_RETRY_MS);
            send_due(&mut house, later);
            // Who was told that it is kept finds it sent; who was not may find it sent, too.
            let copies = inbox(&house, "bob").len();
            assert!(copies == 1 || (asked.is_err() && copies == 0), "{kill_at}");
            let (_, all) = outbox(&house).all(house.account("alice")).unwrap();
            assert_eq!(all.len(), copies, "{kill_at}");
            assert!(all.iter().all(|it| it.stage == Stage::Sent), "{all:?}");
            house.upkeep.collect_all().unwrap();
            house.check();
            if is_done {
                assert!(kill_at >= 3, "{kill_at}");
                break;
            }
        }
    }
}

#[test]
fn what_cannot_be_sent_at_its_time_comes_back_to_its_sender() {
    let mut house = House::new();
    let new = letter(&house, &["bob@tern.test"], Some(60));
    let sending = submit(&mut house, new).unwrap();
    let bob = house.account("bob");
    update_account(&house.engine, bob, |account| account.disabled = true).unwrap();
    let due = house.now.plus_millis(60_000);
    let dispatched = house.delivery.send_due(due, &mut house.entropy).unwrap();
    let refused = DeliveryError::Refused(Refusal::Disabled);
    assert_eq!(dispatched.failed, [(sending.id, refused)]);
    assert_eq!(stage(&house, sending.id), Stage::Refused(Refusal::Disabled));
    assert_eq!(
        standing(&house, &sending),
        [("bob@tern.test".to_owned(), Delivered::No)]
    );
    let told = inbox(&house, "alice");
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("multipart/report"), "{}", told[0]);
    assert_eq!(send_due(&mut house, due), 0);
    house.check();
}

#[test]
fn a_full_disk_puts_it_off() {
    let mut house = House::new();
    let new = letter(&house, &["bob@tern.test"], Some(60));
    let sending = submit(&mut house, new).unwrap();
    let due = house.now.plus_millis(60_000);
    let mut commits = 0;
    house.engine.set_fault_hook(Some(Box::new(move |_| {
        commits += 1;
        // The one that says that it leaves is through, and so is the one that puts it off.
        (commits == 2).then_some(Injected::Full)
    })));
    let dispatched = house.delivery.send_due(due, &mut house.entropy).unwrap();
    let full = DeliveryError::Store(StoreError::Full);
    assert_eq!(dispatched.failed, [(sending.id, full)]);
    house.engine.set_fault_hook(None);
    assert_eq!(send_due(&mut house, due), 0);
    let alice = house.account("alice");
    let late = outbox(&house).cancel(alice, sending.id, due).unwrap();
    assert_eq!(late, Some(false), "it has begun to leave");
    assert_eq!(
        send_due(&mut house, due.plus_millis(limits::SENDING_RETRY_MS)),
        1
    );
    assert_eq!(inbox(&house, "bob").len(), 1);
    house.check();
}

#[test]
fn what_cannot_be_sent_at_all_is_refused_at_once() {
    let mut house = House::new();
    let good = letter(&house, &["bob@tern.test"], None);
    let with = |change: &dyn Fn(&mut NewSending)| {
        let mut new = good.clone();
        change(&mut new);
        new
    };
    let mut refused = |change: &dyn Fn(&mut NewSending)| {
        let new = with(change);
        submit(&mut house, new).unwrap_err()
    };
    assert_eq!(
        refused(&|new| new.envelope.mail_from = stop("bob@tern.test")),
        SubmitError::ForbiddenMailFrom
    );
    assert_eq!(
        refused(&|new| new.envelope.rcpt_to.clear()),
        SubmitError::NoRecipients
    );
    assert_eq!(
        refused(&|new| {
            let one = stop("ed@far.example");
            new.envelope.rcpt_to = vec![one; limits::MAX_ENVELOPE_RECIPIENTS + 1];
        }),
        SubmitError::TooManyRecipients(1_000)
    );
    assert_eq!(
        refused(&|new| {
            let more = ["nobody@tern.test", "no address", "gone@tern.test"].map(stop);
            new.envelope.rcpt_to.extend(more);
        }),
        SubmitError::InvalidRecipients(vec![
            "no address".to_owned(),
            "nobody@tern.test".to_owned(),
            "gone@tern.test".to_owned()
        ])
    );
    let bad = refused(&|new| {
        let parameter = ("SOON".to_owned(), None);
        new.envelope.mail_from.parameters.push(parameter);
    });
    assert!(matches!(bad, SubmitError::BadEnvelope(_)));
    assert_eq!(
        refused(&|new| new.content.resize(limits::MAX_SENDING + 1, b'x')),
        SubmitError::TooLarge
    );
    assert_eq!(
        refused(&|new| {
            new.content = [b"Delivered-To: bob@tern.test\r\n", LETTER.as_bytes()].concat();
        }),
        SubmitError::Delivery(DeliveryError::Refused(Refusal::Loop))
    );
    assert!(inbox(&house, "bob").is_empty());
    house.upkeep.collect_all().unwrap();
    house.check();
}

#[test]
fn it_is_told_how_it_stands_with_each_recipient() {
    let mut house = House::new();
    let alice = house.account("alice");
    let to = [
        "bob@tern.test",
        "both@tern.test",
        "ed@far.example",
        "flo@far.example",
    ];
    let new = letter(&house, &to, None);
    let sending = submit(&mut house, new).unwrap();
    let (before, _) = outbox(&house).all(alice).unwrap();
    let of = |house: &House| -> Vec<Delivered> {
        standing(house, &sending)
            .into_iter()
            .map(|(_, it)| it)
            .collect()
    };
    use Delivered::{No, Queued, Unknown, Yes};
    // What leads to Bob as well is one copy for both.
    assert_eq!(of(&house), [Yes, Yes, Queued, Queued]);
    for (n, item) in house
        .delivery
        .due(house.now, 10)
        .unwrap()
        .into_iter()
        .enumerate()
    {
        let lease = LeaseId(n as u64);
        let (now, delivery) = (house.now, Arc::clone(&house.delivery));
        delivery
            .take(&[item.id], lease, now, 60_000)
            .unwrap()
            .unwrap();
        let is_ed = item.recipient == address("ed@far.example");
        let reply = |code, text: &str| Reply {
            code,
            enhanced: Some(((code / 100) as u8, 1, 1)),
            text: text.to_owned(),
            host: None,
        };
        let outcome = match is_ed {
            true => Outcome::Delivered(reply(250, "taken")),
            false => Outcome::Permanent(reply(550, "nobody here")),
        };
        delivery
            .conclude(&[(item.id, outcome)], lease, false, now, &mut house.entropy)
            .unwrap();
    }
    assert_eq!(of(&house), [Yes, Yes, Unknown, No]);
    let (_, all) = outbox(&house).all(alice).unwrap();
    let statuses = outbox(&house).statuses(alice, &all[0]).unwrap().unwrap();
    assert_eq!(statuses[3].reply, "550 5.1.1 nobody here");
    let changes = outbox(&house).changes(alice, before, 10).unwrap().unwrap();
    assert_eq!(changes.updated, [sending.id]);
    let (now, _) = outbox(&house).all(alice).unwrap();
    assert_eq!(changes.state, now, "nothing changes any more");
    assert_eq!(outbox(&house).changes(alice, now + 1, 10).unwrap(), None);
    house.check();
}

/// The sender hears what became of the name that they know, and not who is behind it.
#[test]
fn it_is_not_told_who_is_behind_an_address() {
    let mut house = House::new();
    let alice = house.account("alice");
    let to = ["away@tern.test", "ed@far.example"];
    let new = letter(&house, &to, None);
    submit(&mut house, new).unwrap();
    let replies = |house: &House| -> Vec<String> {
        let (_, all) = outbox(house).all(alice).unwrap();
        let statuses = outbox(house).statuses(alice, &all[0]).unwrap().unwrap();
        statuses.into_iter().map(|status| status.reply).collect()
    };
    let mut end = |outcome: &dyn Fn(Reply) -> Outcome, reply: &Reply| {
        for item in house.delivery.due(house.now, 10).unwrap() {
            let (lease, now) = (LeaseId(1), house.now);
            let delivery = Arc::clone(&house.delivery);
            delivery.take(&[item.id], lease, now, 60_000).unwrap();
            let text = format!("<{}> {}", item.recipient, reply.text);
            let outcome = outcome(Reply {
                text,
                ..reply.clone()
            });
            let ended = [(item.id, outcome)];
            let entropy = &mut house.entropy;
            delivery
                .conclude(&ended, lease, false, now, entropy)
                .unwrap();
        }
        house.now = house.now.plus_millis(3_600_000);
        replies(&house)
    };
    let said = |code, enhanced, text: &str| Reply {
        code,
        enhanced,
        text: text.to_owned(),
        host: Some("mx.far.example".to_owned()),
    };
    let later = said(450, Some((4, 2, 1)), "later");
    assert_eq!(
        end(&Outcome::Temporary, &later),
        ["450 4.2.1", "450 4.2.1 <ed@far.example> later"]
    );
    let silent = said(0, None, "timed out");
    assert_eq!(
        end(&Outcome::Temporary, &silent),
        ["250 2.0.0 Queued", "451 <ed@far.example> timed out"]
    );
    let nowhere = said(0, Some((5, 1, 2)), "does not exist");
    assert_eq!(
        end(&Outcome::Permanent, &nowhere),
        [
            "550 5.0.0 Refused",
            "550 5.1.2 <ed@far.example> does not exist"
        ]
    );
    house.check();
}

#[test]
fn an_outbox_has_so_many_that_wait_and_goes_with_its_account() {
    let mut house = House::new();
    let alice = house.account("alice");
    let new = letter(&house, &["bob@tern.test"], Some(60));
    for _ in 0..limits::MAX_PENDING {
        submit(&mut house, new.clone()).unwrap();
    }
    let refused = submit(&mut house, new);
    assert_eq!(refused, Err(SubmitError::TooManyPending));
    house.delivery.remove_outbox(alice, house.now).unwrap();
    assert_eq!(outbox(&house).all(alice).unwrap(), (0, Vec::new()));
    assert_eq!(house.delivery.next_sending().unwrap(), None);
    house.check();
}
