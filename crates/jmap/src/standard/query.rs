//! `/query` and `/queryChanges` (RFC 8620 5.5, 5.6): what of them is the same for every type.

use std::ops::Range;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{Int, UnsignedInt};
use crate::budget::text_weight;
use crate::context::Context;
use crate::error::MethodError;
use crate::limits;

/// The arguments of a `/query`, but for those of its type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct QueryArgs {
    pub(crate) account_id: String,
    #[serde(default)]
    pub(crate) filter: Option<Value>,
    #[serde(default)]
    pub(crate) sort: Option<Vec<Comparator>>,
    #[serde(default)]
    pub(crate) position: Int,
    #[serde(default)]
    pub(crate) anchor: Option<String>,
    #[serde(default)]
    pub(crate) anchor_offset: Int,
    #[serde(default)]
    pub(crate) limit: Option<UnsignedInt>,
    #[serde(default)]
    pub(crate) calculate_total: bool,
}

/// One step of an order (RFC 8620 5.5). Types may add members to it, and nothing says that one which is
/// not known is an error: jmapc puts those of a window (`limit`, `anchorOffset`) into each, which could not
/// sort at all otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparator {
    pub(crate) property: String,
    #[serde(default = "yes")]
    pub(crate) is_ascending: bool,
    #[serde(default)]
    pub(crate) collation: Option<String>,
    /// RFC 8621 4.4.2: for orders by keyword.
    #[serde(default)]
    pub(crate) keyword: Option<String>,
}

const fn yes() -> bool {
    true
}

/// How texts are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collation {
    /// In lower case, as Unicode has it: where the client names none.
    Folded,
    /// `i;ascii-casemap` (RFC 4790 9.2)
    AsciiCasemap,
    /// `i;octet` (RFC 4790 9.3)
    Octet,
}

impl Collation {
    /// The collations that the session tells of.
    pub(crate) const NAMED: [&str; 2] = ["i;ascii-casemap", "i;octet"];

    /// A text in the form that compares octet by octet.
    pub(crate) fn key(self, text: &str) -> String {
        match self {
            Self::Folded => text.to_lowercase(),
            Self::AsciiCasemap => text.to_ascii_uppercase(),
            Self::Octet => text.to_owned(),
        }
    }
}

impl Comparator {
    /// Refuses more steps than there may be.
    pub(crate) fn check(sort: Option<&[Self]>) -> Result<&[Self], MethodError> {
        let sort = sort.unwrap_or_default();
        match sort.len() <= limits::MAX_COMPARATORS {
            true => Ok(sort),
            false => Err(MethodError::unsupported_sort("too many comparators")),
        }
    }

    pub(crate) fn collation(&self) -> Result<Collation, MethodError> {
        match self.collation.as_deref() {
            None => Ok(Collation::Folded),
            Some("i;ascii-casemap") => Ok(Collation::AsciiCasemap),
            Some("i;octet") => Ok(Collation::Octet),
            Some(other) => Err(MethodError::unsupported_sort(format!(
                "there is no collation {other:?}"
            ))),
        }
    }

    /// The type can't be put in order by this property.
    pub(crate) fn unsupported(&self) -> MethodError {
        MethodError::unsupported_sort(format!("there is no order by {:?}", self.property))
    }
}

impl QueryArgs {
    /// Which of all results are told. An id of an anchor that is no result is `anchorNotFound`.
    pub(crate) fn window(
        &self,
        total: usize,
        place_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<Range<usize>, MethodError> {
        let at = |place: usize, offset: i64| {
            let offset_by = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            match offset < 0 {
                true => place.saturating_sub(offset_by),
                false => place.saturating_add(offset_by),
            }
        };
        let start = match (&self.anchor, self.position.0) {
            (Some(anchor), _) => {
                let place = place_of(anchor).ok_or(MethodError::ANCHOR_NOT_FOUND)?;
                at(place, self.anchor_offset.0)
            }
            // RFC 8620 5.5: a negative position counts from the end.
            (None, position) if position < 0 => at(total, position),
            (None, position) => at(0, position),
        };
        let end = start.saturating_add(self.count());
        Ok(start..end.min(total).max(start))
    }

    /// Whether the answer tells how many results there are, or how many stand before some of them.
    pub(crate) const fn tells_count(&self) -> bool {
        self.calculate_total || self.anchor.is_some() || self.position.0 < 0
    }

    /// How many results have to be known for the answer, from the first.
    pub(crate) fn most_wanted(&self) -> usize {
        let start = usize::try_from(self.position.0);
        match (self.tells_count(), start) {
            (false, Ok(start)) => start.saturating_add(self.count()),
            _ => usize::MAX,
        }
    }

    /// Most results that are told.
    fn count(&self) -> usize {
        let count = self.limit.map_or(usize::MAX, UnsignedInt::as_usize);
        count.min(limits::MAX_QUERY_RESULTS)
    }

    /// The response.
    pub(crate) fn response(
        &self,
        cx: &mut Context<'_>,
        query_state: &str,
        window: &Range<usize>,
        ids: Vec<String>,
        total: usize,
    ) -> Result<Value, MethodError> {
        cx.answer.take(ids.iter().map(|id| id_weight(id)).sum())?;
        let mut all = json!({
            "accountId": self.account_id, "queryState": query_state, "canCalculateChanges": true,
            "position": window.start, "ids": ids,
        });
        if self.calculate_total {
            all["total"] = total.into();
        }
        // RFC 8620 5.5: told only where it is not the client's own.
        if self
            .limit
            .is_none_or(|limit| limit.as_usize() > limits::MAX_QUERY_RESULTS)
        {
            all["limit"] = limits::MAX_QUERY_RESULTS.into();
        }
        Ok(all)
    }
}

/// About what an id takes in a list of them.
fn id_weight(id: &str) -> usize {
    96 + text_weight(id)
}

/// The arguments of a `/queryChanges`, but for those of its type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct QueryChangesArgs {
    pub(crate) account_id: String,
    #[serde(default)]
    pub(crate) filter: Option<Value>,
    #[serde(default)]
    pub(crate) sort: Option<Vec<Comparator>>,
    pub(crate) since_query_state: String,
    #[serde(default)]
    pub(crate) max_changes: Option<UnsignedInt>,
    #[serde(default)]
    pub(crate) up_to_id: Option<String>,
    #[serde(default)]
    pub(crate) calculate_total: bool,
}

impl QueryChangesArgs {
    /// The response: what may have stood in the results before and does no more, or elsewhere, and
    /// what stands there now.
    pub(crate) fn response(
        &self,
        cx: &mut Context<'_>,
        new_query_state: &str,
        removed: Vec<String>,
        added: Vec<(String, usize)>,
        total: usize,
    ) -> Result<Value, MethodError> {
        let max = self.max_changes.map_or(usize::MAX, UnsignedInt::as_usize);
        if removed.len() + added.len() > max {
            return Err(MethodError::TOO_MANY_CHANGES);
        }
        // {id, index}
        let of_added = added.iter().map(|(id, _)| id_weight(id) + 512);
        let of_removed = removed.iter().map(|id| id_weight(id));
        cx.answer.take(of_removed.chain(of_added).sum())?;
        let added: Vec<Value> = added
            .into_iter()
            .map(|(id, index)| json!({"id": id, "index": index}))
            .collect();
        let mut all = json!({
            "accountId": self.account_id, "oldQueryState": self.since_query_state,
            "newQueryState": new_query_state, "removed": removed, "added": added,
        });
        if self.calculate_total {
            all["total"] = total.into();
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(args: Value, total: usize) -> Result<Range<usize>, &'static str> {
        let mut all = json!({"accountId": "A1"});
        for (name, value) in args.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        let args: QueryArgs = crate::args::read(all).map_err(|error| error.kind())?;
        let place_of = |id: &str| id.parse().ok().filter(|place| *place < total);
        args.window(total, place_of).map_err(|error| error.kind())
    }

    #[test]
    fn windows_are_where_the_rfc_has_them() {
        assert_eq!(window(json!({}), 5), Ok(0..5));
        assert_eq!(window(json!({"position": 2, "limit": 2}), 5), Ok(2..4));
        assert_eq!(window(json!({"position": -2}), 5), Ok(3..5));
        assert_eq!(window(json!({"position": -9, "limit": 1}), 5), Ok(0..1));
        assert_eq!(window(json!({"position": 7}), 5), Ok(7..7));
        let anchored = |offset: i64| json!({"anchor": "3", "anchorOffset": offset, "position": 1});
        assert_eq!(window(anchored(0), 5), Ok(3..5));
        assert_eq!(window(anchored(-1), 5), Ok(2..5));
        assert_eq!(window(anchored(-9), 5), Ok(0..5));
        assert_eq!(window(anchored(1), 5), Ok(4..5));
        assert_eq!(window(json!({"anchor": "5"}), 5), Err("anchorNotFound"));
        assert_eq!(window(json!({"limit": 0}), 5), Ok(0..0));
        for wrong in [
            json!({"limit": -1}),
            json!({"position": 1.5}),
            json!({"anchorOffset": "1"}),
            json!({"position": 9_007_199_254_740_992_i64}),
            json!({"sort": [{"isAscending": true}]}),
            json!({"odd": 1}),
        ] {
            assert_eq!(window(wrong.clone(), 5), Err("invalidArguments"), "{wrong}");
        }
        // What a client adds to a comparator is not the window.
        let sort = json!([{"property": "size", "limit": 1, "anchorOffset": 2, "position": 3}]);
        assert_eq!(window(json!({"sort": sort}), 5), Ok(0..5));
    }
}
