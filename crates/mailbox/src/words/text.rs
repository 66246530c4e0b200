//! What a search looks through of a message, and the words that stand for it.
//!
//! Invariant: whoever looks into a text, keeps its words or makes a row of them does it with these
//! functions, so that all of them find the same. A change here is a new version of [`super::row`].

use tern_mime::Structure;
use tern_store::StoreError;

use crate::{MailboxError, limits};

/// A text in the form in which texts are looked for and compared: in lower case.
pub fn folded(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        false => text.to_lowercase(),
    }
}

/// The text of a body as it is searched; `content` is the message without what stands before it for its
/// recipient.
pub fn body_text(structure: &Structure, content: &[u8]) -> Result<String, MailboxError> {
    let root = structure.body().ok_or(StoreError::Damaged)?;
    Ok(tern_mime::decoded_text(
        &root,
        content,
        limits::MAX_SEARCHED_TEXT,
    ))
}

/// Octets that two pieces of a long word have in common: what is not longer stands within a piece.
const OVERLAP: usize = limits::MAX_FIND;

/// The words of a text, long ones in pieces.
pub(super) fn words(text: &str) -> impl Iterator<Item = &[u8]> {
    text.split_whitespace()
        .flat_map(|word| pieces(word.as_bytes()))
}

/// The pieces in which a word is kept: itself, where it is not long.
fn pieces(word: &[u8]) -> impl Iterator<Item = &[u8]> {
    let count = word.len().saturating_sub(1) / OVERLAP;
    let start = (0..count.max(1)).map(|number| number * OVERLAP);
    start.filter_map(|start| word.get(start..(start + 2 * OVERLAP).min(word.len())))
}
