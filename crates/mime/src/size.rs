//! How large each part is once its transfer encoding is undone: what a client is told of an attachment
//! (RFC 8621 4.1.4 `size`) without anybody decoding it again.
//!
//! Invariant: no octet is decoded twice, so a message costs no more than its size, whatever is in what.
//! Refuses to look into a message that is encoded itself, which RFC 2046 5.2.1 forbids: what the scanner
//! found in there was found in the encoded octets.

use crate::part::{Part, PartKind};
use crate::text::{decode_part, is_identity};

/// Fills in the decoded sizes of a part and of those inside it.
pub(crate) fn measure(part: &mut Part, bytes: &[u8]) {
    part.decoded_size = decoded_size(part, bytes);
    let is_plain = is_identity(part);
    match &mut part.kind {
        PartKind::Multipart { parts } => parts.iter_mut().for_each(|part| measure(part, bytes)),
        PartKind::Message { body, .. } if is_plain => measure(body, bytes),
        PartKind::Message { body, .. } => leave(body),
        PartKind::Text | PartKind::Basic => {}
    }
}

fn decoded_size(part: &Part, bytes: &[u8]) -> u32 {
    if matches!(part.kind, PartKind::Multipart { .. }) || is_identity(part) {
        return part.size();
    }
    let decoded = decode_part(part, bytes).and_then(|decoded| u32::try_from(decoded.len()).ok());
    decoded.unwrap_or_else(|| part.size())
}

/// Every size as it stands.
fn leave(part: &mut Part) {
    part.decoded_size = part.size();
    match &mut part.kind {
        PartKind::Multipart { parts } => parts.iter_mut().for_each(leave),
        PartKind::Message { body, .. } => leave(body),
        PartKind::Text | PartKind::Basic => {}
    }
}
