//! The page behind the link in the mail to somebody who may approve a waiting recall: it shows what is
//! asked and by whom, and takes their yes or no with a code of their second factor.
//!
//! Invariant: a link that was never made, is over, was used, or is of somebody who may not approve (any
//! more) gives one and the same page. Of who has read the message the page tells as much as its reader
//! may see.

use std::net::IpAddr;

use hyper::StatusCode;
use tern_base::{AccountId, Timestamp};
use tern_directory::CodeRefused;
use tern_policy::Authentication;
use tern_recall::{RecallError, RecallId, Requested, Requester, Waiting};

use super::Site;
use super::answer::Answer;
use super::approval_page::{self, Ended};
use super::failed::{Failed, told};
use super::form::Form;
use super::pages::{Asked, Trouble};
use crate::clock;
use crate::workers::carry_out;

/// What whoever was asked says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Approve,
    Decline,
}

/// A recall that waits for somebody's approval, and who they are.
struct Behind {
    id: RecallId,
    account: AccountId,
    name: String,
    waiting: Waiting,
}

impl Site {
    /// The page that asks. Changes nothing.
    pub(super) fn approval_page(&self, token: &str, peer: &IpAddr) -> Answer {
        let now = clock::now();
        told(peer, self.ask_approval(token, now))
    }

    /// What their answer does.
    pub(super) fn approval(&self, token: &str, form: &Form, peer: &IpAddr) -> Answer {
        let now = clock::now();
        told(peer, self.hear(token, form, peer, now))
    }

    fn ask_approval(&self, token: &str, now: Timestamp) -> Result<Answer, Failed> {
        let Some(behind) = self.approval_behind(token, now)? else {
            return Ok(approval_page::no_link());
        };
        let status = self.factors.status(behind.account, now)?;
        let trouble = match status.locked_until {
            _ if !status.is_set_up() => Some(Trouble::NotSetUp),
            Some(until) => Some(Trouble::Locked(until)),
            None => None,
        };
        self.ask_to_approve(StatusCode::OK, &behind, trouble, now)
    }

    fn hear(
        &self,
        token: &str,
        form: &Form,
        peer: &IpAddr,
        now: Timestamp,
    ) -> Result<Answer, Failed> {
        let Some(behind) = self.approval_behind(token, now)? else {
            return Ok(approval_page::no_link());
        };
        let again = |status, trouble| self.ask_to_approve(status, &behind, Some(trouble), now);
        let said = form.get("reason").unwrap_or_default();
        let reason = Some(said.trim()).filter(|said| !said.is_empty());
        let word = match form.get("answer").as_deref() {
            Some("approve") => Word::Approve,
            Some("decline") if reason.is_none() => {
                // No code is used up by what would not be enough.
                return again(StatusCode::UNPROCESSABLE_ENTITY, Trouble::NoReason);
            }
            Some("decline") => Word::Decline,
            _ => return Ok(super::pages::problem(StatusCode::BAD_REQUEST)),
        };
        let id = behind.id;
        let code = form.get("code").unwrap_or_default();
        let entry = self.entry(id, behind.account, peer, now)?;
        let shown = match self.factors.show(behind.account, &code, &entry, now)? {
            Ok(shown) => shown,
            Err(CodeRefused::NotSetUp) => return again(StatusCode::FORBIDDEN, Trouble::NotSetUp),
            Err(CodeRefused::Wrong { left }) => {
                tracing::warn!(%peer, %id, "a wrong code was shown for an approval");
                return again(StatusCode::FORBIDDEN, Trouble::Wrong(left));
            }
            Err(CodeRefused::Locked { until }) => {
                tracing::warn!(%peer, %id, %until, "a code was shown for an approval while none is looked at");
                return again(StatusCode::TOO_MANY_REQUESTS, Trouble::Locked(until));
            }
        };
        let by = approver(&behind, shown.kind.code(), peer);
        tracing::info!(%peer, %id, ?word, "a recall was answered by who may approve it");
        let answered = match word {
            Word::Approve => self.recalls.approve(id, &by, reason, now).map(Some),
            Word::Decline => self.recalls.decline(id, &by, reason, now).map(|()| None),
        };
        let answer = match answered {
            // Somebody was quicker, or a policy has changed.
            Err(
                RecallError::NoRecall | RecallError::WrongState(_) | RecallError::NotAllowed(_),
            ) => {
                return Ok(approval_page::no_link());
            }
            answer => answer?,
        };
        // Durable already: what is left is finished by the server itself.
        if let Err(error) = carry_out(&self.recalls, id, now) {
            tracing::warn!(%id, %error, "a recall could not go on");
        }
        Ok(ended(&behind, answer))
    }

    /// The recall that waits behind a link, for whom it is.
    fn approval_behind(&self, token: &str, now: Timestamp) -> Result<Option<Behind>, Failed> {
        let Some((id, account)) = self.recalls.approval_link_of(token, now)? else {
            return Ok(None);
        };
        let name = self.address(account)?;
        let waiting = self.recalls.waiting(id, now)?;
        Ok(waiting.map(|waiting| Behind {
            id,
            account,
            name,
            waiting,
        }))
    }

    fn ask_to_approve(
        &self,
        status: StatusCode,
        behind: &Behind,
        trouble: Option<Trouble>,
        now: Timestamp,
    ) -> Result<Answer, Failed> {
        let waiting = &behind.waiting;
        let reader = Requester {
            account: Some(behind.account),
            name: behind.name.clone(),
            authentication: Authentication::default(),
        };
        let asker = waiting.wait.requester.account;
        let frozen = asker.map(|account| self.recalls.frozen(account));
        let frozen = frozen.transpose()?.flatten().map(|frozen| frozen.why);
        let (recalls, recall) = (&self.recalls, &waiting.recall);
        let asked = Asked {
            waiting,
            outcomes: recalls.told(recall, &waiting.would_be, &reader, now)?,
            trouble,
        };
        Ok(approval_page::ask(status, &asked, &behind.name, frozen))
    }
}

/// What came of a yes, or of a no.
fn ended(behind: &Behind, answer: Option<Requested>) -> Answer {
    let recall = &behind.waiting.recall;
    let ended = match answer {
        None => Ended::Declined,
        Some(Requested::Waiting(_, awaited)) => Ended::Waits(awaited),
        Some(Requested::Refused(_, refusal)) => Ended::Refused(refusal.sentence()),
        Some(Requested::Sealed(_) | Requested::Joined(_)) => Ended::Sealed,
    };
    approval_page::ended(&recall.subject_text(), &recall.requester, ended)
}

/// Whoever answers, and how they proved who they are.
fn approver(behind: &Behind, factor: &str, peer: &IpAddr) -> Requester {
    Requester {
        account: Some(behind.account),
        name: behind.name.clone(),
        authentication: Authentication {
            mechanism: String::from("link"),
            factors: vec![factor.to_owned()],
            step_up_age_ms: Some(0),
            peer: Some(peer.to_string()),
            protocol: String::from("https"),
            tls: Some(true),
            ..Authentication::default()
        },
    }
}
