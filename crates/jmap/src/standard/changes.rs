//! `/changes` (RFC 8620 5.2) over the account's change log.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};
use tern_base::changes::Changes;
use tern_base::{AccountId, Modseq};
use tern_mailbox::rows::Change;

use crate::args::UnsignedInt;
use crate::context::Context;
use crate::error::MethodError;
use crate::scope::{Of, Scope};
use crate::state::Delta;
use crate::{limits, state};

/// The arguments of every `/changes`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangesArgs {
    pub(crate) account_id: String,
    pub(crate) since_state: String,
    #[serde(default)]
    pub(crate) max_changes: Option<UnsignedInt>,
}

impl ChangesArgs {
    /// Most ids that may be told.
    pub(crate) fn max(&self) -> Result<usize, MethodError> {
        match self.max_changes {
            Some(UnsignedInt(0)) => Err(MethodError::invalid_arguments(
                "maxChanges must be greater than 0",
            )),
            Some(max) => Ok(max.as_usize().min(limits::MAX_CHANGES)),
            None => Ok(limits::MAX_CHANGES),
        }
    }
}

/// A part of the change log, cut where one more transaction would be too many ids.
pub(crate) struct Part {
    pub(crate) account: AccountId,
    pub(crate) changes: Vec<Change>,
    /// What comes behind the cut: so what there is now can be told from what there was then.
    pub(crate) later: Vec<Change>,
    pub(crate) state: String,
}

/// Reads the change log after `sinceState` up to `newest`, as far as it is seen: up to `seen` at least.
/// `touches` names what a change may add to the answer.
pub(crate) fn read<I: Ord, T: IntoIterator<Item = I>>(
    cx: &Context<'_>,
    (scope, of): (&Scope, Of),
    args: &ChangesArgs,
    (seen, newest): (Modseq, Modseq),
    touches: impl Fn(&Change) -> T,
) -> Result<Part, MethodError> {
    let account = scope.account;
    let max = args.max()?;
    let since = scope.since(of, &args.since_state, newest)?;
    let mut part = Part {
        account,
        changes: Vec::new(),
        later: Vec::new(),
        state: String::new(),
    };
    if scope.is_foreign() && seen <= since {
        part.state = scope.state(of, since);
        return Ok(part);
    }
    let (mut touched, mut at, mut new_state) = (BTreeSet::new(), since, since);
    loop {
        let mut page = cx.verbs.mailboxes.account_changes(account, at, 1_000)?;
        page.retain(|change| change.modseq <= newest);
        let Some(last) = page.last() else {
            if part.later.is_empty() {
                new_state = new_state.max(seen);
            }
            part.state = scope.state(of, new_state);
            return Ok(part);
        };
        at = last.modseq;
        page.retain(|change| scope.sees_change(&change.change));
        for transaction in page.chunk_by(|a, b| a.modseq == b.modseq) {
            let changes = transaction.iter().map(|change| change.change);
            if part.later.is_empty() {
                touched.extend(changes.clone().flat_map(|change| touches(&change)));
            }
            if !part.later.is_empty() || touched.len() > max {
                // RFC 8620 5.2: a state in between, or none where there is none.
                if new_state == since {
                    return Err(MethodError::CANNOT_CALCULATE_CHANGES);
                }
                part.later.extend(changes);
                continue;
            }
            part.changes.extend(changes);
            new_state = transaction.first().map_or(new_state, |it| it.modseq);
        }
    }
}

/// The response of a `/changes`.
pub(crate) fn response<I: Ord + Copy>(
    args: &ChangesArgs,
    part: &Part,
    delta: &Delta<I>,
    text: impl Fn(I) -> String,
) -> Value {
    let texts = |ids: &BTreeSet<I>| ids.iter().map(|id| text(*id)).collect();
    let told = Told {
        state: part.state.clone(),
        has_more: !part.later.is_empty(),
        created: texts(&delta.created),
        updated: texts(&delta.updated),
        destroyed: texts(&delta.destroyed),
    };
    told.response(args)
}

/// What a `/changes` tells, whatever it is told from.
pub(crate) struct Told {
    pub(crate) state: String,
    pub(crate) has_more: bool,
    pub(crate) created: Vec<String>,
    pub(crate) updated: Vec<String>,
    pub(crate) destroyed: Vec<String>,
}

impl Told {
    /// Of numbered things.
    pub(crate) fn numbered<I: Copy>(changes: &Changes<I>, text: impl Fn(I) -> String) -> Self {
        let texts = |ids: &[I]| ids.iter().map(|id| text(*id)).collect();
        Self {
            state: state::of_number(changes.state),
            has_more: changes.has_more,
            created: texts(&changes.created),
            updated: texts(&changes.updated),
            destroyed: texts(&changes.destroyed),
        }
    }

    /// The response.
    pub(crate) fn response(self, args: &ChangesArgs) -> Value {
        json!({
            "accountId": args.account_id, "oldState": args.since_state, "newState": self.state,
            "hasMoreChanges": self.has_more, "created": self.created, "updated": self.updated,
            "destroyed": self.destroyed,
        })
    }
}
