//! Which conversations have a keyword on all of their Emails, or on some.

use std::collections::{BTreeSet, HashMap};

use tern_base::{MessageId, ThreadId};
use tern_mailbox::AccountView;

use super::test::{Keyword, Share};
use crate::context::Context;
use crate::error::MethodError;
use crate::limits;

/// The conversations, with the keywords that are asked for.
#[derive(Default)]
pub(crate) struct Threads {
    /// Each once; its place is its bit.
    keywords: Vec<Keyword>,
    all: HashMap<ThreadId, Marks>,
}

/// Which keywords the Emails of a conversation have.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    /// Some of them have it.
    with: Bits,
    /// Some have it not.
    without: Bits,
}

/// One for each of [`limits::MAX_THREAD_KEYWORDS`].
type Bits = u16;

/// About what one conversation takes.
const WEIGHT: u64 = 32;

impl Threads {
    /// Looks at all messages once, as part of a search.
    pub(crate) fn of(
        cx: &mut Context<'_>,
        view: &AccountView,
        hidden: &BTreeSet<MessageId>,
        asked: Vec<&Keyword>,
    ) -> Result<Self, MethodError> {
        let mut keywords: Vec<Keyword> = Vec::new();
        for keyword in asked {
            if keywords.contains(keyword) {
                continue;
            }
            if keywords.len() == limits::MAX_THREAD_KEYWORDS {
                let why = "too many keywords of Threads";
                return Err(MethodError::unsupported_filter(why));
            }
            keywords.push(keyword.clone());
        }
        if keywords.is_empty() {
            return Ok(Self::default());
        }
        let (messages, asked) = (view.len() as u64, keywords.len() as u64);
        cx.search(messages * asked * limits::WORK_PER_LOOK)?;
        cx.answer.hold(messages * WEIGHT)?;
        let mut all: HashMap<ThreadId, Marks> = HashMap::new();
        for held in view.iter().filter(|held| !hidden.contains(&held.message)) {
            let marks = all.entry(held.thread).or_default();
            for (n, keyword) in keywords.iter().enumerate() {
                let bit: Bits = 1 << n;
                match keyword.is_on(held) {
                    true => marks.with |= bit,
                    false => marks.without |= bit,
                }
            }
        }
        Ok(Self { keywords, all })
    }

    /// Whether all, or some, Emails of a conversation have a keyword.
    pub(crate) fn have(&self, thread: ThreadId, share: Share, keyword: &Keyword) -> bool {
        let place = self.keywords.iter().position(|known| known == keyword);
        let (Some(n), Some(marks)) = (place, self.all.get(&thread)) else {
            return false;
        };
        match share {
            Share::All => marks.without >> n & 1 == 0,
            Share::Some => marks.with >> n & 1 == 1,
        }
    }
}
