//! The report: one message in the sender's `Recall` mailbox, replaced as outcomes settle.
//!
//! It says what became of each address that the sender wrote, and, unless policy lets the sender see
//! exposure, nothing of how others keep their mail: neither who is behind a group, nor where a copy was, nor with which client it was read.

use std::fmt::Write as _;

use tern_base::{AccountId, ContentDigest, MailboxId, OriginId, Timestamp};
use tern_mailbox::{Flags, INBOX, Landing, Lineage, MailboxError, Placed, Prepared};
use tern_store::{Transaction, Verdict};

use crate::mail::decode_reply;
use crate::noticed;
use crate::shown::{answering, labelled};
use crate::tell::{answered_at, subject_field};
use crate::trigger::{REPORT_KEYWORD, skip_own_report_in};
use crate::{
    Addressed, Answers, Extent, RECALL_MAILBOX, Recall, RecallError, Recalls, SenderStatus, State,
    StatusLine, ToldOutcome, limits, tables,
};

impl Recalls {
    /// Writes the report, in place of an earlier one, and answers a mail that asked. A sender
    /// without a `Recall` mailbox gets no report; the record and the audit log have it all.
    pub(crate) fn write_report(&self, recall: &Recall, now: Timestamp) -> Result<(), RecallError> {
        let Some(owner) = recall.owner else {
            return self.report_written(recall);
        };
        let folder = match self.mailboxes().folder(owner, RECALL_MAILBOX) {
            Ok(folder) => Some(folder.id),
            Err(MailboxError::NoMailbox | MailboxError::NoAccount) => None,
            Err(error) => return Err(error.into()),
        };
        // Whoever asked by mail is answered once, when there is something to say.
        let reply_key = tables::reply(recall.id);
        let answers = recall.state.is_over() || recall.state.is_void();
        let asked_by = match self.engine.get(&reply_key)? {
            Some(row) if answers => Some(decode_reply(&row)?),
            _ => None,
        };
        if folder.is_none() && asked_by.is_none() {
            return self.report_written(recall);
        }
        let to = self.address(owner)?;
        let status = self.report_for(recall, &to, limits::MAX_LISTED, now)?;
        let prepare = |parent: &str| {
            let content = compose(&status, &to, parent, &self.settings.hostname, now);
            self.mailboxes().prepare(content, now)
        };
        let report =
            folder.map(|folder| Ok::<_, MailboxError>((folder, prepare(&recall.message_id)?)));
        let report = report.transpose()?;
        let reply = asked_by.as_deref().map(prepare).transpose()?;
        let landing = |mailbox| landing(recall, owner, mailbox, now);
        self.mailboxes().transact(&[owner], |txn| {
            let mut fresh = self.recall_in(txn, recall.id)?;
            if fresh.generation != recall.generation {
                // It went on meanwhile: whoever changed it writes the report.
                return Ok(Verdict::Abandon(()));
            }
            if let Some((folder, prepared)) = &report {
                // The old one goes when there is a new one: where that has no room, it stays.
                let placed = self.land_report_in(txn, prepared, &landing(*folder), now)?;
                if let Some(placed) = placed {
                    if let Some(old) = fresh.report {
                        self.mailboxes().remove_in(txn, owner, old, now)?;
                    }
                    skip_own_report_in(txn, owner, placed.uid)?;
                    fresh.report = Some(placed.message);
                }
            }
            if let Some(prepared) = &reply
                && txn.get(&reply_key)?.is_some()
            {
                self.land_report_in(txn, prepared, &landing(INBOX), now)?;
                txn.delete(reply_key.clone());
            }
            fresh.reported = recall.generation;
            fresh.put_in(txn)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// A sender over quota gets no report mail rather than none of the recall's other effects.
    pub(crate) fn land_report_in(
        &self,
        txn: &mut Transaction<'_>,
        prepared: &Prepared,
        landing: &Landing,
        now: Timestamp,
    ) -> Result<Option<Placed>, RecallError> {
        let landings = std::slice::from_ref(landing);
        let placed = self
            .mailboxes()
            .land_in(txn, prepared, landings, now)?
            .pop();
        match placed {
            Some(Ok(placed)) => Ok(Some(placed)),
            Some(Err(MailboxError::Store(error))) => Err(error.into()),
            Some(Err(_)) | None => Ok(None),
        }
    }

    /// Nobody to write to.
    fn report_written(&self, recall: &Recall) -> Result<(), RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            let mut fresh = self.recall_in(txn, recall.id)?;
            // What has changed since it was read is still to be done, and told.
            fresh.reported = recall.generation;
            fresh.put_in(txn)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// Whether a letter is a report of a recall of this account's: for checks.
    pub fn is_report(
        &self,
        account: AccountId,
        digest: ContentDigest,
    ) -> Result<bool, RecallError> {
        let copies = self.mailboxes().copies(digest)?;
        let of_account = copies.iter().filter(|copy| copy.account == account);
        for copy in of_account {
            if self.recall(crate::RecallId(copy.origin.0)).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// How a report lands in one of its reader's mailboxes.
pub(crate) fn landing(
    recall: &Recall,
    account: AccountId,
    mailbox: MailboxId,
    now: Timestamp,
) -> Landing {
    let mut flags = Flags::empty();
    flags.add_keyword(REPORT_KEYWORD);
    Landing {
        account,
        mailbox,
        flags,
        received: now,
        prefix: Vec::new(),
        origin: OriginId(recall.id.0),
        lineage: Lineage::Delivered,
        brought_by: None,
    }
}

/// A report, as an answer to the message with this Message-ID.
fn compose(
    status: &SenderStatus,
    to: &str,
    parent: &str,
    hostname: &str,
    now: Timestamp,
) -> Vec<u8> {
    let recall = &status.recall;
    let boundary = format!("report-{}", recall.id);
    // What was not found has no subject: it is named as it was asked for.
    let subject = match (recall.subject_text(), recall.message_id.as_str()) {
        (subject, _) if !subject.is_empty() => subject,
        (_, "") => String::from("(no subject)"),
        (_, id) => format!("<{id}>"),
    };
    let mut out = Vec::new();
    let mut head = String::new();
    let _ = write!(
        head,
        "From: Recall <recall@{}>\r\nTo: <{to}>\r\nDate: {}\r\n\
         Message-ID: <recall-{}-{}@{hostname}>\r\n",
        answered_at(to, hostname),
        now.rfc5322(),
        recall.id,
        now.as_millis()
    );
    head.push_str(&answering(parent));
    out.extend_from_slice(head.as_bytes());
    let subject = subject_field(&format!("{}: {subject}", headline(status)));
    let head = format!(
        "{subject}Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(text(status).replace('\n', "\r\n").as_bytes());
    let json = serde_json::to_string_pretty(&status.json()).unwrap_or_default();
    let tail = format!(
        "\r\n--{boundary}\r\nContent-Type: application/json; charset=utf-8\r\n\
         Content-Disposition: attachment; filename=\"recall-{}.json\"\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{}\r\n--{boundary}--\r\n",
        recall.id,
        json.replace('\n', "\r\n")
    );
    out.extend_from_slice(tail.as_bytes());
    out
}

/// What the subject line of a report begins with.
fn headline(status: &SenderStatus) -> &'static str {
    match status.recall.state {
        State::AwaitingStepUp => "Waits for your second factor",
        State::AwaitingApproval => "Waits for approval",
        State::Planned => "Will be taken back",
        State::Running => "Being taken back",
        State::Refused(_) | State::Cancelled | State::Expired => "Not taken back",
        State::Restoring => "Being restored",
        State::Restored => "Restored",
        State::Done => match Extent::of(&status.tally) {
            Extent::All => "Taken back",
            Extent::Some => "Partly taken back",
            Extent::None => "Could not be taken back",
        },
    }
}

/// Which recall of which message the report is about.
fn facts(out: &mut String, status: &SenderStatus) {
    let recall = &status.recall;
    let subject = tern_mime::shown_header_text(&recall.subject);
    let _ = writeln!(out, "{}.\n", headline(status));
    if !subject.is_empty() {
        *out += &labelled("Subject:    ", &subject);
    } else if !recall.message_id.is_empty() {
        *out += &labelled("Message:    ", &format!("<{}>", recall.message_id));
    }
    if let Some(submitted) = status.submitted {
        let _ = writeln!(out, "Sent:       {}", submitted.rfc5322());
    }
    let _ = writeln!(
        out,
        "Requested:  {} by {}",
        recall.requested.rfc5322(),
        recall.requester
    );
    if let Some(reason) = &recall.reason {
        *out += &labelled("Reason:     ", reason);
    }
    if let Some(attachment) = &recall.attachment {
        *out += &labelled("Attachment: ", &attachment.to_string());
    }
    if let Some(replacement) = &recall.replacement {
        *out += &labelled("Correction: ", &format!("<{replacement}>"));
    }
    if let Some(expires) = recall.expires {
        let _ = writeln!(out, "Expires:    {}", expires.rfc5322());
    }
    if let Some(restored) = recall.restored {
        let _ = writeln!(out, "Restored:   {}", restored.rfc5322());
    }
    let _ = writeln!(out, "Reference:  {}\n", recall.id);
}

/// The report for people.
pub(crate) fn text(status: &SenderStatus) -> String {
    let recall = &status.recall;
    let mut out = String::new();
    facts(&mut out, status);
    if let State::Refused(refusal) = recall.state {
        let _ = writeln!(out, "{} ({})", refusal.sentence(), refusal.code());
    }
    for sentence in status
        .wait
        .iter()
        .flat_map(|wait| wait.sentences(recall.state))
    {
        let _ = writeln!(out, "{sentence}");
    }
    if recall.state.is_void() && recall.replacement.is_some() {
        out.push_str("The corrected message was delivered as ordinary mail.\n");
    }
    if recall.state.is_void() || recall.state.is_waiting() {
        return out;
    }
    if status.wait.is_some() {
        out.push('\n');
    }
    if recall.attachment.is_some() {
        out.push_str(
            "It concerns this attachment: the rest of the message stays in the mailboxes here. What was \
             still on its way to other servers was stopped as a whole.\n\n",
        );
    }
    if recall.state == State::Restored {
        out.push_str(
            "The recall was undone: every copy that was kept is back where it was, but for those that \
             another recall covers, that a client had put back besides, or whose account is gone. It had \
             come to this.\n\n",
        );
    }
    summary(&mut out, &status.outcomes());
    if status.on_their_way > 0 {
        let _ = writeln!(
            out,
            "The delivery is still under way: {} of these copies have not arrived and are stopped \
             as they do.\n",
            status.on_their_way
        );
    }
    addresses(&mut out, status);
    served(&mut out, &status.copies);
    if status.more > 0 {
        let _ = writeln!(
            out,
            "And {} more addresses; an operator can see them all.\n",
            status.more
        );
    }
    answers(&mut out, &status.answers);
    // What ends a part of the text stands between two parts, and after none.
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// What became of each address, those first that need somebody to look.
fn addresses(out: &mut String, status: &SenderStatus) {
    if status.recall.state == State::Restored {
        let all: Vec<_> = status.addressed.iter().collect();
        return section(out, "Address by address:", &all);
    }
    let (attention, settled): (Vec<_>, Vec<_>) = status
        .addressed
        .iter()
        .partition(|addressed| addressed.needs_attention());
    let (told, hidden): (Vec<_>, Vec<_>) = settled
        .into_iter()
        .partition(|addressed| addressed.is_exposure_told());
    section(out, "Please look at these:", &attention);
    section(out, "Taken back without having been read:", &told);
    section(
        out,
        "Taken back; whether it had been read is not told:",
        &hidden,
    );
}

/// What was served of each copy, for a reader who may see that.
fn served(out: &mut String, copies: &[StatusLine]) {
    let told = copies.iter().filter_map(|copy| {
        let seen = copy.seen.as_ref()?;
        let sentences = [seen.served_text(), seen.devices_text()];
        let told: Vec<String> = sentences.into_iter().flatten().collect();
        (!told.is_empty()).then_some((&copy.recipient, told))
    });
    let mut titled = false;
    for (recipient, sentences) in told {
        if !std::mem::replace(&mut titled, true) {
            out.push_str("What had been served, and who knows that it is gone:\n\n");
        }
        let _ = writeln!(out, "  {recipient}");
        for sentence in sentences {
            let _ = writeln!(out, "      {sentence}");
        }
    }
    if titled {
        out.push('\n');
    }
}

/// What answers the message, and what became of that.
fn answers(out: &mut String, answers: &Answers) {
    if answers.lines.is_empty() {
        return;
    }
    out.push_str("Messages that answer it and may quote it:\n\n");
    for line in &answers.lines {
        let _ = writeln!(out, "  {}\n      {}", line.text(), line.fate.sentence());
    }
    if let Some(rest) = answers.rest() {
        let _ = writeln!(out, "  {rest}");
    }
    out.push('\n');
}

fn summary(out: &mut String, outcomes: &[(ToldOutcome, u64)]) {
    let total: u64 = outcomes.iter().map(|(_, count)| count).sum();
    let _ = writeln!(
        out,
        "{total} {} in all:",
        if total == 1 { "copy" } else { "copies" }
    );
    for (outcome, count) in outcomes {
        let _ = writeln!(out, "  {count:>6}  {}", outcome.words());
    }
    out.push('\n');
}

fn section(out: &mut String, title: &str, addresses: &[&Addressed]) {
    if addresses.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}\n");
    for addressed in addresses {
        let recipient = addressed.recipient.as_deref();
        let _ = writeln!(out, "  {}", recipient.unwrap_or("Copies elsewhere"));
        let copies: u64 = addressed.ends.values().sum();
        if addressed.ends.is_empty() {
            out.push_str("      The message was sent to nobody by this address.\n");
        }
        for (end, count) in &addressed.ends {
            out.push_str("      ");
            if copies > 1 {
                let _ = write!(out, "{count} of {copies}: ");
            }
            out.push_str(end.sentence());
            match (end.restored, end.purged) {
                (true, _) => out.push_str(" Put back."),
                _ if end.handed_over => out.push_str(" Not put back: another recall covered it."),
                (_, true) => out.push_str(" No longer kept: it can't be put back."),
                _ => {}
            }
            if let Some(landed) = end.noticed {
                let _ = write!(out, " {}", noticed::sentence(landed));
            }
            let _ = writeln!(out, " ({})", end.code());
        }
    }
    out.push('\n');
}
