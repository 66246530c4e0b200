//! SELECT, EXAMINE, CREATE, LIST, LSUB, STATUS and GETQUOTA.

use super::cursor::{Cursor, distinct};
use super::{Parsed, Reason};
use crate::command::{
    CommandBody, List, ListReturn, ListSelect, Qresync, Select, SpecialUse, StatusItem,
};

/// RFC 9051 6.3.2, 6.3.3; parameters of RFC 7162 3.1.8 and 3.2.5.
pub(super) fn select(cursor: &mut Cursor<'_>, read_only: bool) -> Parsed<CommandBody> {
    let mailbox = cursor.spaced_mailbox().map_err(|reason| match reason {
        Reason::MailboxName => Reason::SelectedName,
        reason => reason,
    })?;
    let mut out = Select {
        mailbox,
        read_only,
        condstore: false,
        qresync: None,
    };
    if cursor.more() {
        let parameters = cursor.list(|cursor| match cursor.upper()?.as_str() {
            "CONDSTORE" => Ok(None),
            "QRESYNC" => qresync(cursor).map(Some),
            _ => Err(Reason::Option),
        })?;
        for parameter in parameters {
            match parameter {
                None => out.condstore = true,
                Some(known) => out.qresync = Some(known),
            }
        }
    }
    Ok(CommandBody::Select(out))
}

fn qresync(cursor: &mut Cursor<'_>) -> Parsed<Qresync> {
    cursor.space()?;
    cursor.expect(b'(')?;
    let uid_validity = cursor.nz_number()?;
    cursor.space()?;
    // RFC 7162 7 mod-sequence-value; clients that know nothing send 0, which asks for all.
    let modseq = cursor.number64()?;
    let mut out = Qresync {
        uid_validity,
        modseq,
        known_uids: None,
        sequence_match: None,
    };
    if cursor.peek() == Some(b' ') {
        cursor.space()?;
        if cursor.peek() != Some(b'(') {
            out.known_uids = Some(cursor.sequence_set()?);
            if cursor.peek() == Some(b' ') {
                cursor.space()?;
            }
        }
        if cursor.eat(b'(') {
            let numbers = cursor.sequence_set()?;
            cursor.space()?;
            let uids = cursor.sequence_set()?;
            cursor.expect(b')')?;
            // RFC 7162 3.2.5.2: `*` has no meaning in either.
            if numbers.has_star() || uids.has_star() {
                return Err(Reason::SequenceSet);
            }
            out.sequence_match = Some((numbers, uids));
        }
    }
    cursor.expect(b')')?;
    // RFC 7162 3.2.5.1: nor in the known UIDs.
    if out.known_uids.as_ref().is_some_and(|uids| uids.has_star()) {
        return Err(Reason::SequenceSet);
    }
    Ok(out)
}

/// RFC 9051 6.3.4; `(USE (…))` of RFC 6154 3.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mailbox = cursor.spaced_mailbox()?;
    let mut special_use = Vec::new();
    if cursor.more() {
        let uses = cursor.list(|cursor| {
            if !cursor.eat_word("USE") {
                return Err(Reason::Option);
            }
            cursor.space()?;
            cursor.list(|cursor| {
                cursor.expect(b'\\')?;
                SpecialUse::parse(cursor.atom()?).ok_or(Reason::SpecialUse)
            })
        })?;
        special_use = uses.into_iter().flatten().collect();
    }
    Ok(CommandBody::Create {
        mailbox,
        special_use,
    })
}

/// RFC 9051 6.3.9 (LIST-EXTENDED RFC 5258, LIST-STATUS RFC 5819, SPECIAL-USE RFC 6154 2).
pub(super) fn list(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let mut select = ListSelect::default();
    let mut extended = false;
    if cursor.peek() == Some(b'(') {
        extended = true;
        cursor.list(|cursor| list_selection(cursor, &mut select))?;
        // RFC 5258 3.1: RECURSIVEMATCH needs another option than REMOTE beside it.
        if select.recursive_match && !(select.subscribed || select.special_use) {
            return Err(Reason::Option);
        }
        cursor.space()?;
    }
    let reference = cursor.mailbox_or_empty()?;
    cursor.space()?;
    let patterns = if cursor.peek() == Some(b'(') {
        extended = true;
        cursor.some_list(Cursor::list_mailbox)?
    } else {
        vec![cursor.list_mailbox()?]
    };
    let mut returns = ListReturn::default();
    if cursor.more() {
        extended = true;
        if !cursor.eat_word("RETURN") {
            return Err(Reason::Option);
        }
        cursor.space()?;
        cursor.list(|cursor| list_return(cursor, &mut returns))?;
    }
    Ok(CommandBody::List(List {
        select,
        reference,
        patterns,
        returns,
        extended,
    }))
}

fn list_selection(cursor: &mut Cursor<'_>, select: &mut ListSelect) -> Parsed<()> {
    match cursor.upper()?.as_str() {
        "SUBSCRIBED" => select.subscribed = true,
        "REMOTE" => select.remote = true,
        "RECURSIVEMATCH" => select.recursive_match = true,
        "SPECIAL-USE" => select.special_use = true,
        _ => return Err(Reason::Option),
    }
    Ok(())
}

fn list_return(cursor: &mut Cursor<'_>, returns: &mut ListReturn) -> Parsed<()> {
    match cursor.upper()?.as_str() {
        "SUBSCRIBED" => returns.subscribed = true,
        "CHILDREN" => returns.children = true,
        "SPECIAL-USE" => returns.special_use = true,
        // RFC 8440 3
        "MYRIGHTS" => returns.my_rights = true,
        "STATUS" => {
            cursor.space()?;
            returns.status = Some(distinct(cursor.some_list(status_item)?));
        }
        _ => return Err(Reason::Option),
    }
    Ok(())
}

/// RFC 3501 6.3.9.
pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let reference = cursor.mailbox_or_empty()?;
    cursor.space()?;
    Ok(CommandBody::Lsub {
        reference,
        pattern: cursor.list_mailbox()?,
    })
}

/// RFC 9051 6.3.11.
pub(super) fn status(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mailbox = cursor.spaced_mailbox()?;
    cursor.space()?;
    Ok(CommandBody::Status {
        mailbox,
        items: distinct(cursor.some_list(status_item)?),
    })
}

fn status_item(cursor: &mut Cursor<'_>) -> Parsed<StatusItem> {
    Ok(match cursor.upper()?.as_str() {
        "MESSAGES" => StatusItem::Messages,
        "RECENT" => StatusItem::Recent,
        "UIDNEXT" => StatusItem::UidNext,
        "UIDVALIDITY" => StatusItem::UidValidity,
        "UNSEEN" => StatusItem::Unseen,
        "DELETED" => StatusItem::Deleted,
        "SIZE" => StatusItem::Size,
        "HIGHESTMODSEQ" => StatusItem::HighestModseq,
        "MAILBOXID" => StatusItem::MailboxId,
        "APPENDLIMIT" => StatusItem::AppendLimit,
        "DELETED-STORAGE" => StatusItem::DeletedStorage,
        _ => return Err(Reason::Item),
    })
}

/// RFC 9208 4.1.2.
pub(super) fn get_quota(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    Ok(CommandBody::GetQuota(cursor.text()?))
}
