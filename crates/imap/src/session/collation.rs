//! The order of texts: i;unicode-casemap (RFC 5051), which SORT and THREAD ask for (RFC 5256 2.1).
//!
//! Invariant: what it gives for two texts is in the order of its octets, and the same where the
//! texts differ in case, or in how their letters are composed. It is cut where it is an order, never where
//! texts are the same or not, and names no language: there is no order but this one.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use unicode_normalization::UnicodeNormalization as _;

use crate::limits::MAX_ORDERED_TEXT;

/// What a text is compared by, at most [`MAX_ORDERED_TEXT`] octets of it.
///
/// Letters are made large, not small: what stands between the two in ASCII, such as `_` and `[`,
/// comes after all of them.
pub(super) fn collated(text: &str) -> String {
    let mut out = String::new();
    for letter in letters(text) {
        if out.len() + letter.len_utf8() > MAX_ORDERED_TEXT {
            break;
        }
        out.push(letter);
    }
    out
}

/// A digest of the whole text, the same where it compares as equal; `None` of an empty one. Who makes two
/// subjects have one digest joins threads that one subject had joined.
pub(super) fn same_text(text: &str) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    letters(text).for_each(|letter| letter.hash(&mut hasher));
    (!text.is_empty()).then(|| hasher.finish())
}

/// RFC 5051 2: to one case, and then into parts.
fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_uppercase).nfkd()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_before_what_stands_between_the_cases() {
        let mut texts = ["_", "C", "[xyz]", "a", "b", "", "1"];
        texts.sort_by_key(|text| collated(text));
        assert_eq!(texts, ["", "1", "a", "b", "C", "[xyz]", "_"]);
    }

    #[test]
    fn how_a_letter_is_composed_makes_no_difference() {
        assert_eq!(collated("\u{e9}cole"), collated("E\u{301}COLE"));
        assert_eq!(collated("ﬁ"), collated("FI"));
        assert!(collated("école") < collated("zoo"));
    }

    #[test]
    fn what_is_the_same_is_so_to_its_end() {
        assert_eq!(same_text("\u{e9}cole"), same_text("E\u{301}COLE"));
        assert_eq!(same_text(""), None);
        let long = "日".repeat(MAX_ORDERED_TEXT);
        assert_ne!(
            same_text(&format!("{long}1")),
            same_text(&format!("{long}2"))
        );
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let cut = collated(&"日".repeat(MAX_ORDERED_TEXT));
        assert_eq!(cut.len(), MAX_ORDERED_TEXT / 3 * 3);
    }
}
