//! In which messages of an account a text stands: what a search asks before it reads them.
//!
//! White space parts a text into words, and what has no white space in it stands in a text exactly
//! where it stands within one of its words. So the words of all messages, each kept once, are looked
//! through instead of the messages; for each there is kept in which messages it is.
//!
//! Invariants: of a message that is known it says what reading the message would say; of others, and
//! of what it cannot answer, it says nothing. What a message says never changes, so what is known of it
//! stays true; who asks has found the message in a view. What is in memory is bounded: what finds
//! no room is not known.
//!
//! Words outlast a restart in rows of blocks of messages ([`row`]), which are made ([`make`]) where somebody
//! searches, and read again ([`load`]) when they search next.

mod follow;
mod load;
mod make;
mod recent;
mod row;
mod text;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memmem;
use roaring::RoaringBitmap;
use tern_base::{AccountId, MessageId, Modseq};

pub use self::load::Loaded;
pub(crate) use self::make::{Wanted, drop_in};
use self::recent::Recent;
pub(crate) use self::row::Covered;
pub(crate) use self::row::Row;
pub use self::text::{Searched, body_text, folded, searched_weight};
use crate::{Mailboxes, limits};

/// The words of the messages of one account, as far as they are known.
#[derive(Default)]
pub struct AccountWords(Mutex<Words>);

/// The two texts of a message, as far as they are at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Texts<'a> {
    /// What lists show of it: its outline.
    pub shown: Option<&'a str>,
    /// Its body.
    pub body: Option<&'a str>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// What lists show.
    Shown,
    /// The body.
    Body,
    /// One or the other.
    Either,
}

/// Where texts stand, in the messages that were known when it was asked.
#[derive(Debug, Default)]
pub struct Finds {
    known: Places,
    found: HashMap<Box<[u8]>, Places>,
}

/// Messages of which it is certain that they do not have a text.
#[derive(Debug, Default)]
pub struct Without(RoaringBitmap);

impl Without {
    /// Those of both.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self(self.0 | &other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self(self.0 & &other.0)
    }

    /// Whether a message is one of them.
    pub fn has(&self, message: MessageId) -> bool {
        id_of(message).is_some_and(|id| self.0.contains(id))
    }
}

/// For either text, the messages of which something is so.
#[derive(Clone, Debug, Default)]
struct Places {
    shown: RoaringBitmap,
    body: RoaringBitmap,
}

/// In which texts of a message something stands, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// What lists show of it.
    pub shown: Option<bool>,
    /// Its body.
    pub body: Option<bool>,
}

impl Finds {
    /// Where in a message a text stands that was asked for.
    pub fn place(&self, message: MessageId, text: &[u8]) -> Place {
        let (Some(id), Some(found)) = (id_of(message), self.found.get(text)) else {
            return Place::default();
        };
        let within = |known: &RoaringBitmap, found: &RoaringBitmap| {
            let is_found = found.contains(id);
            (is_found || known.contains(id)).then_some(is_found)
        };
        Place {
            shown: within(&self.known.shown, &found.shown),
            body: within(&self.known.body, &found.body),
        }
    }

    /// The messages in which a text that was asked for does not stand.
    pub fn without(&self, text: &[u8], within: Within) -> Without {
        let Some(found) = self.found.get(text) else {
            return Without::default();
        };
        let shown = || &self.known.shown - &found.shown;
        let body = || &self.known.body - &found.body;
        Without(match within {
            Within::Shown => shown(),
            Within::Body => body(),
            Within::Either => shown() & body(),
        })
    }
}

/// Bits of the ids that an account gives out before it [begins anew](crate::anew) and skips so many.
const SKIP: u32 = limits::SKIPPED_MESSAGES.trailing_zeros();
/// Bits for how often it did: once for each backup that was put back, and each start that was cut off in the
/// middle of it.
const TIMES: u32 = 5;
/// Bits of an id beside them, with room for one more.
const LOW: u32 = u32::BITS - 1 - TIMES;

/// A message's id as the sets below hold it, with room for one more bit; of one that is larger nothing is
/// known. Ids that follow each other do so there.
fn id_of(message: MessageId) -> Option<u32> {
    let (times, low) = (message.0 >> SKIP, message.0 & ((1 << SKIP) - 1));
    let fits = times < 1 << TIMES && low < 1 << LOW;
    // Both fit, so they are no longer than that.
    fits.then_some((times as u32) << LOW | low as u32)
}

/// Where one word stands.
#[derive(Debug, Default)]
struct Word {
    places: Places,
    /// What is not in the sets yet, in the order in which it came: ids times two, and one more where it
    /// is the body. Sets take many at a time in a fraction of the time.
    fresh: Vec<u32>,
}

/// As many go into the sets at a time.
const FRESH: usize = 128;

impl Word {
    /// Notes places.
    fn note(&mut self, places: &[u32]) {
        self.fresh.extend_from_slice(places);
        if self.fresh.len() >= FRESH {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.fresh.sort_unstable();
        self.fresh.dedup();
        for within in [Within::Shown, Within::Body] {
            let bit = u32::from(within != Within::Shown);
            let of_text = self.fresh.iter().filter(|place| **place & 1 == bit);
            let ids = of_text.map(|place| place >> 1);
            let held = self.places.of(within);
            // Messages are read in order as a rule: then each goes behind the last.
            if held.append(ids.clone()).is_err() {
                held.extend(ids);
            }
        }
        self.fresh = Vec::new();
    }

    /// Adds its places to others.
    fn add_to(&self, found: &mut Places) {
        found.shown |= &self.places.shown;
        found.body |= &self.places.body;
        for place in &self.fresh {
            let within = match place & 1 {
                0 => Within::Shown,
                _ => Within::Body,
            };
            found.of(within).insert(place >> 1);
        }
    }
}

/// Hands on a hash that is one already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Default)]
struct Words {
    known: Places,
    /// Every word, with a line end behind it.
    text: Vec<u8>,
    /// Where each word begins in `text`.
    starts: Vec<u32>,
    /// Where each word stands.
    words: Vec<Word>,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    keys: RandomState,
    /// How many places all words have.
    held: usize,
    /// What was noted last.
    recent: Recent,
    /// Rows that are yet to be read.
    unread: Option<tern_store::Range>,
    /// Up to where the change log was followed.
    followed: Option<Modseq>,
}

impl Places {
    fn of(&mut self, within: Within) -> &mut RoaringBitmap {
        match within {
            Within::Shown => &mut self.shown,
            Within::Body | Within::Either => &mut self.body,
        }
    }
}

impl Words {
    fn weight(&self) -> usize {
        const WORD: usize = size_of::<Word>() + 64;
        const HELD: usize = 2;
        self.text.len() + self.starts.len() * WORD + self.held * HELD + self.recent.weight() + 256
    }

    fn word(&self, number: u32) -> &[u8] {
        let start = self.starts.get(number as usize).map(|at| *at as usize);
        let end = self.starts.get(number as usize + 1);
        let end = end.map_or(self.text.len(), |end| *end as usize);
        let range = start.map(|start| start..end.saturating_sub(1));
        range
            .and_then(|range| self.text.get(range))
            .unwrap_or_default()
    }

    /// Moves what was noted last to the others.
    fn settle(&mut self) {
        let mut recent = std::mem::take(&mut self.recent);
        recent.drain(|hash, word, places| {
            if let Some(word) = self.entry(hash, word) {
                word.note(places);
                self.held += places.len();
            }
        });
    }

    /// Notes where a word stands.
    fn note(&mut self, word: &[u8], places: &[u32]) {
        let hash = self.keys.hash_one(word);
        if let Some(word) = self.entry(hash, word) {
            word.note(places);
            self.held += places.len();
        }
    }

    /// A word of this hash, new where it was not there.
    fn entry(&mut self, hash: u64, word: &[u8]) -> Option<&mut Word> {
        let mut hash = hash;
        // Of two words with one hash, the later one is under the next.
        while let Some(number) = self.by_hash.get(&hash).copied() {
            if self.word(number) == word {
                return self.words.get_mut(number as usize);
            }
            hash = hash.wrapping_add(1);
        }
        let number = u32::try_from(self.starts.len()).ok()?;
        self.starts.push(u32::try_from(self.text.len()).ok()?);
        self.by_hash.insert(hash, number);
        self.text.extend_from_slice(word);
        self.text.push(b'\n');
        self.words.push(Word::default());
        self.words.last_mut()
    }

    fn find(&self, text: &[u8]) -> Places {
        let mut found = Places::default();
        let finder = memmem::Finder::new(text);
        let mut at = 0;
        while let Some(next) = self.text.get(at..).and_then(|rest| finder.find(rest)) {
            let place = at + next;
            let number = self
                .starts
                .partition_point(|start| *start as usize <= place);
            if let Some(word) = number.checked_sub(1).and_then(|n| self.words.get(n)) {
                word.add_to(&mut found);
            }
            let next = self.starts.get(number);
            at = next.map_or(self.text.len(), |start| *start as usize);
        }
        found
    }
}

impl AccountWords {
    /// Looks for texts in the form in which texts were given: those that are not too long, nor too
    /// many, nor hold white space; of others nothing will be known.
    pub fn find<'t>(&self, texts: impl IntoIterator<Item = &'t [u8]>) -> Finds {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !words.recent.is_empty() {
            words.settle();
        }
        let mut finds = Finds {
            known: words.known.clone(),
            found: HashMap::new(),
        };
        if words.starts.is_empty() {
            return finds;
        }
        for text in texts {
            let may_be = (1..=limits::MAX_FIND).contains(&text.len());
            let is_word =
                std::str::from_utf8(text).is_ok_and(|it| !it.contains(char::is_whitespace));
            if finds.found.len() < limits::MAX_FINDS
                && may_be
                && is_word
                && !finds.found.contains_key(text)
            {
                finds.found.insert(text.into(), words.find(text));
            }
        }
        finds
    }

    /// Notes the words of a message, where there is room.
    fn add(&self, message: MessageId, texts: Texts<'_>) {
        let Some(id) = id_of(message) else { return };
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (text, within) in [(texts.shown, Within::Shown), (texts.body, Within::Body)] {
            let Some(text) = text.filter(|text| text.len() <= limits::MAX_WORDS_TEXT) else {
                continue;
            };
            if words.known.of(within).contains(id) || words.weight() > limits::MAX_WORDS_BYTES {
                continue;
            }
            for piece in text::words(text) {
                let bit = u32::from(within != Within::Shown);
                let hash = words.keys.hash_one(piece);
                words.recent.note(hash, piece, id << 1 | bit);
            }
            if words.recent.is_full() {
                words.settle();
            }
            words.known.of(within).insert(id);
        }
    }

    /// Bytes that it takes, roughly: for the cache's bound.
    fn weight(&self) -> u64 {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.weight() as u64
    }
}

/// An account's words, and what they weighed when that was last asked.
#[derive(Clone)]
pub(crate) struct Weighed {
    words: Arc<AccountWords>,
    pub(crate) weight: u64,
}

impl Mailboxes {
    /// The words of an account's messages, as far as they are in memory: [`Mailboxes::load_words`] brings
    /// there what is in rows.
    pub fn words(&self, account: AccountId) -> Arc<AccountWords> {
        let fresh = || {
            let words = Arc::new(AccountWords::of(account));
            let weight = words.weight();
            Ok(Weighed { words, weight })
        };
        let weighed: Result<_, std::convert::Infallible> =
            self.words.get_or_insert_with(&account, fresh);
        let Ok(Weighed { words, .. }) = weighed;
        words
    }

    /// Keeps the words of messages, in the form in which texts will be looked for ([`folded`]). Of those whose
    /// body was read they will be kept for longer ([`Mailboxes::want_words`]).
    pub fn keep_words<'t>(
        &self,
        account: AccountId,
        texts: impl IntoIterator<Item = (MessageId, Texts<'t>)>,
    ) {
        let words = self.words(account);
        for (message, texts) in texts {
            if texts.body.is_some() {
                self.want_words(account, message);
            }
            words.add(message, texts);
        }
        self.weigh(account, words);
    }

    /// What is kept of all accounts has a bound.
    fn weigh(&self, account: AccountId, words: Arc<AccountWords>) {
        let weight = words.weight();
        self.words.insert(account, Weighed { words, weight });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn place(shown: bool, body: bool) -> Place {
        Place {
            shown: Some(shown),
            body: Some(body),
        }
    }

    const UNKNOWN: Place = Place {
        shown: None,
        body: None,
    };

    const fn both<'t>(shown: &'t str, body: &'t str) -> Texts<'t> {
        Texts {
            shown: Some(shown),
            body: Some(body),
        }
    }

    fn kept(messages: &[(u64, &str, &str)]) -> AccountWords {
        let words = AccountWords::default();
        for (id, shown, body) in messages {
            words.add(MessageId(*id), both(shown, body));
        }
        words
    }

    #[test]
    fn what_stands_within_a_word_is_found_in_the_texts_that_have_it() {
        let words = kept(&[
            (7, "lunch on friday", "shall we meet\r\nat  noon, ännchen?"),
            (3, "re: lunch", "noon is fine"),
            (900, "", "meeting notes"),
        ]);
        let asked: [&[u8]; 6] = [b"lunch", b"noon", b"meet", b"e", "änn".as_bytes(), b"none"];
        let finds = words.find(asked);
        for (text, in_7, in_3, in_900) in [
            ("lunch", (true, false), (true, false), (false, false)),
            ("noon", (false, true), (false, true), (false, false)),
            ("meet", (false, true), (false, false), (false, true)),
            ("e", (false, true), (true, true), (false, true)),
            ("änn", (false, true), (false, false), (false, false)),
            ("none", (false, false), (false, false), (false, false)),
        ] {
            for (id, (shown, body)) in [(7, in_7), (3, in_3), (900, in_900)] {
                let found = finds.place(MessageId(id), text.as_bytes());
                assert_eq!(found, place(shown, body), "{text} in {id}");
            }
        }
        assert_eq!(finds.place(MessageId(8), b"noon"), UNKNOWN, "not known");
        assert_eq!(finds.place(MessageId(7), b"friday"), UNKNOWN, "not asked");
    }

    #[test]
    fn what_is_certain_to_lack_a_text_is_told_at_once() {
        let words = kept(&[(1, "one", "two"), (2, "two", "one"), (3, "one", "one")]);
        let shown = Texts {
            shown: Some("none"),
            body: None,
        };
        words.add(MessageId(4), shown);
        let finds = words.find([&b"two"[..], b"three"]);
        let without = |text: &str, within| {
            let without = finds.without(text.as_bytes(), within);
            (1..=5)
                .filter(|id| without.has(MessageId(*id)))
                .collect::<Vec<_>>()
        };
        assert_eq!(without("two", Within::Shown), [1, 3, 4]);
        assert_eq!(without("two", Within::Body), [2, 3]);
        assert_eq!(without("two", Within::Either), [3]);
        assert_eq!(without("three", Within::Either), [1, 2, 3]);
        assert_eq!(without("four", Within::Either), [0; 0]);
        let (two, three) = (
            finds.without(b"two", Within::Either),
            finds.without(b"three", Within::Shown),
        );
        assert!(!two.or(&three).has(MessageId(5)));
        assert_eq!(
            finds.place(MessageId(4), b"two"),
            Place {
                shown: Some(false),
                body: None
            }
        );
    }

    #[test]
    fn what_can_not_be_answered_is_not() {
        let words = kept(&[(1, "one two", "")]);
        let long = "x".repeat(limits::MAX_FIND + 1);
        let finds = words.find([&b"one two"[..], b"", long.as_bytes(), b"two"]);
        for text in ["one two", "", &long] {
            assert_eq!(
                finds.place(MessageId(1), text.as_bytes()),
                UNKNOWN,
                "{text:?}"
            );
        }
        assert_eq!(finds.place(MessageId(1), b"two"), place(true, false));
        let many: Vec<String> = (0..=limits::MAX_FINDS).map(|n| format!("w{n}")).collect();
        let finds = words.find(many.iter().map(String::as_bytes));
        let known = many
            .iter()
            .filter(|text| finds.place(MessageId(1), text.as_bytes()) != UNKNOWN);
        assert_eq!(known.count(), limits::MAX_FINDS);
    }

    #[test]
    fn ids_that_were_skipped_leave_room_for_those_behind_them() {
        let skipped = [0, 1, 8, 31].map(|times| times * limits::SKIPPED_MESSAGES);
        let ids = [1, 63, 64, 1 << 20].map(|id| skipped.map(|skipped| id + skipped));
        let ids: Vec<u64> = ids.into_iter().flatten().collect();
        let texts: Vec<(u64, &str, &str)> = ids.iter().map(|id| (*id, "", "word")).collect();
        let words = kept(&texts);
        for id in &ids {
            let found = words.find([&b"word"[..]]).place(MessageId(*id), b"word");
            assert_eq!(found, place(false, true), "{id}");
        }
        let next = MessageId(65 + limits::SKIPPED_MESSAGES);
        assert_eq!(words.find([&b"word"[..]]).place(next, b"word"), UNKNOWN);
    }

    #[test]
    fn long_words_are_found_wherever_one_looks() {
        let word: String = (0..700_u32)
            .map(|n| char::from(b'a' + (n * n % 26) as u8))
            .collect();
        for length in [1, 63, 64, 65, 128, 129, 191, 192, 193, 700] {
            let word = &word[..length];
            let words = kept(&[(1, "", word)]);
            for size in [1, 2, 63, 64] {
                for text in word.as_bytes().windows(size) {
                    let found = words.find([text]).place(MessageId(1), text);
                    assert_eq!(found, place(false, true), "{size} of {length}");
                }
            }
        }
    }

    #[test]
    fn words_are_found_in_all_messages_however_many_are_noted_between() {
        let words = AccountWords::default();
        let of = |from: u32| (from..from + 5_000).map(|n| format!("w{n}e "));
        for message in 1..=6 {
            let text: String = of(2_500 * message).collect();
            words.add(MessageId(message.into()), both("shown w7e", &text));
        }
        let finds = words.find([&b"w7500e"[..], b"w2500e", b"w17499e", b"w17500e", b"w7e"]);
        for (word, within) in [("w7500e", 2..=3), ("w2500e", 1..=1), ("w17499e", 5..=6)] {
            for message in 1..=6 {
                let found = finds.place(MessageId(message), word.as_bytes());
                assert_eq!(
                    found,
                    place(false, within.contains(&message)),
                    "{word} {message}"
                );
            }
        }
        assert_eq!(finds.place(MessageId(6), b"w17500e"), place(false, true));
        assert_eq!(finds.place(MessageId(4), b"w7e"), place(true, false));
    }

    #[test]
    fn what_finds_no_room_is_not_known() {
        let words = AccountWords::default();
        let long = "word ".repeat(limits::MAX_WORDS_TEXT / 5 + 1);
        words.add(MessageId(1), both("", &long));
        let beyond = MessageId(1 << 37);
        words.add(beyond, both("word", ""));
        words.add(MessageId(2), both("", "word"));
        let finds = words.find([&b"word"[..]]);
        for (message, found) in [
            (
                MessageId(1),
                Place {
                    shown: Some(false),
                    body: None,
                },
            ),
            (beyond, UNKNOWN),
            (MessageId(2), place(false, true)),
        ] {
            assert_eq!(finds.place(message, b"word"), found);
        }
        let mut number = 0_u64;
        while words.0.lock().expect("words").weight() <= limits::MAX_WORDS_BYTES {
            let body: Vec<String> = (0..20_000).map(|n| format!("{:08x}", number + n)).collect();
            number += 20_000;
            let (message, body) = (MessageId(10 + number), body.join(" "));
            words.add(message, both("", &body));
        }
        words.add(MessageId(5), both("word", ""));
        assert_eq!(
            words.find([&b"word"[..]]).place(MessageId(5), b"word"),
            UNKNOWN
        );
        assert!(words.weight() < 2 * limits::MAX_WORDS_BYTES as u64);
    }
}
