//! What answers a message and may quote it, as a plan shows it.
//!
//! Invariant: what is not shown one by one is counted.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tern_recall::{Quoted, Quoting, Submission};

use super::{Admin, Result, count};

/// Messages that a plan shows one by one for each that it is about.
const SHOWN: usize = 100;

impl Admin {
    /// Adds what answers a message to what a plan says of it.
    pub(super) fn write_quoted(
        &self,
        words: &mut String,
        value: &mut Value,
        quoted: &Quoted,
    ) -> Result<()> {
        let total = quoted.all.len();
        let at_least = if quoted.more { "at least " } else { "" };
        if total > 0 {
            let n = count(total as u64, "message", "messages");
            let _ = write!(words, "\n  answered by {at_least}{n} that may quote it:");
        }
        let mut list = Vec::new();
        for one in quoted.all.iter().take(SHOWN) {
            let sender = self.sender_of(&one.submission)?;
            let Quoting { submission, depth } = one;
            let (subject, sent) = (submission.subject_text(), submission.submitted);
            let _ = write!(words, "\n    {depth}  {sender}, \"{subject}\", sent {sent}");
            list.push(json!({"depth": depth, "sender": sender, "subject": subject,
                "account": submission.submitter().map(|account| account.0),
                "messageId": submission.message_id, "submission": submission.id.to_string(),
                "submittedAt": sent.to_string()}));
        }
        if total > SHOWN {
            let _ = write!(words, "\n    and {at_least}{} more", total - SHOWN);
        }
        if let Some(value) = value.as_object_mut() {
            value.insert(String::from("quoted"), list.into());
            value.insert(String::from("quotedCount"), total.into());
            value.insert(String::from("quotedMore"), quoted.more.into());
        }
        Ok(())
    }

    /// The address of the account that sent it; of what came in, the one that it says.
    pub(super) fn sender_of(&self, submission: &Submission) -> Result<String> {
        let Some(account) = submission.submitter() else {
            let from = submission.mail_from.as_ref();
            return Ok(from.map_or_else(|| String::from("<>"), ToString::to_string));
        };
        let known = tern_directory::account(self.reader(), account)?;
        Ok(known.map_or_else(
            || format!("account {account}"),
            |known| known.address.canonical(),
        ))
    }
}
