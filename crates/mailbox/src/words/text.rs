//! What a search looks through of a message, and the words that stand for it.
//!
//! Invariant: whoever looks into a text, keeps its words or makes a row of them does it with these
//! functions, so that all of them find the same. A change here is a new version of [`super::row`].

use std::borrow::Cow;
use std::ops::Range;

use tern_base::AccountId;
use tern_mime::Structure;
use tern_store::StoreError;
use tern_store::limits::BLOB_PIECE;

use crate::{MailboxError, Mailboxes, MessageRow, limits};

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

/// The text of a body as it is searched, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Searched {
    /// At most [`limits::MAX_SEARCHED_TEXT`] octets.
    pub text: String,
    /// Octets that were read and decoded for it.
    pub work: u64,
}

/// Octets of memory that it takes at the most to look into the text of a body: little, however much is
/// attached to it.
pub fn searched_weight(structure: &Structure) -> Result<u64, MailboxError> {
    let root = structure.body().ok_or(StoreError::Damaged)?;
    let weight = tern_mime::decoded_text_weight(&root, limits::MAX_SEARCHED_TEXT);
    // The text itself, and once more in the form in which it is looked through.
    Ok(weight + weight.min(2 * limits::MAX_SEARCHED_TEXT as u64))
}

impl Mailboxes {
    /// The text of a body as it is searched, of a message that is not sealed. What is attached is not read for
    /// it, but for what stands in the same piece of the store.
    pub fn searched_text(
        &self,
        account: AccountId,
        row: &MessageRow,
        structure: &Structure,
    ) -> Result<Searched, MailboxError> {
        let root = structure.body().ok_or(StoreError::Damaged)?;
        let (prefix, size) = (row.prefix.len() as u64, u64::from(row.size));
        let (mut at, mut window, mut work) = (0..0, Vec::new(), 0);
        let read = |range: Range<u32>| {
            let wanted = prefix + u64::from(range.start)..prefix + u64::from(range.end);
            work += wanted.end.saturating_sub(wanted.start);
            if wanted.start < at.start || wanted.end > at.end {
                // What is wanted next stands behind it.
                let end = wanted.end.max(wanted.start + BLOB_PIECE as u64).min(size);
                at = wanted.start..end;
                window = self.read(account, row, at.clone())?.0;
                work += window.len() as u64;
            }
            let start = wanted.start.saturating_sub(at.start) as usize;
            let end = wanted.end.saturating_sub(at.start) as usize;
            let found = window.get(start..end).unwrap_or_default();
            Ok::<_, MailboxError>(Cow::Owned(found.to_vec()))
        };
        let text = tern_mime::decoded_text_of(&root, limits::MAX_SEARCHED_TEXT, read)?;
        Ok(Searched { text, work })
    }
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
