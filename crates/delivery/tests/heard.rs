//! What came back of a sending: which reports are listed with it, and which of them say anything.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::{House, address};
use tern_base::{AccountId, MessageId, OriginId};
use tern_delivery::{Delivered, Outbox, RecipientStatus, Reports, Sending, limits};
use tern_mailbox::INBOX;
use tern_queue::{LeaseId, Outcome, Reply};

const LETTER: &str = "From: alice@tern.test\r\nSubject: Hello\r\nMessage-ID: <1@tern.test>\r\n\r\n\
                      How are you?\r\n";
const TO: [&str; 4] = [
    "bob@tern.test",
    "away@tern.test",
    "ed@far.example",
    "flo@near.example",
];

fn outbox(house: &House) -> Outbox {
    Outbox::new(Arc::clone(&house.delivery), |_| {})
}

fn submit_with(house: &mut House, to: &[&str], mail: &[(&str, &str)], letter: &str) -> Sending {
    let new = house.sending(to, mail, letter);
    // Two of one moment have no order.
    house.now = house.now.plus_millis(1);
    outbox(house)
        .submit(new, house.now, &mut house.entropy)
        .unwrap()
}

fn submit(house: &mut House, to: &[&str]) -> Sending {
    submit_with(house, to, &[], LETTER)
}

fn alice(house: &House) -> AccountId {
    house.account("alice")
}

fn reports(house: &House, sending: &Sending) -> Reports {
    outbox(house).reports(alice(house), sending.id).unwrap()
}

fn statuses(house: &House, sending: &Sending) -> Vec<RecipientStatus> {
    let (_, all) = outbox(house).all(alice(house)).unwrap();
    let now = all.iter().find(|it| it.id == sending.id).unwrap();
    let statuses = outbox(house).statuses(alice(house), now).unwrap();
    statuses.unwrap()
}

fn status(house: &House, sending: &Sending, recipient: &str) -> RecipientStatus {
    let all = statuses(house, sending);
    all.into_iter()
        .find(|one| one.recipient == recipient)
        .unwrap()
}

fn state(house: &House) -> u64 {
    outbox(house).state(alice(house)).unwrap()
}

/// What Alice has in her inbox, the oldest first.
fn messages(house: &House) -> Vec<MessageId> {
    let view = house.mailboxes.view(alice(house), INBOX).unwrap();
    view.iter().map(|entry| entry.message).collect()
}

/// Hands over what is queued for these recipients together; the envelope id that goes with it.
fn hand_over(house: &mut House, to: &[&str], code: u16) -> Option<String> {
    let due = house.delivery.due(house.now, 100).unwrap();
    let is_to = |item: &&tern_queue::Item| to.iter().any(|to| item.recipient == address(to));
    let ids: Vec<_> = due.iter().filter(is_to).map(|item| item.id).collect();
    assert_eq!(ids.len(), to.len(), "{due:?}");
    let (delivery, lease) = (Arc::clone(&house.delivery), LeaseId(u64::from(code)));
    let taken = delivery.take(&ids, lease, house.now, 60_000).unwrap();
    let items = taken.unwrap().items;
    assert_eq!(items.len(), to.len());
    let envid = items[0].dsn.envid.clone();
    assert!(items.iter().all(|item| item.dsn.envid == envid));
    let reply = Reply {
        code,
        enhanced: Some(((code / 100) as u8, 1, 1)),
        text: "so".to_owned(),
        host: None,
    };
    let outcome = match code {
        250 => Outcome::Delivered(reply),
        _ => Outcome::Permanent(reply),
    };
    let ended: Vec<_> = ids.into_iter().map(|id| (id, outcome.clone())).collect();
    let (now, entropy) = (house.now, &mut house.entropy);
    delivery
        .conclude(&ended, lease, false, now, entropy)
        .unwrap();
    envid
}

/// A report of a kind.
fn report(kind: &str, machine: &str, returned: &str) -> String {
    format!(
        "From: <x@far.example>\nContent-Type: multipart/report; report-type={kind}; boundary=b\n\n\
         --b\n\nFor people.\n--b\nContent-Type: message/{kind}\n\n{machine}\n\
         --b\nContent-Type: text/rfc822-headers\n\n{returned}\n--b--\n"
    )
    .replace('\n', "\r\n")
}

/// Brings a message to somebody.
fn arrive(house: &mut House, content: &str, to: &str, from: &str, by: Option<&str>) {
    let mut incoming = house.incoming(from, &[to], by);
    incoming.content = content.as_bytes().to_vec();
    house.accept(incoming).unwrap();
}

/// A notification of delivery from outside.
fn dsn(house: &mut House, envid: &str, recipient: &str, action: &str, returned: &str) {
    let machine = format!(
        "Reporting-MTA: dns; mx\nOriginal-Envelope-Id: {envid}\n\n{recipient}\nAction: {action}\nStatus: 5.1.1\n"
    );
    let content = report("delivery-status", &machine, returned);
    arrive(house, &content, "alice@tern.test", "<>", None);
}

/// A notification of disposition.
fn mdn(house: &mut House, id: &str, recipient: &str, from: &str, by: Option<&str>) {
    let machine = format!(
        "Final-Recipient: rfc822; {recipient}\nOriginal-Message-ID: {id}\n\
         Disposition: manual-action/MDN-sent-manually; displayed\n"
    );
    let content = report("disposition-notification", &machine, "Subject: Hello\n");
    arrive(house, &content, "alice@tern.test", from, by);
}

#[test]
fn a_notice_of_this_server_is_listed_and_outlives_what_the_queue_knows() {
    let mut house = House::new();
    let sending = submit(&mut house, &["ed@far.example", "flo@far.example"]);
    let before = state(&house);
    hand_over(&mut house, &["ed@far.example"], 550);
    hand_over(&mut house, &["flo@far.example"], 250);
    let told = messages(&house);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (reports(&house, &sending).dsn, state(&house) > before),
        (told, true)
    );
    let changes = outbox(&house).changes(alice(&house), before, 10).unwrap();
    assert_eq!(changes.unwrap().updated, [sending.id]);
    let of = |house: &House| -> Vec<Delivered> {
        statuses(house, &sending)
            .iter()
            .map(|it| it.delivered)
            .collect()
    };
    assert_eq!(of(&house), [Delivered::No, Delivered::Unknown]);
    // The queue forgets after a while.
    let late = house.now.plus_millis(400 * 24 * 3_600_000);
    let schedule = tern_queue::Schedule::default();
    assert!(tern_queue::prune(&house.engine, &schedule, late).unwrap() > 0);
    assert_eq!(of(&house), [Delivered::No, Delivered::Unknown]);
    let reply = status(&house, &sending, "ed@far.example").reply;
    assert_eq!(reply, "550 5.1.1 so");
    house.check();
}

#[test]
fn what_cannot_be_delivered_here_is_listed_as_it_is_accepted() {
    let mut house = House::new();
    let bob = house.account("bob");
    house.mailboxes.set_quota(bob, 1).unwrap();
    let sending = submit(&mut house, &["bob@tern.test", "carol@tern.test"]);
    assert_eq!(reports(&house, &sending).dsn, messages(&house));
    let bounced = status(&house, &sending, "bob@tern.test");
    assert_eq!(bounced.delivered, Delivered::No);
    house.check();
}

#[test]
fn a_report_says_of_whom_it_may_speak_and_is_listed_where_it_names_a_sending() {
    use Delivered::{No, Unknown, Yes};
    let ed = "Final-Recipient: rfc822; ED@far.example";
    let of_alias =
        "Original-Recipient: rfc822;away@tern.test\nFinal-Recipient: rfc822; al@far.example";
    let moved =
        "Original-Recipient: rfc822;ed@far.example\nFinal-Recipient: rfc822; e@else.example";
    let id = "Message-ID: <1@tern.test>\n";
    // The envelope id, the recipient, the action, what is given back; how often it is listed, and
    // how it stands with the recipient then.
    let cases = [
        ("FAR", ed, "failed", id, 1, "ed@far.example", No),
        ("FAR", ed, "delivered", "", 1, "ed@far.example", Yes),
        ("FAR", ed, "delayed", "", 1, "ed@far.example", Unknown),
        ("FAR", ed, "relayed", "", 1, "ed@far.example", Unknown),
        ("FAR", moved, "failed", "", 1, "ed@far.example", No),
        ("FAR", of_alias, "failed", "", 1, "away@tern.test", No),
        ("ALL", ed, "failed", "", 1, "ed@far.example", No),
        // Another's server speaks for nobody of this one, nor for who is here.
        ("NEAR", ed, "failed", "", 1, "ed@far.example", Unknown),
        ("NEAR", of_alias, "failed", "", 1, "away@tern.test", Unknown),
        ("NEAR", moved, "failed", "", 1, "ed@far.example", Unknown),
        (
            "ALL",
            "Final-Recipient: rfc822; bob@tern.test",
            "failed",
            "",
            1,
            "bob@tern.test",
            Yes,
        ),
        // Whoever received it knows its Message-ID, and the number in its trace.
        ("ORIGIN.00", ed, "failed", "", 1, "ed@far.example", Unknown),
        ("OTHER", ed, "failed", id, 1, "ed@far.example", Unknown),
        ("none", ed, "failed", id, 1, "ed@far.example", Unknown),
        ("none", "X: 1", "failed", id, 1, "ed@far.example", Unknown),
        (
            "none",
            ed,
            "failed",
            "Message-ID: <2@tern.test>\n",
            0,
            "ed@far.example",
            Unknown,
        ),
        (
            "none",
            ed,
            "failed",
            "Subject: <1@tern.test>\n",
            0,
            "ed@far.example",
            Unknown,
        ),
    ];
    for case in cases {
        let (envid, recipient, action, returned, listed, whom, delivered) = case;
        let mut house = House::new();
        let sending = submit(&mut house, &TO);
        let all = queued_envid(&house);
        let far = hand_over(&mut house, &["ed@far.example"], 250).unwrap();
        hand_over(&mut house, &["al@far.example"], 250);
        let near = hand_over(&mut house, &["flo@near.example"], 250).unwrap();
        let envid = match envid {
            "FAR" => far,
            "NEAR" => near,
            "ALL" => all,
            "OTHER" => other_envid(&mut house, &sending),
            "ORIGIN.00" => format!("{}.{}", sending.id, "0".repeat(32)),
            other => other.to_owned(),
        };
        let before = (state(&house), messages(&house).len());
        dsn(&mut house, &envid, recipient, action, returned);
        let listed_now = reports(&house, &sending).dsn;
        assert_eq!(
            listed_now,
            messages(&house)[messages(&house).len() - listed..],
            "{case:?}"
        );
        assert_eq!(messages(&house).len(), before.1 + 1, "{case:?}");
        assert_eq!(state(&house) > before.0, listed > 0, "{case:?}");
        assert_eq!(
            status(&house, &sending, whom).delivered,
            delivered,
            "{case:?}"
        );
        let elsewhere = statuses(&house, &sending);
        let elsewhere = elsewhere.iter().filter(|it| it.recipient != whom);
        let untouched = |it: &RecipientStatus| matches!(it.delivered, Yes | Unknown);
        assert!(elsewhere.clone().all(untouched), "{case:?}");
        assert_eq!(reports(&house, &sending).mdn, []);
        house.check();
    }
}

/// The envelope id of what is queued, as a host is told that relays for all domains.
fn queued_envid(house: &House) -> String {
    let due = house.delivery.due(house.now, 1).unwrap();
    due[0].dsn.envid.clone().unwrap()
}

/// The code of another submission, put to the id of this one.
fn other_envid(house: &mut House, sending: &Sending) -> String {
    let letter = LETTER.replace("<1@", "<3@");
    let other = submit_with(house, &["x@far.example", "x@near.example"], &[], &letter);
    let to_all = queued_envid(house);
    let handed_over = hand_over(house, &["x@far.example", "x@near.example"], 250);
    assert_eq!(handed_over.as_ref(), Some(&to_all), "it goes to both");
    to_all.replace(&other.id.to_string(), &sending.id.to_string())
}

#[test]
fn what_is_known_for_good_stays() {
    let mut house = House::new();
    let sending = submit(&mut house, &["ed@far.example"]);
    let envid = hand_over(&mut house, &["ed@far.example"], 250).unwrap();
    let ed = "Final-Recipient: rfc822; ed@far.example";
    for (action, delivered, reply) in [
        ("delayed", Delivered::Unknown, "451 5.1.1 Delayed"),
        ("delivered", Delivered::Yes, "250 5.1.1 Delivered"),
        ("failed", Delivered::Yes, "250 5.1.1 Delivered"),
        ("delayed", Delivered::Yes, "250 5.1.1 Delivered"),
    ] {
        dsn(&mut house, &envid, ed, action, "");
        let now = status(&house, &sending, "ed@far.example");
        assert_eq!((now.delivered, &*now.reply), (delivered, reply), "{action}");
    }
    assert_eq!(reports(&house, &sending).dsn, messages(&house));
    house.check();
}

#[test]
fn whoever_was_shown_it_says_so_themselves() {
    let outside = "ed@far.example";
    // The Message-ID, the recipient, by whom; whether it is listed, and believed.
    let cases = [
        ("<1@tern.test>", "bob@tern.test", Some("bob"), true, true),
        ("<1@tern.test>", "bob@tern.test", Some("carol"), true, false),
        ("<1@tern.test>", "bob@tern.test", None, true, false),
        ("<1@tern.test>", outside, None, true, true),
        ("<1@tern.test>", outside, Some("bob"), true, false),
        ("<1@tern.test>", "away@tern.test", None, true, true),
        ("<1@tern.test>", "zoe@far.example", None, true, false),
        ("<2@tern.test>", "bob@tern.test", Some("bob"), false, false),
        ("", outside, None, false, false),
    ];
    for case in cases {
        let (id, recipient, by, is_listed, is_believed) = case;
        let mut house = House::new();
        let sending = submit(&mut house, &TO);
        let from = by.map_or("<>".to_owned(), |by| format!("{by}@tern.test"));
        let before = state(&house);
        mdn(&mut house, id, recipient, &from, by);
        let listed = match is_listed {
            true => messages(&house),
            false => Vec::new(),
        };
        assert_eq!(reports(&house, &sending).mdn, listed, "{case:?}");
        assert_eq!(state(&house) > before, is_listed, "{case:?}");
        for one in statuses(&house, &sending) {
            let expected = is_believed && one.recipient == recipient;
            assert_eq!(one.displayed, expected, "{case:?} {}", one.recipient);
        }
        assert_eq!(reports(&house, &sending).dsn, []);
        house.check();
    }
}

#[test]
fn a_report_is_of_a_sending_of_the_account_that_it_lands_with() {
    let mut house = House::new();
    let sending = submit(&mut house, &TO);
    let envid = hand_over(&mut house, &["ed@far.example"], 250).unwrap();
    let machine = format!(
        "Reporting-MTA: dns; mx\nOriginal-Envelope-Id: {envid}\n\n\
         Final-Recipient: rfc822; ed@far.example\nAction: failed\n"
    );
    let content = report("delivery-status", &machine, "Message-ID: <1@tern.test>\n");
    for (to, from) in [
        ("bob@tern.test", "<>"),
        ("alice@tern.test", "x@far.example"),
    ] {
        arrive(&mut house, &content, to, from, None);
        assert_eq!(reports(&house, &sending), Reports::default(), "{to} {from}");
    }
    // By the group that both are in, it is Alice's all the same.
    arrive(&mut house, &content, "both@tern.test", "<>", None);
    let told = messages(&house);
    assert_eq!(reports(&house, &sending).dsn, told[told.len() - 1..]);
    let of_bob = outbox(&house).reports(house.account("bob"), sending.id);
    assert_eq!(of_bob.unwrap(), Reports::default());
    house.check();
}

#[test]
fn of_several_with_one_message_id_it_is_the_newest_that_went_to_whom_it_names() {
    let mut house = House::new();
    let older = submit(&mut house, &["ed@far.example"]);
    let newer = submit(&mut house, &["flo@near.example"]);
    let id = "Message-ID: <1@tern.test>\n";
    dsn(
        &mut house,
        "none",
        "Final-Recipient: rfc822; ed@far.example",
        "failed",
        id,
    );
    assert_eq!(reports(&house, &older).dsn.len(), 1);
    dsn(
        &mut house,
        "none",
        "Final-Recipient: rfc822; zoe@near.example",
        "failed",
        id,
    );
    assert_eq!(reports(&house, &newer).dsn.len(), 1);
    // What waits for its time has told nobody of itself.
    let parameters = [("HOLDFOR", "60")];
    let waits = submit_with(&mut house, &["ed@far.example"], &parameters, LETTER);
    dsn(
        &mut house,
        "none",
        "Final-Recipient: rfc822; ed@far.example",
        "failed",
        id,
    );
    assert_eq!(reports(&house, &waits), Reports::default());
    assert_eq!(reports(&house, &older).dsn.len(), 2);
    house.check();
}

#[test]
fn the_envelope_id_of_a_client_goes_with_it_and_vouches_for_nobody() {
    let mut house = House::new();
    let sending = submit_with(&mut house, &["ed@far.example"], &[("ENVID", "QQ1")], LETTER);
    let envid = hand_over(&mut house, &["ed@far.example"], 250);
    assert_eq!(envid.as_deref(), Some("QQ1"));
    let id = "Message-ID: <1@tern.test>\n";
    dsn(
        &mut house,
        "QQ1",
        "Final-Recipient: rfc822; ed@far.example",
        "failed",
        id,
    );
    assert_eq!(reports(&house, &sending).dsn, messages(&house));
    let now = status(&house, &sending, "ed@far.example");
    assert_eq!(now.delivered, Delivered::Unknown);
}

#[test]
fn so_many_are_listed_and_they_go_with_what_they_are_about() {
    let mut house = House::new();
    let sending = submit(&mut house, &["ed@far.example"]);
    let envid = hand_over(&mut house, &["ed@far.example"], 250).unwrap();
    for _ in 0..limits::MAX_REPORTS_LISTED {
        house.sent = 0;
        forged(&mut house, &sending);
    }
    let full = reports(&house, &sending).dsn;
    assert_eq!(full, messages(&house));
    let before = state(&house);
    forged(&mut house, &sending);
    assert_eq!(
        (reports(&house, &sending).dsn.len(), state(&house)),
        (full.len(), before)
    );
    // One that may speak does so all the same.
    let ed = "Final-Recipient: rfc822; ed@far.example";
    house.sent = 100;
    dsn(&mut house, &envid, ed, "failed", "");
    let now = status(&house, &sending, "ed@far.example");
    assert_eq!(now.delivered, Delivered::No);
    let forgotten = outbox(&house).forget(alice(&house), sending.id).unwrap();
    assert_eq!(forgotten, Some(true));
    assert_eq!(reports(&house, &sending), Reports::default());
    house.check();
    let again = submit(&mut house, &["ed@far.example"]);
    forged(&mut house, &again);
    assert_eq!(reports(&house, &again).dsn.len(), 1);
    house
        .delivery
        .remove_outbox(alice(&house), house.now)
        .unwrap();
    assert_eq!(reports(&house, &again), Reports::default());
    house.check();
}

/// A report that anybody could write who has received the message.
fn forged(house: &mut House, sending: &Sending) {
    let envid = format!("{}.x", sending.id);
    let mut incoming = house.incoming("<>", &["alice@tern.test"], None);
    incoming.origin = OriginId::new(house.now, &mut house.entropy);
    let machine = format!("Reporting-MTA: dns; mx\nOriginal-Envelope-Id: {envid}\n");
    incoming.content = report("delivery-status", &machine, "X: 1\n").into_bytes();
    house.accept(incoming).unwrap();
}
