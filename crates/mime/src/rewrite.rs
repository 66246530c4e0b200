//! Header changes at submission and delivery: fields out, fields in front.
//!
//! Invariant: everything that is not named stays byte for byte. Refuses to touch the body.

use crate::header::{header_length, headers};

/// The message without the header fields of these names (in any case): `Bcc`, `Return-Path` and
/// the like (RFC 5322 3.6.3, RFC 6409 8).
pub fn remove_headers<N: AsRef<[u8]>>(message: &[u8], names: &[N]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    let mut kept_to = 0;
    let header = message.get(..header_length(message)).unwrap_or_default();
    for field in headers(header) {
        if names
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name.as_ref()))
        {
            out.extend_from_slice(message.get(kept_to..field.range.start).unwrap_or_default());
            kept_to = field.range.end;
        }
    }
    out.extend_from_slice(message.get(kept_to..).unwrap_or_default());
    out
}

/// The message with these fields in front, each as `name: value` CRLF. Line ends in a value are
/// dropped unless white space follows them, so a value can never add a field of its own.
pub fn prepend_headers(message: &[u8], fields: &[(&str, &str)]) -> Vec<u8> {
    let added: usize = fields
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    let mut out = Vec::with_capacity(message.len() + added + 2);
    for (name, value) in fields {
        out.extend(
            name.bytes()
                .filter(|byte| byte.is_ascii_graphic() && *byte != b':'),
        );
        out.extend_from_slice(b": ");
        let mut lines = value.split(['\r', '\n']).filter(|line| !line.is_empty());
        out.extend_from_slice(lines.next().unwrap_or_default().as_bytes());
        for line in lines {
            if line.starts_with([' ', '\t']) && !line.trim().is_empty() {
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(line.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(message);
    out
}
