//! What a policy does to a verdict, read from its annotations.
//!
//! | annotation | on | meaning |
//! |---|---|---|
//! | `@id("…")` | every policy | its name in verdicts, reports and the log |
//! | `@description("…")` | any | a sentence for people |
//! | `@reason("too-old")` | forbid | the code of the refusal; without one `policy-denied` |
//! | `@step_up("15m")` | forbid | asks for a second factor no older than this |
//! | `@approval("72h")` | forbid | asks for other people, who have this long |
//! | `@visibility("aggregate:10")` | forbid on `report.exposure` | how much may still be seen |
//! | `@approvers("2")` | with `@approval` | how many; without it one |
//!
//! Invariant: a condition that a step-up, an approval or a reason fulfils says so itself: a policy
//! with `@step_up` looks at `stepUpAge`, one with `@approval` at `approvals`, one with
//! `@reason("reason-required")` at `hasReason`. Otherwise it would ask for ever.

use cedar_policy::{ActionConstraint, Effect as CedarEffect, Policy};

use crate::error::nearest;
use crate::verdict::DenyReason;
use crate::{Permission, Visibility, duration, limits};

/// What a policy that applies does to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It permits what is asked.
    Permit,
    /// It denies, with this reason.
    Deny(DenyReason),
    /// It asks for a second factor no older than this, in milliseconds.
    StepUp {
        /// The greatest age, in milliseconds.
        max_age_ms: u64,
    },
    /// It leaves so much to be seen of what was served.
    Limit(Visibility),
    /// It asks for the approval of other people.
    Approval {
        /// How many.
        approvers: u32,
        /// How long they have, in milliseconds.
        expires_after_ms: u64,
    },
}

impl Effect {
    /// In a few words, for lists.
    pub fn text(self) -> String {
        match self {
            Self::Permit => String::from("permits"),
            Self::Deny(reason) => format!("denies ({reason})"),
            Self::StepUp { max_age_ms } => {
                format!(
                    "asks for a second factor within {}",
                    duration::text(max_age_ms)
                )
            }
            Self::Limit(visibility) => format!("lets see {}", visibility.text()),
            Self::Approval {
                approvers,
                expires_after_ms,
            } => format!(
                "asks for {approvers} to approve within {}",
                duration::text(expires_after_ms)
            ),
        }
    }
}

/// The name that verdicts give when no policy permits what is asked.
pub(crate) const IMPLICIT_DENY: &str = "implicit-deny";

const ANNOTATIONS: [&str; 7] = [
    "id",
    "description",
    "reason",
    "step_up",
    "approval",
    "approvers",
    "visibility",
];

/// What is wrong with an annotation: which, why, and what may help.
pub(crate) struct Wrong {
    pub(crate) annotation: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

fn wrong(annotation: &str, message: impl Into<String>) -> Wrong {
    Wrong {
        annotation: annotation.to_owned(),
        message: message.into(),
        help: None,
    }
}

/// The id of a policy.
pub(crate) fn id(policy: &Policy) -> Result<String, Wrong> {
    let Some(id) = policy.annotation("id") else {
        return Err(wrong("id", "a policy needs an @id(\"…\")"));
    };
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    if id.is_empty() || id.len() > limits::MAX_ID_BYTES || !id.chars().all(sound) {
        let most = limits::MAX_ID_BYTES;
        let rule = format!("an id is 1 to {most} of a-z, 0-9, dot and hyphen");
        return Err(wrong("id", rule));
    }
    if id == IMPLICIT_DENY {
        return Err(wrong("id", "this id is taken by the server"));
    }
    Ok(id.to_owned())
}

/// What a policy does, or everything that is wrong with its annotations.
pub(crate) fn effect(policy: &Policy) -> Result<Effect, Vec<Wrong>> {
    let mut found = Vec::new();
    for (name, _) in policy.annotations() {
        if !ANNOTATIONS.contains(&name) {
            found.push(Wrong {
                help: nearest(name, ANNOTATIONS),
                ..wrong(name, format!("there is no annotation @{name}"))
            });
        }
    }
    let effect = match policy.effect() {
        CedarEffect::Permit => permit(policy),
        CedarEffect::Forbid => forbid(policy),
    };
    match effect {
        Ok(effect) if found.is_empty() => Ok(effect),
        Ok(_) => Err(found),
        Err(wrong) => {
            found.push(wrong);
            Err(found)
        }
    }
}

fn permit(policy: &Policy) -> Result<Effect, Wrong> {
    for name in ["reason", "step_up", "approval", "approvers", "visibility"] {
        if policy.annotation(name).is_some() {
            return Err(wrong(name, format!("@{name} belongs to a forbid")));
        }
    }
    Ok(Effect::Permit)
}

fn forbid(policy: &Policy) -> Result<Effect, Wrong> {
    let of = |name: &'static str| policy.annotation(name).map(|value| (name, value));
    let kinds = ["reason", "step_up", "approval", "visibility"];
    let mut kinds = kinds.into_iter().filter_map(of);
    let kind = kinds.next();
    if let Some((name, _)) = kinds.next() {
        let message = "a policy has one of @reason, @step_up, @approval and @visibility";
        return Err(wrong(name, message));
    }
    if of("approvers").is_some() && !matches!(kind, Some(("approval", _))) {
        return Err(wrong("approvers", "@approvers goes with @approval"));
    }
    match kind {
        None => Ok(Effect::Deny(DenyReason::PolicyDenied)),
        Some(("reason", code)) => reason(policy, code),
        Some(("visibility", text)) => limit(policy, text),
        Some(("step_up", age)) => {
            looks_at(policy, "step_up", "stepUpAge")?;
            let max_age_ms = parse_duration("step_up", age)?;
            Ok(Effect::StepUp { max_age_ms })
        }
        Some((_, time)) => {
            looks_at(policy, "approval", "approvals")?;
            Ok(Effect::Approval {
                approvers: approvers(policy)?,
                expires_after_ms: parse_duration("approval", time)?,
            })
        }
    }
}

/// What a forbid on exposure leaves to be seen.
fn limit(policy: &Policy, text: &str) -> Result<Effect, Wrong> {
    let code = Permission::ReportExposure.code();
    let about = match policy.action_constraint() {
        ActionConstraint::Eq(action) => action.id().unescaped() == code,
        _ => false,
    };
    if !about {
        let message = format!("@visibility goes with `action == Tern::Action::\"{code}\"`");
        return Err(wrong("visibility", message));
    }
    let parsed = Visibility::parse(text).map(Effect::Limit);
    parsed.ok_or_else(|| {
        let most = limits::MAX_AGGREGATE;
        let message =
            format!("@visibility is \"outcomes\" or \"aggregate:2\" to \"aggregate:{most}\"");
        wrong("visibility", message)
    })
}

fn reason(policy: &Policy, code: &str) -> Result<Effect, Wrong> {
    match DenyReason::from_code(code) {
        Some(DenyReason::ReasonRequired) => {
            looks_at(policy, "reason", "hasReason")?;
            Ok(Effect::Deny(DenyReason::ReasonRequired))
        }
        Some(reason) => Ok(Effect::Deny(reason)),
        None => Err(Wrong {
            help: nearest(code, DenyReason::ALL.map(DenyReason::code)),
            ..wrong("reason", format!("`{code}` is not a reason"))
        }),
    }
}

fn parse_duration(annotation: &str, text: &str) -> Result<u64, Wrong> {
    match duration::parse(text) {
        Some(milliseconds) if milliseconds > 0 => Ok(milliseconds),
        _ => {
            let message = format!("`{text}` is not a duration like 15m, 72h or 3d");
            Err(wrong(annotation, message))
        }
    }
}

fn approvers(policy: &Policy) -> Result<u32, Wrong> {
    let Some(text) = policy.annotation("approvers") else {
        return Ok(1);
    };
    match text.parse() {
        Ok(number) if (1..=limits::MAX_APPROVERS).contains(&number) => Ok(number),
        _ => {
            let most = limits::MAX_APPROVERS;
            Err(wrong("approvers", format!("@approvers is 1 to {most}")))
        }
    }
}

/// Refuses a policy that never looks at an attribute.
fn looks_at(policy: &Policy, annotation: &str, attribute: &str) -> Result<(), Wrong> {
    if names(policy, attribute) {
        return Ok(());
    }
    let message = format!(
        "the policy never looks at `{attribute}`, so nothing that the actor does could fulfil it"
    );
    Err(wrong(annotation, message))
}

/// Whether a policy names an attribute anywhere.
pub(crate) fn names(policy: &Policy, attribute: &str) -> bool {
    let json = policy.to_json().unwrap_or_default();
    mentions(&json, attribute)
}

fn mentions(json: &serde_json::Value, attribute: &str) -> bool {
    match json {
        serde_json::Value::String(text) => text == attribute,
        serde_json::Value::Array(items) => items.iter().any(|item| mentions(item, attribute)),
        serde_json::Value::Object(fields) => {
            fields.values().any(|field| mentions(field, attribute))
        }
        _ => false,
    }
}
