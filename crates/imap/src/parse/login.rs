//! LOGIN, AUTHENTICATE, ID and ENABLE.
//!
//! Refuses nothing by state; whether a mechanism exists is the session's matter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cursor::Cursor;
use super::{Parsed, Reason};
use crate::command::{CommandBody, Enable, Secret};
use crate::limits::MAX_ID_FIELDS;

/// RFC 9051 6.2.3. Quoted strings may hold UTF-8, since many clients send it so.
pub(super) fn login(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.allow_eight_bit();
    cursor.space()?;
    let username = cursor.text()?;
    cursor.space()?;
    let password = Secret(cursor.text()?);
    Ok(CommandBody::Login { username, password })
}

/// RFC 9051 6.2.2; the initial response is SASL-IR (RFC 4959 3).
pub(super) fn authenticate(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let mechanism = cursor.upper()?;
    let initial = if cursor.more() {
        let rest = cursor.rest().trim_ascii_end();
        cursor.skip(cursor.rest().len());
        Some(Secret(decode_base64(rest)?))
    } else {
        None
    };
    Ok(CommandBody::Authenticate { mechanism, initial })
}

/// RFC 4959 3: a single `=` is an initial response of no octets.
pub(super) fn decode_base64(text: &[u8]) -> Parsed<Vec<u8>> {
    if text == b"=" {
        return Ok(Vec::new());
    }
    STANDARD.decode(text).map_err(|_| Reason::Base64)
}

/// RFC 2971 3.1. Field names are case-insensitive.
pub(super) fn id(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.allow_eight_bit();
    cursor.space()?;
    if cursor.eat_word("NIL") {
        return Ok(CommandBody::Id(Vec::new()));
    }
    let fields = cursor.list(|cursor| {
        let name = String::from_utf8(cursor.string()?.into_owned()).map_err(|_| Reason::Utf8)?;
        cursor.space()?;
        Ok((name.to_ascii_lowercase(), cursor.nil_or_text()?))
    })?;
    // RFC 2971 3.3
    if fields.len() > MAX_ID_FIELDS {
        return Err(Reason::TooMany);
    }
    Ok(CommandBody::Id(fields))
}

/// RFC 9051 6.3.1: arguments that we don't know are no error.
pub(super) fn enable(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mut out = Vec::new();
    cursor.space()?;
    loop {
        let known = match cursor.upper()?.as_str() {
            "CONDSTORE" => Some(Enable::Condstore),
            "QRESYNC" => Some(Enable::Qresync),
            "IMAP4REV2" => Some(Enable::Imap4rev2),
            // RFC 6855 3 has ACCEPT only; `UTF8=ONLY` is for announcing.
            "UTF8=ACCEPT" => Some(Enable::Utf8Accept),
            _ => None,
        };
        out.extend(known.filter(|one| !out.contains(one)));
        if !cursor.more() {
            return Ok(CommandBody::Enable(out));
        }
    }
}
