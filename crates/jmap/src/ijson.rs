//! JSON as RFC 7493 (I-JSON) has it: UTF-8, no name twice in one object, and here also no deeper than
//! [`limits::MAX_DEPTH`], and of no more values than [`limits::MAX_VALUES`].
//!
//! Invariant: a value of one octet takes hundreds of memory once it is read, so that the size of a text alone
//! bounds nothing: memory is set aside for values before there are more of them.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use tern_base::AccountId;
use tern_session::ContentMemory;

use crate::budget::Held;
use crate::{Problem, limits};

/// Reads a text that is one JSON value, and answers the memory that is set aside for it, for as long as it lives.
///
/// # Errors
/// [`Problem::NotRequest`] where it has too many values, [`Problem::NoMemory`] where there is none for them now,
/// [`Problem::NotJson`] where it is no I-JSON.
pub(crate) fn parse(
    text: &[u8],
    memory: &dyn ContentMemory,
    account: AccountId,
) -> Result<(Value, Held), Problem> {
    let reading = Reading {
        left: Cell::new(limits::MAX_VALUES),
        octets: Cell::new(0),
        held: RefCell::default(),
        refused: RefCell::default(),
        memory,
        account,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let strict = Strict {
        depth: 0,
        reading: &reading,
    };
    let read = strict
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match (read, reading.refused.into_inner()) {
        (Ok(value), _) => Ok((value, reading.held.into_inner())),
        (Err(_), Some(why)) => Err(why),
        (Err(error), None) => Err(Problem::NotJson(error.to_string())),
    }
}

const TOO_MANY: &str = "it has more values than any request needs";

/// About what a value takes in a list or an object, with what these have in reserve.
const SLOT: usize = 96;
/// What an object takes beside its members, which are found by a table.
const TABLE: usize = 384;
/// As often is a value in memory: a method that takes its arguments apart has both what it takes and what it makes.
const COPIES: usize = 2;

/// What was read so far.
struct Reading<'a> {
    /// How many more values there may be.
    left: Cell<usize>,
    /// Memory of those that there are.
    octets: Cell<usize>,
    held: RefCell<Held>,
    /// Why no more is read, where the text is not to blame.
    refused: RefCell<Option<Problem>>,
    memory: &'a dyn ContentMemory,
    account: AccountId,
}

impl Reading<'_> {
    fn one_more<E: Error>(&self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return self.refuse(Problem::NotRequest(TOO_MANY.to_owned())),
        }
        self.take(SLOT)
    }

    /// Takes memory for what is about to be kept.
    fn take<E: Error>(&self, octets: usize) -> Result<(), E> {
        let octets = self.octets.get().saturating_add(COPIES * octets);
        self.octets.set(octets);
        let beyond = octets.saturating_sub(limits::REQUEST_FREE) as u64;
        let mut held = self.held.borrow_mut();
        match held.grow_to(beyond, self.memory, self.account) {
            true => Ok(()),
            // A smaller one would do, and never the same.
            false if held.octets() + limits::ANSWER_STEP as u64 > self.memory.most() => {
                self.refuse(Problem::NotRequest(TOO_MANY.to_owned()))
            }
            false => self.refuse(Problem::NoMemory),
        }
    }

    fn refuse<E: Error>(&self, why: Problem) -> Result<(), E> {
        *self.refused.borrow_mut() = Some(why);
        Err(E::custom("no more is read"))
    }
}

/// Reads a value at this depth, while there may be more.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    reading: &'a Reading<'a>,
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
        self.reading.one_more()?;
        from.deserialize_any(self)
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

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.reading.take(value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.reading.take(value.len())?;
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
        self.reading.take(TABLE)?;
        while let Some(name) = entries.next_key::<String>()? {
            self.reading.take(SLOT + name.len())?;
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
    use tern_session::{Budget, Unlimited};

    use super::*;

    const ACCOUNT: AccountId = AccountId(1);

    fn parse(text: &[u8]) -> Result<Value, Problem> {
        let (value, _) = super::parse(text, &Unlimited, ACCOUNT)?;
        Ok(value)
    }

    #[test]
    fn memory_is_set_aside_for_values_however_short_they_are() {
        let step = limits::ANSWER_STEP as u64;
        let text = |objects: usize| format!("[{}]", vec![r#"{"a":0}"#; objects].join(","));
        let memory = Budget::new(80 * step);
        // A megabyte that takes 80 of memory.
        let (value, held) = super::parse(text(60_000).as_bytes(), &memory, ACCOUNT).expect("room");
        let (measured, reserved) = (60_000 * 666, memory.reserved_by(ACCOUNT));
        assert!(reserved >= measured, "{reserved}");
        let again = super::parse(text(60_000).as_bytes(), &memory, ACCOUNT);
        assert_eq!(again.err(), Some(Problem::NoMemory));
        drop((value, held));
        assert_eq!(memory.reserved(), 0);
        // What would never fit is told so.
        let too_many = super::parse(text(120_000).as_bytes(), &memory, ACCOUNT);
        let never = Problem::NotRequest(TOO_MANY.to_owned());
        assert_eq!(too_many.err(), Some(never));
        assert_eq!(memory.reserved(), 0);
        // A small one takes none, so that it is read whatever others have.
        let (_, held) = super::parse(text(50).as_bytes(), &memory, ACCOUNT).expect("room");
        assert_eq!(held.octets(), 0);
    }

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
