//! APPEND, REPLACE, EXPUNGE, FETCH, STORE, COPY and MOVE.

use super::cursor::{Cursor, distinct};
use super::date::date_time;
use super::{Parsed, Reason};
use crate::command::{
    Append, AppendMessage, CommandBody, CopyTo, Flag, Replace, Store, StoreAction,
};
use crate::fetch::{BodySection, Fetch, FetchItem, SectionText};
use crate::limits::{MAX_APPEND_MESSAGES, MAX_LIST_ITEMS, MAX_PART_DEPTH};

/// RFC 9051 6.3.12, RFC 3502 for more than one message.
pub(super) fn append(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mailbox = cursor.spaced_mailbox()?;
    let mut messages = Vec::new();
    cursor.space()?;
    loop {
        messages.push(append_message(cursor)?);
        if messages.len() > MAX_APPEND_MESSAGES {
            return Err(Reason::TooMany);
        }
        if !cursor.more() {
            return Ok(CommandBody::Append(Append { mailbox, messages }));
        }
    }
}

/// RFC 8508 3: one message in the place of one.
pub(super) fn replace(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<CommandBody> {
    cursor.space()?;
    let set = cursor.message_set()?;
    let mailbox = cursor.spaced_mailbox()?;
    cursor.space()?;
    let messages = vec![append_message(cursor)?];
    let by = Append { mailbox, messages };
    Ok(CommandBody::Replace(Replace { uid, set, by }))
}

fn append_message(cursor: &mut Cursor<'_>) -> Parsed<AppendMessage> {
    let mut flags = Vec::new();
    if cursor.peek() == Some(b'(') {
        flags = cursor.list(Cursor::flag)?;
        cursor.space()?;
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        date = Some(date_time(cursor)?);
        cursor.space()?;
    }
    // RFC 6855 4: `UTF8 (literal8)`.
    let utf8 = cursor.eat_word("UTF8");
    if utf8 {
        if !cursor.utf8() {
            return Err(Reason::EightBit);
        }
        cursor.space()?;
        cursor.expect(b'(')?;
    }
    if !matches!(cursor.peek(), Some(b'{' | b'~')) {
        return Err(cursor.unexpected());
    }
    let content = cursor.literal()?;
    if utf8 {
        cursor.expect(b')')?;
    }
    Ok(AppendMessage {
        flags,
        date,
        content,
    })
}

/// RFC 9051 6.4.3, and 6.4.9 for UID EXPUNGE.
pub(super) fn expunge(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<CommandBody> {
    if !uid {
        return Ok(CommandBody::Expunge(None));
    }
    cursor.space()?;
    Ok(CommandBody::Expunge(Some(cursor.message_set()?)))
}

/// RFC 9051 6.4.7, 6.4.8.
pub(super) fn copy(cursor: &mut Cursor<'_>, uid: bool, take: bool) -> Parsed<CommandBody> {
    cursor.space()?;
    let set = cursor.message_set()?;
    let mailbox = cursor.spaced_mailbox()?;
    Ok(CommandBody::Copy(CopyTo {
        uid,
        set,
        mailbox,
        take,
    }))
}

/// RFC 9051 6.4.6; UNCHANGEDSINCE of RFC 7162 3.1.3.
pub(super) fn store(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<CommandBody> {
    cursor.space()?;
    let set = cursor.message_set()?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.eat(b'(') {
        if !cursor.eat_word("UNCHANGEDSINCE") {
            return Err(Reason::Option);
        }
        cursor.space()?;
        unchanged_since = Some(cursor.number64()?);
        cursor.expect(b')')?;
        cursor.space()?;
    }
    let action = match cursor.peek() {
        Some(b'+') => StoreAction::Add,
        Some(b'-') => StoreAction::Remove,
        _ => StoreAction::Replace,
    };
    if action != StoreAction::Replace {
        cursor.skip(1);
    }
    let silent = match cursor.item()?.as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return Err(Reason::Item),
    };
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') {
        cursor.list(Cursor::flag)?
    } else {
        bare_flags(cursor)?
    };
    Ok(CommandBody::Store(Store {
        uid,
        set,
        unchanged_since,
        action,
        silent,
        flags,
    }))
}

/// RFC 9051 9 store-att-flags: flags without parentheses.
fn bare_flags(cursor: &mut Cursor<'_>) -> Parsed<Vec<Flag>> {
    let mut out = vec![cursor.flag()?];
    while cursor.more() {
        out.push(cursor.flag()?);
        if out.len() > MAX_LIST_ITEMS {
            return Err(Reason::TooMany);
        }
    }
    Ok(out)
}

/// RFC 9051 6.4.5; CHANGEDSINCE and VANISHED of RFC 7162 3.1.4.1 and 3.2.6.
pub(super) fn fetch(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<CommandBody> {
    cursor.space()?;
    let set = cursor.message_set()?;
    cursor.space()?;
    let mut items = Vec::new();
    if cursor.peek() == Some(b'(') {
        // Macros stand alone by the grammar; some clients put one into parentheses.
        for found in cursor.some_list(fetch_items)? {
            items.extend(found);
        }
    } else {
        items = fetch_items(cursor)?;
    }
    let mut out = Fetch {
        uid,
        set,
        items: distinct(items),
        changed_since: None,
        vanished: false,
        partial: None,
    };
    if cursor.more() {
        cursor.list(|cursor| fetch_modifier(cursor, &mut out))?;
        // RFC 7162 3.2.6: VANISHED only with UID FETCH and CHANGEDSINCE.
        if out.vanished && !(uid && out.changed_since.is_some()) {
            return Err(Reason::Option);
        }
        // RFC 9394 3.3
        if out.partial.is_some() && !uid {
            return Err(Reason::Option);
        }
    }
    Ok(CommandBody::Fetch(out))
}

fn fetch_modifier(cursor: &mut Cursor<'_>, out: &mut Fetch) -> Parsed<()> {
    match cursor.upper()?.as_str() {
        "CHANGEDSINCE" => {
            cursor.space()?;
            out.changed_since = Some(cursor.number64()?);
        }
        "VANISHED" => out.vanished = true,
        "PARTIAL" if out.partial.is_none() => {
            cursor.space()?;
            out.partial = Some(cursor.partial()?);
        }
        _ => return Err(Reason::Option),
    }
    Ok(())
}

fn fetch_items(cursor: &mut Cursor<'_>) -> Parsed<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    let item = match cursor.item()?.as_str() {
        "ALL" => return Ok(vec![Flags, InternalDate, Size, Envelope]),
        "FAST" => return Ok(vec![Flags, InternalDate, Size]),
        "FULL" => return Ok(vec![Flags, InternalDate, Size, Envelope, Body]),
        "FLAGS" => Flags,
        "UID" => FetchItem::Uid,
        "INTERNALDATE" => InternalDate,
        "ENVELOPE" => Envelope,
        "BODYSTRUCTURE" => FetchItem::BodyStructure,
        "BODY" if cursor.peek() == Some(b'[') => body_section(cursor, false)?,
        "BODY" => Body,
        "BODY.PEEK" => body_section(cursor, true)?,
        "BINARY" => binary(cursor, false)?,
        "BINARY.PEEK" => binary(cursor, true)?,
        "BINARY.SIZE" => FetchItem::BinarySize(binary_path(cursor)?),
        "RFC822" => FetchItem::Rfc822,
        "RFC822.HEADER" => FetchItem::Rfc822Header,
        "RFC822.TEXT" => FetchItem::Rfc822Text,
        "RFC822.SIZE" => Size,
        "MODSEQ" => FetchItem::Modseq,
        "EMAILID" => FetchItem::EmailId,
        "THREADID" => FetchItem::ThreadId,
        "SAVEDATE" => FetchItem::SaveDate,
        "PREVIEW" => {
            skip_lazy(cursor)?;
            FetchItem::Preview
        }
        _ => return Err(Reason::Item),
    };
    Ok(vec![item])
}

/// RFC 8970 3.1: `PREVIEW (LAZY)`.
fn skip_lazy(cursor: &mut Cursor<'_>) -> Parsed<()> {
    if !cursor.rest().starts_with(b" (") {
        return Ok(());
    }
    // Outside a list of items, `FETCH 1 PREVIEW (CHANGEDSINCE 5)` has its modifiers here.
    let lazy = cursor
        .rest()
        .get(2..6)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"LAZY"));
    if lazy {
        cursor.skip(6);
        cursor.expect(b')')?;
    }
    Ok(())
}

/// RFC 9051 9 section: `[` [section-spec] `]` [`<` offset `.` length `>`].
fn body_section(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<FetchItem> {
    cursor.expect(b'[')?;
    let mut path = Vec::new();
    let mut text = SectionText::All;
    while cursor.peek() != Some(b']') {
        if cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            path.push(cursor.nz_number()?);
            if path.len() > MAX_PART_DEPTH {
                return Err(Reason::TooMany);
            }
            if !cursor.eat(b'.') {
                break;
            }
            if cursor.peek() == Some(b']') {
                return Err(Reason::Item);
            }
        } else {
            text = section_text(cursor, !path.is_empty())?;
            break;
        }
    }
    cursor.expect(b']')?;
    let partial = partial(cursor)?;
    Ok(FetchItem::Section(BodySection {
        path,
        text,
        partial,
        peek,
    }))
}

fn section_text(cursor: &mut Cursor<'_>, in_part: bool) -> Parsed<SectionText> {
    Ok(match cursor.item()?.as_str() {
        "HEADER" => SectionText::Header,
        "HEADER.FIELDS" => SectionText::HeaderFields(header_list(cursor)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(header_list(cursor)?),
        "TEXT" => SectionText::Text,
        // RFC 9051 6.4.5.1: MIME must be prefixed by a part number.
        "MIME" if in_part => SectionText::Mime,
        _ => return Err(Reason::Item),
    })
}

fn header_list(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.space()?;
    cursor.some_list(Cursor::text)
}

/// `<offset.length>`; RFC 9051 9 partial: the length is not 0.
fn partial(cursor: &mut Cursor<'_>) -> Parsed<Option<(u64, u64)>> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let offset = cursor.number64()?;
    cursor.expect(b'.')?;
    let length = cursor.number64()?;
    cursor.expect(b'>')?;
    if length == 0 {
        Err(Reason::Number)
    } else {
        Ok(Some((offset, length)))
    }
}

fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Parsed<FetchItem> {
    let path = binary_path(cursor)?;
    Ok(FetchItem::Binary {
        path,
        partial: partial(cursor)?,
        peek,
    })
}

/// RFC 9051 9 section-binary: numbers only.
fn binary_path(cursor: &mut Cursor<'_>) -> Parsed<Vec<u32>> {
    cursor.expect(b'[')?;
    let mut path = Vec::new();
    if cursor.eat(b']') {
        return Ok(path);
    }
    loop {
        path.push(cursor.nz_number()?);
        if path.len() > MAX_PART_DEPTH {
            return Err(Reason::TooMany);
        }
        if cursor.eat(b']') {
            return Ok(path);
        }
        cursor.expect(b'.')?;
    }
}
