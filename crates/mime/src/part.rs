//! The body structure: a tree of parts with byte ranges (RFC 9051 7.5.2 BODYSTRUCTURE).
//!
//! Invariant: `header.end == body.start` in every part; the ranges of a child lie within its
//! parent's body, in order, without overlap. Values are raw, as IMAP wants them.

use std::ops::Range;

use crate::envelope::Envelope;

/// One parameter of Content-Type or Content-Disposition. RFC 2231 names (`filename*0*`) and
/// values stay as written, unquoted ([`crate::whole_params`] joins them); duplicates are all kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param<B = Vec<u8>> {
    /// The attribute as written.
    pub name: B,
    /// The value, without quotes.
    pub value: B,
}

impl Param {
    /// RFC 2045 5.2: what a text part without a charset has.
    pub(crate) fn us_ascii() -> Self {
        Self {
            name: b"charset".to_vec(),
            value: b"us-ascii".to_vec(),
        }
    }
}

/// A Content-Disposition (RFC 2183).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition<B = Vec<u8>> {
    /// `inline`, `attachment` or another word, as written.
    pub kind: B,
    /// Its parameters.
    pub params: Vec<Param<B>>,
}

/// What a part is, and what that adds to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind<B = Vec<u8>> {
    /// `multipart/*` with its parts: always at least one. Where the bytes hold none, it is one
    /// empty text part at the end of the body (what Dovecot reports).
    Multipart {
        /// The parts in order; part 1 of IMAP is the first.
        parts: Vec<Part<B>>,
    },
    /// `message/rfc822` or `message/global`: a message inside, which fills the whole body.
    Message {
        /// The envelope of the message inside.
        envelope: Box<Envelope<B>>,
        /// The message inside: its header and body.
        body: Box<Part<B>>,
    },
    /// `text/*`.
    Text,
    /// Anything else.
    Basic,
}

/// One part: a message is the root part of its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<B = Vec<u8>> {
    /// What it is.
    pub kind: PartKind<B>,
    /// The media type as written (`text` where the header names none).
    pub media_type: B,
    /// The subtype as written.
    pub subtype: B,
    /// The parameters of Content-Type; for a text part without a charset, `us-ascii` at the end
    /// (RFC 2045 5.2).
    pub params: Vec<Param<B>>,
    /// Content-ID.
    pub id: Option<B>,
    /// Content-Description.
    pub description: Option<B>,
    /// Content-Transfer-Encoding as written; absent means `7bit` (RFC 2045 6.1).
    pub encoding: Option<B>,
    /// Content-MD5.
    pub md5: Option<B>,
    /// Content-Disposition.
    pub disposition: Option<Disposition<B>>,
    /// Content-Language: tags in order, empty where absent.
    pub language: Vec<B>,
    /// Content-Location.
    pub location: Option<B>,
    /// The part's header, blank line included.
    pub header: Range<u32>,
    /// The part's body, without the line end that belongs to the boundary behind it.
    pub body: Range<u32>,
    /// Line ends in the body; counted for text and message parts only, else 0.
    pub lines: u32,
    /// Octets of the body once its transfer encoding is undone; as it stands for a multipart, for an
    /// encoding that is not known, and within a message that is encoded itself.
    pub decoded_size: u32,
}

impl<B: AsRef<[u8]>> Part<B> {
    /// Octets of the body as it stands, transfer encoding included (RFC 9051 body-fld-octets).
    pub fn size(&self) -> u32 {
        self.body.end.saturating_sub(self.body.start)
    }

    /// Whether the media type is this one, in any case.
    pub fn is_type(&self, media_type: &str, subtype: &str) -> bool {
        self.media_type
            .as_ref()
            .eq_ignore_ascii_case(media_type.as_bytes())
            && self
                .subtype
                .as_ref()
                .eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// The first Content-Type parameter of that name, in any case.
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        find_param(&self.params, name)
    }

    /// The encoding that IMAP reports: as written, or `7bit`.
    pub fn encoding_or_default(&self) -> &[u8] {
        self.encoding.as_ref().map_or(b"7bit", AsRef::as_ref)
    }

    /// Whether the disposition is this one, in any case.
    pub fn is_disposition(&self, kind: &str) -> bool {
        self.disposition
            .as_ref()
            .is_some_and(|d| d.kind.as_ref().eq_ignore_ascii_case(kind.as_bytes()))
    }

    /// The file name as written: of the disposition, else the `name` of the type. A name split or
    /// encoded by RFC 2231 gives its first piece.
    pub fn file_name(&self) -> Option<&[u8]> {
        let of = |params| {
            [
                "filename",
                "filename*",
                "filename*0",
                "filename*0*",
                "name",
                "name*",
                "name*0",
                "name*0*",
            ]
            .iter()
            .find_map(|name| find_param(params, name))
        };
        self.disposition
            .as_ref()
            .and_then(|d| of(&d.params))
            .or_else(|| of(&self.params))
    }

    /// The parts directly inside: those of a multipart, or the one message of a message part.
    pub fn children(&self) -> &[Self] {
        match &self.kind {
            PartKind::Multipart { parts } => parts,
            PartKind::Message { body, .. } => std::slice::from_ref(body),
            PartKind::Text | PartKind::Basic => &[],
        }
    }
}

impl Part {
    /// An empty text part at `at`: what stands for the parts of a multipart that has none.
    pub(crate) fn empty_text(at: u32) -> Self {
        Self {
            kind: PartKind::Text,
            media_type: b"text".to_vec(),
            subtype: b"plain".to_vec(),
            params: vec![Param::us_ascii()],
            id: None,
            description: None,
            encoding: None,
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
            header: at..at,
            body: at..at,
            lines: 0,
            decoded_size: 0,
        }
    }
}

fn find_param<'a, B: AsRef<[u8]>>(params: &'a [Param<B>], name: &str) -> Option<&'a [u8]> {
    params
        .iter()
        .find(|param| param.name.as_ref().eq_ignore_ascii_case(name.as_bytes()))
        .map(|param| param.value.as_ref())
}
