//! Finding a text in a text, whatever the letters' case.
//!
//! Invariant: the time is linear in what is searched. Texts are compared as the words of an account are
//! ([`folded`]), so that either says the same.

use memchr::memmem::Finder;
use tern_base::MessageId;
use tern_mailbox::{Finds, folded};

/// A text to find.
pub(super) struct Needle(Finder<'static>);

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        Self(Finder::new(folded(text).as_bytes()).into_owned())
    }

    /// Whether it is the empty text, which is found everywhere.
    pub(super) fn is_empty(&self) -> bool {
        self.0.needle().is_empty()
    }

    /// What of it has no white space within: itself, where there is none.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        // It was a text before.
        let text = std::str::from_utf8(self.0.needle()).unwrap_or_default();
        text.split_whitespace().map(str::as_bytes)
    }

    /// Whether the body of a message has it, where that is known without reading. Of a text with white space
    /// it is known only that it can't be there.
    pub(super) fn is_known_in_body(&self, message: MessageId, finds: &Finds) -> Option<bool> {
        let mut is_whole = false;
        for piece in self.pieces() {
            is_whole = piece.len() == self.0.needle().len();
            match finds.place(message, piece).body {
                Some(false) => return Some(false),
                Some(true) => {}
                None => is_whole = false,
            }
        }
        is_whole.then_some(true)
    }
}

/// A text in which needles are looked for, folded once for all of them.
pub(super) struct Hay(String);

impl Hay {
    pub(super) fn new(text: &str) -> Self {
        Self(folded(text))
    }

    /// Octets that a look for one needle passes over.
    pub(super) const fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether the text has the needle.
    pub(super) fn has(&self, needle: &Needle) -> bool {
        needle.0.find(self.0.as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Hay, Needle};

    #[test]
    fn case_does_not_matter() {
        let check = |needle: &str, hay: &str, expect: bool| {
            let found = Hay::new(hay).has(&Needle::new(needle));
            assert_eq!(found, expect, "{needle} in {hay}");
        };
        check("hello", "Say HeLLo", true);
        check("HELLO", "say hello", true);
        check("straße", "In der STRAßE", true);
        check("ÄRGER", "kein ärger", true);
        check("ärger", "kein arger", false);
        check("", "", true);
        check("x", "", false);
        check("ПРИВЕТ", "привет", true);
        check("5 kelvin", "bei 5 \u{212a}elvin", true);
    }
}
