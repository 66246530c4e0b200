//! Recalls that wait, from the command line: approved, declined, cancelled, listed.
//!
//! An operator may act for an account (`as`): the policy is then asked what that account may, and
//! the entry in the audit log names the account with the operator who spoke for it.

use serde_json::json;
use tern_recall::{Awaited, Requested, ToldOutcome, Waiting, labelled};

use super::error::AdminError;
use super::recall::{operator, parse_id, refused};
use super::{Admin, Call, Result, count};
use crate::control::request::{Answer, WaitingRequest};

impl Admin {
    pub(super) fn waiting(&self, request: &WaitingRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            WaitingRequest::List => self.waiting_list(call),
            WaitingRequest::Confirm {
                id,
                by,
                code,
                reason,
            } => self.recall_confirm(id, by, (code, reason.as_deref()), call),
            WaitingRequest::Approve { id, by, reason } => {
                let (id, by) = (parse_id(id)?, self.speaker(by.as_deref(), call)?);
                let answer = self.recalls.approve(id, &by, reason.as_deref(), call.now)?;
                match answer {
                    Requested::Refused(id, refusal) => {
                        self.carry_out(id, call)?;
                        Err(refused(refusal))
                    }
                    answer => self.carry_out(answer.id(), call),
                }
            }
            WaitingRequest::Decline { id, by, reason } => {
                let (id, by) = (parse_id(id)?, self.speaker(by.as_deref(), call)?);
                self.recalls.decline(id, &by, reason.as_deref(), call.now)?;
                self.carry_out(id, call)
            }
            WaitingRequest::Cancel { id, by } => {
                let (id, by) = (parse_id(id)?, self.speaker(by.as_deref(), call)?);
                self.recalls.cancel(id, &by, call.now)?;
                self.carry_out(id, call)
            }
            WaitingRequest::Frozen => self.frozen_list(),
            WaitingRequest::Unfreeze { address } => {
                let account = self.account(address)?;
                let done = self
                    .recalls
                    .unfreeze(account.id, &operator(call), call.now)?;
                match done {
                    true => Ok(Answer::new(
                        format!("{address} is frozen no more"),
                        json!({}),
                    )),
                    false => Err(AdminError::Wrong(format!("{address} is not frozen"))),
                }
            }
        }
    }

    fn frozen_list(&self) -> Result<Answer> {
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for (account, frozen) in self.recalls.all_frozen()? {
            let known = tern_directory::account(self.reader(), account)?;
            let address = known.map_or_else(
                || format!("account {account}"),
                |known| known.address.to_string(),
            );
            text.push(format!("{address}  since {}  {}", frozen.since, frozen.why));
            data.push(
                json!({"address": address, "since": frozen.since.to_string(),
                "why": frozen.why, "recall": frozen.recall.to_string()}),
            );
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    fn waiting_list(&self, call: &Call<'_>) -> Result<Answer> {
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for waiting in self.recalls.all_waiting(call.now)? {
            let recall = &waiting.recall;
            let (id, state) = (recall.id, recall.state.code());
            let (until, subject) = (waiting.wait.awaited.until(), recall.subject_text());
            let recipients = count(waiting.recipients, "recipient", "recipients");
            let reason = recall.reason.as_ref();
            let why = reason.map(|reason| labelled(" Reason: ", reason).trim_end().to_owned());
            let asked_by = waiting.wait.requester.account;
            let frozen = asked_by.map(|account| self.recalls.frozen(account));
            let frozen = frozen.transpose()?.flatten();
            let is_frozen = frozen.map(|frozen| format!(" Frozen: {}", frozen.why));
            text.push(format!(
                "{id}  {state} until {until}  {}  \"{subject}\", sent {} by {} to {recipients}.{}{}",
                recall.requester,
                waiting.submitted,
                waiting.sender,
                why.unwrap_or_default(),
                is_frozen.as_deref().unwrap_or_default()
            ));
            let would_be = &waiting.would_be;
            let told = self
                .recalls
                .told(recall, would_be, &operator(call), call.now)?;
            data.push(waiting_json(&waiting, told, is_frozen.is_some()));
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }
}

fn waiting_json(
    waiting: &Waiting,
    told: Vec<(ToldOutcome, u64)>,
    frozen: bool,
) -> serde_json::Value {
    let recall = &waiting.recall;
    let approvals = waiting.wait.counted();
    let approvals: Vec<_> = approvals.map(|one| one.by.name.as_str()).collect();
    let approvers = match waiting.wait.awaited {
        Awaited::Approval { approvers, .. } => Some(approvers),
        Awaited::StepUp { .. } | Awaited::Time { .. } => None,
    };
    let outcomes: serde_json::Map<_, _> = told
        .into_iter()
        .map(|(outcome, n)| (outcome.code().to_owned(), n.into()))
        .collect();
    json!({"id": recall.id.to_string(), "state": recall.state.code(),
        "until": waiting.wait.awaited.until().to_string(), "requestedBy": recall.requester,
        "requestedAt": recall.requested.to_string(), "reason": recall.reason,
        "subject": recall.subject_text(), "sender": waiting.sender,
        "submittedAt": waiting.submitted.to_string(), "recipients": waiting.recipients,
        "frozen": frozen, "approvers": approvers, "approvedBy": approvals, "wouldBe": outcomes})
}
