//! Header fields in the form that is asked for (RFC 8621 4.1.2, 4.1.3).

use serde_json::{Value, json};
use tern_mime::{AddressGroup, HeaderField, NamedAddress};
use unicode_normalization::UnicodeNormalization as _;

/// How a header field is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Raw,
    Text,
    Addresses,
    GroupedAddresses,
    MessageIds,
    Date,
    Urls,
}

impl Form {
    /// Whether a value is a list of something.
    pub(crate) const fn is_list(self) -> bool {
        !matches!(self, Self::Raw | Self::Text | Self::Date)
    }

    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "asRaw" => Self::Raw,
            "asText" => Self::Text,
            "asAddresses" => Self::Addresses,
            "asGroupedAddresses" => Self::GroupedAddresses,
            "asMessageIds" => Self::MessageIds,
            "asDate" => Self::Date,
            "asURLs" => Self::Urls,
            _ => return None,
        })
    }

    /// Whether a field may be asked for in this form: those of RFC 5322 and RFC 2369 in theirs only,
    /// any other in each.
    fn is_for(self, field: &str) -> bool {
        let is_one_of = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(field));
        let addresses = [
            "From",
            "Sender",
            "Reply-To",
            "To",
            "Cc",
            "Bcc",
            "Resent-From",
            "Resent-Sender",
            "Resent-Reply-To",
            "Resent-To",
            "Resent-Cc",
            "Resent-Bcc",
        ];
        let ids = [
            "Message-ID",
            "In-Reply-To",
            "References",
            "Resent-Message-ID",
        ];
        let dates = ["Date", "Resent-Date"];
        let urls = [
            "List-Help",
            "List-Unsubscribe",
            "List-Subscribe",
            "List-Post",
            "List-Owner",
            "List-Archive",
        ];
        let texts = ["Subject", "Comments", "Keywords"];
        let raw_only = ["Return-Path", "Received"];
        let is_known = [&addresses[..], &ids, &dates, &urls, &texts, &raw_only];
        let is_other = !is_known.iter().any(|names| is_one_of(names));
        match self {
            Self::Raw => true,
            Self::Text => is_other || is_one_of(&texts),
            Self::Addresses | Self::GroupedAddresses => is_other || is_one_of(&addresses),
            Self::MessageIds => is_other || is_one_of(&ids),
            Self::Date => is_other || is_one_of(&dates),
            Self::Urls => is_other || is_one_of(&urls),
        }
    }

    /// The value of a field; null where it does not parse.
    fn value(self, raw: &[u8]) -> Value {
        match self {
            Self::Raw => {
                let line = raw.strip_suffix(b"\n").unwrap_or(raw);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                // RFC 8621 4.1.2.1: a NUL is dropped.
                String::from_utf8_lossy(line).replace('\0', "").into()
            }
            Self::Text => nfc(&tern_mime::decode_whole_header_text(&unfolded(raw))).into(),
            Self::Addresses => {
                let groups = tern_mime::address_groups(raw);
                let all = groups.iter().flat_map(|group| &group.addresses);
                all.map(address).collect()
            }
            Self::GroupedAddresses => tern_mime::address_groups(raw).iter().map(group).collect(),
            Self::MessageIds => json!(tern_mime::id_list(raw)),
            Self::Date => json!(tern_mime::date_time(raw)),
            Self::Urls => json!(tern_mime::urls(raw)),
        }
    }
}

/// RFC 5322 2.2.3: the line ends are taken out, and nothing else.
fn unfolded(raw: &[u8]) -> Vec<u8> {
    let is_end = |octet: &u8| matches!(octet, b'\r' | b'\n');
    raw.iter().copied().filter(|octet| !is_end(octet)).collect()
}

/// RFC 8621 4.1.2.2: what is told as text is in Normalization Form C.
fn nfc(text: &str) -> String {
    text.nfc().collect()
}

fn address(address: &NamedAddress) -> Value {
    json!({"name": address.name.as_deref().map(nfc), "email": address.email})
}

fn group(group: &AddressGroup) -> Value {
    let addresses: Value = group.addresses.iter().map(address).collect();
    json!({"name": group.name.as_deref().map(nfc), "addresses": addresses})
}

/// A property that is a header field: `header:Name`, `header:Name:asText:all` and so on, or one of the
/// names that stand for those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderProperty {
    pub(super) field: String,
    pub(super) form: Form,
    pub(super) all: bool,
}

impl HeaderProperty {
    const fn new(field: String, form: Form) -> Self {
        Self {
            field,
            form,
            all: false,
        }
    }

    /// The property that a name like `header:Name:asText` is.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("header:")?.split(':');
        let field = parts.next().filter(|field| is_field_name(field))?;
        let mut property = Self::new(field.to_owned(), Form::Raw);
        let mut next = parts.next();
        if let Some(form) = next.and_then(Form::of_name) {
            property.form = form;
            next = parts.next();
        }
        if next == Some("all") {
            property.all = true;
            next = parts.next();
        }
        (next.is_none() && property.form.is_for(field)).then_some(property)
    }

    /// The property that a name like `subject` stands for (RFC 8621 4.1.3).
    pub(crate) fn convenient(name: &str) -> Option<Self> {
        let (field, form) = match name {
            "messageId" => ("Message-ID", Form::MessageIds),
            "inReplyTo" => ("In-Reply-To", Form::MessageIds),
            "references" => ("References", Form::MessageIds),
            "sender" => ("Sender", Form::Addresses),
            "from" => ("From", Form::Addresses),
            "to" => ("To", Form::Addresses),
            "cc" => ("Cc", Form::Addresses),
            "bcc" => ("Bcc", Form::Addresses),
            "replyTo" => ("Reply-To", Form::Addresses),
            "subject" => ("Subject", Form::Text),
            "sentAt" => ("Date", Form::Date),
            _ => return None,
        };
        Some(Self::new(field.to_owned(), form))
    }

    /// Its value in a header: of the last field of that name, or of all in order.
    pub(crate) fn value(&self, header: &[u8]) -> Value {
        let named = tern_mime::headers(header).filter(|field| field.is(&self.field));
        if self.all {
            return named.map(|field| self.form.value(field.value)).collect();
        }
        let last = named.last();
        last.map_or(Value::Null, |field| self.form.value(field.value))
    }
}

/// RFC 5322 3.6.8: printable ASCII but the colon.
fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
}

/// Every field of a header, in order: the property `headers`.
pub(crate) fn all_fields(header: &[u8]) -> Value {
    let field = |field: HeaderField<'_>| {
        let name = String::from_utf8_lossy(field.name);
        json!({"name": name, "value": Form::Raw.value(field.value)})
    };
    let named = tern_mime::headers(header).filter(|field| !field.name.is_empty());
    named.map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_header_properties_are_strict() {
        let good = [
            "header:Subject",
            "header:subject:asText",
            "header:X-Any:asDate:all",
            "header:Received:all",
            "header:From:asGroupedAddresses",
            "header:List-Post:asURLs",
            "header:List-Id:asText",
            // RFC 2919 defines it, and that is none of the two.
            "header:List-Id:asURLs",
            "header:List-Id:asMessageIds",
        ];
        for name in good {
            assert!(HeaderProperty::parse(name).is_some(), "{name}");
        }
        let bad = [
            "header:",
            "header:Sub ject",
            "header:Subject:asDate",
            "header:From:asText",
            "header:Received:asText",
            "header:X:asText:all:all",
            "header:X:all:asText",
            "header:X:as",
            "Header:X",
            "header:Date:asMessageIds",
            "header:X:asText:",
        ];
        for name in bad {
            assert!(HeaderProperty::parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_is_between_words_is_told_as_it_stands() {
        let header = b"X: a\r\n\t b\r\nY: =?utf-8?q?c?=\r\n =?utf-8?q?d?=\r\n\r\n";
        let value = |name: &str| HeaderProperty::parse(name).map(|it| it.value(header));
        assert_eq!(value("header:X:asText"), Some(json!("a\t b")));
        assert_eq!(value("header:Y:asText"), Some(json!("cd")));
    }

    #[test]
    fn nuls_and_encoded_controls_are_dropped() {
        // RFC 8621 4.1.2.1, 4.1.2.2, 4.1.2.3.
        let header = b"X: a\0b\r\nSubject: =?UTF-8?Q?a=00b=07c=0Ad?=\r\n\
            From: =?utf-8?q?a=0Ab=00?= <t@example.org>\r\n\r\n";
        let value = |name: &str| HeaderProperty::parse(name).map(|it| it.value(header));
        assert_eq!(value("header:X"), Some(json!(" ab")));
        assert_eq!(value("header:X:asText"), Some(json!("ab")));
        assert_eq!(value("header:Subject:asText"), Some(json!("abcd")));
        let from = value("header:From:asAddresses").unwrap_or_default();
        assert_eq!(from[0]["name"], "ab");
        assert_eq!(all_fields(header)[0]["value"], " ab");
    }

    #[test]
    fn a_long_text_is_told_to_its_end() {
        let header = format!("Subject: {}\r\n\r\n", "a".repeat(20_000));
        let subject = HeaderProperty::convenient("subject").map(|it| it.value(header.as_bytes()));
        let subject = subject.unwrap_or_default();
        assert_eq!(subject.as_str().map(str::len), Some(20_000));
    }

    #[test]
    fn texts_and_names_are_in_normalization_form_c() {
        let header = "X: =?UTF-8?B?4oSr?=\r\nSubject: =?utf-8?q?cafe=CC=81?=\r\n\
            To: Fri: =?utf-8?q?Rene=CC=81?= <r@example.org>;, cafe\u{301} <c@example.org>\r\n\r\n";
        let value = |name: &str| HeaderProperty::parse(name).map(|it| it.value(header.as_bytes()));
        assert_eq!(value("header:X:asText"), Some(json!("\u{c5}")));
        assert_eq!(value("header:Subject:asText"), Some(json!("caf\u{e9}")));
        let to = value("header:To:asAddresses").unwrap_or_default();
        assert_eq!(to[0]["name"], "Ren\u{e9}");
        let to = value("header:To:asGroupedAddresses").unwrap_or_default();
        assert_eq!(to[1]["addresses"][0]["name"], "caf\u{e9}");
        // Raw is as it stands.
        assert_eq!(
            value("header:Subject"),
            Some(json!(" =?utf-8?q?cafe=CC=81?="))
        );
    }

    #[test]
    fn values_are_of_the_last_field_or_of_all() {
        let header =
            b"X: one\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nX:  two\r\n three\r\nDate: no\r\n\r\n";
        let value = |name: &str| HeaderProperty::parse(name).map(|it| it.value(header));
        assert_eq!(value("header:X"), Some(json!("  two\r\n three")));
        assert_eq!(
            value("header:X:asText:all"),
            Some(json!(["one", "two three"]))
        );
        assert_eq!(value("header:Subject:asText"), Some(json!("café")));
        assert_eq!(value("header:Date:asDate"), Some(Value::Null));
        assert_eq!(value("header:Absent"), Some(Value::Null));
        assert_eq!(value("header:Absent:all"), Some(json!([])));
    }
}
