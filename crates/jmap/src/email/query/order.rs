//! The order of Emails (RFC 8621 4.4.2).
//!
//! Invariant: what a message is compared by is packed into octets that compare the same way, so that
//! the whole is one sort however many comparators there are. Ties go by id: the order is total, and says the
//! same of two messages whatever else there is.

use smallvec::SmallVec;
use tern_mailbox::{Held, Outline};

use super::test::{Keyword, Share};
use super::threads::Threads;
use crate::error::MethodError;
use crate::standard::query::{Collation, Comparator};

/// By what property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    ReceivedAt,
    Size,
    From,
    To,
    Subject,
    SentAt,
    Has(Keyword),
    InThread(Share, Keyword),
}

/// The properties by which Emails can be put in order (`emailQuerySortOptions`).
pub(crate) const SORT_OPTIONS: [&str; 9] = [
    "receivedAt",
    "size",
    "from",
    "to",
    "subject",
    "sentAt",
    "hasKeyword",
    "allInThreadHaveKeyword",
    "someInThreadHaveKeyword",
];

/// One comparator.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) by: By,
    is_ascending: bool,
    collation: Collation,
}

impl Step {
    /// Reads the argument `sort`. What orders by the same as a step before it decides nothing, and is left
    /// out: it would be held again for each message.
    pub(crate) fn read(sort: Option<&[Comparator]>) -> Result<Vec<Self>, MethodError> {
        let mut steps: Vec<Self> = Vec::new();
        for comparator in Comparator::check(sort)? {
            let step = Self::of(comparator)?;
            let orders_alike =
                |before: &Self| before.by == step.by && before.collation == step.collation;
            if !steps.iter().any(orders_alike) {
                steps.push(step);
            }
        }
        Ok(steps)
    }

    fn of(comparator: &Comparator) -> Result<Self, MethodError> {
        let keyword = || {
            let text = comparator.keyword.as_deref();
            let missing = || MethodError::invalid_arguments("an order by keyword needs a keyword");
            text.map(Keyword::read).ok_or_else(missing)
        };
        let by = match comparator.property.as_str() {
            "receivedAt" => By::ReceivedAt,
            "size" => By::Size,
            "from" => By::From,
            "to" => By::To,
            "subject" => By::Subject,
            "sentAt" => By::SentAt,
            "hasKeyword" => By::Has(keyword()?),
            "allInThreadHaveKeyword" => By::InThread(Share::All, keyword()?),
            "someInThreadHaveKeyword" => By::InThread(Share::Some, keyword()?),
            _ => return Err(comparator.unsupported()),
        };
        Ok(Self {
            by,
            is_ascending: comparator.is_ascending,
            collation: comparator.collation()?,
        })
    }

    /// Whether the outline is needed.
    pub(crate) const fn needs_outline(&self) -> bool {
        matches!(self.by, By::From | By::To | By::Subject | By::SentAt)
    }
}

/// What a message is compared by, octet by octet; most orders are by a number or two, which take no
/// memory of their own.
pub(crate) type Key = SmallVec<[u8; 24]>;

/// What a message is compared by.
pub(crate) fn packed(
    steps: &[Step],
    held: &Held,
    outline: Option<&Outline>,
    threads: &Threads,
) -> Key {
    let mut out = Key::new();
    for step in steps {
        let start = out.len();
        let mut text = |text: Option<&str>| {
            let key = step.collation.key(text.unwrap_or_default());
            // An end that is less than all that the text holds.
            out.extend(key.bytes().filter(|octet| *octet != 0));
            out.push(0);
        };
        match &step.by {
            By::From => text(outline.map(Outline::first_from)),
            By::To => text(outline.map(Outline::first_to)),
            By::Subject => text(outline.map(Outline::base_subject)),
            By::ReceivedAt => out.extend(held.received.0.to_be_bytes()),
            By::Size => out.extend(held.size.to_be_bytes()),
            // Where there is no Date field, as RFC 5256 2.2 has it.
            By::SentAt => {
                let sent = outline.and_then(|outline| outline.sent_at);
                out.extend(sent.unwrap_or(held.received).0.to_be_bytes());
            }
            By::Has(keyword) => out.push(keyword.is_on(held).into()),
            By::InThread(share, keyword) => {
                out.push(threads.have(held.thread, *share, keyword).into());
            }
        }
        if !step.is_ascending {
            for octet in out.iter_mut().skip(start) {
                *octet = !*octet;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_decides_nothing_is_no_step() {
        let sort = r#"[
            {"property": "subject"},
            {"property": "hasKeyword", "keyword": "a"},
            {"property": "subject", "isAscending": false},
            {"property": "subject", "collation": "i;octet"},
            {"property": "hasKeyword", "keyword": "b"},
            {"property": "hasKeyword", "keyword": "a"}
        ]"#;
        let sort: Vec<Comparator> = serde_json::from_str(sort).unwrap();
        let steps = Step::read(Some(&sort)).unwrap();
        let keyword = |name| By::Has(Keyword::read(name));
        let by: Vec<By> = steps.into_iter().map(|step| step.by).collect();
        assert_eq!(by, [By::Subject, keyword("a"), By::Subject, keyword("b")]);
    }
}
