//! The body of a message from `bodyStructure`, or from `textBody`, `htmlBody` and `attachments` (RFC 8621
//! 4.6).
//!
//! Invariant: all that is wrong is told together, by its path from the Email (RFC 6901), and no octet of a
//! blob is read for a body that is not made.

use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::MimePart;
use serde_json::{Map, Value};
use tern_mailbox::MailboxError;

use super::fields::{add, is_content};
use super::part::{self, About, Place, within};
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
use crate::standard::wrong::Wrong;

/// A body, and the fields that its root sets for the message.
pub(super) struct Body {
    pub(super) root: MimePart<'static>,
    pub(super) fields: Vec<Field>,
}

/// Reads the body. `fields` are those of the message, which its root part must not repeat.
pub(super) fn read(
    cx: &mut Context<'_>,
    scope: &Scope,
    properties: &Map<String, Value>,
    fields: &[Field],
) -> Result<Body, SetError> {
    let get = |name: &str| properties.get(name).filter(|value| !value.is_null());
    let mut reader = Reader {
        cx,
        scope,
        values: Map::new(),
        of_message: fields,
        of_root: Vec::new(),
        wrong: Wrong::default(),
        missing: Vec::new(),
        octets: 0,
    };
    match get("bodyValues") {
        None => {}
        Some(Value::Object(values)) => reader.values = values.clone(),
        Some(_) => reader.no("bodyValues", "no map of values"),
    }
    let root = match get("bodyStructure") {
        Some(structure) => {
            for other in ["textBody", "htmlBody", "attachments"] {
                if get(other).is_some() {
                    reader.no(other, "bodyStructure is there, too");
                }
            }
            reader.part("bodyStructure", structure, Place::Root, 0)
        }
        None => reader.lists(get("textBody"), get("htmlBody"), get("attachments")),
    };
    reader.finish(root)
}

struct Reader<'c, 'a> {
    cx: &'c mut Context<'a>,
    scope: &'c Scope,
    values: Map<String, Value>,
    /// The fields that the Email sets.
    of_message: &'c [Field],
    /// Those that its root part sets beside them.
    of_root: Vec<Field>,
    wrong: Wrong,
    /// Blobs that are not there.
    missing: Vec<String>,
    octets: u64,
}

impl Reader<'_, '_> {
    /// Remembers what is wrong.
    fn no(&mut self, at: &str, why: &str) {
        self.wrong.take::<()>(Err(wrong(at, why)));
    }

    fn finish(mut self, root: Option<MimePart<'static>>) -> Result<Body, SetError> {
        if !self.missing.is_empty() {
            let none = SetError::new("blobNotFound", "there are no such blobs");
            let none = none.and("notFound", self.missing.into());
            self.wrong.take::<()>(Err(none));
        }
        let fields = self.of_root;
        self.wrong.unless(root.map(|root| Body { root, fields }))
    }

    /// The body that the three lists make: the texts as alternatives, the pictures that belong to the
    /// HTML with it, and what is attached beside them.
    fn lists(
        &mut self,
        text: Option<&Value>,
        html: Option<&Value>,
        attachments: Option<&Value>,
    ) -> Option<MimePart<'static>> {
        let is_some = |list: Option<&Value>| {
            let list = list.and_then(Value::as_array);
            list.is_some_and(|list| !list.is_empty())
        };
        // A text that is all there is stands in the header of the message.
        let is_alone = !is_some(attachments) && is_some(text) != is_some(html);
        let place = if is_alone { Place::Root } else { Place::Inner };
        let text = self.only("textBody", text, "text/plain", place);
        let mut html = self.only("htmlBody", html, "text/html", place);
        let (mut related, attached) = self.attachments(attachments, html.is_some());
        if let (Some(first), false) = (html.take_if(|_| !related.is_empty()), related.is_empty()) {
            related.insert(0, first);
            html = Some(self.multipart("multipart/related", related));
        }
        let shown = match (text, html) {
            (Some(text), Some(html)) => {
                Some(self.multipart("multipart/alternative", vec![text, html]))
            }
            (one, None) | (None, one) => one,
        };
        Some(match (shown, attached.is_empty()) {
            (Some(shown), true) => shown,
            (None, true) => MimePart::new("text/plain", ""),
            (shown, false) => {
                let parts = shown.into_iter().chain(attached).collect();
                self.multipart("multipart/mixed", parts)
            }
        })
    }

    /// What is attached: what belongs to the HTML where there is some, and the rest.
    fn attachments(
        &mut self,
        list: Option<&Value>,
        has_html: bool,
    ) -> (Vec<MimePart<'static>>, Vec<MimePart<'static>>) {
        let (mut related, mut attached) = (Vec::new(), Vec::new());
        let all = match list {
            None => return (related, attached),
            Some(Value::Array(all)) => all,
            Some(_) => {
                self.no("attachments", "not a list of parts");
                return (related, attached);
            }
        };
        for (n, one) in all.iter().enumerate() {
            let is_inline = has_html
                && one.get("cid").is_some_and(Value::is_string)
                && one.get("disposition").and_then(Value::as_str) != Some("attachment");
            let (list, place) = match is_inline {
                true => (&mut related, Place::Inner),
                false => (&mut attached, Place::Attached),
            };
            list.extend(self.part(&format!("attachments/{n}"), one, place, 0));
        }
        (related, attached)
    }

    /// The one part of a list that has at most one, of this type.
    fn only(
        &mut self,
        name: &str,
        list: Option<&Value>,
        media_type: &str,
        place: Place,
    ) -> Option<MimePart<'static>> {
        match list?.as_array().map(Vec::as_slice) {
            Some([]) => None,
            Some([one]) => {
                let at = format!("{name}/0");
                let kind = one.get("type").and_then(Value::as_str);
                if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case(media_type)) {
                    self.no(&within(&at, "type"), "a part of another type");
                    return None;
                }
                let mut one = one.clone();
                if let Value::Object(all) = &mut one {
                    let kind = all.entry("type").or_insert(Value::Null);
                    if kind.is_null() {
                        *kind = media_type.into();
                    }
                }
                self.part(&at, &one, place, 0)
            }
            _ => {
                self.no(name, "not a list of one part");
                None
            }
        }
    }

    fn multipart(
        &mut self,
        kind: impl Into<ContentType<'static>>,
        parts: Vec<MimePart<'static>>,
    ) -> MimePart<'static> {
        let kind = kind.into();
        MimePart::new(kind.attribute("boundary", boundary(self.cx)), parts)
    }

    /// One EmailBodyPart, and those inside it; `None` where anything of it is wrong.
    fn part(
        &mut self,
        at: &str,
        value: &Value,
        place: Place,
        depth: usize,
    ) -> Option<MimePart<'static>> {
        let Some(part) = value.as_object() else {
            self.no(at, "a part is an object");
            return None;
        };
        if depth > limits::MAX_PART_DEPTH {
            self.no(at, "parts are nested too deeply");
            return None;
        }
        let fields = self.fields(at, part, place);
        let about = self.wrong.take(About::read(at, part, place));
        let told = |name: &&str| part.get(*name).is_some_and(|value| !value.is_null());
        let content: Vec<&str> = ["partId", "blobId", "subParts"]
            .into_iter()
            .filter(told)
            .collect();
        let made = match content.as_slice() {
            ["subParts"] => self.inside(at, part, about.as_ref(), depth),
            ["partId"] => self.text(at, part, about.as_ref()),
            ["blobId"] => self.blob(at, part, about.as_ref()),
            [] => {
                self.no(at, "a part has one of partId, blobId and subParts");
                None
            }
            many => {
                for name in many {
                    self.no(&within(at, name), "a part has one of these");
                }
                None
            }
        };
        let mut made = about?.describe(made?);
        for (name, value) in fields {
            match place == Place::Root && !is_content(&name) {
                true => self.of_root.push((name, value)),
                false => made = made.header(name, value),
            }
        }
        Some(made)
    }

    /// The fields that a part sets by name.
    fn fields(&mut self, at: &str, part: &Map<String, Value>, place: Place) -> Vec<Field> {
        let mut fields = Vec::new();
        let is_field = |name: &str| name != "subParts" && !PART_DEFAULTS.contains(&name);
        for (name, value) in part.iter().filter(|(name, _)| is_field(name)) {
            let at = within(at, name);
            let Some(header) = HeaderProperty::parse(name) else {
                self.no(&at, "no property of a part");
                continue;
            };
            let is_set = |known: &str| header.field.eq_ignore_ascii_case(known);
            let mut of_message = self.of_message.iter();
            let repeats = place == Place::Root && of_message.any(|(known, _)| is_set(known));
            if repeats || part::is_by_property(part, &header.field) {
                self.no(&at, "a field that a property sets, or the message has");
                continue;
            }
            let added = add(&mut fields, &at, &header, value);
            self.wrong.take(added);
        }
        fields
    }

    /// A part that is made of parts.
    fn inside(
        &mut self,
        at: &str,
        part: &Map<String, Value>,
        about: Option<&About>,
        depth: usize,
    ) -> Option<MimePart<'static>> {
        let list = within(at, "subParts");
        let Some(Value::Array(inside)) = part.get("subParts") else {
            self.no(&list, "not a list of parts");
            return None;
        };
        let mut parts = Vec::new();
        for (n, one) in inside.iter().enumerate() {
            parts.extend(self.part(&format!("{list}/{n}"), one, Place::Inner, depth + 1));
        }
        let kind = about?.kind.clone();
        let kind = kind.unwrap_or_else(|| ContentType::new("multipart/mixed"));
        if !part::is_multipart(&kind) || part::has_attribute(&kind, "boundary") {
            self.no(&within(at, "type"), "subParts are of a bare multipart");
            return None;
        }
        Some(self.multipart(kind, parts))
    }

    /// A part whose content is in bodyValues.
    fn text(
        &mut self,
        at: &str,
        part: &Map<String, Value>,
        about: Option<&About>,
    ) -> Option<MimePart<'static>> {
        for name in ["charset", "size"] {
            if part.get(name).is_some_and(|value| !value.is_null()) {
                let why = "not told where the content is in bodyValues";
                self.no(&within(at, name), why);
            }
        }
        let value = self.value(at, part);
        let kind = about?.kind.clone();
        let kind = kind.unwrap_or_else(|| ContentType::new("text/plain"));
        // What is written is in the charset of the server's choice.
        if part::is_multipart(&kind) || part::has_attribute(&kind, "charset") {
            self.no(&within(at, "type"), "not a type of what is in bodyValues");
            return None;
        }
        let value = value?;
        Some(match part::is_text(&kind) {
            true => part::of_text(kind, &value),
            false => part::of_octets(kind, None, value.into_bytes()),
        })
    }

    /// A text of bodyValues.
    fn value(&mut self, at: &str, part: &Map<String, Value>) -> Option<String> {
        let id = part.get("partId").and_then(Value::as_str);
        let value = id.and_then(|id| Some((id, self.values.get(id)?.clone())));
        let Some((id, value)) = value else {
            self.no(&within(at, "partId"), "there is no such value");
            return None;
        };
        let at = within("bodyValues", id);
        let mut is_whole = true;
        for name in ["isEncodingProblem", "isTruncated"] {
            if value.get(name) == Some(&Value::Bool(true)) {
                let why = "a text that is damaged or cut can't be sent";
                self.no(&within(&at, name), why);
                is_whole = false;
            }
        }
        match value.get("value") {
            Some(Value::String(text)) => is_whole.then(|| text.clone()),
            _ => {
                self.no(&within(&at, "value"), "not a text");
                None
            }
        }
    }

    /// A part whose content is a blob. What is missing is told for all blobs together.
    fn blob(
        &mut self,
        at: &str,
        part: &Map<String, Value>,
        about: Option<&About>,
    ) -> Option<MimePart<'static>> {
        let Some(id) = part.get("blobId").and_then(Value::as_str) else {
            self.no(&within(at, "blobId"), "not an id");
            return None;
        };
        let resolved = self.cx.resolved(id).to_owned();
        let mailboxes = self.cx.verbs.mailboxes;
        let found = Found::by_id(mailboxes, &mut self.cx.work, self.scope, &resolved);
        let Some(found) = self.wrong.take(found.map_err(SetError::from))? else {
            return self.is_missing(id);
        };
        self.octets += found.size();
        if self.octets > limits::MAX_SIZE_ATTACHMENTS {
            let error = SetError::new("tooLarge", "the attachments are too large");
            let error = error.and("maxSize", limits::MAX_SIZE_ATTACHMENTS.into());
            return self.wrong.take(Err(error));
        }
        let about = about?;
        let kind = about.kind.clone();
        let kind =
            kind.or_else(|| part::kind(found.media_type()?).filter(|it| !part::is_multipart(it)));
        let kind = kind.unwrap_or_else(|| ContentType::new("application/octet-stream"));
        if part::is_multipart(&kind) {
            self.no(&within(at, "type"), "not a type of what a blob is");
        }
        if !self.wrong.is_none() || !self.missing.is_empty() {
            return None;
        }
        let octets = match found.take(self.cx) {
            Err(Unread::Mailbox(MailboxError::Sealed)) => return self.is_missing(id),
            taken => self.wrong.take(taken.map_err(SetError::from))?,
        };
        Some(part::of_octets(kind, about.charset.clone(), octets))
    }

    fn is_missing(&mut self, id: &str) -> Option<MimePart<'static>> {
        if !self.missing.iter().any(|known| known == id) {
            self.missing.push(id.to_owned());
        }
        None
    }
}
