//! A recall that the store has forgotten, since it was put back from a backup, is asked for again.
//!
//! It keeps its id, so that asking twice is asking once, and what the older log says of it and what
//! this one will say belong together. The operator asks, whoever had asked before, and the usual
//! path decides, seals, withdraws and records it.

use serde_json::json;
use tern_base::{ContentDigest, EmailAddress, OriginId};
use tern_recall::{
    Attachment, Missing, Notices, Reach, RecallError, Refusal, Request, Requested, Selector,
};

use super::error::AdminError;
use super::recall::{operator, parse_id, refused, selection};
use super::{Admin, Call, Result};
use crate::control::request::{Answer, RecallAgain};

impl Admin {
    pub(super) fn recall_again(&self, again: &RecallAgain, call: &mut Call<'_>) -> Result<Answer> {
        let id = parse_id(&again.id)?;
        match self.recalls.recall(id) {
            Ok(_) => return Ok(told(again, "known", "is known here")),
            Err(RecallError::NoRecall) => {}
            Err(error) => return Err(error.into()),
        }
        let wrong = || AdminError::Wrong(format!("`{}` is not a submission", again.submission));
        let request = Request {
            id,
            selector: Selector::Submission(
                OriginId::from_hex(&again.submission).ok_or_else(wrong)?,
            ),
            requester: operator(call),
            chosen: again.recipients.clone(),
            selection: selection(again.only.as_deref())?,
            reach: match again.copies_only {
                true => Reach::Copies,
                false => Reach::Attached,
            },
            attachment: again.attachment.as_deref().map(Attachment::asked),
            // Whoever was to be told was told the first time.
            notices: Notices {
                whom: Some(tern_policy::Notice::None),
                text: None,
            },
            batch: None,
            as_answer: false,
            reason: Some(format!(
                "Again after the store was put back: {} had asked for it at {}.",
                again.asked_by, again.asked_at
            )),
            replacement: None,
            expires: None,
        };
        // Looked at first: an attempt that finds nothing would stand under this id for good.
        let planned = self.recalls.plan(&request, call.now)?;
        let is_here = !matches!(planned, Err(Refusal::NotFound));
        match missing(again) {
            _ if is_here => {}
            Some(missing) => self.recalls.record_missing(&missing)?,
            None => {
                let words = "took back a message that is not in this store";
                return Ok(told(again, "not-found", words));
            }
        }
        match self.recalls.request(&request, call.now)? {
            Requested::Refused(_, refusal) => Err(refused(refusal)),
            // Another one that this store knows takes all that this one took.
            Requested::Joined(other) if other != id => Ok(told(
                again,
                "known",
                &format!("joins recall {other}, which is known here"),
            )),
            _ => {
                let answer = self.carry_out(id, call)?;
                let result = match is_here {
                    true => "asked-again",
                    false => "kept-out",
                };
                Ok(Answer {
                    data: json!({"result": result, "recall": answer.data}),
                    ..answer
                })
            }
        }
    }
}

/// What the log says of a message that is not here, where that is enough to keep it out. Where recipients were
/// chosen, or an attachment, it is not known any more to whom it led, or what it holds.
fn missing(again: &RecallAgain) -> Option<Missing> {
    let is_whole = again.recipients.is_empty() && again.attachment.is_none();
    let letter = again.letter.as_deref().filter(|_| is_whole)?;
    let sender = again.sender.as_deref();
    Some(Missing {
        submission: OriginId::from_hex(&again.submission)?,
        letter: ContentDigest::from_hex(letter)?,
        message_id: again.message_id.clone(),
        sender: sender.and_then(|sender| EmailAddress::parse(sender).ok()),
    })
}

fn told(again: &RecallAgain, result: &str, words: &str) -> Answer {
    let text = format!("recall {} {words}", again.id);
    Answer::new(text, json!({"result": result, "recall": {"id": again.id}}))
}
