//! Why somebody asks, in their own words: with the request, or later, as long as it waits for them.
//!
//! What is asked for by keyword or by the mailbox can say no reason. Where a policy wants one, such a
//! request waits for its requester's second factor, and the page that asks for that asks for the reason
//! too, and who is to be told. A mail to the server's own address says both in lines of its own.
//!
//! Invariants:
//! - A reason that is on record stays: what approvers and auditors have read does not change.
//! - It is put on record with an entry of the audit log.

use tern_base::{AccountId, Timestamp};
use tern_mime::ParsedMessage;
use tern_policy::{Decision, DenyReason, Verdict as PolicyVerdict};
use tern_store::Verdict;

use crate::audit::audit_entry;
use crate::audit::by_requester;
use crate::returned::own_texts;
use crate::wait::Held;
use crate::{Notices, RecallError, RecallId, Recalls, Refusal, State, limits};

/// What begins the line of a mail that says why.
const REASON: &str = "reason:";
/// Those that say whom notices are for, and what they are to read.
const NOTICE: &str = "notice:";
const NOTICE_TEXT: &str = "notice-text:";

impl Recalls {
    /// The requester says why they have asked for a recall that waits for them, and who is to be told of
    /// it. On return it is on record; it frees nothing by itself.
    ///
    /// # Errors
    /// [`RecallError::NoRecall`] for any account but the requester's, whether it is there or not.
    pub fn say(
        &self,
        id: RecallId,
        account: AccountId,
        said: &Said,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let held = self.held(id)?;
        if held.wait.requester.account != Some(account) {
            return Err(RecallError::NoRecall);
        }
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = self.recall_in(txn, id)?;
            let reason = said.reason.as_deref().and_then(stated);
            // What approvers have read does not change.
            let reason = reason.filter(|_| recall.reason.is_none());
            let notices = recall.notices.with(&said.notices);
            if reason.is_none() && notices == recall.notices {
                return Ok(Verdict::Abandon(()));
            }
            if recall.state != State::AwaitingStepUp {
                return Err(RecallError::WrongState(recall.state.code()));
            }
            if let Some(reason) = &reason {
                let entry = said_entry(&held, "recall.reason", now);
                tern_audit::append_in(txn, entry.detail("reason", reason.as_str()))?;
                recall.reason = Some(reason.clone());
            }
            if notices != recall.notices {
                let entry = said_entry(&held, "recall.notices", now);
                let mut entry = entry.detail("notice", notices.code());
                if let Some(text) = &notices.text {
                    entry = entry.detail("notice-text", text.as_str());
                }
                tern_audit::append_in(txn, entry)?;
                recall.notices = notices;
            }
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

/// An entry about what its requester says of a recall; of what they say once more, another one.
fn said_entry(held: &Held, action: &str, now: Timestamp) -> tern_audit::Draft {
    let step = format!("{action} {}", held.recall.generation);
    let mut entry = audit_entry(&held.recall, &step, action, now);
    by_requester(&mut entry, &held.wait.requester);
    entry
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

/// What somebody says of a recall that they ask for, beside which message it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Why.
    pub reason: Option<String>,
    /// Who is told, and what they are to read.
    pub notices: Notices,
}

impl Said {
    /// Nothing but why.
    pub fn why(reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            notices: Notices::default(),
        }
    }
}

/// What a mail to the server's own address says in lines of its own: why, in the first that begins with
/// `Reason:`; who is told, in the first that begins with `Notice:` and has a name that there is; and what
/// they are to read, in every one that begins with `Notice-Text:`. Neither what it quotes nor what is
/// attached to it counts.
pub fn said_in_mail(mail: &ParsedMessage, content: &[u8]) -> Said {
    let Some(part) = own_texts(&mail.body).into_iter().next() else {
        return Said::default();
    };
    let text = tern_mime::decoded_text(part, content, limits::MAX_NAMING_TEXT);
    let text_lines: Vec<&str> = lines(&text, NOTICE_TEXT).collect();
    Said {
        reason: lines(&text, REASON).find_map(stated),
        notices: Notices {
            whom: lines(&text, NOTICE).find_map(Notices::named),
            text: (!text_lines.is_empty()).then(|| text_lines.join("\n")),
        },
    }
}

/// What stands behind a word in each line that begins with it.
fn lines<'a>(text: &'a str, word: &'static str) -> impl Iterator<Item = &'a str> {
    text.lines().map(str::trim).filter_map(|line| {
        let (first, said) = line.split_at_checked(word.len())?;
        first.eq_ignore_ascii_case(word).then(|| said.trim())
    })
}
