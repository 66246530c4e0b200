//! The page behind the link in the mail to a requester whose client can't ask for a second factor:
//! it shows what would be taken back, and a right code does it.
//!
//! Invariant: a link that was never made, is used, is over, or is another account's gives one and the
//! same page; so does one whose recall somebody else has freed or cancelled meanwhile. Of who has read
//! the message the pages tell the requester as much as the report does.

use std::net::IpAddr;

use hyper::StatusCode;
use tern_audit::{Actor, Draft, EntryId};
use tern_base::{AccountId, Timestamp};
use tern_directory::CodeRefused;
use tern_recall::{
    Extent, Notices, RecallError, RecallId, Requested, Requester, Said, State, Waiting,
};

use super::Site;
use super::answer::Answer;
use super::failed::{Failed, told};
use super::form::Form;
use super::pages::{self, Asked, Ended, Trouble};
use crate::clock::{self, OsEntropy};
use crate::workers::carry_out;

impl Site {
    /// The page that asks. Changes nothing.
    pub(super) fn confirm_page(&self, token: &str, peer: &IpAddr) -> Answer {
        let now = clock::now();
        told(peer, self.ask(token, now))
    }

    /// What a code does, with what they say of why, and of who is to be told.
    pub(super) fn confirm(&self, token: &str, form: &Form, peer: &IpAddr) -> Answer {
        let now = clock::now();
        let code = form.get("code").unwrap_or_default();
        let notice = form.get("notice").unwrap_or_default();
        let said = Said {
            reason: form.get("reason"),
            notices: Notices {
                whom: Notices::named(&notice),
                text: form.get("notice-text"),
            },
        };
        told(peer, self.free(token, (&code, &said), peer, now))
    }

    fn ask(&self, token: &str, now: Timestamp) -> Result<Answer, Failed> {
        let Some((_, account, waiting)) = self.waiting_behind(token, now)? else {
            return Ok(pages::no_link());
        };
        let status = self.factors.status(account, now)?;
        let trouble = match status.locked_until {
            _ if !status.is_set_up() => Some(Trouble::NotSetUp),
            Some(until) => Some(Trouble::Locked(until)),
            None => None,
        };
        self.ask_for_code(StatusCode::OK, &waiting, trouble, now)
    }

    fn free(
        &self,
        token: &str,
        (code, said): (&str, &Said),
        peer: &IpAddr,
        now: Timestamp,
    ) -> Result<Answer, Failed> {
        let Some((id, account, waiting)) = self.waiting_behind(token, now)? else {
            return Ok(pages::no_link());
        };
        let again = |status, trouble| self.ask_for_code(status, &waiting, Some(trouble), now);
        // No code is used up by what would not be enough.
        let reason = said.reason.as_deref().unwrap_or_default();
        if self.recalls.wants_reason(id)? && reason.trim().is_empty() {
            return again(StatusCode::UNPROCESSABLE_ENTITY, Trouble::NoReason);
        }
        let entry = self.entry(id, account, peer, now)?;
        let shown = match self.factors.show(account, code, &entry, now)? {
            Ok(shown) => shown,
            Err(CodeRefused::NotSetUp) => return again(StatusCode::FORBIDDEN, Trouble::NotSetUp),
            Err(CodeRefused::Wrong { left }) => {
                tracing::warn!(%peer, %id, "a wrong code was shown for a recall");
                return again(StatusCode::FORBIDDEN, Trouble::Wrong(left));
            }
            Err(CodeRefused::Locked { until }) => {
                tracing::warn!(%peer, %id, %until, "a code was shown for a recall while none is looked at");
                return again(StatusCode::TOO_MANY_REQUESTS, Trouble::Locked(until));
            }
        };
        let factor = shown.kind.code();
        tracing::info!(%peer, %id, factor, "a second factor was shown for a recall");
        let peer = Some(peer.to_string());
        let said = self.recalls.say(id, account, said, now);
        let freed = said.and_then(|()| self.recalls.stepped_up(id, account, factor, peer, now));
        let answer = match freed {
            // Somebody was quicker.
            Err(RecallError::NoRecall | RecallError::WrongState(_)) => {
                return Ok(pages::no_link());
            }
            answer => answer?,
        };
        // Durable already: what is left is finished by the server itself.
        if let Err(error) = carry_out(&self.recalls, answer.id(), now) {
            tracing::warn!(id = %answer.id(), %error, "a recall could not go on");
        }
        Ok(pages::ended(&self.ended(
            answer,
            &waiting.wait.requester,
            now,
        )?))
    }

    /// The recall that waits behind a link.
    fn waiting_behind(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<(RecallId, AccountId, Waiting)>, Failed> {
        let Some((id, account)) = self.recalls.link_of(token, now)? else {
            return Ok(None);
        };
        let waiting = self.recalls.waiting(id, now)?;
        Ok(waiting.map(|waiting| (id, account, waiting)))
    }

    /// What the log says of whoever shows a code.
    pub(super) fn entry(
        &self,
        id: RecallId,
        account: AccountId,
        peer: &IpAddr,
        now: Timestamp,
    ) -> Result<Draft, Failed> {
        let address = self.address(account)?;
        let actor = Actor::Account { account, address };
        let entry = EntryId::new(now, &mut OsEntropy);
        let mut entry = Draft::new(entry, now, actor, "factor.show").target(format!("recall {id}"));
        entry.peer = Some(peer.to_string());
        entry.protocol = Some(String::from("https"));
        Ok(entry)
    }

    fn ended(
        &self,
        answer: Requested,
        reader: &Requester,
        now: Timestamp,
    ) -> Result<Ended, Failed> {
        let status = self.recalls.status(answer.id(), 0)?;
        let subject = status.recall.subject_text();
        let outcomes = self
            .recalls
            .told(&status.recall, &status.tally, reader, now)?;
        Ok(match answer {
            Requested::Waiting(_, awaited) => Ended::Waits { subject, awaited },
            Requested::Refused(_, refusal) => Ended::Refused {
                subject,
                why: refusal.sentence().to_owned(),
            },
            Requested::Sealed(_) | Requested::Joined(_) => Ended::Sealed {
                subject,
                extent: (status.recall.state == State::Done).then(|| Extent::of(&status.tally)),
                outcomes,
            },
        })
    }

    fn ask_for_code(
        &self,
        status: StatusCode,
        waiting: &Waiting,
        trouble: Option<Trouble>,
        now: Timestamp,
    ) -> Result<Answer, Failed> {
        let (recall, reader) = (&waiting.recall, &waiting.wait.requester);
        let wants_reason = self.recalls.wants_reason(recall.id)?;
        let asked = Asked {
            waiting,
            outcomes: self.recalls.told(recall, &waiting.would_be, reader, now)?,
            trouble,
        };
        Ok(pages::ask(status, &asked, wants_reason))
    }
}
