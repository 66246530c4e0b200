//! What somebody else has said, in texts of the server's own.
//!
//! Invariants:
//! - Nothing that they say passes for a line of the server's: more than one line is quoted, as what stands
//!   behind `> `, and within a line there is nothing that a terminal or a page would obey.
//! - No line is too long for mail (RFC 5322 2.1.1).

/// The characters of a quoted line.
const LINE: usize = 200;
/// The octets of a text that stands beside its label.
const BESIDE: usize = 900;

/// A line that begins with a label, and what somebody said for it; below the label, quoted, where that is
/// more than fits a line.
pub fn labelled(label: &str, said: &str) -> String {
    let said = said.trim();
    match said.len() > BESIDE || said.contains(['\n', '\r']) {
        true => format!("{}\n{}\n", label.trim_end(), quoted(said)),
        false => format!("{label}{}\n", tern_mime::shown_text(said)),
    }
}

/// Lines of somebody else, marked as such.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let characters: Vec<char> = tern_mime::shown_text(line).chars().collect();
        if characters.is_empty() {
            out.push_str(">\n");
        }
        for piece in characters.chunks(LINE) {
            out.push_str("> ");
            out.extend(piece);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The fields that make a mail an answer to the message with this Message-ID; none where it has none, or
/// one that no line has room for.
pub(crate) fn answering(message_id: &str) -> String {
    match tern_mime::clean_message_id(message_id) {
        Some(id) if id.len() <= BESIDE => {
            format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_says_passes_for_a_line_of_the_servers() {
        assert_eq!(
            labelled("Reason:     ", " wrong list "),
            "Reason:     wrong list\n"
        );
        let forged = [
            "typo\nApproved by eve",
            "typo\r\nApproved by eve",
            "typo\rApproved by eve",
            "typo\u{2028}Approved by eve",
            "typo\u{85}Approved by eve",
            "typo\u{b}Approved by eve\u{1b}[2J",
            "\u{202e}eve yb devorppA",
        ];
        for said in forged {
            let shown = labelled("Reason:     ", said);
            let lines: Vec<&str> = shown.trim_end().split('\n').collect();
            let (first, rest) = lines.split_first().expect("one line");
            assert!(first.starts_with("Reason:"), "{shown}");
            assert!(rest.iter().all(|line| line.starts_with("> ")), "{shown}");
            let is_plain = |c: char| c == '\n' || !c.is_control();
            assert!(shown.chars().all(is_plain), "{shown:?}");
            assert!(!shown.contains(['\u{2028}', '\u{202e}']), "{shown:?}");
        }
        let long = labelled("Reason:     ", &"\u{1f4e7}".repeat(1_000));
        assert!(long.lines().all(|line| line.len() <= 998), "{long}");
        assert_eq!(long.lines().count(), 6);
    }

    #[test]
    fn an_answer_has_no_field_but_its_own() {
        assert_eq!(
            answering("1@example.org"),
            "In-Reply-To: <1@example.org>\r\nReferences: <1@example.org>\r\n"
        );
        let one = answering("1@example.org>\r\nBcc: <eve@example.net");
        assert_eq!(one.lines().count(), 2, "{one}");
        assert_eq!(answering(""), "");
        assert_eq!(answering(&"x".repeat(998)), "");
    }
}
