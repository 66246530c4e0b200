//! FETCH responses (RFC 9051 7.5.2), item by item.
//!
//! Invariant: between [`ResponseWriter::fetch`] and [`FetchWriter::end`] one response line is
//! open, its items separated by single spaces. This is the hot path: no formatting machinery.

use tern_base::Timestamp;

use super::ResponseWriter;
use crate::fetch::{BodySection, SectionText};

/// One FETCH response that is being written.
#[derive(Debug)]
pub struct FetchWriter<'a> {
    out: &'a mut ResponseWriter,
    first: bool,
}

/// `\Seen` in the bits of [`FetchWriter::flags`].
pub const SEEN: u8 = 1;
/// `\Answered` in the bits of [`FetchWriter::flags`].
pub const ANSWERED: u8 = 2;
/// `\Flagged` in the bits of [`FetchWriter::flags`].
pub const FLAGGED: u8 = 4;
/// `\Deleted` in the bits of [`FetchWriter::flags`].
pub const DELETED: u8 = 8;
/// `\Draft` in the bits of [`FetchWriter::flags`].
pub const DRAFT: u8 = 16;

const SYSTEM_FLAGS: [(u8, &str); 5] = [
    (ANSWERED, "\\Answered"),
    (FLAGGED, "\\Flagged"),
    (DELETED, "\\Deleted"),
    (SEEN, "\\Seen"),
    (DRAFT, "\\Draft"),
];

impl ResponseWriter {
    /// Opens `* n FETCH (`.
    pub fn fetch(&mut self, number: u32) -> FetchWriter<'_> {
        self.raw(b"* ").number(number).raw(b" FETCH (");
        FetchWriter {
            out: self,
            first: true,
        }
    }
}

impl ResponseWriter {
    /// Goes on with the FETCH response that was begun last and has an item.
    pub fn fetch_again(&mut self) -> FetchWriter<'_> {
        FetchWriter {
            out: self,
            first: false,
        }
    }
}

impl FetchWriter<'_> {
    fn item(&mut self, name: &[u8]) -> &mut ResponseWriter {
        if !std::mem::take(&mut self.first) {
            self.out.byte(b' ');
        }
        self.out.raw(name)
    }

    /// `FLAGS (…)`: system flags as bits, keywords as stored.
    pub fn flags<'k>(
        &mut self,
        system: u8,
        keywords: impl IntoIterator<Item = &'k str>,
    ) -> &mut Self {
        let out = self.item(b"FLAGS (");
        let mut space = false;
        for (bit, name) in SYSTEM_FLAGS {
            if system & bit != 0 {
                if std::mem::replace(&mut space, true) {
                    out.byte(b' ');
                }
                out.word(name);
            }
        }
        for keyword in keywords {
            if std::mem::replace(&mut space, true) {
                out.byte(b' ');
            }
            out.word(keyword);
        }
        out.byte(b')');
        self
    }

    /// `UID n`
    pub fn uid(&mut self, uid: u32) -> &mut Self {
        self.item(b"UID ").number(uid);
        self
    }

    /// `MODSEQ (n)` (RFC 7162 3.1.4.2)
    pub fn modseq(&mut self, modseq: u64) -> &mut Self {
        self.item(b"MODSEQ (").number(modseq).byte(b')');
        self
    }

    /// `RFC822.SIZE n`
    pub fn size(&mut self, octets: u64) -> &mut Self {
        self.item(b"RFC822.SIZE ").number(octets);
        self
    }

    /// `INTERNALDATE "…"`
    pub fn internal_date(&mut self, time: Timestamp) -> &mut Self {
        self.item(b"INTERNALDATE ").date_time(time);
        self
    }

    /// `SAVEDATE "…"` or `SAVEDATE NIL` (RFC 8514 4.2)
    pub fn save_date(&mut self, time: Option<Timestamp>) -> &mut Self {
        let out = self.item(b"SAVEDATE ");
        match time {
            Some(time) => out.date_time(time),
            None => out.raw(b"NIL"),
        };
        self
    }

    /// `EMAILID (…)` (RFC 8474 5.1)
    pub fn email_id(&mut self, id: &str) -> &mut Self {
        self.item(b"EMAILID (").word(id).byte(b')');
        self
    }

    /// `THREADID (…)` (RFC 8474 5.2)
    pub fn thread_id(&mut self, id: &str) -> &mut Self {
        self.item(b"THREADID (").word(id).byte(b')');
        self
    }

    /// `PREVIEW "…"` or NIL (RFC 8970 3.2). Text that is not ASCII goes as a literal to a client
    /// that did not enable UTF-8.
    pub fn preview(&mut self, text: Option<&str>) -> &mut Self {
        self.item(b"PREVIEW ").nstring(text.map(str::as_bytes));
        self
    }

    /// `ENVELOPE (…)`
    pub fn envelope<B: AsRef<[u8]>>(&mut self, envelope: &tern_mime::Envelope<B>) -> &mut Self {
        self.item(b"ENVELOPE ").envelope(envelope);
        self
    }

    /// `BODY (…)`, or `BODYSTRUCTURE (…)` with extension data.
    pub fn body_structure<B: AsRef<[u8]>>(
        &mut self,
        root: &tern_mime::Part<B>,
        extended: bool,
    ) -> &mut Self {
        let name: &[u8] = if extended {
            b"BODYSTRUCTURE "
        } else {
            b"BODY "
        };
        self.item(name).body_structure(root, extended);
        self
    }

    /// `RFC822`, `RFC822.HEADER` or `RFC822.TEXT` (RFC 3501 7.4.2) and a space: the content must follow.
    pub fn rfc822_name(&mut self, name: &str) {
        self.item(name.as_bytes()).byte(b' ');
    }

    /// `BINARY[…]<n> `: the content must follow.
    pub fn binary_name(&mut self, path: &[u32], partial: Option<(u64, u64)>) {
        self.item(b"BINARY[");
        self.path(path);
        self.origin(partial);
    }

    /// `BINARY.SIZE[…] n`
    pub fn binary_size(&mut self, path: &[u32], size: u64) -> &mut Self {
        self.item(b"BINARY.SIZE[");
        self.path(path);
        self.out.raw(b"] ").number(size);
        self
    }

    /// Closes the response.
    pub fn end(&mut self) {
        self.out.raw(b")\r\n");
    }

    fn path(&mut self, path: &[u32]) {
        for (index, number) in path.iter().enumerate() {
            if index > 0 {
                self.out.byte(b'.');
            }
            self.out.number(*number);
        }
    }

    /// `]`, and `<n>` where the request was partial.
    fn origin(&mut self, partial: Option<(u64, u64)>) {
        self.out.byte(b']');
        if let Some((offset, _)) = partial {
            self.out.byte(b'<').number(offset).byte(b'>');
        }
        self.out.byte(b' ');
    }

    /// `BODY[…]<n> `: the content must follow.
    pub fn section_name(&mut self, section: &BodySection) {
        self.item(b"BODY[");
        self.path(&section.path);
        if !section.path.is_empty() && section.text != SectionText::All {
            self.out.byte(b'.');
        }
        match &section.text {
            SectionText::All => {}
            SectionText::Header => {
                self.out.word("HEADER");
            }
            SectionText::Text => {
                self.out.word("TEXT");
            }
            SectionText::Mime => {
                self.out.word("MIME");
            }
            SectionText::HeaderFields(names) => self.header_names("HEADER.FIELDS (", names),
            SectionText::HeaderFieldsNot(names) => self.header_names("HEADER.FIELDS.NOT (", names),
        }
        self.origin(section.partial);
    }

    fn header_names(&mut self, name: &str, fields: &[String]) {
        self.out.word(name);
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.out.byte(b' ');
            }
            self.out.astring(field.as_bytes());
        }
        self.out.byte(b')');
    }
}
