//! Names for content: the address of a blob, and what makes two messages the same letter.
//!
//! Invariant: every digest is keyed, so that nobody without the server's key can tell what is
//! stored from a digest, or forge one.

use blake3::Hasher;
use tern_base::{BlobId, ContentDigest};

use crate::attached::is_message_file;
use crate::header::{header_length, headers};
use crate::limits::{
    MAX_ENCODED_NESTING, MAX_HEADER_BYTES, MAX_NESTED_DIGESTS, NESTED_DIGEST_FACTOR,
};
use crate::message::{ParsedMessage, parse};
use crate::part::{Part, PartKind};
use crate::text::{decode_part, range};

/// The header fields of a letter, sorted, and which of them may have quoted strings. See
/// [`content_digest`] for what is left out, and why.
const DIGEST_FIELDS: [(&str, bool); 12] = [
    ("cc", true),
    ("content-disposition", true),
    ("content-transfer-encoding", false),
    ("content-type", true),
    ("date", false),
    ("from", true),
    ("in-reply-to", false),
    ("references", false),
    ("reply-to", true),
    ("sender", true),
    ("subject", false),
    ("to", true),
];

/// The keyed digest that addresses `bytes`.
pub fn blob_id(key: &[u8; 32], bytes: &[u8]) -> BlobId {
    BlobId(*blake3::keyed_hash(key, bytes).as_bytes())
}

/// [`blob_id`] over pieces.
#[derive(Clone, Debug)]
pub struct BlobHasher(Hasher);

impl BlobHasher {
    /// A hasher that has seen nothing.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hasher::new_keyed(key))
    }

    /// Takes in the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id of everything taken in.
    pub fn finish(&self) -> BlobId {
        BlobId(*self.0.finalize().as_bytes())
    }
}

/// The digest that a letter keeps on its way: equal for a sent message, its delivered copies and
/// re-appended copies, and different for any other letter.
///
/// It covers what a reader sees, and where an answer would go: From, Sender, Reply-To, To, Cc, Subject,
/// Date, Content-Type, Content-Disposition, Content-Transfer-Encoding, In-Reply-To and References (names
/// in lower case, sorted by name and then by order of appearance), then the body (line ends as LF, without
/// white space at line ends and without empty lines at the end).
///
/// That is the relaxed canonicalisation of RFC 6376 3.4, with two differences. In a quoted string white
/// space is a part of what is said (RFC 5322 3.2.4): there each space counts, and a fold is undone by
/// taking out its line end alone. And in the body white space within a line counts.
///
/// What it ignores:
/// - fields that servers add or change on the way (Received, Return-Path, Delivered-To,
///   Authentication-Results, DKIM-Signature, ARC-*, List-*, X-*, tokens of servers) or take out (Bcc);
/// - Message-ID, which a submission without one is given, and which clients replace when they
///   append a copy; who needs it compares it beside the digest;
/// - the order of fields of different names, folding, how much white space stands between words, LF
///   against CRLF, and white space at line ends: gateways and clients rewrite these without changing a word;
/// - how urgent it says that it is, since gateways translate that;
/// - MIME-Version, and any field not named above, because a reader does not see it.
///
/// A mailing list that puts a Sender or Reply-To of its own makes another letter of it, as one that adds a
/// footer does: that it came from here is known otherwise, where it is.
///
/// Not ignored: a change of transfer encoding, or a Date added later; compute the digest after
/// submission has completed the header.
pub fn content_digest(key: &[u8; 32], bytes: &[u8]) -> ContentDigest {
    let mut hasher = Hasher::new_keyed(&blake3::derive_key("tern 2026-11 content digest v2", key));
    let mut buffer = Buffer {
        hasher: &mut hasher,
        bytes: Vec::with_capacity(Buffer::SIZE + 256),
    };
    let header_end = header_length(bytes);
    let header = bytes
        .get(..header_end.min(MAX_HEADER_BYTES))
        .unwrap_or_default();
    let mut fields: Vec<(usize, &[u8])> = headers(header)
        .filter_map(|field| {
            let name = DIGEST_FIELDS.iter().position(|(name, _)| field.is(name))?;
            Some((name, field.value))
        })
        .collect();
    fields.sort_by_key(|&(name, _)| name); // Stable: order of appearance within a name.
    for (name, value) in fields {
        let (name, quotes) = DIGEST_FIELDS.get(name).copied().unwrap_or_default();
        buffer.push(name.as_bytes());
        buffer.push(b":");
        match quotes && value.contains(&b'"') {
            true => push_quoted(&mut buffer, value),
            false => push_words(&mut buffer, value),
        }
        buffer.push(b"\n");
    }
    // No field begins with a line end, so the body cannot be taken for one more field.
    buffer.push(b"\n");
    push_body(&mut buffer, bytes.get(header_end..).unwrap_or_default());
    buffer.flush();
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    ContentDigest(digest)
}

/// The words of a value, with one space between them.
fn push_words(buffer: &mut Buffer<'_>, value: &[u8]) {
    let words = value
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            buffer.push(b" ");
        }
        buffer.push(word);
    }
}

/// The same, where quoted strings keep their white space.
fn push_quoted(buffer: &mut Buffer<'_>, value: &[u8]) {
    let (mut quoted, mut escaped, mut gap, mut begun) = (false, false, false, false);
    // What a mark opens that is never closed is not quoted.
    let last = memchr::memrchr(b'"', value).unwrap_or_default();
    for (at, byte) in value.iter().enumerate() {
        let shown = match byte {
            b'\r' | b'\n' if quoted => continue,
            // Whoever folds may write a tab for the space.
            b'\t' if quoted => &b' ',
            byte if !quoted && byte.is_ascii_whitespace() => {
                gap = begun;
                continue;
            }
            byte => byte,
        };
        if std::mem::take(&mut gap) {
            buffer.push(b" ");
        }
        begun = true;
        buffer.push(std::slice::from_ref(shown));
        match byte {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted && at < last,
            _ => {}
        }
    }
}

fn push_body(buffer: &mut Buffer<'_>, body: &[u8]) {
    let mut empty_lines = 0_usize;
    let mut rest = body;
    while !rest.is_empty() {
        let (line, next) = match memchr::memchr(b'\n', rest) {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..)),
            None => (rest, None),
        };
        rest = next.unwrap_or_default();
        let line = line.trim_ascii_end();
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            buffer.push(b"\n");
        }
        buffer.push(line);
        buffer.push(b"\n");
    }
}

/// Gathers small pieces, since the hash is fastest over large ones.
struct Buffer<'a> {
    hasher: &'a mut Hasher,
    bytes: Vec<u8>,
}

impl Buffer<'_> {
    const SIZE: usize = 8 << 10;

    fn push(&mut self, piece: &[u8]) {
        if self.bytes.len() + piece.len() > Self::SIZE {
            self.flush();
        }
        if piece.len() > Self::SIZE {
            self.hasher.update(piece);
        } else {
            self.bytes.extend_from_slice(piece);
        }
    }

    fn flush(&mut self) {
        self.hasher.update(&self.bytes);
        self.bytes.clear();
    }
}

/// The content digests of the messages inside a message: its message parts, `.eml` files, and
/// those inside them, transfer encoding undone. At most [`MAX_NESTED_DIGESTS`], and at most
/// [`NESTED_DIGEST_FACTOR`] times the message's size is hashed; past that, the deepest are left
/// out.
pub fn nested_digests(key: &[u8; 32], message: &ParsedMessage, bytes: &[u8]) -> Vec<ContentDigest> {
    let mut digests = Vec::new();
    each_nested(key, message, bytes, |digest, _| digests.push(digest));
    digests
}

/// The same, with the octets of each.
pub fn each_nested(
    key: &[u8; 32],
    message: &ParsedMessage,
    bytes: &[u8],
    mut each: impl FnMut(ContentDigest, &[u8]),
) {
    let mut nested = Nested {
        key,
        each: &mut each,
        found: 0,
        bytes_left: bytes.len().saturating_mul(NESTED_DIGEST_FACTOR),
    };
    nested.walk(&message.body, bytes, 0);
}

struct Nested<'a> {
    key: &'a [u8; 32],
    each: &'a mut dyn FnMut(ContentDigest, &[u8]),
    found: usize,
    bytes_left: usize,
}

impl Nested<'_> {
    fn walk(&mut self, part: &Part, bytes: &[u8], wrapped: usize) {
        let raw = range(bytes, part.body.start, part.body.end);
        let message = matches!(part.kind, PartKind::Message { .. });
        if message || is_message_file(part) {
            let decoded = decode_part(part, bytes).unwrap_or(raw.into());
            if self.found >= MAX_NESTED_DIGESTS || decoded.len() > self.bytes_left {
                return;
            }
            self.bytes_left -= decoded.len();
            self.found += 1;
            (self.each)(content_digest(self.key, &decoded), &decoded);
            // Behind a transfer encoding the scanner saw nothing: look inside now.
            let hidden = !message || decoded.len() != raw.len();
            if hidden {
                if wrapped < MAX_ENCODED_NESTING {
                    self.walk(&parse(&decoded).body, &decoded, wrapped + 1);
                }
                return;
            }
        }
        for child in part.children() {
            self.walk(child, bytes, wrapped);
        }
    }
}
