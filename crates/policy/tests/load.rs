//! Loading: what is wrong is named with its place, and nothing is loaded then.

use tern_policy::{Effect, PolicySet, SHIPPED_DEFAULT};

/// A text, and what must be said about it.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "no id",
        "permit (principal, action, resource);",
        "a.cedar:1:1: a policy needs an @id(\"…\")",
    ),
    (
        "an unheard-of action",
        "@id(\"a\")\npermit (principal, action == Tern::Action::\"recall.owm\", resource);",
        "did you mean `Tern::Action::\"recall.own\"`?",
    ),
    (
        "an unheard-of role",
        "@id(\"a\")\npermit (principal in Tern::Role::\"manger\", action, resource);",
        "a.cedar:2:22: policy `a`: ",
    ),
    (
        "an unheard-of attribute",
        "@id(\"a\")\nforbid (principal, action == Tern::Action::\"recall.own\", resource)\nwhen { resource.agee > duration(\"1h\") };",
        "did you mean `age`?",
    ),
    (
        "an attribute that may be absent",
        "@id(\"a\")\nforbid (principal, action, resource)\nwhen { context.country == \"NL\" };",
        "a.cedar:3:8: policy `a`: ",
    ),
    (
        "a wrong type",
        "@id(\"a\")\nforbid (principal, action == Tern::Action::\"recall.own\", resource)\nwhen { resource.age > 24 };",
        "a.cedar:3:",
    ),
    (
        "not Cedar at all",
        "@id(\"a\")\npermit principal;",
        "a.cedar:2:8: ",
    ),
    (
        "a reason that is none",
        "@id(\"a\")\n@reason(\"to-old\")\nforbid (principal, action, resource);",
        "a.cedar:2:1: policy `a`: `to-old` is not a reason (did you mean `too-old`?)",
    ),
    (
        "an annotation that is none",
        "@id(\"a\")\n@stepup(\"15m\")\nforbid (principal, action, resource);",
        "a.cedar:2:1: policy `a`: there is no annotation @stepup (did you mean `step_up`?)",
    ),
    (
        "a visibility of a recall",
        "@id(\"a\")\n@visibility(\"outcomes\")\nforbid (principal, action == Tern::Action::\"recall.own\", resource);",
        "a.cedar:2:1: policy `a`: @visibility goes with `action == Tern::Action::\"report.exposure\"`",
    ),
    (
        "a visibility over one recipient",
        "@id(\"a\")\n@visibility(\"aggregate:1\")\nforbid (principal, action == Tern::Action::\"report.exposure\", resource);",
        "@visibility is \"outcomes\" or \"aggregate:2\" to \"aggregate:10000\"",
    ),
    (
        "a reason of a permit",
        "@id(\"a\")\n@reason(\"too-old\")\npermit (principal, action, resource);",
        "@reason belongs to a forbid",
    ),
    (
        "a step-up that nothing fulfils",
        "@id(\"a\")\n@step_up(\"15m\")\nforbid (principal, action, resource);",
        "never looks at `stepUpAge`",
    ),
    (
        "an approval that nothing fulfils",
        "@id(\"a\")\n@approval(\"72h\")\nforbid (principal, action, resource);",
        "never looks at `approvals`",
    ),
    (
        "no duration",
        "@id(\"a\")\n@approval(\"soon\")\nforbid (principal, action, resource) unless { context.approvals >= 1 };",
        "`soon` is not a duration",
    ),
    (
        "nobody to approve",
        "@id(\"a\")\n@approval(\"1h\")\n@approvers(\"0\")\nforbid (principal, action, resource) unless { context.approvals >= 1 };",
        "@approvers is 1 to 9",
    ),
    (
        "two kinds of no",
        "@id(\"a\")\n@approval(\"1h\")\n@reason(\"too-old\")\nforbid (principal, action, resource) unless { context.approvals >= 1 };",
        "one of @reason, @step_up, @approval and @visibility",
    ),
    (
        "an id of the server",
        "@id(\"implicit-deny\")\npermit (principal, action, resource);",
        "this id is taken by the server",
    ),
    (
        "an id that can't be told from others in a list",
        "@id(\"a b\")\npermit (principal, action, resource);",
        "an id is 1 to 64 of",
    ),
    (
        "the same id twice",
        "@id(\"a\")\npermit (principal, action, resource);\n@id(\"a\")\nforbid (principal, action, resource);",
        "this id is used in a.cedar:",
    ),
    ("nothing", "", "a.cedar:1:1: there is no policy in it"),
    (
        "nothing but a remark",
        "// later\n",
        "a.cedar:1:1: there is no policy in it",
    ),
    (
        "a slot",
        "@id(\"a\")\npermit (principal == ?principal, action, resource);",
        "a policy with a slot",
    ),
    (
        "a policy that never applies",
        "@id(\"a\")\npermit (principal, action == Tern::Action::\"audit.read\", resource is Tern::Message);",
        "policy `a`: ",
    ),
];

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (name, text, expected) in WRONG {
        let errors = PolicySet::load(&[("a.cedar", *text)]).expect_err(name);
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(
            said.iter().any(|line| line.contains(expected)),
            "{name}: {said:#?}"
        );
        assert!(
            errors.iter().all(|error| error.line > 0),
            "{name}: {said:#?}"
        );
    }
}

#[test]
fn one_wrong_file_keeps_all_out_and_every_error_is_named() {
    let sound = "@id(\"sound\")\npermit (principal, action, resource);";
    let files = [
        ("b.cedar", "forbid;"),
        ("a.cedar", sound),
        ("c.cedar", "@id(\"\") permit (principal, action, resource);"),
    ];
    let errors = PolicySet::load(&files).expect_err("wrong");
    let named: Vec<&str> = errors.iter().map(|error| error.file.as_str()).collect();
    assert_eq!(named, ["b.cedar", "c.cedar"]);
}

#[test]
fn conditions_without_what_they_are_conditions_of_are_no_set() {
    let all: Vec<(&str, &str)> = SHIPPED_DEFAULT
        .iter()
        .filter(|(name, _)| !name.contains("roles"))
        .copied()
        .collect();
    assert!(!all.is_empty());
    let errors = PolicySet::load(&all).expect_err("nothing is permitted");
    assert!(
        errors[0].to_string().contains("config/policies/roles"),
        "{errors:?}"
    );
}

#[test]
fn a_set_knows_whether_operators_may_do_anything() {
    let shipped = PolicySet::load(SHIPPED_DEFAULT).expect("sound");
    assert!(shipped.permits_operators());
    let own = "@id(\"own\")\npermit (principal is Tern::Account, action == Tern::Action::\"recall.own\", resource);";
    let own = PolicySet::load(&[("own.cedar", own)]).expect("sound");
    assert!(!own.permits_operators());
}

#[test]
fn a_set_says_what_it_holds() {
    let text = "@id(\"x.permit\")\n@description(\"All.\")\npermit (principal, action, resource);\n\n\
        @id(\"x.step\")\n@step_up(\"15m\")\nforbid (principal, action, resource)\n\
        unless { context.authentication has stepUpAge };";
    let set = PolicySet::load(&[("x.cedar", text)]).expect("sound");
    let rule = set.rule("x.permit").expect("there");
    assert_eq!((rule.line, rule.effect), (1, Effect::Permit));
    assert_eq!(rule.description.as_deref(), Some("All."));
    let rule = set.rule("x.step").expect("there");
    assert_eq!(
        (rule.line, rule.effect),
        (
            5,
            Effect::StepUp {
                max_age_ms: 900_000
            }
        )
    );
    let same = PolicySet::load(&[("x.cedar", text)]).expect("sound");
    assert_eq!(set.digest(), same.digest());
    let renamed = PolicySet::load(&[("y.cedar", text)]).expect("sound");
    assert_ne!(set.digest(), renamed.digest());
}
