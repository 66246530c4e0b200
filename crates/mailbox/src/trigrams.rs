//! Which three octets stand side by side in the text of a message: what a search asks before it
//! reads the text.
//!
//! Invariant: what is not there says for certain that a word is not in the text; what is there says
//! nothing. A text never changes, so neither do its trigrams; who asks has found the message in a view.

use std::sync::Arc;

use tern_base::{AccountId, MessageId};

use crate::{Mailboxes, limits};

/// The trigrams of a text, as bits by their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigrams(Box<[u64]>);

impl Trigrams {
    /// Of a text as it is searched: in lower case, with one space for all white space.
    pub fn of(text: &str) -> Self {
        // As many bits as octets: a text has half as many different trigrams, mostly fewer.
        let words = (text.len() / 64).next_power_of_two();
        let mut bits = Self(vec![0; words.clamp(4, limits::MAX_TRIGRAM_WORDS)].into());
        for three in text.as_bytes().windows(3) {
            let (word, bit) = bits.place(three);
            if let Some(word) = bits.0.get_mut(word) {
                *word |= bit;
            }
        }
        bits
    }

    /// Whether a text may have a word in it, of which both are in the same form.
    pub fn may_have(&self, word: &[u8]) -> bool {
        word.windows(3).all(|three| {
            let (word, bit) = self.place(three);
            self.0.get(word).is_some_and(|word| word & bit != 0)
        })
    }

    fn place(&self, three: &[u8]) -> (usize, u64) {
        let number = three
            .iter()
            .fold(0_u32, |number, octet| number << 8 | u32::from(*octet));
        // Fibonacci hashing: the upper bits are the mixed ones.
        let hash = u64::from(number.wrapping_mul(0x9e37_79b1));
        let at = (hash * (self.0.len() as u64 * 64)) >> 32;
        ((at / 64) as usize, 1 << (at % 64))
    }

    /// Bytes that they take, roughly: for the cache's bound.
    pub(crate) fn weight(&self) -> u64 {
        const AROUND: usize = 64;
        (self.0.len() * 8 + AROUND) as u64
    }
}

impl Mailboxes {
    /// The trigrams of a message's text, where they are known.
    pub fn trigrams(&self, account: AccountId, message: MessageId) -> Option<Arc<Trigrams>> {
        self.trigrams.get(&(account, message))
    }

    /// Keeps the trigrams of a message's text, for as long as there is room.
    pub fn keep_trigrams(&self, account: AccountId, message: MessageId, trigrams: Trigrams) {
        self.trigrams.insert((account, message), Arc::new(trigrams));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_text_may_be_and_most_other_things_can_not() {
        let text = "the quick brown fox jumps over the lazy dog ".repeat(40);
        let trigrams = Trigrams::of(&text);
        for word in ["quick", "fox jumps", "o", "", "dog the"] {
            assert!(trigrams.may_have(word.as_bytes()), "{word}");
        }
        for word in ["zebra", "xylophone", "jumped", "foxes"] {
            assert!(!trigrams.may_have(word.as_bytes()), "{word}");
        }
        assert!(!Trigrams::of("").may_have(b"any"));
        assert!(Trigrams::of("äöü").may_have("äö".as_bytes()));
        let long = "0123456789".repeat(1 << 17);
        assert_eq!(Trigrams::of(&long).0.len(), limits::MAX_TRIGRAM_WORDS);
    }
}
