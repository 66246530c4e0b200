//! SEARCH, SORT and THREAD.
//!
//! Invariant: recursion is bounded by [`MAX_SEARCH_DEPTH`] and work by [`MAX_SEARCH_KEYS`],
//! [`MAX_SEARCH_TEXTS`] and [`MAX_SEARCH_HEADERS`]. The second operand of OR is followed in a loop: clients chain hundreds of them.

use super::cursor::Cursor;
use super::date::date;
use super::{Parsed, Reason};
use crate::command::{CommandBody, Flag};
use crate::limits::{MAX_SEARCH_DEPTH, MAX_SEARCH_HEADERS, MAX_SEARCH_KEYS, MAX_SEARCH_TEXTS};
use crate::search::{DateOf, Search, SearchKey, SearchReturn, Sort, SortKey, TextOf, Thread, When};

/// RFC 9051 6.4.4.
pub(super) fn search(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<CommandBody> {
    cursor.allow_eight_bit();
    cursor.space()?;
    let returns = returns(cursor, true)?;
    // RFC 9051 9 search-program: CHARSET may follow RETURN.
    if cursor.eat_word("CHARSET") {
        cursor.space()?;
        charset(cursor)?;
        cursor.space()?;
    }
    let key = program(cursor)?;
    Ok(CommandBody::Search(Search { uid, returns, key }))
}

/// RFC 5256 3; RETURN is of RFC 5267.
pub(super) fn sort(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<CommandBody> {
    cursor.allow_eight_bit();
    cursor.space()?;
    let returns = returns(cursor, false)?;
    let mut criteria: Vec<(bool, SortKey)> = Vec::new();
    cursor.some_list(|cursor| {
        let reverse = cursor.eat_word("REVERSE");
        if reverse {
            cursor.space()?;
        }
        let key = sort_key(cursor)?;
        // One that was named before decides nothing: what it could tell apart is told apart.
        if criteria.iter().all(|(_, named)| *named != key) {
            criteria.push((reverse, key));
        }
        Ok(())
    })?;
    cursor.space()?;
    charset(cursor)?;
    cursor.space()?;
    let key = program(cursor)?;
    Ok(CommandBody::Sort(Sort {
        uid,
        returns,
        criteria,
        key,
    }))
}

/// RFC 5256 3.
pub(super) fn thread(cursor: &mut Cursor<'_>, uid: bool) -> Parsed<CommandBody> {
    cursor.allow_eight_bit();
    cursor.space()?;
    let algorithm = cursor.upper()?;
    cursor.space()?;
    charset(cursor)?;
    cursor.space()?;
    let key = program(cursor)?;
    Ok(CommandBody::Thread(Thread {
        uid,
        algorithm,
        key,
    }))
}

fn sort_key(cursor: &mut Cursor<'_>) -> Parsed<SortKey> {
    Ok(match cursor.upper()?.as_str() {
        "ARRIVAL" => SortKey::Arrival,
        "CC" => SortKey::Cc,
        "DATE" => SortKey::Date,
        "FROM" => SortKey::From,
        "SIZE" => SortKey::Size,
        "SUBJECT" => SortKey::Subject,
        "TO" => SortKey::To,
        "DISPLAYFROM" => SortKey::DisplayFrom,
        "DISPLAYTO" => SortKey::DisplayTo,
        _ => return Err(Reason::Option),
    })
}

/// RFC 9051 6.4.4: US-ASCII and UTF-8 must be supported, and are all that is.
fn charset(cursor: &mut Cursor<'_>) -> Parsed<()> {
    let name = cursor.text()?;
    let known = ["UTF-8", "US-ASCII", "UTF8", "ASCII"];
    if known.iter().any(|one| one.eq_ignore_ascii_case(&name)) {
        Ok(())
    } else {
        Err(Reason::Charset)
    }
}

/// `RETURN (…)` and the space after it; PARTIAL is for what has no order but its own.
fn returns(cursor: &mut Cursor<'_>, pages: bool) -> Parsed<Option<SearchReturn>> {
    if !cursor.eat_word("RETURN") {
        return Ok(None);
    }
    cursor.space()?;
    let mut out = SearchReturn::default();
    cursor.list(|cursor| {
        match cursor.upper()?.as_str() {
            "MIN" => out.min = true,
            "MAX" => out.max = true,
            "ALL" => out.all = true,
            "COUNT" => out.count = true,
            "SAVE" => out.save = true,
            "PARTIAL" if pages && out.partial.is_none() => {
                cursor.space()?;
                out.partial = Some(cursor.partial()?);
            }
            _ => return Err(Reason::Option),
        }
        Ok(())
    })?;
    // RFC 9394 3.1: one of them, or none.
    if out.all && out.partial.is_some() {
        return Err(Reason::Option);
    }
    cursor.space()?;
    Ok(Some(out))
}

struct Budget {
    keys: usize,
    texts: usize,
    headers: usize,
}

impl Budget {
    /// Takes what a key without parentheses costs.
    fn spend(&mut self, key: &SearchKey) -> Parsed<()> {
        let left = match key {
            SearchKey::Text {
                of: TextOf::Body | TextOf::Text,
                ..
            } => &mut self.texts,
            SearchKey::Text { .. } | SearchKey::Header { .. } => &mut self.headers,
            _ => return Ok(()),
        };
        *left = left.checked_sub(1).ok_or(Reason::TooManyTexts)?;
        Ok(())
    }
}

/// One or more keys, all of which must hold.
fn program(cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
    let mut budget = Budget {
        keys: MAX_SEARCH_KEYS,
        texts: MAX_SEARCH_TEXTS,
        headers: MAX_SEARCH_HEADERS,
    };
    let mut keys = vec![key(cursor, &mut budget, 0)?];
    while cursor.more() {
        keys.push(key(cursor, &mut budget, 0)?);
    }
    Ok(all_of(keys))
}

fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

fn key(cursor: &mut Cursor<'_>, budget: &mut Budget, depth: usize) -> Parsed<SearchKey> {
    if depth > MAX_SEARCH_DEPTH {
        return Err(Reason::TooMany);
    }
    budget.keys = budget.keys.checked_sub(1).ok_or(Reason::TooMany)?;
    match cursor.peek() {
        Some(b'(') => {
            cursor.skip(1);
            let mut keys = Vec::new();
            loop {
                while cursor.eat(b' ') {}
                keys.push(key(cursor, budget, depth + 1)?);
                while cursor.eat(b' ') {}
                if cursor.eat(b')') {
                    return Ok(all_of(keys));
                }
            }
        }
        Some(b'0'..=b'9' | b'*' | b'$') => Ok(SearchKey::Sequence(cursor.message_set()?)),
        _ => {
            let word = cursor.upper()?;
            match word.as_str() {
                "OR" => or(cursor, budget, depth),
                "NOT" => {
                    cursor.space()?;
                    Ok(not(key(cursor, budget, depth + 1)?))
                }
                _ => {
                    let key = named(cursor, &word)?;
                    budget.spend(&key)?;
                    Ok(key)
                }
            }
        }
    }
}

/// `OR a OR b c` is one list: only first operands nest.
fn or(cursor: &mut Cursor<'_>, budget: &mut Budget, depth: usize) -> Parsed<SearchKey> {
    let mut keys = Vec::new();
    loop {
        cursor.space()?;
        keys.push(key(cursor, budget, depth + 1)?);
        cursor.space()?;
        if !cursor.eat_word("OR") {
            keys.push(key(cursor, budget, depth + 1)?);
            return Ok(SearchKey::Or(keys));
        }
        budget.keys = budget.keys.checked_sub(1).ok_or(Reason::TooMany)?;
    }
}

fn named(cursor: &mut Cursor<'_>, word: &str) -> Parsed<SearchKey> {
    Ok(match word {
        "ALL" => SearchKey::All,
        "ANSWERED" => SearchKey::Flag(Flag::Answered),
        "DELETED" => SearchKey::Flag(Flag::Deleted),
        "DRAFT" => SearchKey::Flag(Flag::Draft),
        "FLAGGED" => SearchKey::Flag(Flag::Flagged),
        "SEEN" => SearchKey::Flag(Flag::Seen),
        "UNANSWERED" => not(SearchKey::Flag(Flag::Answered)),
        "UNDELETED" => not(SearchKey::Flag(Flag::Deleted)),
        "UNDRAFT" => not(SearchKey::Flag(Flag::Draft)),
        "UNFLAGGED" => not(SearchKey::Flag(Flag::Flagged)),
        "UNSEEN" => not(SearchKey::Flag(Flag::Seen)),
        // RFC 3501 6.4.4
        "RECENT" => SearchKey::Recent,
        "OLD" => not(SearchKey::Recent),
        "NEW" => SearchKey::And(vec![SearchKey::Recent, not(SearchKey::Flag(Flag::Seen))]),
        // RFC 8514 4.3
        "SAVEDATESUPPORTED" => SearchKey::SaveDateSupported,
        _ => {
            cursor
                .space()
                .map_err(|_| known_or(word, Reason::Missing))?;
            with_argument(cursor, word)?
        }
    })
}

/// The reason for a key that has no argument: it may not exist at all.
fn known_or(word: &str, reason: Reason) -> Reason {
    let with_argument = [
        "BCC",
        "BEFORE",
        "BODY",
        "CC",
        "EMAILID",
        "FROM",
        "HEADER",
        "KEYWORD",
        "LARGER",
        "MODSEQ",
        "OLDER",
        "ON",
        "SAVEDBEFORE",
        "SAVEDON",
        "SAVEDSINCE",
        "SENTBEFORE",
        "SENTON",
        "SENTSINCE",
        "SINCE",
        "SMALLER",
        "SUBJECT",
        "TEXT",
        "THREADID",
        "TO",
        "UID",
        "UNKEYWORD",
        "YOUNGER",
    ];
    if with_argument.contains(&word) {
        reason
    } else {
        Reason::SearchKey
    }
}

fn with_argument(cursor: &mut Cursor<'_>, word: &str) -> Parsed<SearchKey> {
    let text = |cursor: &mut Cursor<'_>, of| {
        Ok(SearchKey::Text {
            of,
            needle: cursor.text()?,
        })
    };
    let day = |cursor: &mut Cursor<'_>, of, when| {
        Ok(SearchKey::Date {
            of,
            when,
            day: date(cursor)?,
        })
    };
    match word {
        "BCC" => text(cursor, TextOf::Bcc),
        "BODY" => text(cursor, TextOf::Body),
        "CC" => text(cursor, TextOf::Cc),
        "FROM" => text(cursor, TextOf::From),
        "SUBJECT" => text(cursor, TextOf::Subject),
        "TEXT" => text(cursor, TextOf::Text),
        "TO" => text(cursor, TextOf::To),
        "BEFORE" => day(cursor, DateOf::Internal, When::Before),
        "ON" => day(cursor, DateOf::Internal, When::On),
        "SINCE" => day(cursor, DateOf::Internal, When::Since),
        "SENTBEFORE" => day(cursor, DateOf::Sent, When::Before),
        "SENTON" => day(cursor, DateOf::Sent, When::On),
        "SENTSINCE" => day(cursor, DateOf::Sent, When::Since),
        // RFC 8514 4
        "SAVEDBEFORE" => day(cursor, DateOf::Saved, When::Before),
        "SAVEDON" => day(cursor, DateOf::Saved, When::On),
        "SAVEDSINCE" => day(cursor, DateOf::Saved, When::Since),
        "HEADER" => {
            let name = cursor.text()?;
            cursor.space()?;
            Ok(SearchKey::Header {
                name,
                needle: cursor.text()?,
            })
        }
        "KEYWORD" => Ok(SearchKey::Flag(cursor.keyword()?)),
        "UNKEYWORD" => Ok(not(SearchKey::Flag(cursor.keyword()?))),
        "LARGER" => Ok(SearchKey::Larger(cursor.number64()?)),
        "SMALLER" => Ok(SearchKey::Smaller(cursor.number64()?)),
        "UID" => Ok(SearchKey::Uid(cursor.message_set()?)),
        // RFC 5032 3
        "OLDER" => Ok(SearchKey::Older(cursor.nz_number()?)),
        "YOUNGER" => Ok(SearchKey::Younger(cursor.nz_number()?)),
        "MODSEQ" => modseq(cursor),
        // RFC 8474 6
        "EMAILID" => Ok(SearchKey::EmailId(object_id(cursor)?)),
        "THREADID" => Ok(SearchKey::ThreadId(object_id(cursor)?)),
        _ => Err(Reason::SearchKey),
    }
}

/// RFC 7162 3.1.5: `MODSEQ ["/flags/…" priv|shared|all] n`.
fn modseq(cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
    if cursor.peek() == Some(b'"') {
        let entry = cursor.string()?;
        if !entry.to_ascii_lowercase().starts_with(b"/flags/") {
            return Err(Reason::SearchKey);
        }
        cursor.space()?;
        if !["PRIV", "SHARED", "ALL"].contains(&cursor.upper()?.as_str()) {
            return Err(Reason::SearchKey);
        }
        cursor.space()?;
    }
    Ok(SearchKey::Modseq(cursor.number64()?))
}

/// RFC 8474 7 objectid: 1 to 255 letters, digits, `-` and `_`.
fn object_id(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let id = cursor.atom()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.len() > 255 || !id.bytes().all(fits) {
        return Err(Reason::Character);
    }
    Ok(id.to_owned())
}
