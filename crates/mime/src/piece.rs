//! Undoing a part's transfer encoding piece by piece, so that nobody holds a large part to serve a little of it.
//!
//! Invariant: a part that is cut where [`whole_units`] says decodes, piece by piece, to what
//! [`crate::decode_part`] makes of the whole of it, whatever is damaged in it. Refuses to carry anything from
//! one piece to the next: where a piece begins is all there is to remember.

use std::borrow::Cow;

use mail_parser::Encoding;

use crate::part::Part;
use crate::text::encoding;

/// What octets of a part's body say, its transfer encoding undone; `None` for an encoding that is not known.
pub fn decode_octets<'a, B: AsRef<[u8]>>(
    part: &Part<B>,
    octets: &'a [u8],
) -> Option<Cow<'a, [u8]>> {
    Some(encoding(part)?.decode(octets))
}

/// How many octets at the beginning of `octets`, which begin a part's body or follow where it was cut before,
/// say the same whatever comes behind them; 0 where no end of a unit is in sight.
pub fn whole_units<B: AsRef<[u8]>>(part: &Part<B>, octets: &[u8]) -> usize {
    match encoding(part) {
        Some(Encoding::Base64) => whole_quanta(octets),
        // RFC 2045 6.7: nothing of the encoding goes over the end of a line.
        Some(Encoding::QuotedPrintable) => memchr::memrchr(b'\n', octets).map_or(0, |end| end + 1),
        _ => octets.len(),
    }
}

/// RFC 2045 6.8: four letters are a unit, or fewer in front of a `=`; whatever else there is counts for nothing.
fn whole_quanta(octets: &[u8]) -> usize {
    let (mut whole, mut open) = (0, 0);
    for (end, octet) in (1..).zip(octets) {
        open = match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => (open + 1) % 4,
            b'=' => 0,
            _ => open,
        };
        if open == 0 {
            whole = end;
        }
    }
    whole
}
