//! The policies in force, and why a recall was or would be decided as it was.
//!
//! Invariant: an explanation is on record, and tells nobody how many have opened a message who may not see that
//! (`report.exposure`).

use std::fmt::Write as _;

use serde_json::json;
use tern_policy::Authentication;
use tern_recall::{Decided, RecallId, Request, Requester, Selector};

use super::error::AdminError;
use super::recall::operator;
use super::{Admin, Call, Result};
use crate::control::request::{Answer, Asked, PolicyRequest};

impl Admin {
    pub(super) fn policy(&self, request: &PolicyRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            PolicyRequest::List => self.policy_list(),
            PolicyRequest::Explain(asked) => self.policy_explain(asked, call),
            PolicyRequest::ExplainRecall { id } => self.policy_explain_recall(id, call),
        }
    }

    fn policy_list(&self) -> Result<Answer> {
        let set = self.policies.current();
        let (mut text, mut data) = (format!("set {}", set.digest()), Vec::new());
        for rule in set.rules() {
            let effect = rule.effect.text();
            let _ = write!(text, "\n{}  {effect}  {}:{}", rule.id, rule.file, rule.line);
            if let Some(description) = &rule.description {
                let _ = write!(text, "\n    {description}");
            }
            data.push(json!({"id": rule.id, "effect": effect, "file": rule.file,
                "line": rule.line, "description": rule.description}));
        }
        let data = json!({"digest": set.digest(), "policies": data});
        Ok(Answer::new(text, data))
    }

    /// Why a recall that is on record was decided as it was.
    fn policy_explain_recall(&self, id: &str, call: &mut Call<'_>) -> Result<Answer> {
        let wrong = || {
            let why = match id.contains('@') {
                true => ": with a Message-ID, `--by` says who sent it",
                false => "",
            };
            AdminError::Wrong(format!("`{id}` is not a recall id{why}"))
        };
        let id = RecallId::from_hex(id).ok_or_else(wrong)?;
        let recall = self.recalls.recall(id)?;
        let decided = self
            .recalls
            .decided_as_seen(id, &operator(call), call.now)?;
        self.record(call, "policy.explain", |entry| {
            entry.target(format!("recall {id}"))
        })?;
        let Some(decided) = decided else {
            let text = format!("recall {id}: no policy was asked ({})", recall.state.code());
            return Ok(Answer::new(text, json!({"verdict": null})));
        };
        let asked = format!("{} asked at {}", recall.requester, recall.requested);
        Ok(self.explained(&format!("recall {id}: {asked}"), &decided))
    }

    /// What the verdict on a recall would be.
    fn policy_explain(&self, asked: &Asked, call: &mut Call<'_>) -> Result<Answer> {
        let sender = self.account(&asked.by)?;
        let requester = match &asked.actor {
            Some(address) => Some(self.account(address)?),
            None => None,
        };
        let name = requester.as_ref().map_or_else(
            || call.operator.to_owned(),
            |account| account.address.to_string(),
        );
        let message_id = asked
            .message_id
            .trim_start_matches('<')
            .trim_end_matches('>');
        let request = Request {
            id: RecallId::new(call.now, call.entropy),
            selector: Selector::MessageId(sender.id, message_id.to_owned()),
            requester: Requester {
                account: requester.map(|account| account.id),
                name: name.clone(),
                authentication: Authentication {
                    protocol: asked.protocol.clone().unwrap_or_default(),
                    peer: asked.peer.clone(),
                    ..Authentication::default()
                },
            },
            chosen: Vec::new(),
            selection: tern_policy::Selection::Any,
            attachment: None,
            reach: tern_recall::Reach::default(),
            notices: tern_recall::Notices::default(),
            batch: None,
            as_answer: false,
            reason: None,
            replacement: None,
            expires: None,
        };
        let viewer = operator(call);
        let answer = self.recalls.would_be_as_seen(&request, &viewer, call.now)?;
        self.record(call, "policy.explain", |entry| {
            entry
                .target(format!("message {message_id}"))
                .detail("by", sender.address.to_string())
                .detail("actor", name.clone())
        })?;
        match answer {
            Ok(decided) => Ok(self.explained(&format!("if {name} asked now"), &decided)),
            Err(refusal) => Err(AdminError::Wrong(refusal.sentence().to_owned())),
        }
    }

    fn explained(&self, what: &str, decided: &Decided) -> Answer {
        let set = self.policies.current();
        let mut text = format!("{what}\nverdict: {}", decided.code);
        for id in &decided.policies {
            let _ = write!(text, "\n  by {id}");
            match set.rule(id) {
                Some(rule) => {
                    let description = rule.description.as_deref().unwrap_or("");
                    let _ = write!(text, ", {}:{}: {description}", rule.file, rule.line);
                }
                None if id == "implicit-deny" => text.push_str(": no policy permits it"),
                None => text.push_str(", which is not in force any more"),
            }
        }
        text.push_str("\ninputs:");
        for (name, value) in &decided.inputs {
            let _ = write!(text, "\n  {name} = {value}");
        }
        let inputs: serde_json::Map<_, _> = decided
            .inputs
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let data = json!({"verdict": decided.code, "policies": decided.policies,
            "inputs": inputs});
        Answer::new(text, data)
    }
}
