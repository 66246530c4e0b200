//! What a mailing list elsewhere makes of a letter that it was sent: its tag before the subject, its
//! footer below the text, and now and then something that makes it another letter.

use tern_base::{ContentDigest, EmailAddress, OriginId};

use crate::letter::{Letter, Part, mark};

/// A letter as the list's server got it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) letter: u32,
    pub(crate) content: Vec<u8>,
    /// The transaction that sent it out.
    pub(crate) origin: OriginId,
}

/// What the list does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It adds its tag and its footer.
    Footer,
    /// The same, and the token goes with the fields that it does not know.
    Stripped,
    /// The same, under the token of something else.
    Transplanted,
    /// It puts something above the text.
    Above,
}

impl Change {
    /// Whether what comes back is the letter that was sent out.
    const fn keeps(self) -> bool {
        matches!(self, Self::Footer)
    }
}

/// What the list sends on, as a letter of its own.
pub(crate) fn listed(
    number: u32,
    (received, sent): (&Received, &Letter),
    change: Change,
    other: Option<&Received>,
    content_key: &[u8; 32],
) -> Letter {
    let text = String::from_utf8_lossy(&received.content);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut tokens = 0;
    let mut fields = String::new();
    for line in head.lines() {
        match line.strip_prefix("Subject: ") {
            Some(subject) => {
                let tag = mark(Part::Subject, number);
                fields.push_str(&format!("Subject: [{tag}] {subject}\r\n"));
            }
            None if line.starts_with("Recall-Token:") && change != Change::Footer => {
                tokens += 1;
                let other = other.filter(|_| change == Change::Transplanted);
                match other.and_then(token_of) {
                    Some(token) => fields.push_str(&format!("{token}\r\n")),
                    None if change == Change::Above => fields.push_str(&format!("{line}\r\n")),
                    None => {}
                }
            }
            None => fields.push_str(&format!("{line}\r\n")),
        }
    }
    debug_assert!(tokens > 0 || change == Change::Footer, "{head}");
    let line = format!("{}\r\n", mark(Part::Body, number).repeat(8));
    let body = with_line(&fields, body, &line, change == Change::Above);
    let content = format!("{fields}List-Id: <list.remote.test>\r\n\r\n{body}").into_bytes();
    let digest: ContentDigest = tern_mime::content_digest(content_key, &content);
    Letter {
        number,
        recipients: Vec::new(),
        digest,
        content,
        carried: sent.carried.clone(),
        has_attachments: sent.has_attachments,
        bears: Some(sent.number),
        returned: change.keeps().then_some((sent.digest, received.origin)),
    }
}

/// The token field of what the list has got before.
fn token_of(received: &Received) -> Option<String> {
    let text = String::from_utf8_lossy(&received.content);
    let mut lines = text.lines().take_while(|line| !line.is_empty());
    lines
        .find(|line| line.starts_with("Recall-Token:"))
        .map(str::to_owned)
}

/// A body with a line more: above its first text, or below all of it.
fn with_line(fields: &str, body: &str, line: &str, above: bool) -> String {
    let boundary = fields.split_once("boundary=").map(|(_, rest)| rest);
    let boundary = boundary.and_then(|rest| rest.lines().next());
    match (boundary, above) {
        (None, true) => format!("{line}{body}"),
        (None, false) => format!("{body}{line}"),
        (Some(_), true) => body.replacen("\r\n\r\n", &format!("\r\n\r\n{line}"), 1),
        (Some(boundary), false) => {
            let end = format!("--{boundary}--");
            let (parts, _) = body.rsplit_once(&end).unwrap_or((body, ""));
            format!("{parts}--{boundary}\r\n\r\n{line}{end}\r\n")
        }
    }
}

/// Where the list is.
pub(crate) const LIST: &str = "list@remote.test";

/// Whether an address is the list's.
pub(crate) fn is_list(address: &EmailAddress) -> bool {
    address.to_string() == LIST
}
