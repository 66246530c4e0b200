//! The label of a message: what its sender, or the program that they wrote it with, says of how
//! confidential it is. Policies are told it.
//!
//! A header field that the configuration names counts before `Sensitivity` (RFC 2156 5.3.4). Whatever
//! else a message says is no label, and what is not known is absent.
//!
//! Refuses to take the label of a message for proof of anything: whoever writes the message writes it.

use crate::limits;

/// The values of `Sensitivity`, as RFC 2156 2.3.1.2 writes them.
const SENSITIVITIES: [&str; 3] = ["Personal", "Private", "Company-Confidential"];

/// The label of a message; `header` names the field that counts first, and is empty for none.
pub fn label_of(header: &str, content: &[u8]) -> Option<String> {
    let value = |name: &str| {
        let value = tern_mime::header_value(content, name)?;
        Some(tern_mime::decode_header_text(&value))
    };
    let own = value(header).filter(|_| !header.is_empty());
    let own = own.and_then(|value| named(&value));
    own.or_else(|| sensitivity(&value("Sensitivity")?))
}

/// A label of the organisation's own, as it is kept.
fn named(value: &str) -> Option<String> {
    let words: Vec<&str> = value.split_whitespace().collect();
    let label: String = words.join(" ").chars().take(limits::MAX_LABEL).collect();
    (!label.is_empty()).then_some(label)
}

fn sensitivity(value: &str) -> Option<String> {
    let value = value.trim();
    let known = SENSITIVITIES
        .iter()
        .find(|known| known.eq_ignore_ascii_case(value));
    known.map(|known| (*known).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_configured_fields_or_a_known_sensitivity() {
        let long = "x".repeat(2 * limits::MAX_LABEL);
        let cases = [
            (
                "",
                "Sensitivity: company-CONFIDENTIAL \n",
                Some("Company-Confidential"),
            ),
            ("", "Sensitivity: Private\n", Some("Private")),
            ("", "Sensitivity: very\n", None),
            ("", "X-Label: secret\n", None),
            ("X-Label", "X-LABEL:  top \n\tsecret\n", Some("top secret")),
            (
                "X-Label",
                "X-Label: =?utf-8?q?vertr=C3=A4ulich?=\n",
                Some("vertr\u{e4}ulich"),
            ),
            (
                "X-Label",
                "X-Label: secret\nSensitivity: Private\n",
                Some("secret"),
            ),
            (
                "X-Label",
                "X-Label: \nSensitivity: Private\n",
                Some("Private"),
            ),
            (
                "X-Label",
                &format!("X-Label: {long}\n"),
                Some(&long[..limits::MAX_LABEL]),
            ),
            ("X-Label", "Subject: none\n\nX-Label: of the text\n", None),
        ];
        for (header, head, label) in cases {
            let content = format!("From: a@x\n{head}\ntext\n").replace('\n', "\r\n");
            assert_eq!(
                label_of(header, content.as_bytes()).as_deref(),
                label,
                "{head}"
            );
        }
    }
}
