//! One attachment that a recall takes out of a message, whose rest stays: as it was asked for, and which
//! part of the message that is.
//!
//! Invariant: what a recall that was granted takes out is known by its part number before anything is
//! sealed. A request for what is not in the message, or can't be taken out of it, is refused.

use std::borrow::Cow;

use serde_json::{Value, json};
use tern_base::Timestamp;
use tern_base::codec::{Damaged, Reader, Writer};
use tern_mailbox::MailboxError;
use tern_mime::NoAttachment;
use tern_policy::Decision;
use tern_queue::Status;
use tern_store::Verdict;

use crate::{RecallError, Recalls, Refusal, Request, Submission, limits};

/// One attachment of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// As it was asked for: its part number (RFC 9051 6.4.5.1), or its file name.
    pub asked: String,
    /// What that is in the message.
    pub found: Result<tern_mime::Attachment, NoAttachment>,
}

impl Attachment {
    /// One that has not been looked for yet.
    pub fn asked(text: &str) -> Self {
        Self {
            asked: text.chars().take(limits::MAX_ATTACHMENT_NAME).collect(),
            found: Err(NoAttachment::NotThere),
        }
    }

    /// Its name for people and policies: that of the file, else its number.
    pub fn name(&self) -> &str {
        match &self.found {
            Ok(found) => found.name.as_ref().unwrap_or(&found.number),
            Err(_) => &self.asked,
        }
    }

    /// Which part of the message it is.
    pub(crate) fn part(&self) -> Option<u8> {
        self.found.as_ref().ok().map(|found| found.position)
    }

    /// Why it can't be taken.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.found {
            Ok(_) => None,
            Err(NoAttachment::NotThere) => Some(Refusal::NoSuchAttachment),
            Err(NoAttachment::Protected) => Some(Refusal::AttachmentProtected),
        }
    }

    pub(crate) fn json(&self) -> Value {
        match &self.found {
            Ok(found) => {
                json!({"part": found.number, "name": found.name, "type": found.media_type})
            }
            Err(_) => json!({"asked": self.asked}),
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.text(&self.asked);
        match &self.found {
            Ok(found) => {
                w.byte(0).text(&found.number).byte(found.position);
                w.option(found.name.as_ref(), |w, name| {
                    w.text(name);
                });
                w.text(&found.media_type);
            }
            Err(NoAttachment::NotThere) => drop(w.byte(1)),
            Err(NoAttachment::Protected) => drop(w.byte(2)),
        }
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            asked: r.text()?,
            found: match r.byte()? {
                0 => Ok(tern_mime::Attachment {
                    number: r.text()?,
                    position: r.byte()?,
                    name: r.option(Reader::text)?,
                    media_type: r.text()?,
                }),
                1 => Err(NoAttachment::NotThere),
                2 => Err(NoAttachment::Protected),
                _ => return Err(Damaged),
            },
        })
    }
}

/// For people: `"plan.pdf" (part 2, application/pdf)`.
impl std::fmt::Display for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.found {
            Ok(found) => {
                if let Some(name) = &found.name {
                    write!(
                        f,
                        "\"{name}\" (part {}, {})",
                        found.number, found.media_type
                    )
                } else {
                    write!(f, "part {} ({})", found.number, found.media_type)
                }
            }
            Err(_) => write!(f, "\"{}\"", self.asked),
        }
    }
}

impl Recalls {
    /// A request with the attachment looked for that it asks for.
    pub(crate) fn looked_for<'a>(
        &self,
        request: &'a Request,
        found: &Submission,
    ) -> Result<Cow<'a, Request>, RecallError> {
        let Some(attachment) = &request.attachment else {
            return Ok(Cow::Borrowed(request));
        };
        let found = match self.content_of(found)? {
            Some(content) => {
                let message = tern_mime::parse(&content);
                tern_mime::find_attachment(&message, &content, &attachment.asked)
            }
            None => Err(NoAttachment::NotThere),
        };
        let asked = attachment.asked.clone();
        Ok(Cow::Owned(Request {
            attachment: Some(Attachment { asked, found }),
            ..request.clone()
        }))
    }

    /// The same, unless policy lets whoever asks not ask at all: nothing is read for them.
    pub(crate) fn looked_for_if_let<'a>(
        &self,
        request: &'a Request,
        found: &Submission,
        now: Timestamp,
    ) -> Result<Cow<'a, Request>, RecallError> {
        if request.attachment.is_some() {
            let asked = self.asked(request.requester.account)?;
            let verdict = self.verdict_on(request, found, &asked, now)?;
            if matches!(verdict.decision, Decision::Deny(_)) {
                return Ok(Cow::Borrowed(request));
            }
        }
        self.looked_for(request, found)
    }

    /// The message as it was sent, wherever the server has it: in a mailbox, in the vault or on its way
    /// out.
    fn content_of(&self, found: &Submission) -> Result<Option<Vec<u8>>, RecallError> {
        let most = limits::MAX_COPIES_READ;
        for copy in self.mailboxes.first_copies(found.digest, most)? {
            match self.mailboxes.message(copy.account, copy.message) {
                Ok(row) => return Ok(Some(self.sealing.sealed_content(&row)?)),
                Err(MailboxError::NoMessage | MailboxError::NoAccount | MailboxError::Sealed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let tags = tern_store::transact(&*self.engine, |txn| {
            let tags = self.sealing.seal_tags_in(txn, found.digest)?;
            Ok::<_, RecallError>(Verdict::Abandon(tags))
        })?;
        for tag in tags {
            let kept = self.sealing.vaulted(tag, None, most)?;
            let copy = kept.iter().map(|copy| &copy.row.message);
            if let Some(row) = copy.clone().find(|row| row.digest == found.digest) {
                return Ok(Some(self.sealing.sealed_content(row)?));
            }
        }
        for status in tern_queue::by_origin(&*self.engine, found.id)? {
            if let Status::Live(item) = status {
                // A content is below 4 GiB: preparing it refused any other.
                let size = item.size.saturating_sub(item.prefix.len() as u64) as u32;
                return Ok(Some(self.mailboxes.read_blob_of(item.blob, size)?));
            }
        }
        Ok(None)
    }
}
