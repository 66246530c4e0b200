//! Whatever is asked, an answer comes; and a policy that fails denies.

use std::sync::OnceLock;

use proptest::prelude::*;
use tern_base::{AccountId, Timestamp};
use tern_policy::{
    Actor, Authentication, Decision, DenyReason, Device, LocalTime, Message, Mode, Notice,
    Operation, Options, Permission, Policy, PolicySet, Question, SHIPPED_DEFAULT, Selection,
    Surroundings,
};

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any::<String>(), 0..4)
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        Just(Operation::Plan),
        Just(Operation::Recall),
        Just(Operation::Restore),
        prop::sample::select(Permission::ALL.to_vec()).prop_map(Operation::Use),
    ]
}

fn ids() -> impl Strategy<Value = Option<AccountId>> {
    prop::option::of((1u32..4).prop_map(AccountId))
}

fn actors() -> impl Strategy<Value = Actor> {
    let roles = prop::sample::subsequence(
        vec![
            "user",
            "manager",
            "operator",
            "administrator",
            "no such role",
        ],
        0..5,
    );
    (ids(), any::<String>(), texts(), roles).prop_map(|(account, name, groups, roles)| Actor {
        account,
        name,
        groups,
        roles: roles.into_iter().map(str::to_owned).collect(),
        delegate_of: vec![AccountId(3)],
    })
}

fn authentications() -> impl Strategy<Value = Authentication> {
    let known = (
        any::<String>(),
        texts(),
        any::<Option<u64>>(),
        any::<Option<bool>>(),
    );
    let device = (
        any::<Option<String>>(),
        any::<Option<u64>>(),
        any::<Option<bool>>(),
    );
    (known, device).prop_map(
        |((text, factors, step_up_age_ms, tls), device)| Authentication {
            mechanism: text.clone(),
            factors,
            step_up_age_ms,
            peer: Some(text.clone()),
            protocol: text,
            tls,
            device: Device {
                client: device.0,
                first_seen_age_ms: device.1,
                trusted: device.2,
            },
        },
    )
}

fn messages() -> impl Strategy<Value = Message> {
    let numbers = prop::array::uniform4(any::<u64>());
    let looked = (
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        any::<Option<bool>>(),
        any::<Option<u64>>(),
    );
    let names = (any::<Option<String>>(), texts(), any::<Option<String>>());
    (ids(), numbers, looked, names).prop_map(|(submitter, numbers, looked, names)| Message {
        submitter,
        sender: names.0,
        sender_groups: names.1,
        age_ms: numbers[0],
        size: numbers[1],
        label: names.2,
        recipients: numbers[2],
        external: numbers[3],
        exposed: looked.0,
        unread: looked.1,
        on_hold: looked.2,
        recalled_ms: looked.3,
    })
}

fn surroundings() -> impl Strategy<Value = Surroundings> {
    let local = prop::option::of((any::<u8>(), any::<u8>()));
    (prop::option::of(texts()), any::<Option<String>>(), local).prop_map(
        |(networks, country, local)| Surroundings {
            networks,
            country,
            local: local.map(|(hour, weekday)| LocalTime { hour, weekday }),
        },
    )
}

fn options() -> impl Strategy<Value = Options> {
    let selection = prop::sample::select(vec![
        Selection::Any,
        Selection::OnlyUnexposed,
        Selection::OnlyUnread,
    ]);
    let mode = prop::sample::select(vec![
        Mode::Withdraw,
        Mode::Replace,
        Mode::ExpireAt(Timestamp(u64::MAX)),
    ]);
    let notice = prop::sample::select(vec![Notice::None, Notice::ExposedOnly, Notice::All]);
    (
        any::<Option<u64>>(),
        selection,
        prop::sample::select(vec!["", "copies", "attached"]),
        mode,
        notice,
        any::<([Option<String>; 2], bool)>(),
    )
        .prop_map(
            |(
                chosen_recipients,
                selection,
                reach,
                mode,
                notice,
                ([attachment, reason], as_answer),
            )| Options {
                chosen_recipients,
                selection,
                reach,
                mode,
                notice,
                attachment,
                reason,
                as_answer,
            },
        )
}

prop_compose! {
    fn questions()(
        operation in operations(),
        now in any::<u64>(),
        actor in actors(),
        authentication in authentications(),
        surroundings in surroundings(),
        message in prop::option::of(messages()),
        options in options(),
        (approvals, requests_last_hour) in any::<(u32, u32)>(),
        (requester, frozen) in any::<(Option<String>, bool)>(),
    ) -> Question {
        Question {
            operation, now: Timestamp(now), actor, authentication, surroundings, message, options,
            approvals, requester, requests_last_hour, frozen,
        }
    }
}

/// The default policies. Loading takes longer than all of the rest.
fn sound() -> &'static PolicySet {
    static SET: OnceLock<PolicySet> = OnceLock::new();
    SET.get_or_init(|| PolicySet::load(SHIPPED_DEFAULT).expect("sound"))
}

/// The same, and one that overflows whatever it is asked.
fn failing() -> &'static PolicySet {
    static SET: OnceLock<PolicySet> = OnceLock::new();
    SET.get_or_init(load_failing)
}

fn load_failing() -> PolicySet {
    let failing = "@id(\"failing\")\n@reason(\"too-old\")\nforbid (principal, action, resource)\n\
        when { 9223372036854775807 + context.approvals + 1 > 0 };";
    let files = [SHIPPED_DEFAULT, &[("failing.cedar", failing)]].concat();
    PolicySet::load(&files).expect("it is of the right types")
}

proptest! {
    #[test]
    fn any_question_is_answered(question in questions()) {
        let set = sound();
        let verdict = set.decide(&question);
        prop_assert!(!verdict.policies.is_empty());
        prop_assert_eq!(set.decide(&question), verdict);
    }

    #[test]
    fn a_set_with_a_failing_policy_denies(question in questions()) {
        let set = failing();
        let verdict = set.decide(&question);
        prop_assert!(matches!(verdict.decision, Decision::Deny(_)), "{:?}", verdict);
        let sound = sound().decide(&question);
        if sound.is_allowed() {
            prop_assert_eq!(verdict.decision, Decision::Deny(DenyReason::PolicyDenied));
            prop_assert_eq!(verdict.policies[0].0.as_str(), "failing");
        }
    }
}
