//! The command parser: one frame in, one [`Command`] out.
//!
//! Written for what RFC 9051 9 allows, with the liberties that real clients need: more than one
//! space where one belongs, spaces before the line end, a bare LF after a literal header, UTF-8
//! in the quoted strings of LOGIN and SEARCH. The verb decides the file: `login`, `mailbox`,
//! `message`, `rights`,
//! `search`.
//!
//! Invariant: the whole frame is consumed or refused; nothing panics or recurses past a bound.

mod cursor;
mod date;
mod login;
mod mailbox;
mod message;
mod rights;
mod search;

use bytes::Bytes;

use crate::command::{Command, CommandBody, Tag};

use cursor::Cursor;
pub(crate) use cursor::is_astring_char;

/// A command that was refused, with what the answer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The tag, where the command has one: the refusal is tagged with it.
    pub tag: Option<Tag>,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a command. Shown to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's text says it")]
pub enum Reason {
    #[error("A command starts with a tag and a space")]
    Tag,
    #[error("Unknown command")]
    UnknownCommand,
    #[error("Missing argument")]
    Missing,
    #[error("Unexpected text after the arguments")]
    Trailing,
    #[error("Unexpected character")]
    Character,
    #[error("Not a number in range")]
    Number,
    #[error("Invalid quoted string")]
    Quoted,
    #[error("8-bit text needs a literal, or ENABLE UTF8=ACCEPT or IMAP4rev2")]
    EightBit,
    #[error("Invalid literal")]
    Literal,
    #[error("NUL is only allowed in literal8")]
    Nul,
    #[error("Text is not UTF-8")]
    Utf8,
    #[error("Invalid base64")]
    Base64,
    #[error("Invalid mailbox name: modified UTF-7 (RFC 3501 5.1.3) expected")]
    MailboxName,
    #[error("Invalid mailbox name: modified UTF-7 (RFC 3501 5.1.3) expected")]
    SelectedName,
    #[error("Invalid sequence set")]
    SequenceSet,
    #[error("Invalid flag")]
    Flag,
    #[error("Invalid date or time")]
    Date,
    #[error("Unknown data item")]
    Item,
    #[error("Unknown option or parameter")]
    Option,
    #[error("Unknown right")]
    Right,
    #[error("Unknown search key")]
    SearchKey,
    #[error("Character set not supported")]
    Charset,
    #[error("Special use not supported")]
    SpecialUse,
    #[error("Too many items, or nested too deep")]
    TooMany,
    #[error("Too many texts in one search")]
    TooManyTexts,
}

/// Parses one frame. `utf8` says whether the client enabled UTF8=ACCEPT or IMAP4rev2, so that
/// mailbox names are UTF-8 and quoted strings may hold it.
pub fn parse(frame: &Bytes, utf8: bool) -> Result<Command, ParseError> {
    let mut cursor = Cursor::new(frame, utf8);
    let tag = Tag::of_line(frame).ok_or(ParseError {
        tag: None,
        reason: Reason::Tag,
    })?;
    cursor.skip(tag.as_str().len());
    match body(&mut cursor) {
        Ok(body) => Ok(Command { tag, body }),
        Err(reason) => Err(ParseError {
            tag: Some(tag),
            reason,
        }),
    }
}

type Parsed<T> = Result<T, Reason>;

fn body(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space().map_err(|_| Reason::UnknownCommand)?;
    let mut verb = cursor.upper().map_err(|_| Reason::UnknownCommand)?;
    let uid = verb == "UID";
    if uid {
        cursor.space()?;
        verb = cursor.upper()?;
        let takes_uids = [
            "FETCH", "STORE", "COPY", "MOVE", "SEARCH", "SORT", "THREAD", "EXPUNGE", "REPLACE",
        ];
        if !takes_uids.contains(&verb.as_str()) {
            return Err(Reason::UnknownCommand);
        }
    }
    let body = match verb.as_str() {
        "CAPABILITY" => CommandBody::Capability,
        "NOOP" => CommandBody::Noop,
        "LOGOUT" => CommandBody::Logout,
        "STARTTLS" => CommandBody::StartTls,
        "NAMESPACE" => CommandBody::Namespace,
        "IDLE" => CommandBody::Idle,
        "CHECK" => CommandBody::Check,
        "CLOSE" => CommandBody::Close,
        "UNSELECT" => CommandBody::Unselect,
        "LOGIN" => login::login(cursor)?,
        "AUTHENTICATE" => login::authenticate(cursor)?,
        "ID" => login::id(cursor)?,
        "ENABLE" => login::enable(cursor)?,
        "COMPRESS" => {
            cursor.space()?;
            CommandBody::Compress(cursor.upper()?)
        }
        "SELECT" => mailbox::select(cursor, false)?,
        "EXAMINE" => mailbox::select(cursor, true)?,
        "CREATE" => mailbox::create(cursor)?,
        "DELETE" => CommandBody::Delete(cursor.spaced_mailbox()?),
        "RENAME" => CommandBody::Rename {
            from: cursor.spaced_mailbox()?,
            to: cursor.spaced_mailbox()?,
        },
        "SUBSCRIBE" => CommandBody::Subscribe(cursor.spaced_mailbox()?),
        "UNSUBSCRIBE" => CommandBody::Unsubscribe(cursor.spaced_mailbox()?),
        "LIST" => mailbox::list(cursor)?,
        "LSUB" => mailbox::lsub(cursor)?,
        "STATUS" => mailbox::status(cursor)?,
        "GETQUOTA" => mailbox::get_quota(cursor)?,
        "GETQUOTAROOT" => CommandBody::GetQuotaRoot(cursor.spaced_mailbox()?),
        "SETACL" => rights::set_acl(cursor)?,
        "DELETEACL" => rights::delete_acl(cursor)?,
        "GETACL" => CommandBody::GetAcl(cursor.spaced_mailbox()?),
        "LISTRIGHTS" => rights::list_rights(cursor)?,
        "MYRIGHTS" => CommandBody::MyRights(cursor.spaced_mailbox()?),
        "APPEND" => message::append(cursor)?,
        "REPLACE" => message::replace(cursor, uid)?,
        "EXPUNGE" => message::expunge(cursor, uid)?,
        "FETCH" => message::fetch(cursor, uid)?,
        "STORE" => message::store(cursor, uid)?,
        "COPY" => message::copy(cursor, uid, false)?,
        "MOVE" => message::copy(cursor, uid, true)?,
        "SEARCH" => search::search(cursor, uid)?,
        "SORT" => search::sort(cursor, uid)?,
        "THREAD" => search::thread(cursor, uid)?,
        _ => return Err(Reason::UnknownCommand),
    };
    cursor.end()?;
    Ok(body)
}
