//! `/query` and `/queryChanges` (RFC 8620 5.5, 5.6) of types whose objects are read all at once: the
//! results are a list in order, and what changed is known by id.
//!
//! Invariant: an object of which nothing changed that the filter or the order looks at stands where it
//! stood, relative to all others of its kind.

use std::cmp::Ordering;

use serde_json::Value;

use super::query::{Comparator, QueryArgs, QueryChangesArgs};
use crate::context::Context;
use crate::error::MethodError;
use crate::state::Delta;

/// The response of a `/query` that found these, in order.
pub(crate) fn query<I: Copy>(
    cx: &mut Context<'_>,
    args: &mut QueryArgs,
    state: &str,
    found: &[I],
    text: impl Fn(I) -> String,
) -> Result<Value, MethodError> {
    args.anchor = args.anchor.take().map(|id| cx.resolved(&id).to_owned());
    let window = args.window(found.len(), |anchor| {
        found.iter().position(|id| text(*id) == anchor)
    })?;
    let told = found.get(window.clone()).unwrap_or_default();
    let told = told.iter().map(|id| text(*id)).collect();
    args.response(cx, state, &window, told, found.len())
}

/// The response of a `/queryChanges`: of these results now, and what changed since the state that the
/// client names.
pub(crate) fn changes<I: Copy + Ord>(
    cx: &mut Context<'_>,
    args: &QueryChangesArgs,
    state: &str,
    found: &[I],
    delta: &Delta<I>,
    text: impl Fn(I) -> String,
) -> Result<Value, MethodError> {
    let may_have_been = delta.destroyed.union(&delta.updated);
    let removed = may_have_been.map(|id| text(*id)).collect();
    let is_new = |id: &I| delta.created.contains(id) || delta.updated.contains(id);
    let places = found.iter().zip(0..).filter(|(id, _)| is_new(id));
    let added = places.map(|(id, place)| (text(*id), place)).collect();
    args.response(cx, state, removed, added, found.len())
}

/// What an object is put in order by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// What is not there comes first.
    Number(Option<u64>),
    Text(String),
}

/// An order: by what, one step after the other, each ascending or not.
pub(crate) struct Order<B>(Vec<(B, bool)>);

impl<B> Order<B> {
    /// Reads the argument `sort`; `by` knows the properties of the type.
    pub(crate) fn read(
        sort: Option<&[Comparator]>,
        by: impl Fn(&Comparator) -> Result<B, MethodError>,
    ) -> Result<Self, MethodError> {
        let steps = Comparator::check(sort)?.iter();
        let steps = steps.map(|step| Ok((by(step)?, step.is_ascending)));
        Ok(Self(steps.collect::<Result<_, MethodError>>()?))
    }

    /// Puts things in order; those that are alike stay as they are.
    pub(crate) fn sort<T>(&self, things: Vec<T>, key: impl Fn(&T, &B) -> Key) -> Vec<T> {
        let keyed = things.into_iter().map(|thing| {
            let keys = self.0.iter().map(|(by, _)| key(&thing, by));
            (keys.collect::<Vec<Key>>(), thing)
        });
        let mut keyed: Vec<(Vec<Key>, T)> = keyed.collect();
        keyed.sort_by(|(a, _), (b, _)| self.compare(a, b));
        keyed.into_iter().map(|(_, thing)| thing).collect()
    }

    fn compare(&self, a: &[Key], b: &[Key]) -> Ordering {
        let steps = self.0.iter().zip(a.iter().zip(b));
        let by_step = steps.map(|((_, is_ascending), (a, b))| match is_ascending {
            true => a.cmp(b),
            false => b.cmp(a),
        });
        by_step.fold(Ordering::Equal, Ordering::then)
    }
}
