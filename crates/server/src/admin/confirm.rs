//! A recall that waits for its requester's second factor, confirmed from the command line: for those
//! whose server has no pages, with the operator typing what they are told.
//!
//! Invariant: a code is looked at only once the recall is found to wait for that account.

use tern_recall::{RecallError, Requested, Said, State};

use super::error::AdminError;
use super::recall::{parse_id, refused};
use super::{Admin, Call, Result};
use crate::control::request::Answer;

impl Admin {
    pub(super) fn recall_confirm(
        &self,
        id: &str,
        speaker: &str,
        (code, reason): (&str, Option<&str>),
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let (id, account, now) = (parse_id(id)?, self.account(speaker)?, call.now);
        let waiting = self.recalls.waiting(id, now)?;
        let waiting = waiting.filter(|found| found.wait.requester.account == Some(account.id));
        match waiting.map(|found| found.recall.state) {
            Some(State::AwaitingStepUp) => {}
            Some(other) => return Err(RecallError::WrongState(other.code()).into()),
            None => return Err(AdminError::NotFound("waiting recall", id.to_string())),
        }
        if self.recalls.wants_reason(id)? && reason.is_none() {
            let why = "a reason is required: give one with --reason";
            return Err(AdminError::Wrong(why.to_owned()));
        }
        let mut entry = call.entry("factor.show").target(format!("recall {id}"));
        entry.on_behalf_of = Some(account.address.to_string());
        let shown = self.factors.show(account.id, code, &entry, now)?;
        let shown = shown.map_err(|why| AdminError::Wrong(why.to_string()))?;
        let factor = shown.kind.code();
        let said = Said::why(reason.unwrap_or_default());
        self.recalls.say(id, account.id, &said, now)?;
        let answer = self.recalls.stepped_up(id, account.id, factor, None, now)?;
        let done = self.carry_out(answer.id(), call)?;
        match answer {
            Requested::Refused(_, refusal) => Err(refused(refusal)),
            _ => Ok(done),
        }
    }
}
