//! What others have sent to other servers of a letter that was taken back: each copy that the seal speaks for
//! has one outcome, and what was prevented was taken by nobody.

use std::collections::BTreeSet;

use tern_base::OriginId;
use tern_mailbox::{Carriage, Outside};
use tern_recall::{CopyOutcome, Destination, Outcome, Recall, State, Subject, submission};

use super::end::canonical;
use super::{Arrival, Oracle, Promise};

/// Of which copies something is said: by what sent them, and to whom.
pub(super) type Said = BTreeSet<(OriginId, String)>;

impl Oracle {
    /// `said` gathers what all recalls say.
    pub(super) fn check_onward(&mut self, recall: &Recall, said: &mut Said) -> Result<(), String> {
        let rows = self.observer.recalls.outcomes(recall.id);
        let rows = rows.map_err(|error| error.to_string())?;
        let mut by_this = Said::new();
        for (subject, outcome) in &rows {
            let Subject::Onward(origin, n) = subject else {
                continue;
            };
            let targets = submission::targets(&self.observer.mem, *origin);
            let targets = targets.map_err(|error| error.to_string())?;
            let target = targets.get(*n as usize).map(|target| &target.destination);
            let wrong = match target {
                Some(Destination::Outside { address, .. }) => {
                    let address = canonical(address);
                    let wrong = self.wrong_onward(recall, (*origin, &address), outcome);
                    match by_this.insert((*origin, address)) {
                        true => wrong,
                        false => Some("has two outcomes"),
                    }
                }
                _ => Some("is no copy that was sent outside"),
            };
            if let Some(wrong) = wrong {
                self.broke(format!(
                    "recall {}: number {n} of {origin} {wrong}: {outcome:?}",
                    recall.id
                ));
            }
        }
        said.append(&mut by_this);
        Ok(())
    }

    /// What recalls have to say and none of them does. What several would stop is said by the one that did.
    pub(super) fn check_unsaid(&mut self, recall: &Recall, said: &Said) {
        let unsaid = self.arrivals.iter().find_map(|(origin, arrival)| {
            let speaks = self.speaks_for(recall, *origin, arrival);
            let mut outside = arrival.outside.iter().filter(|_| speaks);
            let missing = outside.find(|to| !said.contains(&(*origin, (*to).clone())))?;
            Some(format!("{origin} to {missing}"))
        });
        if let Some(unsaid) = unsaid {
            self.broke(format!("recall {}: says nothing of {unsaid}", recall.id));
        }
    }

    fn wrong_onward(
        &self,
        recall: &Recall,
        (origin, address): (OriginId, &str),
        outcome: &CopyOutcome,
    ) -> Option<&'static str> {
        let arrival = self.arrivals.get(&origin)?;
        match self.carriage_in(recall, origin, arrival) {
            None => return Some("is another letter"),
            Some(carriage) if !is_same(carriage, outcome.carriage) => {
                return Some("is carried otherwise");
            }
            Some(_) => {}
        }
        let taken = self.was_taken(origin, address);
        match outcome.outcome {
            Outcome::Prevented if taken => Some("was taken outside"),
            Outcome::Prevented | Outcome::Relayed => None,
            Outcome::KeptByPolicy if !recall.chosen.is_empty() => None,
            _ => Some("has an outcome that can't be"),
        }
    }

    /// How a letter carries the one that was taken back; `None` where it has nothing to do with it.
    fn carriage_in(
        &self,
        recall: &Recall,
        origin: OriginId,
        arrival: &Arrival,
    ) -> Option<Option<Carriage>> {
        let letter = self.letters.get(&arrival.letter)?;
        if letter.digest == recall.digest {
            return Some(None);
        }
        let back = letter.returned.filter(|_| arrival.submitter.is_none());
        match back {
            Some((of, sent)) if of == recall.digest => Some(Some(Carriage::Returned(sent))),
            _ => {
                let sent = submission::submission(&self.observer.mem, origin);
                let row = sent.ok().flatten().map(|sent| sent.carried);
                let copy = self.copy_of(letter.digest, &row.unwrap_or_default(), origin);
                copy.carriage_of(recall.digest)
            }
        }
    }

    /// Whether a recall that stands has to say what became of what this transaction sent outside.
    fn speaks_for(&self, recall: &Recall, origin: OriginId, arrival: &Arrival) -> bool {
        let accepted = matches!(arrival.promise, Promise::Accepted | Promise::Begun);
        let own = recall.submission.iter().chain(&recall.also);
        if !accepted || recall.state != State::Done || own.clone().any(|one| *one == origin) {
            return false;
        }
        let seals = self.seals.get(&recall.digest);
        let seal = seals.and_then(|all| all.iter().find(|seal| seal.tag == recall.id.tag()));
        match (seal, self.carriage_in(recall, origin, arrival)) {
            // Where recipients were chosen, of what comes later nothing is said.
            (Some(seal), Some(carriage)) => {
                seal.outside == Outside::All && seal.covers_outside(origin, None, carriage)
            }
            _ => false,
        }
    }
}

/// Whether two carriages are the same for whoever reads of them.
pub(super) fn is_same(one: Option<Carriage>, other: Option<Carriage>) -> bool {
    let name = |how: Carriage| how.name();
    one.map(name) == other.map(name)
}
