//! What the values of header fields say, in the forms that RFC 8621 4.1.2 names.
//!
//! Invariant: a value that does not parse in a form has none: nothing is guessed. Where a form is a
//! list, an empty value is an empty list.

use mail_parser::{DateTime, HeaderForm};

use crate::address::{Entry, Mailbox, read_addresses};
use crate::header::unfold_whole;
use crate::limits::MAX_ADDRESSES;
use crate::text::decode_whole_header_text;
use crate::thread::message_ids;

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

/// The addresses of a field, by groups; at most [`MAX_ADDRESSES`].
pub fn address_groups(raw: &[u8]) -> Vec<AddressGroup> {
    let mut groups: Vec<AddressGroup> = Vec::new();
    // Whether the last of them takes in what follows.
    let mut is_open = false;
    read_addresses(raw, &mut { MAX_ADDRESSES }, &mut |entry| match entry {
        Entry::Start(name) => {
            is_open = true;
            groups.push(AddressGroup::new(decoded(&name)));
        }
        Entry::End => is_open = false,
        Entry::Mailbox(mailbox) => {
            if !std::mem::replace(&mut is_open, true) {
                groups.push(AddressGroup::new(None));
            }
            if let Some(group) = groups.last_mut() {
                group.addresses.push(NamedAddress::of(&mailbox));
            }
        }
    });
    groups
}

impl AddressGroup {
    const fn new(name: Option<String>) -> Self {
        Self {
            name,
            addresses: Vec::new(),
        }
    }
}

impl NamedAddress {
    fn of(mailbox: &Mailbox) -> Self {
        let name = mailbox.name.as_deref().and_then(decoded);
        match (mailbox.addr_spec(), name) {
            // Several words and nothing else: what was to be an address, and is none.
            (_, Some(words)) if mailbox.is_bare => Self {
                name: None,
                email: words,
            },
            (email, name) => Self { name, email },
        }
    }
}

/// RFC 8621 4.1.2.3: a name's encoded words are decoded, and white space around it is no part of it.
fn decoded(name: &[u8]) -> Option<String> {
    let name = decode_whole_header_text(name);
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
    let line = unfold_whole(raw);
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
    fn addresses_are_what_was_written_without_quotes_comments_and_routes() {
        // RFC 5322 3.2.5, 3.4.1, 4.4, A.5, A.6.3.
        let cases = [
            (r#""bob"@example.org"#, "-[-<bob@example.org>]"),
            (
                r#""john doe"@example.org"#,
                r#"-[-<"john doe"@example.org>]"#,
            ),
            (r#"J <"a\"b".c@d.e>"#, r#"-[J<"a\"b.c"@d.e>]"#),
            (r#"J <"a b" c@d.e>"#, "-[J<a b c@d.e>]"),
            ("J <a b@d.e>", "-[J<a b@d.e>]"),
            (r#"Bob "Bobby" Smith <b@c.d>"#, "-[Bob Bobby Smith<b@c.d>]"),
            (r#"John "Smith" <a@b.com>"#, "-[John Smith<a@b.com>]"),
            (r#"=?utf-8?q?J?= "Smith" <j@d.e>"#, "-[J Smith<j@d.e>]"),
            (
                "=?utf-8?q?J=C3=B6?= =?utf-8?q?rg?= <j@d.e>",
                "-[Jörg<j@d.e>]",
            ),
            ("Art <art@v.com> (Vandelay)", "-[Art<art@v.com>]"),
            ("art@v.com (Art Vandelay)", "-[Art Vandelay<art@v.com>]"),
            ("Bob (work) Smith <b@c.d>", "-[Bob Smith<b@c.d>]"),
            (
                r"Pete(A nice \) chap) <pete(his account)@silly.test(his host)>",
                "-[Pete<pete@silly.test>]",
            ),
            (
                "John Doe <j@machine(comment).  example>",
                "-[John Doe<j@machine.example>]",
            ),
            ("<@r1.net,@r2.net:bob@example.org>", "-[-<bob@example.org>]"),
            ("Foo  Bar <a@b>", "-[Foo Bar<a@b>]"),
            // What is no address is told as it stands.
            ("bob", "-[-<bob>]"),
            ("Bob Smith", "-[-<Bob Smith>]"),
            ("Bob <>", "-[Bob<>]"),
            ("@b.c, x@", "-[-<@b.c> -<x>]"),
            (
                "a@b, G: c@d, e@f; g@h, H:;",
                "-[-<a@b>] G[-<c@d> -<e@f>] -[-<g@h>] H[]",
            ),
        ];
        for (raw, wanted) in cases {
            assert_eq!(shown(raw), wanted, "{raw}");
        }
    }

    #[test]
    fn a_long_field_is_read_to_its_end() {
        let all: Vec<String> = (0..600)
            .map(|n| format!("recipient-{n:03}@example.org"))
            .collect();
        let groups = address_groups(all.join(",\r\n ").as_bytes());
        let told: Vec<&str> = groups[0].addresses.iter().map(|it| &*it.email).collect();
        assert_eq!(told, all);
        let field = format!(" <http://x/{}>", "a".repeat(20_000));
        assert_eq!(urls(field.as_bytes()).map(|all| all[0].len()), Some(20_009));
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
