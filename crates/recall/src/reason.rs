//! Why somebody asks, in their own words: with the request, or later, as long as it waits for them.
//!
//! What is asked for by keyword or by the mailbox can say no reason. Where a policy wants one, such a
//! request waits for its requester's second factor, and the page that asks for that asks for the reason
//! too. A mail to the server's own address says it in a line of its own.
//!
//! Invariants:
//! - A reason that is on record stays: what approvers and auditors have read does not change.
//! - It is put on record with an entry of the audit log.

use tern_base::{AccountId, Timestamp};
use tern_mime::ParsedMessage;
use tern_policy::{Decision, DenyReason, Verdict as PolicyVerdict};
use tern_store::Verdict;

use crate::audit::audit_entry;
use crate::request::by_requester;
use crate::returned::own_texts;
use crate::{RecallError, RecallId, Recalls, Refusal, State, limits};

/// What begins the line of a mail that says why.
const FIELD: &str = "reason:";

impl Recalls {
    /// The requester says why they have asked for a recall that waits for them. On return it is on
    /// record; it frees nothing by itself.
    ///
    /// # Errors
    /// [`RecallError::NoRecall`] for any account but the requester's, whether it is there or not.
    pub fn give_reason(
        &self,
        id: RecallId,
        account: AccountId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let Some(reason) = stated(reason) else {
            return Ok(());
        };
        let held = self.held(id)?;
        if held.wait.requester.account != Some(account) {
            return Err(RecallError::NoRecall);
        }
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = self.recall_in(txn, id)?;
            if recall.reason.is_some() {
                return Ok(Verdict::Abandon(()));
            }
            if recall.state != State::AwaitingStepUp {
                return Err(RecallError::WrongState(recall.state.code()));
            }
            let mut entry = audit_entry(&recall, "reason", "recall.reason", now)
                .detail("reason", reason.as_str());
            by_requester(&mut entry, &held.wait.requester);
            tern_audit::append_in(txn, entry)?;
            recall.reason = Some(reason.clone());
            recall.changed();
            recall.put_in(txn)?;
            Ok(Verdict::Commit(()))
        })
    }

    /// Whether a recall waits since a policy wants to know why, and nobody has said it.
    pub fn wants_reason(&self, id: RecallId) -> Result<bool, RecallError> {
        if self.recall(id)?.reason.is_some() {
            return Ok(false);
        }
        let code = Refusal::ReasonRequired.code();
        Ok(self
            .decided(id)?
            .is_some_and(|decided| decided.code == code))
    }
}

/// Whether a verdict asks for nothing but a reason.
pub(crate) fn is_wanted(verdict: &PolicyVerdict) -> bool {
    verdict.decision == Decision::Deny(DenyReason::ReasonRequired)
}

/// A reason as it is kept: none where nothing is said.
pub(crate) fn stated(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.chars().take(limits::MAX_REASON).collect())
}

/// What a mail to the server's own address says in the first line that begins with `Reason:`. Neither
/// what it quotes nor what is attached to it counts.
pub fn reason_of_mail(mail: &ParsedMessage, content: &[u8]) -> Option<String> {
    let part = own_texts(&mail.body).into_iter().next()?;
    let text = tern_mime::decoded_text(part, content, limits::MAX_NAMING_TEXT);
    let mut lines = text.lines().map(str::trim);
    lines.find_map(|line| {
        let (field, said) = line.split_at_checked(FIELD.len())?;
        stated(said).filter(|_| field.eq_ignore_ascii_case(FIELD))
    })
}
