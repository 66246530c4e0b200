//! What the server acknowledged, and what it was asked and may or may not have done.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::{Identities, Place};

/// Whether a verb was acknowledged before the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Said {
    /// It was asked; no answer came.
    Asked,
    /// It was acknowledged.
    Acknowledged,
}

/// A message that was submitted.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) recipients: Vec<&'static str>,
    pub(crate) said: Said,
    /// Asked by an APPEND to `Recall`.
    pub(crate) recall: Option<Said>,
    /// The report of the recall was seen.
    pub(crate) reported: bool,
    pub(crate) restore: Option<Said>,
    /// The mover's MOVE from the inbox.
    pub(crate) moved: Option<Said>,
    /// The mover's COPY.
    pub(crate) copied: Option<Said>,
    /// It also went to an address outside, which is this.
    pub(crate) outside: Option<String>,
}

/// Everything that was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) submissions: BTreeMap<String, Submission>,
    /// Tokens that were appended to the appender's box.
    pub(crate) appended: BTreeMap<String, Said>,
    /// UIDs whose EXPUNGE the watcher was told, in its inbox.
    pub(crate) expunged: BTreeSet<u32>,
    /// Messages that erin fetched whole under load, in each fetch.
    pub(crate) fetched: u64,
    /// Which they are.
    pub(crate) served: BTreeSet<String>,
    /// What sessions were told of UIDs.
    pub(crate) identities: Identities,
    /// What sessions were told that contradicts what they had been told before.
    pub(crate) contradictions: Vec<String>,
}

/// One thing that a worker asked or was told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Submit {
        token: String,
        recipients: Vec<&'static str>,
        outside: Option<String>,
        said: Said,
    },
    Append(String, Said),
    Move(String, Said),
    Copy(String, Said),
    Recall(String, Said),
    Reported(String),
    Restore(String, Said),
    Expunged(u32),
    /// The message with this token came whole.
    Fetched(String),
    /// A UID names the message with this token.
    Named(Place, u32, String),
}

impl Ledger {
    /// Takes note. Of two events on one thing the acknowledgement comes later.
    pub(crate) fn note(&mut self, event: Event) {
        match event {
            Event::Submit {
                token,
                recipients,
                outside,
                said,
            } => {
                let entry = self.submissions.entry(token).or_insert(Submission {
                    recipients,
                    said,
                    recall: None,
                    reported: false,
                    restore: None,
                    moved: None,
                    copied: None,
                    outside,
                });
                entry.said = entry.said.max(said);
            }
            Event::Append(token, said) => {
                let entry = self.appended.entry(token).or_insert(said);
                *entry = (*entry).max(said);
            }
            Event::Move(token, said) => self.of(&token, |s| s.moved = s.moved.max(Some(said))),
            Event::Copy(token, said) => self.of(&token, |s| s.copied = s.copied.max(Some(said))),
            Event::Recall(token, said) => self.of(&token, |s| s.recall = s.recall.max(Some(said))),
            Event::Reported(token) => self.of(&token, |s| s.reported = true),
            Event::Restore(token, said) => {
                self.of(&token, |s| s.restore = s.restore.max(Some(said)));
            }
            Event::Expunged(uid) => {
                self.expunged.insert(uid);
            }
            Event::Fetched(token) => {
                self.fetched += 1;
                self.served.insert(token);
            }
            Event::Named(place, uid, token) => {
                let told = self.identities.told(place, uid, token);
                self.contradictions.extend(told);
            }
        }
    }

    fn of(&mut self, token: &str, change: impl FnOnce(&mut Submission)) {
        if let Some(submission) = self.submissions.get_mut(token) {
            change(submission);
        }
    }

    /// How many of these were acknowledged.
    pub(crate) fn count(&self, of: impl Fn(&Submission) -> bool) -> usize {
        self.submissions
            .values()
            .filter(|submission| of(submission))
            .count()
    }
}
