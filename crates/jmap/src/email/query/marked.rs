//! A text with what was found in it between `<mark>` and `</mark>`, as HTML (RFC 8621 5).
//!
//! Invariant: what a text holds is escaped: of tags, there are only those marks, always both.

use std::ops::Range;

use memchr::memmem;

use super::text::Word;

/// A text in which finds are marked: white space is one space.
pub(crate) struct Text {
    shown: String,
    /// The same in lower case, as words are looked for.
    folded: String,
    /// For each octet of `folded`, the one of `shown` at which its character begins.
    origins: Vec<u32>,
}

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        let mut out = Self {
            shown: String::with_capacity(text.len()),
            folded: String::with_capacity(text.len()),
            origins: Vec::with_capacity(text.len()),
        };
        for word in text.split_whitespace() {
            if !out.shown.is_empty() {
                out.push(' ');
            }
            word.chars().for_each(|c| out.push(c));
        }
        out
    }

    fn push(&mut self, c: char) {
        let origin = u32::try_from(self.shown.len()).unwrap_or(u32::MAX);
        self.shown.push(c);
        self.folded.extend(c.to_lowercase());
        self.origins.resize(self.folded.len(), origin);
    }

    /// Where a place in the folded text is in the shown one.
    fn origin(&self, at: usize) -> usize {
        let origin = self.origins.get(at);
        origin.map_or(self.shown.len(), |origin| *origin as usize)
    }

    /// The folded text from one place to another one of the shown text, and where it begins there.
    fn folded_between(&self, start: usize, end: usize) -> (usize, &[u8]) {
        let at = |place: usize| {
            self.origins
                .partition_point(|origin| (*origin as usize) < place)
        };
        let (start, end) = (at(start), at(end));
        let folded = self.folded.as_bytes().get(start..end);
        (start, folded.unwrap_or_default())
    }

    /// Where the first of words is.
    fn first(&self, words: &[&Word]) -> Option<usize> {
        let folded = self.folded.as_bytes();
        let mut first = None;
        for word in words {
            // Nothing behind the first so far is looked at.
            let most = first.map_or(folded.len(), |first| {
                folded.len().min(first + word.text().len())
            });
            let before = folded.get(..most).unwrap_or_default();
            first = memmem::find(before, word.text()).or(first);
        }
        first.map(|first| self.origin(first))
    }

    /// Where words are that begin between two places, in order, each place once: what touches is one.
    fn finds(&self, words: &[&Word], start: usize, end: usize) -> Vec<Range<usize>> {
        let mut all: Vec<Range<usize>> = Vec::new();
        for word in words {
            let end = end.saturating_add(word.text().len());
            let (before, folded) = self.folded_between(start, end);
            let finds = memmem::find_iter(folded, word.text()).map(|at| {
                let (first, last) = (before + at, before + at + word.text().len() - 1);
                // To the end of the last character that is found.
                self.origin(first)..self.shown.ceil_char_boundary(self.origin(last) + 1)
            });
            all.extend(joined(finds));
            all.sort_unstable_by_key(|find| (find.start, find.end));
            all = joined(all.into_iter());
        }
        all
    }
}

/// Finds in order, those that touch as one.
fn joined(finds: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for find in finds {
        match joined.last_mut() {
            Some(last) if find.start <= last.end => last.end = last.end.max(find.end),
            _ => joined.push(find),
        }
    }
    joined
}

const OPEN: &str = "<mark>";
const CLOSE: &str = "</mark>";

/// The whole text; `None` where none of the words is in it.
pub(crate) fn whole(text: &Text, words: &[&Word]) -> Option<String> {
    written(text, words, 0..usize::MAX, usize::MAX)
}

/// A part of the text with the first find, at most so many octets; `None` where there is none.
pub(crate) fn part(text: &Text, words: &[&Word], max: usize) -> Option<String> {
    /// Octets of text before the first find.
    const BEFORE: usize = 60;
    let first = text.first(words)?;
    let start = text.shown.floor_char_boundary(first.saturating_sub(BEFORE));
    // From the start of a word, where one is near.
    let before = text.shown.get(start..first).unwrap_or_default();
    let space = before.find(' ').filter(|_| start > 0);
    let start = start + space.map_or(0, |space| space + 1);
    // What begins behind what can be shown is not looked for, but for the first.
    let end = start.saturating_add(max).max(first + 1);
    written(text, words, start..end, max)
}

/// So many octets of a text, with the finds that begin within a range marked.
fn written(text: &Text, words: &[&Word], within: Range<usize>, max: usize) -> Option<String> {
    let start = within.start;
    let finds = text.finds(words, start, within.end);
    let mut finds = finds
        .iter()
        .skip_while(|find| find.start < start)
        .peekable();
    finds.peek()?;
    let (mut out, mut is_open) = (String::new(), false);
    for (at, c) in text.shown.get(start..)?.char_indices() {
        let at = start + at;
        if is_open && finds.peek().is_some_and(|find| find.end <= at) {
            out.push_str(CLOSE);
            finds.next();
            is_open = false;
        }
        let opens = !is_open && finds.peek().is_some_and(|find| find.start <= at);
        let mut piece = [0; 4];
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            c => c.encode_utf8(&mut piece),
        };
        let marks = match (opens, is_open) {
            (true, _) => OPEN.len() + CLOSE.len(),
            (false, true) => CLOSE.len(),
            (false, false) => 0,
        };
        if out.len() + piece.len() + marks > max {
            break;
        }
        if opens {
            out.push_str(OPEN);
            is_open = true;
        }
        out.push_str(piece);
    }
    if is_open {
        out.push_str(CLOSE);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::text::Words;
    use super::*;

    fn mark(words: &str, text: &str, max: Option<usize>) -> Option<String> {
        let words = Words::read(words).expect("words");
        let words: Vec<&Word> = words.iter().collect();
        let text = Text::new(text);
        match max {
            None => whole(&text, &words),
            Some(max) => part(&text, &words, max),
        }
    }

    fn all(words: &str, text: &str) -> Option<String> {
        mark(words, text, None)
    }

    #[test]
    fn finds_are_marked_and_all_else_is_escaped() {
        assert_eq!(
            all("cat", "A Cat & a <cat>").as_deref(),
            Some("A <mark>Cat</mark> &amp; a &lt;<mark>cat</mark>&gt;")
        );
        assert_eq!(all("dog", "A cat"), None);
        assert_eq!(all("", "A cat"), None);
        assert_eq!(all("ab bc", "xabcx").as_deref(), Some("x<mark>abc</mark>x"));
        assert_eq!(
            all("\"one two\"", "one\r\n two").as_deref(),
            Some("<mark>one two</mark>")
        );
        assert_eq!(
            all("ÄRGER", "İ kein ärger").as_deref(),
            Some("İ kein <mark>ärger</mark>")
        );
        assert_eq!(all("i", "xİx").as_deref(), Some("x<mark>İ</mark>x"));
    }

    #[test]
    fn a_part_has_the_first_find_and_is_never_longer_than_it_may_be() {
        let text = format!("{} needle <&> {}", "word ".repeat(100), "tail ".repeat(100));
        let found = mark("needle tail", &text, Some(255)).expect("a find");
        assert!(found.len() <= 255 && found.starts_with("word "), "{found}");
        assert!(found.contains("<mark>needle</mark> &lt;&amp;&gt; <mark>tail</mark>"));
        for max in 0..80 {
            let cut = mark("äääää", "x äääääöö", Some(max)).expect("a find");
            assert!(cut.len() <= max);
            assert_eq!(cut.matches(OPEN).count(), cut.matches(CLOSE).count());
        }
    }
}
