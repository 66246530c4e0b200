//! The compact row of a parsed message: a version byte, then varints and counted bytes. The
//! envelope is counted too, so that a reader of the parts steps over it.
//!
//! Invariant: `decode(encode(m))` is `m` for everything [`crate::parse`] gives. [`decode`] never
//! panics, never allocates more than the row could hold, and gives `None` for damage, for a
//! version it does not know, and for bytes left over.
//!
//! Frequent words (`text`, `plain`, `charset`, ...) are one byte. The list of words is part of the
//! format: it may only grow at its end, everything else asks for a new version.

use tern_base::Timestamp;

use crate::address::Address;
use crate::envelope::Envelope;
use crate::limits::MAX_NESTING;
use crate::message::ParsedMessage;
use crate::part::{Disposition, Param, Part, PartKind};

/// The version this code writes.
const VERSION: u8 = 4;

/// Byte strings that are written as their number, exactly as spelled here.
const WORDS: &[&[u8]] = &[
    b"text",
    b"plain",
    b"html",
    b"charset",
    b"utf-8",
    b"UTF-8",
    b"us-ascii",
    b"iso-8859-1",
    b"ISO-8859-1",
    b"multipart",
    b"mixed",
    b"alternative",
    b"related",
    b"boundary",
    b"7bit",
    b"8bit",
    b"base64",
    b"quoted-printable",
    b"application",
    b"octet-stream",
    b"pdf",
    b"image",
    b"png",
    b"jpeg",
    b"attachment",
    b"inline",
    b"filename",
    b"name",
    b"message",
    b"rfc822",
    b"format",
    b"flowed",
    b"signed",
    b"report",
    b"TEXT",
    b"PLAIN",
    b"HTML",
    b"windows-1252",
    b"delsp",
    b"yes",
];

/// The row of a message. Its length follows the header and the number of parts, not the body; a
/// message with thousands of recipients or parts can go beyond 64 KiB.
pub fn encode(message: &ParsedMessage) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(512));
    w.0.push(VERSION);
    w.number(message.size);
    let mut envelope = Writer(Vec::with_capacity(256));
    envelope.envelope(&message.envelope);
    w.bytes(&envelope.0);
    w.part(&message.body, 0);
    w.bytes(message.preview.as_bytes());
    w.optional(message.message_id.as_deref().map(str::as_bytes));
    w.list(&message.thread_ids, |w, id| w.bytes(id.as_bytes()));
    w.number(message.ancestor_count);
    w.varint(
        message
            .sent_at
            .map_or(0, |at| at.as_millis().saturating_add(1)),
    );
    w.0.push(u8::from(message.has_attachment));
    w.bytes(message.base_subject.as_bytes());
    w.0
}

/// A parsed message whose values are borrowed from its row.
pub type MessageView<'a> = ParsedMessage<&'a [u8], &'a str>;

/// A row that was found to be whole, to be read in place: a tenth of what the message takes once
/// every value is a string of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure(Box<[u8]>);

impl Structure {
    /// A stored row; `None` for damage.
    pub fn from_row(row: Vec<u8>) -> Option<Self> {
        decode_as::<&[u8], &str>(&row)?;
        Some(Self(row.into()))
    }

    /// The row of a message, whatever its length.
    pub fn of(message: &ParsedMessage) -> Self {
        Self(encode(message).into())
    }

    /// The row's length, in bytes.
    pub const fn row_len(&self) -> usize {
        self.0.len()
    }

    /// The message; never `None`, since the row was looked through when it came here. So are the
    /// other three.
    pub fn view(&self) -> Option<MessageView<'_>> {
        decode_as(&self.0)
    }

    /// The envelope alone.
    pub fn envelope(&self) -> Option<Envelope<&[u8]>> {
        let mut r = Reader::of_row(&self.0)?;
        r.number()?;
        r.counted_envelope()
    }

    /// The envelope's subject alone, where there is one.
    pub fn subject(&self) -> Option<Option<&[u8]>> {
        let mut r = Reader::of_row(&self.0)?;
        r.number()?;
        let mut inside = Reader(r.bytes()?);
        inside.optional::<&[u8]>()?;
        inside.optional()
    }

    /// The root part alone.
    pub fn body(&self) -> Option<Part<&[u8]>> {
        let mut r = Reader::of_row(&self.0)?;
        r.number()?;
        r.bytes::<&[u8]>()?;
        r.part(0, 0)
    }
}

/// The message of a row; `None` for damage.
pub fn decode(row: &[u8]) -> Option<ParsedMessage> {
    decode_as(row)
}

fn decode_as<'a, B, S>(row: &'a [u8]) -> Option<ParsedMessage<B, S>>
where
    B: From<&'a [u8]> + Clone,
    S: From<&'a str>,
{
    let mut r = Reader::of_row(row)?;
    let size = r.number()?;
    let envelope = r.counted_envelope()?;
    let body = r.part(0, 0)?;
    let message = ParsedMessage {
        size,
        header_size: body.header.end,
        envelope,
        body,
        preview: r.string()?,
        message_id: r.optional_string()?,
        thread_ids: r.list(Reader::string)?,
        ancestor_count: r.number()?,
        sent_at: r.varint()?.checked_sub(1).map(Timestamp),
        has_attachment: match r.byte()? {
            0 => false,
            1 => true,
            _ => return None,
        },
        base_subject: r.string()?,
    };
    let within = message.body.body.end <= size
        && message.header_size <= size
        && message.ancestor_count as usize <= message.thread_ids.len();
    (r.0.is_empty() && within).then_some(message)
}

const KIND_BASIC: u8 = 0;
const KIND_TEXT: u8 = 1;
const KIND_MULTIPART: u8 = 2;
const KIND_MESSAGE: u8 = 3;

struct Writer(Vec<u8>);

impl Writer {
    /// LEB128.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, value: u32) {
        self.varint(u64::from(value));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// 0 for nothing, else the length and 1.
    fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.0.push(0),
            Some(bytes) => {
                self.varint(bytes.len() as u64 + 1);
                self.0.extend_from_slice(bytes);
            }
        }
    }

    /// The number of a frequent word, or the count of words and the length.
    fn word(&mut self, bytes: &[u8]) {
        match WORDS.iter().position(|word| *word == bytes) {
            Some(index) => self.varint(index as u64 * 2),
            None => {
                self.varint(bytes.len() as u64 * 2 + 1);
                self.0.extend_from_slice(bytes);
            }
        }
    }

    fn list<T>(&mut self, items: &[T], each: impl Fn(&mut Self, &T)) {
        self.varint(items.len() as u64);
        for item in items {
            each(self, item);
        }
    }

    fn envelope(&mut self, envelope: &Envelope) {
        self.optional(envelope.date.as_deref());
        self.optional(envelope.subject.as_deref());
        self.addresses(envelope.from.as_ref());
        // These are From more often than not: 1 says so.
        for list in [&envelope.sender, &envelope.reply_to] {
            let same = *list == envelope.from;
            self.0.push(u8::from(same));
            if !same {
                self.addresses(list.as_ref());
            }
        }
        self.addresses(envelope.to.as_ref());
        self.addresses(envelope.cc.as_ref());
        self.addresses(envelope.bcc.as_ref());
        self.optional(envelope.in_reply_to.as_deref());
        self.optional(envelope.message_id.as_deref());
    }

    fn addresses(&mut self, list: Option<&Vec<Address>>) {
        let Some(list) = list else {
            return self.0.push(0);
        };
        self.varint(list.len() as u64 + 1);
        for address in list {
            self.optional(address.name.as_deref());
            self.optional(address.adl.as_deref());
            self.optional(address.mailbox.as_deref());
            self.optional(address.host.as_deref());
        }
    }

    fn params(&mut self, params: &[Param]) {
        self.list(params, |w, param| {
            w.word(&param.name);
            w.word(&param.value);
        });
    }

    /// A part whose parent's content begins at `base`.
    fn part(&mut self, part: &Part, base: u32) {
        self.0.push(match part.kind {
            PartKind::Basic => KIND_BASIC,
            PartKind::Text => KIND_TEXT,
            PartKind::Multipart { .. } => KIND_MULTIPART,
            PartKind::Message { .. } => KIND_MESSAGE,
        });
        self.word(&part.media_type);
        self.word(&part.subtype);
        self.params(&part.params);
        let encoding = part.encoding.as_deref();
        let rare = [&part.id, &part.description, &part.md5, &part.location];
        let flags = rare.iter().enumerate().fold(0, |flags, (bit, value)| {
            flags | u8::from(value.is_some()) << bit
        }) | u8::from(encoding.is_some()) << 4
            | u8::from(part.disposition.is_some()) << 5
            | u8::from(!part.language.is_empty()) << 6
            | u8::from(part.decoded_size != part.size()) << 7;
        self.0.push(flags);
        for value in rare.into_iter().flatten() {
            self.bytes(value);
        }
        if let Some(encoding) = encoding {
            self.word(encoding);
        }
        if let Some(disposition) = &part.disposition {
            self.word(&disposition.kind);
            self.params(&disposition.params);
        }
        if !part.language.is_empty() {
            self.list(&part.language, |w, tag| w.bytes(tag));
        }
        self.number(part.header.start.saturating_sub(base));
        self.number(part.header.end.saturating_sub(part.header.start));
        self.number(part.size());
        if part.decoded_size != part.size() {
            self.number(part.decoded_size);
        }
        self.number(part.lines);
        match &part.kind {
            PartKind::Basic | PartKind::Text => {}
            PartKind::Multipart { parts } => {
                self.list(parts, |w, child| w.part(child, part.body.start));
            }
            PartKind::Message { envelope, body } => {
                self.envelope(envelope);
                self.part(body, part.body.start);
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn of_row(row: &'a [u8]) -> Option<Self> {
        let (&version, rest) = row.split_first()?;
        (version == VERSION).then_some(Self(rest))
    }

    fn counted_envelope<B: From<&'a [u8]> + Clone>(&mut self) -> Option<Envelope<B>> {
        let mut inside = Reader(self.bytes()?);
        let envelope = inside.envelope()?;
        inside.0.is_empty().then_some(envelope)
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn number(&mut self) -> Option<u32> {
        u32::try_from(self.varint()?).ok()
    }

    fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn bytes<B: From<&'a [u8]>>(&mut self) -> Option<B> {
        let len = self.varint()?;
        self.take(len).map(B::from)
    }

    fn string<S: From<&'a str>>(&mut self) -> Option<S> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).ok().map(S::from)
    }

    fn optional<B: From<&'a [u8]>>(&mut self) -> Option<Option<B>> {
        match self.varint()? {
            0 => Some(None),
            len => Some(Some(self.take(len - 1)?.into())),
        }
    }

    fn optional_string<S: From<&'a str>>(&mut self) -> Option<Option<S>> {
        let bytes = self.optional()?;
        let text = bytes.map(std::str::from_utf8).transpose().ok()?;
        Some(text.map(S::from))
    }

    fn word<B: From<&'a [u8]>>(&mut self) -> Option<B> {
        let value = self.varint()?;
        if value & 1 == 1 {
            return self.take(value >> 1).map(B::from);
        }
        let word: &'a [u8] = WORDS.get(usize::try_from(value >> 1).ok()?)?;
        Some(word.into())
    }

    fn list<T>(&mut self, each: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.varint()?;
        self.items(count, each)
    }

    /// Every item takes at least one byte, so a count beyond what is left is damage.
    fn items<T>(&mut self, count: u64, each: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(count).ok()?;
        if count > self.0.len() {
            return None;
        }
        let mut out = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            out.push(each(self)?);
        }
        Some(out)
    }

    fn envelope<B: From<&'a [u8]> + Clone>(&mut self) -> Option<Envelope<B>> {
        let date = self.optional()?;
        let subject = self.optional()?;
        let from = self.addresses()?;
        let sender = self.addresses_or(&from)?;
        let reply_to = self.addresses_or(&from)?;
        Some(Envelope {
            date,
            subject,
            from,
            sender,
            reply_to,
            to: self.addresses()?,
            cc: self.addresses()?,
            bcc: self.addresses()?,
            in_reply_to: self.optional()?,
            message_id: self.optional()?,
        })
    }

    fn addresses<B: From<&'a [u8]>>(&mut self) -> Option<Option<Vec<Address<B>>>> {
        let Some(count) = self.varint()?.checked_sub(1) else {
            return Some(None);
        };
        let list = self.items(count, |r| {
            Some(Address {
                name: r.optional()?,
                adl: r.optional()?,
                mailbox: r.optional()?,
                host: r.optional()?,
            })
        })?;
        Some(Some(list))
    }

    fn addresses_or<B: From<&'a [u8]> + Clone>(
        &mut self,
        from: &Option<Vec<Address<B>>>,
    ) -> Option<Option<Vec<Address<B>>>> {
        match self.byte()? {
            0 => self.addresses(),
            1 => Some(from.clone()),
            _ => None,
        }
    }

    fn params<B: From<&'a [u8]>>(&mut self) -> Option<Vec<Param<B>>> {
        self.list(|r| {
            Some(Param {
                name: r.word()?,
                value: r.word()?,
            })
        })
    }

    fn part<B: From<&'a [u8]> + Clone>(&mut self, base: u32, depth: usize) -> Option<Part<B>> {
        if depth > MAX_NESTING {
            return None;
        }
        let kind = self.byte()?;
        let (media_type, subtype, params) = (self.word()?, self.word()?, self.params()?);
        let flags = self.byte()?;
        let mut part = Part {
            media_type,
            subtype,
            params,
            kind: PartKind::Basic,
            id: None,
            description: None,
            encoding: None,
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
            header: 0..0,
            body: 0..0,
            lines: 0,
            decoded_size: 0,
        };
        let rare = [
            &mut part.id,
            &mut part.description,
            &mut part.md5,
            &mut part.location,
        ];
        for (bit, slot) in rare.into_iter().enumerate() {
            if flags & 1 << bit != 0 {
                *slot = Some(self.bytes()?);
            }
        }
        if flags & 1 << 4 != 0 {
            part.encoding = Some(self.word()?);
        }
        if flags & 1 << 5 != 0 {
            part.disposition = Some(Disposition {
                kind: self.word()?,
                params: self.params()?,
            });
        }
        if flags & 1 << 6 != 0 {
            part.language = self.list(Reader::bytes)?;
        }
        let start = base.checked_add(self.number()?)?;
        let header_end = start.checked_add(self.number()?)?;
        let body_end = header_end.checked_add(self.number()?)?;
        part.header = start..header_end;
        part.body = header_end..body_end;
        part.decoded_size = match flags & 1 << 7 {
            0 => body_end - header_end,
            _ => self.number()?,
        };
        part.lines = self.number()?;
        part.kind = self.kind(kind, &part, depth)?;
        Some(part)
    }

    fn kind<B: From<&'a [u8]> + Clone>(
        &mut self,
        kind: u8,
        part: &Part<B>,
        depth: usize,
    ) -> Option<PartKind<B>> {
        let base = part.body.start;
        let kind = match kind {
            KIND_BASIC => PartKind::Basic,
            KIND_TEXT => PartKind::Text,
            KIND_MULTIPART => PartKind::Multipart {
                parts: self.list(|r| r.part(base, depth + 1))?,
            },
            KIND_MESSAGE => PartKind::Message {
                envelope: Box::new(self.envelope()?),
                body: Box::new(self.part(base, depth + 1)?),
            },
            _ => return None,
        };
        // What a damaged row could break and readers rely on: children within their parent.
        let children = match &kind {
            PartKind::Multipart { parts } if parts.is_empty() => return None,
            PartKind::Multipart { parts } => parts.as_slice(),
            PartKind::Message { body, .. } => std::slice::from_ref(&**body),
            PartKind::Text | PartKind::Basic => &[],
        };
        let mut at = base;
        for child in children {
            if child.header.start < at || child.body.end > part.body.end {
                return None;
            }
            at = child.body.end;
        }
        Some(kind)
    }
}
