//! The part of a notification that machines read: `message/disposition-notification` (RFC 8098 3.1).
//!
//! Invariant: what is written reads back as it was. A part that lacks what it must have, or says what
//! RFC 8098 has no word for, is no report.

use std::fmt::Write as _;

use serde_json::{Value, json};

const ACTION_MODES: [&str; 2] = ["manual-action", "automatic-action"];
const SENDING_MODES: [&str; 2] = ["mdn-sent-manually", "mdn-sent-automatically"];
const TYPES: [&str; 4] = ["deleted", "dispatched", "displayed", "processed"];

/// What became of a message, and who decided that (RFC 8098 3.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disposition {
    action_mode: &'static str,
    sending_mode: &'static str,
    kind: &'static str,
}

fn word(known: &[&'static str], word: &str) -> Option<&'static str> {
    known.iter().find(|it| **it == word).copied()
}

impl Disposition {
    /// From a Disposition object, whose words are in lower case (RFC 9007 2).
    pub(super) fn of_object(value: &Value) -> Option<Self> {
        let all = value.as_object().filter(|all| all.len() == 3)?;
        let text = |name: &str| all.get(name).and_then(Value::as_str);
        Some(Self {
            action_mode: word(&ACTION_MODES, text("actionMode")?)?,
            sending_mode: word(&SENDING_MODES, text("sendingMode")?)?,
            kind: word(&TYPES, text("type")?)?,
        })
    }

    /// From the field, in whatever case; modifiers are not told.
    fn of_field(value: &str) -> Option<Self> {
        let value = value.to_ascii_lowercase();
        let (modes, kind) = value.split_once(';')?;
        let (action_mode, sending_mode) = modes.split_once('/')?;
        let kind = kind.split('/').next().unwrap_or_default();
        Some(Self {
            action_mode: word(&ACTION_MODES, action_mode.trim())?,
            sending_mode: word(&SENDING_MODES, sending_mode.trim())?,
            kind: word(&TYPES, kind.trim())?,
        })
    }

    pub(super) fn object(self) -> Value {
        json!({
            "actionMode": self.action_mode, "sendingMode": self.sending_mode, "type": self.kind,
        })
    }

    /// What became of the message.
    pub(super) const fn kind(self) -> &'static str {
        self.kind
    }

    /// Whether nobody was asked before it was sent.
    pub(super) fn is_sent_automatically(self) -> bool {
        self.sending_mode == "mdn-sent-automatically"
    }
}

/// The fields of a report. Values are lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) reporting_ua: Option<String>,
    pub(super) gateway: Option<String>,
    /// With its type: `rfc822;bob@example.org`
    pub(super) original_recipient: Option<String>,
    /// With its type.
    pub(super) final_recipient: String,
    /// In angle brackets.
    pub(super) original_message_id: Option<String>,
    pub(super) disposition: Disposition,
    pub(super) errors: Vec<String>,
    pub(super) extensions: Vec<(String, String)>,
}

/// Fields that RFC 8098 3.1 has a meaning for.
const KNOWN: [&str; 8] = [
    "Reporting-UA",
    "MDN-Gateway",
    "Original-Recipient",
    "Final-Recipient",
    "Original-Message-ID",
    "Disposition",
    "Error",
    // RFC 3798 3.2.7, of older reports.
    "Failure",
];

/// Whether a field is one of an extension (RFC 8098 3.3): a name of its own.
pub(super) fn is_extension(name: &str) -> bool {
    // RFC 5322 2.2: printable, and no colon.
    let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    !name.is_empty()
        && name.bytes().all(is_name)
        && !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl Report {
    /// The body of the part (RFC 8098 3.1).
    pub(super) fn written(&self) -> String {
        let mut out = String::new();
        let mut field = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = write!(out, "{name}: {value}\r\n");
            }
        };
        field("Reporting-UA", self.reporting_ua.as_deref());
        field("MDN-Gateway", self.gateway.as_deref());
        field("Original-Recipient", self.original_recipient.as_deref());
        field("Final-Recipient", Some(&self.final_recipient));
        field("Original-Message-ID", self.original_message_id.as_deref());
        let Disposition {
            action_mode,
            sending_mode,
            kind,
        } = self.disposition;
        let sending_mode = sending_mode.replacen("mdn", "MDN", 1);
        let disposition = format!("{action_mode}/{sending_mode}; {kind}");
        field("Disposition", Some(&disposition));
        for error in &self.errors {
            field("Error", Some(error));
        }
        for (name, value) in &self.extensions {
            field(name, Some(value));
        }
        out
    }

    /// Reads the body of the part.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let start = body.iter().position(|byte| !b"\r\n".contains(byte))?;
        let fields = || tern_mime::headers(body.get(start..).unwrap_or_default());
        let line = |raw: &[u8]| tern_mime::decode_header_text(raw).trim().to_owned();
        let value = |name: &str| {
            let mut all = fields().filter(|field| field.is(name));
            all.next().map(|field| line(field.value))
        };
        let extensions = fields().filter_map(|field| {
            let name = std::str::from_utf8(field.name).ok()?;
            is_extension(name).then(|| (name.to_owned(), line(field.value)))
        });
        Some(Self {
            reporting_ua: value("Reporting-UA"),
            gateway: value("MDN-Gateway"),
            original_recipient: value("Original-Recipient"),
            final_recipient: value("Final-Recipient")?,
            original_message_id: value("Original-Message-ID"),
            disposition: Disposition::of_field(&value("Disposition")?)?,
            errors: fields()
                .filter(|field| field.is("Error"))
                .map(|field| line(field.value))
                .collect(),
            extensions: extensions.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Report> {
        Report::read(body.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn a_report_reads_back_as_it_was_written() {
        let report = Report {
            reporting_ua: Some("pc.example; Mail 1".to_owned()),
            gateway: Some("dns; gw.example".to_owned()),
            original_recipient: Some("rfc822;bob@old.example".to_owned()),
            final_recipient: "utf-8; bób@example.org".to_owned(),
            original_message_id: Some("<1@far.example>".to_owned()),
            disposition: Disposition {
                action_mode: ACTION_MODES[1],
                sending_mode: SENDING_MODES[0],
                kind: TYPES[3],
            },
            errors: vec!["one".to_owned(), "two: three".to_owned()],
            extensions: vec![("X-Extra".to_owned(), "4".to_owned())],
        };
        let written = report.written();
        assert!(written.contains("automatic-action/MDN-sent-manually; processed\r\n"));
        assert_eq!(Report::read(written.as_bytes()), Some(report));
    }

    #[test]
    fn words_are_read_in_any_case_and_lines_are_unfolded() {
        let report = read(
            "\nfinal-recipient: rfc822;\n bob@example.org\nDISPOSITION: Manual-Action/MDN-sent-automatically;\n \
             Displayed/error, x\nError: it\n broke\n",
        );
        let report = report.expect("a report");
        assert_eq!(report.final_recipient, "rfc822; bob@example.org");
        assert_eq!(report.disposition.kind(), "displayed");
        assert!(report.disposition.is_sent_automatically());
        assert_eq!(report.errors, ["it broke"]);
    }

    #[test]
    fn what_lacks_what_it_must_have_is_no_report() {
        let good = "manual-action/MDN-sent-manually; displayed";
        assert!(
            read(&format!(
                "Final-Recipient: rfc822; a@b\nDisposition: {good}\n"
            ))
            .is_some()
        );
        for bad in [
            String::new(),
            "\n\n".to_owned(),
            format!("Disposition: {good}\n"),
            "Final-Recipient: rfc822; a@b\n".to_owned(),
            "Final-Recipient: rfc822; a@b\nDisposition: displayed\n".to_owned(),
            "Final-Recipient: rfc822; a@b\nDisposition: manual-action/MDN-sent-manually; denied\n"
                .to_owned(),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
