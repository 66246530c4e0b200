//! The fields of a header under search, found by their names.
//!
//! Invariant: a header is taken apart once, and each value decoded once, however many conditions ask.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use tern_mime::headers;

use super::subject::push_decoded;
use super::text::{Hay, Needle};

/// The fields of one header.
pub(super) struct Fields {
    header: Vec<u8>,
    /// Where the names and the values are, by name.
    places: Vec<(Range<usize>, Range<usize>)>,
    /// What the values say, by the names that were asked for.
    texts: HashMap<Box<[u8]>, Vec<Hay>>,
}

/// What a look took, in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) decoded: u64,
    pub(super) scanned: u64,
}

impl Fields {
    pub(super) fn of(header: &[u8]) -> Self {
        let place = |field: tern_mime::HeaderField<'_>| {
            let Range { start, end } = field.range;
            (
                start..start + field.name.len(),
                end - field.value.len()..end,
            )
        };
        let mut places: Vec<_> = headers(header).map(place).collect();
        // Fields of one name stay in their order.
        places.sort_by(|(a, _), (b, _)| compare(at(header, a), at(header, b)));
        Self {
            header: header.to_vec(),
            places,
            texts: HashMap::new(),
        }
    }

    /// RFC 9051 6.4.4 HEADER: whether a field of that name has the text; any has an empty text.
    pub(super) fn has(&mut self, name: &str, needle: &Needle) -> (bool, Look) {
        let name = name.as_bytes().to_ascii_lowercase();
        let mut look = Look::default();
        let (header, places) = (&self.header, &self.places);
        let texts = self.texts.entry(name.into()).or_insert_with_key(|name| {
            let named = |order: Ordering| {
                move |(of, _): &(Range<usize>, Range<usize>)| compare(at(header, of), name) < order
            };
            let first = places.partition_point(named(Ordering::Equal));
            let behind = places.partition_point(named(Ordering::Greater));
            let values = places.get(first..behind).unwrap_or_default();
            let text = |(_, value): &(Range<usize>, Range<usize>)| {
                let mut text = String::new();
                push_decoded(&mut text, at(header, value));
                look.decoded += value.len() as u64;
                Hay::new(&text)
            };
            values.iter().map(text).collect()
        });
        let mut looked = 0;
        let found = texts.iter().any(|text| {
            looked += text.len();
            text.has(needle)
        });
        look.scanned = looked;
        (found, look)
    }
}

fn at<'h>(header: &'h [u8], range: &Range<usize>) -> &'h [u8] {
    header.get(range.clone()).unwrap_or_default()
}

/// How two names stand to each other, in any case.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let lower = u8::to_ascii_lowercase;
    a.iter().map(lower).cmp(b.iter().map(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_in_any_case() {
        let header = b"Subject: one\r\nX-A: first\r\nno colon\r\nx-a:\r\n second =?utf-8?q?w=C3=B6rd?=\r\nXyz: y\r\n";
        let mut fields = Fields::of(header);
        let mut has = |name: &str, text: &str| fields.has(name, &Needle::new(text)).0;
        assert!(has("x-A", "FIRST") && has("X-a", "second wörd"));
        assert!(!has("x-a", "one") && !has("x", "") && !has("xyzz", ""));
        assert!(has("xyz", "") && has("subject", "on"));
    }

    #[test]
    fn a_value_is_decoded_once() {
        let header = format!("A: {}\r\nB: x\r\n", "a".repeat(500));
        let mut fields = Fields::of(header.as_bytes());
        let needle = Needle::new("b");
        let first = fields.has("a", &needle).1;
        assert_eq!((first.decoded, first.scanned), (503, 500));
        let again = fields.has("A", &needle).1;
        assert_eq!((again.decoded, again.scanned), (0, 500));
        assert_eq!(fields.has("c", &needle).1, Look::default());
    }
}
