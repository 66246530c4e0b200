//! The body of a message from `bodyStructure`, or from `textBody`, `htmlBody` and `attachments` (RFC 8621
//! 4.6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::{BodyPart, MimePart};
use serde_json::{Map, Value};
use tern_mailbox::MailboxError;

use super::fields::{add, is_content};
use super::{Field, boundary};
use crate::blob::Found;
use crate::budget::Unread;
use crate::context::Context;
use crate::email::header::HeaderProperty;
use crate::email::keep::wrong;
use crate::email::property::PART_DEFAULTS;
use crate::error::SetError;
use crate::limits;
use crate::scope::Scope;

/// Reads the body. `fields` are those of the message, which its root part must not repeat.
pub(super) fn read(
    cx: &mut Context<'_>,
    scope: &Scope,
    properties: &Map<String, Value>,
    fields: &[Field],
) -> Result<MimePart<'static>, SetError> {
    let get = |name: &str| properties.get(name).filter(|value| !value.is_null());
    let values = match get("bodyValues") {
        None => Map::new(),
        Some(Value::Object(values)) => values.clone(),
        Some(_) => return Err(wrong("bodyValues", "no map of values")),
    };
    let mut reader = Reader {
        cx,
        scope,
        values,
        missing: Vec::new(),
        octets: 0,
    };
    let root = match get("bodyStructure") {
        Some(structure) => {
            for other in ["textBody", "htmlBody", "attachments"] {
                if get(other).is_some() {
                    return Err(wrong(other, "bodyStructure is there, too"));
                }
            }
            reader.part("bodyStructure", structure, fields, 0)?
        }
        None => reader.parts(get("textBody"), get("htmlBody"), get("attachments"))?,
    };
    match reader.missing.is_empty() {
        true => Ok(root),
        false => {
            let missing = Value::from(std::mem::take(&mut reader.missing));
            Err(SetError::new("blobNotFound", "there are no such blobs").and("notFound", missing))
        }
    }
}

struct Reader<'c, 'a> {
    cx: &'c mut Context<'a>,
    scope: &'c Scope,
    values: Map<String, Value>,
    /// Blobs that are not there.
    missing: Vec<String>,
    octets: u64,
}

impl Reader<'_, '_> {
    /// The body that the three lists make: the texts as alternatives, the pictures that belong to the
    /// HTML with it, and what is attached beside them.
    fn parts(
        &mut self,
        text: Option<&Value>,
        html: Option<&Value>,
        attachments: Option<&Value>,
    ) -> Result<MimePart<'static>, SetError> {
        let text = self.only("textBody", text, "text/plain")?;
        let mut html = self.only("htmlBody", html, "text/html")?;
        let (mut related, mut attached) = (Vec::new(), Vec::new());
        match attachments {
            None => {}
            Some(Value::Array(all)) => {
                for one in all {
                    let is_inline = one.get("cid").is_some_and(Value::is_string)
                        && one.get("disposition").and_then(Value::as_str) != Some("attachment");
                    let part = self.part("attachments", one, &[], 0)?;
                    match is_inline && html.is_some() {
                        true => related.push(part),
                        false => attached.push(part),
                    }
                }
            }
            Some(_) => return Err(wrong("attachments", "not a list of parts")),
        }
        if let (Some(first), false) = (html.take_if(|_| !related.is_empty()), related.is_empty()) {
            related.insert(0, first);
            html = Some(self.multipart("multipart/related", related));
        }
        let shown = match (text, html) {
            (Some(text), Some(html)) => {
                Some(self.multipart("multipart/alternative", vec![text, html]))
            }
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => None,
        };
        Ok(match (shown, attached.is_empty()) {
            (Some(shown), true) => shown,
            (None, true) => MimePart::new("text/plain", ""),
            (shown, false) => {
                let parts = shown.into_iter().chain(attached).collect();
                self.multipart("multipart/mixed", parts)
            }
        })
    }

    /// The one part of a list that has at most one, of this type.
    fn only(
        &mut self,
        name: &str,
        list: Option<&Value>,
        media_type: &str,
    ) -> Result<Option<MimePart<'static>>, SetError> {
        let Some(list) = list else {
            return Ok(None);
        };
        match list.as_array().map(Vec::as_slice) {
            Some([]) => Ok(None),
            Some([one]) => {
                let kind = one
                    .get("type")
                    .and_then(Value::as_str)
                    .unwrap_or(media_type);
                if !kind.eq_ignore_ascii_case(media_type) {
                    return Err(wrong(name, "a part of another type"));
                }
                let mut one = one.clone();
                if let Value::Object(all) = &mut one {
                    all.insert("type".to_owned(), media_type.into());
                }
                self.part(name, &one, &[], 0).map(Some)
            }
            _ => Err(wrong(name, "not a list of one part")),
        }
    }

    fn multipart(&mut self, media_type: &str, parts: Vec<MimePart<'static>>) -> MimePart<'static> {
        let kind = ContentType::new(media_type.to_owned());
        MimePart::new(kind.attribute("boundary", boundary(self.cx)), parts)
    }

    /// One EmailBodyPart, and those inside it.
    fn part(
        &mut self,
        at: &str,
        value: &Value,
        of_message: &[Field],
        depth: usize,
    ) -> Result<MimePart<'static>, SetError> {
        let no = |why: &str| Err(wrong(at, why));
        let Some(part) = value.as_object() else {
            return no("a part is an object");
        };
        if depth > limits::MAX_PART_DEPTH {
            return no("parts are nested too deeply");
        }
        let told = |name: &str| part.get(name).filter(|value| !value.is_null());
        let text = |name: &str| line(at, part, name);
        let fields = self.fields(at, part, of_message)?;
        let (part_id, blob_id) = (text("partId")?, text("blobId")?);
        let charset = text("charset")?;
        let mut made = match (told("subParts"), &part_id, &blob_id) {
            (Some(Value::Array(inside)), None, None) => {
                let kind = text("type")?.unwrap_or_else(|| "multipart/mixed".to_owned());
                if !kind
                    .get(..10)
                    .is_some_and(|it| it.eq_ignore_ascii_case("multipart/"))
                {
                    return no("subParts are of a multipart alone");
                }
                let inside = inside.iter().map(|one| self.part(at, one, &[], depth + 1));
                let inside = inside.collect::<Result<Vec<_>, _>>()?;
                self.multipart(&kind, inside)
            }
            (None, Some(id), None) => {
                if charset.is_some() {
                    return no("charset is the server's choice where the text is in bodyValues");
                }
                if told("size").is_some() {
                    return no("size is not told where the text is in bodyValues");
                }
                let body = self.value(id)?;
                let kind = text("type")?.unwrap_or_else(|| "text/plain".to_owned());
                if !kind
                    .get(..5)
                    .is_some_and(|it| it.eq_ignore_ascii_case("text/"))
                {
                    return no("what is in bodyValues is text");
                }
                MimePart::new(kind, body)
            }
            (None, None, Some(id)) => {
                let (octets, uploaded_as) = self.blob(id)?;
                let kind = text("type")?;
                if kind.as_deref().is_some_and(|kind| !is_of_octets(kind)) {
                    return no("not a type of what a blob is");
                }
                let kind = kind.or(uploaded_as.filter(|kind| is_of_octets(kind)));
                blob_part(kind, charset, octets)
            }
            _ => return no("a part has one of partId, blobId and subParts"),
        };
        made = described(made, at, part)?;
        for (name, value) in fields {
            made = made.header(name, value);
        }
        Ok(made)
    }

    /// The fields that a part sets by name.
    fn fields(
        &self,
        at: &str,
        part: &Map<String, Value>,
        of_message: &[Field],
    ) -> Result<Vec<Field>, SetError> {
        let mut fields = Vec::new();
        let is_field = |name: &str| name != "subParts" && !PART_DEFAULTS.contains(&name);
        for (name, value) in part.iter().filter(|(name, _)| is_field(name)) {
            let header = HeaderProperty::parse(name);
            let header = header.ok_or_else(|| wrong(at, "no property of a part"))?;
            let by_property = [
                "Content-Type",
                "Content-Disposition",
                "Content-ID",
                "Content-Transfer-Encoding",
            ];
            let is_set = |known: &&str| header.field.eq_ignore_ascii_case(known);
            let repeats = of_message
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(&header.field));
            if by_property.iter().any(is_set) || repeats {
                return Err(wrong(
                    at,
                    "a field that a property sets, or the message has",
                ));
            }
            if !is_content(&header.field) && at != "bodyStructure" {
                return Err(wrong(at, "a field that does not belong to a part"));
            }
            add(&mut fields, name, &header, value)?;
        }
        Ok(fields)
    }

    /// A text of bodyValues.
    fn value(&mut self, id: &str) -> Result<String, SetError> {
        let no = |why: &str| wrong("bodyValues", why);
        let value = self.values.get(id).and_then(Value::as_object);
        let value = value.ok_or_else(|| no("a part's text is not there"))?;
        let is_true = |name: &str| value.get(name) == Some(&Value::Bool(true));
        if is_true("isEncodingProblem") || is_true("isTruncated") {
            return Err(no("a text that is damaged or cut can't be sent"));
        }
        let text = value.get("value").and_then(Value::as_str);
        let text = text.ok_or_else(|| no("a value is no text"))?;
        Ok(text.replace("\r\n", "\n").replace('\n', "\r\n"))
    }

    /// The octets of a blob, and the media type that it was uploaded with. What is missing is told for
    /// all blobs together.
    fn blob(&mut self, id: &str) -> Result<(Vec<u8>, Option<String>), SetError> {
        let mailboxes = self.cx.verbs.mailboxes;
        let resolved = self.cx.resolved(id).to_owned();
        let Some(found) = Found::by_id(mailboxes, &mut self.cx.work, self.scope, &resolved)? else {
            self.missing.push(id.to_owned());
            return Ok((Vec::new(), None));
        };
        self.octets += found.size();
        if self.octets > limits::MAX_SIZE_ATTACHMENTS {
            return Err(SetError::new("tooLarge", "the attachments are too large")
                .and("maxSize", limits::MAX_SIZE_ATTACHMENTS.into()));
        }
        match found.take(self.cx) {
            Ok(octets) => Ok((octets, found.media_type().map(str::to_owned))),
            Err(Unread::Mailbox(MailboxError::Sealed)) => {
                self.missing.push(id.to_owned());
                Ok((Vec::new(), None))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether it is a media type (RFC 2045 5.1), and none of what has subParts. The names of its parameters
/// are written as they are.
fn is_of_octets(kind: &str) -> bool {
    // RFC 6838 4.2: no name is longer.
    let token = |text: &str, but: &[u8]| {
        let is_token = |c: u8| c.is_ascii_graphic() && !but.contains(&c);
        (1..=127).contains(&text.len()) && text.bytes().all(is_token)
    };
    let (specials, of_parameter) = (br#"()<>@,;:\"/[]?="#, br#"()<>@,;:\"/[]?=*'%"#);
    let mut fields = kind.split(';').map(str::trim);
    let bare = fields.next().unwrap_or_default();
    let is_type = bare.split_once('/').is_some_and(|(of, subtype)| {
        token(of, specials) && token(subtype, specials) && !of.eq_ignore_ascii_case("multipart")
    });
    let mut names = fields.filter_map(|field| Some(field.split_once('=')?.0));
    is_type && names.all(|name| token(name, of_parameter))
}

/// A property of a part that is a line of text, if it is told.
fn line(at: &str, part: &Map<String, Value>, name: &str) -> Result<Option<String>, SetError> {
    match part.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.contains(['\r', '\n', '\0']) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(at, "a property of a part is no line of text")),
    }
}

/// A part with what else is said of it: its name, how to show it, where it belongs.
fn described(
    mut made: MimePart<'static>,
    at: &str,
    part: &Map<String, Value>,
) -> Result<MimePart<'static>, SetError> {
    let text = |name: &str| line(at, part, name);
    if let Some(disposition) = disposition(text("disposition")?, text("name")?) {
        made = made.header("Content-Disposition", disposition);
    }
    if let Some(cid) = text("cid")? {
        made = made.cid(cid.trim_matches(['<', '>']).to_owned());
    }
    if let Some(location) = text("location")? {
        made = made.location(location);
    }
    if let Some(Value::Array(tags)) = part.get("language") {
        let tags: Vec<&str> = tags.iter().filter_map(Value::as_str).collect();
        if tags.iter().any(|tag| tag.contains(['\r', '\n', '\0'])) {
            return Err(wrong(at, "a language is no line of text"));
        }
        made = made.language(tags.join(", "));
    }
    Ok(made)
}

/// A part of octets as they are: a text in its charset, anything else encoded as it needs.
fn blob_part(kind: Option<String>, charset: Option<String>, octets: Vec<u8>) -> MimePart<'static> {
    let kind = kind.unwrap_or_else(|| "application/octet-stream".to_owned());
    // Parameters of an upload's type are those of a part.
    let mut fields = kind.split(';').map(str::trim);
    let mut content = ContentType::new(fields.next().unwrap_or_default().to_owned());
    for (name, value) in fields.filter_map(|field| field.split_once('=')) {
        if !name.eq_ignore_ascii_case("charset") || charset.is_none() {
            content = content.attribute(name.to_owned(), value.trim_matches('"').to_owned());
        }
    }
    if let Some(charset) = charset {
        content = content.attribute("charset", charset);
    }
    // RFC 2046 5.2.1: a message within a message is not encoded.
    if content.c_type.eq_ignore_ascii_case("message/rfc822") {
        let part = MimePart::new(content, BodyPart::Binary(octets.into()));
        return part.transfer_encoding("8bit");
    }
    // As it is, octet for octet: a builder would give a text the line ends of mail.
    let coded: Vec<u8> = octets
        .chunks(57)
        .flat_map(|line| [STANDARD.encode(line).into_bytes(), b"\r\n".to_vec()].concat())
        .collect();
    let part = MimePart::new(content, BodyPart::Binary(coded.into()));
    part.transfer_encoding("base64")
}

fn disposition(kind: Option<String>, name: Option<String>) -> Option<ContentType<'static>> {
    if kind.is_none() && name.is_none() {
        return None;
    }
    let content = ContentType::new(kind.unwrap_or_else(|| "attachment".to_owned()));
    Some(match name {
        Some(name) => content.attribute("filename", name),
        None => content,
    })
}
