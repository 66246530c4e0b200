//! Who had what of a copy, which clients were told that it is gone, and who may see that.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, House};
use tern_base::AccountId;
use tern_mailbox::{Client, ExposureLevel, INBOX, Served, Share, Sighting, Told, Viewer};
use tern_recall::{RecallId, Submission};

fn client(name: &str) -> Client {
    Client {
        protocol: "imap".into(),
        name: name.into(),
        ..Client::default()
    }
}

/// A client is served the text of the account's first message.
fn serve(house: &House, account: AccountId, name: &str, share: Share) {
    let message = house.message_at(account, 1);
    let row = house.mailboxes.message(account, message).unwrap();
    let served = Served {
        account,
        message,
        digest: row.digest,
        origin: row.origin,
        level: ExposureLevel::Body,
        share,
    };
    let viewer = Viewer {
        protocol: "imap",
        client: name.to_owned(),
        address: "192.0.2.1".to_owned(),
        device: client(name).id(),
    };
    house
        .mailboxes
        .record_served(&[served], &viewer, house.now)
        .unwrap();
}

/// A client was told everything about the account's inbox.
fn told(house: &House, account: AccountId, name: &str) {
    let newest = house.mailboxes.newest_modseq(account).unwrap();
    let told = Told {
        mailbox: INBOX,
        sent: newest,
        heard: newest,
        at: house.now,
    };
    let sighting = Sighting {
        account,
        client: client(name),
        address: "192.0.2.1".to_owned(),
        told: Some(told),
    };
    house.mailboxes.saw_device(sighting, house.now);
}

fn recalled(house: &mut House, sent: &Submission) -> RecallId {
    house.recall(ALICE, sent).id()
}

#[test]
fn a_report_names_each_client_with_what_it_had_and_whether_it_passed_the_removal() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    serve(&house, BOB, "Phone", Share(0b11));
    told(&house, BOB, "Phone");
    told(&house, BOB, "Desk");
    let id = recalled(&mut house, &sent);
    told(&house, BOB, "Desk");
    let status = house.recalls.status(id, 10).unwrap();
    let line = |name: &str| {
        let mut lines = status.lines.iter();
        lines.find(|line| line.recipient.starts_with(name)).unwrap()
    };
    let bobs = line("bob").seen.as_ref().unwrap();
    let at = house.now;
    assert_eq!(
        bobs.served_text().unwrap(),
        format!("Served: body to Phone from 192.0.2.1 at {at}, at most 25 %.")
    );
    assert_eq!(
        bobs.devices_text().unwrap(),
        "Clients that passed the removal: Desk; not yet: Phone."
    );
    let carols = line("carol").seen.as_ref().unwrap();
    assert_eq!((carols.served_text(), carols.devices_text()), (None, None));
    let json = status.json();
    let copies = json["copies"].as_array().unwrap();
    let copy = copies
        .iter()
        .find(|copy| copy["recipient"] == "bob@example.org")
        .unwrap();
    let serving = &copy["seen"]["servings"][0];
    assert_eq!(serving["client"], "Phone");
    assert_eq!(serving["percentAtMost"], 25);
    assert_eq!(serving["times"][0]["level"], "body");
    let devices = copy["seen"]["devices"].as_array().unwrap();
    let told: Vec<_> = devices
        .iter()
        .map(|device| (device["client"].as_str(), device["removal"].as_str()))
        .collect();
    assert!(told.contains(&(Some("Desk"), Some("passed"))), "{told:?}");
    assert!(told.contains(&(Some("Phone"), Some("not-yet"))), "{told:?}");
    house.check();
}

#[test]
fn a_policy_is_told_of_the_client() {
    let mut house = House::new();
    told(&house, BOB, "Phone");
    house.now = house.now.plus_millis(5_000);
    let facts = |house: &House, name: &str| {
        let device = client(name).id();
        house.recalls.device_facts(BOB, device, house.now).unwrap()
    };
    let phone = facts(&house, "Phone");
    assert_eq!(phone.client.as_deref(), Some("Phone"));
    assert_eq!(
        (phone.first_seen_age_ms, phone.trusted),
        (Some(5_000), Some(false))
    );
    let unknown = facts(&house, "Desk");
    assert_eq!(
        (unknown.client, unknown.first_seen_age_ms, unknown.trusted),
        (None, None, None)
    );
}
