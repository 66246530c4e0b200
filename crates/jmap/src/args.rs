//! Arguments, read strictly: what is missing, superfluous or of another type is `invalidArguments`.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::MethodError;

/// Reads the arguments of a method.
pub(crate) fn read<T: DeserializeOwned>(args: Value) -> Result<T, MethodError> {
    serde_json::from_value(args).map_err(|error| MethodError::invalid_arguments(error.to_string()))
}

/// An `UnsignedInt` (RFC 8620 1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct UnsignedInt(pub(crate) u64);

impl TryFrom<u64> for UnsignedInt {
    type Error = &'static str;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        match value < 1 << 53 {
            true => Ok(Self(value)),
            false => Err("an integer beyond 2^53-1"),
        }
    }
}

impl UnsignedInt {
    /// As many as that, or as fit.
    pub(crate) fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// An `Int` (RFC 8620 1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct Int(pub(crate) i64);

impl TryFrom<i64> for Int {
    type Error = &'static str;

    fn try_from(value: i64) -> Result<Self, Self::Error> {
        match value.unsigned_abs() < 1 << 53 {
            true => Ok(Self(value)),
            false => Err("an integer beyond 2^53-1"),
        }
    }
}

/// Takes an argument that is true or false out of the others; false where it is not there.
pub(crate) fn take_flag(args: &mut Value, name: &str) -> Result<bool, MethodError> {
    match args.as_object_mut().and_then(|args| args.remove(name)) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(MethodError::invalid_arguments(format!(
            "{name} is neither true nor false"
        ))),
    }
}
