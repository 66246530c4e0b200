//! `Recall/changes`: from the account's own log of news of recalls, which names none as destroyed.

use std::collections::BTreeSet;

use serde_json::Value;
use tern_recall::{News, RecallId};

use super::id;
use crate::args;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::changes::{ChangesArgs, Told};
use crate::state::Delta;

/// The number of a state that is not newer than now.
pub(super) fn since(text: &str, last: u64) -> Result<u64, MethodError> {
    let number = text.parse::<u64>().ok();
    let known = number.filter(|number| *number <= last && number.to_string() == text);
    known.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)
}

/// `Recall/changes`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let max = args.max()?;
    let recalls = cx.verbs.recalls;
    let last = recalls.last_news(account)?;
    let since = since(&args.since_state, last)?;
    // One news is one id at most, so what is told never goes beyond it.
    let news = recalls.news(account, since, max.saturating_add(1))?;
    let mut news = news.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    let has_more = news.len() > max;
    news.truncate(max);
    let newest = news.last().map_or(since, |news| news.number);
    let delta = delta(&news);
    let texts = |ids: BTreeSet<_>| ids.into_iter().map(id::of).collect();
    let told = Told {
        state: newest.to_string(),
        has_more,
        created: texts(delta.created),
        updated: texts(delta.updated),
        destroyed: Vec::new(),
    };
    Ok(told.response(&args))
}

/// What these news amount to.
pub(super) fn delta(news: &[News]) -> Delta<RecallId> {
    let mut delta = Delta {
        created: BTreeSet::new(),
        updated: BTreeSet::new(),
        destroyed: BTreeSet::new(),
    };
    for one in news {
        match one.is_first {
            true => delta.create(one.recall),
            false => delta.update(one.recall),
        }
    }
    delta
}
