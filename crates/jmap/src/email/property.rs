//! The properties of an Email and of its body parts, by name (RFC 8621 4.1, 4.2).

use super::header::HeaderProperty;
use crate::error::MethodError;
use crate::limits;
use crate::standard::get::unknown_property;

/// A property of an Email.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    Id,
    BlobId,
    ThreadId,
    MailboxIds,
    Keywords,
    Size,
    ReceivedAt,
    HasAttachment,
    Preview,
    Headers,
    Header(HeaderProperty),
    BodyStructure,
    BodyValues,
    TextBody,
    HtmlBody,
    Attachments,
}

impl Property {
    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "blobId" => Self::BlobId,
            "threadId" => Self::ThreadId,
            "mailboxIds" => Self::MailboxIds,
            "keywords" => Self::Keywords,
            "size" => Self::Size,
            "receivedAt" => Self::ReceivedAt,
            "hasAttachment" => Self::HasAttachment,
            "preview" => Self::Preview,
            "headers" => Self::Headers,
            "bodyStructure" => Self::BodyStructure,
            "bodyValues" => Self::BodyValues,
            "textBody" => Self::TextBody,
            "htmlBody" => Self::HtmlBody,
            "attachments" => Self::Attachments,
            _ => {
                let header = HeaderProperty::convenient(name);
                return header
                    .or_else(|| HeaderProperty::parse(name))
                    .map(Self::Header);
            }
        })
    }

    /// Whether the header must be read for it.
    pub(crate) const fn is_of_header(&self) -> bool {
        matches!(self, Self::Headers | Self::Header(_))
    }

    /// Whether the structure of the body must be known for it.
    pub(crate) const fn is_of_body(&self) -> bool {
        matches!(
            self,
            Self::BodyStructure
                | Self::BodyValues
                | Self::TextBody
                | Self::HtmlBody
                | Self::Attachments
        )
    }
}

/// A property that is asked for, with the name that it was asked by.
#[derive(Clone, Debug)]
pub(crate) struct Asked<P> {
    pub(crate) name: String,
    pub(crate) property: P,
}

/// What RFC 8621 4.2 gives where the client names none.
pub(super) const DEFAULTS: [&str; 24] = [
    "id",
    "blobId",
    "threadId",
    "mailboxIds",
    "keywords",
    "size",
    "receivedAt",
    "messageId",
    "inReplyTo",
    "references",
    "sender",
    "from",
    "to",
    "cc",
    "bcc",
    "replyTo",
    "subject",
    "sentAt",
    "hasAttachment",
    "preview",
    "bodyValues",
    "textBody",
    "htmlBody",
    "attachments",
];

/// Those of them that are of the message itself, wherever it is kept: what RFC 8621 4.9 gives where the
/// client names none.
pub(super) fn of_message() -> &'static [&'static str] {
    const OF_WHERE_IT_IS: usize = 7;
    DEFAULTS.split_at(OF_WHERE_IT_IS).1
}

/// The property of an Email of this name.
pub(super) fn of_name(name: &str) -> Option<Property> {
    Property::of_name(name)
}

/// The properties of an Email that are asked for, each once.
pub(super) fn of_email(
    asked: Option<&[String]>,
    defaults: &[&str],
) -> Result<Vec<Asked<Property>>, MethodError> {
    each(asked, defaults, Property::of_name)
}

fn each<P>(
    asked: Option<&[String]>,
    defaults: &[&str],
    of_name: impl Fn(&str) -> Option<P>,
) -> Result<Vec<Asked<P>>, MethodError> {
    let names = match asked {
        Some(names) => names.to_vec(),
        None => defaults.iter().map(|name| (*name).to_owned()).collect(),
    };
    if names.len() > limits::MAX_PROPERTIES {
        let most = limits::MAX_PROPERTIES;
        return Err(MethodError::invalid_arguments(format!(
            "at most {most} properties can be asked for"
        )));
    }
    let mut all: Vec<Asked<P>> = Vec::new();
    for name in names {
        if all.iter().any(|known| known.name == name) {
            continue;
        }
        let property = of_name(&name).ok_or_else(|| unknown_property(&name))?;
        all.push(Asked { name, property });
    }
    Ok(all)
}

/// A property of a body part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartProperty {
    PartId,
    BlobId,
    Size,
    Headers,
    Header(HeaderProperty),
    Name,
    Type,
    Charset,
    Disposition,
    Cid,
    Language,
    Location,
    SubParts,
}

impl PartProperty {
    /// Whether fields of the part's header are told; the root part's are the message's.
    pub(crate) const fn is_of_header(&self) -> bool {
        matches!(self, Self::Headers | Self::Header(_))
    }

    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "partId" => Self::PartId,
            "blobId" => Self::BlobId,
            "size" => Self::Size,
            "headers" => Self::Headers,
            "name" => Self::Name,
            "type" => Self::Type,
            "charset" => Self::Charset,
            "disposition" => Self::Disposition,
            "cid" => Self::Cid,
            "language" => Self::Language,
            "location" => Self::Location,
            "subParts" => Self::SubParts,
            _ => return HeaderProperty::parse(name).map(Self::Header),
        })
    }
}

/// What RFC 8621 4.2 gives where the client names none.
pub(in crate::email) const PART_DEFAULTS: [&str; 10] = [
    "partId",
    "blobId",
    "size",
    "name",
    "type",
    "charset",
    "disposition",
    "cid",
    "language",
    "location",
];

/// The properties of body parts that are asked for.
pub(super) fn of_parts(asked: Option<&[String]>) -> Result<Vec<Asked<PartProperty>>, MethodError> {
    each(asked, &PART_DEFAULTS, PartProperty::of_name)
}
