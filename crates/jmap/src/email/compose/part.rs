//! One part of a body, apart from where its content comes from: its type, how it is shown, and how octets
//! and texts are written.
//!
//! Invariant: what is written of a part reads back as it was told; what could not is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::{BodyPart, MimePart};
use serde_json::{Map, Value};

use crate::email::keep::wrong;
use crate::error::SetError;
use crate::standard::wrong::Wrong;

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the body: its fields are those of the message.
    Root,
    Inner,
    /// In `attachments`, beside the texts.
    Attached,
}

/// The path of a member (RFC 6901).
pub(super) fn within(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What is told of a part beside its content.
pub(super) struct About {
    pub(super) kind: Option<ContentType<'static>>,
    pub(super) charset: Option<String>,
    /// What is in Content-Type where no disposition is written.
    name: Option<String>,
    disposition: Option<ContentType<'static>>,
    cid: Option<String>,
    location: Option<String>,
    languages: Vec<String>,
}

impl About {
    /// Reads the properties of a part.
    pub(super) fn read(
        at: &str,
        part: &Map<String, Value>,
        place: Place,
    ) -> Result<Self, SetError> {
        let mut all = Wrong::default();
        let mut read = |name: &str, is_one: fn(&str) -> bool| match part.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if is_one(text) => Some(text.clone()),
            Some(_) => all.take(Err(wrong(&within(at, name), "not what this property is"))),
        };
        let told = read("type", |it| kind(it).is_some());
        let charset = read("charset", |it| is_token(it, OF_VALUE));
        let name = read("name", is_line);
        let disposition = read("disposition", |it| is_token(it, OF_VALUE));
        let cid = read("cid", is_id);
        let location = read("location", is_line);
        let languages = all.take(languages(at, part.get("language")));
        // RFC 8621 4.1.4: a text or a picture without it is read as a part of the body.
        let attached = (place == Place::Attached).then(|| "attachment".to_owned());
        let mut about = Self {
            kind: told.as_deref().and_then(kind),
            charset,
            name,
            disposition: disposition.or(attached).map(ContentType::new),
            cid: cid.map(|cid| bare_id(&cid).to_owned()),
            location,
            languages: languages.unwrap_or_default(),
        };
        if let Some(disposition) = about.disposition.take() {
            about.disposition = Some(match about.name.take() {
                Some(name) => disposition.attribute("filename", name),
                None => disposition,
            });
        }
        all.unless(Some(about))
    }

    /// A part with what is told of it.
    pub(super) fn describe(self, mut made: MimePart<'static>) -> MimePart<'static> {
        if let (Some(name), Some((_, kind))) = (self.name, made.headers.first_mut())
            && let mail_builder::headers::HeaderType::ContentType(kind) = kind
        {
            // RFC 8621 4.1.4: told as its name, and says nothing of how it is shown.
            kind.attributes
                .retain(|(known, _)| !known.eq_ignore_ascii_case("name"));
            kind.attributes.push(("name".into(), name.into()));
        }
        if let Some(disposition) = self.disposition {
            made = made.header("Content-Disposition", disposition);
        }
        if let Some(cid) = self.cid {
            made = made.cid(cid);
        }
        if let Some(location) = self.location {
            made = made.location(location);
        }
        match self.languages.is_empty() {
            true => made,
            false => made.language(self.languages.join(", ")),
        }
    }
}

/// RFC 3282 2: tags of languages.
fn languages(at: &str, value: Option<&Value>) -> Result<Vec<String>, SetError> {
    let is_tag = |tag: &str| is_token(tag, OF_VALUE);
    let tags = match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(tags)) => {
            let tag = |tag: &Value| tag.as_str().filter(|tag| is_tag(tag)).map(str::to_owned);
            tags.iter().map(tag).collect()
        }
        Some(_) => None,
    };
    tags.ok_or_else(|| wrong(&within(at, "language"), "not a list of languages"))
}

/// RFC 2045 5.1: what is in no token.
const SPECIALS: &[u8] = br#"()<>@,;:\"/[]?="#;
const OF_VALUE: &[u8] = SPECIALS;
/// RFC 2231 7: what is in no name of a parameter besides.
const OF_PARAMETER: &[u8] = br#"()<>@,;:\"/[]?=*'%"#;

/// RFC 6838 4.2: no name is longer.
fn is_token(text: &str, but: &[u8]) -> bool {
    let is_one = |c: u8| c.is_ascii_graphic() && !but.contains(&c);
    (1..=127).contains(&text.len()) && text.bytes().all(is_one)
}

fn is_line(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

/// RFC 2045 7: the id of a part, with or without its brackets.
fn is_id(text: &str) -> bool {
    let bare = bare_id(text);
    let is_one = |c: char| !c.is_whitespace() && !c.is_control() && !"<>".contains(c);
    !bare.is_empty() && bare.chars().all(is_one)
}

fn bare_id(text: &str) -> &str {
    text.trim_matches(['<', '>'])
}

/// A media type with its parameters (RFC 2045 5.1); `None` for what is none.
pub(super) fn kind(text: &str) -> Option<ContentType<'static>> {
    let mut fields = text.split(';').map(str::trim);
    let bare = fields.next()?;
    let (of, subtype) = bare.split_once('/')?;
    let parameters: Vec<(&str, &str)> = fields.filter_map(|it| it.split_once('=')).collect();
    let is_one = is_token(of, SPECIALS)
        && is_token(subtype, SPECIALS)
        && parameters
            .iter()
            .all(|(name, _)| is_token(name, OF_PARAMETER));
    is_one.then(|| {
        let mut kind = ContentType::new(bare.to_owned());
        for (name, value) in parameters {
            kind = kind.attribute(name.to_owned(), value.trim_matches('"').to_owned());
        }
        kind
    })
}

fn is_of(kind: &ContentType<'_>, wanted: &str) -> bool {
    let of = kind.c_type.split('/').next().unwrap_or_default();
    of.eq_ignore_ascii_case(wanted)
}

pub(super) fn is_multipart(kind: &ContentType<'_>) -> bool {
    is_of(kind, "multipart")
}

pub(super) fn is_text(kind: &ContentType<'_>) -> bool {
    is_of(kind, "text")
}

/// Whether a media type has a parameter of this name.
pub(super) fn has_attribute(kind: &ContentType<'_>, name: &str) -> bool {
    let mut names = kind.attributes.iter().map(|(name, _)| name);
    names.any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a part has a field by one of its properties already.
pub(super) fn is_by_property(part: &Map<String, Value>, field: &str) -> bool {
    let is_told = |name: &str| part.get(name).is_some_and(|value| !value.is_null());
    match field.to_ascii_lowercase().as_str() {
        "content-type" | "content-disposition" | "content-id" => true,
        // RFC 8621 4.6
        "content-transfer-encoding" => true,
        "content-language" => is_told("language"),
        "content-location" => is_told("location"),
        _ => false,
    }
}

/// A part of a text.
pub(super) fn of_text(kind: ContentType<'static>, text: &str) -> MimePart<'static> {
    // RFC 2046 4.1.2: the least that says it.
    let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    MimePart::new(kind.attribute("charset", charset), text)
}

/// A part of octets as they are: a text in its charset, anything else encoded as it needs.
pub(super) fn of_octets(
    mut kind: ContentType<'static>,
    charset: Option<String>,
    octets: Vec<u8>,
) -> MimePart<'static> {
    if let Some(charset) = charset {
        kind.attributes
            .retain(|(name, _)| !name.eq_ignore_ascii_case("charset"));
        kind = kind.attribute("charset", charset);
    }
    // RFC 2046 5.2.1: a message within a message is not encoded.
    if kind.c_type.eq_ignore_ascii_case("message/rfc822") {
        let part = MimePart::new(kind, BodyPart::Binary(octets.into()));
        return part.transfer_encoding("8bit");
    }
    if !is_text(&kind) {
        return MimePart::new(kind, BodyPart::Binary(octets.into()));
    }
    // As it is, octet for octet: the builder would give a text the line ends of mail.
    let mut coded = String::with_capacity(octets.len().div_ceil(57) * 78);
    for line in octets.chunks(57) {
        STANDARD.encode_string(line, &mut coded);
        coded.push_str("\r\n");
    }
    let part = MimePart::new(kind, BodyPart::Binary(coded.into_bytes().into()));
    part.transfer_encoding("base64")
}
