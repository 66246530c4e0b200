//! The trigger of Outlook: the message of class `IPM.Outlook.Recall` that its "Recall This Message"
//! sends to those who had the first one.
//!
//! It names what it is about by the subject, with a word of its own language and a colon before it,
//! and by being addressed to the same people. Where that fits more than one message of its sender,
//! none is meant.

use std::collections::HashSet;

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Timestamp};
use tern_mime::ParsedMessage;
use tern_store::{Read, StoreError};

use crate::submission::first_targets;
use crate::{Submission, Target, limits, tables};

const CLASS: &str = "IPM.Outlook.Recall";
/// What Exchange 2003 and its clients say instead, in the header.
const CONTENT_CLASS: &str = "urn:content-classes:recallmessage";
/// Submissions read at once.
const PAGE: usize = 500;

/// Whether a mail is a recall message of Outlook, however it says so.
pub fn is_outlook_recall(mail: &ParsedMessage, content: &[u8]) -> bool {
    let stated = tern_mime::header_value(content, "Content-Class");
    let stated = stated.as_deref().map(tern_mime::decode_header_text);
    stated.is_some_and(|class| class.trim().eq_ignore_ascii_case(CONTENT_CLASS))
        || tern_mime::message_class(mail, content)
            .is_some_and(|class| class.eq_ignore_ascii_case(CLASS))
}

/// A message by its subject and by whom it went to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Titled {
    subject: String,
    /// In lower case.
    recipients: Vec<String>,
}

impl Titled {
    /// What a recall message is about that went to these recipients.
    pub(crate) fn by_mail(mail: &ParsedMessage, recipients: &[String]) -> Option<Self> {
        let subject = mail.envelope.subject.as_deref().unwrap_or_default();
        let subject = tern_mime::decode_header_text(subject);
        let (_, subject) = subject.split_once(':')?;
        let recipients = recipients.iter().take(limits::MAX_OUTLOOK_RECIPIENTS);
        Some(Self {
            subject: subject.trim().to_owned(),
            recipients: recipients.map(|one| one.to_lowercase()).collect(),
        })
    }

    /// The one recent submission of an account that fits.
    pub(crate) fn find(
        &self,
        reader: &dyn Read,
        account: AccountId,
    ) -> Result<Option<Submission>, StoreError> {
        let (mut only, mut compared) = (None, 0);
        let (mut looked_at, mut next) = (
            0,
            Some(tables::submissions_between(Timestamp(0), Timestamp(u64::MAX)).reversed()),
        );
        while let Some(range) = next.filter(|_| looked_at < limits::MAX_OUTLOOK_SEARCHED) {
            let page = reader.scan(&range, PAGE)?;
            looked_at += page.rows.len();
            for (key, row) in &page.rows {
                let submission = Submission::of_row(key, row)?;
                if submission.account != account || !self.is_titled(&submission) {
                    continue;
                }
                compared += 1;
                let fits = self.went_to(reader, &submission)?;
                if compared > limits::MAX_OUTLOOK_COMPARED || (fits && only.is_some()) {
                    return Ok(None);
                }
                only = only.or(fits.then_some(submission));
            }
            next = page.next;
        }
        Ok(only)
    }

    fn is_titled(&self, submission: &Submission) -> bool {
        submission.recipients as usize >= self.recipients.len()
            && submission.subject_text().trim() == self.subject
    }

    fn went_to(&self, reader: &dyn Read, submission: &Submission) -> Result<bool, StoreError> {
        let targets = first_targets(reader, submission.id, limits::MAX_OUTLOOK_TARGETS)?;
        let named = targets.iter().flat_map(Target::recipients);
        let named: HashSet<String> = named.map(str::to_lowercase).collect();
        Ok(self.recipients.iter().all(|one| named.contains(one)))
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.text(&self.subject).list(&self.recipients, |w, one| {
            w.text(one);
        });
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            subject: r.text()?,
            recipients: r.list(Reader::text)?,
        })
    }
}
