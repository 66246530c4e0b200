//! Recalls from the command line.

use std::fmt::Write as _;

use serde_json::json;
use tern_base::Fault;
use tern_policy::Authentication;
use tern_recall::{
    Extent, RecallId, Request, Requested, Requester, Selector, State, Status, Tally,
};

use super::error::AdminError;
use super::{Admin, Call, Result, count};
use crate::control::request::Answer;
use crate::workers::carry_out;

/// Copies that a status shows one by one.
const SHOWN: usize = 1_000;
/// Recalls that a list shows.
const LISTED: usize = 1_000;

fn parse_id(text: &str) -> Result<RecallId> {
    let wrong = || AdminError::Wrong(format!("`{text}` is not a recall id"));
    RecallId::from_hex(text).ok_or_else(wrong)
}

fn operator(call: &Call<'_>) -> Requester {
    Requester {
        account: None,
        name: call.operator.to_owned(),
        authentication: Authentication {
            protocol: String::from("cli"),
            ..Authentication::default()
        },
    }
}

impl Admin {
    fn recall_request(
        &self,
        by: &str,
        message_id: &str,
        recipients: &[String],
        call: &mut Call<'_>,
    ) -> Result<Request> {
        let account = self.account(by)?;
        let message_id = message_id.trim_start_matches('<').trim_end_matches('>');
        Ok(Request {
            id: RecallId::new(call.now, call.entropy),
            selector: Selector::MessageId(account.id, message_id.to_owned()),
            requester: operator(call),
            chosen: recipients.to_vec(),
            reason: None,
            replacement: None,
        })
    }

    pub(super) fn recall_plan(
        &self,
        by: &str,
        message_id: &str,
        recipients: &[String],
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let request = self.recall_request(by, message_id, recipients, call)?;
        let (facts, plan) = match self.recalls.plan(&request, call.now)? {
            Ok(planned) => planned,
            Err(refusal) => {
                let text = format!("it would be refused: {}", refusal.sentence());
                return Err(AdminError::Wrong(text));
            }
        };
        let tally = plan.tally();
        let subject = String::from_utf8_lossy(&facts.submission.subject).into_owned();
        let mut text = format!("\"{subject}\" would end so:");
        write_tally(&mut text, &tally);
        let outcomes: serde_json::Map<_, _> = tally
            .iter()
            .map(|(outcome, n)| (outcome.code().to_owned(), n.into()))
            .collect();
        let data = json!({"submission": facts.submission.id.to_string(), "subject": subject,
            "copies": plan.copies.len(), "outcomes": outcomes});
        Ok(Answer::new(text, data))
    }

    pub(super) fn recall_run(
        &self,
        by: &str,
        message_id: &str,
        recipients: &[String],
        reason: Option<&String>,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let mut request = self.recall_request(by, message_id, recipients, call)?;
        request.reason = reason.cloned();
        let answer = self.recalls.request(&request, call.now)?;
        if let Requested::Refused(_, refusal) = answer {
            let text = format!("refused ({}): {}", refusal.code(), refusal.sentence());
            return Err(AdminError::Wrong(text));
        }
        self.carry_out(answer.id(), call)
    }

    pub(super) fn recall_status(&self, id: &str) -> Result<Answer> {
        self.show_recall(parse_id(id)?)
    }

    pub(super) fn recall_restore(&self, id: &str, call: &mut Call<'_>) -> Result<Answer> {
        let id = parse_id(id)?;
        self.recalls.restore(id, &operator(call), call.now)?;
        self.carry_out(id, call)
    }

    /// Carries out what is durably asked for, as far as that can be done now: it is no failure of
    /// the request when the rest is left to the server's chores.
    fn carry_out(&self, id: RecallId, call: &Call<'_>) -> Result<Answer> {
        match carry_out(&self.recalls, id, call.now) {
            Err(error) if error.fault() == Fault::Temporary => {
                tracing::warn!(%id, %error, "a recall could not go on");
            }
            done => done?,
        }
        self.show_recall(id)
    }

    fn show_recall(&self, id: RecallId) -> Result<Answer> {
        let status = self.recalls.status(id, SHOWN)?;
        Ok(Answer::new(text_of(&status), status.json()))
    }

    pub(super) fn recall_list(&self, by: Option<&str>) -> Result<Answer> {
        let owner = by
            .map(|by| self.account(by))
            .transpose()?
            .map(|account| account.id);
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for line in self.recalls.list(owner, LISTED)? {
            let recall = &line.recall;
            let subject = String::from_utf8_lossy(&recall.subject).into_owned();
            let state = recall.state.code();
            let extent = extent_of(recall.state, &line.tally);
            let shown = extent.map_or_else(|| state.to_owned(), |e| format!("{state} ({e})"));
            let requested = recall.requested;
            text.push(format!(
                "{}  {requested}  {shown}  {}  {subject}",
                recall.id, recall.requester
            ));
            data.push(
                json!({"id": recall.id.to_string(), "requestedAt": requested.to_string(),
                "requestedBy": recall.requester, "state": state, "withdrawn": extent,
                "subject": subject, "messageId": recall.message_id}),
            );
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }
}

fn extent_of(state: State, tally: &Tally) -> Option<&'static str> {
    (state == State::Done).then(|| Extent::of(tally).code())
}

fn write_tally(text: &mut String, tally: &Tally) {
    for (outcome, n) in tally.iter() {
        let _ = write!(
            text,
            "\n  {}  {}",
            outcome.code(),
            count(n, "copy", "copies")
        );
    }
}

fn text_of(status: &Status) -> String {
    let recall = &status.recall;
    let mut text = format!("recall {}: {}", recall.id, recall.state.code());
    if let Some(extent) = extent_of(recall.state, &status.tally) {
        let _ = write!(text, ", {extent} withdrawn");
    }
    if let State::Refused(refusal) = recall.state {
        let _ = write!(text, " ({}): {}", refusal.code(), refusal.sentence());
    }
    let subject = String::from_utf8_lossy(&recall.subject);
    let _ = write!(
        text,
        "\n\"{subject}\", asked by {} at {}",
        recall.requester, recall.requested
    );
    write_tally(&mut text, &status.tally);
    for line in &status.lines {
        let outcome = &line.outcome;
        let _ = write!(text, "\n{}: {}", line.recipient, outcome.outcome.code());
        if !line.via.is_empty() {
            let _ = write!(text, " (via {})", line.via.join(", "));
        }
        if !line.mailboxes.is_empty() {
            let _ = write!(text, " in {}", line.mailboxes.join(", "));
        }
        let _ = write!(text, ". {}", outcome.reason.sentence());
        if let Some(restored) = outcome.restored {
            let _ = write!(text, " Put back {restored}.");
        } else if let Some(purged) = outcome.purged {
            let _ = write!(text, " Kept until {purged}: it can't be put back.");
        }
    }
    if status.on_their_way > 0 {
        let n = count(status.on_their_way, "copy", "copies");
        let _ = write!(text, "\n{n} not delivered yet, to be stopped on arrival");
    }
    if status.more > 0 {
        let _ = write!(text, "\nand {} more", status.more);
    }
    text
}
