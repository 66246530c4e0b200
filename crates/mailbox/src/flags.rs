//! Flags of a message in one mailbox: IMAP's system flags and keywords (RFC 9051 2.3.2).
//!
//! Invariant: keywords are sorted and unique without regard to ASCII case.

use tern_base::codec::{Damaged, Reader, Writer};

use crate::limits;

/// A system flag that is stored. `\Recent` is not: IMAP4rev2 dropped it (RFC 9051 Appendix E).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SystemFlag {
    /// `\Seen`
    Seen = 1,
    /// `\Answered`
    Answered = 2,
    /// `\Flagged`
    Flagged = 4,
    /// `\Deleted`
    Deleted = 8,
    /// `\Draft`
    Draft = 16,
}

impl SystemFlag {
    /// Every stored system flag.
    pub const ALL: [Self; 5] = [
        Self::Answered,
        Self::Flagged,
        Self::Deleted,
        Self::Seen,
        Self::Draft,
    ];
}

/// A set of flags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    system: u8,
    keywords: Vec<Box<str>>,
}

impl Flags {
    /// No flag.
    pub const fn empty() -> Self {
        Self {
            system: 0,
            keywords: Vec::new(),
        }
    }

    /// These system flags.
    pub fn of(system: &[SystemFlag]) -> Self {
        Self {
            system: system.iter().fold(0, |bits, flag| bits | *flag as u8),
            ..Self::default()
        }
    }

    /// Whether a system flag is set.
    pub const fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// Sets or clears a system flag.
    pub const fn set(&mut self, flag: SystemFlag, on: bool) {
        if on {
            self.system |= flag as u8;
        } else {
            self.system &= !(flag as u8);
        }
    }

    /// The system flags as bits of [`SystemFlag`].
    pub const fn system_bits(&self) -> u8 {
        self.system
    }

    /// The keywords, in order.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.keywords.iter().map(AsRef::as_ref)
    }

    /// Whether a keyword is set, whatever its ASCII case.
    pub fn has_keyword(&self, keyword: &str) -> bool {
        self.position(keyword).is_ok()
    }

    /// Sets a keyword; `false` if it is too long, one too many, or too much with the others.
    pub fn add_keyword(&mut self, keyword: &str) -> bool {
        match self.position(keyword) {
            Ok(_) => true,
            Err(_) if keyword.is_empty() || keyword.len() > limits::MAX_KEYWORD => false,
            Err(_) if self.keywords.len() >= limits::MAX_KEYWORDS => false,
            Err(_) if self.keyword_bytes() + keyword.len() > limits::MAX_KEYWORD_BYTES => false,
            Err(at) => {
                self.keywords.insert(at, keyword.into());
                true
            }
        }
    }

    /// Clears a keyword.
    pub fn remove_keyword(&mut self, keyword: &str) {
        if let Ok(at) = self.position(keyword) {
            self.keywords.remove(at);
        }
    }

    /// Sets all of `other`; `false` if keywords were left out, which were past the limit.
    pub fn add_all(&mut self, other: &Self) -> bool {
        self.system |= other.system;
        let mut all = true;
        for keyword in &other.keywords {
            all &= self.add_keyword(keyword);
        }
        all
    }

    /// Clears all of `other`.
    pub fn remove_all(&mut self, other: &Self) {
        self.system &= !other.system;
        for keyword in &other.keywords {
            self.remove_keyword(keyword);
        }
    }

    pub(crate) fn keyword_bytes(&self) -> usize {
        self.keywords.iter().map(|keyword| keyword.len()).sum()
    }

    /// Bytes that they take beside the set itself, roughly: for the bounds of what is cached.
    pub(crate) fn bytes_outside(&self) -> usize {
        const OF_EACH: usize = 48;
        self.keyword_bytes() + self.keywords.len() * OF_EACH
    }

    fn position(&self, keyword: &str) -> Result<usize, usize> {
        self.keywords
            .binary_search_by(|have| compare(have, keyword))
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.byte(self.system).list(&self.keywords, |w, keyword| {
            w.text(keyword);
        });
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        let system = r.byte()?;
        let keywords = r.list(|r| r.text().map(String::into_boxed_str))?;
        Ok(Self { system, keywords })
    }
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let lower = |text: &str| {
        text.bytes()
            .map(|b| b.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    lower(a).cmp(&lower(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_ignore_case_and_keep_the_first_spelling() {
        let mut flags = Flags::of(&[SystemFlag::Seen]);
        assert!(
            flags.add_keyword("$Forwarded") && flags.add_keyword("a") && flags.add_keyword("A")
        );
        assert_eq!(flags.keywords().collect::<Vec<_>>(), ["$Forwarded", "a"]);
        assert!(flags.has_keyword("$FORWARDED"));
        assert!(!flags.add_keyword(&"x".repeat(limits::MAX_KEYWORD + 1)));
        let mut w = Writer::default();
        flags.write(&mut w);
        let bytes = w.finish();
        assert_eq!(Flags::read(&mut Reader::new(&bytes)), Ok(flags.clone()));
        flags.remove_all(&flags.clone());
        assert_eq!(flags, Flags::empty());
    }

    #[test]
    fn keywords_are_bounded_in_number_and_together() {
        let mut many = Flags::empty();
        let fitting = (0..100).filter(|n| many.add_keyword(&format!("k{n}")));
        assert_eq!(fitting.count(), limits::MAX_KEYWORDS);
        let mut long = Flags::empty();
        let fitting = (0..100).filter(|n| long.add_keyword(&format!("{n:0128}")));
        assert_eq!(fitting.count() * 128, limits::MAX_KEYWORD_BYTES);
        assert!(!long.add_keyword("x") && long.add_keyword(&format!("{:0128}", 0)));
    }
}
