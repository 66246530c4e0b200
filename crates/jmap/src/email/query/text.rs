//! Texts to look for (RFC 8621 4.4.1): words and quoted phrases, all of which must be there.
//!
//! Invariant: the time is linear in what is searched, for each word. Case does not matter: ASCII
//! letters alone where the text is ASCII, else as Unicode says. A word is found within a word too.

use memchr::memmem::Finder;
use tern_mailbox::folded;

use crate::error::MethodError;
use crate::limits;

/// What to look for.
#[derive(Clone, Debug)]
pub(crate) struct Words(Vec<Word>);

/// One word, or one phrase.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    finder: Finder<'static>,
    is_phrase: bool,
}

impl Words {
    /// Reads a text: white space parts words, quotes of either kind keep a phrase together, and a
    /// backslash within it stands before a quote or another one.
    pub(crate) fn read(text: &str) -> Result<Self, MethodError> {
        let mut words = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let phrase = match first {
                '"' | '\'' => quoted(rest.get(1..).unwrap_or_default(), first),
                _ => None,
            };
            let (word, behind) = phrase.unwrap_or_else(|| {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(end);
                (word.to_owned(), behind)
            });
            if words.len() >= limits::MAX_WORDS {
                return Err(MethodError::unsupported_filter("too many words"));
            }
            words.extend(Word::new(&word));
            rest = behind.trim_start();
        }
        Ok(Self(words))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Word> {
        self.0.iter()
    }

    /// Whether all of them are in a text.
    pub(crate) fn all_in(&self, hay: &mut Hay) -> bool {
        self.0.iter().all(|word| hay.has(word))
    }
}

/// What stands before a closing quote, and what is behind it; `None` where there is none.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.push(chars.next()?.1),
            c if c == quote => return Some((out, text.get(at + 1..)?)),
            c => out.push(c),
        }
    }
    None
}

impl Word {
    /// `None` where there is nothing to look for.
    fn new(text: &str) -> Option<Self> {
        let text = spaced(text.trim());
        let folded = folded(&text);
        (!folded.is_empty()).then(|| Self {
            finder: Finder::new(folded.as_bytes()).into_owned(),
            is_phrase: folded.contains(' '),
        })
    }

    /// Its folded text.
    pub(crate) fn text(&self) -> &[u8] {
        self.finder.needle()
    }

    /// What of it has no white space within: itself, where it is no phrase.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.text().split(|octet| *octet == b' ')
    }

    pub(crate) const fn is_phrase(&self) -> bool {
        self.is_phrase
    }
}

/// A text with one space for all white space side by side.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_space = false;
    for c in text.chars() {
        let is_space = c.is_whitespace();
        if !is_space {
            out.push(c);
        } else if !after_space {
            out.push(' ');
        }
        after_space = is_space;
    }
    out
}

/// A text in which words are looked for, folded once for all of them.
pub(crate) struct Hay {
    folded: String,
    /// For phrases, which line ends may part.
    spaced: Option<String>,
    /// Octets that were looked through.
    pub(crate) scanned: u64,
}

impl Hay {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            folded: folded(text),
            spaced: None,
            scanned: 0,
        }
    }

    /// Octets that were put in lower case and looked through.
    pub(crate) fn work(&self) -> u64 {
        self.folded.len() as u64 + self.scanned
    }

    /// The whole text in lower case.
    pub(crate) fn folded(&self) -> &str {
        &self.folded
    }

    pub(crate) fn has(&mut self, word: &Word) -> bool {
        self.scanned += self.folded.len() as u64;
        let text = match word.is_phrase {
            true => self.spaced.get_or_insert_with(|| spaced(&self.folded)),
            false => &self.folded,
        };
        word.finder.find(text.as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let words = Words::read(text).expect("words");
        let text = |word: &Word| String::from_utf8_lossy(word.text()).into_owned();
        words.iter().map(text).collect()
    }

    #[test]
    fn texts_are_words_and_phrases() {
        assert_eq!(words(" One  two "), ["one", "two"]);
        assert_eq!(
            words(r#""One  two" 'a "b"' "c\"d""#),
            ["one two", "a \"b\"", "c\"d"]
        );
        assert_eq!(words("don't \"open"), ["don't", "\"open"]);
        assert_eq!(words("\"\" ''"), [""; 0]);
        assert_eq!(words("ÄRGER"), ["ärger"]);
        let many = "w ".repeat(limits::MAX_WORDS + 1);
        let error = Words::read(&many).expect_err("too many");
        assert_eq!(error.kind(), "unsupportedFilter");
    }

    #[test]
    fn all_words_must_be_there_and_phrases_cross_lines() {
        let has = |text: &str, hay: &str| {
            let words = Words::read(text).expect("words");
            words.all_in(&mut Hay::new(hay))
        };
        assert!(has("TWO one", "One, twofold"));
        assert!(!has("one three", "one two"));
        assert!(has("\"one two\"", "say one\r\n  Two"));
        assert!(!has("\"two one\"", "one two"));
        assert!(has("straße", "In der STRAßE"));
        assert!(has("", ""));
    }
}
