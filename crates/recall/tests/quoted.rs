//! Conversations: what answers a message is listed, and taken back only where that is asked for.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::AccountId;
use tern_mailbox::INBOX;
use tern_policy::{Authentication, Selection};
use tern_recall::{
    BatchId, Reach, RecallError, Refusal, Requested, Requester, Retract, Retracted, Search,
    Submission, limits,
};

fn answer(id: &str, fields: &str) -> Vec<u8> {
    format!(
        "From: somebody@example.org\r\nSubject: {id}\r\nMessage-ID: <{id}@example.org>\r\n{fields}\r\n\
         > Body 1\r\nNo.\r\n"
    )
    .into_bytes()
}

fn by(account: Option<AccountId>, message_id: &str, depth: u8) -> Retract {
    Retract {
        batch: BatchId([depth; 16]),
        search: Search {
            message_id: Some(message_id.into()),
            ..Search::default()
        },
        requester: Requester {
            account,
            name: "somebody".into(),
            authentication: Authentication::default(),
        },
        chosen: Vec::new(),
        selection: Selection::Any,
        attachment: None,
        notices: tern_recall::Notices {
            whom: Some(tern_policy::Notice::None),
            text: None,
        },
        reach: Reach::default(),
        depth,
        reason: None,
    }
}

/// What a plan of the first letter lists, by depth and subject.
fn listed(house: &House, retract: &Retract) -> Vec<(u8, String)> {
    let planned = house.recalls.plan_retract(retract, house.now).unwrap();
    let quoted = &planned[0].quoted;
    assert!(!quoted.more);
    let line = |depth, sent: &Submission| (depth, sent.subject_text());
    let lines = quoted.all.iter();
    lines.map(|one| line(one.depth, &one.submission)).collect()
}

fn run(house: &House, retract: &Retract) -> Vec<Retracted> {
    let answers = house.recalls.retract(retract, house.now).unwrap();
    for one in &answers {
        house.recalls.run(one.answer.id(), house.now).unwrap();
    }
    house.check();
    answers
}

/// Alice's letter to bob and carol; bob answers, carol forwards it to dave and answers bob, alice answers
/// carol's answer.
fn conversation() -> (House, [Submission; 5]) {
    let mut house = House::new();
    let mut say = |from, to: &[AccountId], id: &str, fields: &str| {
        house.now = house.now.plus_millis(1_000);
        house.submit_content(from, to, &[], &answer(id, fields))
    };
    let letter = say(ALICE, &[BOB, CAROL], "letter", "");
    let reply = "In-Reply-To: <letter@example.org>\r\n";
    let bob = say(BOB, &[ALICE, CAROL], "bob", reply);
    let forward = say(
        CAROL,
        &[DAVE],
        "forward",
        "References: <letter@example.org>\r\n",
    );
    // This one names only what it answers, so that it is found by way of bob's.
    let carol = say(
        CAROL,
        &[ALICE, BOB],
        "carol",
        "In-Reply-To: <bob@example.org>\r\n",
    );
    let all = "References: <letter@example.org> <bob@example.org> <carol@example.org>\r\n\
               In-Reply-To: <carol@example.org>\r\n";
    let alice = say(ALICE, &[BOB, CAROL], "alice", all);
    (house, [letter, bob, forward, carol, alice])
}

#[test]
fn what_answers_a_message_is_listed_at_its_depth_and_stays() {
    let (house, _) = conversation();
    let expected = [(1, "bob"), (1, "forward"), (2, "carol"), (3, "alice")];
    let expected = expected.map(|(depth, text)| (depth, text.to_owned()));
    let ask = by(None, "letter@example.org", 0);
    assert_eq!(listed(&house, &ask), expected);
    assert_eq!(run(&house, &ask).len(), 1);
    // Bob keeps carol's and alice's answers, dave what was forwarded to him.
    let left = [ALICE, BOB, CAROL, DAVE].map(|who| house.uids(who, INBOX).len());
    assert_eq!(left, [2, 2, 2, 1]);
    // What is taken back can no longer be read, and is still what they answer.
    assert_eq!(listed(&house, &ask), expected);
}

#[test]
fn a_conversation_is_taken_back_to_its_depth_by_a_recall_for_each_message() {
    let cases = [
        (1, 3, [1, 2, 1, 0]),
        (2, 4, [0, 1, 1, 0]),
        (3, 5, [0, 0, 0, 0]),
    ];
    for (depth, messages, expected) in cases {
        let (house, sent) = conversation();
        let ask = by(None, "letter@example.org", depth);
        let answers = run(&house, &ask);
        assert_eq!(answers.len(), messages);
        for (one, sent) in answers.iter().zip(&sent) {
            assert_eq!(one.submission, Some(sent.id));
            assert!(matches!(one.answer, Requested::Sealed(_)), "{one:?}");
            let recall = house.recalls.recall(one.answer.id()).unwrap();
            assert_eq!(
                (recall.batch, recall.owner),
                (Some(ask.batch), Some(sent.account))
            );
        }
        let left = [ALICE, BOB, CAROL, DAVE].map(|who| house.uids(who, INBOX).len());
        assert_eq!(left, expected, "depth {depth}");
        let again = run(&house, &ask);
        let joined = |one: &Retracted| matches!(one.answer, Requested::Joined(_));
        assert!(again.iter().all(joined), "{again:?}");
        // Each is undone by itself.
        let id = answers[1].answer.id();
        let operator = by(None, "", 0).requester;
        house.recalls.restore(id, &operator, house.now).unwrap();
        house.recalls.run(id, house.now).unwrap();
        assert_eq!(house.uids(ALICE, INBOX).len(), expected[0] + 1);
        house.check();
    }
}

#[test]
fn who_may_not_take_back_any_is_told_of_their_own_answers_alone() {
    let (house, sent) = conversation();
    let ask = by(Some(ALICE), "letter@example.org", limits::MAX_DEPTH);
    assert_eq!(listed(&house, &ask), [(3, "alice".to_owned())]);
    let taken: Vec<_> = run(&house, &ask).iter().map(|one| one.submission).collect();
    assert_eq!(taken, [Some(sent[0].id), Some(sent[4].id)]);
    // Bob's answer and carol's are where they were.
    assert_eq!(house.uids(ALICE, INBOX).len(), 2);
    // Whose message it is not finds nothing, with what answers it.
    let ask = by(Some(DAVE), "letter@example.org", 1);
    let refused = run(&house, &ask);
    let id = refused[0].answer.id();
    assert_eq!(refused[0].answer, Requested::Refused(id, Refusal::NotFound));
    assert_eq!(house.uids(ALICE, INBOX).len(), 2);
}

#[test]
fn who_never_had_the_message_does_not_answer_it() {
    let (mut house, _) = conversation();
    let forged = "References: <letter@example.org>\r\n";
    // Dave had the letter only by what carol made of it.
    house.submit_content(DAVE, &[BOB], &[], &answer("forged", forged));
    let correction = "References: <letter@example.org>\r\nSupersedes: <letter@example.org>\r\n";
    house.submit_content(ALICE, &[BOB], &[], &answer("correction", correction));
    let itself = "References: <itself@example.org>\r\n";
    house.submit_content(ALICE, &[BOB], &[], &answer("itself", itself));
    let list = listed(&house, &by(None, "letter@example.org", 0));
    let depths: Vec<u8> = list.iter().map(|(depth, _)| *depth).collect();
    assert_eq!(depths, [1, 1, 2, 3], "{list:?}");
    assert_eq!(listed(&house, &by(None, "itself@example.org", 0)), []);
    house.check();
}

#[test]
fn a_conversation_that_is_too_large_touches_nothing() {
    let (mut house, _) = conversation();
    for n in 0..limits::MAX_RETRACTED {
        let fields = "In-Reply-To: <letter@example.org>\r\n";
        house.submit_content(BOB, &[ALICE], &[], &answer(&format!("more{n}"), fields));
    }
    let ask = by(None, "letter@example.org", 1);
    let asked = house.recalls.retract(&ask, house.now);
    assert_eq!(asked, Err(RecallError::TooMany));
    assert!(house.recalls.list(None, 10).unwrap().is_empty());
    // The message itself can be taken back all the same.
    assert_eq!(run(&house, &by(None, "letter@example.org", 0)).len(), 1);
}
