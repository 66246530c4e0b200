//! The row of a block of messages: every word of their texts once, in order, with where it stands.
//!
//! A word shares its beginning with the one before it. Behind it a byte for each place: the message
//! within the block, whether it is the body, and whether more follow.
//!
//! Invariants: it is made of content alone and may go at any time. Which messages it speaks of stands in
//! front in every version, so that it can be proved that it speaks of none that is gone. A row that is not
//! as it was written is damage, found before anything of it is used.

use tern_base::codec::{Damaged, Reader, Writer};

use super::Within;
use super::text::words;
use crate::limits;
use crate::slots::Slots;

/// The way in which words are made and laid out: see [`super::text`].
const VERSION: u8 = 1;
/// Another place follows.
const MORE: u8 = 0x80;

/// Which messages a row speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    /// All that were there when it was made.
    pub(crate) there: Slots,
    /// Those of which it has the words of what lists show.
    pub(crate) shown: Slots,
    /// Those of which it has the words of the body.
    pub(crate) body: Slots,
}

impl Covered {
    /// What a row says of that, whatever version it is.
    pub(crate) fn of(row: &[u8]) -> Result<Self, Damaged> {
        Self::read(&mut Reader::versioned(row)?.1)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut slots = || r.array().map(Slots::from_octets);
        let all = Self {
            there: slots()?,
            shown: slots()?,
            body: slots()?,
        };
        match all.there.holds(all.shown.with(all.body)) {
            true => Ok(all),
            false => Err(Damaged),
        }
    }

    fn write(self, w: &mut Writer) {
        for slots in [self.there, self.shown, self.body] {
            w.array(&slots.octets());
        }
    }

    pub(super) const fn known(&self, within: Within) -> Slots {
        match within {
            Within::Shown => self.shown,
            Within::Body | Within::Either => self.body,
        }
    }

    const fn known_mut(&mut self, within: Within) -> &mut Slots {
        match within {
            Within::Shown => &mut self.shown,
            Within::Body | Within::Either => &mut self.body,
        }
    }
}

/// Where a word stands, as a row has it: one message, and which of its texts.
pub(super) const fn place(slot: Slots, within: Within) -> u8 {
    (slot.number() as u8) << 1 | !matches!(within, Within::Shown) as u8
}

/// A row that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) covered: Covered,
    /// Every word, one behind the other.
    text: Vec<u8>,
    places: Vec<u8>,
    /// Where each word, and where its places, end.
    ends: Vec<(u32, u32)>,
}

impl Row {
    /// Reads a row. One of another version is damage, too: it is made anew.
    pub(crate) fn decode(row: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(row, VERSION)?;
        let covered = Covered::read(&mut r)?;
        let mut out = Self {
            covered,
            ..Self::default()
        };
        let mut last = 0..0;
        for _ in 0..r.number()? {
            let shared = usize::from(r.byte()?);
            let end = last.start + shared;
            if shared > last.len() {
                return Err(Damaged);
            }
            let start = out.text.len();
            out.text.extend_from_within(last.start..end);
            out.text.extend_from_slice(r.bytes()?);
            last = start..out.text.len();
            // What is looked through has a line end behind each.
            if last.is_empty()
                || out
                    .text
                    .get(last.clone())
                    .is_none_or(|it| it.contains(&b'\n'))
            {
                return Err(Damaged);
            }
            out.read_places(&mut r)?;
            out.ends
                .push((out.text.len() as u32, out.places.len() as u32));
        }
        match r.is_empty() {
            true => Ok(out),
            false => Err(Damaged),
        }
    }

    /// Whether a row was made in another way than now.
    pub(crate) fn is_of_other_version(row: &[u8]) -> bool {
        row.first().is_some_and(|version| *version != VERSION)
    }

    fn read_places(&mut self, r: &mut Reader<'_>) -> Result<(), Damaged> {
        loop {
            let byte = r.byte()?;
            let place = byte & !MORE;
            let within = match place & 1 {
                0 => Within::Shown,
                _ => Within::Body,
            };
            if !self.covered.known(within).has(place >> 1) {
                return Err(Damaged);
            }
            self.places.push(place);
            if byte & MORE == 0 {
                return Ok(());
            }
        }
    }

    /// Every word with its places.
    pub(super) fn each(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = (0, 0);
        self.ends.iter().map(move |&(text, places)| {
            let word = self.text.get(start.0 as usize..text as usize);
            let at = self.places.get(start.1 as usize..places as usize);
            start = (text, places);
            (word.unwrap_or_default(), at.unwrap_or_default())
        })
    }
}

/// The words of one text of a message.
struct Part {
    slot: Slots,
    within: Within,
    words: Vec<Box<[u8]>>,
    weight: usize,
}

/// A row that is being made.
#[derive(Default)]
pub(super) struct Making {
    there: Slots,
    parts: Vec<Part>,
}

impl Making {
    /// Adds a text of a message; one with too many words is not known.
    pub(super) fn add(&mut self, slot: Slots, within: Within, text: &str) {
        if text.len() > limits::MAX_WORDS_TEXT {
            return;
        }
        let mut all: Vec<&[u8]> = words(text).collect();
        all.sort_unstable();
        all.dedup();
        let weight = all.iter().map(|word| word.len() + 2).sum();
        if weight <= limits::MAX_WORDS_ROW {
            self.parts.push(Part {
                slot,
                within,
                words: all.into_iter().map(Box::from).collect(),
                weight,
            });
        }
    }

    /// Says that a message is there.
    pub(super) fn cover(&mut self, slot: Slots) {
        self.there = self.there.with(slot);
    }

    /// The row. What does not fit is not known: the texts with most words.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.parts.sort_by_key(|part| part.weight);
        loop {
            let row = self.encode();
            let mut excess = row.len().saturating_sub(limits::MAX_WORDS_ROW);
            if excess == 0 {
                return row;
            }
            while excess > 0 {
                let Some(part) = self.parts.pop() else { break };
                excess = excess.saturating_sub(part.weight.max(1));
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut covered = Covered {
            there: self.there,
            ..Covered::default()
        };
        let mut all = Vec::new();
        for part in &self.parts {
            let known = covered.known_mut(part.within);
            *known = known.with(part.slot);
            let at = place(part.slot, part.within);
            all.extend(part.words.iter().map(|word| (&**word, at)));
        }
        all.sort_unstable();
        let mut w = Writer::versioned(VERSION);
        covered.write(&mut w);
        let by_word = || all.chunk_by(|(a, _), (b, _)| a == b);
        w.number(by_word().count() as u64);
        let mut last: &[u8] = &[];
        for (word, places) in by_word().filter_map(|all| Some((all.first()?.0, all))) {
            let shared = last.iter().zip(word).take_while(|(a, b)| a == b).count();
            let shared = shared.min(u8::MAX.into());
            w.byte(shared as u8)
                .bytes(word.get(shared..).unwrap_or_default());
            for (number, (_, at)) in places.iter().enumerate() {
                let is_last = number + 1 == places.len();
                w.byte(if is_last { *at } else { at | MORE });
            }
            last = word;
        }
        w.finish()
    }
}

#[cfg(test)]
mod tests {
    use tern_base::MessageId;

    use super::*;

    fn slot(id: u64) -> Slots {
        Slots::of(MessageId(id))
    }

    fn made(texts: &[(u64, Within, &str)]) -> Vec<u8> {
        let mut making = Making::default();
        for (id, within, text) in texts {
            making.cover(slot(*id));
            making.add(slot(*id), *within, text);
        }
        making.finish()
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let long = "y".repeat(limits::MAX_FIND * 3 + 1);
        let row = made(&[
            (0, Within::Shown, "lunch on friday"),
            (0, Within::Body, "shall we lunch? lunch"),
            (63, Within::Body, "lunches"),
            (5, Within::Shown, &long),
            (7, Within::Body, ""),
        ]);
        let read = Row::decode(&row).expect("a row");
        let all: Vec<(&[u8], &[u8])> = read.each().collect();
        let at = |id, within| place(slot(id), within);
        let (shown, body) = (at(0, Within::Shown), at(0, Within::Body));
        let piece = "y".repeat(2 * limits::MAX_FIND);
        let rest = "y".repeat(limits::MAX_FIND + 1);
        let expected: [(&[u8], &[u8]); 9] = [
            (b"friday", &[shown]),
            (b"lunch", &[shown, body]),
            (b"lunch?", &[body]),
            (b"lunches", &[at(63, Within::Body)]),
            (b"on", &[shown]),
            (b"shall", &[body]),
            (b"we", &[body]),
            (rest.as_bytes(), &[at(5, Within::Shown)]),
            (piece.as_bytes(), &[at(5, Within::Shown)]),
        ];
        assert_eq!(all, expected);
        let covered = Covered::of(&row).expect("a row");
        assert_eq!(covered, read.covered);
        assert_eq!(
            covered.there,
            slot(0).with(slot(63)).with(slot(5)).with(slot(7))
        );
        assert_eq!(covered.shown, slot(0).with(slot(5)));
        assert_eq!(covered.body, slot(0).with(slot(63)).with(slot(7)));
    }

    #[test]
    fn what_does_not_fit_is_not_known_and_the_rest_is() {
        let many = |from: usize, count: usize| -> String {
            (from..from + count).map(|n| format!("{n:09} ")).collect()
        };
        let small: Vec<String> = (0..60).map(|n| many(n * 100_000, 80)).collect();
        let large = many(7_000_000, 6_000);
        let mut texts: Vec<(u64, Within, &str)> = Vec::new();
        texts.push((61, Within::Body, &large));
        texts.extend(
            (0..)
                .zip(&small)
                .map(|(n, text)| (n, Within::Body, text.as_str())),
        );
        let huge = many(8_000_000, limits::MAX_WORDS_TEXT / 10 + 1);
        texts.push((62, Within::Body, &huge));
        let row = made(&texts);
        assert!(row.len() <= limits::MAX_WORDS_ROW);
        let read = Row::decode(&row).expect("a row");
        assert!(read.covered.there.has(61) && read.covered.there.has(62));
        assert!(!read.covered.body.has(61) && !read.covered.body.has(62));
        assert!((0..60).all(|n| read.covered.body.has(n)));
        assert_eq!(read.each().count(), 60 * 80);
    }

    #[test]
    fn what_is_not_as_it_was_written_is_damage() {
        let row = made(&[(3, Within::Body, "one once"), (4, Within::Shown, "two")]);
        assert!(Row::decode(&row).is_ok());
        // Another version, and a row that ends too early.
        let mut other = row.clone();
        other[0] += 1;
        assert_eq!(Row::decode(&other), Err(Damaged));
        assert_eq!(Covered::of(&other), Covered::of(&row));
        for end in 0..row.len() {
            assert_eq!(Row::decode(&row[..end]), Err(Damaged), "{end}");
        }
        // A place in a text of which it does not know the words, a line end within a word.
        for (from, to) in [
            (b'o', b'\n'),
            (3 << 1 | 1, 9 << 1 | 1),
            (4 << 1, 4 << 1 | 1),
        ] {
            let mut wrong = row.clone();
            let at = 26
                + wrong[26..]
                    .iter()
                    .position(|byte| *byte == from)
                    .expect("it is there");
            wrong[at] = to;
            assert_eq!(Row::decode(&wrong), Err(Damaged), "{from} {to}");
        }
    }

    #[test]
    fn no_row_makes_a_reader_panic() {
        let row = made(&[
            (3, Within::Body, "one once onerous"),
            (9, Within::Shown, "two"),
        ]);
        for at in 0..row.len() {
            for byte in 0..=u8::MAX {
                let mut wrong = row.clone();
                wrong[at] = byte;
                if let Ok(read) = Row::decode(&wrong) {
                    let known = |at: &u8| match at & 1 {
                        0 => read.covered.shown.has(at >> 1),
                        _ => read.covered.body.has(at >> 1),
                    };
                    assert!(
                        read.each()
                            .all(|(word, places)| !word.is_empty() && places.iter().all(known))
                    );
                }
            }
        }
    }
}
