//! Mail to those whom a waiting recall waits for, once for each waiting.
//!
//! Approvers are the accounts that hold a role by which the policy lets them approve this very
//! recall. They are told who asks for what, why, until when and how to answer. A requester whose client can't be asked for a second factor (IMAP, mail) is sent the link, or
//! the command where there are no links. Whoever waits at a page or a command line is asked there.
//!
//! Refuses to put the content of a message into a mail, or to tell anybody of it who may not free
//! the recall.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use mail_builder::headers::Header as _;
use mail_builder::headers::text::Text;
use tern_base::{AccountId, Timestamp};
use tern_mailbox::{INBOX, MailboxError};
use tern_policy::Authentication;
use tern_store::Verdict;

use crate::report::landing;
use crate::shown::labelled;
use crate::wait::{Held, told_in};
use crate::{Awaited, Frozen, RecallError, RecallId, Recalls, Requester, limits};

/// Protocols whose clients can't be asked anything.
const NOT_INTERACTIVE: [&str; 2] = ["imap", "smtp"];

/// Whether somebody asked from where they can't be asked back.
pub(crate) fn is_mute(requester: &Requester) -> bool {
    NOT_INTERACTIVE.contains(&requester.authentication.protocol.as_str())
}

/// A mail of the server's own to one of its accounts.
pub(crate) struct Letter {
    pub(crate) to: AccountId,
    /// What its Message-ID says it is about.
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// What a mail of the server's own is made of.
pub(crate) struct ServerMail<'a> {
    /// What its Message-ID says it is about.
    pub(crate) name: &'a str,
    /// The value of its `To:`.
    pub(crate) to: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) text: &'a str,
}

impl Recalls {
    /// Writes to whomever a recall waits for, unless that was done.
    pub(crate) fn tell(&self, id: RecallId, now: Timestamp) -> Result<(), RecallError> {
        let held = self.held(id)?;
        if held.wait.told || !held.recall.state.is_waiting() {
            return Ok(());
        }
        let letters = match held.wait.awaited {
            Awaited::StepUp { .. } => self.to_requester(&held)?.into_iter().collect(),
            Awaited::Approval { .. } => self.to_approvers(&held, now)?,
            Awaited::Time { .. } => return Ok(()),
        };
        let mut prepared = Vec::with_capacity(letters.len());
        for letter in &letters {
            let content = self.compose(letter, now)?;
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
            let mut recall = self.recall_in(txn, id)?;
            recall.follow(accounts.iter().copied());
            recall.put_in(txn)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// The mail with the link, to a requester who can't be asked otherwise.
    fn to_requester(&self, held: &Held) -> Result<Option<Letter>, RecallError> {
        let asked_by = &held.wait.requester;
        let Some(to) = asked_by.account.filter(|_| is_mute(asked_by)) else {
            return Ok(None);
        };
        let recall = &held.recall;
        let wants_reason = self.wants_reason(recall.id)?;
        let how = match (self.link(held), wants_reason) {
            (Some(link), false) => {
                format!("Open this page and enter a code of your second factor:\n\n{link}")
            }
            (Some(link), true) => format!(
                "A reason is required, too. Open this page, say why, and enter a code of your second \
                 factor:\n\n{link}"
            ),
            (None, true) => String::from(
                "A reason is required, too. Ask again by a mail to recall@ your domain, with a line \
                 that begins with \"Reason:\".",
            ),
            (None, false) => format!(
                "Ask the operator of this server to confirm it for you, with a code of your second \
                 factor:\n\n    tern recall confirm {} --as {} --code CODE",
                recall.id, asked_by.name
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
        Ok(Some(Letter {
            to,
            name: name(held),
            subject,
            text,
        }))
    }

    /// The mails to those who may approve it and have not.
    fn to_approvers(&self, held: &Held, now: Timestamp) -> Result<Vec<Letter>, RecallError> {
        let recall = &held.recall;
        let Some(waiting) = self.waiting(recall.id, now)? else {
            return Ok(Vec::new());
        };
        let mut text = format!(
            "{} asks to take back a message, and somebody else has to approve it.\n\n\
             {}Sent:       {} by {}\nRecipients: {}\nRequested:  {}\n",
            recall.requester,
            labelled("Subject:    ", &recall.subject_text()),
            waiting.submitted.rfc5322(),
            waiting.sender,
            waiting.recipients,
            recall.requested.rfc5322(),
        );
        if let Some(reason) = &recall.reason {
            text += &labelled("Reason:     ", reason);
        }
        if let Some(frozen) = self.frozen_requester(held)? {
            let _ = write!(
                text,
                "\nThe recalls of {} are frozen since {}, as those of a stolen account would be. {}\n\
                 Make sure that it is them who ask. An approval ends that.\n",
                recall.requester,
                frozen.since.rfc5322(),
                frozen.why
            );
        }
        let until = waiting.wait.awaited.until().rfc5322();
        let subject = format!("Approve to take back: {}", recall.subject_text());
        let approvers = self.approvers(held, now)?.into_iter();
        Ok(approvers
            .map(|(to, address)| {
                let how = self.how_to_answer(held, to, &address, now);
                Letter {
                    to,
                    name: name(held),
                    subject: subject.clone(),
                    text: format!(
                        "{text}\n{how}\nUntil then nothing is taken back. It expires on {until}.\n"
                    ),
                }
            })
            .collect())
    }

    /// By which page or command somebody answers who may approve.
    fn how_to_answer(&self, held: &Held, to: AccountId, address: &str, now: Timestamp) -> String {
        let id = held.recall.id;
        let commands = format!(
            "    tern recall approve {id} --as {address}\n    tern recall decline {id} --as {address}\n"
        );
        match self.approval_link(held, to, now) {
            Some(link) => format!(
                "Approve it, or decline it, on this page, with a code of your second factor. It is for \
                 you alone:\n\n{link}\n\nOr have your operator do it at the server:\n\n{commands}"
            ),
            None => format!(
                "Approve it, or decline it, with your operator at the server:\n\n{commands}"
            ),
        }
    }

    /// Why and since when whoever asked is frozen.
    fn frozen_requester(&self, held: &Held) -> Result<Option<Frozen>, RecallError> {
        match held.wait.requester.account {
            Some(account) => self.frozen(account),
            None => Ok(None),
        }
    }

    /// The accounts that may approve a waiting recall and have not, with their addresses; not more
    /// than are written to.
    fn approvers(
        &self,
        held: &Held,
        now: Timestamp,
    ) -> Result<Vec<(AccountId, String)>, RecallError> {
        let mut holders = BTreeSet::new();
        for (grant, _) in tern_directory::list_grants(&*self.engine)? {
            holders.insert(grant.account);
        }
        for approval in held.wait.counted() {
            approval.by.account.map(|account| holders.remove(&account));
        }
        let mut approvers = Vec::new();
        for account in holders {
            let name = self.address(account)?;
            let by = Requester {
                account: Some(account),
                name: name.clone(),
                authentication: Authentication::default(),
            };
            if self.may_approve(held, &by, now).is_ok() {
                approvers.push((account, name));
            }
            if approvers.len() >= limits::MAX_APPROVERS_TOLD {
                break;
            }
        }
        Ok(approvers)
    }

    /// The mail as its reader gets it.
    pub(crate) fn compose(&self, letter: &Letter, now: Timestamp) -> Result<Vec<u8>, MailboxError> {
        let to = tern_directory::account(&*self.engine, letter.to)?;
        let to = to.map_or_else(String::new, |to| to.address.to_string());
        let mail = ServerMail {
            name: &format!("{}-{}", letter.name, letter.to),
            to: &format!("<{to}>"),
            subject: &letter.subject,
            text: &letter.text,
        };
        Ok(self.server_mail(&mail, now))
    }

    /// A mail of the server's own, as it is stored.
    pub(crate) fn server_mail(&self, mail: &ServerMail<'_>, date: Timestamp) -> Vec<u8> {
        let host = &self.settings.hostname;
        let head = format!(
            "From: Recall <recall@{}>\r\nTo: {}\r\nDate: {}\r\n\
             Message-ID: <recall-{}@{host}>\r\n{}\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
            answered_at(mail.to, host),
            mail.to,
            date.rfc5322(),
            mail.name,
            subject_field(mail.subject),
        );
        [head, mail.text.replace('\n', "\r\n")]
            .concat()
            .into_bytes()
    }
}

/// The domain whose `recall@` hears an answer: that of whoever reads it. The name of the host need be no domain of
/// this server.
pub(crate) fn answered_at<'a>(to: &'a str, host: &'a str) -> &'a str {
    let domain = to
        .rsplit_once('@')
        .map(|(_, domain)| domain.trim_end_matches('>'));
    domain.filter(|domain| !domain.is_empty()).unwrap_or(host)
}

/// The field `Subject:` with a text for people, in encoded words where it needs them (RFC 2047).
pub(crate) fn subject_field(text: &str) -> String {
    let mut field = b"Subject: ".to_vec();
    Text::new(tern_mime::shown_text(text)).write_header(&mut field, 9);
    String::from_utf8_lossy(&field).into_owned()
}

/// Unique by recall and waiting; the same when it is written again after a crash.
fn name(held: &Held) -> String {
    let round = held.wait.awaited.until().as_millis();
    format!("{}-{round}", held.recall.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_octets_that_any_client_shows_as_it_was() {
        assert_eq!(
            subject_field("Taken back: one"),
            "Subject: Taken back: one\r\n"
        );
        let long = "Zurückgenommen – ".repeat(20);
        for text in ["Gehälter 2027 – vertraulich", "a\r\nBcc: b", &long] {
            let field = subject_field(text);
            assert!(field.is_ascii() && field.ends_with("\r\n"), "{field}");
            assert!(field.lines().all(|line| line.len() <= 998), "{field}");
            let mut lines = field.lines().skip(1);
            assert!(lines.all(|line| line.starts_with([' ', '\t'])), "{field}");
            let value = field.strip_prefix("Subject: ").unwrap_or_default();
            let shown = tern_mime::decode_header_text(value.trim_end().as_bytes());
            assert_eq!(shown.trim_end(), tern_mime::shown_text(text).trim_end());
        }
    }
}
