//! Finding a text in a text, whatever the letters' case.
//!
//! Invariant: the time is linear in what is searched. Texts are compared in lower case: ASCII
//! alone where the needle is ASCII, else as Unicode says.

use memchr::memmem::Finder;

/// A text to find.
pub(super) struct Needle {
    finder: Finder<'static>,
    ascii: bool,
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        let lower = text.to_lowercase();
        Self {
            finder: Finder::new(lower.as_bytes()).into_owned(),
            ascii: text.is_ascii(),
        }
    }

    /// Whether it is the empty text, which is found everywhere.
    pub(super) fn is_empty(&self) -> bool {
        self.finder.needle().is_empty()
    }
}

/// A text in which needles are looked for, folded once for all of them.
pub(super) struct Hay {
    /// With ASCII letters in lower case.
    ascii: String,
    /// With all letters in lower case, once a needle asked for it.
    unicode: Option<String>,
}

impl Hay {
    pub(super) fn new(mut text: String) -> Self {
        text.make_ascii_lowercase();
        Self {
            ascii: text,
            unicode: None,
        }
    }

    /// Octets that a look for one needle passes over.
    pub(super) fn len(&self) -> u64 {
        self.ascii.len() as u64
    }

    /// Whether the text has the needle.
    pub(super) fn has(&mut self, needle: &Needle) -> bool {
        if needle.ascii {
            return needle.finder.find(self.ascii.as_bytes()).is_some();
        }
        if self.unicode.is_none() && self.ascii.is_ascii() {
            return false;
        }
        let folded = self
            .unicode
            .get_or_insert_with(|| self.ascii.to_lowercase());
        needle.finder.find(folded.as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Hay, Needle};

    #[test]
    fn case_does_not_matter() {
        let check = |needle: &str, hay: &str, expect: bool| {
            let found = Hay::new(hay.to_owned()).has(&Needle::new(needle));
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
    }
}
