//! The hand-kept `docs/rfc-support.toml`: for each RFC a word on support and, unless it is
//! `yes`, the
//! reason. Only this form is read; anything else is an error with its line:
//!
//! ```toml
//! [9051]
//! support = "partial"
//! reason = "no NOTIFY"
//! ```

use std::collections::BTreeMap;

/// What is said about one RFC.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Support {
    /// `yes`, `partial` or `no`.
    pub(super) word: String,
    /// Empty is allowed for `yes` only.
    pub(super) reason: String,
}

/// Reads the whole file; an error starts with its line number.
pub(super) fn parse(text: &str) -> Result<BTreeMap<u32, Support>, String> {
    let mut all: BTreeMap<u32, (usize, Support)> = BTreeMap::new();
    let mut current = None;
    for (index, line) in text.lines().enumerate() {
        let (line_number, line) = (index + 1, line.trim());
        let wrong = |what: &str| Err(format!("{line_number}: {what}"));
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let Ok(number) = header.parse::<u32>() else {
                return wrong("expected [RFC number]");
            };
            if all
                .insert(number, (line_number, Support::default()))
                .is_some()
            {
                return wrong("this RFC stands twice");
            }
            current = Some(number);
            continue;
        }
        let entry = current.and_then(|number| all.get_mut(&number));
        let Some((_, entry)) = entry else {
            return wrong("expected [RFC number] first");
        };
        let Some((key, value)) = line.split_once(" = ") else {
            return wrong("expected key = \"value\"");
        };
        let Some(value) = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        else {
            return wrong("expected key = \"value\"");
        };
        match key {
            "support" => entry.word = value.to_owned(),
            "reason" => entry.reason = value.to_owned(),
            _ => return wrong("expected `support` or `reason`"),
        }
    }
    for (line, support) in all.values() {
        match (support.word.as_str(), support.reason.as_str()) {
            ("yes", _) => {}
            ("partial" | "no", "") => return Err(format!("{line}: say why not")),
            ("partial" | "no", _) => {}
            _ => return Err(format!("{line}: support is \"yes\", \"partial\" or \"no\"")),
        }
    }
    Ok(all
        .into_iter()
        .map(|(number, (_, support))| (number, support))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let text = "# comment\n[9051]\nsupport = \"partial\"\nreason = \"no NOTIFY\"\n\n[5322]\nsupport = \"yes\"\n";
        let all = parse(text).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[&9051].word, "partial");
        assert_eq!(all[&9051].reason, "no NOTIFY");
        assert_eq!(all[&5322].word, "yes");
    }

    #[test]
    fn mistakes_name_their_line() {
        let cases = [
            ("[imap]", 1),
            ("support = \"yes\"", 1),
            ("[1]\nsupport = yes", 2),
            ("[1]\nsupport = \"maybe\"", 1),
            ("\n[1]\nsupport = \"no\"", 2),
            ("[1]\nsupport = \"yes\"\n[1]", 3),
            ("[1]\nwhy = \"x\"", 2),
        ];
        for (text, line) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("{line}: ")), "{text:?}: {error}");
        }
    }
}
