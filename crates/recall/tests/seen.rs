//! Who had what of a copy, which clients were told that it is gone, and who may see that.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::AccountId;
use tern_directory::{Grant, GrantScope, Role};
use tern_mailbox::{Client, ExposureLevel, INBOX, Served, Share, Sighting, Told, Viewer};
use tern_policy::{PolicySet, Visibility};
use tern_queue::{LeaseId, Outcome, Reply};
use tern_recall::{Notices, RecallError, RecallId, Seen, Selector, SenderStatus, Submission, View};

const ERIN: AccountId = AccountId(5);

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
        carries: !row.carried.is_empty(),
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
        "Clients that passed the removal: Desk; have not been told yet: Phone."
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
fn what_left_for_another_server_is_told_with_the_host_that_took_it() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[], &["a@x.test", "b@x.test"], 1);
    let items = house.items(&sent);
    let taken = Outcome::Delivered(Reply {
        code: 250,
        enhanced: None,
        text: "ok".into(),
        host: Some("mx.x.test".into()),
    });
    house.relay(items[0], LeaseId(1), taken);
    let id = recalled(&mut house, &sent);
    let status = house.recalls.status(id, 10).unwrap();
    let told = |n: usize| status.lines[n].seen.as_ref().and_then(Seen::served_text);
    let at = house.now;
    let expect = format!("Served: relayed to mx.x.test at {at}, possibly all of it.");
    assert_eq!(told(0), Some(expect));
    assert_eq!(told(1), None, "it never left");
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

/// The roles, with numbers only over four recipients for all but the compliance officer.
const NUMBERS_ONLY: &str = r#"
@id("numbers")
@visibility("aggregate:4")
forbid (principal is Tern::Account, action == Tern::Action::"report.exposure", resource)
unless { principal in Tern::Role::"compliance-officer" };
"#;

fn under_numbers() -> House {
    let (name, roles) = tern_policy::SHIPPED_DEFAULT[0];
    let set = PolicySet::load(&[(name, roles), ("numbers.cedar", NUMBERS_ONLY)]).unwrap();
    House::under(Arc::new(set))
}

fn grant(house: &House, account: AccountId, role: Role) {
    let grant = Grant {
        account,
        role,
        scope: GrantScope::Everyone,
    };
    tern_directory::grant_role(&house.engine, &grant, None, house.now).unwrap();
}

/// How much an account sees.
fn view(house: &mut House, id: RecallId, account: AccountId) -> Result<View, RecallError> {
    let selector = Selector::MessageId(account, String::new());
    let viewer = house.request(account, selector).requester;
    house.recalls.view(id, &viewer, 100, house.now)
}

fn limited(view: Result<View, RecallError>) -> SenderStatus {
    match view.unwrap() {
        View::Limited(status) => *status,
        View::Full(_) => panic!("everything is shown"),
    }
}

#[test]
fn senders_see_outcomes_those_who_may_see_everything_and_others_nothing() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    serve(&house, BOB, "Phone", Share::ALL);
    let id = recalled(&mut house, &sent);
    let hers = limited(view(&mut house, id, ALICE));
    assert_eq!(hers.visibility, Visibility::Outcomes);
    let told = hers.json();
    assert_eq!(told["outcomes"]["withdrawn-exposed"], 1);
    assert!(!told.to_string().contains("Phone"), "{told}");
    for account in [BOB, DAVE] {
        let none = view(&mut house, id, account).map(|_| ());
        assert_eq!(none, Err(RecallError::NoRecall), "as if there were none");
    }
    grant(&house, DAVE, Role::Auditor);
    assert!(matches!(view(&mut house, id, DAVE), Ok(View::Full(_))));
    let unknown = view(&mut house, RecallId([7; 16]), BOB).map(|_| ());
    assert_eq!(unknown, Err(RecallError::NoRecall));
}

#[test]
fn a_sender_who_may_see_exposure_has_it_in_the_report() {
    let mut house = House::new();
    grant(&house, ALICE, Role::Auditor);
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    serve(&house, BOB, "Phone", Share::ALL);
    recalled(&mut house, &sent);
    let report = house.report(ALICE);
    assert!(report.contains("What had been served"), "{report}");
    assert!(report.contains("body to Phone from 192.0.2.1"), "{report}");
    // Another sender's says nothing of it.
    let sent = house.submit(DAVE, &[BOB], &[], 2);
    house.recall(DAVE, &sent);
    let report = house.report(DAVE);
    assert!(!report.contains("What had been served"), "{report}");
}

#[test]
fn who_got_a_notice_is_not_told_to_whoever_sees_numbers() {
    let mut house = under_numbers();
    let sent = house.submit(ALICE, &[BOB, CAROL, DAVE, ERIN], &[], 1);
    serve(&house, BOB, "Phone", Share::ALL);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.notices = Notices::default();
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    assert_eq!(house.recalls.noticed(request.id).unwrap().len(), 1);
    let hers = limited(view(&mut house, request.id, ALICE)).json();
    let addressed = hers["addressed"].as_array().unwrap();
    assert!(
        addressed
            .iter()
            .all(|one| one["copies"] == addressed[0]["copies"])
    );
    assert!(!house.report(ALICE).contains("A notice"));
}

#[test]
fn exposure_as_numbers_names_nobody_and_is_hidden_among_few() {
    for (recipients, told) in [
        (vec![BOB, CAROL, DAVE], false),
        (vec![BOB, CAROL, DAVE, ERIN], true),
    ] {
        let mut house = under_numbers();
        let sent = house.submit(ALICE, &recipients, &[], 1);
        serve(&house, BOB, "Phone", Share::ALL);
        let id = recalled(&mut house, &sent);
        let hers = limited(view(&mut house, id, ALICE));
        let json = hers.json();
        let count = json["outcomes"]["withdrawn-exposed"].as_u64();
        assert_eq!(count, told.then_some(1));
        let merged = json["outcomes"]["withdrawn"].as_u64();
        assert_eq!(merged, (!told).then_some(3));
        // No address is told apart from another, in JSON or in the report.
        let addressed = json["addressed"].as_array().unwrap();
        for one in addressed {
            assert_eq!(one["copies"], addressed[0]["copies"]);
        }
        let report = house.report(ALICE);
        let (counted, report) = report.split_once("whether it had been read").unwrap();
        assert_eq!(counted.contains("though opened"), told, "{counted}");
        for word in [
            "opened",
            "never-served",
            "body-served",
            "without having been read",
        ] {
            assert!(!report.contains(word), "{word}: {report}");
        }
        grant(&house, ERIN, Role::ComplianceOfficer);
        assert!(matches!(view(&mut house, id, ERIN), Ok(View::Full(_))));
        grant(&house, DAVE, Role::Manager);
        let his = limited(view(&mut house, id, DAVE));
        assert_eq!(his.visibility, Visibility::Aggregate { recipients: 4 });
    }
}

#[test]
fn whoever_read_it_by_rights_that_they_were_given_is_named() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let message = house.message_at(BOB, 1);
    let row = house.mailboxes.message(BOB, message).unwrap();
    let served = Served {
        account: BOB,
        message,
        digest: row.digest,
        origin: row.origin,
        carries: !row.carried.is_empty(),
        level: ExposureLevel::Downloaded,
        share: Share::ALL,
    };
    let reader = Client {
        reader: Some(CAROL),
        ..client("Phone")
    };
    let viewer = Viewer {
        protocol: "imap",
        client: reader.title(),
        address: "192.0.2.7".to_owned(),
        device: reader.id(),
    };
    let boxes = &house.mailboxes;
    boxes.record_served(&[served], &viewer, house.now).unwrap();
    let newest = boxes.newest_modseq(BOB).unwrap();
    let told = Told {
        mailbox: INBOX,
        sent: newest,
        heard: newest,
        at: house.now,
    };
    let sighting = Sighting {
        account: BOB,
        client: reader,
        address: "192.0.2.7".to_owned(),
        told: Some(told),
    };
    boxes.saw_device(sighting, house.now);
    let id = recalled(&mut house, &sent);
    let status = house.recalls.status(id, 10).unwrap();
    let seen = status.lines[0].seen.as_ref().unwrap();
    let at = house.now;
    assert_eq!(
        seen.served_text().unwrap(),
        format!(
            "Served: downloaded to Phone of carol@example.org from 192.0.2.7 at {at}, possibly all of it."
        )
    );
    assert_eq!(
        seen.devices_text().unwrap(),
        "Clients that have not been told yet: Phone of carol@example.org."
    );
    let json = status.json();
    let of = &json["copies"][0]["seen"];
    assert_eq!(of["servings"][0]["reader"], "carol@example.org");
    assert_eq!(of["devices"][0]["reader"], "carol@example.org");
    house.check();
}
