//! What SEARCH, SORT and THREAD ask for (RFC 9051 6.4.4, RFC 5256 and the extensions named below).
//!
//! Invariant: nesting is at most [`crate::limits::MAX_SEARCH_DEPTH`], except that a chain of OR is
//! one [`SearchKey::Or`] however long. Dates are the start of the day in UTC.

use roaring::RoaringBitmap;
use tern_base::Timestamp;

use crate::command::Flag;
use crate::partial::Partial;
use crate::sequence::MessageSet;

/// The arguments of SEARCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// UID SEARCH: the result is UIDs.
    pub uid: bool,
    /// `RETURN (…)`; `None` asks for the old untagged SEARCH.
    pub returns: Option<SearchReturn>,
    /// What to find.
    pub key: SearchKey,
}

/// What SEARCH gives back (RFC 4731 3.1, RFC 5182, RFC 9394). None set means ALL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// `MIN`
    pub min: bool,
    /// `MAX`
    pub max: bool,
    /// `ALL`
    pub all: bool,
    /// `COUNT`
    pub count: bool,
    /// `SAVE`
    pub save: bool,
    /// `PARTIAL` (RFC 9394 3.1)
    pub partial: Option<Partial>,
}

/// Something of the first message of a result and of its last, in the result's order.
pub type Ends<T> = Option<(T, T)>;

impl SearchReturn {
    /// RFC 4731 3.1: ALL where nothing else is asked.
    #[must_use]
    pub const fn or_all(mut self) -> Self {
        let any = self.min || self.max || self.count || self.save;
        self.all = self.all || (!any && self.partial.is_none());
        self
    }

    /// Whether anything is told, rather than saved alone.
    pub const fn tells(&self) -> bool {
        self.all || self.count || self.min || self.max || self.partial.is_some()
    }

    /// Whether what is told is of the whole result.
    const fn is_of_all(&self) -> bool {
        self.all || self.count
    }

    /// RFC 7162 3.1.10: the mod-sequence that is told, of the messages that are.
    pub fn told_modseq<T: Ord + Copy>(&self, ends: (T, T), newest: T) -> T {
        let of_ends = !self.is_of_all() && self.partial.is_none();
        match (of_ends, self.min, self.max) {
            (true, true, false) => ends.0,
            (true, false, true) => ends.1,
            (true, true, true) => ends.0.max(ends.1),
            _ => newest,
        }
    }

    /// RFC 5182 2.1: what of the result is saved, where that is not all of it. RFC 9394 3.2 goes by the same
    /// rule: what was asked to be told.
    pub fn saved_part(
        &self,
        ends: Ends<u32>,
        part: Option<RoaringBitmap>,
    ) -> Option<RoaringBitmap> {
        let some = self.min || self.max || self.partial.is_some();
        if self.is_of_all() || !some {
            return None;
        }
        let mut saved = part.unwrap_or_default();
        saved.extend(ends.filter(|_| self.min).map(|(first, _)| first));
        saved.extend(ends.filter(|_| self.max).map(|(_, last)| last));
        Some(saved)
    }
}

/// The arguments of SORT (RFC 5256 3, RFC 5267 for RETURN).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// UID SORT.
    pub uid: bool,
    /// `RETURN (…)`
    pub returns: Option<SearchReturn>,
    /// The criteria, first one first; `true` is REVERSE.
    pub criteria: Vec<(bool, SortKey)>,
    /// What to find.
    pub key: SearchKey,
}

/// One criterion of SORT (RFC 5256 3, RFC 5957).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// `ARRIVAL`
    Arrival,
    /// `CC`
    Cc,
    /// `DATE`
    Date,
    /// `FROM`
    From,
    /// `SIZE`
    Size,
    /// `SUBJECT`
    Subject,
    /// `TO`
    To,
    /// `DISPLAYFROM`
    DisplayFrom,
    /// `DISPLAYTO`
    DisplayTo,
}

/// The arguments of THREAD (RFC 5256 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// UID THREAD.
    pub uid: bool,
    /// The algorithm, in capitals.
    pub algorithm: String,
    /// What to find.
    pub key: SearchKey,
}

/// One condition on a message. The old flag keys are told by [`SearchKey::Flag`] and
/// [`SearchKey::Not`]: `UNSEEN` is `Not(Flag(\Seen))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// Every message.
    All,
    /// Every condition holds.
    And(Vec<SearchKey>),
    /// One condition holds.
    Or(Vec<SearchKey>),
    /// The condition does not hold.
    Not(Box<SearchKey>),
    /// In this set of sequence numbers.
    Sequence(MessageSet),
    /// In this set of UIDs.
    Uid(MessageSet),
    /// Has the flag.
    Flag(Flag),
    /// `RECENT`
    Recent,
    /// A date against a day.
    Date {
        /// Which date of the message.
        of: DateOf,
        /// How it stands to the day.
        when: When,
        /// The start of the day.
        day: Timestamp,
    },
    /// A text in a part of the message.
    Text {
        /// Where.
        of: TextOf,
        /// What; empty is in every message.
        needle: String,
    },
    /// A text in a header field; empty finds the field itself.
    Header {
        /// The field.
        name: String,
        /// The text.
        needle: String,
    },
    /// Larger than so many octets.
    Larger(u64),
    /// Smaller than so many octets.
    Smaller(u64),
    /// Internal date at least so many seconds ago (RFC 5032).
    Older(u32),
    /// Internal date at most so many seconds ago (RFC 5032).
    Younger(u32),
    /// Mod-sequence at least this (RFC 7162 3.1.5); the entry name is accepted and all flags are
    /// meant, since mod-sequences are kept for the message.
    Modseq(u64),
    /// This message (RFC 8474 6).
    EmailId(String),
    /// In this thread (RFC 8474 6).
    ThreadId(String),
    /// Has a save date (RFC 8514 4.3).
    SaveDateSupported,
}

/// A date of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOf {
    /// The internal date.
    Internal,
    /// The Date header field.
    Sent,
    /// When it came into the mailbox (RFC 8514).
    Saved,
}

/// How a date stands to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Earlier than the day.
    Before,
    /// Within the day.
    On,
    /// Within the day or later.
    Since,
}

/// Where a text is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextOf {
    /// `FROM`
    From,
    /// `TO`
    To,
    /// `CC`
    Cc,
    /// `BCC`
    Bcc,
    /// `SUBJECT`
    Subject,
    /// `BODY`
    Body,
    /// `TEXT`: header and body.
    Text,
}
