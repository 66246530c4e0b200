//! The message that another one carries: what forwarding as an attachment makes.

use std::borrow::Cow;

use crate::message::ParsedMessage;
use crate::part::{Part, PartKind};
use crate::text::{decode_part, part_name, range};

/// The first message inside a message that is in no other: a message part or an `.eml` file,
/// transfer encoding undone.
pub fn first_attached<'a>(message: &ParsedMessage, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let part = find(&message.body)?;
    let raw = range(bytes, part.body.start, part.body.end);
    Some(decode_part(part, bytes).unwrap_or(raw.into()))
}

fn find(part: &Part) -> Option<&Part> {
    if matches!(part.kind, PartKind::Message { .. }) || is_message_file(part) {
        return Some(part);
    }
    part.children().iter().find_map(find)
}

/// A message attached as a file: what some clients make of a forwarded message.
pub(crate) fn is_message_file(part: &Part) -> bool {
    matches!(part.kind, PartKind::Basic | PartKind::Text)
        && part_name(part).is_some_and(|name| {
            let stem = name.len().checked_sub(4).filter(|stem| *stem > 0);
            let end = stem.and_then(|stem| name.get(stem..));
            end.is_some_and(|end| end.eq_ignore_ascii_case(".eml"))
        })
}
