//! Message-Ids and what threads a message (RFC 5322 3.6.4, RFC 5256 REFERENCES).
//!
//! Invariant: ids come without angle brackets, white space and controls, at most
//! [`MAX_MESSAGE_ID_BYTES`] long.

use crate::header::unfold;
use crate::limits::{MAX_MESSAGE_ID_BYTES, MAX_THREAD_IDS};

/// The ids between angle brackets in a raw field value, in order.
pub fn message_ids(raw: &[u8]) -> impl Iterator<Item = String> + '_ {
    let mut rest = raw;
    std::iter::from_fn(move || {
        loop {
            let open = memchr::memchr(b'<', rest)?;
            let inside = rest.get(open + 1..)?;
            let close = memchr::memchr2(b'>', b'<', inside)?;
            rest = inside.get(close..)?;
            // `<a <b>`: the first bracket was never closed.
            if rest.first() == Some(&b'<') {
                continue;
            }
            if let Some(id) = clean(inside.get(..close)?) {
                return Some(id);
            }
        }
    })
}

/// The id of a Message-ID field: the first in brackets, else the bare value.
pub(crate) fn message_id(raw: &[u8]) -> Option<String> {
    message_ids(raw)
        .next()
        .or_else(|| clean(unfold(raw).trim_ascii_start()))
}

/// What a field that names messages says of them.
#[derive(Clone, Copy)]
enum Names {
    Ancestors,
    Answered,
    Replaced,
}

/// The ids that a message refers to: References, then those of In-Reply-To that are not in it, then
/// what it takes the place of (RFC 5536 3.2.12), so that it stands in the same conversation.
/// Past the limit the first (which names the conversation) and the newest are kept. With them how many
/// of them, from the first, are its ancestors (see [`crate::ParsedMessage::ancestors`]).
pub(crate) fn thread_ids(
    references: Option<&[u8]>,
    in_reply_to: Option<&[u8]>,
    supersedes: Option<&[u8]>,
) -> (Vec<String>, u32) {
    let mut ids: Vec<String> = Vec::new();
    let mut ancestors = 0;
    let fields = [
        (Names::Ancestors, references),
        (Names::Answered, in_reply_to),
        (Names::Replaced, supersedes),
    ];
    for (names, raw) in fields {
        for id in raw.into_iter().flat_map(message_ids) {
            if ids.contains(&id) {
                continue;
            }
            if ids.len() == MAX_THREAD_IDS {
                ids.remove(1);
                ancestors -= u32::from(ancestors > 1);
            }
            ids.push(id);
            // RFC 5256 3 REFERENCES step 1: what is answered is one, and only where there are no
            // references.
            ancestors += match names {
                Names::Ancestors => 1,
                Names::Answered => u32::from(ancestors == 0),
                Names::Replaced => 0,
            };
        }
    }
    (ids, ancestors)
}

/// A text that somebody gives for a Message-ID, as ids are kept: without brackets, white space and
/// controls; `None` where nothing is left, or it is too long.
pub fn clean_message_id(text: &str) -> Option<String> {
    clean(text.as_bytes())
}

fn clean(id: &[u8]) -> Option<String> {
    if id.len() > MAX_MESSAGE_ID_BYTES {
        return None;
    }
    let is_bracket = |byte: &u8| matches!(byte, b'<' | b'>');
    // Nearly every id is plain ASCII: no second look then.
    if let Ok(text) = std::str::from_utf8(id)
        && !id.is_empty()
        && id
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !is_bracket(byte))
    {
        return Some(text.to_owned());
    }
    let id: String = String::from_utf8_lossy(id)
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>'))
        .collect();
    (!id.is_empty() && id.len() <= MAX_MESSAGE_ID_BYTES).then_some(id)
}
