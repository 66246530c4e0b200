//! What recipients are told: that a message they had was taken back, in one mail to their inbox.
//!
//! Invariants:
//! - Whoever gets a notice of a recall gets one, whatever is killed or run again: the cursor in the
//!   record moves in the transaction that lands it. Who had no room for it gets none.
//! - The subject and the sender are told only to those who had opened the message themselves, not to those
//!   in whose mailbox somebody else had read it.
//!
//! Refuses to write to the sender, or to anybody outside. Nobody is told of what was stopped before it
//! was in their mailbox, or of what is put back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, EmailAddress, MessageId, Timestamp};
use tern_mailbox::{ExposureLevel, INBOX, Ledger, MailboxError, Prepared};
use tern_policy::Notice;
use tern_store::{Transaction, Verdict};

use crate::audit::audit_entry;
use crate::report::landing;
use crate::shown::{labelled, quoted};
use crate::tell::ServerMail;
use crate::{
    Noticed, Outcome, Recall, RecallError, RecallId, Recalls, State, Subject, Submission, limits,
};

/// Accounts that one transaction writes to.
const CHUNK: usize = 100;
/// The cursor of a recall whose notices are out: beyond every account.
const ALL_TOLD: u64 = 1 << 32;

/// Whom a recall tells of itself, and in which words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Which recipients. Where nothing is said: those who had opened it, of a message of ours that is
    /// withdrawn; nobody, where a correction takes its place, its own header says when it expires, or it came from
    /// outside.
    pub whom: Option<Notice>,
    /// What the requester wants them to read.
    pub text: Option<String>,
}

impl Notices {
    /// As they go on record, for a recall of this kind.
    pub(crate) fn resolved(&self, is_plain: bool, found: Option<&Submission>) -> Self {
        let is_ours = found.is_none_or(|found| found.submitter().is_some());
        let whom = match is_plain && is_ours {
            true => Notice::ExposedOnly,
            false => Notice::None,
        };
        Self {
            whom: Some(self.whom.unwrap_or(whom)),
            text: self.text.as_deref().and_then(cleaned),
        }
    }

    /// The same, with what is said of them later.
    pub(crate) fn with(&self, said: &Self) -> Self {
        let text = said.text.as_deref().and_then(cleaned);
        Self {
            whom: said.whom.or(self.whom),
            text: text.or_else(|| self.text.clone()),
        }
    }

    pub(crate) const fn whom(&self) -> Notice {
        match self.whom {
            Some(whom) => whom,
            None => Notice::None,
        }
    }

    /// Whom notices are for, by a name that people give: as policies have it, or as the command line has.
    pub fn named(name: &str) -> Option<Notice> {
        let names = [
            ("none", Notice::None),
            ("exposed", Notice::ExposedOnly),
            ("exposed-only", Notice::ExposedOnly),
            ("all", Notice::All),
        ];
        let mut names = names.into_iter();
        names.find_map(|(known, whom)| known.eq_ignore_ascii_case(name).then_some(whom))
    }

    /// The name of whom they are for, as policies have it.
    pub const fn code(&self) -> &'static str {
        match self.whom() {
            Notice::None => "none",
            Notice::ExposedOnly => "exposed-only",
            Notice::All => "all",
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.option(self.whom, |w, whom| {
            w.byte(match whom {
                Notice::None => 0,
                Notice::ExposedOnly => 1,
                Notice::All => 2,
            });
        });
        w.option(self.text.as_ref(), |w, text| {
            w.text(text);
        });
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        let whom = |r: &mut Reader<'_>| match r.byte()? {
            0 => Ok(Notice::None),
            1 => Ok(Notice::ExposedOnly),
            2 => Ok(Notice::All),
            _ => Err(Damaged),
        };
        Ok(Self {
            whom: r.option(whom)?,
            text: r.option(Reader::text)?,
        })
    }

    /// Whether one whose copy ended so is told.
    fn is_for(&self, outcome: Outcome) -> bool {
        match self.whom() {
            Notice::None => false,
            Notice::ExposedOnly => outcome == Outcome::WithdrawnExposed,
            Notice::All => matches!(
                outcome,
                Outcome::WithdrawnExposed | Outcome::WithdrawnUnexposed
            ),
        }
    }
}

/// Plain text with its line breaks and nothing else that is no character to read.
fn cleaned(text: &str) -> Option<String> {
    let text = text.replace("\r\n", "\n");
    let kept = text.chars().filter(|c| *c == '\n' || !c.is_control());
    let text: String = kept.take(limits::MAX_NOTICE_TEXT).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The mail to those who had opened the message, and to those who had not; each once somebody is to get it.
#[derive(Default)]
struct Mails {
    opened: Option<Prepared>,
    unopened: Option<Prepared>,
}

/// Who gets a notice, by account, with their copies that were served: of one of those they may have seen
/// the text.
type ToBeTold = BTreeMap<AccountId, Vec<MessageId>>;

impl Recalls {
    /// Writes to recipients of a recall that is done, unless that was done.
    pub(crate) fn notify(&self, recall: &Recall, now: Timestamp) -> Result<(), RecallError> {
        if !recall.are_notices_due() {
            return Ok(());
        }
        let told: Vec<_> = self.to_be_told(recall)?.into_iter().collect();
        let (mut cursor, mut mails) = (recall.noticed, Mails::default());
        for chunk in told.chunks(CHUNK) {
            let Some((last, _)) = chunk.last() else {
                continue;
            };
            let next = u64::from(last.0) + 1;
            let chunk = self.who_opened(chunk)?;
            self.prepare_notices(recall, &chunk, &mut mails, now)?;
            if !self.notify_chunk(recall.id, &mails, &chunk, (cursor, next), now)? {
                // Undone meanwhile, or another run is at it.
                return Ok(());
            }
            cursor = next;
        }
        self.notify_chunk(recall.id, &mails, &[], (cursor, ALL_TOLD), now)?;
        Ok(())
    }

    /// The accounts from the cursor on that get a notice.
    fn to_be_told(&self, recall: &Recall) -> Result<ToBeTold, RecallError> {
        let mut told = ToBeTold::new();
        if recall.notices.whom() == Notice::None {
            return Ok(told);
        }
        let submission = self.submission_of(recall)?;
        self.each_outcome(recall.id, |subject, outcome| {
            let Subject::Copy(account, message) = subject else {
                return;
            };
            let done = u64::from(account.0) < recall.noticed;
            if done || account == submission.account || !recall.notices.is_for(outcome.outcome) {
                return;
            }
            let exposed = told.entry(account).or_default();
            // Who was served what carries it need not have looked at what is inside.
            if outcome.outcome == Outcome::WithdrawnExposed && outcome.carriage.is_none() {
                exposed.push(message);
            }
        })?;
        Ok(told)
    }

    /// Which of these had opened the message: a copy was served to a client of the account that it is in.
    /// What somebody has read there by rights that they were given, its owner need not have seen.
    fn who_opened(
        &self,
        told: &[(AccountId, Vec<MessageId>)],
    ) -> Result<Vec<(AccountId, bool)>, RecallError> {
        let served = told.iter().flat_map(|(account, exposed)| {
            let copy = move |message: &MessageId| (*account, *message);
            exposed.iter().map(copy)
        });
        let served: Vec<(AccountId, MessageId)> = served.collect();
        let mut ledgers = self.sealing().ledgers(&served)?.into_iter();
        let opened = told.iter().map(|(account, exposed)| {
            let mut opened = false;
            for ledger in ledgers.by_ref().take(exposed.len()) {
                opened |= was_opened_by_its_owner(&ledger);
            }
            (*account, opened)
        });
        Ok(opened.collect())
    }

    /// Prepares the mails that some accounts are to get, unless that was done.
    fn prepare_notices(
        &self,
        recall: &Recall,
        told: &[(AccountId, bool)],
        mails: &mut Mails,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        for (mail, opened) in [(&mut mails.opened, true), (&mut mails.unopened, false)] {
            let wanted = told.iter().any(|(_, of_account)| *of_account == opened);
            if !wanted || mail.is_some() {
                continue;
            }
            let submission = self.submission_of(recall)?;
            let sender = match (opened, submission.submitter()) {
                (true, Some(account)) => Some(self.address(account)?),
                (true, None) => submission.mail_from.as_ref().map(ToString::to_string),
                (false, _) => None,
            };
            let content = self.notice(recall, &submission, (opened, sender.as_deref()));
            *mail = Some(self.mailboxes().prepare(content, now)?);
        }
        Ok(())
    }

    /// The mail as its readers get it: the same for all of them, and word for word the same after a
    /// crash, so that it is stored once.
    fn notice(
        &self,
        recall: &Recall,
        submission: &Submission,
        (opened, sender): (bool, Option<&str>),
    ) -> Vec<u8> {
        let who = match EmailAddress::parse(&recall.requester) {
            Ok(address) => address.to_string(),
            // The name that an operator has at the server is nobody else's business.
            Err(_) => String::from("An operator of this server"),
        };
        let at = recall.finished.unwrap_or(recall.requested);
        let subject = recall.subject_text();
        let attachment = recall.attachment.as_ref();
        let what = match attachment {
            Some(_) => "an attachment of a message",
            None => "a message",
        };
        let mut text = format!("{who} took back {what} that was in your mailbox.\n\n");
        if opened {
            text += &labelled("Subject:    ", &subject);
        }
        if let Some(attachment) = attachment.filter(|_| opened) {
            text += &labelled("Attachment: ", &attachment.to_string());
        }
        let _ = write!(text, "Sent:       {}", submission.submitted.rfc5322());
        if let Some(sender) = sender {
            let _ = write!(text, " by {sender}");
        }
        let _ = writeln!(text, "\nTaken back: {}", at.rfc5322());
        if let Some(said) = &recall.notices.text {
            let _ = writeln!(text, "\n{who} writes:\n\n{}", quoted(said));
        }
        text.push_str(match attachment {
            Some(_) => "\nThe rest of the message stays. There is nothing for you to do.\n",
            None => "\nIt is no longer in your mailbox, and there is nothing for you to do.\n",
        });
        let _ = writeln!(text, "\nReference: {}", recall.id);
        let (name, subject) = match opened {
            true => ("opened", format!("Taken back: {subject}")),
            false => (
                "notice",
                format!(
                    "{} was taken back",
                    match attachment {
                        Some(_) => "An attachment of a message to you",
                        None => "A message to you",
                    }
                ),
            ),
        };
        self.server_mail(
            &ServerMail {
                name: &format!("{}-{name}", recall.id),
                to: "undisclosed-recipients:;",
                subject: &subject,
                text: &text,
            },
            at,
        )
    }

    /// Lands the notices of these accounts and moves the cursor past them; answers whether it stood
    /// where it should.
    fn notify_chunk(
        &self,
        id: RecallId,
        mails: &Mails,
        chunk: &[(AccountId, bool)],
        (cursor, next): (u64, u64),
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        let accounts: Vec<AccountId> = chunk.iter().map(|(account, _)| *account).collect();
        self.mailboxes().transact(&accounts, |txn| {
            let mut fresh = self.recall_in(txn, id)?;
            if fresh.noticed != cursor || !fresh.are_notices_due() {
                return Ok(Verdict::Abandon(false));
            }
            for (mail, opened) in [(&mails.opened, true), (&mails.unopened, false)] {
                let to = chunk.iter().filter(|(_, of_account)| *of_account == opened);
                let to: Vec<AccountId> = to.map(|(account, _)| *account).collect();
                let to_inbox = |account: &AccountId| landing(&fresh, *account, INBOX, now);
                let landings: Vec<_> = to.iter().map(to_inbox).collect();
                let Some(mail) = mail.as_ref().filter(|_| !landings.is_empty()) else {
                    continue;
                };
                // One whose mailbox is full or gone keeps back none of the others.
                let placed = self.mailboxes().land_in(txn, mail, &landings, now)?;
                for (account, placed) in to.into_iter().zip(placed) {
                    if let Err(MailboxError::Store(error)) = placed {
                        return Err(error.into());
                    }
                    let landed = placed.is_ok();
                    Noticed { at: now, landed }.put_in(txn, id, account);
                }
            }
            fresh.noticed = next;
            if next == ALL_TOLD {
                self.all_told_in(txn, &mut fresh, now)?;
            }
            fresh.put_in(txn)?;
            Ok::<_, RecallError>(Verdict::Commit(true))
        })
    }
}

impl Recalls {
    /// Puts on record how many got one, where anybody was to: the report says who.
    fn all_told_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &mut Recall,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        // Only this recall's cursor leads here, which the transaction has read.
        let told = self.noticed(recall.id)?;
        if told.is_empty() {
            return Ok(());
        }
        let landed = told.values().filter(|one| one.landed).count();
        let entry = audit_entry(recall, "noticed", "recall.noticed", now)
            .detail("sent", landed as u64)
            .detail("not-accepted", (told.len() - landed) as u64);
        tern_audit::append_in(txn, entry)?;
        recall.changed();
        Ok(())
    }
}

impl Recall {
    /// Whether recipients are still to be told.
    pub(crate) fn are_notices_due(&self) -> bool {
        let anybody = self.notices.whom() != Notice::None;
        anybody && self.state == State::Done && self.noticed < ALL_TOLD
    }
}

fn was_opened_by_its_owner(ledger: &Ledger) -> bool {
    let mut servings = ledger.servings.iter().chain(&ledger.others);
    servings.any(|serving| {
        serving.device.reader().is_none() && serving.level() > Some(ExposureLevel::Headers)
    })
}
