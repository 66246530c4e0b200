//! How long a verdict takes: with the default policies, and with 500.
//!
//! `cargo run --release -p tern-policy --example speed`

#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::time::Instant;

use tern_base::{AccountId, Timestamp};
use tern_policy::{
    Actor, Authentication, Message, Operation, Options, Policy, PolicySet, Question,
    SHIPPED_DEFAULT, Surroundings,
};

const ROUNDS: u32 = 20_000;

fn main() {
    let shipped = PolicySet::load(SHIPPED_DEFAULT).expect("sound");
    measure("the default policies", &shipped);
    // Rules as an organisation writes them, one for each of its groups.
    let rules: String = (0..500 - shipped.rules().count())
        .map(|n| {
            format!(
                "@id(\"group.{n}\")\n@reason(\"too-old\")\nforbid (principal in \
                 Tern::Group::\"group{n}@example.org\", action == Tern::Action::\"recall.own\", \
                 resource)\nwhen {{ resource.age > duration(\"{n}m\") && resource.external > 0 }};\n"
            )
        })
        .collect();
    let files = [SHIPPED_DEFAULT, &[("groups.cedar", rules.as_str())]].concat();
    measure("500 policies", &PolicySet::load(&files).expect("sound"));
}

fn measure(name: &str, set: &PolicySet) {
    let question = question();
    let mut times: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            assert!(set.decide(&question).is_allowed());
            begun.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    let at = |per_mille: usize| times[times.len() * per_mille / 1000] as f64 / 1000.0;
    let number = set.rules().count();
    println!(
        "{name} ({number}): median {:.1} µs, p99 {:.1} µs",
        at(500),
        at(990)
    );
}

fn question() -> Question {
    Question {
        operation: Operation::Recall,
        now: Timestamp(1_700_000_000_000),
        actor: Actor {
            account: Some(AccountId(1)),
            name: String::from("anna@example.org"),
            groups: (0..5).map(|n| format!("group{n}@example.org")).collect(),
            roles: vec![String::from("user"), String::from("manager")],
            ..Actor::default()
        },
        authentication: Authentication {
            mechanism: String::from("SCRAM-SHA-256"),
            factors: vec![String::from("password"), String::from("totp")],
            step_up_age_ms: Some(60_000),
            protocol: String::from("imap"),
            tls: Some(true),
            ..Authentication::default()
        },
        surroundings: Surroundings {
            networks: Some(vec![String::from("office")]),
            ..Surroundings::default()
        },
        message: Some(Message {
            submitter: Some(AccountId(1)),
            sender: Some(String::from("anna@example.org")),
            sender_groups: (0..5).map(|n| format!("group{n}@example.org")).collect(),
            age_ms: 60_000,
            recipients: 3,
            exposed: Some(1),
            ..Message::default()
        }),
        options: Options::default(),
        approvals: 0,
        requester: None,
        requests_last_hour: 1,
        frozen: false,
    }
}
