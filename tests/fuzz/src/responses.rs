//! The shape of what an IMAP server sends (RFC 9051 2.2, 9 `response`).
//!
//! Invariant: accepts whole responses only. Refuses to know what they mean.

/// Counts the answers to commands in `output`: tagged ones, and the `* BAD` to what has no tag.
///
/// # Errors
/// Why it is not a sequence of whole responses.
pub(crate) fn answers(output: &[u8]) -> Result<usize, String> {
    let (mut rest, mut count) = (output, 0);
    while !rest.is_empty() {
        let tagged = !matches!(rest.first(), Some(b'*' | b'+'));
        count += usize::from(tagged || rest.starts_with(b"* BAD "));
        rest = response(rest).map_err(|why| {
            let shown = rest.get(..400).unwrap_or(rest);
            format!("{why}: {}", shown.escape_ascii())
        })?;
    }
    Ok(count)
}

/// Takes one response off: lines joined by literals.
fn response(mut rest: &[u8]) -> Result<&[u8], &'static str> {
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = rest.split_at(end.ok_or("no line end")? + 1);
        let line = line.strip_suffix(b"\r\n").ok_or("bare LF")?;
        if line.iter().any(|byte| matches!(byte, 0 | b'\r')) {
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
        for (good, count) in [
            ("", 0),
            ("* OK x\r\n", 0),
            ("* BAD x\r\n+ \r\n", 1),
            ("* 1 FETCH (BODY[] {3}\r\na\nb)\r\na OK done\r\n", 1),
        ] {
            assert_eq!(answers(good.as_bytes()), Ok(count), "{good}");
        }
        for bad in [
            "* OK",
            "* OK\n",
            "* \0\r\n",
            "* a {9}\r\nb\r\n",
            "* a\rb\r\n",
        ] {
            assert!(answers(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
