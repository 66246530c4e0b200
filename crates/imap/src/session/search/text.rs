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

    /// Whether the text is in `hay`, which is left in lower case or as it was.
    pub(super) fn is_in(&self, hay: &mut String) -> bool {
        if self.ascii {
            hay.make_ascii_lowercase();
            return self.finder.find(hay.as_bytes()).is_some();
        }
        !hay.is_ascii() && self.finder.find(hay.to_lowercase().as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::Needle;

    #[test]
    fn case_does_not_matter() {
        let check = |needle: &str, hay: &str, expect: bool| {
            let found = Needle::new(needle).is_in(&mut hay.to_owned());
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
