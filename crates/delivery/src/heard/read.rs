//! A message as a report about another one: a delivery status notification (RFC 3464) or a message
//! disposition notification (RFC 8098), as far as it names a submission and recipients of it.
//!
//! Invariant: what is read is bounded, whatever a report holds; texts are single lines. Refuses to believe
//! anything: that is for who files it.

use tern_base::EmailAddress;
use tern_mime::{ParsedMessage, Part, PartKind};

use crate::limits;

/// What kind of notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of delivery.
    Dsn,
    /// Of disposition.
    Mdn,
}

/// What a report says of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// Whom the sender wrote to.
    pub(super) original: Option<EmailAddress>,
    /// Whom that led to.
    pub(super) last: Option<EmailAddress>,
    pub(super) says: Says,
}

/// What became of the message there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// It is in the mailbox, with a reply of SMTP.
    Delivered(String),
    /// It will not be.
    Failed(String),
    /// It is on its way somewhere.
    OnItsWay(String),
    /// It was displayed.
    Displayed,
}

/// A message as a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(super) kind: Kind,
    pub(super) envid: Option<String>,
    /// The Message-ID of what it is about, without angle brackets.
    pub(super) message_id: Option<String>,
    pub(super) about: Vec<About>,
}

impl Heard {
    /// Reads a message; `None` where it is no report.
    pub(super) fn read(parsed: &ParsedMessage, content: &[u8]) -> Option<Self> {
        let root = &parsed.body;
        let PartKind::Multipart { parts } = &root.kind else {
            return None;
        };
        if !root.is_type("multipart", "report") {
            return None;
        }
        // RFC 6522 3: for people, for machines, and what it is about.
        let [_, machine, rest @ ..] = parts.as_slice() else {
            return None;
        };
        let kind = kind_of(root, machine)?;
        let body = octets(machine, content);
        let mut groups = groups(&body);
        let mut heard = Self {
            kind,
            envid: None,
            message_id: None,
            about: Vec::new(),
        };
        match kind {
            Kind::Dsn => {
                let of_message = groups.next()?;
                heard.envid = of_message.value("Original-Envelope-Id");
                heard.message_id = rest.first().and_then(|part| returned_id(part, content));
                heard.about = groups.filter_map(|group| group.of_delivery()).collect();
            }
            Kind::Mdn => {
                let only = groups.next()?;
                let id = only.value("Original-Message-ID").unwrap_or_default();
                heard.message_id = tern_mime::message_ids(id.as_bytes()).next();
                heard.about.extend(only.of_disposition());
            }
        }
        Some(heard)
    }
}

/// RFC 3464 2, RFC 8098 3, RFC 6533: what the type and the second part say that it is.
fn kind_of(root: &Part, machine: &Part) -> Option<Kind> {
    let report = root.param("report-type").unwrap_or_default();
    let is = |report_type: &str, subtypes: [&str; 2]| {
        report.eq_ignore_ascii_case(report_type.as_bytes())
            && subtypes.iter().any(|it| machine.is_type("message", it))
    };
    match () {
        () if is(
            "delivery-status",
            ["delivery-status", "global-delivery-status"],
        ) =>
        {
            Some(Kind::Dsn)
        }
        () if is(
            "disposition-notification",
            [
                "disposition-notification",
                "global-disposition-notification",
            ],
        ) =>
        {
            Some(Kind::Mdn)
        }
        () => None,
    }
}

/// The octets of a part, as many as are looked at.
fn octets(part: &Part, content: &[u8]) -> Vec<u8> {
    let most = limits::MAX_REPORT_PART;
    let end = (part.body.start as usize).saturating_add(most);
    let cut = content.get(..end).unwrap_or(content);
    let part = Part {
        body: part.body.start..part.body.end.min(cut.len() as u32),
        ..part.clone()
    };
    let decoded = tern_mime::decode_part(&part, cut).map(|it| it.into_owned());
    decoded.unwrap_or_default()
}

/// The Message-ID of what a report gives back: the message, or its header.
fn returned_id(part: &Part, content: &[u8]) -> Option<String> {
    let whole = ["rfc822", "global", "global-headers"];
    let is_whole = whole.iter().any(|it| part.is_type("message", it));
    if !is_whole && !part.is_type("text", "rfc822-headers") {
        return None;
    }
    let id = tern_mime::header_value(&octets(part, content), "Message-ID")?;
    tern_mime::message_ids(&id).next()
}

/// Fields up to a blank line.
struct Group<'a>(&'a [u8]);

/// The groups of fields in a part, as many as are looked at (RFC 3464 2.1).
fn groups(body: &[u8]) -> impl Iterator<Item = Group<'_>> {
    let mut rest = body;
    let next = move || {
        let start = rest.iter().position(|byte| !b"\r\n".contains(byte))?;
        let (_, from) = rest.split_at(start);
        let mut fields = tern_mime::headers(from);
        fields.by_ref().for_each(drop);
        let (group, behind) = from.split_at(fields.position().min(from.len()));
        rest = behind;
        Some(Group(group))
    };
    // One more than those of recipients.
    std::iter::from_fn(next).take(limits::MAX_REPORT_RECIPIENTS + 1)
}

impl Group<'_> {
    /// The first field of a name, as one line.
    fn value(&self, name: &str) -> Option<String> {
        let mut fields = tern_mime::headers(self.0).filter(|field| field.is(name));
        let text = tern_mime::decode_header_text(fields.next()?.value);
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// RFC 3464 2.3.1, RFC 8098 3.2.3: a type and an address; of mail there are two.
    fn address(&self, name: &str) -> Option<EmailAddress> {
        let value = self.value(name)?;
        let (kind, address) = value.split_once(';').unwrap_or(("rfc822", &*value));
        let mut kinds = ["rfc822", "utf-8"].iter();
        let is_mail = kinds.any(|it| it.eq_ignore_ascii_case(kind.trim()));
        let address = address.trim().trim_matches(['<', '>']);
        EmailAddress::parse(address).ok().filter(|_| is_mail)
    }

    fn of_delivery(&self) -> Option<About> {
        let action = self.value("Action")?.to_ascii_lowercase();
        let reply = |code, what| self.reply(code, what);
        // RFC 3464 2.3.3
        let says = match &*action {
            "delivered" => Says::Delivered(reply("250", "Delivered")),
            "failed" => Says::Failed(reply("550", "It could not be delivered")),
            "delayed" => Says::OnItsWay(reply("451", "Delayed")),
            "relayed" => Says::OnItsWay(reply("250", "Handed on")),
            "expanded" => Says::OnItsWay(reply("250", "Sent on")),
            _ => return None,
        };
        Some(self.about(says))
    }

    fn of_disposition(&self) -> Option<About> {
        let disposition = self.value("Disposition")?.to_ascii_lowercase();
        // RFC 8098 3.2.6: the modes, the type, and modifiers of it.
        let (_, kind) = disposition.split_once(';')?;
        let kind = kind.split('/').next().unwrap_or_default();
        (kind.trim() == "displayed").then(|| self.about(Says::Displayed))
    }

    fn about(&self, says: Says) -> About {
        About {
            original: self.address("Original-Recipient"),
            last: self.address("Final-Recipient"),
            says,
        }
    }

    /// What an SMTP server said, or in its form what the status says (RFC 8621 7 `smtpReply`).
    fn reply(&self, code: &str, what: &str) -> String {
        let diagnostic = self.value("Diagnostic-Code").unwrap_or_default();
        let said = diagnostic.split_once(';');
        let said = said.filter(|(kind, _)| kind.trim().eq_ignore_ascii_case("smtp"));
        let said = said.map(|(_, text)| text.trim()).filter(|text| {
            let (digits, rest) = text.split_at_checked(3).unwrap_or_default();
            digits.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with([' ', '-'])
        });
        let mut reply = match said.and_then(|text| text.split_at_checked(4)) {
            Some((code, text)) => format!("{} {text}", code.trim_end_matches(['-', ' '])),
            None => format!("{code} {} {what}", self.status(code)),
        };
        reply.truncate(reply.floor_char_boundary(limits::MAX_REPLY));
        reply
    }

    /// RFC 3463 2: class, subject and detail.
    fn status(&self, code: &str) -> String {
        let status = self.value("Status").unwrap_or_default();
        let status = status.split_whitespace().next().unwrap_or_default();
        let numbers = status.split('.');
        let is_number =
            |it: &str| (1..=3).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_digit());
        match numbers.clone().count() == 3 && numbers.clone().all(is_number) {
            true => status.to_owned(),
            false => format!("{}.0.0", code.get(..1).unwrap_or("5")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of a kind, with this in the part for machines and that given back.
    fn report(kind: &str, machine: &str, returned: &str) -> Option<Heard> {
        let text = format!(
            "From: <>\nContent-Type: multipart/report; report-type={kind}; boundary=b\n\n\
             --b\n\nFor people.\n--b\nContent-Type: message/{kind}\n\n{machine}\n\
             --b\nContent-Type: {returned}\n--b--\n"
        );
        let content = text.replace('\n', "\r\n").into_bytes();
        Heard::read(&tern_mime::parse(&content), &content)
    }

    fn dsn(machine: &str) -> Heard {
        let heard = report("delivery-status", machine, "text/plain\n\nx");
        heard.expect("a report")
    }

    /// What is said of the only recipient.
    fn said(fields: &str) -> Option<Says> {
        let heard = dsn(&format!(
            "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@far.example\n{fields}"
        ));
        heard.about.into_iter().next().map(|about| about.says)
    }

    #[test]
    fn a_dsn_names_an_envelope_a_message_and_recipients() {
        let returned = "text/rfc822-headers\n\nSubject: x\nMessage-ID: <1@example.org>\n";
        let heard = report(
            "delivery-status",
            "\nReporting-MTA: dns; mx.far.example\nOriginal-Envelope-Id: QQ 1\n\n\
             Original-Recipient: rfc822;al@far.example\nFinal-Recipient: RFC822;\n <ed@far.example>\n\
             Action: Failed\nStatus: 5.1.1 (no such user)\nDiagnostic-Code: SMTP; 550-5.1.1 No\n such user\n\n\n\
             Final-Recipient: utf-8; ü@far.example\nAction: delivered\nStatus: 2.1.5\n\n\
             Final-Recipient: x400; /c=de/\nAction: delayed\n\nX-Odd: 1\n",
            returned,
        );
        let heard = heard.expect("a report");
        assert_eq!(
            (heard.kind, heard.envid.as_deref()),
            (Kind::Dsn, Some("QQ 1"))
        );
        assert_eq!(heard.message_id.as_deref(), Some("1@example.org"));
        let address = |text: &str| EmailAddress::parse(text).ok();
        assert_eq!(
            heard.about,
            [
                About {
                    original: address("al@far.example"),
                    last: address("ed@far.example"),
                    says: Says::Failed("550 5.1.1 No such user".to_owned()),
                },
                About {
                    original: None,
                    last: address("ü@far.example"),
                    says: Says::Delivered("250 2.1.5 Delivered".to_owned()),
                },
                About {
                    original: None,
                    last: None,
                    says: Says::OnItsWay("451 4.0.0 Delayed".to_owned()),
                },
            ]
        );
    }

    #[test]
    fn a_whole_message_that_is_given_back_names_itself() {
        let returned = "message/rfc822\n\nMessage-ID: <2@example.org>\n\nHello\n";
        let heard = report("delivery-status", "Reporting-MTA: dns; x\n", returned);
        let id = heard.expect("a report").message_id;
        assert_eq!(id.as_deref(), Some("2@example.org"));
    }

    #[test]
    fn an_mdn_names_a_message_and_whether_it_was_displayed() {
        let mdn = |disposition: &str| {
            let machine = format!(
                "Final-Recipient: rfc822; ed@far.example\nOriginal-Message-ID: <1@example.org>\n\
                 Disposition: manual-action/MDN-sent-manually; {disposition}\n"
            );
            report("disposition-notification", &machine, "text/plain\n\nx").expect("a report")
        };
        for (disposition, is_displayed) in [
            ("displayed", true),
            ("Displayed/error", true),
            ("deleted", false),
            ("processed; displayed", false),
        ] {
            let heard = mdn(disposition);
            assert_eq!(heard.kind, Kind::Mdn);
            assert_eq!(heard.message_id.as_deref(), Some("1@example.org"));
            assert_eq!(!heard.about.is_empty(), is_displayed, "{disposition}");
        }
    }

    #[test]
    fn a_reply_is_one_line_of_smtp_whatever_is_reported() {
        let failed = |text: &str| Some(Says::Failed(text.to_owned()));
        for (fields, reply) in [
            ("", "550 5.0.0 It could not be delivered"),
            ("Status: 5.2.2\n", "550 5.2.2 It could not be delivered"),
            ("Status: 5.2\n", "550 5.0.0 It could not be delivered"),
            ("Status: 5.2.x\n", "550 5.0.0 It could not be delivered"),
            (
                "Diagnostic-Code: X-Unix; 550 no\nStatus: 5.3.0\n",
                "550 5.3.0 It could not be delivered",
            ),
            ("Diagnostic-Code: smtp; 554 no\n\there\n", "554 no here"),
            (
                "Diagnostic-Code: smtp; none\n",
                "550 5.0.0 It could not be delivered",
            ),
            (
                "Diagnostic-Code: smtp;\n",
                "550 5.0.0 It could not be delivered",
            ),
        ] {
            assert_eq!(said(&format!("Action: failed\n{fields}")), failed(reply));
        }
        assert_eq!(said("Action: lost\n"), None);
        assert_eq!(said(""), None);
        let long = format!(
            "Action: failed\nDiagnostic-Code: smtp; 550 {}\n",
            "ü".repeat(900)
        );
        let Some(Says::Failed(reply)) = said(&long) else {
            panic!("failed");
        };
        assert!(reply.len() <= limits::MAX_REPLY && reply.ends_with('ü'));
    }

    #[test]
    fn what_is_read_is_bounded() {
        let recipient = "Final-Recipient: rfc822; a@far.example\nAction: failed\n\n";
        let heard = dsn(&format!(
            "Reporting-MTA: dns; x\n\n{}",
            recipient.repeat(limits::MAX_REPORT_RECIPIENTS + 9)
        ));
        assert_eq!(heard.about.len(), limits::MAX_REPORT_RECIPIENTS);
        let filler = "X-Filler: x\n".repeat(limits::MAX_REPORT_PART / 12);
        let heard = dsn(&format!("Reporting-MTA: dns; x\n{filler}\n\n{recipient}"));
        assert_eq!(heard.about, []);
    }

    #[test]
    fn what_is_no_report_is_not_heard() {
        let status = "Reporting-MTA: dns; x\n";
        assert_eq!(report("feedback-report", status, "text/plain\n\nx"), None);
        assert_eq!(report("delivery-status", "", "text/plain\n\nx"), None);
        for text in [
            "Subject: x\r\n\r\nx\r\n",
            "Content-Type: multipart/mixed; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\n\r\nx\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nX: 1\r\n--b--\r\n",
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\n\r\nx\r\n--b--\r\n",
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\n\r\nx\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\nX: 1\r\n--b--\r\n",
        ] {
            let content = text.as_bytes();
            assert_eq!(
                Heard::read(&tern_mime::parse(content), content),
                None,
                "{text}"
            );
        }
    }
}
