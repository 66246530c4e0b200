//! The store as a whole: is it right, and a copy of it.

use std::path::Path;

use serde_json::json;

use super::{Admin, Call, Result, count};
use crate::control::request::Answer;

impl Admin {
    /// Every crate's check of its own tables. On a server at work a change under way can look like
    /// a fault.
    pub(super) fn check(&self) -> Result<Answer> {
        let mut findings = Vec::new();
        let mut add = |part: &str, what: String| findings.push(format!("{part}: {what}"));
        for found in tern_directory::check(&*self.engine)? {
            add("directory", found.what);
        }
        for found in tern_queue::check::check(&*self.engine)? {
            add("queue", found.what);
        }
        for found in tern_audit::check(&*self.engine)? {
            add("audit", found.what);
        }
        let delivery = self.delivery.check()?;
        for found in delivery.findings {
            add("delivery", found.0);
        }
        for found in self.mailboxes.check(&delivery.references)? {
            add("mailbox", found.0);
        }
        for found in self.recalls.check()? {
            add("recall", found.0);
        }
        let text = match findings.len() {
            0 => String::from("everything holds"),
            n => format!(
                "{}\n{}",
                count(n as u64, "fault", "faults"),
                findings.join("\n")
            ),
        };
        Ok(Answer {
            found_wrong: !findings.is_empty(),
            ..Answer::new(text, json!({"findings": findings}))
        })
    }

    /// A consistent copy of the store in a directory that is not there yet.
    pub(super) fn backup(&self, directory: &Path, call: &mut Call<'_>) -> Result<Answer> {
        let shown = directory.display().to_string();
        // First: a copy of everybody's mail is never made without a trace, and the copy has it, too.
        self.record(call, "store.backup", |entry| entry.target(shown.clone()))?;
        self.engine.checkpoint(directory)?;
        Ok(Answer::new(
            format!("backup written to {shown}"),
            json!({"directory": shown}),
        ))
    }
}
