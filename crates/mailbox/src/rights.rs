//! What somebody may do in a mailbox of another account: the rights of RFC 4314 2.1.
//!
//! Invariant: a set holds rights of RFC 4314 and nothing else; the two rights of RFC 2086 that stand for
//! several are taken apart when they come in, and only written. Refuses to know who has them.

use crate::{FlagChange, Flags, SystemFlag};

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

/// In the order of RFC 4314 2.1.
const LETTERS: [(u8, Rights); 11] = [
    (b'l', Rights::LOOKUP),
    (b'r', Rights::READ),
    (b's', Rights::SEEN),
    (b'w', Rights::WRITE),
    (b'i', Rights::INSERT),
    (b'p', Rights::POST),
    (b'k', Rights::CREATE),
    (b'x', Rights::DELETE),
    (b't', Rights::DELETE_MESSAGES),
    (b'e', Rights::EXPUNGE),
    (b'a', Rights::ADMINISTER),
];

/// RFC 4314 2.1.1: what the rights of RFC 2086 stand for.
const OBSOLETE: [(u8, Rights); 2] = [
    (b'c', Rights::CREATE.with(Rights::DELETE)),
    (b'd', Rights::DELETE_MESSAGES.with(Rights::EXPUNGE)),
];

impl Rights {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// `l`: the mailbox is there.
    pub const LOOKUP: Self = Self(1);
    /// `r`: open it, count its messages.
    pub const READ: Self = Self(1 << 1);
    /// `s`: set and clear `\Seen`.
    pub const SEEN: Self = Self(1 << 2);
    /// `w`: set and clear the other flags.
    pub const WRITE: Self = Self(1 << 3);
    /// `i`: put messages in.
    pub const INSERT: Self = Self(1 << 4);
    /// `p`: send mail to its address; nothing here asks for it.
    pub const POST: Self = Self(1 << 5);
    /// `k`: make mailboxes in it.
    pub const CREATE: Self = Self(1 << 6);
    /// `x`: delete it, or move it elsewhere.
    pub const DELETE: Self = Self(1 << 7);
    /// `t`: set and clear `\Deleted`.
    pub const DELETE_MESSAGES: Self = Self(1 << 8);
    /// `e`: expunge.
    pub const EXPUNGE: Self = Self(1 << 9);
    /// `a`: give rights in it, and take them.
    pub const ADMINISTER: Self = Self(1 << 10);
    /// All of them: what an owner has.
    pub const ALL: Self = Self((1 << 11) - 1);

    /// These, and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These, but for those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// RFC 4314 4, RENAME: whether somebody else than the owner, who has these rights in a mailbox, may put it
    /// into one where they have those, or rename it there. The top level is the owner's.
    pub const fn may_be_put(self, there: Option<Self>) -> bool {
        match there {
            Some(there) => self.has(Self::DELETE) && there.has(Self::CREATE),
            None => false,
        }
    }

    /// Whether all of `needed` are among them.
    pub const fn has(self, needed: Self) -> bool {
        needed.0 & !self.0 == 0
    }

    /// Whether any of these is among them.
    pub const fn has_any(self, of: Self) -> bool {
        of.0 & self.0 != 0
    }

    /// The rights that letters name, those of RFC 2086 among them. `None` where one of them names
    /// no right (RFC 4314 3.1).
    pub fn from_letters(letters: &str) -> Option<Self> {
        let right = |letter: u8| {
            let mut known = LETTERS.iter().chain(&OBSOLETE);
            known.find(|(name, _)| *name == letter).map(|(_, of)| *of)
        };
        letters
            .bytes()
            .try_fold(Self::NONE, |all, letter| Some(all.with(right(letter)?)))
    }

    /// Their letters.
    pub fn letters(self) -> String {
        let held = LETTERS.iter().filter(|(_, right)| self.has(*right));
        held.map(|(letter, _)| char::from(*letter)).collect()
    }

    /// Their letters with those of RFC 2086 of which a part is among them (RFC 4314 2.1.1).
    pub fn told(self) -> String {
        let obsolete = OBSOLETE.iter().filter(|(_, parts)| self.has_any(*parts));
        let obsolete = obsolete.map(|(letter, _)| char::from(*letter));
        self.letters().chars().chain(obsolete).collect()
    }

    /// The flags of a message that is put into a mailbox, as far as they may be set there (RFC 4314 4).
    #[must_use]
    pub fn flags(self, flags: Flags) -> Flags {
        FlagRights::of(self, None).within(&Flags::empty(), flags)
    }

    /// Each right by itself, those of RFC 2086 last.
    pub fn each() -> impl Iterator<Item = char> {
        let all = LETTERS.iter().chain(&OBSOLETE);
        all.map(|(letter, _)| char::from(*letter))
    }

    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u16) -> Option<Self> {
        match bits & !Self::ALL.0 {
            0 => Some(Self(bits)),
            _ => None,
        }
    }
}

/// The flags that somebody may change: RFC 4314 4. What the keyword that marks asks for is the owner's
/// alone to ask, so nobody else sets it or clears it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlagRights<'a> {
    rights: Rights,
    /// The keyword that is the owner's, where it is somebody else who acts.
    owners: Option<&'a str>,
}

impl<'a> FlagRights<'a> {
    pub(crate) const fn of(rights: Rights, owners: Option<&'a str>) -> Self {
        Self { rights, owners }
    }

    /// What becomes of `old`, where `new` is asked for.
    pub(crate) fn within(self, old: &Flags, new: Flags) -> Flags {
        if self.rights.has(FLAGS) && self.owners.is_none() {
            return new;
        }
        let mut flags = match self.rights.has(Rights::WRITE) {
            true => new.clone(),
            false => old.clone(),
        };
        for (flag, right) in OWN_RIGHTS {
            let from = if self.rights.has(right) { &new } else { old };
            flags.set(flag, from.has(flag));
        }
        if let Some(owners) = self.owners {
            flags.remove_keyword(owners);
            let mut kept = old.keywords();
            if let Some(kept) = kept.find(|keyword| keyword.eq_ignore_ascii_case(owners)) {
                flags.add_keyword(kept);
            }
        }
        flags
    }

    /// Whether any of the flags that a change names may be changed: the others are left alone, and the
    /// change is no error.
    pub(crate) fn allow_any_of(self, change: &FlagChange) -> bool {
        let named = match change {
            FlagChange::Set(_) => return self.rights.has_any(FLAGS),
            FlagChange::Add(flags) | FlagChange::Remove(flags) => flags,
        };
        let is_owners = |keyword: &str| {
            self.owners
                .is_some_and(|owners| owners.eq_ignore_ascii_case(keyword))
        };
        let others = SystemFlag::ALL
            .iter()
            .any(|flag| named.has(*flag) && OWN_RIGHTS.iter().all(|(own, _)| own != flag))
            || named.keywords().any(|keyword| !is_owners(keyword));
        let own = OWN_RIGHTS
            .iter()
            .any(|(flag, right)| named.has(*flag) && self.rights.has(*right));
        own || (others && self.rights.has(Rights::WRITE))
            || (*named == Flags::empty() && self.rights.has_any(FLAGS))
    }
}

/// The flags with a right of their own.
const OWN_RIGHTS: [(SystemFlag, Rights); 2] = [
    (SystemFlag::Seen, Rights::SEEN),
    (SystemFlag::Deleted, Rights::DELETE_MESSAGES),
];

/// The rights that are about flags: all of them are seen by everybody who may read (RFC 4314 5.2).
const FLAGS: Rights = Rights::SEEN
    .with(Rights::WRITE)
    .with(Rights::DELETE_MESSAGES);

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(letters: &str) -> Rights {
        Rights::from_letters(letters).unwrap()
    }

    #[test]
    fn letters_come_in_and_go_out() {
        assert_eq!(Rights::ALL.letters(), "lrswipkxtea");
        assert_eq!(Rights::ALL.told(), "lrswipkxteacd");
        assert_eq!(rights("cd").letters(), "kxte");
        assert_eq!(rights("k").told(), "kc");
        assert_eq!(rights("e").told(), "ed");
        assert_eq!(rights("rllr").told(), "lr");
        assert_eq!(Rights::from_letters(""), Some(Rights::NONE));
        for wrong in ["L", "q", "lr0", "l r", "-l"] {
            assert_eq!(Rights::from_letters(wrong), None, "{wrong}");
        }
        assert_eq!(Rights::each().collect::<String>(), "lrswipkxteacd");
        for bits in 0..=Rights::ALL.bits() {
            let set = Rights::from_bits(bits).unwrap();
            assert_eq!(rights(&set.letters()), set);
            assert_eq!(rights(&set.told()).both(set), set);
        }
        assert_eq!(Rights::from_bits(1 << 11), None);
    }

    fn flags(text: &str) -> Flags {
        let mut flags = Flags::empty();
        for word in text.split_whitespace() {
            match word {
                "seen" => flags.set(SystemFlag::Seen, true),
                "deleted" => flags.set(SystemFlag::Deleted, true),
                "flagged" => flags.set(SystemFlag::Flagged, true),
                keyword => assert!(flags.add_keyword(keyword)),
            }
        }
        flags
    }

    #[test]
    fn flags_change_as_far_as_rights_go() {
        let check = |letters: &str, old: &str, new: &str, expect: &str| {
            let within = FlagRights::of(rights(letters), Some("$Ask"));
            let found = within.within(&flags(old), flags(new));
            assert_eq!(found, flags(expect), "{letters}: {old} to {new}");
        };
        check(
            "swt",
            "",
            "seen deleted flagged a",
            "seen deleted flagged a",
        );
        check("s", "", "seen deleted flagged a", "seen");
        check("t", "", "seen deleted flagged a", "deleted");
        check("w", "", "seen deleted flagged a", "flagged a");
        check("w", "seen b", "", "seen");
        check("st", "seen deleted b", "", "b");
        check("", "seen", "deleted", "seen");
        // What only the owner may ask for is neither set nor cleared.
        check("swt", "", "seen $ask", "seen");
        check("swt", "$ask", "seen", "seen $ask");
        let owner = FlagRights::of(Rights::ALL, None);
        assert_eq!(owner.within(&flags("a"), flags("$ask")), flags("$ask"));
    }

    #[test]
    fn a_change_is_refused_where_nothing_of_it_may_be_done() {
        let check = |letters: &str, change: FlagChange, expect: bool| {
            let within = FlagRights::of(rights(letters), Some("$Ask"));
            assert_eq!(
                within.allow_any_of(&change),
                expect,
                "{letters}: {change:?}"
            );
        };
        let add = |text: &str| FlagChange::Add(flags(text));
        check("s", add("seen deleted"), true);
        check("s", add("deleted flagged"), false);
        check("t", FlagChange::Remove(flags("deleted")), true);
        check("w", add("seen deleted"), false);
        check("w", add("flagged"), true);
        check("w", add("word"), true);
        check("swt", add("$ask"), false);
        check("swt", add("$ask word"), true);
        check("st", add("word"), false);
        check("s", add(""), true);
        check("lri", add(""), false);
        check("s", FlagChange::Set(flags("word")), true);
        check("lria", FlagChange::Set(flags("")), false);
    }
}
