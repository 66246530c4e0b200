//! IMAP section numbers to byte ranges (RFC 9051 6.4.5.1).
//!
//! Invariant: every range lies within the message that was parsed. Refuses numbers that name no
//! part: the answer is `None`, which IMAP shows as NIL.

use std::ops::Range;

use crate::message::ParsedMessage;
use crate::part::{Part, PartKind};
use crate::text::is_identity;

/// What `BODY[path]` and its companions are in the message's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<'a, B = Vec<u8>> {
    /// The part itself; the root part for the empty path.
    pub part: &'a Part<B>,
    /// `BODY[path]`: the part's body, or the whole message for the empty path.
    pub whole: Range<u32>,
    /// `BODY[path.MIME]`; absent for the empty path.
    pub mime: Option<Range<u32>>,
    /// `BODY[path.HEADER]`, blank line included; only of a message (the root or a message part).
    pub header: Option<Range<u32>>,
    /// `BODY[path.TEXT]`; only of a message.
    pub text: Option<Range<u32>>,
    /// It is within a message that is encoded itself, which RFC 2046 5.2.1 forbids: its decoded size is not
    /// known.
    pub in_encoded: bool,
}

/// The section that `path` names in a message.
pub fn section<'a, B: AsRef<[u8]>, S>(
    message: &'a ParsedMessage<B, S>,
    path: &[u32],
) -> Option<Section<'a, B>> {
    let Some((&first, rest)) = path.split_first() else {
        let root = &message.body;
        return Some(Section {
            part: root,
            whole: 0..message.size,
            mime: None,
            header: Some(root.header.clone()),
            text: Some(root.body.clone()),
            in_encoded: false,
        });
    };
    let mut part = part_of_message(&message.body, first)?;
    let mut in_encoded = false;
    for &number in rest {
        part = match &part.kind {
            PartKind::Multipart { parts } => nth(parts, number)?,
            // RFC 9051 6.4.5.1: numbers behind a message part go into that message.
            PartKind::Message { body, .. } => {
                in_encoded |= !is_identity(part);
                part_of_message(body, number)?
            }
            PartKind::Text | PartKind::Basic => return None,
        };
    }
    let inside = match &part.kind {
        PartKind::Message { body, .. } => Some(body),
        _ => None,
    };
    Some(Section {
        part,
        whole: part.body.clone(),
        mime: Some(part.header.clone()),
        header: inside.map(|body| body.header.clone()),
        text: inside.map(|body| body.body.clone()),
        in_encoded,
    })
}

/// RFC 9051 6.4.5.1: every message has at least one part, so part 1 of a message that is no
/// multipart is its body.
fn part_of_message<B>(root: &Part<B>, number: u32) -> Option<&Part<B>> {
    match &root.kind {
        PartKind::Multipart { parts } => nth(parts, number),
        _ => (number == 1).then_some(root),
    }
}

fn nth<B>(parts: &[Part<B>], number: u32) -> Option<&Part<B>> {
    parts.get(usize::try_from(number).ok()?.checked_sub(1)?)
}
