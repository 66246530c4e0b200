//! One pass over the bytes: headers, boundaries, the tree of parts (RFC 2046 5.1).
//!
//! Invariant: linear time (a boundary search never goes back), recursion of at most
//! [`MAX_NESTING`]. Boundaries are matched as Dovecot does: a line that begins with one, the
//! innermost and longest first. Refuses to decode anything.

use memchr::{memchr_iter, memmem};

use crate::content::{Content, Media};
use crate::envelope::Envelope;
use crate::header::{blank_line, headers};
use crate::limits::{
    MAX_ADDRESSES, MAX_BOUNDARY_BYTES, MAX_HEADER_BYTES, MAX_NESTING, MAX_PARAMS, MAX_PARTS,
};
use crate::part::{Param, Part, PartKind};

/// The scan of one message.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    newline_dashes: memmem::Finder<'static>,
    /// The boundaries of the multiparts around the current position, outermost first.
    boundaries: Vec<Vec<u8>>,
    parts: usize,
    addresses_left: usize,
    params_left: usize,
}

/// Why a part ended.
#[derive(Clone, Copy, Debug)]
struct Stop {
    /// Where the content ends: before the line end that belongs to the boundary line.
    content_end: usize,
    /// The boundary line, unless the message ended.
    boundary: Option<BoundaryLine>,
}

#[derive(Clone, Copy, Debug)]
struct BoundaryLine {
    /// Its index in `Scanner::boundaries`.
    index: usize,
    /// Whether this is the closing boundary.
    closing: bool,
    /// Behind its line end.
    next: usize,
}

/// A header as far as structure goes.
struct Head {
    content: Content,
    envelope: Option<Envelope>,
    end: usize,
    stop: Option<Stop>,
}

/// Where a part stands, for its defaults.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    in_digest: bool,
    /// Whether its header is that of a message and so has an envelope.
    message: bool,
}

/// The envelope and the tree of a message of at most `u32::MAX` bytes.
pub(crate) fn scan(bytes: &[u8]) -> (Envelope, Part) {
    let mut scanner = Scanner {
        bytes,
        newline_dashes: memmem::Finder::new(b"\n--"),
        boundaries: Vec::new(),
        parts: 0,
        addresses_left: MAX_ADDRESSES,
        params_left: MAX_PARAMS,
    };
    let place = Place {
        depth: 0,
        in_digest: false,
        message: true,
    };
    let (part, envelope, _) = scanner.entity(0, place);
    (envelope.unwrap_or_default(), part)
}

impl<'a> Scanner<'a> {
    fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// One part, header and body, from `start`.
    fn entity(&mut self, start: usize, place: Place) -> (Part, Option<Envelope>, Stop) {
        self.parts += 1;
        let Head {
            content,
            envelope,
            end,
            stop,
        } = self.head(start, place.message);
        let Content {
            media,
            id,
            description,
            encoding,
            md5,
            disposition,
            language,
            location,
            ..
        } = content;
        let Media {
            media_type,
            subtype,
            params,
        } = media.unwrap_or_else(|| default_media(place));
        let mut part = Part {
            kind: PartKind::Basic,
            media_type,
            subtype,
            params,
            id,
            description,
            encoding,
            md5,
            disposition,
            language,
            location,
            header: offset(start)..offset(end),
            body: offset(end)..offset(end),
            lines: 0,
            decoded_size: 0,
        };
        let stop = self.body(&mut part, end, stop, place);
        let body_end = stop.content_end.max(end);
        part.body.end = offset(body_end);
        if matches!(part.kind, PartKind::Text | PartKind::Message { .. }) {
            part.lines = offset(memchr_iter(b'\n', self.slice(end, body_end)).count());
        }
        if let PartKind::Multipart { parts } = &mut part.kind
            && parts.is_empty()
        {
            parts.push(Part::empty_text(part.body.end));
        }
        (part, envelope, stop)
    }

    /// Decides the kind of `part` and scans its body from `at`.
    fn body(&mut self, part: &mut Part, at: usize, stop: Option<Stop>, place: Place) -> Stop {
        let deeper = place.depth + 1 < MAX_NESTING && self.parts < MAX_PARTS;
        if part.media_type.eq_ignore_ascii_case(b"multipart") && deeper {
            let (parts, stop) = match (part.param("boundary"), stop) {
                (Some(boundary), None) => {
                    let cut = boundary
                        .get(..MAX_BOUNDARY_BYTES)
                        .unwrap_or(boundary)
                        .to_vec();
                    let in_digest = part.subtype.eq_ignore_ascii_case(b"digest");
                    self.multipart(
                        at,
                        cut,
                        Place {
                            depth: place.depth + 1,
                            in_digest,
                            message: false,
                        },
                    )
                }
                // RFC 2046 5.1.1 wants a boundary; without one there is nothing to find.
                (_, stop) => (Vec::new(), stop.unwrap_or_else(|| self.find_stop(at))),
            };
            part.kind = PartKind::Multipart { parts };
            stop
        } else if is_message(part) && deeper {
            let inside = Place {
                depth: place.depth + 1,
                in_digest: false,
                message: true,
            };
            let (body, envelope, stop) = match stop {
                None => self.entity(at, inside),
                // The boundary came before the blank line: the message inside is empty.
                Some(stop) => (Part::empty_text(offset(at)), None, stop),
            };
            let envelope = Box::new(envelope.unwrap_or_default());
            part.kind = PartKind::Message {
                envelope,
                body: Box::new(body),
            };
            stop
        } else {
            if part.media_type.eq_ignore_ascii_case(b"text") {
                part.kind = PartKind::Text;
                if part.param("charset").is_none() {
                    part.params.push(Param::us_ascii());
                }
            }
            stop.unwrap_or_else(|| self.find_stop(at))
        }
    }

    /// The parts of a multipart whose body begins at `at`.
    fn multipart(&mut self, at: usize, boundary: Vec<u8>, place: Place) -> (Vec<Part>, Stop) {
        let mine = self.boundaries.len();
        self.boundaries.push(boundary);
        let mut parts = Vec::new();
        // RFC 2046 5.1.1: what stands before the first boundary is preamble.
        let mut stop = self.find_stop(at);
        loop {
            match stop.boundary {
                Some(line) if line.index == mine && !line.closing => {
                    let (part, _, next) = self.entity(line.next, place);
                    parts.push(part);
                    stop = next;
                }
                Some(line) if line.index == mine => {
                    // The epilogue reaches to the boundary of a multipart further out.
                    self.boundaries.truncate(mine);
                    return (parts, self.find_stop(line.next));
                }
                _ => {
                    self.boundaries.truncate(mine);
                    return (parts, stop);
                }
            }
        }
    }

    /// The fields of the header at `start`, and where it ends: behind the blank line, or at a
    /// boundary line that comes first.
    fn head(&mut self, start: usize, message: bool) -> Head {
        let mut content = Content::default();
        let mut envelope = message.then(Envelope::default);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let mut fields = headers(rest);
        let mut stop = None;
        loop {
            let at = fields.position();
            if let Some(line) = self.boundary_at(start + at) {
                stop = Some(Stop {
                    content_end: start + at,
                    boundary: Some(line),
                });
                break;
            }
            let Some(field) = fields.next() else { break };
            if at > MAX_HEADER_BYTES {
                continue;
            }
            if let Some(envelope) = &mut envelope {
                envelope.field(&field, &mut self.addresses_left);
            }
            content.field(&field, &mut self.params_left);
        }
        let fields_end = start + fields.position();
        let blank = if stop.is_some() {
            0
        } else {
            blank_line(self.bytes.get(fields_end..).unwrap_or_default()).unwrap_or(0)
        };
        Head {
            content,
            envelope: envelope.map(Envelope::finish),
            end: fields_end + blank,
            stop,
        }
    }

    /// The first boundary line at or behind `start`, which is the start of a line.
    fn find_stop(&self, start: usize) -> Stop {
        let end = Stop {
            content_end: self.bytes.len(),
            boundary: None,
        };
        if self.boundaries.is_empty() {
            return end;
        }
        if let Some(line) = self.boundary_at(start) {
            return Stop {
                content_end: start,
                boundary: Some(line),
            };
        }
        let rest = self.bytes.get(start..).unwrap_or_default();
        for newline in self.newline_dashes.find_iter(rest) {
            let newline = start + newline;
            if let Some(line) = self.boundary_at(newline + 1) {
                // RFC 2046 5.1.1: the line end before a boundary belongs to the boundary.
                let carriage = newline > start && self.bytes.get(newline - 1) == Some(&b'\r');
                let content_end = newline - usize::from(carriage);
                return Stop {
                    content_end,
                    boundary: Some(line),
                };
            }
        }
        end
    }

    /// The boundary that the line at `at` is, if it is one.
    fn boundary_at(&self, at: usize) -> Option<BoundaryLine> {
        if self.boundaries.is_empty() || self.parts >= MAX_PARTS {
            return None;
        }
        let text = self.bytes.get(at..)?.strip_prefix(b"--")?;
        // A line is only searched for its end once a boundary matches, so this stays linear.
        let mut best: Option<(usize, usize)> = None;
        for (index, boundary) in self.boundaries.iter().enumerate().rev() {
            let longer = best.is_none_or(|(_, len)| boundary.len() > len);
            if longer && text.starts_with(boundary) {
                best = Some((index, boundary.len()));
                if ends_here(text.get(boundary.len()..).unwrap_or_default()) {
                    break;
                }
            }
        }
        let (index, len) = best?;
        let tail = text.get(len..).unwrap_or_default();
        let next =
            memchr::memchr(b'\n', tail).map_or(self.bytes.len(), |end| at + 2 + len + end + 1);
        Some(BoundaryLine {
            index,
            closing: tail.starts_with(b"--"),
            next,
        })
    }
}

/// Whether a boundary line holds nothing more than the boundary, or the boundary and `--`.
fn ends_here(tail: &[u8]) -> bool {
    let tail = tail.strip_prefix(b"--").unwrap_or(tail);
    tail.is_empty() || blank_line(tail).is_some()
}

fn is_message(part: &Part) -> bool {
    // RFC 6532 3.7: message/global is message/rfc822 with UTF-8 headers.
    part.is_type("message", "rfc822") || part.is_type("message", "global")
}

/// What a part without a readable Content-Type is.
fn default_media(place: Place) -> Media {
    if place.in_digest {
        // RFC 2046 5.1.5.
        return Media {
            media_type: b"message".to_vec(),
            subtype: b"rfc822".to_vec(),
            params: Vec::new(),
        };
    }
    // RFC 2045 5.2; the charset is added where every text part gets it.
    Media {
        media_type: b"text".to_vec(),
        subtype: b"plain".to_vec(),
        params: Vec::new(),
    }
}

/// A position as it is stored. `scan` is given at most `u32::MAX` bytes.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
