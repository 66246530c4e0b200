//! What ships: the built-in set loads, the default policy passes its cases, and so do the three
//! examples.

use std::fs;
use std::path::{Path, PathBuf};

use tern_base::{AccountId, Timestamp};
use tern_policy::{
    Actor, Authentication, DenyReason, Message, Operation, Options, Permission, Policy, PolicySet,
    Question, SHIPPED_DEFAULT, Surroundings, Visibility, built_in, cases, unattended,
};

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies")
}

/// The policies of some directories under `config/policies/`.
fn load(directories: &[&str]) -> PolicySet {
    let mut files = Vec::new();
    for directory in directories {
        for entry in fs::read_dir(policies().join(directory)).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|ending| ending == "cedar") {
                let text = fs::read_to_string(&path).expect("a text");
                files.push((path.display().to_string(), text));
            }
        }
    }
    PolicySet::load(&files).unwrap_or_else(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

fn check(directories: &[&str], file: &str) -> usize {
    let set = load(directories);
    let text = fs::read_to_string(policies().join(file)).expect("cases");
    let tried = cases::run(&set, &text).expect("sound cases");
    for case in &tried {
        assert_eq!(case.got, case.expected, "{file}: {}", case.name);
    }
    tried.len()
}

#[test]
fn every_sentence_of_the_default_policy() {
    assert!(check(&["roles", "default"], "default/cases.toml") >= 25);
}

#[test]
fn a_small_firm() {
    assert!(
        check(
            &["roles", "examples/small-firm"],
            "examples/small-firm/cases.toml"
        ) >= 5
    );
}

#[test]
fn a_hospital() {
    assert!(
        check(
            &["roles", "examples/hospital"],
            "examples/hospital/cases.toml"
        ) >= 8
    );
}

#[test]
fn a_ministry() {
    assert!(
        check(
            &["roles", "examples/ministry"],
            "examples/ministry/cases.toml"
        ) >= 8
    );
}

#[test]
fn the_default_that_ships_is_what_the_directories_hold() {
    let shipped = PolicySet::load(SHIPPED_DEFAULT).expect("sound");
    let ids = |set: &PolicySet| set.rules().map(|rule| rule.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&shipped), ids(&load(&["roles", "default"])));
    assert!(shipped.rules().all(|rule| rule.description.is_some()));
}

/// Where nobody can show a second factor or approve, neither is asked for.
#[test]
fn the_unattended_set_asks_nobody_for_anything() {
    let set = unattended();
    let own = |change: fn(&mut Question)| {
        let mut question = question();
        change(&mut question);
        set.decide(&question).decision.code()
    };
    assert_eq!(own(|_| {}), "allow");
    assert_eq!(own(|q| message(q).exposed = Some(9)), "allow");
    assert_eq!(own(|q| message(q).recipients = 900), "allow");
    assert_eq!(own(|q| message(q).age_ms = 86_400_001), "too-old");
    assert_eq!(own(|q| q.requests_last_hour = 10), "rate-limited");
    assert_eq!(
        own(|q| message(q).submitter = Some(AccountId(2))),
        "not-yours"
    );
    assert_eq!(own(|q| message(q).submitter = None), "not-yours");
    assert_eq!(own(|q| q.actor.roles.clear()), "not-enabled");
    let nobodys = |q: &mut Question| {
        message(q).submitter = None;
        q.actor.account = None;
        q.actor.roles.clear();
    };
    assert_eq!(own(nobodys), "allow", "an operator at the machine");
}

/// What is in force without configuration is the whole default.
#[test]
fn the_built_in_set_is_the_default() {
    let set = built_in();
    let shipped = PolicySet::load(SHIPPED_DEFAULT).expect("sound");
    assert_eq!(set.digest(), shipped.digest());
    let own = |change: fn(&mut Question)| {
        let mut question = question();
        change(&mut question);
        set.decide(&question).decision.code()
    };
    assert_eq!(own(|_| {}), "allow");
    assert_eq!(own(|q| message(q).exposed = Some(9)), "step-up-required");
    assert_eq!(own(|q| message(q).recipients = 26), "approval-required");
    assert_eq!(own(|q| q.frozen = true), "approval-required");
}

#[test]
fn a_verdict_names_what_it_was_given() {
    let mut asked = question();
    asked.surroundings.networks = Some(vec!["office".to_owned(), "ward".to_owned()]);
    let verdict = built_in().decide(&asked);
    let input = |name: &str| {
        let found = verdict.inputs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(input("action"), Some("recall.own"));
    assert_eq!(input("principal"), Some("anna@example.org"));
    assert_eq!(input("principal.roles"), Some("user"));
    assert_eq!(input("resource.age"), Some("1h"));
    assert_eq!(input("context.networks"), Some("office ward"));
    assert_eq!(input("context.country"), None, "not known");
    assert_eq!(input("context.authentication.stepUpAge"), None, "never");
}

/// What can't be put to the policies is as if each of them forbade it.
#[test]
fn a_question_that_cannot_be_asked_shows_as_little_as_any_policy_leaves() {
    let text = "@id(\"all\")\npermit (principal, action, resource);\n\
        @id(\"ten\")\n@visibility(\"aggregate:10\")\n\
        forbid (principal, action == Tern::Action::\"report.exposure\", resource)\n\
        when { context.frozen };";
    let set = PolicySet::load(&[("a.cedar", text)]).expect("sound");
    let mut asked = question();
    assert_eq!(set.visibility(&asked, true), Some(Visibility::Full));
    asked.actor.groups = (0..10_001).map(|n| format!("g{n}@example.org")).collect();
    let seen = set.visibility(&asked, true);
    assert_eq!(seen, Some(Visibility::Aggregate { recipients: 10 }));
    assert_eq!(set.visibility(&asked, false), None);
    assert_ne!(set.decide(&asked).decision.code(), "allow");
    let set = unattended();
    let seen = set.visibility(&asked, true);
    assert_eq!(seen, Some(Visibility::Outcomes), "none of them limits it");
}

#[test]
fn codes_round_trip() {
    for reason in DenyReason::ALL {
        assert_eq!(DenyReason::from_code(reason.code()), Some(reason));
        assert!(reason.sentence().ends_with('.'));
    }
    assert_eq!(DenyReason::from_code("allow"), None);
    for permission in Permission::ALL {
        assert_eq!(Permission::from_code(permission.code()), Some(permission));
    }
}

fn message(question: &mut Question) -> &mut Message {
    question.message.as_mut().expect("a message")
}

/// Anna asks for her own message, one hour old.
fn question() -> Question {
    Question {
        operation: Operation::Recall,
        now: Timestamp(1_700_000_000_000),
        actor: Actor {
            account: Some(AccountId(1)),
            name: "anna@example.org".to_owned(),
            roles: vec!["user".to_owned()],
            ..Actor::default()
        },
        authentication: Authentication::default(),
        surroundings: Surroundings::default(),
        message: Some(Message {
            submitter: Some(AccountId(1)),
            age_ms: 3_600_000,
            recipients: 3,
            exposed: Some(0),
            ..Message::default()
        }),
        options: Options::default(),
        approvals: 0,
        requester: None,
        requests_last_hour: 0,
        frozen: false,
    }
}
