//! What came in from other servers is found, taken back, kept out and given back by whoever may.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{House, address};
use tern_base::{AccountId, OriginId};
use tern_policy::{Authentication, Selection};
use tern_recall::{
    BatchId, Outcome, Refusal, Requested, Requester, Retract, Retracted, Search, Settings,
};

const EVE: &str = "eve@far.example";

fn letter(id: &str) -> Vec<u8> {
    format!(
        "From: Bank <support@bank.example>\r\nTo: you@tern.test\r\nSubject: Your account {id}\r\n\
         Date: Fri, 20 Nov 2026 10:11:12 +0100\r\nMessage-ID: <{id}@bank.example>\r\n\r\n\
         Click here: {id}\r\n"
    )
    .into_bytes()
}

/// It comes in for these.
fn arrive(house: &mut House, to: &[&str], content: Vec<u8>) {
    let mut incoming = house.incoming(EVE, to, None);
    incoming.origin = OriginId::new(house.now, &mut house.entropy);
    incoming.content = content;
    house.accept(incoming).unwrap();
}

/// An operator at the machine, or an account.
fn operator(account: Option<AccountId>) -> Requester {
    Requester {
        account,
        name: "root".into(),
        authentication: Authentication::default(),
    }
}

fn by(requester: Option<AccountId>, search: Search, batch: u8) -> Retract {
    Retract {
        batch: BatchId([batch; 16]),
        search,
        requester: operator(requester),
        chosen: Vec::new(),
        selection: Selection::Any,
        attachment: None,
        reach: tern_recall::Reach::default(),
        depth: 0,
        notices: tern_recall::Notices::default(),
        reason: None,
    }
}

fn run(house: &House, retract: &Retract) -> Vec<Retracted> {
    let recalls = house.recalls();
    let answers = recalls.retract(retract, house.now).unwrap();
    for one in &answers {
        recalls.run(one.answer.id(), house.now).unwrap();
    }
    assert_eq!(recalls.check().unwrap(), []);
    answers
}

fn from(sender: &str) -> Search {
    Search {
        sender: Some(address(sender)),
        ..Search::default()
    }
}

fn held(house: &House, who: &str) -> usize {
    house.inbox(house.account(who)).len()
}

#[test]
fn what_came_in_is_found_by_what_it_says_and_taken_back() {
    let id = Search {
        message_id: Some("one@bank.example".into()),
        ..Search::default()
    };
    let subject = Search {
        subject: Some("your account one".into()),
        ..Search::default()
    };
    let said = from("Support@bank.example");
    for search in [id, subject, said, from(EVE)] {
        let mut house = House::new();
        // To each by itself, as large senders do.
        for to in ["bob@tern.test", "carol@tern.test"] {
            arrive(&mut house, &[to], letter("one"));
        }
        let other = String::from_utf8(letter("two")).unwrap();
        let other = other.replace("bank.example", "shop.example").into_bytes();
        let mut incoming = house.incoming("news@shop.example", &["bob@tern.test"], None);
        incoming.content = other;
        house.accept(incoming).unwrap();
        let answers = run(&house, &by(None, search, 1));
        assert!(
            matches!(
                &answers[..],
                [Retracted {
                    answer: Requested::Sealed(_),
                    ..
                }]
            ),
            "one recall for the letter: {answers:?}"
        );
        assert_eq!((held(&house, "bob"), held(&house, "carol")), (1, 0));
        // A late one is stopped; undone, both are back.
        arrive(&mut house, &["dave@tern.test"], letter("one"));
        assert_eq!((held(&house, "bob"), held(&house, "dave")), (1, 0));
        let recalls = house.recalls();
        recalls
            .restore(answers[0].answer.id(), &operator(None), house.now)
            .unwrap();
        recalls.run(answers[0].answer.id(), house.now).unwrap();
        let back = ["bob", "carol", "dave"].map(|who| held(&house, who));
        assert_eq!(back, [2, 1, 1]);
        house.check();
    }
}

/// Large senders send to each by itself: who is chosen is asked for, whichever of these brought their copy,
/// and so is what comes for them later.
#[test]
fn who_is_chosen_is_taken_from_whichever_sending_of_it_they_had() {
    let mut house = House::new();
    for to in ["bob@tern.test", "carol@tern.test", "dave@tern.test"] {
        arrive(&mut house, &[to], letter("one"));
    }
    let mut retract = by(None, from(EVE), 7);
    retract.chosen = vec!["carol@tern.test".into(), "dave@tern.test".into()];
    let recalls = house.recalls();
    let planned = recalls.plan_retract(&retract, house.now).unwrap();
    let tally = planned[0].plan.as_ref().unwrap().1.tally();
    let two_of_three = |tally: &tern_recall::Tally| {
        let of = |outcome| tally.of(outcome);
        let (taken, kept) = (Outcome::WithdrawnUnexposed, Outcome::KeptByPolicy);
        assert_eq!((of(taken), of(kept)), (2, 1));
    };
    two_of_three(&tally);
    let answers = run(&house, &retract);
    let left = |house: &House| ["bob", "carol", "dave"].map(|who| held(house, who));
    assert_eq!(left(&house), [1, 0, 0]);
    two_of_three(&recalls.tally(answers[0].answer.id()).unwrap());
    arrive(&mut house, &["bob@tern.test"], letter("one"));
    arrive(&mut house, &["carol@tern.test"], letter("one"));
    assert_eq!(left(&house), [2, 0, 0]);
    house.check();
}

#[test]
fn nobody_takes_back_what_came_in_but_who_may_take_back_any() {
    let mut house = House::new();
    arrive(&mut house, &["bob@tern.test"], letter("one"));
    for who in ["bob", "alice"] {
        let account = Some(house.account(who));
        let answers = run(&house, &by(account, from(EVE), 2));
        let refused = Requested::Refused(answers[0].answer.id(), Refusal::NotFound);
        assert_eq!((answers.len(), answers[0].answer), (1, refused));
    }
    assert_eq!(held(&house, "bob"), 1);
    house.check();
}

/// Somebody sent it to a list outside, which brought it back: what they sent themselves stays.
#[test]
fn what_an_account_sent_is_not_taken_with_what_came_back_of_it() {
    let mut house = House::new();
    let mut sent = house.incoming("alice@tern.test", &["bob@tern.test"], Some("alice"));
    sent.content = letter("one");
    house.accept(sent).unwrap();
    let submitted = house.inbox(house.account("bob")).remove(0).into_bytes();
    for to in ["carol@tern.test", "dave@tern.test"] {
        arrive(&mut house, &[to], submitted.clone());
    }
    let answers = run(&house, &by(None, from(EVE), 3));
    assert_eq!(answers.len(), 2);
    let left = ["bob", "carol", "dave"].map(|who| held(&house, who));
    assert_eq!(left, [1, 0, 0]);
    house.check();
}

#[test]
fn what_came_in_long_ago_is_forgotten_unless_it_was_asked_for() {
    let mut house = House::new();
    for id in ["one", "two"] {
        arrive(
            &mut house,
            &["bob@tern.test", "carol@tern.test"],
            letter(id),
        );
    }
    let one = Search {
        message_id: Some("one@bank.example".into()),
        ..Search::default()
    };
    let answers = run(&house, &by(None, one.clone(), 4));
    let recalls = house.recalls();
    assert_eq!(recalls.forget_arrivals(house.now).unwrap(), 0);
    let days = Settings::default().arrivals_days;
    let later = house.now.plus_millis((days * 24 + 1) * 60 * 60 * 1000);
    assert_eq!(recalls.forget_arrivals(later).unwrap(), 1);
    assert_eq!(recalls.forget_arrivals(later).unwrap(), 0);
    let found = |search| recalls.plan_retract(&by(None, search, 5), later).unwrap();
    assert_eq!(found(one).len(), 1);
    let two = Search {
        message_id: Some("two@bank.example".into()),
        ..Search::default()
    };
    assert_eq!(found(two).len(), 0);
    assert!(recalls.recall(answers[0].answer.id()).is_ok());
    house.check();
}

/// Whoever has received a message can send it on, word for word. That makes it theirs to take back
/// from those to whom they sent it, and from nobody else: not as a letter, and not inside another.
#[test]
fn who_sends_on_what_came_in_is_not_its_author() {
    let mut house = House::new();
    arrive(
        &mut house,
        &["bob@tern.test", "carol@tern.test"],
        letter("one"),
    );
    house.now = house.now.plus_millis(1_000);
    let inside = format!(
        "From: carol@tern.test\r\nTo: dave@tern.test\r\nSubject: look\r\nMessage-ID: <look@tern.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\
         see\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{}\r\n--b--\r\n",
        String::from_utf8(letter("one")).unwrap()
    );
    let mut complaint = house.incoming("carol@tern.test", &["dave@tern.test"], Some("carol"));
    complaint.origin = OriginId::new(house.now, &mut house.entropy);
    complaint.content = inside.into_bytes();
    house.accept(complaint).unwrap();
    house.now = house.now.plus_millis(1_000);
    let mut his = house.incoming("bob@tern.test", &["erin@tern.test"], Some("bob"));
    his.origin = OriginId::new(house.now, &mut house.entropy);
    his.content = letter("one");
    let erin = house.add_account("erin");
    house.accept(his).unwrap();
    let bob = house.account("bob");
    let id = Search {
        account: Some(bob),
        message_id: Some("one@bank.example".into()),
        ..Search::default()
    };
    let answers = run(&house, &by(Some(bob), id, 6));
    assert!(
        matches!(answers[0].answer, Requested::Sealed(_)),
        "{answers:?}"
    );
    assert!(house.inbox(erin).is_empty(), "his to take back");
    let left = ["bob", "carol", "dave"].map(|who| held(&house, who));
    assert_eq!(left, [1, 1, 1]);
    house.now = house.now.plus_millis(1_000);
    house.check();
}

/// What came in before he sent it on stays somebody else's for all that comes of it later, too: what
/// comes in for others, what a client puts back, and what has it inside, such as a complaint about it.
#[test]
fn who_sends_on_what_came_in_takes_nothing_back_that_comes_later() {
    let mut house = House::new();
    let erin = house.add_account("erin");
    arrive(&mut house, &["bob@tern.test"], letter("one"));
    house.now = house.now.plus_millis(1_000);
    let mut his = house.incoming("bob@tern.test", &["erin@tern.test"], Some("bob"));
    his.origin = OriginId::new(house.now, &mut house.entropy);
    his.content = letter("one");
    house.accept(his).unwrap();
    house.now = house.now.plus_millis(1_000);
    arrive(&mut house, &["carol@tern.test"], letter("one"));
    let complaint = format!(
        "From: carol@tern.test\r\nTo: dave@tern.test\r\nSubject: look\r\nMessage-ID: <look@tern.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\
         see\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{}\r\n--b--\r\n",
        String::from_utf8(letter("one")).unwrap()
    );
    let complain = |house: &mut House, to: &str| {
        let mut incoming = house.incoming("carol@tern.test", &[to], Some("carol"));
        incoming.origin = OriginId::new(house.now, &mut house.entropy);
        incoming.content = complaint.clone().into_bytes();
        house.accept(incoming).unwrap();
    };
    complain(&mut house, "dave@tern.test");
    let bob = house.account("bob");
    let id = Search {
        account: Some(bob),
        message_id: Some("one@bank.example".into()),
        ..Search::default()
    };
    let answers = run(&house, &by(Some(bob), id, 7));
    assert!(
        matches!(answers[0].answer, Requested::Sealed(_)),
        "{answers:?}"
    );
    assert!(house.inbox(erin).is_empty(), "his to take back");
    let left = |house: &House| ["bob", "carol", "dave", "alice"].map(|who| held(house, who));
    assert_eq!(left(&house), [1, 1, 1, 0]);
    // Nor does his recall keep anything of it out.
    house.now = house.now.plus_millis(1_000);
    arrive(&mut house, &["dave@tern.test"], letter("one"));
    complain(&mut house, "alice@tern.test");
    assert_eq!(left(&house), [1, 1, 2, 1]);
    // Whoever may takes back all that came in, and not what he sent.
    let answers = run(&house, &by(None, from(EVE), 8));
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(left(&house), [0, 0, 0, 0]);
    house.check();
}

/// What comes in answers what went out, and what an account says to it answers that.
#[test]
fn an_answer_from_outside_is_in_the_conversation_until_it_is_forgotten() {
    let mut house = House::new();
    let mut say = |from: &str, to: &[&str], sender: Option<&str>, id: &str, answers: &str| {
        let mut incoming = house.incoming(from, to, sender);
        incoming.origin = OriginId::new(house.now, &mut house.entropy);
        incoming.content = format!(
            "From: {from}\r\nSubject: {id}\r\nMessage-ID: <{id}@x>\r\n{answers}\r\n{id}\r\n"
        )
        .into_bytes();
        house.accept(incoming).unwrap();
    };
    let alice = "alice@tern.test";
    say(alice, &[EVE, "bob@tern.test"], Some("alice"), "offer", "");
    let offer = "In-Reply-To: <offer@x>\r\n";
    say(EVE, &[alice], None, "no", offer);
    let no = "References: <offer@x> <no@x>\r\n";
    say(alice, &[EVE], Some("alice"), "pity", no);
    // Nothing of this went outside, so that nobody there can answer it.
    say(alice, &["bob@tern.test"], Some("alice"), "inside", "");
    let inside = "In-Reply-To: <inside@x>\r\n";
    say(EVE, &[alice], None, "forged", inside);
    let recalls = house.recalls();
    let listed = |id: &str, now| {
        let search = Search {
            message_id: Some(id.into()),
            ..Search::default()
        };
        let planned = recalls.plan_retract(&by(None, search, 1), now).unwrap();
        let all = planned[0].quoted.all.iter();
        let line = all.map(|one| (one.depth, one.submission.subject_text()));
        line.collect::<Vec<_>>()
    };
    let (no, pity) = ((1, "no".to_owned()), (2, "pity".to_owned()));
    assert_eq!(listed("offer@x", house.now), [no, pity.clone()]);
    assert_eq!(listed("inside@x", house.now), []);
    let later = house.now.plus_millis(200 * 24 * 60 * 60 * 1000);
    assert_eq!(recalls.forget_arrivals(later).unwrap(), 2);
    // What alice said to it names the first message too.
    assert_eq!(listed("offer@x", later), [pity]);
    assert_eq!(recalls.check().unwrap(), []);
}

#[test]
fn an_author_that_is_no_address_is_nobodys() {
    let mut house = House::new();
    let long = format!(
        "From: <{}@b>\r\nSubject: long\r\n\r\nHello\r\n",
        "x".repeat(70_000)
    );
    arrive(&mut house, &["bob@tern.test"], long.into_bytes());
    assert_eq!(house.inbox(house.account("bob")).len(), 1);
    house.check();
}
