//! Somebody whom several addresses of an envelope lead to has one copy, and is found by each of them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::House;
use tern_base::OriginId;
use tern_policy::Authentication;
use tern_recall::{
    Addressed, Outcome, Reason, RecallId, Recalls, Request, Requested, Requester, Selector,
};

const LETTER: &str = "From: alice@tern.test\r\nTo: bob@tern.test\r\nSubject: one\r\n\
     Date: Fri, 20 Nov 2026 10:11:12 +0100\r\nMessage-ID: <one@tern.test>\r\n\r\nthe text\r\n";

struct World {
    house: House,
    recalls: Recalls,
    sent: OriginId,
}

impl World {
    /// Alice has sent a letter to these.
    fn new(to: &[&str]) -> Self {
        let mut house = House::new();
        let recalls = house.recalls();
        let sent = OriginId::new(house.now, &mut house.entropy);
        let mut incoming = house.incoming("alice@tern.test", to, Some("alice"));
        (incoming.origin, incoming.content) = (sent, LETTER.into());
        house.accept(incoming).unwrap();
        Self {
            house,
            recalls,
            sent,
        }
    }

    /// Takes it back from one address.
    fn take_from(&self, chosen: &str) -> RecallId {
        let requester = Requester {
            account: Some(self.house.account("alice")),
            name: "alice@tern.test".into(),
            authentication: Authentication::default(),
        };
        let id = RecallId([9; 16]);
        let request = Request {
            chosen: vec![chosen.to_owned()],
            ..Request::new(id, Selector::Submission(self.sent), requester)
        };
        let asked = self.recalls.request(&request, self.house.now).unwrap();
        assert_eq!(asked, Requested::Sealed(id));
        self.recalls.run(id, self.house.now).unwrap();
        id
    }

    /// Each address of the envelope, with how many copies ended how.
    fn addressed(&self, id: RecallId) -> Vec<(String, Vec<(Outcome, u64)>)> {
        let told = |one: Addressed| {
            let ends = one.ends.into_iter();
            let ends = ends.map(|(end, copies)| (end.outcome, copies));
            (one.recipient.unwrap_or_default(), ends.collect())
        };
        let status = self.recalls.sender_status(id, 100).unwrap();
        status.addressed.into_iter().map(told).collect()
    }

    fn has(&self, name: &str) -> usize {
        self.house.inbox(self.house.account(name)).len()
    }

    fn check(&self) {
        assert_eq!(self.recalls.check().unwrap(), []);
        self.house.check();
    }
}

fn at(address: &str, ends: &[(Outcome, u64)]) -> (String, Vec<(Outcome, u64)>) {
    (address.to_owned(), ends.to_vec())
}

#[test]
fn who_is_chosen_by_any_of_the_addresses_that_lead_there_is_taken_from() {
    let all = ["bob@tern.test", "both@tern.test", "STAFF@tern.test"];
    for chosen in ["bob@tern.test", "both@tern.test", "staff@tern.test"] {
        let world = World::new(&all);
        assert_eq!((world.has("bob"), world.has("alice")), (1, 1));
        let id = world.take_from(chosen);
        assert_eq!((world.has("bob"), world.has("alice")), (0, 1), "{chosen}");
        // Each address that was written says what became of whom it led to.
        let bob = [(Outcome::WithdrawnUnexposed, 1)];
        let expected = all.map(|address| at(address, &bob));
        assert_eq!(world.addressed(id), expected, "{chosen}");
        let status = world.recalls.status(id, 100).unwrap();
        assert_eq!(status.tally.of(Outcome::WithdrawnUnexposed), 1, "{chosen}");
        world.check();
    }
}

#[test]
fn who_is_outside_is_chosen_by_any_of_them_too() {
    for chosen in ["ed@far.example", "mixed@tern.test"] {
        let world = World::new(&["ed@far.example", "mixed@tern.test", "carol@tern.test"]);
        let id = world.take_from(chosen);
        let lines = world.recalls.status(id, 100).unwrap().lines;
        let ed = lines.iter().find(|line| line.recipient == "ed@far.example");
        let outcome = &ed.unwrap().outcome;
        let end = (outcome.outcome, outcome.reason);
        assert_eq!(end, (Outcome::Prevented, Reason::Queued), "{chosen}");
        // Bob is behind one of the two alone.
        assert_eq!(world.has("bob"), usize::from(chosen == "ed@far.example"));
        assert_eq!(world.has("carol"), 1);
        world.check();
    }
}

#[test]
fn what_an_address_says_does_not_depend_on_the_ones_before_it() {
    // Alice learns of staff@ that one copy was taken, whether or not she has written to Bob as well.
    for to in [
        &["staff@tern.test"][..],
        &["bob@tern.test", "staff@tern.test"],
    ] {
        let world = World::new(to);
        let id = world.take_from("staff@tern.test");
        let addressed = world.addressed(id);
        let bob = [(Outcome::WithdrawnUnexposed, 1)];
        assert!(
            addressed.contains(&at("staff@tern.test", &bob)),
            "{addressed:?}"
        );
        assert_eq!(addressed.len(), to.len());
    }
}

#[test]
fn so_many_ways_to_one_destination_are_remembered() {
    let to: Vec<String> = (0..40).map(|n| format!("bob+{n}@tern.test")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let remembered = 1 + tern_delivery::limits::MAX_FURTHER_WAYS;
    let last = World::new(&to);
    let id = last.take_from(to[remembered - 1]);
    assert_eq!(last.has("bob"), 0);
    assert_eq!(last.addressed(id).len(), remembered);
    let beyond = World::new(&to);
    beyond.take_from(to[remembered]);
    assert_eq!(beyond.has("bob"), 1);
    beyond.check();
}
