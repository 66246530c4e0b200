//! A letter that was submitted here and that comes in from outside as well, word for word: it is its author's
//! where it proves that they sent it there, and somebody else's where it does not, who may have been the
//! first to have it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::House;
use tern_base::OriginId;
use tern_policy::Authentication;
use tern_recall::{Outcome, Reason, RecallId, Recalls, Request, Requested, Requester, Selector};

const LETTER: &str = "From: alice@tern.test\r\nTo: bob@tern.test, carol@tern.test\r\nSubject: one\r\n\
     Date: Fri, 20 Nov 2026 10:11:12 +0100\r\nMessage-ID: <one@tern.test>\r\n\r\nthe text\r\n";

struct World {
    house: House,
    recalls: Recalls,
}

impl World {
    fn new() -> Self {
        let house = House::new();
        let recalls = house.recalls();
        Self { house, recalls }
    }

    /// Alice submits the letter to somebody.
    fn submit(&mut self, to: &str) -> OriginId {
        self.accept("alice@tern.test", to, Some("alice")).0
    }

    /// Another server sends it to somebody; answers whether it came late.
    fn comes_in(&mut self, to: &str) -> bool {
        self.accept("alice@far.example", to, None).1
    }

    /// A server to which it was sent from here sends it back.
    fn comes_back(&mut self, sent: &str, to: &str) -> bool {
        self.accept_content("list@far.example", to, None, sent).1
    }

    /// As Bob has it, with the token that it left with.
    fn as_it_was_sent(&self) -> String {
        let bob = self.house.account("bob");
        let has = self.house.inbox(bob).remove(0);
        assert!(has.contains("Recall-Token: "));
        has
    }

    fn accept(&mut self, from: &str, to: &str, by: Option<&str>) -> (OriginId, bool) {
        self.accept_content(from, to, by, LETTER)
    }

    fn accept_content(
        &mut self,
        from: &str,
        to: &str,
        by: Option<&str>,
        content: &str,
    ) -> (OriginId, bool) {
        let house = &mut self.house;
        house.now = house.now.plus_millis(60_000);
        let origin = OriginId::new(house.now, &mut house.entropy);
        let mut incoming = house.incoming(from, &[to], by);
        (incoming.origin, incoming.content) = (origin, content.into());
        let accepted = house.accept(incoming).unwrap();
        (accepted.origin, !accepted.late.is_empty())
    }

    /// Alice takes back what she has submitted.
    fn take_back(&self, sent: OriginId) -> RecallId {
        let requester = Requester {
            account: Some(self.house.account("alice")),
            name: "alice@tern.test".into(),
            authentication: Authentication::default(),
        };
        let id = RecallId([9; 16]);
        let request = Request::new(id, Selector::Submission(sent), requester);
        let asked = self.recalls.request(&request, self.house.now).unwrap();
        assert_eq!(asked, Requested::Sealed(id));
        self.recalls.run(id, self.house.now).unwrap();
        id
    }

    /// Who has how many copies, of Bob and Carol.
    fn copies(&self) -> [usize; 2] {
        ["bob", "carol"].map(|name| self.house.inbox(self.house.account(name)).len())
    }

    /// What became of each copy.
    fn outcomes(&self, id: RecallId) -> Vec<(String, Outcome, Reason)> {
        let lines = self.recalls.status(id, 100).unwrap().lines.into_iter();
        let line = |line: tern_recall::StatusLine| {
            (line.recipient, line.outcome.outcome, line.outcome.reason)
        };
        let mut outcomes: Vec<_> = lines.map(line).collect();
        outcomes.sort_by(|a, b| a.0.cmp(&b.0));
        outcomes
    }

    fn check(&self) {
        assert_eq!(self.recalls.check().unwrap(), []);
        self.house.check();
    }
}

fn unread(who: &str) -> (String, Outcome, Reason) {
    let end = (Outcome::WithdrawnUnexposed, Reason::NeverServed);
    (format!("{who}@tern.test"), end.0, end.1)
}

#[test]
fn what_comes_back_of_ones_own_letter_is_taken_back_with_it() {
    let mut world = World::new();
    let sent = world.submit("bob@tern.test");
    let as_sent = world.as_it_was_sent();
    world.comes_back(&as_sent, "carol@tern.test");
    assert_eq!(world.copies(), [1, 1]);
    let id = world.take_back(sent);
    assert_eq!(world.copies(), [0, 0]);
    assert_eq!(world.outcomes(id), [unread("bob"), unread("carol")]);
    // Alice has not written to Carol from here: hers is a copy of no address.
    let addressed = world.recalls.sender_status(id, 9).unwrap().addressed;
    let recipients: Vec<_> = addressed.into_iter().map(|one| one.recipient).collect();
    assert_eq!(recipients, [Some("bob@tern.test".into()), None]);
    world.check();
}

#[test]
fn what_comes_back_of_it_after_the_recall_is_stopped() {
    let mut world = World::new();
    let sent = world.submit("bob@tern.test");
    let as_sent = world.as_it_was_sent();
    let id = world.take_back(sent);
    assert!(world.comes_back(&as_sent, "carol@tern.test"));
    assert_eq!(world.copies(), [0, 0]);
    world.recalls.run_open(world.house.now).unwrap();
    world
        .recalls
        .refresh_late(id.tag(), world.house.now)
        .unwrap();
    let late = (Outcome::BlockedLate, Reason::LateDelivery);
    let carol = ("carol@tern.test".to_owned(), late.0, late.1);
    assert_eq!(world.outcomes(id), [unread("bob"), carol]);
    world.check();
}

/// Alice has it from elsewhere before others here do, and submits it as her own: what its sender sends them
/// is no more hers for that, whether it comes before the recall or after it.
#[test]
fn what_comes_in_of_it_without_proof_is_somebody_elses() {
    let mut world = World::new();
    let sent = world.submit("bob@tern.test");
    world.comes_in("carol@tern.test");
    let forged = format!("Recall-Token: {}\r\n{LETTER}", "A".repeat(43));
    world.comes_back(&forged, "carol@tern.test");
    let id = world.take_back(sent);
    assert_eq!(world.copies(), [0, 2]);
    assert!(!world.comes_in("carol@tern.test"));
    assert_eq!(world.copies(), [0, 3]);
    assert_eq!(world.outcomes(id), [unread("bob")]);
    world.check();
}

#[test]
fn what_had_come_in_before_it_was_submitted_is_nobodys_to_take_back() {
    let mut world = World::new();
    world.comes_in("carol@tern.test");
    let sent = world.submit("bob@tern.test");
    world.comes_in("carol@tern.test");
    let id = world.take_back(sent);
    // That it says it is from her proves nothing; whoever may take back any message can do it.
    assert_eq!(world.copies(), [0, 2]);
    assert_eq!(world.outcomes(id), [unread("bob")]);
    world.check();
}
