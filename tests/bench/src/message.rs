//! Messages that look like mail, from a seed.
//!
//! Invariant: the same seed gives the same bytes; lines end in CRLF, are shorter than 998 bytes and
//! never begin with a dot (so SMTP needs no stuffing); every stamped message is unique, so a server
//! that stores equal content once gains nothing by it. Half are plain text, a third have an HTML
//! alternative, the rest an attachment.

use base64::Engine as _;

/// SplitMix64: small, seeded, good enough to vary mail.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream that depends on nothing but the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// How many words there are.
const VOCABULARY: u64 = 5_000;
const SYLLABLES: [&str; 24] = [
    "ba", "cor", "da", "el", "fi", "gran", "ha", "in", "jo", "ka", "lum", "mer", "no", "or", "pel",
    "qui", "ra", "sto", "ti", "ur", "ven", "wa", "xi", "zo",
];

/// Word number `n`: the same in every run, so that searches have known needles.
pub(crate) fn word(n: u64) -> String {
    let at = |k: u64| {
        SYLLABLES
            .get((k % 24) as usize)
            .copied()
            .unwrap_or_default()
    };
    match n {
        0..24 => at(n).to_owned(),
        24..576 => format!("{}{}", at(n), at(n / 24)),
        _ => format!("{}{}{}", at(n), at(n / 24), at(n / 576)),
    }
}

/// Common words often, rare ones seldom (log-uniform over ranks, near Zipf's law).
fn some_word(random: &mut Random) -> String {
    let unit = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
    word((VOCABULARY as f64).powf(unit) as u64)
}

/// Sentences in lines of at most 76 bytes, about `size` bytes in all.
fn prose(random: &mut Random, size: usize, out: &mut String) {
    let end = out.len() + size;
    let mut column = 0;
    while out.len() < end {
        let word = some_word(random);
        if column + word.len() > 74 {
            out.push_str("\r\n");
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        column += word.len();
        out.push_str(&word);
        if random.below(12) == 0 {
            out.push('.');
            column += 1;
        }
    }
    out.push_str("\r\n");
}

/// Base64 lines of random bytes, about `size` bytes in all.
fn attachment(random: &mut Random, size: usize, out: &mut String) {
    for _ in 0..size.div_ceil(78).max(1) {
        let mut raw = [0_u8; 57];
        for chunk in raw.chunks_mut(8) {
            let bits = random.next().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(bits) {
                *to = from;
            }
        }
        base64::engine::general_purpose::STANDARD.encode_string(raw, out);
        out.push_str("\r\n");
    }
}

/// The digits of the stamp in Message-ID.
const STAMP_LEN: usize = 32;

/// One message and where its stamp stands.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The whole message, CRLF at its end.
    pub(crate) bytes: Vec<u8>,
    stamp_at: usize,
}

impl Message {
    /// A message of about `size` bytes (never less than its header needs).
    pub(crate) fn new(random: &mut Random, size: usize) -> Self {
        let mut text = String::with_capacity(size + 512);
        let from = random.below(1_000);
        let day = random.below(28) + 1;
        let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
        text.push_str(&format!(
            "From: {} {} <person{from}@example.net>\r\nTo: <list@example.org>\r\nSubject: ",
            some_word(random),
            some_word(random)
        ));
        let words: Vec<String> = (0..3 + random.below(5))
            .map(|_| some_word(random))
            .collect();
        text.push_str(&words.join(" "));
        text.push_str(&format!(
            "\r\nDate: {day} Oct 2026 {hour:02}:{minute:02}:{second:02} +0000\r\nMessage-ID: <"
        ));
        let stamp_at = text.len();
        text.push_str(&"0".repeat(STAMP_LEN));
        text.push_str("@bench.example.net>\r\nMIME-Version: 1.0\r\n");
        match random.below(20) {
            0..10 => plain(random, size, &mut text),
            10..17 => alternative(random, size, &mut text),
            _ => mixed(random, size, &mut text),
        }
        Self {
            bytes: text.into_bytes(),
            stamp_at,
        }
    }

    /// Makes this copy unique: `run` and `number` become the Message-ID's local part.
    pub(crate) fn stamp(&mut self, run: u64, number: u64) {
        let digits = self.bytes.iter_mut().skip(self.stamp_at).take(STAMP_LEN);
        for (position, digit) in digits.enumerate() {
            let (word, shift) = if position < 16 {
                (run, position)
            } else {
                (number, position - 16)
            };
            let nibble = (word >> (60 - 4 * shift)) & 15;
            *digit = b"0123456789abcdef"
                .get(nibble as usize)
                .copied()
                .unwrap_or(b'0');
        }
    }

    /// The Message-ID with its angle brackets.
    pub(crate) fn id(&self) -> String {
        let digits = self
            .bytes
            .get(self.stamp_at..self.stamp_at + STAMP_LEN)
            .unwrap_or_default();
        format!("<{}@bench.example.net>", String::from_utf8_lossy(digits))
    }
}

fn plain(random: &mut Random, size: usize, text: &mut String) {
    text.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\n");
    prose(random, size.saturating_sub(text.len() + 2), text);
}

fn alternative(random: &mut Random, size: usize, text: &mut String) {
    text.push_str("Content-Type: multipart/alternative; boundary=\"=_alt\"\r\n\r\n--=_alt\r\n");
    text.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\n");
    let left = size.saturating_sub(text.len() + 120);
    prose(random, left / 2, text);
    text.push_str("--=_alt\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>\r\n");
    prose(random, left / 2, text);
    text.push_str("</p></body></html>\r\n--=_alt--\r\n");
}

fn mixed(random: &mut Random, size: usize, text: &mut String) {
    text.push_str("Content-Type: multipart/mixed; boundary=\"=_mix\"\r\n\r\n--=_mix\r\n");
    text.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\n");
    let left = size.saturating_sub(text.len() + 200);
    prose(random, left / 3, text);
    text.push_str(&format!(
        "--=_mix\r\nContent-Type: application/octet-stream; name=\"{0}.bin\"\r\n\
         Content-Disposition: attachment; filename=\"{0}.bin\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n",
        some_word(random)
    ));
    attachment(random, left * 2 / 3, text);
    text.push_str("--=_mix--\r\n");
}

/// Different messages made before the clock starts.
pub(crate) fn pool(seed: u64, count: usize, size: usize) -> Vec<Message> {
    let mut random = Random::new(seed);
    (0..count)
        .map(|_| Message::new(&mut random, size))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_promises() {
        for (seed, message) in pool(1, 300, 4096).into_iter().enumerate() {
            let text = String::from_utf8(message.bytes).unwrap();
            assert!(
                (3_800..4_400).contains(&text.len()),
                "{seed}: {} bytes",
                text.len()
            );
            assert!(text.ends_with("\r\n"));
            assert!(!text.contains("\n."), "{seed}: a line begins with a dot");
            assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
            assert!(text.lines().all(|line| line.len() < 200));
        }
    }

    #[test]
    fn one_seed_one_message_and_every_kind_occurs() {
        let (a, b) = (pool(7, 60, 2048), pool(7, 60, 2048));
        assert!(a.iter().zip(&b).all(|(a, b)| a.bytes == b.bytes));
        assert_ne!(a[0].bytes, a[1].bytes);
        for kind in ["\ntext/plain", "multipart/alternative", "multipart/mixed"] {
            let kind = kind.trim_start();
            assert!(
                a.iter()
                    .any(|m| String::from_utf8_lossy(&m.bytes).contains(kind)),
                "{kind}"
            );
        }
    }

    #[test]
    fn stamps_make_unique_ids_and_change_nothing_else() {
        let mut message = pool(3, 1, 1024).remove(0);
        let length = message.bytes.len();
        message.stamp(1, 0xabc);
        assert_eq!(
            message.id(),
            "<00000000000000010000000000000abc@bench.example.net>"
        );
        message.stamp(1, 0xabd);
        assert!(message.id().contains("0abd@"));
        assert_eq!(message.bytes.len(), length);
    }

    #[test]
    fn the_needles_are_distinct_words() {
        let all: std::collections::HashSet<String> = (0..VOCABULARY).map(word).collect();
        assert!(all.len() > 4_000);
        assert_eq!(word(40), "racor");
    }
}
