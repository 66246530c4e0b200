//! What the values of header fields say, in the forms that RFC 8621 4.1.2 names.
//!
//! Invariant: a value that does not parse in a form has none: nothing is guessed. Where a form is a
//! list, an empty value is an empty list.

use mail_parser::{DateTime, HeaderForm};

use crate::header::unfold;
use crate::message_ids;

/// One address with the name that stands with it (RFC 8621 4.1.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAddress {
    /// Its display name, decoded.
    pub name: Option<String>,
    /// The address as it stands; not necessarily a valid one.
    pub email: String,
}

/// Addresses side by side in a group, or outside any (RFC 8621 4.1.2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressGroup {
    /// The group's name; `None` for addresses outside a group.
    pub name: Option<String>,
    /// The addresses, in order.
    pub addresses: Vec<NamedAddress>,
}

/// The addresses of a field, by groups.
pub fn address_groups(raw: &[u8]) -> Vec<AddressGroup> {
    let line = unfold(raw);
    let parsed = HeaderForm::Addresses.parse(&line);
    let Some(list) = parsed.value().as_address() else {
        return Vec::new();
    };
    let groups = list.groups().map(|(name, run)| {
        let one = |mailbox: mail_parser::Mailbox<'_>| NamedAddress {
            name: mailbox.name().and_then(trimmed),
            email: mailbox.address().unwrap_or_default().to_owned(),
        };
        AddressGroup {
            name: name.and_then(trimmed),
            addresses: run.into_iter().map(one).collect(),
        }
    });
    groups.collect()
}

/// RFC 8621 4.1.2.3: white space around a name is no part of it.
fn trimmed(name: &str) -> Option<String> {
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The ids of a field, without angle brackets; `None` where it is no list of ids (RFC 8621
/// 4.1.2.5).
pub fn id_list(raw: &[u8]) -> Option<Vec<String>> {
    let ids: Vec<String> = message_ids(raw).collect();
    (!ids.is_empty()).then_some(ids)
}

/// The date and time of a field as RFC 3339 writes it, in its own time zone (RFC 8621 4.1.2.6).
pub fn date_time(raw: &[u8]) -> Option<String> {
    let of = |raw: &[u8]| {
        let parsed = HeaderForm::Date.parse(raw);
        let date = parsed.value().as_datetime()?;
        (date.is_valid() && is_day(&date)).then(|| date.to_rfc3339())
    };
    of(raw).or_else(|| of(&crate::message::with_seconds(raw)?))
}

/// Whether its month has its day.
fn is_day(date: &DateTime) -> bool {
    let year = date.year;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match date.month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    date.day <= days
}

/// The URLs of a field (RFC 2369), in order; `None` where there are none (RFC 8621 4.1.2.7).
pub fn urls(raw: &[u8]) -> Option<Vec<String>> {
    let line = unfold(raw);
    let text = String::from_utf8_lossy(&line);
    let urls: Vec<String> = text
        .split('<')
        .skip(1)
        .filter_map(|part| part.split_once('>'))
        .map(|(url, _)| url.split_ascii_whitespace().collect::<String>())
        .filter(|url| !url.is_empty())
        .collect();
    (!urls.is_empty()).then_some(urls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(raw: &str) -> String {
        let groups = address_groups(raw.as_bytes());
        let group = |group: &AddressGroup| {
            let one =
                |it: &NamedAddress| format!("{}<{}>", it.name.as_deref().unwrap_or("-"), it.email);
            let all: Vec<String> = group.addresses.iter().map(one).collect();
            format!(
                "{}[{}]",
                group.name.as_deref().unwrap_or("-"),
                all.join(" ")
            )
        };
        groups.iter().map(group).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn addresses_keep_their_groups() {
        // The example of RFC 8621 4.1.2.4.
        let raw = " \"  James Smythe\" <james@example.com>, Friends:\r\n  jane@example.com, \
                   =?UTF-8?Q?John_Sm=C3=AEth?=\r\n  <john@example.com>;";
        assert_eq!(
            shown(raw),
            "-[James Smythe<james@example.com>] Friends[-<jane@example.com> John Smîth<john@example.com>]"
        );
        assert_eq!(shown(""), "");
        assert_eq!(shown("Nobody:;"), "Nobody[]");
    }

    #[test]
    fn other_forms_are_absent_where_they_do_not_parse() {
        assert_eq!(
            id_list(b" <a@x>\r\n <b@x>"),
            Some(vec!["a@x".into(), "b@x".into()])
        );
        assert_eq!(id_list(b" none"), None);
        let date = |text: &str| date_time(text.as_bytes());
        assert_eq!(date("Mon, 31 Feb 2020 12:00:00 +0000"), None);
        assert_eq!(date("29 Feb 2100 12:00:00 +0000"), None);
        assert!(date("29 Feb 2020 12:00:00 +0000").is_some());
        assert_eq!(
            date(" Tue, 10 Jul 2018 01:03:11 +0200"),
            Some("2018-07-10T01:03:11+02:00".into())
        );
        assert_eq!(
            date("10 Jul 2018 01:03 -0000"),
            Some("2018-07-10T01:03:00Z".into())
        );
        assert_eq!(date(" soon"), None);
        assert_eq!(
            urls(b" <http://x/a\r\n b>, (or) <mailto:l@x>"),
            Some(vec!["http://x/ab".into(), "mailto:l@x".into()])
        );
        assert_eq!(urls(b" NO"), None);
    }
}
