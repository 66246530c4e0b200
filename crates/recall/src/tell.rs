//! Mail to those whom a waiting recall waits for, once for each waiting.
//!
//! A requester whose client can't be asked for a second factor (IMAP, mail) is sent the link, or
//! the command where there are no links. Whoever waits at a page or a command line is asked there.
//!
//! Refuses to put the content of a message into a mail, or to tell anybody of it who may not free
//! the recall.

use tern_base::{AccountId, Timestamp};
use tern_mailbox::{INBOX, MailboxError};
use tern_store::Verdict;

use crate::report::landing;
use crate::wait::{Held, told_in};
use crate::{Awaited, RecallError, RecallId, Recalls};

/// Protocols whose clients can't be asked anything.
const NOT_INTERACTIVE: [&str; 2] = ["imap", "smtp"];

/// A mail of the server's own to one of its accounts.
struct Letter {
    to: AccountId,
    subject: String,
    text: String,
}

impl Recalls {
    /// Writes to whomever a recall waits for, unless that was done.
    pub(crate) fn tell(&self, id: RecallId, now: Timestamp) -> Result<(), RecallError> {
        let held = self.held(id)?;
        if held.wait.told || !held.recall.state.is_waiting() {
            return Ok(());
        }
        let letters = match held.wait.awaited {
            Awaited::StepUp { .. } => self.to_requester(&held).into_iter().collect(),
            Awaited::Approval { .. } => Vec::new(),
        };
        let mut prepared = Vec::with_capacity(letters.len());
        for letter in &letters {
            let content = self.compose(&held, letter, now)?;
            let content = self.mailboxes().prepare(content, now)?;
            prepared.push((content, landing(&held.recall, letter.to, INBOX, now)));
        }
        let accounts: Vec<AccountId> = letters.iter().map(|letter| letter.to).collect();
        self.mailboxes().transact(&accounts, |txn| {
            if !told_in(txn, &held)? {
                return Ok(Verdict::Abandon(()));
            }
            for (content, landing) in &prepared {
                // One whose mailbox is full or gone keeps back none of the others.
                self.land_report_in(txn, content, landing, now)?;
            }
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// The mail with the link, to a requester who can't be asked otherwise.
    fn to_requester(&self, held: &Held) -> Option<Letter> {
        let asked_by = &held.wait.requester;
        let protocol = asked_by.authentication.protocol.as_str();
        let to = asked_by
            .account
            .filter(|_| NOT_INTERACTIVE.contains(&protocol))?;
        let recall = &held.recall;
        let how = match self.link(held) {
            Some(link) => {
                format!("Open this page and enter a code of your second factor:\n\n{link}")
            }
            None => format!(
                "Ask the operator of this server to confirm it for you, with a code of your second \
                 factor:\n\n    tern recall confirm {}",
                recall.id
            ),
        };
        let text = format!(
            "You asked on {} to take back:\n\n    {}\n\nThis needs a fresh second factor, since it \
             goes further than your client alone may ask for.\n{how}\n\nWithout it nothing is taken \
             back, and the request expires on {}.\nIf it was not you who asked, open nothing, and \
             change your password.\n\nReference: {}\n",
            recall.requested.rfc5322(),
            recall.subject_text(),
            held.wait.awaited.until().rfc5322(),
            recall.id
        );
        let subject = format!("Confirm to take back: {}", recall.subject_text());
        Some(Letter { to, subject, text })
    }

    fn compose(
        &self,
        held: &Held,
        letter: &Letter,
        now: Timestamp,
    ) -> Result<Vec<u8>, MailboxError> {
        let to = tern_directory::account(&*self.engine, letter.to)?;
        let to = to.map_or_else(String::new, |to| to.address.to_string());
        let (id, host) = (held.recall.id, &self.settings.hostname);
        // Unique by recall and waiting; the same when it is written again after a crash.
        let round = held.wait.awaited.until().as_millis();
        let head = format!(
            "From: Recall <recall@{host}>\r\nTo: <{to}>\r\nDate: {}\r\n\
             Message-ID: <recall-{id}-{round}-{}@{host}>\r\nSubject: {}\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
            now.rfc5322(),
            letter.to,
            one_line(&letter.subject),
        );
        Ok([head, letter.text.replace('\n', "\r\n")]
            .concat()
            .into_bytes())
    }
}

/// A text that ends no header field.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
