//! How much of a recall somebody may see: what was served to whom, what became of each copy, or
//! only how many ended how.
//!
//! Invariants: whoever sent the message, or asked for the recall, sees what became of it without a
//! permit; what was served, nobody sees without one ([`Permission::ReportExposure`]). A forbid on
//! that permission takes back what its `@visibility` says, and everything but the outcomes where it
//! says nothing; of several the strictest counts. One that fails counts as one that applies, and where the
//! question can't be put at all, every one does.

use std::fmt;

use crate::decide::{applied, failed};
use crate::question::Operation;
use crate::rule::Effect;
use crate::{Permission, PolicySet, Question, facts, limits};

/// How much somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Every copy, with what of it was served to whom, when and how.
    Full,
    /// What became of each address that the sender wrote, and so whether it was exposed.
    Outcomes,
    /// Only how many were exposed, and only among at least so many recipients.
    Aggregate {
        /// The least number of recipients.
        recipients: u32,
    },
}

impl Visibility {
    /// The stricter of two.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Aggregate { recipients: a }, Self::Aggregate { recipients: b }) => {
                Self::Aggregate {
                    recipients: a.max(b),
                }
            }
            (one @ Self::Aggregate { .. }, _) | (_, one @ Self::Aggregate { .. }) => one,
            (Self::Outcomes, _) | (_, Self::Outcomes) => Self::Outcomes,
            (Self::Full, Self::Full) => Self::Full,
        }
    }

    /// Reads what an annotation says: `outcomes`, or `aggregate:10`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "outcomes" {
            return Some(Self::Outcomes);
        }
        let recipients = text.strip_prefix("aggregate:")?.parse().ok()?;
        let sound = (2..=limits::MAX_AGGREGATE).contains(&recipients);
        sound.then_some(Self::Aggregate { recipients })
    }

    /// In a few words, for lists.
    pub fn text(self) -> String {
        match self {
            Self::Full => String::from("everything"),
            Self::Outcomes => String::from("outcomes only"),
            Self::Aggregate { recipients } => {
                format!("exposure only as numbers over {recipients} recipients or more")
            }
        }
    }
}

impl fmt::Display for Visibility {
    /// As annotations and cases write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Outcomes => f.write_str("outcomes"),
            Self::Aggregate { recipients } => write!(f, "aggregate:{recipients}"),
        }
    }
}

/// The question of how much somebody may see, whatever else was asked.
pub(crate) fn asked(question: &Question) -> Question {
    Question {
        operation: Operation::Use(Permission::ReportExposure),
        ..question.clone()
    }
}

impl PolicySet {
    /// How much an actor may see of what became of a message; `None` for nothing at all.
    /// `is_party` says that they sent it, or asked for its recall.
    pub(crate) fn see(&self, question: &Question, is_party: bool) -> Option<Visibility> {
        let question = asked(question);
        let least = is_party.then_some(Visibility::Outcomes);
        let Some((request, entities)) = self.vocabulary.ask(&question, facts::of(&question)) else {
            // What can't be asked counts as if every forbid applied.
            return least.map(|least| self.strictest(least));
        };
        let ask = |policies| self.authorizer.is_authorized(&request, policies, &entities);
        let permits = ask(&self.permits);
        let is_permitted = !applied(&permits).is_empty() && failed(&permits).is_empty();
        let granted = match is_permitted {
            true => Visibility::Full,
            false => least?,
        };
        let forbids = ask(&self.forbids);
        let limits = applied(&forbids).into_iter().chain(failed(&forbids));
        let seen = limits.fold(granted, |seen, id| {
            let effect = self.rules.get(&id).map(|rule| rule.effect);
            let limit = match effect {
                Some(Effect::Limit(limit)) => limit,
                _ => Visibility::Outcomes,
            };
            seen.stricter(limit)
        });
        Some(seen)
    }

    /// What is left where every limit of the set applies.
    fn strictest(&self, granted: Visibility) -> Visibility {
        self.rules
            .values()
            .fold(granted, |seen, rule| match rule.effect {
                Effect::Limit(limit) => seen.stricter(limit),
                _ => seen,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_counts() {
        let over = |recipients| Visibility::Aggregate { recipients };
        let (full, outcomes) = (Visibility::Full, Visibility::Outcomes);
        for (one, other, strictest) in [
            (full, full, full),
            (full, outcomes, outcomes),
            (outcomes, over(5), over(5)),
            (full, over(5), over(5)),
            (over(9), over(5), over(9)),
        ] {
            assert_eq!(one.stricter(other), strictest);
            assert_eq!(other.stricter(one), strictest);
        }
    }

    #[test]
    fn annotations_are_read_as_they_are_written() {
        for seen in [
            Visibility::Outcomes,
            Visibility::Aggregate { recipients: 10 },
        ] {
            assert_eq!(Visibility::parse(&seen.to_string()), Some(seen));
        }
        for wrong in [
            "",
            "full",
            "aggregate",
            "aggregate:",
            "aggregate:1",
            "aggregate:99999",
        ] {
            assert_eq!(Visibility::parse(wrong), None, "{wrong}");
        }
    }
}
