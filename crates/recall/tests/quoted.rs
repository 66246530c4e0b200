//! Conversations: what answers a message is listed, by plans and by reports, and taken back only where that
//! is asked for.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::AccountId;
use tern_directory::{Grant, GrantScope, Role};
use tern_mailbox::INBOX;
use tern_policy::{Authentication, PolicySet, Selection};
use tern_recall::{
    Answers, BatchId, Reach, RecallError, RecallId, Refusal, Requested, Requester, Retract,
    Retracted, Search, Selector, Submission, View, limits,
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

/// What somebody is told of the answers to the message of a recall.
fn answers(house: &House, id: RecallId, account: Option<AccountId>) -> Answers {
    let reader = by(account, "", 0).requester;
    match house.recalls.view(id, &reader, 100, house.now).unwrap() {
        View::Full(status) => status.answers,
        View::Limited(status) => status.answers,
    }
}

/// The same, by depth and subject, with what became of each.
fn told(
    house: &House,
    id: RecallId,
    account: Option<AccountId>,
) -> Vec<(u8, String, &'static str)> {
    let answers = answers(house, id, account);
    assert_eq!(answers.more, Some(0));
    let line = |one: tern_recall::AnswerLine| (one.depth, one.subject, one.fate.code());
    answers.lines.into_iter().map(line).collect()
}

fn expected<const N: usize>(
    lines: [(u8, &str, &'static str); N],
) -> Vec<(u8, String, &'static str)> {
    let lines = lines.into_iter();
    lines
        .map(|(depth, text, fate)| (depth, text.to_owned(), fate))
        .collect()
}

/// Alice's letter to bob and carol; bob answers, carol forwards it to dave and answers bob, alice answers
/// carol's answer.
fn conversation() -> (House, [Submission; 5]) {
    conversation_in(House::new())
}

fn conversation_in(mut house: House) -> (House, [Submission; 5]) {
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
fn a_policy_is_told_that_a_message_is_taken_back_as_an_answer() {
    let rule = "@id(\"answers\") forbid (principal, action == Tern::Action::\"recall.any\", resource) \
                when { context.options.asAnswer };";
    let roles = tern_policy::SHIPPED_DEFAULT[0];
    let set = tern_policy::PolicySet::load(&[roles, ("answers.cedar", rule)]).unwrap();
    let (house, [_, bob, forward, ..]) = conversation_in(House::under(std::sync::Arc::new(set)));
    let answers = run(&house, &by(None, "letter@example.org", 1));
    let refused = |one: &Retracted| {
        matches!(one.answer, Requested::Refused(_, Refusal::PolicyDenied)).then_some(one.submission)
    };
    let refused: Vec<_> = answers.iter().filter_map(refused).collect();
    assert_eq!(refused, [Some(bob.id), Some(forward.id)]);
    let id = answers[1].answer.id();
    assert!(house.recalls.recall(id).unwrap().as_answer);
    // What is asked for by itself is no answer.
    let alone = run(&house, &by(None, "bob@example.org", 0));
    assert!(matches!(alone[0].answer, Requested::Sealed(_)), "{alone:?}");
    house.check();
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

#[test]
fn what_answers_it_is_in_the_report_of_those_who_may_know() {
    let (mut house, sent) = conversation();
    let answered = run(&house, &by(None, "letter@example.org", 1));
    let (id, bobs) = (answered[0].answer.id(), answered[1].answer.id());
    // Whoever may take back any sees all of it, by whom and how.
    let all = expected([
        (1, "bob", "taken-back"),
        (1, "forward", "taken-back"),
        (2, "carol", "left"),
        (3, "alice", "left"),
    ]);
    assert_eq!(told(&house, id, None), all);
    let first = &answers(&house, id, None).lines[0];
    assert_eq!(first.sender, "bob@example.org");
    assert_eq!(
        (first.submission, first.sent),
        (sent[1].id, sent[1].submitted)
    );
    assert_eq!(first.fate.by(), Some(&(bobs, "somebody".to_owned())));
    let reader = by(None, "", 0).requester;
    let evidence = house.recalls.evidence(id, &reader, house.now).unwrap();
    let lines = evidence["recall"]["answers"].as_array().unwrap();
    assert_eq!(
        (lines.len(), &lines[1]["outcome"]),
        (4, &"taken-back".into())
    );
    // The sender sees what they have written themselves, and no word of what others have.
    assert_eq!(
        told(&house, id, Some(ALICE)),
        expected([(3, "alice", "left")])
    );
    let report = house.report(ALICE);
    let (_, listed) = report.split_once("Messages that answer it").unwrap();
    assert!(
        listed.contains("alice@example.org, \"alice\", sent 2027-"),
        "{report}"
    );
    assert!(listed.contains("It stays as it is."), "{report}");
    for other in ["\"bob\"", "\"carol\"", "\"forward\"", "bob@example.org, "] {
        assert!(!report.contains(other), "{other}: {report}");
    }
    // So it is of the answers' own recalls: bob is told that alice's is there by nobody.
    assert_eq!(told(&house, bobs, Some(BOB)), []);
    // Taken back by its author, it is said by whom.
    house.recall(ALICE, &sent[4]);
    assert_eq!(
        told(&house, id, Some(ALICE)),
        expected([(3, "alice", "taken-back")])
    );
    let hers = answers(&house, id, Some(ALICE));
    let by = hers.lines[0].fate.by().map(|(_, name)| name.as_str());
    assert_eq!(by, Some("account 1"));
    house.check();
}

#[test]
fn an_answer_from_which_some_are_chosen_is_taken_back_in_part() {
    let (mut house, sent) = conversation();
    let id = run(&house, &by(None, "letter@example.org", 0))[0]
        .answer
        .id();
    let mut request = house.request(ALICE, Selector::Submission(sent[4].id));
    request.chosen = vec!["bob@example.org".into()];
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    let line = expected([(3, "alice", "partly-taken-back")]);
    assert_eq!(told(&house, id, Some(ALICE)), line);
}

#[test]
fn who_is_told_numbers_is_told_of_no_answer_but_their_own() {
    let (name, roles) = tern_policy::SHIPPED_DEFAULT[0];
    let numbers = r#"
@id("numbers")
@description("Everybody but compliance officers sees numbers.")
@visibility("aggregate:4")
forbid (principal is Tern::Account, action == Tern::Action::"report.exposure", resource)
unless { principal in Tern::Role::"compliance-officer" };
"#;
    let numbers_only = [Role::Manager, Role::Administrator];
    for (roles_of, seen) in [(&numbers_only[..], 0), (&[Role::ComplianceOfficer], 2)] {
        let set = PolicySet::load(&[(name, roles), ("numbers.cedar", numbers)]).unwrap();
        let mut house = House::under(Arc::new(set));
        for role in roles_of {
            let grant = Grant {
                account: DAVE,
                role: *role,
                scope: GrantScope::Everyone,
            };
            tern_directory::grant_role(&house.engine, &grant, None, house.now).unwrap();
        }
        let sent = house.submit_content(ALICE, &[BOB, CAROL], &[], &answer("letter", ""));
        let reply = "In-Reply-To: <letter@example.org>\r\n";
        for (who, id) in [(BOB, "bob"), (CAROL, "carol")] {
            house.submit_content(who, &[ALICE], &[], &answer(id, reply));
        }
        let id = house.recall(ALICE, &sent).id();
        // That somebody answers says that they have read it.
        let may = by(Some(DAVE), "letter@example.org", 0);
        assert_eq!(listed(&house, &may).len(), 2, "{roles_of:?} may plan them");
        assert_eq!(told(&house, id, Some(DAVE)).len(), seen, "{roles_of:?}");
    }
}

#[test]
fn what_is_written_later_stays_is_listed_and_goes_when_it_is_asked_for_again() {
    let (mut house, _) = conversation();
    let ask = by(None, "letter@example.org", limits::MAX_DEPTH);
    let id = run(&house, &ask)[0].answer.id();
    house.now = house.now.plus_millis(3_600_000);
    let reply = "In-Reply-To: <letter@example.org>\r\n";
    let later = house.submit_content(BOB, &[ALICE, DAVE], &[], &answer("later", reply));
    // It is bob's to say, and nobody has judged it.
    assert_eq!(
        [ALICE, DAVE].map(|who| house.uids(who, INBOX).len()),
        [1, 1]
    );
    let of_it = |house: &House| {
        let all = answers(house, id, None).lines.into_iter();
        let mut fates = all.filter(|one| one.submission == later.id);
        fates.next().unwrap().fate.code()
    };
    assert_eq!(of_it(&house), "left");
    let again = run(&house, &ask);
    let fresh: Vec<_> = again
        .iter()
        .filter(|one| matches!(one.answer, Requested::Sealed(_)))
        .map(|one| one.submission)
        .collect();
    assert_eq!(fresh, [Some(later.id)]);
    assert_eq!(of_it(&house), "taken-back");
    assert_eq!(
        [ALICE, DAVE].map(|who| house.uids(who, INBOX).len()),
        [0, 0]
    );
}

#[test]
fn an_answer_that_has_the_message_inside_is_one_of_its_copies_too() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let letter = String::from_utf8(house.letter(1)).unwrap();
    let fields = format!(
        "References: <{}>\r\nContent-Type: multipart/mixed; boundary=x\r\n",
        sent.message_id
    );
    let mut forward = answer("fwd", &fields);
    let inside = format!("\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n{letter}\r\n--x--\r\n");
    forward.extend_from_slice(inside.as_bytes());
    house.submit_content(BOB, &[DAVE], &[], &forward);
    let id = house.recall(ALICE, &sent).id();
    assert!(house.uids(DAVE, INBOX).is_empty());
    assert_eq!(told(&house, id, None), expected([(1, "fwd", "inside")]));
    assert_eq!(told(&house, id, Some(ALICE)), []);
    house.check();
}

#[test]
fn of_many_answers_some_are_listed_and_the_rest_counted() {
    let mut house = House::new();
    let sent = house.submit_content(ALICE, &[BOB], &[], &answer("letter", ""));
    let reply = "In-Reply-To: <letter@example.org>\r\n";
    let answer_by = |house: &mut House, who, n: usize| {
        house.submit_content(who, &[BOB], &[], &answer(&format!("more{n}"), reply));
    };
    let id = house.recall(ALICE, &sent).id();
    for n in 0..limits::MAX_ANSWERS_TOLD + 3 {
        answer_by(&mut house, ALICE, n);
    }
    let counted = answers(&house, id, Some(ALICE));
    assert_eq!(
        (counted.lines.len(), counted.more),
        (limits::MAX_ANSWERS_TOLD, Some(3))
    );
    assert_eq!(counted.rest().unwrap(), "And 3 more.");
    for n in limits::MAX_ANSWERS_TOLD + 3..limits::MAX_ANSWERS_SEEN + 1 {
        answer_by(&mut house, BOB, n);
    }
    let all = answers(&house, id, None);
    assert_eq!(
        (all.lines.len(), all.more),
        (limits::MAX_ANSWERS_TOLD, None)
    );
    // That others have written so many is not the sender's to know.
    assert_eq!(answers(&house, id, Some(ALICE)).more, Some(3));
}
