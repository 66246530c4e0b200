//! The default policy as a table: what differs from a plain request, and the code it gets.

use tern_base::{AccountId, Timestamp};
use tern_policy::{
    Actor, Authentication, DefaultPolicy, DenyReason, Message, Operation, Options, Policy,
    Question, Reach, Selection,
};

const HOUR_MS: u64 = 3_600_000;

/// Account 1 asks for its own message, one hour old.
fn plain() -> Question {
    Question {
        operation: Operation::Recall,
        now: Timestamp(1_000 * HOUR_MS),
        actor: Actor {
            account: Some(AccountId(1)),
            reach: Reach::Own,
            ..Actor::default()
        },
        authentication: Authentication::default(),
        message: Message {
            submitter: Some(AccountId(1)),
            age_ms: HOUR_MS,
            recipients: 3,
            ..Message::default()
        },
        options: Options::default(),
        requests_last_hour: 0,
    }
}

type Case = (&'static str, fn(&mut Question), &'static str, &'static str);

const CASES: &[Case] = &[
    ("a plain request", |_| {}, "allow", "default.own"),
    (
        "exposed copies need nothing more yet",
        |q| q.message.exposed = 3,
        "allow",
        "default.own",
    ),
    (
        "a narrower selection",
        |q| q.options.selection = Selection::OnlyUnexposed,
        "allow",
        "default.own",
    ),
    (
        "exactly 24 hours",
        |q| q.message.age_ms = 24 * HOUR_MS,
        "allow",
        "default.own",
    ),
    (
        "a millisecond more",
        |q| q.message.age_ms = 24 * HOUR_MS + 1,
        "too-old",
        "default.age",
    ),
    (
        "the tenth in an hour",
        |q| q.requests_last_hour = 9,
        "allow",
        "default.own",
    ),
    (
        "the eleventh",
        |q| q.requests_last_hour = 10,
        "rate-limited",
        "default.rate",
    ),
    (
        "plans are not counted",
        |q| {
            q.requests_last_hour = 10;
            q.operation = Operation::Plan;
        },
        "allow",
        "default.own",
    ),
    (
        "somebody else's",
        |q| q.message.submitter = Some(AccountId(2)),
        "not-yours",
        "default.own",
    ),
    (
        "somebody else's tells nothing of its age",
        |q| {
            q.message.submitter = Some(AccountId(2));
            q.message.age_ms = 99 * HOUR_MS;
        },
        "not-yours",
        "default.own",
    ),
    (
        "one from outside",
        |q| q.message.submitter = None,
        "not-yours",
        "default.own",
    ),
    (
        "nobody's message is not that of an actor without account",
        |q| {
            q.message.submitter = None;
            q.actor.account = None;
        },
        "not-yours",
        "default.own",
    ),
    (
        "no permission",
        |q| q.actor.reach = Reach::Nothing,
        "not-enabled",
        "default.permission",
    ),
    (
        "a delegate",
        |q| {
            q.message.submitter = Some(AccountId(2));
            q.actor.reach = Reach::Delegate;
            q.actor.delegate_of = vec![AccountId(2)];
        },
        "allow",
        "default.own",
    ),
    (
        "a delegate without the permission",
        |q| {
            q.message.submitter = Some(AccountId(2));
            q.actor.delegate_of = vec![AccountId(2)];
        },
        "not-yours",
        "default.own",
    ),
    (
        "an administrator, any message, any age",
        |q| {
            q.message.submitter = None;
            q.message.age_ms = 9_999 * HOUR_MS;
            q.requests_last_hour = 99;
            q.actor.reach = Reach::Any;
        },
        "allow",
        "default.any",
    ),
    (
        "undoing an old one",
        |q| {
            q.operation = Operation::Restore;
            q.message.age_ms = 99 * HOUR_MS;
        },
        "allow",
        "default.own",
    ),
];

#[test]
fn default_policy() {
    for (name, change, code, policy) in CASES {
        let mut question = plain();
        change(&mut question);
        let verdict = DefaultPolicy::default().decide(&question);
        assert_eq!(verdict.decision.code(), *code, "{name}");
        assert_eq!(verdict.policies[0].0, *policy, "{name}");
        assert_eq!(verdict.is_allowed(), *code == "allow", "{name}");
    }
}

#[test]
fn switched_off_refuses_everybody() {
    let policy = DefaultPolicy {
        enabled: false,
        ..DefaultPolicy::default()
    };
    let mut question = plain();
    question.actor.reach = Reach::Any;
    assert_eq!(policy.decide(&question).decision.code(), "not-enabled");
}

#[test]
fn reason_codes_round_trip() {
    for reason in DenyReason::ALL {
        assert_eq!(DenyReason::from_code(reason.code()), Some(reason));
        assert!(reason.sentence().ends_with('.'));
    }
    assert_eq!(DenyReason::from_code("allow"), None);
}
