//! JSON as RFC 7493 (I-JSON) has it: UTF-8, no name twice in one object, and here also no deeper than
//! [`limits::MAX_DEPTH`], and of no more values than [`limits::MAX_VALUES`].
//!
//! A value of one octet takes a hundred of memory once it is read: the size of a text alone bounds nothing.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{Problem, limits};

/// Reads a text that is one JSON value.
///
/// # Errors
/// [`Problem::NotRequest`] where it has too many values, [`Problem::NotJson`] where it is no I-JSON.
pub(crate) fn parse(text: &[u8]) -> Result<Value, Problem> {
    let left = Cell::new(limits::MAX_VALUES + 1);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let strict = Strict {
        depth: 0,
        left: &left,
    };
    let read = strict
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| match left.get() {
        0 => Problem::NotRequest(TOO_MANY.to_owned()),
        _ => Problem::NotJson(error.to_string()),
    })
}

const TOO_MANY: &str = "it has more values than any request needs";

/// Reads a value at this depth, while values are left.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Strict<'_> {
    fn inside<E: Error>(self) -> Result<Self, E> {
        match self.depth < limits::MAX_DEPTH {
            true => Ok(Self {
                depth: self.depth + 1,
                ..self
            }),
            false => Err(E::custom("nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.left.set(self.left.get() - 1);
        match self.left.get() {
            0 => Err(D::Error::custom(TOO_MANY)),
            _ => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut all = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inside)?;
            // RFC 7493 2.3
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice in one object"));
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_where_ijson_is() {
        let text = r#"{"a": [1, -2, 2.5, "x\u00e9", null, true], "b": {}}"#;
        let expected: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(parse(text.as_bytes()), Ok(expected));
        for text in [
            r#"{"a": 1, "a": 1}"#,
            "{} {}",
            r#"["\ud800"]"#,
            "[1",
            "",
            "\u{0}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"[\"\xff\"]").is_err());
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parse(&nested(limits::MAX_DEPTH)).is_ok());
        assert!(parse(&nested(limits::MAX_DEPTH + 1)).is_err());
    }

    #[test]
    fn values_are_counted_so_that_their_memory_is_bounded() {
        let list = |pairs: usize| format!("[{}]", vec![r#"{"":0}"#; pairs].join(","));
        let most = (limits::MAX_VALUES - 1) / 2;
        assert!(parse(list(most).as_bytes()).is_ok());
        let over = parse(list(most + 1).as_bytes());
        assert_eq!(over, Err(Problem::NotRequest(TOO_MANY.to_owned())));
    }
}
