//! Legal holds from the command line.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tern_base::{ContentDigest, OriginId, Timestamp};
use tern_recall::{Hold, HoldId, NewHold, Scope, submission};

use super::error::AdminError;
use super::{Admin, Call, Result, count, parse_address};
use crate::control::hold::{HoldRequest, HoldWhich};
use crate::control::request::Answer;

impl Admin {
    pub(super) fn hold(&self, request: &HoldRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            HoldRequest::Add {
                which,
                why,
                until,
                visible,
                acting,
            } => {
                let by = self.speaker(acting.as_deref(), call)?;
                let hold = NewHold {
                    id: HoldId::new(call.now, call.entropy),
                    scope: self.hold_scope(which)?,
                    why: why.clone(),
                    ends: until.map(Timestamp),
                    visible: *visible,
                };
                self.recalls.place_hold(&hold, &by, call.now)?;
                self.show_hold(&self.recalls.hold(hold.id)?)
            }
            HoldRequest::List { acting } => {
                let by = self.speaker(acting.as_deref(), call)?;
                let holds = self.recalls.holds(&by, call.now)?;
                let (mut text, mut data) = (Vec::new(), Vec::new());
                for hold in &holds {
                    text.push(self.hold_line(hold)?);
                    data.push(self.hold_json(hold)?);
                }
                Ok(Answer::new(text.join("\n"), data.into()))
            }
            HoldRequest::Show { id, acting } => {
                let by = self.speaker(acting.as_deref(), call)?;
                let id = hold_id(id)?;
                let mut holds = self.recalls.holds(&by, call.now)?.into_iter();
                let hold = holds.find(|hold| hold.id == id);
                self.show_hold(&hold.ok_or_else(|| no_hold(id))?)
            }
            HoldRequest::Export { id, from, acting } => {
                self.hold_export(hold_id(id)?, *from, acting.as_deref(), call)
            }
            HoldRequest::Release { id, acting } => {
                let by = self.speaker(acting.as_deref(), call)?;
                let id = hold_id(id)?;
                self.recalls.release_hold(id, &by, call.now)?;
                Ok(Answer::new(format!("hold {id} released"), json!({})))
            }
        }
    }

    fn hold_scope(&self, which: &HoldWhich) -> Result<Scope> {
        let account = which.account.as_deref();
        let account = account.map(|address| self.account(address)).transpose()?;
        let bare = |id: &String| id.trim_matches(['<', '>']).to_owned();
        let digest = match (&which.digest, &which.submission) {
            (Some(digest), _) => {
                let wrong = || AdminError::Wrong(format!("`{digest}` is not a content digest"));
                Some(ContentDigest::from_hex(digest).ok_or_else(wrong)?)
            }
            (None, Some(id)) => {
                let found = OriginId::from_hex(id)
                    .map(|id| submission::submission(self.reader(), id))
                    .transpose()?
                    .flatten();
                let missing = || AdminError::NotFound("submission", id.clone());
                Some(found.ok_or_else(missing)?.digest)
            }
            (None, None) => None,
        };
        let from = which.from.as_deref();
        Ok(Scope {
            account: account.map(|account| account.id),
            message_id: which.message_id.as_ref().map(bare),
            digest,
            sender: from.map(parse_address).transpose()?,
            subject: which.subject.clone(),
            since: which.since.map(Timestamp),
            until: which.before.map(Timestamp),
        })
    }

    fn show_hold(&self, hold: &Hold) -> Result<Answer> {
        let kept = self.recalls.kept_copies()?;
        let mut text = self.hold_line(hold)?;
        let copies = count(kept.copies, "copy", "copies");
        let octets = kept.octets;
        let _ = write!(
            text,
            "\nof what owners have deleted, all holds together keep {copies} ({octets} octets)"
        );
        let mut data = self.hold_json(hold)?;
        if let Some(fields) = data.as_object_mut() {
            fields.insert("keptOfAllHolds".to_owned(), kept.copies.into());
        }
        Ok(Answer::new(text, data))
    }

    fn hold_line(&self, hold: &Hold) -> Result<String> {
        let over: Vec<String> = self
            .scope_facts(&hold.scope)?
            .into_iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let mut line = format!(
            "{}  {}, placed {} by {}: {}",
            hold.id,
            over.join(", "),
            hold.placed,
            hold.by,
            hold.why
        );
        if let Some(ends) = hold.ends {
            let _ = write!(line, ", until {ends}");
        }
        if hold.visible {
            line.push_str(", may not be hidden");
        }
        Ok(line)
    }

    fn hold_json(&self, hold: &Hold) -> Result<Value> {
        let over = self.scope_facts(&hold.scope)?.into_iter();
        let over: serde_json::Map<_, _> = over
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        Ok(json!({
            "id": hold.id.to_string(), "over": over, "why": hold.why, "by": hold.by,
            "placed": hold.placed.to_string(), "until": hold.ends.map(|ends| ends.to_string()),
            "visible": hold.visible,
        }))
    }

    fn scope_facts(&self, scope: &Scope) -> Result<Vec<(&'static str, String)>> {
        let account = match scope.account {
            None => None,
            Some(id) => {
                let found = tern_directory::account(self.reader(), id)?;
                let name = |found: tern_directory::Account| found.address.to_string();
                Some(found.map_or_else(|| format!("account {id}"), name))
            }
        };
        let facts = [
            ("account", account),
            ("message-id", scope.message_id.clone()),
            ("digest", scope.digest.map(|digest| digest.to_string())),
            ("from", scope.sender.as_ref().map(ToString::to_string)),
            ("subject", scope.subject.clone()),
            ("since", scope.since.map(|since| since.to_string())),
            ("before", scope.until.map(|until| until.to_string())),
        ];
        let set = facts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        Ok(set.collect())
    }
}

fn hold_id(text: &str) -> Result<HoldId> {
    let wrong = || AdminError::Wrong(format!("`{text}` is not the id of a hold"));
    HoldId::from_hex(text).ok_or_else(wrong)
}

fn no_hold(id: HoldId) -> AdminError {
    AdminError::NotFound("hold", id.to_string())
}
