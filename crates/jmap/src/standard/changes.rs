//! `/changes` (RFC 8620 5.2) over the account's change log.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};
use tern_base::{AccountId, Modseq};
use tern_mailbox::rows::Change;

use crate::args::UnsignedInt;
use crate::context::Context;
use crate::error::MethodError;
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
    fn max(&self) -> Result<usize, MethodError> {
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
    pub(crate) new_state: Modseq,
    pub(crate) has_more: bool,
}

/// Reads the change log after `sinceState` up to `newest`. `touches` names what a change may add to the
/// answer.
pub(crate) fn read<I: Ord, T: IntoIterator<Item = I>>(
    cx: &Context<'_>,
    args: &ChangesArgs,
    newest: Modseq,
    touches: impl Fn(&Change) -> T,
) -> Result<Part, MethodError> {
    let account = cx.account(&args.account_id)?;
    let max = args.max()?;
    let since = state::since(&args.since_state, newest)?;
    let mut part = Part {
        account,
        changes: Vec::new(),
        new_state: since,
        has_more: false,
    };
    let mut touched = BTreeSet::new();
    loop {
        let mut page = cx
            .verbs
            .mailboxes
            .account_changes(account, part.new_state, 1_000)?;
        page.retain(|change| change.modseq <= newest);
        if page.is_empty() {
            return Ok(part);
        }
        for transaction in page.chunk_by(|a, b| a.modseq == b.modseq) {
            let changes = transaction.iter().map(|change| change.change);
            touched.extend(changes.clone().flat_map(|change| touches(&change)));
            if touched.len() > max {
                // RFC 8620 5.2: a state in between, or none where there is none.
                return match part.changes.is_empty() && part.new_state == since {
                    true => Err(MethodError::CANNOT_CALCULATE_CHANGES),
                    false => Ok(Part {
                        has_more: true,
                        ..part
                    }),
                };
            }
            part.changes.extend(changes);
            part.new_state = transaction
                .first()
                .map_or(part.new_state, |first| first.modseq);
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
    let texts = |ids: &BTreeSet<I>| ids.iter().map(|id| text(*id)).collect::<Vec<String>>();
    json!({
        "accountId": args.account_id,
        "oldState": args.since_state,
        "newState": state::of(part.new_state),
        "hasMoreChanges": part.has_more,
        "created": texts(&delta.created),
        "updated": texts(&delta.updated),
        "destroyed": texts(&delta.destroyed),
    })
}
