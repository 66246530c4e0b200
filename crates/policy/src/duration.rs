//! Durations as Cedar writes them: `15m`, `72h`, `1d12h`.

/// Units from the longest, with their milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// The milliseconds of a text; each unit at most once, the longest first.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (mut rest, mut total, mut units) = (text, 0u64, UNITS.iter());
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit = rest.get(..letters)?;
        rest = rest.get(letters..)?;
        let (_, milliseconds) = units.by_ref().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*milliseconds)?)?;
    }
    Some(total)
}

/// The text of so many milliseconds.
pub(crate) fn text(mut milliseconds: u64) -> String {
    if milliseconds == 0 {
        return String::from("0ms");
    }
    let mut text = String::new();
    for (name, unit) in UNITS {
        let number = milliseconds / unit;
        milliseconds %= unit;
        if number > 0 {
            text.push_str(&number.to_string());
            text.push_str(name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_read_and_written() {
        for (text, milliseconds) in [
            ("15m", 900_000),
            ("3d", 259_200_000),
            ("1d12h", 129_600_000),
            ("1h1ms", 3_600_001),
            ("0ms", 0),
        ] {
            assert_eq!(super::parse(text), Some(milliseconds), "{text}");
            assert_eq!(super::text(milliseconds), text);
        }
        assert_eq!(super::parse("72h"), Some(259_200_000));
        for wrong in [
            "",
            "15",
            "m",
            "15 m",
            "1m1h",
            "1h1h",
            "-1h",
            "1w",
            "99999999999999999999d",
        ] {
            assert_eq!(super::parse(wrong), None, "{wrong}");
        }
    }
}
