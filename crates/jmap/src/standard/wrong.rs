//! What is wrong with the properties of one object: told of all of them together (RFC 8620 5.3
//! `invalidProperties`), so that a client need not ask again for each.

use crate::error::SetError;

/// What is wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Wrong(Option<SetError>);

impl Wrong {
    /// Remembers what is wrong with one property; its value where it is right.
    pub(crate) fn take<T>(&mut self, outcome: Result<T, SetError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(error);
                None
            }
        }
    }

    /// An error that is none of properties is told by itself, and the first of them.
    fn add(&mut self, error: SetError) {
        self.0 = Some(match self.0.take() {
            None => error,
            Some(before) => before.with_properties_of(error),
        });
    }

    /// What was read, unless anything is wrong.
    pub(crate) fn unless<T>(self, read: Option<T>) -> Result<T, SetError> {
        match (self.0, read) {
            (None, Some(read)) => Ok(read),
            (Some(wrong), _) => Err(wrong),
            (None, None) => Err(SetError::new("invalidProperties", "something is missing")),
        }
    }

    /// Whether nothing is wrong so far.
    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// All that is wrong, if anything is.
    pub(crate) fn told(self) -> Result<(), SetError> {
        self.unless(Some(()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_with_properties_is_told_together_and_the_rest_by_itself() {
        let of = |errors: Vec<SetError>| {
            let mut wrong = Wrong::default();
            for error in errors {
                assert_eq!(wrong.take::<()>(Err(error)), None);
            }
            assert_eq!(wrong.take(Ok(7)), Some(7));
            wrong.told()
        };
        let property = |name: &str| SetError::invalid_properties(&[name], "why");
        let other = || SetError::new("blobNotFound", "why");
        assert_eq!(of(vec![]), Ok(()));
        let told = of(vec![property("a"), property("b"), property("a")]);
        let told = told.expect_err("wrong").into_json();
        assert_eq!(told["properties"], json!(["a", "b"]));
        for all in [
            vec![other(), property("a")],
            vec![property("a"), other(), property("b")],
        ] {
            assert_eq!(of(all), Err(other()));
        }
    }
}
