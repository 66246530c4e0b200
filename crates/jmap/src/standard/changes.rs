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

/// A part of the change log, cut where one more transaction would be too many ids, or amid the first.
pub(crate) struct Part {
    pub(crate) account: AccountId,
    pub(crate) changes: Vec<Change>,
    /// What comes behind the cut: so what there is now can be told from what there was then.
    pub(crate) later: Vec<Change>,
    pub(crate) state: String,
}

/// How far a client has come: a modseq, and how many of the changes behind it.
///
/// A transaction is one modseq, however much it changes; so that a client gets on which is told of less at a
/// time, a state of one's own account can be amid one. RFC 8620 5.2: "an intermediate state".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    modseq: Modseq,
    taken: usize,
}

impl Place {
    /// Behind a whole transaction.
    const fn behind(modseq: Modseq) -> Self {
        Self { modseq, taken: 0 }
    }

    fn read(scope: &Scope, of: Of, text: &str, newest: Modseq) -> Result<Self, MethodError> {
        let (base, taken) = match text.split_once('.').filter(|_| !scope.is_foreign()) {
            None => (text, 0),
            Some((base, taken)) => (base, place_amid(taken)?),
        };
        let modseq = scope.since(of, base, newest)?;
        Ok(Self { modseq, taken })
    }

    fn state(self, scope: &Scope, of: Of) -> String {
        let base = scope.state(of, self.modseq);
        match self.taken {
            0 => base,
            taken => format!("{base}.{taken}"),
        }
    }
}

fn place_amid(text: &str) -> Result<usize, MethodError> {
    let taken = text.parse().ok();
    let taken = taken.filter(|taken: &usize| *taken > 0 && taken.to_string() == text);
    taken.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)
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
    let max = args.max()?;
    let since = Place::read(scope, of, &args.since_state, newest)?;
    let mut part = Part {
        account: scope.account,
        changes: Vec::new(),
        later: Vec::new(),
        state: String::new(),
    };
    if scope.is_foreign() && seen <= since.modseq {
        part.state = since.state(scope, of);
        return Ok(part);
    }
    let (mut touched, mut at, mut new_state) = (BTreeSet::new(), since.modseq, since);
    let mut known = since.taken;
    loop {
        let mut page = cx
            .verbs
            .mailboxes
            .account_changes(scope.account, at, 1_000)?;
        page.retain(|change| change.modseq <= newest);
        let Some(last) = page.last() else {
            if known > 0 {
                return Err(MethodError::CANNOT_CALCULATE_CHANGES);
            }
            if part.later.is_empty() && seen > new_state.modseq {
                new_state = Place::behind(seen);
            }
            part.state = new_state.state(scope, of);
            return Ok(part);
        };
        at = last.modseq;
        page.retain(|change| scope.sees_change(&change.change));
        for transaction in page.chunk_by(|a, b| a.modseq == b.modseq) {
            let changes: Vec<Change> = transaction.iter().map(|change| change.change).collect();
            let changes = match changes.get(known..) {
                Some(changes) if known == 0 || !changes.is_empty() => changes,
                // It was never given out.
                _ => return Err(MethodError::CANNOT_CALCULATE_CHANGES),
            };
            known = 0;
            if part.later.is_empty() {
                touched.extend(changes.iter().flat_map(&touches));
            }
            if part.later.is_empty() && touched.len() <= max {
                part.changes.extend(changes);
                let modseq = transaction.first().map_or(new_state.modseq, |it| it.modseq);
                new_state = Place::behind(modseq);
                continue;
            }
            let mut fits = 0;
            if new_state == since && part.later.is_empty() {
                fits = fitting(changes, max, &touches);
                if fits == 0 || scope.is_foreign() {
                    return Err(MethodError::CANNOT_CALCULATE_CHANGES);
                }
                new_state.taken += fits;
            }
            let (now, later) = changes.split_at(fits);
            part.changes.extend(now);
            part.later.extend(later);
        }
    }
}

/// How many of these touch no more than may be told.
fn fitting<I: Ord, T: IntoIterator<Item = I>>(
    changes: &[Change],
    max: usize,
    touches: impl Fn(&Change) -> T,
) -> usize {
    let mut touched = BTreeSet::new();
    let fits = |change: &&Change| {
        touched.extend(touches(change));
        touched.len() <= max
    };
    changes.iter().take_while(fits).count()
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
