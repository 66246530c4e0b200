//! The audit log: proving it, signing it, reading it.
//!
//! Invariant: reading it is an act of its own, on record whether it was permitted or not; so is a
//! new key.

use serde_json::{Value, json};
use tern_audit::{self as audit, Broken, Filter, Key, Known, Proved, VerifyingKey};
use tern_base::Timestamp;
use tern_policy::Permission;

use super::audit_line::line;
use super::error::AdminError;
use super::{Admin, Call, Result, count};
use crate::clock::OsEntropy;
use crate::control::audit::{AuditFilter, AuditRequest};
use crate::control::request::Answer;

/// Lines that one page of an export has.
const EXPORT_PAGE: usize = 1_000;
/// Most entries of one answer to a search.
const MAX_SEARCH: usize = 10_000;

impl Admin {
    pub(super) fn audit(&self, request: &AuditRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            AuditRequest::Verify { key, checkpoints } => {
                self.audit_verify(key.as_deref(), checkpoints)
            }
            AuditRequest::Search {
                filter,
                limit,
                from,
                by,
            } => {
                self.permitted(Permission::AuditRead, by.as_deref(), call)?;
                self.audit_search(filter, *limit, *from, call)
            }
            AuditRequest::Export { from, by } => {
                self.permitted(Permission::AuditExport, by.as_deref(), call)?;
                self.audit_export(*from, call)
            }
            AuditRequest::Keys => Ok(keys_answer(&audit::keys(self.reader())?)),
            AuditRequest::RotateKey => self.audit_rotate(call),
            AuditRequest::Checkpoint => {
                let signed = audit::checkpoint::sign(&*self.engine, call.now)?;
                let note = signed.note.trim_end_matches('\n');
                Ok(Answer::new(note, json!({"note": signed.note})))
            }
            AuditRequest::Checkpoints { from } => self.audit_checkpoints(*from),
        }
    }

    fn audit_verify(&self, key: Option<&str>, checkpoints: &[String]) -> Result<Answer> {
        let parse = |text: &str| {
            let wrong = || AdminError::Wrong(format!("`{text}` is not a key"));
            VerifyingKey::parse(text).ok_or_else(wrong)
        };
        let known = Known {
            key: key.map(parse).transpose()?,
            checkpoints: checkpoints.to_vec(),
        };
        Ok(match audit::prove(&*self.engine, &known)? {
            Ok(proved) => proved_answer(&proved, checkpoints.len() as u64),
            Err(Broken { sequence, why }) => Answer {
                found_wrong: true,
                ..Answer::new(
                    format!("the log is broken at entry {sequence}: {why}"),
                    json!({"intact": false, "sequence": sequence, "why": why}),
                )
            },
        })
    }

    fn audit_rotate(&self, call: &mut Call<'_>) -> Result<Answer> {
        // What the old key can still sign, it signs.
        audit::checkpoint::sign(&*self.engine, call.now)?;
        let entry = call.entry("audit.key");
        audit::rotate(&*self.engine, &entry, &mut OsEntropy)?;
        audit::checkpoint::sign(&*self.engine, call.now)?;
        Ok(keys_answer(&audit::keys(self.reader())?))
    }

    fn audit_checkpoints(&self, from: u64) -> Result<Answer> {
        let (page, next) = audit::checkpoint::checkpoints(self.reader(), from)?;
        let notes: Vec<&str> = page.iter().map(|signed| signed.note.as_str()).collect();
        let text = notes.join("\n").trim_end_matches('\n').to_owned();
        Ok(Answer::new(text, json!({"next": next})))
    }

    /// The newest entries that fit, newest first.
    fn audit_search(
        &self,
        wanted: &AuditFilter,
        limit: usize,
        from: Option<u64>,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let limit = limit.min(MAX_SEARCH);
        let filter = Filter {
            actor: wanted.actor.clone(),
            account: None,
            action: wanted.action.clone(),
            target: wanted.target.clone(),
            since: wanted.since.map(Timestamp),
            before: wanted.before.map(Timestamp),
        };
        let (mut text, mut data) = (Vec::new(), Vec::new());
        let mut next = from;
        while text.len() < limit {
            let page = audit::read(&*self.engine, &filter, next, limit - text.len())?;
            for entry in &page.entries {
                text.push(line(entry));
                // The export's own line: whoever reads one reads the other.
                data.push(serde_json::from_str(&entry.json_line()).unwrap_or(Value::Null));
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        self.record(call, "audit.read", |entry| match wanted.describe() {
            filter if filter.is_empty() => entry,
            filter => entry.detail("filter", filter),
        })?;
        if let Some(next) = next {
            text.push(format!("older ones: --from {next}"));
        }
        let data = json!({"entries": data, "next": next});
        Ok(Answer::new(text.join("\n"), data))
    }

    /// One page of the log as JSON Lines; `next` says where to go on.
    fn audit_export(&self, from: u64, call: &mut Call<'_>) -> Result<Answer> {
        let page = audit::export_jsonl(&*self.engine, from, EXPORT_PAGE)?;
        // Each page by itself: whoever begins late has read no less.
        self.record(call, "audit.export", |entry| match from {
            0 | 1 => entry,
            from => entry.detail("from", from),
        })?;
        let text = page.lines.trim_end_matches('\n').to_owned();
        Ok(Answer::new(text, json!({"next": page.next})))
    }
}

fn proved_answer(proved: &Proved, given: u64) -> Answer {
    let head = proved.head.hash.to_string();
    let entries = count(proved.entries, "entry", "entries");
    let mut text = format!("the log holds: {entries}, head {head}");
    if proved.removed > 0 {
        let removed = count(proved.removed, "entry", "entries");
        text.push_str(&format!("\n{removed} before them removed, on record"));
    }
    let checkpoints = count(proved.checkpoints, "checkpoint", "checkpoints");
    text.push_str(&format!(
        "\n{checkpoints}, the newest of {} entries",
        proved.signed
    ));
    let unsigned = (proved.removed + proved.entries).saturating_sub(proved.signed);
    if unsigned > 0 {
        let unsigned = count(unsigned, "entry", "entries");
        text.push_str(&format!(
            "\n{unsigned} behind it that nothing has signed yet"
        ));
    }
    if proved.before_key > 0 {
        let before = count(proved.before_key, "entry", "entries");
        text.push_str(&format!(
            "\nthe first {before} are older than the key that was given: what an older key signed of them is \
             proven by that key alone"
        ));
    }
    let key = proved.keys.last().map(|key| key.verifying.to_string());
    let data = json!({"intact": true, "entries": proved.entries, "head": head,
        "removed": proved.removed, "checkpoints": proved.checkpoints, "signed": proved.signed,
        "key": key, "beforeKey": proved.before_key, "given": given, "pastProof": proved.past_proof});
    Answer::new(text, data)
}

/// The keys, the one in force last.
fn keys_answer(keys: &[Key]) -> Answer {
    let (mut text, mut data) = (Vec::new(), Vec::new());
    for key in keys {
        text.push(key.verifying.to_string());
        data.push(
            json!({"number": key.number, "key": key.verifying.to_string(),
            "madeAt": key.made.to_string(), "entry": key.sequence}),
        );
    }
    Answer::new(text.join("\n"), data.into())
}
