//! The ledger of a copy: to which clients what of it was served, how much of it, and when.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use house::{ALICE, BOB, House, letter};
use tern_base::{AccountId, MessageId, Timestamp};
use tern_mailbox::{
    Access, Client, Cover, ExposureLevel, INBOX, Ledger, MailboxError, Served, Share, Transfer,
    Viewer, limits,
};

/// A client of this name, at the address of this number.
fn viewer(name: &str, address: u8) -> Viewer {
    let client = Client {
        protocol: "imap".into(),
        name: name.into(),
        ..Client::default()
    };
    Viewer {
        protocol: "imap",
        client: client.title(),
        address: format!("192.0.2.{address}"),
        device: client.id(),
    }
}

struct Copy<'a> {
    house: &'a House,
    served: Served,
}

impl<'a> Copy<'a> {
    fn of(house: &'a House, account: AccountId, message: MessageId) -> Self {
        let row = house.mailboxes.message(account, message).unwrap();
        let served = Served {
            account,
            message,
            digest: row.digest,
            origin: row.origin,
            carries: !row.carried.is_empty(),
            level: ExposureLevel::Headers,
            share: Share::NONE,
        };
        Self { house, served }
    }

    fn serve(
        &self,
        level: ExposureLevel,
        share: Share,
        viewer: &Viewer,
        at: u64,
    ) -> Result<(), MailboxError> {
        let served = Served {
            level,
            share,
            ..self.served
        };
        let mailboxes = &self.house.mailboxes;
        mailboxes.record_served(&[served], viewer, Timestamp(at))
    }

    fn ledger(&self) -> Ledger {
        let Served {
            account, message, ..
        } = self.served;
        self.house.sealing.ledger(account, message).unwrap()
    }
}

#[test]
fn each_client_has_its_own_times_and_its_own_share() {
    let house = House::new();
    let his = house.deliver(BOB, &letter(1));
    let copy = Copy::of(&house, BOB, his.message);
    let (phone, desk) = (viewer("Phone", 1), viewer("Desk", 2));
    assert_eq!(copy.ledger(), Ledger::default(), "nothing was served");
    copy.serve(ExposureLevel::Headers, Share::NONE, &phone, 10)
        .unwrap();
    copy.serve(ExposureLevel::Body, Share(0b11), &phone, 20)
        .unwrap();
    copy.serve(ExposureLevel::Body, Share(0b110), &phone, 30)
        .unwrap();
    copy.serve(ExposureLevel::Headers, Share::NONE, &desk, 40)
        .unwrap();
    let ledger = copy.ledger();
    let told: Vec<_> = ledger
        .servings
        .iter()
        .map(|serving| {
            let moments = serving.moments.iter();
            let times: Vec<_> = moments.map(|m| (m.level, m.first.0, m.last.0)).collect();
            let who = (serving.client.as_str(), serving.address.as_str());
            (who, serving.device, serving.share, times)
        })
        .collect();
    let by_phone = vec![
        (ExposureLevel::Headers, 10, 10),
        (ExposureLevel::Body, 20, 30),
    ];
    let by_desk = vec![(ExposureLevel::Headers, 40, 40)];
    let expect = [
        (("Phone", "192.0.2.1"), phone.device, Share(0b111), by_phone),
        (("Desk", "192.0.2.2"), desk.device, Share::NONE, by_desk),
    ];
    assert_eq!(told, expect);
    assert_eq!(ledger.others, None);
    let exposures = house.sealing.exposures(copy.served.digest).unwrap();
    let most = &exposures[0].2;
    assert_eq!((most.level, most.at.0), (ExposureLevel::Body, 20));
}

#[test]
fn what_is_on_record_is_served_again_without_a_write() {
    let house = House::new();
    let his = house.deliver(BOB, &letter(1));
    let copy = Copy::of(&house, BOB, his.message);
    let phone = viewer("Phone", 1);
    let start = 5 * limits::LAST_SERVED_MS;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    house.engine.set_fault_hook(Some(Box::new(move |_: &_| {
        counted.fetch_add(1, Ordering::Relaxed);
        None
    })));
    let commits = |level, share, viewer: &Viewer, at| {
        copy.serve(level, share, viewer, at).unwrap();
        count.swap(0, Ordering::Relaxed)
    };
    let (body, half) = (ExposureLevel::Body, Share(0x0f));
    assert_eq!(commits(body, half, &phone, start), 1);
    assert_eq!(commits(body, half, &phone, start + 1), 0);
    assert_eq!(commits(body, Share(1), &phone, start + 2), 0);
    assert_eq!(commits(ExposureLevel::Headers, half, &phone, start + 3), 0);
    assert_eq!(
        commits(body, Share::ALL, &phone, start + 4),
        1,
        "more of it"
    );
    assert_eq!(commits(body, half, &viewer("Desk", 1), start + 5), 1);
    let later = start + limits::LAST_SERVED_MS;
    assert_eq!(commits(body, half, &phone, later), 1, "for the last time");
    assert_eq!(copy.ledger().servings[0].last(), Some(Timestamp(later)));
}

#[test]
fn what_is_made_of_a_copy_inherits_its_ledger_and_a_seal_ends_it() {
    let house = House::new();
    let his = house.deliver(BOB, &letter(1));
    let copy = Copy::of(&house, BOB, his.message);
    let phone = viewer("Phone", 1);
    copy.serve(ExposureLevel::Downloaded, Share::ALL, &phone, 10)
        .unwrap();
    let transfer = Transfer {
        from: Access::owner(BOB, INBOX),
        uids: &[his.uid],
        to: INBOX,
        by: None,
    };
    let pairs = house.mailboxes.copy(&transfer, house.now).unwrap();
    let view = house.mailboxes.view(BOB, INBOX).unwrap();
    let second = view.get(pairs[0].to).unwrap().message;
    assert_ne!(second, his.message);
    assert_eq!(Copy::of(&house, BOB, second).ledger(), copy.ledger());
    house.seal(&letter(1), Cover::Except([].into()));
    let again = copy.serve(
        ExposureLevel::Downloaded,
        Share::ALL,
        &viewer("Desk", 2),
        20,
    );
    assert_eq!(again, Err(MailboxError::Sealed));
    assert_eq!(copy.ledger().servings.len(), 1, "nothing was served");
}

#[test]
fn more_copies_than_a_transaction_holds_are_all_on_record() {
    let house = House::new();
    let messages: Vec<_> = (0..1_100)
        .map(|n| house.deliver(ALICE, &letter(n)).message)
        .collect();
    let served: Vec<Served> = messages
        .iter()
        .map(|message| Copy::of(&house, ALICE, *message).served)
        .collect();
    let phone = viewer("Phone", 1);
    house
        .mailboxes
        .record_served(&served, &phone, house.now)
        .unwrap();
    for message in messages {
        assert_eq!(Copy::of(&house, ALICE, message).ledger().servings.len(), 1);
    }
    house.check();
}
