//! The audit log holds every step: what was asked, decided and freed, each outcome, what was put back,
//! and each hold.

use std::collections::BTreeSet;

use tern_audit::{Detail, Entry};
use tern_recall::{CopyOutcome, Recall, State, Subject};

use super::Oracle;

/// Entries that are read at once.
const PAGE: usize = 500;

/// What is told of one thing: the names of the steps.
type Steps = BTreeSet<String>;

impl Oracle {
    pub(super) fn check_log(&mut self) -> Result<(), String> {
        let fault = |error: tern_store::StoreError| error.to_string();
        let mut entries = Vec::new();
        loop {
            let from = entries.len() as u64 + 1;
            let page = tern_audit::entries_from(&self.observer.mem, from, PAGE);
            let page = page.map_err(fault)?;
            if page.is_empty() {
                break;
            }
            entries.extend(page);
        }
        let told = Told(entries);
        let tags: Vec<_> = self.at_seal.keys().copied().collect();
        for tag in tags {
            let recall = self.observer.recalls.recall(tern_recall::RecallId(tag.0));
            let recall = recall.map_err(|error| error.to_string())?;
            let outcomes = self.observer.recalls.outcomes(recall.id);
            let outcomes = outcomes.map_err(|error| error.to_string())?;
            for missing in told.missing(&recall, &outcomes) {
                self.broke(format!("recall {}: the log has no {missing}", recall.id));
            }
        }
        for (id, hold) in &self.holds {
            let target = format!("hold {id}");
            if hold.is_placed() && !told.has(&target, "hold.add", |_| true) {
                self.broken
                    .get_or_insert(format!("hold {id} is not in the log"));
            }
        }
        Ok(())
    }
}

struct Told(Vec<Entry>);

impl Told {
    fn has(&self, target: &str, action: &str, fits: impl Fn(&Entry) -> bool) -> bool {
        let mut entries = self.0.iter().map(|entry| (entry, &entry.draft));
        entries.any(|(entry, draft)| {
            draft.action == action && draft.target.as_deref() == Some(target) && fits(entry)
        })
    }

    /// The steps of a recall that are not on record.
    fn missing(&self, recall: &Recall, outcomes: &[(Subject, CopyOutcome)]) -> Steps {
        let target = format!("recall {}", recall.id);
        let mut missing = Steps::new();
        let mut must = |action: &str| {
            if !self.has(&target, action, |_| true) {
                missing.insert(action.to_owned());
            }
        };
        must("recall.request");
        if matches!(
            recall.state,
            State::Done | State::Restoring | State::Restored
        ) {
            must("recall.done");
        }
        if matches!(recall.state, State::Restoring | State::Restored) {
            must("recall.restore");
        }
        if recall.state == State::Restored {
            must("recall.restored");
        }
        let allowed = |entry: &Entry| is_text(entry, "verdict", "allow");
        if !["recall.request", "recall.verdict"]
            .iter()
            .any(|action| self.has(&target, action, allowed))
        {
            missing.insert("verdict that allows it".to_owned());
        }
        for (subject, outcome) in outcomes {
            let code = outcome.outcome.code();
            let fits = |entry: &Entry| is_text(entry, "outcome", code) && is_of(entry, *subject);
            if !self.has(&target, "recall.outcome", fits) {
                missing.insert(format!("outcome {code} of {subject:?}"));
            }
            if outcome.restored.is_some() && !self.has(&target, "recall.copy-restored", fits) {
                missing.insert(format!("restore of {subject:?}"));
            }
        }
        missing
    }
}

fn is_text(entry: &Entry, name: &str, text: &str) -> bool {
    entry.draft.details.get(name) == Some(&Detail::Text(text.to_owned()))
}

fn is_number(entry: &Entry, name: &str, number: u64) -> bool {
    entry.draft.details.get(name) == Some(&Detail::Number(number))
}

fn is_of(entry: &Entry, subject: Subject) -> bool {
    match subject {
        Subject::Copy(_, message) => is_number(entry, "message", message.0),
        Subject::Target(position) => is_number(entry, "target", position.into()),
        Subject::Onward(origin, position) => {
            is_number(entry, "target", position.into())
                && is_text(entry, "sent-on-in", &origin.to_string())
        }
    }
}
