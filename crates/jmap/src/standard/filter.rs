//! Filters (RFC 8620 5.5): conditions of a type, joined by AND, OR and NOT.
//!
//! Invariant: nesting and the number of conditions are bounded; beyond it is `unsupportedFilter`.

use serde_json::{Map, Value};

use crate::error::MethodError;
use crate::limits;

/// A filter over conditions of a type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter<C> {
    /// All of them.
    And(Vec<Filter<C>>),
    /// One of them.
    Or(Vec<Filter<C>>),
    /// None of them.
    Not(Vec<Filter<C>>),
    /// This.
    Condition(C),
}

impl<C> Filter<C> {
    /// Reads the argument `filter`; without one everything passes.
    pub(crate) fn read(
        value: Option<&Value>,
        condition: &impl Fn(&Map<String, Value>) -> Result<C, MethodError>,
    ) -> Result<Self, MethodError> {
        let mut left = limits::MAX_FILTER_CONDITIONS;
        match value {
            None | Some(Value::Null) => Ok(Self::And(Vec::new())),
            Some(value) => read(value, condition, limits::MAX_FILTER_DEPTH, &mut left),
        }
    }

    /// Whether something passes, by whether it meets a condition.
    pub(crate) fn passes(&self, meets: &impl Fn(&C) -> bool) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.passes(meets)),
            Self::Or(any) => any.iter().any(|one| one.passes(meets)),
            Self::Not(none) => !none.iter().any(|one| one.passes(meets)),
            Self::Condition(condition) => meets(condition),
        }
    }

    /// Whether this is so of one of its conditions.
    pub(crate) fn any(&self, is_so: &impl Fn(&C) -> bool) -> bool {
        match self {
            Self::And(inner) | Self::Or(inner) | Self::Not(inner) => {
                inner.iter().any(|one| one.any(is_so))
            }
            Self::Condition(condition) => is_so(condition),
        }
    }
}

fn read<C>(
    value: &Value,
    condition: &impl Fn(&Map<String, Value>) -> Result<C, MethodError>,
    depth: usize,
    left: &mut usize,
) -> Result<Filter<C>, MethodError> {
    let members = value
        .as_object()
        .ok_or_else(|| MethodError::invalid_arguments("a filter is an object"))?;
    *left = left
        .checked_sub(1)
        .filter(|_| depth > 0)
        .ok_or_else(|| MethodError::unsupported_filter("too many conditions, or too deep"))?;
    let Some(operator) = members.get("operator") else {
        return Ok(Filter::Condition(condition(members)?));
    };
    let conditions = members.get("conditions").and_then(Value::as_array);
    let (Some(conditions), 2) = (conditions, members.len()) else {
        let why = "a filter operator is {operator, conditions}";
        return Err(MethodError::invalid_arguments(why));
    };
    let inner = conditions
        .iter()
        .map(|one| read(one, condition, depth - 1, left))
        .collect::<Result<Vec<_>, _>>()?;
    match operator.as_str() {
        Some("AND") => Ok(Filter::And(inner)),
        Some("OR") => Ok(Filter::Or(inner)),
        Some("NOT") => Ok(Filter::Not(inner)),
        _ => Err(MethodError::invalid_arguments(
            "the operator is none of AND, OR, NOT",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn number(members: &Map<String, Value>) -> Result<i64, MethodError> {
        let number = members.get("is").and_then(Value::as_i64);
        number.ok_or_else(|| MethodError::unsupported_filter("no number"))
    }

    fn error(filter: &Value) -> Option<&'static str> {
        let read = Filter::read(Some(filter), &number);
        read.err().map(|error| error.kind())
    }

    #[test]
    fn operators_join_conditions() {
        let filter = json!({"operator": "AND", "conditions": [
            {"operator": "OR", "conditions": [{"is": 1}, {"is": 2}]},
            {"operator": "NOT", "conditions": [{"is": 2}, {"is": 3}]},
        ]});
        let filter = Filter::read(Some(&filter), &number).expect("a filter");
        let passes = |of: i64| filter.passes(&|is| *is == of);
        assert!(passes(1));
        assert!(!passes(2) && !passes(3) && !passes(4));
        let none = Filter::read(None, &number).expect("a filter");
        assert!(none.passes(&|_| false));
    }

    #[test]
    fn what_is_no_filter_and_what_is_too_much_are_told_apart() {
        let nested = |depth: usize| {
            (0..depth).fold(
                json!({"is": 1}),
                |inner, _| json!({"operator": "NOT", "conditions": [inner]}),
            )
        };
        assert_eq!(error(&nested(limits::MAX_FILTER_DEPTH - 1)), None);
        assert_eq!(
            error(&nested(limits::MAX_FILTER_DEPTH)),
            Some("unsupportedFilter")
        );
        let many = vec![json!({"is": 1}); limits::MAX_FILTER_CONDITIONS];
        let many = json!({"operator": "OR", "conditions": many});
        assert_eq!(error(&many), Some("unsupportedFilter"));
        for wrong in [
            json!([]),
            json!({"operator": "XOR", "conditions": []}),
            json!({"operator": "AND"}),
            json!({"operator": "AND", "conditions": {}}),
            json!({"operator": "AND", "conditions": [1]}),
            json!({"operator": "AND", "conditions": [], "is": 1}),
        ] {
            assert_eq!(error(&wrong), Some("invalidArguments"), "{wrong}");
        }
    }
}
