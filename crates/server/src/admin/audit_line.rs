//! An entry of the audit log as one line for people.

use std::fmt::Write as _;

use tern_audit::{Actor, Detail, Entry};

/// An entry as one line: what every entry has, then what this one has besides.
pub(super) fn line(entry: &Entry) -> String {
    let draft = &entry.draft;
    let actor = match &draft.actor {
        Actor::Server => String::from("server"),
        Actor::Operator(name) => format!("operator {name}"),
        Actor::Account { address, .. } => address.clone(),
        Actor::Unauthenticated(name) => {
            format!("unauthenticated {}", name.as_deref().unwrap_or("-"))
        }
    };
    let target = draft.target.as_deref().unwrap_or("-");
    let mut line = format!(
        "{}  {}  {actor}  {}  {target}",
        entry.sequence, draft.time, draft.action
    );
    let mut add = |name: &str, value: &str| {
        // Quoted where its end could not be told; quoting escapes line ends, too.
        let plain = |c: char| c.is_alphanumeric() || "-_.:/@<>+".contains(c);
        let _ = match !value.is_empty() && value.chars().all(plain) {
            true => write!(line, "  {name}={value}"),
            false => write!(line, "  {name}={value:?}"),
        };
    };
    let parts = [
        ("on-behalf-of", &draft.on_behalf_of),
        ("protocol", &draft.protocol),
        ("peer", &draft.peer),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            add(name, value);
        }
    }
    if let Some(facts) = &draft.authentication {
        add("mechanism", &facts.mechanism);
        if !facts.factors.is_empty() {
            add("factors", &facts.factors.join("+"));
        }
        if let Some(credential) = &facts.credential {
            add("credential", credential);
        }
        if let Some(time) = facts.second_factor_at {
            add("second-factor-at", &time.to_string());
        }
    }
    for (name, value) in &draft.details {
        match value {
            Detail::Text(text) => add(name, text),
            Detail::Number(number) => add(name, &number.to_string()),
        }
    }
    line
}
