//! How many copies ended how, or would, as far as somebody may see it.
//!
//! Invariant: exposure as a number needs enough copies, or the number would be a name. Whoever may
//! see nothing of a recall is told no such number at all.

use tern_policy::Visibility;

use crate::{Outcome, Tally};

/// An outcome as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToldOutcome {
    /// Withdrawn; whether it was exposed before is not told.
    Withdrawn,
    /// All of it.
    As(Outcome),
}

impl ToldOutcome {
    /// Its code in reports, on the command line and in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::As(outcome) => outcome.code(),
        }
    }

    /// What became of so many copies, for people: it stands after their number.
    pub const fn words(self) -> &'static str {
        let outcome = match self {
            Self::Withdrawn => return "taken back",
            Self::As(outcome) => outcome,
        };
        match outcome {
            Outcome::Prevented => "stopped before leaving this server",
            Outcome::WithdrawnUnexposed => "taken back without having been opened",
            Outcome::WithdrawnExposed => "taken back, though opened or downloaded before",
            Outcome::AlreadyGone => "deleted by the recipient before",
            Outcome::KeptByPolicy => "kept, by a rule or by choice",
            Outcome::KeptOptedOut => "kept: the recipient does not take part in recalls",
            Outcome::KeptOnHoldVisible => "kept: a legal hold forbids hiding it",
            Outcome::BlockedLate => "stopped on arrival",
            Outcome::Relayed => "gone to another server, which can't be taken back",
            Outcome::PeerAccepted => "taken back by another server",
            Outcome::PeerRefused => "kept: the other server refused",
            Outcome::PeerPending => "asked of another server, which has not answered yet",
            Outcome::Pending => "not settled yet",
            Outcome::Failed => "could not be taken back",
        }
    }
}

impl Tally {
    /// As much of it as may be seen; `None` for nothing.
    pub(crate) fn told(&self, seen: Option<Visibility>) -> Vec<(ToldOutcome, u64)> {
        let of_exposure =
            [Outcome::WithdrawnUnexposed, Outcome::WithdrawnExposed].map(|one| (one, self.of(one)));
        let withdrawn = of_exposure.iter().map(|(_, copies)| copies).sum();
        let hidden = match seen {
            Some(Visibility::Full | Visibility::Outcomes) => false,
            Some(Visibility::Aggregate { recipients }) => withdrawn < u64::from(recipients),
            None => true,
        };
        let mut told = Vec::new();
        if hidden && withdrawn > 0 {
            told.push((ToldOutcome::Withdrawn, withdrawn));
        }
        let rest = self
            .iter()
            .filter(|one| !hidden || !of_exposure.contains(one));
        told.extend(rest.map(|(outcome, copies)| (ToldOutcome::As(outcome), copies)));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposure_is_a_number_only_among_enough() {
        let mut tally = Tally::default();
        tally.add_many(Outcome::WithdrawnUnexposed, 2);
        tally.add(Outcome::WithdrawnExposed);
        tally.add(Outcome::AlreadyGone);
        let told = |seen| {
            let told = tally.told(seen).into_iter();
            told.map(|(one, copies)| (one.code(), copies))
                .collect::<Vec<_>>()
        };
        let all = [
            ("withdrawn-unexposed", 2),
            ("withdrawn-exposed", 1),
            ("already-gone", 1),
        ];
        let merged = [("withdrawn", 3), ("already-gone", 1)];
        let over = |recipients| Some(Visibility::Aggregate { recipients });
        for seen in [Some(Visibility::Full), Some(Visibility::Outcomes), over(3)] {
            assert_eq!(told(seen), all, "{seen:?}");
        }
        for seen in [over(4), None] {
            assert_eq!(told(seen), merged, "{seen:?}");
        }
    }
}
