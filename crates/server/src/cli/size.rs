//! How many bytes, as people write it.

/// A number of bytes, with a unit or without.
pub(super) fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => 0,
    };
    let number: Option<u64> = digits.parse().ok();
    let bytes = number
        .filter(|_| unit > 0)
        .and_then(|n| n.checked_mul(unit));
    bytes.ok_or_else(|| format!("`{text}` is no number of bytes: 5000000000, 5GB or 5GiB"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_bytes_with_units_or_without() {
        let sizes = [
            ("0", 0),
            ("7", 7),
            ("5GB", 5_000_000_000),
            ("2GiB", 2 << 30),
            ("1kB", 1_000),
        ];
        for (text, bytes) in sizes {
            assert_eq!(super::parse_size(text), Ok(bytes));
        }
        for text in ["", "GB", "5 GB", "5G", "-1", "99999999TB", "5é"] {
            assert!(super::parse_size(text).is_err(), "{text}");
        }
    }
}
