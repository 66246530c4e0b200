//! The conditions on an Email (RFC 8621 4.4.1), the cheap ones first.
//!
//! Invariant: the order of conditions never changes what is found; it only spares reading.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tern_base::{AccountId, MailboxId, Timestamp};
use tern_mailbox::{Finds, Held, SystemFlag, Within, Without};
use tern_session::ids;

use super::text::{Word, Words};
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::filter::Filter;
use crate::{date, limits};

/// A keyword, as flags have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    System(SystemFlag),
    Named(String),
}

impl Keyword {
    pub(crate) fn read(text: &str) -> Self {
        let system = [
            ("$seen", SystemFlag::Seen),
            ("$answered", SystemFlag::Answered),
            ("$flagged", SystemFlag::Flagged),
            ("$draft", SystemFlag::Draft),
        ];
        let known = system
            .iter()
            .find(|(name, _)| text.eq_ignore_ascii_case(name));
        known.map_or_else(
            || Self::Named(text.to_owned()),
            |(_, flag)| Self::System(*flag),
        )
    }

    pub(crate) fn is_on(&self, held: &Held) -> bool {
        match self {
            Self::System(flag) => held.flags.has(*flag),
            Self::Named(name) => held.flags.has_keyword(name),
        }
    }
}

/// How many Emails of a Thread have a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    All,
    Some,
}

/// A field that an outline has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    From,
    To,
    Cc,
    Bcc,
    Subject,
}

/// One condition, or some that are joined.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    /// `None` where there is no such mailbox.
    InMailbox(Option<MailboxId>),
    InOtherThan(BTreeSet<MailboxId>),
    Before(Timestamp),
    From(Timestamp),
    AtLeast(u64),
    Below(u64),
    Has(Keyword),
    InThread(Share, Keyword),
    HasAttachment(bool),
    Field(Field, Words),
    Header(String, Option<Words>),
    Body(Words),
    Text(Words),
}

/// How much a filter asks of one message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    conditions: usize,
    words: usize,
}

impl Size {
    /// The work of asking so many messages, where nothing is read.
    pub(crate) const fn work(self, messages: usize) -> u64 {
        // Each is looked at, whether or not anything is asked of it.
        let looks = (1 + self.conditions + self.words) as u64;
        looks * messages as u64 * limits::WORK_PER_LOOK
    }
}

/// What has to be read to know whether a message passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cost {
    /// The view of the account.
    View,
    /// The outline.
    Outline,
    /// The header, perhaps the body.
    Content,
}

impl Test {
    /// Reads the argument `filter`.
    pub(crate) fn read(
        cx: &Context<'_>,
        account: AccountId,
        filter: Option<&Value>,
    ) -> Result<Self, MethodError> {
        let condition = |members: &Map<String, Value>| condition(cx, account, members);
        let test = Self::of(Filter::read(filter, &condition)?);
        match test.size().words <= limits::MAX_FILTER_WORDS {
            true => Ok(test),
            false => Err(MethodError::unsupported_filter("too many words")),
        }
    }

    /// How much it asks of one message.
    pub(crate) fn size(&self) -> Size {
        let mut size = Size::default();
        self.each(&mut |test| {
            size.conditions += match test {
                Self::InThread(..) => limits::LOOKS_PER_THREAD,
                _ => 1,
            };
            size.words += match test {
                Self::Field(_, words)
                | Self::Header(_, Some(words))
                | Self::Body(words)
                | Self::Text(words) => words.iter().count(),
                _ => 0,
            };
        });
        size
    }

    fn of(filter: Filter<Self>) -> Self {
        let all = |filters: Vec<Filter<Self>>| {
            let mut tests: Vec<Self> = filters.into_iter().map(Self::of).collect();
            tests.sort_by_key(Self::cost);
            tests
        };
        match filter {
            Filter::And(filters) => Self::And(all(filters)),
            Filter::Or(filters) => Self::Or(all(filters)),
            Filter::Not(filters) => Self::Not(Box::new(Self::Or(all(filters)))),
            Filter::Condition(test) => test,
        }
    }

    /// The most that may have to be read.
    pub(crate) fn cost(&self) -> Cost {
        match self {
            Self::And(tests) | Self::Or(tests) => {
                tests.iter().map(Self::cost).max().unwrap_or(Cost::View)
            }
            Self::Not(test) => test.cost(),
            Self::HasAttachment(_) | Self::Field(..) => Cost::Outline,
            Self::Header(..) | Self::Body(_) | Self::Text(_) => Cost::Content,
            _ => Cost::View,
        }
    }

    /// Messages that are certain to fail, by what is known of texts.
    pub(crate) fn fails_without(&self, finds: &Finds) -> Without {
        let lacking = |words: &Words, within| {
            let pieces = words.iter().flat_map(Word::pieces);
            let each = pieces.map(|piece| finds.without(piece, within));
            each.fold(Without::default(), |all, one| all.or(&one))
        };
        match self {
            Self::And(tests) => {
                let each = tests.iter().map(|test| test.fails_without(finds));
                each.fold(Without::default(), |all, one| all.or(&one))
            }
            Self::Or(tests) => {
                let each = tests.iter().map(|test| test.fails_without(finds));
                each.reduce(|all, one| all.and(&one)).unwrap_or_default()
            }
            Self::Text(words) => lacking(words, Within::Either),
            Self::Body(words) => lacking(words, Within::Body),
            Self::Field(_, words) => lacking(words, Within::Shown),
            _ => Without::default(),
        }
    }

    /// Whether a text that must not be there is looked for.
    pub(crate) fn negates_content(&self) -> bool {
        match self {
            Self::And(tests) | Self::Or(tests) => tests.iter().any(Self::negates_content),
            Self::Not(test) => test.cost() == Cost::Content,
            _ => false,
        }
    }

    /// Calls `each` for every condition.
    pub(crate) fn each<'t>(&'t self, each: &mut impl FnMut(&'t Self)) {
        match self {
            Self::And(tests) | Self::Or(tests) => tests.iter().for_each(|test| test.each(each)),
            Self::Not(test) => test.each(each),
            test => each(test),
        }
    }
}

/// A `FilterCondition`: all of its properties hold.
fn condition(
    cx: &Context<'_>,
    account: AccountId,
    members: &Map<String, Value>,
) -> Result<Test, MethodError> {
    let tests = members
        .iter()
        .map(|(name, value)| property(cx, account, name, value));
    let mut tests = tests.collect::<Result<Vec<_>, _>>()?;
    tests.sort_by_key(Test::cost);
    Ok(Test::And(tests))
}

fn property(
    cx: &Context<'_>,
    account: AccountId,
    name: &str,
    value: &Value,
) -> Result<Test, MethodError> {
    let mailbox = |id: &str| ids::parse_mailbox_id(account, cx.resolved(id));
    let wrong = || MethodError::invalid_arguments(format!("{name} can't be that in a filter"));
    let text = || value.as_str().ok_or_else(wrong);
    let texts = || {
        let items = value.as_array().ok_or_else(wrong)?;
        let texts = items.iter().map(|item| item.as_str().ok_or_else(wrong));
        texts.collect::<Result<Vec<&str>, MethodError>>()
    };
    let keyword = || text().map(Keyword::read);
    let words = || text().and_then(Words::read);
    let size = || {
        let size = value.as_u64().filter(|size| *size < 1 << 53);
        size.ok_or_else(wrong)
    };
    let date = || text().and_then(|text| date::parse_utc(text).ok_or_else(wrong));
    let not = |test| Test::Not(Box::new(test));
    Ok(match name {
        "inMailbox" => Test::InMailbox(mailbox(text()?)),
        "inMailboxOtherThan" => {
            Test::InOtherThan(texts()?.into_iter().filter_map(mailbox).collect())
        }
        "before" => Test::Before(date()?),
        "after" => Test::From(date()?),
        "minSize" => Test::AtLeast(size()?),
        "maxSize" => Test::Below(size()?),
        "allInThreadHaveKeyword" => Test::InThread(Share::All, keyword()?),
        "someInThreadHaveKeyword" => Test::InThread(Share::Some, keyword()?),
        "noneInThreadHaveKeyword" => not(Test::InThread(Share::Some, keyword()?)),
        "hasKeyword" => Test::Has(keyword()?),
        "notKeyword" => not(Test::Has(keyword()?)),
        "hasAttachment" => Test::HasAttachment(value.as_bool().ok_or_else(wrong)?),
        "text" => Test::Text(words()?),
        "from" => Test::Field(Field::From, words()?),
        "to" => Test::Field(Field::To, words()?),
        "cc" => Test::Field(Field::Cc, words()?),
        "bcc" => Test::Field(Field::Bcc, words()?),
        "subject" => Test::Field(Field::Subject, words()?),
        "body" => Test::Body(words()?),
        "header" => match texts()?.as_slice() {
            [field] => Test::Header((*field).to_owned(), None),
            [field, text] => Test::Header((*field).to_owned(), Some(Words::read(text)?)),
            _ => return Err(wrong()),
        },
        _ => {
            return Err(MethodError::unsupported_filter(format!(
                "there is no condition {name:?}"
            )));
        }
    })
}
