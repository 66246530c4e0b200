//! SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314 3).

use tern_mailbox::{Rights, RightsChange};

use super::cursor::Cursor;
use super::{Parsed, Reason};
use crate::command::CommandBody;

/// RFC 4314 3.1.
pub(super) fn set_acl(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    Ok(CommandBody::SetAcl {
        mailbox: cursor.spaced_mailbox()?,
        who: identifier(cursor)?,
        change: change(cursor)?,
    })
}

/// RFC 4314 3.2.
pub(super) fn delete_acl(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    Ok(CommandBody::DeleteAcl {
        mailbox: cursor.spaced_mailbox()?,
        who: identifier(cursor)?,
    })
}

/// RFC 4314 3.4.
pub(super) fn list_rights(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    Ok(CommandBody::ListRights {
        mailbox: cursor.spaced_mailbox()?,
        who: identifier(cursor)?,
    })
}

/// RFC 4314 3: an empty identifier is BAD.
fn identifier(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.space()?;
    let who = cursor.text()?;
    match who.is_empty() {
        true => Err(Reason::Missing),
        false => Ok(who),
    }
}

/// RFC 4314 3.1: rights to set, or to add or to take away. One that is not known is BAD.
fn change(cursor: &mut Cursor<'_>) -> Parsed<RightsChange> {
    cursor.space()?;
    let text = cursor.text()?;
    let rights = |letters: &str| Rights::from_letters(letters).ok_or(Reason::Right);
    Ok(match text.as_bytes() {
        [b'+', ..] => RightsChange::Add(rights(text.get(1..).unwrap_or_default())?),
        [b'-', ..] => RightsChange::Remove(rights(text.get(1..).unwrap_or_default())?),
        _ => RightsChange::Set(rights(&text)?),
    })
}
