//! One message, parsed once at ingest.
//!
//! Invariant: a [`ParsedMessage`] follows from the bytes alone: no clock, no settings. Anything is
//! a message; [`parse`] never fails.

use mail_parser::HeaderForm;
use tern_base::Timestamp;

use crate::envelope::Envelope;
use crate::header::headers;
use crate::limits::MAX_HEADER_BYTES;
use crate::part::{Part, PartKind};
use crate::scanner;
use crate::size::measure;
use crate::subject::base_subject;
use crate::text::{decode_header_text, preview};
use crate::thread::{message_id, thread_ids};

/// What the server keeps of a message beside its bytes. Values are owned, or, where it was read
/// from a row in place, borrowed from the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedMessage<B = Vec<u8>, S = String> {
    /// Octets of the message (RFC822.SIZE).
    pub size: u32,
    /// Octets of its header, blank line included.
    pub header_size: u32,
    /// The envelope.
    pub envelope: Envelope<B>,
    /// The root part: its header is the message's header.
    pub body: Part<B>,
    /// The first words of the text, white space collapsed (RFC 8970 3.2, RFC 8621 4.1.4).
    pub preview: S,
    /// The Message-ID without angle brackets.
    pub message_id: Option<S>,
    /// The ids in References, In-Reply-To and Supersedes, without angle brackets, the newest last
    /// and what it supersedes behind them; at most
    /// [`crate::limits::MAX_THREAD_IDS`].
    pub thread_ids: Vec<S>,
    /// How many of them, from the first, are [`Self::ancestors`].
    pub ancestor_count: u32,
    /// The moment that Date names, where it names one since 1970; in UTC, and at the beginning of its
    /// day, where that is all it says (RFC 5256 2.2).
    pub sent_at: Option<Timestamp>,
    /// Whether a person would say that something is attached (RFC 8621 4.1.4 hasAttachment).
    pub has_attachment: bool,
    /// The base subject of RFC 5256 2.1, case kept.
    pub base_subject: S,
}

impl<B, S> ParsedMessage<B, S> {
    /// The messages above this one in its conversation, the nearest last: what References names, or
    /// else the first that In-Reply-To does (RFC 5256 3 REFERENCES, step 1).
    pub fn ancestors(&self) -> &[S] {
        let count = usize::try_from(self.ancestor_count).unwrap_or(usize::MAX);
        self.thread_ids.get(..count).unwrap_or(&self.thread_ids)
    }
}

/// Parses a message. Of one beyond 4 GiB, only the first 4 GiB are seen.
pub fn parse(bytes: &[u8]) -> ParsedMessage {
    let bytes = bytes.get(..u32::MAX as usize).unwrap_or(bytes);
    let (envelope, mut body) = scanner::scan(bytes);
    measure(&mut body, bytes);
    let header_size = body.header.end;
    let subject = envelope
        .subject
        .as_deref()
        .map(decode_header_text)
        .unwrap_or_default();
    let (thread_ids, ancestor_count) = thread_ids(
        last_field(bytes, "references"),
        envelope.in_reply_to.as_deref(),
        last_field(bytes, "supersedes"),
    );
    ParsedMessage {
        size: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        header_size,
        preview: preview(&body, bytes),
        message_id: envelope.message_id.as_deref().and_then(message_id),
        thread_ids,
        ancestor_count,
        sent_at: envelope.date.as_deref().and_then(sent_at),
        has_attachment: has_attachment(&body, false, true),
        base_subject: base_subject(&subject),
        envelope,
        body,
    }
}

fn last_field<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let head = bytes.get(..MAX_HEADER_BYTES).unwrap_or(bytes);
    headers(head)
        .filter(|field| field.is(name))
        .last()
        .map(|field| field.value)
}

/// The moment that a date and time of a header names (RFC 5322 3.3), obsolete forms included; none before
/// 1970.
pub fn date(raw: &[u8]) -> Option<Timestamp> {
    parse_date(raw).or_else(|| parse_date(&with_seconds(raw)?))
}

/// RFC 5256 2.2: a time zone that is none counts as UTC, and a time that is none as midnight.
fn sent_at(raw: &[u8]) -> Option<Timestamp> {
    date(raw).or_else(|| {
        let text = String::from_utf8_lossy(raw);
        let text = text.split_once(',').map_or(&*text, |(_, rest)| rest);
        let mut words = text.split_ascii_whitespace();
        let day = [words.next()?, words.next()?, words.next()?].join(" ");
        let at = |time: &str| date(format!("{day} {time} +0000").as_bytes());
        words.next().and_then(at).or_else(|| at("00:00:00"))
    })
}

/// When a message was received last: the moment that its first Received field names (RFC 5321 4.4).
pub fn received_at(bytes: &[u8]) -> Option<Timestamp> {
    let head = bytes.get(..MAX_HEADER_BYTES).unwrap_or(bytes);
    let newest = headers(head).find(|field| field.is("received"))?;
    let semicolon = memchr::memrchr(b';', newest.value)?;
    date(newest.value.get(semicolon + 1..)?)
}

fn parse_date(raw: &[u8]) -> Option<Timestamp> {
    let parsed = HeaderForm::Date.parse(raw);
    let date = parsed.value().as_datetime()?;
    if !date.is_valid() {
        return None;
    }
    Some(Timestamp::from_secs(
        u64::try_from(date.to_timestamp()).ok()?,
    ))
}

/// RFC 5322 3.3: the seconds may be absent, which the date parser does not know.
pub(crate) fn with_seconds(raw: &[u8]) -> Option<Vec<u8>> {
    let colon = memchr::memchr(b':', raw)?;
    let minutes = raw.get(colon + 1..colon + 3)?;
    let at = colon + 3;
    if !minutes.iter().all(u8::is_ascii_digit) || raw.get(at) == Some(&b':') {
        return None;
    }
    Some([raw.get(..at)?, b":00", raw.get(at..)?].concat())
}

/// RFC 8621 4.1.4: parts that are attached, leaving out what belongs to the text: inline pictures
/// of a related part and signatures. A text that `is_first` is the one to be read, whatever its name.
fn has_attachment(part: &Part, in_related: bool, is_first: bool) -> bool {
    if part.is_disposition("attachment") {
        return true;
    }
    let inline = part.is_disposition("inline");
    match &part.kind {
        PartKind::Multipart { parts } => {
            let related = part.subtype.eq_ignore_ascii_case(b"related");
            let mut parts = parts.iter().enumerate();
            parts.any(|(n, part)| has_attachment(part, related, n == 0))
        }
        PartKind::Message { .. } => !inline,
        PartKind::Text => {
            // Any other text is among the attachments.
            let is_read = part.is_type("text", "plain") || part.is_type("text", "html");
            !inline && (!is_read || (!is_first && part.file_name().is_some()))
        }
        PartKind::Basic => {
            let belongs = in_related && (part.id.is_some() || part.location.is_some());
            let signature = [
                "pgp-signature",
                "pkcs7-signature",
                "x-pkcs7-signature",
                "pgp-encrypted",
            ]
            .iter()
            .any(|subtype| part.is_type("application", subtype));
            // RFC 3464: what a delivery report says to machines.
            let report = part.media_type.eq_ignore_ascii_case(b"message");
            !inline && !belongs && !signature && !report
        }
    }
}
