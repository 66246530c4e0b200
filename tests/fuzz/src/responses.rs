//! The shape of what an IMAP server sends (RFC 9051 2.2, 9 `response`).
//!
//! Invariant: accepts whole responses only. Refuses to know what they mean.

/// Why `output` is not a sequence of whole IMAP responses, or `None`. `utf8` allows octets above
/// 0x7f outside literals.
pub(crate) fn flaw(output: &[u8], utf8: bool) -> Option<String> {
    let mut rest = output;
    while !rest.is_empty() {
        rest = match response(rest, utf8) {
            Ok(rest) => rest,
            Err(why) => {
                let start = output.len() - rest.len();
                let shown = output.get(start..).unwrap_or_default();
                let shown = shown.get(..400).unwrap_or(shown);
                return Some(format!("{why}: {}", shown.escape_ascii()));
            }
        };
    }
    None
}

/// Takes one response off: lines joined by literals.
fn response(mut rest: &[u8], utf8: bool) -> Result<&[u8], &'static str> {
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = rest.split_at(end.ok_or("no line end")? + 1);
        let line = line.strip_suffix(b"\r\n").ok_or("bare LF")?;
        if line
            .iter()
            .any(|byte| matches!(byte, 0 | b'\r') || !utf8 && !byte.is_ascii())
        {
            return Err("an octet that no line may hold");
        }
        rest = match literal(line) {
            Some(size) => after.get(size..).ok_or("a literal that is cut off")?,
            None => return Ok(after),
        };
    }
}

/// The size of the literal that a line announces. Human-readable text can't: it is ours.
fn literal(line: &[u8]) -> Option<usize> {
    let inside = line.strip_suffix(b"}")?;
    let open = inside.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(inside.get(open + 1..)?)
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_responses_pass_and_others_do_not() {
        for good in [
            "",
            "* OK x\r\n",
            "* 1 FETCH (BODY[] {3}\r\na\nb)\r\na OK done\r\n",
            "+ \r\n",
        ] {
            assert_eq!(flaw(good.as_bytes(), false), None, "{good}");
        }
        for bad in ["* OK", "* OK\n", "* \0\r\n", "* a {9}\r\nb\r\n", "* ü\r\n"] {
            assert!(flaw(bad.as_bytes(), false).is_some(), "{bad}");
        }
    }
}
