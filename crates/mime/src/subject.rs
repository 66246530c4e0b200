//! The base subject of RFC 5256 2.1, by which SORT and THREAD compare.
//!
//! Invariant: the time is bounded, since only [`MAX_SUBJECT_BYTES`] are looked at. Keeps the case;
//! who compares, folds it.

use crate::limits::MAX_SUBJECT_BYTES;

/// The base subject of a decoded subject: without `Re:`, `Fwd:`, list tags and `(fwd)`.
pub fn base_subject(decoded: &str) -> String {
    let text = spaced(decoded);
    strip(&text).0.to_owned()
}

/// Whether a decoded subject says that the message is a reply or was forwarded (RFC 5256 2.1):
/// it loses more than list tags on the way to its base.
pub fn is_reply_or_forward(decoded: &str) -> bool {
    strip(&spaced(decoded)).1
}

/// RFC 5256 2.1 step 1: tabs and folds to spaces, many to one.
fn spaced(decoded: &str) -> String {
    let mut text = String::with_capacity(decoded.len().min(MAX_SUBJECT_BYTES));
    for word in decoded.split_whitespace() {
        if text.len() + word.len() >= MAX_SUBJECT_BYTES {
            let room = MAX_SUBJECT_BYTES.saturating_sub(text.len() + 1);
            push_word(
                &mut text,
                word.get(..word.floor_char_boundary(room))
                    .unwrap_or_default(),
            );
            break;
        }
        push_word(&mut text, word);
    }
    text
}

/// Steps 2 to 6: the base, and whether a mark of a reply or of forwarding was on it.
fn strip(text: &str) -> (&str, bool) {
    let mut rest = text;
    let mut marked = false;
    loop {
        rest = strip_trailers(rest, &mut marked);
        rest = strip_leaders(rest, &mut marked);
        // Step 6: `[fwd: ...]` around the whole.
        match strip_prefix_ignore_case(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => (rest, marked) = (inner, true),
            None => return (rest, marked),
        }
    }
}

fn push_word(text: &mut String, word: &str) {
    if !text.is_empty() && !word.is_empty() {
        text.push(' ');
    }
    text.push_str(word);
}

/// Step 2: subj-trailer.
fn strip_trailers<'a>(mut text: &'a str, marked: &mut bool) -> &'a str {
    loop {
        text = text.trim_end();
        match text
            .len()
            .checked_sub(5)
            .and_then(|at| text.split_at_checked(at))
        {
            Some((before, end)) if end.eq_ignore_ascii_case("(fwd)") => {
                (text, *marked) = (before, true);
            }
            _ => return text,
        }
    }
}

/// Steps 3 to 5: subj-leader, and a subj-blob that is not all there is.
fn strip_leaders<'a>(mut text: &'a str, marked: &mut bool) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(rest) = strip_refwd(text) {
            (text, *marked) = (rest, true);
            continue;
        }
        match strip_blob(text) {
            Some(rest) if !rest.is_empty() => text = rest,
            _ => return text,
        }
    }
}

/// `*subj-blob subj-refwd`.
fn strip_refwd(mut text: &str) -> Option<&str> {
    while let Some(rest) = strip_blob(text) {
        text = rest;
    }
    let rest = ["re", "fwd", "fw"]
        .iter()
        .find_map(|word| strip_prefix_ignore_case(text, word))?;
    let rest = rest.trim_start();
    strip_blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// `[` without brackets inside `]`, and the white space behind it.
fn strip_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    Some(inside.get(end..)?.strip_prefix(']')?.trim_start())
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}
