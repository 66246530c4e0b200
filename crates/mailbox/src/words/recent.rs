//! The words of the messages that were noted last, kept apart until there are many of them.
//!
//! All words of an account are more than the processor's caches hold, so noting one message at a time
//! waits for memory at every word. Those of some hundred messages fit, and each of their words is
//! looked up among all only once, with all its places.
//!
//! Invariant: it is bounded, and says nothing by itself: whoever asks moves it to the others first.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::mem;

use super::Hashed;

/// So many words fill it.
const MAX_WORDS: usize = 8_192;
/// So many places fill it.
const MAX_PLACES: usize = 65_536;
/// Octets of words fill it.
const MAX_TEXT: usize = 256 << 10;

/// A word as it stands here.
#[derive(Clone, Copy, Debug)]
struct Word {
    hash: u64,
    start: u32,
    length: u32,
    /// Where it was noted last.
    last: u32,
    /// How many places it has.
    count: u32,
}

/// Words and where they stand, in the order in which they were noted.
#[derive(Default)]
pub(super) struct Recent {
    text: Vec<u8>,
    words: Vec<Word>,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    places: Vec<(u32, u32)>,
}

impl Recent {
    pub(super) const fn is_full(&self) -> bool {
        self.words.len() >= MAX_WORDS
            || self.places.len() >= MAX_PLACES
            || self.text.len() >= MAX_TEXT
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes that it takes, roughly.
    pub(super) const fn weight(&self) -> usize {
        const PLACE: usize = size_of::<(u32, u32)>();
        self.text.len() + self.words.len() * (size_of::<Word>() + 24) + self.places.len() * PLACE
    }

    /// Notes a place of a word that has this hash. What stands at one place is noted side by side.
    pub(super) fn note(&mut self, hash: u64, word: &[u8], place: u32) {
        let Some(number) = self.number(hash, word) else {
            return;
        };
        let Some(known) = self.words.get_mut(number as usize) else {
            return;
        };
        if known.count == 0 || known.last != place {
            known.last = place;
            known.count += 1;
            self.places.push((number, place));
        }
    }

    /// The number of a word, new where it was not there.
    fn number(&mut self, hash: u64, word: &[u8]) -> Option<u32> {
        let mut slot = hash;
        // Of two words with one hash, the later one is under the next.
        while let Some(number) = self.by_hash.get(&slot).copied() {
            let known = self.words.get(number as usize)?;
            if self.text_of(known) == word {
                return Some(number);
            }
            slot = slot.wrapping_add(1);
        }
        let number = u32::try_from(self.words.len()).ok()?;
        self.by_hash.insert(slot, number);
        self.words.push(Word {
            hash,
            start: u32::try_from(self.text.len()).ok()?,
            length: u32::try_from(word.len()).ok()?,
            last: 0,
            count: 0,
        });
        self.text.extend_from_slice(word);
        Some(number)
    }

    fn text_of(&self, word: &Word) -> &[u8] {
        let start = word.start as usize;
        let range = start..start + word.length as usize;
        self.text.get(range).unwrap_or_default()
    }

    /// Takes all of it: each word once, with its hash and its places in the order in which they came.
    pub(super) fn drain(&mut self, mut each: impl FnMut(u64, &[u8], &[u32])) {
        let all = mem::take(self);
        let mut ends = Vec::with_capacity(all.words.len());
        let mut end = 0;
        for word in &all.words {
            ends.push(end);
            end += word.count as usize;
        }
        let mut sorted = vec![0; all.places.len()];
        for (number, place) in &all.places {
            let end = ends.get_mut(*number as usize);
            if let Some((slot, end)) = end.and_then(|end| Some((sorted.get_mut(*end)?, end))) {
                *slot = *place;
                *end += 1;
            }
        }
        for (word, end) in all.words.iter().zip(ends) {
            let places = sorted.get(end - word.count as usize..end);
            each(word.hash, all.text_of(word), places.unwrap_or_default());
        }
    }
}
