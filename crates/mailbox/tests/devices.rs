//! The known clients of an account, and how far each was told.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, House, letter};
use tern_base::{AccountId, MailboxId, Modseq, Timestamp};
use tern_mailbox::{
    Client, Cover, DeviceId, INBOX, MailboxError, Mailboxes, Passed, Sighting, Told, limits,
};
use tern_store::mem::Injected;
use tern_store::{Transaction, Verdict};

const TRASH: MailboxId = MailboxId(3);

fn client(name: &str) -> Client {
    Client {
        protocol: "imap".into(),
        name: name.into(),
        version: "1.0".into(),
        ..Client::default()
    }
}

fn told(mailbox: MailboxId, sent: u64, heard: u64, at: u64) -> Told {
    Told {
        mailbox,
        sent: Modseq(sent),
        heard: Modseq(heard),
        at: Timestamp(at),
    }
}

fn saw(mailboxes: &Mailboxes, account: AccountId, name: &str, told: Option<Told>, at: u64) {
    let sighting = Sighting {
        account,
        client: client(name),
        address: format!("192.0.2.{at}"),
        told,
    };
    mailboxes.saw_device(sighting, Timestamp(at));
}

/// Names, first and last time, and whether trusted.
fn known(mailboxes: &Mailboxes, account: AccountId) -> Vec<(String, u64, u64, bool)> {
    let devices = mailboxes.devices(account).unwrap().into_iter();
    let facts = devices.map(|(id, device)| {
        assert_eq!(id, device.id());
        let seen = (device.first_seen.0, device.last_seen.0);
        (device.client.name, seen.0, seen.1, device.trusted)
    });
    facts.collect()
}

fn act<T>(
    house: &House,
    mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, MailboxError>,
) -> T {
    tern_store::transact(&house.engine, |txn| work(txn).map(Verdict::Commit)).unwrap()
}

#[test]
fn what_is_noted_is_known_at_once_and_written_later() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    saw(mailboxes, BOB, "Phone", Some(told(INBOX, 5, 4, 10)), 10);
    saw(mailboxes, BOB, "Phone", Some(told(INBOX, 4, 5, 20)), 20);
    saw(mailboxes, BOB, "Desk", None, 15);
    saw(mailboxes, ALICE, "Phone", None, 30);
    let both = [
        ("Phone".to_owned(), 10, 20, false),
        ("Desk".to_owned(), 15, 15, false),
    ];
    assert_eq!(known(mailboxes, BOB), both);
    let again = house::open(&house.engine).mailboxes;
    assert_eq!(known(&again, BOB), [], "nothing was written");
    house.upkeep.write_devices(Timestamp(12)).unwrap();
    assert_eq!(known(&again, BOB), both[..1], "what was noted by then");
    house.upkeep.write_devices(Timestamp(u64::MAX)).unwrap();
    assert_eq!(known(&again, BOB), both);
    assert_eq!(known(&again, ALICE).len(), 1);
    let phone = again.device(BOB, client("Phone").id()).unwrap().unwrap();
    assert_eq!(phone.told, [told(INBOX, 5, 5, 20)], "neither goes back");
    assert_eq!(phone.address, "192.0.2.20");
    // What is noted later adds to the rows.
    saw(mailboxes, BOB, "Phone", Some(told(TRASH, 7, 7, 40)), 40);
    let phone = mailboxes
        .device(BOB, client("Phone").id())
        .unwrap()
        .unwrap();
    assert_eq!((phone.first_seen.0, phone.last_seen.0), (10, 40));
    assert_eq!(phone.told.len(), 2);
    house.check();
}

#[test]
fn what_can_not_be_written_stays_noted() {
    let house = House::new();
    saw(&house.mailboxes, BOB, "Phone", None, 10);
    let full = Box::new(|_: &_| Some(Injected::Full));
    house.engine.set_fault_hook(Some(full));
    assert!(house.upkeep.write_devices(Timestamp(99)).is_err());
    house.engine.set_fault_hook(None);
    assert_eq!(known(&house.mailboxes, BOB).len(), 1);
    house.upkeep.write_devices(Timestamp(99)).unwrap();
    assert_eq!(known(&house::open(&house.engine).mailboxes, BOB).len(), 1);
}

#[test]
fn who_was_told_of_a_withdrawal_is_known_by_mailbox() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    let his = house.deliver(BOB, &letter(1));
    let before = his.modseq.0;
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    assert_eq!(
        house.sealing.told_of_withdrawal(BOB, his.message),
        Ok(vec![])
    );
    house.withdraw_all(digest);
    let after = mailboxes.newest_modseq(BOB).unwrap().0;
    assert!(after > before);
    saw(
        mailboxes,
        BOB,
        "Behind",
        Some(told(INBOX, before, before, 1)),
        1,
    );
    saw(
        mailboxes,
        BOB,
        "Told",
        Some(told(INBOX, after, before, 2)),
        2,
    );
    saw(
        mailboxes,
        BOB,
        "Heard",
        Some(told(INBOX, after, after, 3)),
        3,
    );
    saw(
        mailboxes,
        BOB,
        "Elsewhere",
        Some(told(TRASH, after, after, 4)),
        4,
    );
    let passed = |name: &str| {
        let all = house.sealing.told_of_withdrawal(BOB, his.message).unwrap();
        let found = all
            .into_iter()
            .find(|(_, device, _)| device.client.name == name);
        found.unwrap().2
    };
    assert_eq!(passed("Behind"), Passed::NotYet);
    assert_eq!(passed("Told"), Passed::Sent(Timestamp(2)));
    assert_eq!(passed("Heard"), Passed::Heard(Timestamp(3)));
    assert_eq!(passed("Elsewhere"), Passed::NeverOpened);
    house.restore_all();
    assert_eq!(
        house.sealing.told_of_withdrawal(BOB, his.message),
        Ok(vec![])
    );
}

#[test]
fn of_mailboxes_that_are_too_many_to_remember_nothing_is_claimed() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    let opened = 1..=limits::MAX_TOLD_MAILBOXES as u32 + 1;
    for (at, mailbox) in (1..).zip(opened.clone()) {
        saw(
            mailboxes,
            BOB,
            "Phone",
            Some(told(MailboxId(mailbox), 9, 9, at)),
            at,
        );
    }
    let passed = |mailbox: u32| {
        let of = [MailboxId(mailbox)];
        let all = house.sealing.devices_passed(BOB, &of, Modseq(9)).unwrap();
        all[0].2
    };
    assert_eq!(passed(1), Passed::NotYet, "the oldest was forgotten");
    assert!(
        opened
            .skip(1)
            .all(|n| matches!(passed(n), Passed::Heard(_)))
    );
}

#[test]
fn the_oldest_are_forgotten_and_trusted_ones_last() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    let most = limits::MAX_DEVICES as u64;
    saw(mailboxes, BOB, "Trusted", None, 1);
    let id = client("Trusted").id();
    assert!(act(&house, |txn| mailboxes.trust_device_in(txn, BOB, id, true)));
    for n in 0..most + 9 {
        saw(mailboxes, BOB, &format!("Client {n}"), None, 10 + n);
    }
    house.upkeep.write_devices(Timestamp(u64::MAX)).unwrap();
    let left = known(mailboxes, BOB);
    assert_eq!(left.len() as u64, most);
    assert_eq!(left[0].0, format!("Client {}", most + 8));
    assert_eq!(left.last(), Some(&("Trusted".to_owned(), 1, 1, true)));
    house.check();
}

#[test]
fn people_trust_and_forget_and_an_account_takes_its_clients_with_it() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    let (phone, nobody) = (client("Phone").id(), DeviceId([0; 8]));
    saw(mailboxes, BOB, "Phone", None, 1);
    assert!(!act(&house, |txn| mailboxes
        .trust_device_in(txn, BOB, nobody, true)));
    assert!(act(&house, |txn| mailboxes
        .trust_device_in(txn, BOB, phone, true)));
    house.upkeep.write_devices(Timestamp(5)).unwrap();
    assert!(
        known(mailboxes, BOB)[0].3,
        "what is noted does not take trust away"
    );
    let forget = || act(&house, |txn| mailboxes.forget_device_in(txn, BOB, phone));
    assert!(forget() && !forget());
    assert_eq!(known(mailboxes, BOB), []);
    // Noted and not written: a transaction that has to be run again finds it known as before.
    saw(mailboxes, BOB, "Phone", None, 6);
    let mut attempts = 0;
    house.engine.set_fault_hook(Some(Box::new(move |_| {
        attempts += 1;
        (attempts == 1).then_some(Injected::Conflict)
    })));
    assert!(forget());
    house.engine.set_fault_hook(None);
    mailboxes.forget_noted(BOB, phone);
    assert_eq!(known(mailboxes, BOB), []);
    saw(mailboxes, BOB, "Phone", None, 7);
    house.upkeep.write_devices(Timestamp(9)).unwrap();
    saw(mailboxes, BOB, "Desk", None, 8);
    house.upkeep.remove_account(BOB, house.now).unwrap();
    house.upkeep.write_devices(Timestamp(9)).unwrap();
    assert_eq!(known(&house::open(&house.engine).mailboxes, BOB), []);
    house.check();
}
