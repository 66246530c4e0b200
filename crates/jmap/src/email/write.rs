//! One message as an Email object, property by property (RFC 8621 4.1).

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ops::Range;

use serde_json::{Map, Value, json};
use tern_mime::{MessageView, Part};
use tern_session::Reservation;

use super::body::{Body, Located};
use super::content::Content;
use super::header;
use super::property::{Asked, PartProperty, Property};
use super::value::{body_value, value_of_start};
use crate::budget::{Answer, Unread, Work, text_weight, weight};
use crate::limits;

/// What of each Email is asked for, and how much of its texts.
pub(crate) struct Plan {
    pub(crate) properties: Vec<Asked<Property>>,
    pub(crate) parts: Vec<Asked<PartProperty>>,
    pub(crate) fetch_text: bool,
    pub(crate) fetch_html: bool,
    pub(crate) fetch_all: bool,
    pub(crate) max_value: Option<usize>,
}

impl Plan {
    /// Whether any property is of this kind.
    pub(crate) fn has(&self, is_it: impl Fn(&Property) -> bool) -> bool {
        self.properties.iter().any(|asked| is_it(&asked.property))
    }

    /// Whether anything of a header is told: the message's own, or a part's.
    pub(crate) fn tells_header(&self) -> bool {
        let of_part = |asked: &Asked<PartProperty>| asked.property.is_of_header();
        let of_parts = self.has(Property::is_of_body) && self.parts.iter().any(of_part);
        of_parts || self.has(Property::is_of_header)
    }

    /// Whether texts are fetched.
    pub(crate) fn fetches_values(&self) -> bool {
        let fetches = self.fetch_text || self.fetch_html || self.fetch_all;
        fetches && self.has(|property| *property == Property::BodyValues)
    }
}

/// The properties that follow from the message itself, wherever it is. Those of where it is kept are
/// left to the caller. [`Unread::TooMuch`] once they take more memory than the answer has left, or more work:
/// no request makes more than it may have.
pub(crate) fn write(
    plan: &Plan,
    content: &Content<'_>,
    (work, answer): (&mut Work, &Answer<'_>),
    into: &mut Map<String, Value>,
) -> Result<(), Unread> {
    let structure = std::sync::Arc::clone(&content.structure);
    let Some(view) = structure.view() else {
        return Ok(());
    };
    let parts = Parts {
        plan,
        content,
        view: &view,
        answer,
        most: answer.left(),
        spent: Cell::new(0),
        work: RefCell::new(work),
    };
    let header = match plan.has(Property::is_of_header) {
        true => parts.header(&view.body)?,
        false => Cow::Borrowed(&[][..]),
    };
    let body = plan.has(Property::is_of_body).then(|| Body::of(&view.body));
    for asked in &plan.properties {
        let value = match (&asked.property, &body) {
            (Property::BlobId, _) => content.blob_id().into(),
            (Property::HasAttachment, _) => view.has_attachment.into(),
            (Property::Preview, _) => view.preview.into(),
            (Property::Headers, _) => header::all_fields(&header),
            (Property::Header(property), _) => property.value(&header),
            (Property::BodyStructure, _) => parts.object(&Located::root(&view.body), true)?,
            (Property::TextBody, Some(body)) => parts.list(&body.text)?,
            (Property::HtmlBody, Some(body)) => parts.list(&body.html)?,
            (Property::Attachments, Some(body)) => parts.list(&body.attachments)?,
            (Property::BodyValues, Some(body)) => parts.values(body)?,
            _ => continue,
        };
        parts.spend(&asked.name, &value)?;
        into.insert(asked.name.clone(), value);
    }
    Ok(())
}

struct Parts<'a> {
    plan: &'a Plan,
    content: &'a Content<'a>,
    view: &'a MessageView<'a>,
    answer: &'a Answer<'a>,
    most: usize,
    spent: Cell<usize>,
    work: RefCell<&'a mut Work>,
}

/// The name of a part within its message; a multipart has none.
pub(crate) fn part_id(path: &[u32]) -> String {
    if path.is_empty() {
        return "1".to_owned();
    }
    let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
    numbers.join(".")
}

/// Whether what a property has is counted as it is written.
fn is_counted(name: &str) -> bool {
    [
        "bodyStructure",
        "textBody",
        "htmlBody",
        "attachments",
        "subParts",
        "bodyValues",
    ]
    .contains(&name)
}

fn text(octets: Option<&[u8]>) -> Value {
    octets.map_or(Value::Null, |octets| String::from_utf8_lossy(octets).into())
}

impl Parts<'_> {
    /// Counts what was written of a property. Those of parts are counted as they are written.
    fn spend(&self, name: &str, value: &Value) -> Result<(), Unread> {
        let of_value = match value {
            Value::Object(_) | Value::Array(_) if is_counted(name) => 0,
            value => weight(value),
        };
        self.spend_octets(text_weight(name) + of_value)
    }

    fn spend_octets(&self, octets: usize) -> Result<(), Unread> {
        let spent = self.spent.get().saturating_add(octets);
        self.spent.set(spent);
        match spent > self.most {
            true => Err(Unread::TooMuch),
            false => Ok(()),
        }
    }

    /// Takes the work of reading a piece so many times over.
    fn work(&self, range: &Range<u32>, times: u64) -> Result<(), Unread> {
        let octets = u64::from(range.end.saturating_sub(range.start));
        let octets = times * octets + limits::WORK_PER_READ;
        Ok(self.work.borrow_mut().take(octets)?)
    }

    fn list(&self, parts: &[Located<'_, &[u8]>]) -> Result<Value, Unread> {
        parts.iter().map(|part| self.object(part, false)).collect()
    }

    /// An EmailBodyPart; with those inside it where `deep`.
    fn object(&self, located: &Located<'_, &[u8]>, deep: bool) -> Result<Value, Unread> {
        let part = located.part;
        let mut all = Map::new();
        let is_leaf = !located.is_multipart();
        for asked in &self.plan.parts {
            let value = match &asked.property {
                PartProperty::PartId if is_leaf => part_id(&located.path).into(),
                PartProperty::BlobId if is_leaf => self.content.part_blob_id(&located.path).into(),
                PartProperty::PartId | PartProperty::BlobId => Value::Null,
                PartProperty::Size if is_leaf => part.decoded_size.into(),
                PartProperty::Size => 0.into(),
                PartProperty::Headers => header::all_fields(&self.header(part)?),
                PartProperty::Header(property) => property.value(&self.header(part)?),
                PartProperty::Name => json!(tern_mime::part_name(part)),
                PartProperty::Type => media_type(part).into(),
                PartProperty::Charset => charset(part),
                PartProperty::Disposition => {
                    let kind = part
                        .disposition
                        .as_ref()
                        .map(|it| it.kind.to_ascii_lowercase());
                    text(kind.as_deref())
                }
                PartProperty::Cid => {
                    // RFC 8621 4.1.4.
                    text(part.id.map(tern_mime::bare_content_id))
                }
                PartProperty::Language if part.language.is_empty() => Value::Null,
                PartProperty::Language => part.language.iter().map(|tag| text(Some(tag))).collect(),
                PartProperty::Location => text(part.location),
                PartProperty::SubParts if is_leaf => Value::Null,
                // Below, so that the parts are there whether or not they are asked for.
                PartProperty::SubParts => continue,
            };
            self.spend(&asked.name, &value)?;
            all.insert(asked.name.clone(), value);
        }
        if deep && !is_leaf {
            let inside: Result<Value, _> = located
                .parts()
                .iter()
                .map(|part| self.object(part, true))
                .collect();
            all.insert("subParts".to_owned(), inside?);
        }
        Ok(Value::Object(all))
    }

    fn header(&self, part: &Part<&[u8]>) -> Result<Cow<'_, [u8]>, Unread> {
        self.work(&part.header, 1)?;
        Ok(match part.header == self.view.body.header {
            true => self.content.header(self.view.header_size)?,
            false => self.content.read(part.header.clone())?,
        })
    }

    /// The texts that are asked for, by part.
    fn values(&self, body: &Body<'_, &[u8]>) -> Result<Value, Unread> {
        let mut wanted: Vec<Located<'_, &[u8]>> = Vec::new();
        if self.plan.fetch_all {
            leaves(&Located::root(&self.view.body), &mut wanted);
        }
        if self.plan.fetch_text || self.plan.fetch_all {
            wanted.extend(body.text.iter().cloned());
        }
        if self.plan.fetch_html || self.plan.fetch_all {
            wanted.extend(body.html.iter().cloned());
        }
        let mut values = Map::new();
        for located in wanted.iter().filter(|part| part.is_text()) {
            let id = part_id(&located.path);
            if values.contains_key(&id) {
                continue;
            }
            let value = self.value(located.part)?;
            self.spend(&id, &value)?;
            values.insert(id, value);
        }
        Ok(Value::Object(values))
    }
}

impl Parts<'_> {
    /// The value of a text: of one that is told in part, no more is read than it takes.
    fn value(&self, part: &Part<&[u8]>) -> Result<Value, Unread> {
        let whole = part.body.clone();
        if let Some(max) = self.plan.max_value {
            let start = whole.start..whole.end.min(whole.start.saturating_add(enough_for(max)));
            if start.end < whole.end {
                let _held = self.hold(&start)?;
                self.work(&start, 2)?;
                let raw = self.content.read(start)?;
                if let Some(value) = value_of_start(part, &raw, max) {
                    return Ok(value);
                }
            }
        }
        let _held = self.hold(&whole)?;
        self.work(&whole, 2)?;
        let raw = self.content.read(whole)?;
        Ok(body_value(part, &raw, self.plan.max_value))
    }

    /// Memory for what is read of a text, decoded, and told.
    fn hold(&self, range: &Range<u32>) -> Result<Option<Reservation>, Unread> {
        let octets = u64::from(range.end.saturating_sub(range.start));
        self.answer.reserve(3 * octets)
    }
}

/// How much of a text is read where so much of it is told at most: no encoding makes it longer than some
/// times what it says, but where it says nothing.
fn enough_for(max: usize) -> u32 {
    let enough = max.saturating_mul(8).saturating_add(limits::ANSWER_FREE);
    u32::try_from(enough).unwrap_or(u32::MAX)
}

fn leaves<'a>(located: &Located<'a, &'a [u8]>, out: &mut Vec<Located<'a, &'a [u8]>>) {
    if !located.is_multipart() {
        out.push(located.clone());
    }
    for part in located.parts() {
        leaves(&part, out);
    }
}

/// The media type, in lower case.
fn media_type(part: &Part<&[u8]>) -> String {
    let lower = |octets: &[u8]| String::from_utf8_lossy(octets).to_ascii_lowercase();
    format!("{}/{}", lower(part.media_type), lower(part.subtype))
}

/// The charset of a text, `us-ascii` where it names none; null for anything else.
fn charset(part: &Part<&[u8]>) -> Value {
    match part.media_type.eq_ignore_ascii_case(b"text") {
        true => text(part.param("charset")),
        false => Value::Null,
    }
}
