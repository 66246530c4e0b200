//! The store as a whole: is it right, and a copy of it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use tern_base::AccountId;

use super::{Admin, Call, Result, count};
use crate::control::request::{Answer, StoreRequest};

impl Admin {
    pub(super) fn store(&self, request: &StoreRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            StoreRequest::Check => self.check(),
            StoreRequest::Compact => self.compact(call),
            StoreRequest::Backup { directory } => self.backup(directory, call),
        }
    }

    /// Every crate's check of its own tables. On a server at work a change under way can look like
    /// a fault.
    fn check(&self) -> Result<Answer> {
        let mut findings = Vec::new();
        let delivery = self.delivery.check()?;
        let accounts = self.account_ids()?;
        for (part, found) in [
            ("directory", tern_directory::check(&*self.engine)?),
            ("queue", tern_queue::check(&*self.engine)?),
            ("audit", tern_audit::check(&*self.engine)?),
            ("delivery", delivery.findings),
            ("mailbox", self.upkeep.check(&delivery.references)?),
            ("mailbox", self.upkeep.check_accounts(&accounts)?),
            ("recall", self.recalls.check()?),
        ] {
            findings.extend(found.iter().map(|found| format!("{part}: {found}")));
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

    fn account_ids(&self) -> Result<BTreeSet<AccountId>> {
        let (mut ids, mut from) = (BTreeSet::new(), Some(AccountId(0)));
        while let Some(next) = from {
            let page = tern_directory::list_accounts(self.reader(), next, 1_000)?;
            ids.extend(page.accounts.iter().map(|account| account.id));
            from = page.next;
        }
        Ok(ids)
    }

    /// Has what was removed leave the disk: contents that nothing refers to any more, and what the
    /// engine keeps of whatever was deleted.
    fn compact(&self, call: &mut Call<'_>) -> Result<Answer> {
        let collected = self.upkeep.collect(call.now, usize::MAX)?;
        self.rocks.compact()?;
        self.record(call, "store.compact", |entry| {
            entry.target("store").detail("contents", collected as u64)
        })?;
        let contents = count(collected as u64, "content", "contents");
        Ok(Answer::new(
            format!("store compacted, {contents} collected"),
            json!({"collected": collected}),
        ))
    }

    /// A consistent copy of the store in a directory that is not there yet.
    fn backup(&self, directory: &Path, call: &mut Call<'_>) -> Result<Answer> {
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
