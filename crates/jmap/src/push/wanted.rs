//! The types that a listener wants to hear of (RFC 8620 7.3 `types`, RFC 8887 4.3.5.2 `dataTypes`).

use std::collections::BTreeSet;

use crate::limits::{MAX_PUSH_TYPE_NAME, MAX_PUSH_TYPES};

/// All types, or those named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted(Option<Box<[Box<str>]>>);

impl Wanted {
    /// Every type.
    pub const ALL: Self = Self(None);

    /// A list with commas between, or `*`.
    ///
    /// `None` where it is longer than anybody needs.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::ALL),
            _ => Self::of(text.split(',').map(str::trim)),
        }
    }

    /// These types. A name that no type has here is never heard of, as the RFC says of one that has
    /// not changed.
    ///
    /// `None` where they are more than anybody needs.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut all = BTreeSet::new();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            all.insert(Box::from(name));
            if all.len() > MAX_PUSH_TYPES || name.len() > MAX_PUSH_TYPE_NAME {
                return None;
            }
        }
        Some(Self(Some(all.into_iter().collect())))
    }

    /// Whether it has this type.
    pub fn has(&self, name: &str) -> bool {
        let named = self.0.as_deref();
        named.is_none_or(|names| names.iter().any(|known| **known == *name))
    }

    /// The names; `None` for every type.
    pub fn names(&self) -> Option<Vec<&str>> {
        let named = self.0.as_deref()?;
        Some(named.iter().map(|name| &**name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_types_and_a_star_all() {
        let all = Wanted::parse("*").expect("right");
        assert!(all.has("Email") && all.has("Recall") && all.names().is_none());
        let some = Wanted::parse("Mailbox, Email,Email,Odd,").expect("right");
        assert!(some.has("Email") && some.has("Mailbox") && !some.has("Thread"));
        assert_eq!(some.names(), Some(vec!["Email", "Mailbox", "Odd"]));
        let none = Wanted::parse("").expect("right");
        assert!(!none.has("Email"));
        assert_eq!(Wanted::parse(&"x".repeat(MAX_PUSH_TYPE_NAME + 1)), None);
        let many: Vec<String> = (0..=MAX_PUSH_TYPES).map(|n| n.to_string()).collect();
        assert_eq!(Wanted::parse(&many.join(",")), None);
    }
}
