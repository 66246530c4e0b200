//! The audit log.

use serde_json::json;
use tern_audit::{self as audit, Actor, Filter, Verified};

use super::{Admin, Call, Result, count};
use crate::control::request::Answer;

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

    /// The newest entries, newest first. Reading the log is an act, too.
    pub(super) fn audit_list(
        &self,
        limit: usize,
        action: Option<&String>,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let filter = Filter {
            action: action.cloned(),
            ..Filter::default()
        };
        let (mut text, mut data) = (Vec::new(), Vec::new());
        let mut until = None;
        loop {
            let page = audit::read(&*self.engine, &filter, until, limit - text.len())?;
            for entry in &page.entries {
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
                let (n, time, action) = (entry.sequence, draft.time, &draft.action);
                text.push(format!("{n}  {time}  {actor}  {action}  {target}"));
                data.push(
                    json!({"sequence": n, "time": time.to_string(), "actor": actor,
                    "action": action, "target": draft.target}),
                );
            }
            until = page.next;
            if until.is_none() || text.len() >= limit {
                break;
            }
        }
        self.record(call, |entry| entry, "audit.read")?;
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    /// One page of the log as JSON Lines; `next` says where to go on.
    pub(super) fn audit_export(&self, from: u64, call: &mut Call<'_>) -> Result<Answer> {
        let page = audit::export_jsonl(&*self.engine, from, EXPORT_PAGE)?;
        if from <= 1 {
            self.record(call, |entry| entry, "audit.export")?;
        }
        let text = page.lines.trim_end_matches('\n').to_owned();
        Ok(Answer::new(text, json!({"next": page.next})))
    }
}
