//! A search key with its sets resolved and its cheap conditions first.
//!
//! Invariant: the order of conditions never changes what is found; it only spares reading.

use std::sync::Arc;

use roaring::RoaringBitmap;
use tern_base::Timestamp;
use tern_mailbox::SystemFlag;

use super::super::flags::system_flag;
use super::super::selected::Selected;
use super::text::Needle;
use crate::command::Flag;
use crate::search::{DateOf, SearchKey, TextOf, When};
use crate::sequence::{MessageSet, Numbers};

/// One condition.
pub(super) enum Test {
    Always,
    Never,
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Uids(Numbers),
    Among(Arc<RoaringBitmap>),
    System(SystemFlag),
    Keyword(Box<str>),
    Received(When, u64),
    Saved(When, u64),
    Sent(When, u64),
    Larger(u64),
    Smaller(u64),
    ReceivedBy(Timestamp),
    ReceivedFrom(Timestamp),
    Modseq(u64),
    EmailId(Box<str>),
    ThreadId(Box<str>),
    Envelope(TextOf, Needle),
    Header(Box<str>, Needle),
    Body(Needle),
    Text(Needle),
}

/// What has to be read to know whether a message passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    /// The entry in the view.
    Entry,
    /// The row, perhaps the structure.
    Row,
    /// The header.
    Header,
    /// All of the message.
    Message,
}

/// Milliseconds of a day.
pub(super) const DAY_MS: u64 = 86_400_000;

impl Test {
    pub(super) fn new(key: &SearchKey, selected: &Selected, now: Timestamp) -> Self {
        let all = |keys: &[SearchKey]| -> Vec<Self> {
            let mut tests: Vec<Self> = keys
                .iter()
                .map(|key| Self::new(key, selected, now))
                .collect();
            tests.sort_by_key(Self::cost);
            tests
        };
        let before = |secs: u32| Timestamp(now.0.saturating_sub(u64::from(secs) * 1_000));
        match key {
            SearchKey::All | SearchKey::SaveDateSupported => Self::Always,
            // RFC 9051 Appendix E: \Recent is gone.
            SearchKey::Recent => Self::Never,
            SearchKey::And(keys) => Self::And(all(keys)),
            SearchKey::Or(keys) => Self::Or(all(keys)),
            SearchKey::Not(key) => Self::Not(Box::new(Self::new(key, selected, now))),
            SearchKey::Sequence(MessageSet::Saved) | SearchKey::Uid(MessageSet::Saved) => {
                Self::Among(Arc::clone(&selected.saved))
            }
            SearchKey::Sequence(MessageSet::Ranges(set)) => {
                Self::Uids(selected.uids_named(set, false))
            }
            SearchKey::Uid(MessageSet::Ranges(set)) => Self::Uids(selected.uids_named(set, true)),
            SearchKey::Flag(flag) => match (system_flag(flag), flag) {
                (Some(system), _) => Self::System(system),
                (None, Flag::Keyword(keyword)) => Self::Keyword(keyword.as_str().into()),
                (None, _) => Self::Never,
            },
            SearchKey::Date { of, when, day } => {
                let day = day.0 / DAY_MS;
                match of {
                    DateOf::Internal => Self::Received(*when, day),
                    DateOf::Sent => Self::Sent(*when, day),
                    DateOf::Saved => Self::Saved(*when, day),
                }
            }
            SearchKey::Text { of, needle } => match of {
                TextOf::Body => Self::Body(Needle::new(needle)),
                TextOf::Text => Self::Text(Needle::new(needle)),
                of => Self::Envelope(*of, Needle::new(needle)),
            },
            SearchKey::Header { name, needle } => {
                Self::Header(name.as_str().into(), Needle::new(needle))
            }
            SearchKey::Larger(size) => Self::Larger(*size),
            SearchKey::Smaller(size) => Self::Smaller(*size),
            // RFC 5032 3
            SearchKey::Older(secs) => Self::ReceivedBy(before(*secs)),
            SearchKey::Younger(secs) => Self::ReceivedFrom(before(*secs)),
            SearchKey::Modseq(modseq) => Self::Modseq(*modseq),
            SearchKey::EmailId(id) => Self::EmailId(id.as_str().into()),
            SearchKey::ThreadId(id) => Self::ThreadId(id.as_str().into()),
        }
    }

    /// The most that the condition may need to read.
    pub(super) fn cost(&self) -> Cost {
        match self {
            Self::And(tests) | Self::Or(tests) => {
                tests.iter().map(Self::cost).max().unwrap_or(Cost::Entry)
            }
            Self::Not(test) => test.cost(),
            Self::Sent(..) | Self::ThreadId(_) | Self::Envelope(..) => Cost::Row,
            Self::Header(..) => Cost::Header,
            Self::Body(_) | Self::Text(_) => Cost::Message,
            _ => Cost::Entry,
        }
    }

    /// Calls `each` for every text that is looked for in bodies.
    pub(super) fn each_in_body<'t>(&'t self, each: &mut impl FnMut(&'t Needle)) {
        match self {
            Self::And(tests) | Self::Or(tests) => {
                tests.iter().for_each(|test| test.each_in_body(each));
            }
            Self::Not(test) => test.each_in_body(each),
            Self::Body(needle) | Self::Text(needle) => each(needle),
            _ => {}
        }
    }

    /// How many conditions there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::And(tests) | Self::Or(tests) => tests.iter().map(Self::count).sum(),
            Self::Not(test) => test.count(),
            _ => 1,
        }
    }
}

/// How a day stands to another.
pub(super) const fn holds(when: When, day: u64, wanted: u64) -> bool {
    match when {
        When::Before => day < wanted,
        When::On => day == wanted,
        When::Since => day >= wanted,
    }
}
