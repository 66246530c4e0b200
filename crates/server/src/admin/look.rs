//! The audit log.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tern_audit::{self as audit, Actor, Detail, Entry, Filter, Verified};
use tern_base::Timestamp;

use super::{Admin, Call, Result, count};
use crate::control::request::{Answer, AuditFilter};

/// Lines that one page of an export has.
const EXPORT_PAGE: usize = 1_000;

impl Admin {
    pub(super) fn audit_verify(&self) -> Result<Answer> {
        Ok(match audit::verify(&*self.engine, 1, None)? {
            Verified::Intact { entries, head } => Answer::new(
                format!(
                    "the log holds: {}, head {}",
                    count(entries, "entry", "entries"),
                    head.hash
                ),
                json!({"intact": true, "entries": entries, "head": head.hash.to_string()}),
            ),
            Verified::Broken { sequence, why } => Answer {
                found_wrong: true,
                ..Answer::new(
                    format!("the log is broken at entry {sequence}: {why}"),
                    json!({"intact": false, "sequence": sequence, "why": why}),
                )
            },
        })
    }

    /// The newest entries that fit, newest first. Reading the log is an act, too.
    pub(super) fn audit_list(
        &self,
        limit: usize,
        wanted: &AuditFilter,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let filter = Filter {
            actor: wanted.actor.clone(),
            account: None,
            action: wanted.action.clone(),
            target: wanted.target.clone(),
            since: wanted.since.map(Timestamp),
            before: wanted.before.map(Timestamp),
        };
        let (mut text, mut data) = (Vec::new(), Vec::new());
        let mut until = None;
        loop {
            let page = audit::read(&*self.engine, &filter, until, limit - text.len())?;
            for entry in &page.entries {
                text.push(line(entry));
                // The export's own line: whoever reads one reads the other.
                data.push(serde_json::from_str(&entry.json_line()).unwrap_or(Value::Null));
            }
            until = page.next;
            if until.is_none() || text.len() >= limit {
                break;
            }
        }
        self.record(call, "audit.read", |entry| match wanted.describe() {
            filter if filter.is_empty() => entry,
            filter => entry.detail("filter", filter),
        })?;
        Ok(Answer::new(text.join("\n"), Value::Array(data)))
    }

    /// One page of the log as JSON Lines; `next` says where to go on.
    pub(super) fn audit_export(&self, from: u64, call: &mut Call<'_>) -> Result<Answer> {
        let page = audit::export_jsonl(&*self.engine, from, EXPORT_PAGE)?;
        if from <= 1 {
            self.record(call, "audit.export", |entry| entry)?;
        }
        let text = page.lines.trim_end_matches('\n').to_owned();
        Ok(Answer::new(text, json!({"next": page.next})))
    }
}

/// An entry as one line: what every entry has, then what this one has besides.
fn line(entry: &Entry) -> String {
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
