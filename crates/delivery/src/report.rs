//! Delivery status notifications: the words and the form (RFC 3464), as octets.
//!
//! Invariant: nothing that a peer sent can add a header field, a line or a body part: every text
//! is reduced to one line, and the boundary is not foreseeable.

use std::borrow::Cow;
use std::fmt::Write as _;

use tern_base::{EmailAddress, OriginId, Timestamp};
use tern_queue::{DsnReturn, Reply};

use crate::entry::{Facts, Head};
use crate::{Refusal, limits};

/// What this server did with one recipient by itself, which is all that a job has to tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocalAction {
    /// It refused it.
    Failed(Refusal),
    /// It put it into the mailbox.
    Delivered,
    /// It sent it on to the members of a list.
    Expanded,
}

/// What happened to one recipient (RFC 3464 2.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// What this server did.
    Local(LocalAction),
    /// Another server refused it, or it could not be reached in time.
    Refused {
        /// The lifetime of the item ran out.
        expired: bool,
    },
    /// It takes long, and is tried until this time.
    Delayed(Timestamp),
    /// It was handed to a server that does not report.
    Relayed,
}

/// What a notice owes of one recipient to whom no other server had a say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalReport {
    pub(crate) recipient: EmailAddress,
    pub(crate) original: Option<String>,
    pub(crate) action: LocalAction,
}

/// One recipient's part of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) recipient: EmailAddress,
    pub(crate) original: Option<String>,
    pub(crate) action: Action,
    /// What another server said.
    pub(crate) reply: Option<(Timestamp, Reply)>,
}

impl LocalReport {
    /// A recipient of the envelope, by the name that the sender knows: not whom it led to.
    pub(crate) fn of(head: &Head, action: LocalAction) -> Self {
        Self {
            recipient: head.recipient.address.clone(),
            original: head.recipient.orcpt.clone(),
            action,
        }
    }
}

impl From<LocalReport> for Report {
    fn from(local: LocalReport) -> Self {
        Self {
            recipient: local.recipient,
            original: local.original,
            action: Action::Local(local.action),
            reply: None,
        }
    }
}

/// A notice to the sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) reports: Vec<Report>,
    /// How many more there are.
    pub(crate) omitted: usize,
}

impl Notice {
    fn has_failure(&self) -> bool {
        let failed = |report: &Report| {
            matches!(
                report.action,
                Action::Local(LocalAction::Failed(_)) | Action::Refused { .. }
            )
        };
        self.reports.iter().any(failed)
    }

    fn is_delay(&self) -> bool {
        let delayed = |report: &Report| matches!(report.action, Action::Delayed(_));
        self.reports.iter().any(delayed)
    }
}

/// What the message of a notice is made of.
pub(crate) struct Composition<'a> {
    pub(crate) hostname: &'a str,
    pub(crate) facts: &'a Facts,
    pub(crate) to: &'a EmailAddress,
    pub(crate) notice: &'a Notice,
    /// The message that it is about.
    pub(crate) content: &'a [u8],
    /// Even when asked, only the header is given back.
    pub(crate) headers_only: bool,
    /// It goes to another server, which may not take 8-bit content.
    pub(crate) leaves: bool,
    pub(crate) origin: OriginId,
    pub(crate) now: Timestamp,
}

impl Composition<'_> {
    /// The whole message.
    pub(crate) fn compose(&self) -> Vec<u8> {
        let status = self.status();
        // RFC 6533: the forms for addresses in UTF-8, which no server takes that is not asked for
        // 8 bits as well.
        let utf8 = !status.is_ascii();
        let (returned, whole) = self.returned(self.leaves && !utf8);
        let returned = &*returned;
        let text = self.text();
        let encoding = |body: &[u8]| if body.is_ascii() { "7bit" } else { "8bit" };
        let all = [text.as_bytes(), status.as_bytes(), returned];
        let widest = all.map(encoding).into_iter().max().unwrap_or("7bit");
        let status_type = match utf8 {
            true => "message/global-delivery-status",
            false => "message/delivery-status",
        };
        let returned_type = match (whole, utf8) {
            (true, false) => "message/rfc822",
            (true, true) => "message/global",
            (false, false) => "text/rfc822-headers",
            (false, true) => "message/global-headers",
        };
        let boundary = format!("=_{}", self.origin);
        let mut out = self.header(&boundary, widest);
        let mut part = |media_type: &str, body: &[u8]| {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: {media_type}\r\n\
                 Content-Transfer-Encoding: {}\r\n\r\n",
                encoding(body)
            );
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(body);
        };
        part("text/plain; charset=utf-8", text.as_bytes());
        part(status_type, status.as_bytes());
        part(returned_type, returned);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        out
    }

    fn header(&self, boundary: &str, encoding: &str) -> Vec<u8> {
        let (hostname, origin) = (self.hostname, self.origin);
        let subject = match (self.notice.has_failure(), self.notice.is_delay()) {
            (true, _) => "Undelivered mail returned to sender",
            (_, true) => "Delivery is delayed, still trying",
            _ => "Delivery report",
        };
        let mut out = format!(
            "Date: {}\r\nFrom: Mail Delivery System <MAILER-DAEMON@{hostname}>\r\nTo: <{}>\r\n\
             Subject: {subject}\r\nMessage-ID: <{origin}@{hostname}>\r\n",
            self.now.rfc5322(),
            self.to,
        );
        let parsed = tern_mime::header_value(self.content, "Message-ID");
        let id = parsed.and_then(|id| String::from_utf8(id).ok());
        // One in UTF-8 would ask for SMTPUTF8 on behalf of the notice.
        let fits = |id: &String| id.starts_with('<') && id.len() < 900 && id.is_ascii();
        if let Some(id) = id.filter(fits) {
            let id = one_line(&id, 900);
            let _ = write!(out, "In-Reply-To: {id}\r\nReferences: {id}\r\n");
        }
        // RFC 3834 3.1.7, RFC 3464 2: nobody answers a notice by machine.
        let _ = write!(
            out,
            "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\
             \tboundary=\"{boundary}\"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n\
             This is a delivery report in MIME format.\r\n"
        );
        out.into_bytes()
    }

    /// For people.
    fn text(&self) -> String {
        let mut out = format!("This is the mail system at {}.\r\n\r\n", self.hostname);
        out.push_str(match (self.notice.has_failure(), self.notice.is_delay()) {
            (true, _) => "Your message could not be delivered to one or more recipients.\r\n",
            (_, true) => {
                "Your message could not be delivered yet. Delivery is tried again; you need not\r\n\
                 send it once more.\r\n"
            }
            _ => "You asked to be told what became of your message.\r\n",
        });
        for report in &self.notice.reports {
            let _ = write!(out, "\r\n<{}>: ", report.recipient);
            match &report.action {
                Action::Local(LocalAction::Failed(refusal)) => out.push_str(refusal.text()),
                Action::Refused { expired: true } => {
                    out.push_str("it could not be delivered in time; no more attempts are made.");
                }
                Action::Refused { expired: false } => out.push_str("it was refused."),
                Action::Delayed(until) => {
                    let _ = write!(out, "delayed; tried until {}", until.rfc5322());
                }
                Action::Local(LocalAction::Delivered) => out.push_str("delivered to the mailbox."),
                Action::Relayed => out.push_str("handed to a server that sends no reports."),
                Action::Local(LocalAction::Expanded) => {
                    out.push_str("sent on to the members of the list.");
                }
            }
            out.push_str("\r\n");
            if let Some((_, reply)) = &report.reply {
                let host = reply.host.as_deref().unwrap_or(match reply.code {
                    0 => "this server",
                    _ => "the next server",
                });
                let (host, text) = (one_line(host, 255), reply_text(reply));
                let _ = write!(out, "    {host} said: {}\r\n", text.trim_end());
            }
        }
        if self.notice.omitted > 0 {
            let _ = write!(
                out,
                "\r\n... and {} more recipients.\r\n",
                self.notice.omitted
            );
        }
        out
    }

    /// For machines: RFC 3464 2.2 and 2.3.
    fn status(&self) -> String {
        let mut out = format!("Reporting-MTA: dns; {}\r\n", self.hostname);
        if let Some(envid) = &self.facts.envid {
            let _ = write!(out, "Original-Envelope-Id: {}\r\n", one_line(envid, 400));
        }
        let _ = write!(out, "Arrival-Date: {}\r\n", self.facts.received.rfc5322());
        for report in &self.notice.reports {
            out.push_str("\r\n");
            if let Some(original) = &report.original {
                let _ = write!(out, "Original-Recipient: {}\r\n", one_line(original, 700));
            }
            let kind = match report.recipient.needs_smtputf8() {
                true => "utf-8",
                false => "rfc822",
            };
            let _ = write!(out, "Final-Recipient: {kind}; {}\r\n", report.recipient);
            let (action, (class, subject, detail)) = match &report.action {
                Action::Local(LocalAction::Failed(refusal)) => ("failed", refusal.status()),
                // RFC 3463 3.5: delivery time expired. A temporary status is final by now.
                Action::Refused { expired: true } => ("failed", (5, 4, 7)),
                Action::Refused { expired: false } => {
                    ("failed", reply_status(report).unwrap_or((5, 0, 0)))
                }
                // RFC 3463 2: what is tried again is of class 4, whatever the other server said.
                Action::Delayed(_) => {
                    let (_, subject, detail) = reply_status(report).unwrap_or((4, 4, 7));
                    ("delayed", (4, subject, detail))
                }
                Action::Local(LocalAction::Delivered) => ("delivered", (2, 1, 5)),
                Action::Relayed => ("relayed", (2, 1, 9)),
                Action::Local(LocalAction::Expanded) => ("expanded", (2, 1, 5)),
            };
            let _ = write!(
                out,
                "Action: {action}\r\nStatus: {class}.{subject}.{detail}\r\n"
            );
            if let Some((when, reply)) = &report.reply {
                if let Some(host) = &reply.host {
                    let _ = write!(out, "Remote-MTA: dns; {}\r\n", one_line(host, 255));
                }
                // RFC 3464 2.3.6: only what an SMTP server said.
                if reply.code > 0 {
                    let said = reply_text(reply);
                    let _ = write!(out, "Diagnostic-Code: smtp; {}\r\n", said.trim_end());
                }
                let _ = write!(out, "Last-Attempt-Date: {}\r\n", when.rfc5322());
            }
            if let Action::Delayed(until) = &report.action {
                let _ = write!(out, "Will-Retry-Until: {}\r\n", until.rfc5322());
            }
        }
        out
    }

    /// What is given back of the message, and whether that is all of it (RFC 3461 4.3). `narrow`: in
    /// ASCII, whatever it takes.
    fn returned(&self, narrow: bool) -> (Cow<'_, [u8]>, bool) {
        let most = match (self.facts.ret, self.facts.submitter) {
            (Some(DsnReturn::Full), Some(_)) => limits::RETURN_FULL_ASKED,
            (Some(DsnReturn::Headers), _) => 0,
            // Whoever asks from outside may name somebody else as the sender.
            (Some(DsnReturn::Full), None) | (None, _) => limits::RETURN_FULL_UNASKED,
        };
        // Only a failure gives the whole message back; what is not lines of text never.
        let whole = !self.headers_only
            && self.notice.has_failure()
            && self.content.len() <= most
            && (!narrow || self.content.is_ascii())
            && is_lines_of_text(self.content);
        if whole {
            return (Cow::Borrowed(self.content), true);
        }
        let end = tern_mime::header_length(self.content);
        let header = self.content.get(..end).unwrap_or_default();
        let header = match header.get(..limits::RETURN_HEADERS) {
            None => header,
            Some(cut) => {
                let line = cut.iter().rposition(|byte| *byte == b'\n');
                cut.get(..line.map_or(0, |at| at + 1)).unwrap_or_default()
            }
        };
        let mut header = lines_of_text(header);
        if narrow && !header.is_ascii() {
            let octets = header.to_mut().iter_mut();
            octets.filter(|it| !it.is_ascii()).for_each(|it| *it = b'?');
        }
        (header, false)
    }
}

/// RFC 5322 2.1.1: octets of a line without its end.
const MAX_LINE: usize = 998;

/// Whether any server takes this: lines within the bound that end with CRLF, and no NUL.
fn is_lines_of_text(content: &[u8]) -> bool {
    content.split_inclusive(|byte| *byte == b'\n').all(|line| {
        let line = match line
            .strip_suffix(b"\n")
            .map(|line| line.strip_suffix(b"\r"))
        {
            Some(Some(line)) => line,
            Some(None) => return false,
            // The end of the last may be missing.
            None => line,
        };
        line.len() <= MAX_LINE && !line.iter().any(|byte| matches!(byte, 0 | b'\r'))
    })
}

/// A header as any server takes it: what is too long is cut, and what is no text is a space. The
/// notice has to arrive, whatever it is about.
fn lines_of_text(header: &[u8]) -> Cow<'_, [u8]> {
    if is_lines_of_text(header) {
        return Cow::Borrowed(header);
    }
    let lines = header.strip_suffix(b"\n").unwrap_or(header);
    let mut out = Vec::with_capacity(header.len());
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let cut = line.get(..MAX_LINE).unwrap_or(line);
        let text = |byte: &u8| {
            if matches!(byte, 0 | b'\r') {
                b' '
            } else {
                *byte
            }
        };
        out.extend(cut.iter().map(text));
        out.extend_from_slice(b"\r\n");
    }
    Cow::Owned(out)
}

fn reply_status(report: &Report) -> Option<(u8, u16, u16)> {
    report.reply.as_ref().and_then(|(_, reply)| reply.enhanced)
}

/// A reply as it came, on one line, in ASCII.
fn reply_text(reply: &Reply) -> String {
    let mut out = String::new();
    if reply.code > 0 {
        let _ = write!(out, "{} ", reply.code);
    }
    let text = one_line(&reply.text, 600);
    if let Some((class, subject, detail)) = reply.enhanced {
        let enhanced = format!("{class}.{subject}.{detail} ");
        // What an SMTP server says begins with it as a rule.
        if !text.starts_with(&enhanced) {
            out.push_str(&enhanced);
        }
    }
    out.extend(text.chars().map(|c| if c.is_ascii() { c } else { '?' }));
    out
}

/// A text without control characters, at most so many bytes of it.
fn one_line(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() + c.len_utf8() > most {
            break;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}
