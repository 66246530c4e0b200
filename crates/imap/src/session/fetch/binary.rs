//! `BINARY[…]`: a part with its transfer encoding undone (RFC 9051 6.4.5), decoded from near where it is asked
//! for.
//!
//! Invariant: a part is read and decoded [`CONTENT_PIECE`] at a time, and nothing is held but what is
//! asked of it, within the memory that all sessions share. Where the pieces began is remembered of the part
//! that was decoded last, so that a client which fetches it piece by piece, in whatever order, has each part
//! of it decoded about once. Refuses to remember any content: each piece is read again, and asked for seals.

use std::ops::Range;

use tern_base::BlobId;
use tern_mailbox::MailboxError;
use tern_mime::{
    MessageView, Part, PartKind, decode_octets, is_identity, is_known_encoding, whole_units,
};

use super::content::{Content, Source, cut, range};
use crate::fetch::{BodySection, SectionText};
use crate::limits::{CONTENT_PIECE, MAX_PART_MARKS};

/// Where the pieces of one part begin.
#[derive(Debug, Default)]
pub(in crate::session) struct Marks {
    /// The content that it is a part of, and where it begins there.
    of: Option<(BlobId, u64)>,
    /// How many octets of it were read to decode how many, in order; the first are none.
    at: Vec<(u64, u64)>,
}

impl Marks {
    /// The last mark that is not behind an octet of what is decoded.
    fn before(&mut self, part: (BlobId, u64), offset: u64) -> (u64, u64) {
        if self.of != Some(part) {
            (self.of, self.at) = (Some(part), vec![(0, 0)]);
        }
        let behind = self.at.partition_point(|(_, decoded)| *decoded <= offset);
        let last = behind.checked_sub(1).and_then(|last| self.at.get(last));
        last.copied().unwrap_or_default()
    }

    fn add(&mut self, mark: (u64, u64)) {
        let is_new = self.at.last().is_some_and(|last| *last < mark);
        if is_new && self.at.len() < MAX_PART_MARKS {
            self.at.push(mark);
        }
    }
}

impl Content<'_> {
    /// The section that `BINARY[…]` names.
    pub(super) fn binary(
        &self,
        path: &[u32],
        partial: Option<(u64, u64)>,
    ) -> Result<Source, MailboxError> {
        if path.is_empty() {
            return Ok(Source::Octets(cut(0..u64::from(self.row.size), partial)));
        }
        let structure = self.structure()?;
        let Some(parsed) = structure.view() else {
            return Ok(Source::Nothing);
        };
        let Some((part, range)) = self.part(path, &parsed) else {
            return Ok(Source::Nothing);
        };
        // RFC 2045 6.4: what is made of other parts has no encoding of its own.
        let is_leaf = matches!(part.kind, PartKind::Text | PartKind::Basic);
        if !is_leaf || is_identity(part) {
            return Ok(Source::Octets(cut(range, partial)));
        }
        if !is_known_encoding(part) {
            return Ok(Source::UnknownEncoding);
        }
        self.decoded(part, range, partial.unwrap_or((0, u64::MAX)))
    }

    /// What `BINARY.SIZE[…]` tells (RFC 9051 6.4.5): the row knows it of every part, but of those within a
    /// message that is encoded itself. `None` is a transfer encoding that is not known.
    pub(super) fn binary_size(&self, path: &[u32]) -> Result<Option<u64>, MailboxError> {
        if !path.is_empty() {
            let structure = self.structure()?;
            let parsed = structure.view();
            let found = parsed
                .as_ref()
                .and_then(|parsed| tern_mime::section(parsed, path));
            if let Some(part) = found
                .filter(|found| !found.in_encoded)
                .map(|found| found.part)
                && matches!(part.kind, PartKind::Text | PartKind::Basic)
                && is_known_encoding(part)
            {
                return Ok(Some(part.decoded_size.into()));
            }
        }
        Ok(match self.binary(path, None)? {
            Source::Octets(range) => Some(range.end - range.start),
            Source::Made(octets, _) => Some(octets.len() as u64),
            Source::Nothing => Some(0),
            Source::UnknownEncoding => None,
        })
    }

    /// A part, and where its body is.
    fn part<'p, 'o>(
        &self,
        path: &[u32],
        parsed: &'p MessageView<'o>,
    ) -> Option<(&'p Part<&'o [u8]>, Range<u64>)> {
        let section = BodySection {
            path: path.to_vec(),
            text: SectionText::All,
            partial: None,
            peek: true,
        };
        let part = tern_mime::section(parsed, path)?.part;
        Some((part, range(self.row, &section, parsed)?))
    }

    /// Octets of what a part says, from one on and so many at most.
    fn decoded(
        &self,
        part: &Part<&[u8]>,
        body: Range<u64>,
        (offset, length): (u64, u64),
    ) -> Result<Source, MailboxError> {
        let of = (self.row.blob, body.start - self.row.prefix.len() as u64);
        let end = offset.saturating_add(length);
        let mut marks = self.by.marks.take();
        let (mut read, mut decoded) = marks.before(of, offset);
        // No encoding says more octets than it takes.
        let reserved = self.reserve(length.min(body.end - body.start - read))?;
        let mut out = Vec::new();
        let mut most = CONTENT_PIECE;
        while decoded < end && body.start + read < body.end {
            let from = body.start + read;
            let to = body.end.min(from.saturating_add(most));
            let _held = self.reserve(to - from)?;
            let octets = self.read(from..to)?;
            let units = match to == body.end {
                true => octets.len(),
                false => whole_units(part, &octets),
            };
            // A line that is longer than a piece.
            most = if units == 0 { most * 2 } else { CONTENT_PIECE };
            let units = octets.get(..units).unwrap_or(&octets);
            let piece = decode_octets(part, units).unwrap_or_default();
            let size = piece.len() as u64;
            let within = |at: u64| at.saturating_sub(decoded).min(size) as usize;
            out.extend_from_slice(piece.get(within(offset)..within(end)).unwrap_or_default());
            self.by.budget.octets(size);
            read += units.len() as u64;
            decoded += size;
            marks.add((read, decoded));
        }
        self.by.marks.set(marks);
        let reserved = reserved.filter(|_| out.len() as u64 > CONTENT_PIECE);
        Ok(Source::Made(out, reserved))
    }
}
