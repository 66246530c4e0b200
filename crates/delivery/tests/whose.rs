//! Whose a copy is of a letter that somebody submitted here: it is theirs where it bears the token that was
//! issued for it, whatever brought it, and nobody's who only had the letter first.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use tern_base::OriginId;
use tern_mailbox::{AppendRequest, Flags, INBOX, Viewer};
use tern_policy::{Authentication, Notice, PolicySet, SHIPPED_DEFAULT};
use tern_recall::{
    Notices, RecallId, Recalls, Request, Requested, Requester, Selector, State, submission,
};

/// It came to Alice elsewhere before it comes to anybody here.
const LETTER: &str = "From: vendor@far.example\r\nTo: all@far.example\r\nSubject: prices\r\n\
                      Date: Fri, 15 Jan 2027 08:00:00 +0000\r\nMessage-ID: <prices@far.example>\r\n\
                      \r\nThey go up.\r\n";

const HOUR_MS: u64 = 60 * 60 * 1000;

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

    fn send(&mut self, who: Option<&str>, to: &str, content: &str) -> OriginId {
        let house = &mut self.house;
        house.now = house.now.plus_millis(1_000);
        let from = who.map_or("vendor@far.example".to_owned(), |who| {
            format!("{who}@tern.test")
        });
        let mut incoming = house.incoming(&from, &[&format!("{to}@tern.test")], who);
        incoming.origin = OriginId::new(house.now, &mut house.entropy);
        incoming.content = content.into();
        house.accept(incoming).unwrap().origin
    }

    /// A client puts something into an inbox.
    fn appends(&mut self, who: &str, content: &str) {
        let house = &mut self.house;
        house.now = house.now.plus_millis(1_000);
        let request = AppendRequest {
            account: house.account(who),
            mailbox: INBOX,
            content: content.into(),
            flags: Flags::empty(),
            received: None,
            origin: OriginId::new(house.now, &mut house.entropy),
            by: Viewer::default().into(),
        };
        house.mailboxes.append(request, house.now).unwrap();
    }

    /// The newest message of an inbox, without what says to whom it was delivered.
    fn newest(&self, who: &str) -> String {
        let all = self.house.inbox(self.house.account(who));
        let of_delivery = |line: &&str| {
            let fields = ["Delivered-To:", "Return-Path:"];
            !fields.iter().any(|field| line.starts_with(field))
        };
        let lines = all
            .last()
            .unwrap()
            .split_inclusive('\n')
            .filter(of_delivery);
        lines.collect()
    }

    fn count(&self, who: &str) -> usize {
        self.house.inbox(self.house.account(who)).len()
    }

    /// Somebody takes back what a transaction brought; an operator does where nobody here sent it.
    fn takes_back(&mut self, who: Option<&str>, what: OriginId) -> RecallId {
        let requester = Requester {
            account: who.map(|who| self.house.account(who)),
            name: who.unwrap_or("root").to_owned(),
            authentication: Authentication::default(),
        };
        let id = RecallId::new(self.house.now, &mut self.house.entropy);
        let mut request = Request::new(id, Selector::Submission(what), requester);
        // What is left in an inbox is what is looked at.
        request.notices = Notices {
            whom: Some(Notice::None),
            text: None,
        };
        let asked = self.recalls.request(&request, self.house.now).unwrap();
        assert_eq!(asked, Requested::Sealed(id));
        self.recalls.run(id, self.house.now).unwrap();
        id
    }

    fn check(&self) {
        self.recalls.run_open(self.house.now).unwrap();
        assert_eq!(self.recalls.check().unwrap(), []);
        self.house.check();
    }
}

/// A message with another inside.
fn forward(letter: &str) -> String {
    format!(
        "From: someone@tern.test\r\nSubject: Fwd\r\nDate: Fri, 15 Jan 2027 09:00:00 +0000\r\n\
         Message-ID: <fwd-{}@tern.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\n\r\nSee below.\r\n--f\r\n\
         Content-Type: message/rfc822\r\n\r\n{letter}\r\n--f--\r\n",
        letter.len()
    )
}

/// She had it from elsewhere before others here did; what its sender sends them, what they bring along from
/// elsewhere, and what carries that, is not hers for it, before the recall or after.
#[test]
fn who_submits_a_letter_from_elsewhere_first_takes_nothing_of_what_others_have_of_it() {
    let mut world = World::new();
    let hers = world.send(Some("alice"), "dave", LETTER);
    world.send(None, "bob", LETTER);
    world.appends("carol", LETTER);
    world.send(Some("bob"), "carol", &forward(LETTER));
    world.takes_back(Some("alice"), hers);
    assert_eq!(world.count("dave"), 0);
    world.send(None, "bob", LETTER);
    world.appends("bob", LETTER);
    world.appends("carol", &forward(LETTER));
    assert_eq!((world.count("bob"), world.count("carol")), (3, 3));
    world.check();
}

/// Whoever may take back any message takes all of it, but for what somebody here has sent themselves.
#[test]
fn what_came_in_is_taken_back_from_whoever_brought_it_along() {
    let mut world = World::new();
    let came = world.send(None, "bob", LETTER);
    world.appends("carol", LETTER);
    world.send(Some("bob"), "carol", &forward(LETTER));
    world.send(Some("alice"), "dave", LETTER);
    world.takes_back(None, came);
    assert_eq!((world.count("bob"), world.count("carol")), (0, 0));
    assert_eq!(world.count("dave"), 1, "alice sent it");
    world.appends("carol", LETTER);
    assert_eq!(world.count("carol"), 0);
    world.check();
}

#[test]
fn what_a_client_brings_with_its_token_is_the_senders_whoever_sent_it_first() {
    let mut world = World::new();
    world.send(Some("alice"), "carol", LETTER);
    let his = world.send(Some("bob"), "dave", LETTER);
    let had = world.newest("dave");
    for who in ["dave", "carol"] {
        world.appends(who, &had);
    }
    world.send(Some("dave"), "carol", &forward(&had));
    assert_eq!((world.count("dave"), world.count("carol")), (2, 3));
    world.takes_back(Some("bob"), his);
    assert_eq!((world.count("dave"), world.count("carol")), (0, 1));
    world.appends("carol", &had);
    world.send(None, "dave", &had);
    world.send(None, "dave", &forward(&had));
    assert_eq!((world.count("dave"), world.count("carol")), (0, 1));
    // A token is good for what it was issued for.
    let token = had.lines().find(|line| line.starts_with("Recall-Token: "));
    let other = LETTER.replace("up", "down");
    world.appends("dave", &format!("{}\r\n{other}", token.unwrap()));
    assert_eq!(world.count("dave"), 1);
    // One that is not genuine proves nothing, for him neither, who had the letter.
    let forged = had.replace("Recall-Token: ", "Recall-Token: A");
    world.appends("dave", &forged);
    world.appends("bob", &forged);
    assert_eq!((world.count("dave"), world.count("bob")), (1, 1));
    world.check();
}

/// Some programs drop fields that they don't know. What they put back is what whoever does it was sent.
#[test]
fn what_its_recipient_puts_back_or_forwards_without_its_token_is_the_senders() {
    let mut world = World::new();
    let hers = world.send(Some("alice"), "bob", LETTER);
    world.appends("bob", LETTER);
    world.send(Some("bob"), "carol", &forward(LETTER));
    // Nobody here has sent it to Dave.
    world.appends("dave", LETTER);
    world.takes_back(Some("alice"), hers);
    let counts = |world: &World| ["bob", "carol", "dave"].map(|who| world.count(who));
    assert_eq!(counts(&world), [0, 0, 1]);
    world.appends("bob", LETTER);
    world.appends("dave", LETTER);
    world.send(Some("bob"), "carol", &forward(LETTER));
    assert_eq!(counts(&world), [0, 0, 2]);
    world.check();
}

/// The copy that she keeps of it bears no token: what she makes of it is hers all the same.
#[test]
fn what_its_sender_forwards_or_keeps_is_theirs_without_a_token() {
    let mut world = World::new();
    let hers = world.send(Some("alice"), "bob", LETTER);
    world.appends("alice", LETTER);
    world.send(Some("alice"), "carol", &forward(LETTER));
    assert_eq!(world.count("carol"), 1);
    world.takes_back(Some("alice"), hers);
    assert_eq!((world.count("bob"), world.count("carol")), (0, 0));
    assert_eq!(world.count("alice"), 1, "her own stays");
    world.send(Some("alice"), "carol", &forward(LETTER));
    assert_eq!(world.count("carol"), 0);
    world.check();
}

/// At the time that a message says itself everything goes that was made of that very sending, and stays away;
/// what its sender sent of the same letter without a time, before or later, stays.
#[test]
fn what_says_itself_when_it_expires_goes_with_all_that_was_made_of_it() {
    let mut world = World::new();
    let policy = Arc::new(PolicySet::load(SHIPPED_DEFAULT).unwrap());
    world.recalls = world.house.recalls_under(policy);
    world.send(Some("alice"), "dave", LETTER);
    let expires = "Expires: Fri, 15 Jan 2027 09:00:00 +0000\r\n";
    world.send(Some("alice"), "bob", &format!("{expires}{LETTER}"));
    let had = world.newest("bob");
    world.appends("bob", &had);
    world.appends("carol", &had);
    world.send(Some("bob"), "carol", &forward(&had));
    assert_eq!((world.count("bob"), world.count("carol")), (2, 2));
    let alice = world.house.account("alice");
    let planned = world.recalls.triggers(alice, world.house.now).unwrap();
    let [Requested::Waiting(id, _)] = planned[..] else {
        panic!("{planned:?}");
    };
    world.house.now = world.house.now.plus_millis(HOUR_MS);
    world.recalls.run_open(world.house.now).unwrap();
    assert_eq!(world.recalls.recall(id).unwrap().state, State::Done);
    assert_eq!((world.count("bob"), world.count("carol")), (0, 0));
    assert_eq!(world.count("dave"), 1, "sent without a time");
    world.appends("bob", &had);
    world.send(None, "carol", &had);
    world.send(Some("bob"), "carol", &forward(&had));
    assert_eq!((world.count("bob"), world.count("carol")), (0, 0));
    let again = world.send(Some("alice"), "bob", LETTER);
    assert_eq!(world.count("bob"), 1, "and so is this one");
    assert!(
        submission::submission(&world.house.engine, again)
            .unwrap()
            .is_some()
    );
    world.check();
}
