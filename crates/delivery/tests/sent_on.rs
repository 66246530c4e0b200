//! What is sent on to other servers under a recall never leaves, and has its outcome.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{House, address, as_sent_by};
use tern_base::OriginId;
use tern_directory::set_alias;
use tern_directory::target::Target as Leads;
use tern_policy::Authentication;
use tern_queue::LeaseId;
use tern_recall::{Outcome, Reason, RecallId, Recalls, Request, Requested, Requester, Selector};

fn letter() -> String {
    "From: alice@tern.test\r\nTo: bob@tern.test\r\nSubject: one\r\n\
     Date: Fri, 20 Nov 2026 10:11:12 +0100\r\nMessage-ID: <one@tern.test>\r\n\r\nthe text\r\n"
        .to_owned()
}

/// The letter as somebody had it, inside another.
fn forward(sent: OriginId, n: usize) -> String {
    format!(
        "From: bob@tern.test\r\nTo: x@far.example\r\nSubject: Fwd\r\nMessage-ID: <fwd{n}@tern.test>\r\n\
         Date: Fri, 20 Nov 2026 11:11:12 +0100\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\n{}\r\n--b--\r\n",
        as_sent_by(sent, &letter())
    )
}

struct World {
    house: House,
    recalls: Recalls,
    sent: OriginId,
}

impl World {
    fn new() -> Self {
        let mut house = House::new();
        let recalls = house.recalls();
        let sent = OriginId::new(house.now, &mut house.entropy);
        let mut incoming = house.incoming("alice@tern.test", &["bob@tern.test"], Some("alice"));
        (incoming.origin, incoming.content) = (sent, letter().into_bytes());
        house.accept(incoming).unwrap();
        Self {
            house,
            recalls,
            sent,
        }
    }

    fn request(&self) -> RecallId {
        let requester = Requester {
            account: Some(self.house.account("alice")),
            name: "alice@tern.test".into(),
            authentication: Authentication::default(),
        };
        let id = RecallId([9; 16]);
        let request = Request::new(id, Selector::Submission(self.sent), requester);
        let asked = self.recalls.request(&request, self.house.now).unwrap();
        assert_eq!(asked, Requested::Sealed(id));
        id
    }

    fn submit(&mut self, from: &str, to: &str, by: Option<&str>, content: String) -> bool {
        let mut incoming = self.house.incoming(from, &[to], by);
        incoming.origin = OriginId::new(self.house.now, &mut self.house.entropy);
        incoming.content = content.into_bytes();
        !self.house.accept(incoming).unwrap().late.is_empty()
    }

    fn sent_on(&self, id: RecallId) -> Vec<(String, String, Outcome, Reason)> {
        let status = self.recalls.status(id, 100).unwrap();
        let lines = status.lines.into_iter();
        let lines = lines.filter_map(|line| {
            let by = line.sent_on?.by;
            let end = line.outcome;
            Some((line.recipient, by, end.outcome, end.reason))
        });
        lines.collect()
    }

    fn check(&self) {
        assert_eq!(self.recalls.check().unwrap(), []);
        self.house.check();
    }
}

fn prevented(to: &str, by: &str) -> (String, String, Outcome, Reason) {
    (to.into(), by.into(), Outcome::Prevented, Reason::Queued)
}

#[test]
fn what_is_sent_on_after_the_recall_is_stopped_as_it_is_accepted() {
    let mut world = World::new();
    let id = world.request();
    world.recalls.run(id, world.house.now).unwrap();
    assert!(world.submit(
        "bob@tern.test",
        "x@far.example",
        Some("bob"),
        forward(world.sent, 1)
    ));
    // The same letter again, by Alice herself.
    assert!(world.submit("alice@tern.test", "y@far.example", Some("alice"), letter()));
    assert_eq!(
        world
            .recalls
            .refresh_late(id.tag(), world.house.now)
            .unwrap(),
        2
    );
    let expected = [
        prevented("x@far.example", "bob@tern.test"),
        prevented("y@far.example", "alice@tern.test"),
    ];
    let mut sent_on = world.sent_on(id);
    sent_on.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(sent_on, expected);
    world.check();
}

#[test]
fn what_the_queue_stops_before_anybody_has_looked_is_said_once() {
    let mut world = World::new();
    world.submit(
        "bob@tern.test",
        "x@far.example",
        Some("bob"),
        forward(world.sent, 1),
    );
    let id = world.request();
    let due = world.house.delivery.due(world.house.now, 9).unwrap();
    let taken = world
        .house
        .delivery
        .take(&[due[0].id], LeaseId(1), world.house.now, 60_000);
    assert!(taken.unwrap().is_none());
    world.recalls.run_open(world.house.now).unwrap();
    world.recalls.run_open(world.house.now).unwrap();
    assert_eq!(
        world.sent_on(id),
        [prevented("x@far.example", "bob@tern.test")]
    );
    world.check();
}

#[test]
fn what_came_in_and_was_sent_on_is_remembered_with_its_outcome() {
    let mut world = World::new();
    let leads = [Leads::Address(address("x@far.example"))];
    set_alias(&world.house.engine, &address("away@tern.test"), &leads).unwrap();
    world.submit(
        "carl@far.example",
        "away@tern.test",
        None,
        forward(world.sent, 1),
    );
    world.submit(
        "carl@far.example",
        "away@tern.test",
        None,
        forward(world.sent, 2),
    );
    let other = forward(world.sent, 3).replace("the text", "another text");
    world.submit("carl@far.example", "away@tern.test", None, other);
    let id = world.request();
    world.recalls.run(id, world.house.now).unwrap();
    let one = prevented("x@far.example", "carl@far.example");
    assert_eq!(world.sent_on(id), [one.clone(), one.clone()]);
    // A year later only the other one is forgotten.
    let later = world.house.now.plus_millis(366 * 24 * 60 * 60 * 1000);
    assert_eq!(world.recalls.forget_arrivals(later).unwrap(), 1);
    assert_eq!(world.sent_on(id), [one.clone(), one]);
    world.check();
}
