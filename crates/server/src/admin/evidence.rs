//! The evidence of a recall.
//!
//! Invariant: who gets it is asked of policy and on record before it is made, and the record is in
//! it; the content of the message comes only with a permission of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tern_audit::{self as audit, Entry, Filter};
use tern_policy::{Decision, Permission};
use tern_recall::{RecallId, Requester};

use super::error::AdminError;
use super::recall::parse_id;
use super::{Admin, Call, Result};
use crate::control::request::Answer;
use crate::evidence::{self, SCHEMA};

/// Entries that are looked at in one step.
const PAGE: usize = 1_000;

impl Admin {
    pub(super) fn recall_evidence(
        &self,
        id: &str,
        with_content: bool,
        by: Option<&str>,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let id = parse_id(id)?;
        let requester = self.speaker(by, call)?;
        call.by = by.map(str::to_owned);
        self.may(Permission::ReportExposure, &requester, id, call)?;
        if with_content {
            self.may(Permission::VaultRead, &requester, id, call)?;
        }
        let content = match with_content {
            true => Some(self.content_of(id)?),
            false => None,
        };
        let target = format!("recall {id}");
        let action = match with_content {
            true => "vault.read",
            false => "recall.evidence",
        };
        self.record(call, action, |entry| entry.target(target.clone()))?;
        let mut known = self.recalls.evidence(id, &requester, call.now)?;
        let signed = audit::checkpoint::sign(&*self.engine, call.now)?;
        let entries = self.entries_about(&target, signed.checkpoint.entries)?;
        let places: Vec<u64> = entries.iter().map(|entry| entry.sequence).collect();
        let inclusion = audit::include(&*self.engine, &places)?;
        let keys = audit::keys(self.reader())?;
        if let Some(fields) = known.as_object_mut() {
            let removed = audit::trunk(self.reader())?.removed();
            let log = evidence::log_part(&keys, &entries, &inclusion, removed);
            fields.insert(String::from("log"), log);
            fields.insert(String::from("schema"), SCHEMA.into());
            fields.insert(String::from("writtenAt"), call.now.to_string().into());
            fields.insert(String::from("writtenFor"), requester.name.into());
            fields.insert(String::from("content"), content.into());
        }
        let file = evidence::bundle(&*self.engine, known)?;
        let text = serde_json::to_string_pretty(&file).unwrap_or_default();
        Ok(Answer::new(text, file))
    }

    /// Asks the policies, and puts on record what they do not permit.
    fn may(
        &self,
        permission: Permission,
        requester: &Requester,
        id: RecallId,
        call: &mut Call<'_>,
    ) -> Result<()> {
        let (decision, policies) = self.recalls.may(permission, requester, id, call.now)?;
        if decision == Decision::Allow {
            return Ok(());
        }
        self.not_permitted(
            permission,
            Some(format!("recall {id}")),
            (decision, policies),
            call,
        )
    }

    fn content_of(&self, id: RecallId) -> Result<Value> {
        let Some((account, octets)) = self.recalls.kept_content(id)? else {
            return Err(AdminError::Wrong(String::from(
                "no copy of it is kept any more",
            )));
        };
        Ok(json!({"copyOf": account, "base64": BASE64.encode(octets)}))
    }

    /// The entries about a target, the first one first, up to one that is under the checkpoint.
    fn entries_about(&self, target: &str, last: u64) -> Result<Vec<Entry>> {
        let filter = Filter {
            target: Some(target.to_owned()),
            ..Filter::default()
        };
        let (mut entries, mut until) = (Vec::new(), Some(last));
        while until.is_some() {
            let page = audit::read(&*self.engine, &filter, until, PAGE)?;
            entries.extend(page.entries);
            until = page.next;
        }
        entries.reverse();
        Ok(entries)
    }
}
