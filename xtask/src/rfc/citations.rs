//! RFC citations in one comment: `RFC 9051 6.4.8`, with `section`, `§` or `Appendix` allowed before
//! the section, and more sections after commas. A number without a section cites the RFC as a
//! whole.

/// The citations in a comment, in order; the section is empty for an RFC as a whole.
pub(super) fn parse(comment: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for (at, _) in comment.match_indices("RFC") {
        let rest = comment[at + 3..].trim_start_matches([' ', '-']);
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let Some(number) = rest[..digits]
            .parse()
            .ok()
            .filter(|_| (3..=5).contains(&digits))
        else {
            continue;
        };
        let sections = sections(&rest[digits..]);
        if sections.is_empty() {
            found.push((number, String::new()));
        }
        found.extend(sections.into_iter().map(|section| (number, section)));
    }
    found
}

fn sections(mut rest: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let first = found.is_empty();
        let Some(candidate) = separator(rest, first) else {
            return found;
        };
        let (named, candidate) = marker(candidate);
        let Some(section) = section(candidate) else {
            return found;
        };
        // After the first, a bare number is more likely a count than a section.
        if !first && !named && !section.contains('.') {
            return found;
        }
        rest = &candidate[section.len()..];
        found.push(section);
    }
}

fn separator(rest: &str, first: bool) -> Option<&str> {
    if let Some(rest) = rest
        .strip_prefix(", ")
        .or_else(|| rest.strip_prefix(" and "))
    {
        return Some(rest);
    }
    rest.strip_prefix(' ').filter(|_| first)
}

/// Strips a word for "section" and says whether one was there.
fn marker(text: &str) -> (bool, &str) {
    for word in [
        "sections ",
        "section ",
        "Section ",
        "sec. ",
        "§§ ",
        "§ ",
        "§",
    ] {
        if let Some(rest) = text.strip_prefix(word) {
            return (true, rest);
        }
    }
    (
        text.starts_with("Appendix ") || text.starts_with("appendix "),
        text,
    )
}

/// `6.4.8`, `Appendix A.1`; the text as it stands. Components above two digits are years and codes.
fn section(text: &str) -> Option<String> {
    let word = if text.to_ascii_lowercase().starts_with("appendix ") {
        "appendix ".len()
    } else {
        0
    };
    let body = &text[word..];
    let length = body
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '.')
        .count();
    let body = body[..length].trim_end_matches('.');
    let mut parts = body.split('.');
    let first = parts.next().unwrap_or_default();
    let letter = word > 0 && first.len() == 1 && first.chars().all(|c| c.is_ascii_uppercase());
    let good = (letter || is_number(first)) && parts.all(is_number);
    good.then(|| text[..word + body.len()].to_owned())
}

fn is_number(part: &str) -> bool {
    (1..=2).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_read_as_people_write_them() {
        let cases: [(&str, &[(u32, &str)]); 14] = [
            ("// RFC 9051 6.4.8", &[(9051, "6.4.8")]),
            ("// RFC 9051 6.4.8: the set", &[(9051, "6.4.8")]),
            ("// see RFC 9051 6.4.8.", &[(9051, "6.4.8")]),
            ("/// RFC 5321, section 4.5.3.1.1", &[(5321, "4.5.3.1.1")]),
            ("// RFC 5321 § 4.2", &[(5321, "4.2")]),
            (
                "// RFC 5321 4.1.1.1, 4.1.1.4 and 4.5",
                &[(5321, "4.1.1.1"), (5321, "4.1.1.4"), (5321, "4.5")],
            ),
            ("// RFC 9051 7, 200 of them", &[(9051, "7")]),
            ("// RFC 3339", &[(3339, "")]),
            ("// RFC 3339 2026-11-21", &[(3339, "")]),
            ("// RFC 9051 Appendix A.1", &[(9051, "Appendix A.1")]),
            (
                "// RFC 5322 3.4 and RFC 6531 3.3",
                &[(5322, "3.4"), (6531, "3.3")],
            ),
            ("// RFC9051", &[(9051, "")]),
            ("// RFC 7 or RFC nnnn", &[]),
            ("// RFC 5321 is strict", &[(5321, "")]),
        ];
        for (comment, expected) in cases {
            let found = parse(comment);
            let short: Vec<_> = found
                .iter()
                .map(|(n, section)| (*n, section.as_str()))
                .collect();
            assert_eq!(short, expected, "{comment}");
        }
    }
}
