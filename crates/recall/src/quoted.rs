//! Which messages answer a message or forward it in their own text, and so may quote it.
//!
//! They are known by what they say of themselves: the Message-IDs in their References and In-Reply-To
//! (RFC 5322 3.6.4), filed when they are accepted. The nearest is what a message answers; the one before
//! is what that answers, and so on: an answer is found at its depth although one between is not known here.
//!
//! Invariant: only what comes from somebody who had the message is said to answer it. A Message-ID can be
//! put into anything, by anybody.
//!
//! Refuses to look into texts: what quotes a message and does not say that it answers it is not found.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::AccountId;
use tern_mime::ParsedMessage;
use tern_store::{Finding, StoreError, Transaction};

use crate::status::each_row;
use crate::submission::{ids, message_id_hash, submission, targets};
use crate::{Destination, RecallError, Recalls, Submission, limits, tables};

/// The Message-IDs that a message answers, as they are filed, the nearest first. What it takes the place of
/// (RFC 5536 3.2.12) it does not answer: a correction is not to go with what it corrects.
pub fn answered_by(mail: &ParsedMessage, content: &[u8]) -> Vec<[u8; 16]> {
    let replaced = tern_mime::header_value(content, "Supersedes").unwrap_or_default();
    let replaced: Vec<String> = tern_mime::message_ids(&replaced).collect();
    let newest = mail.thread_ids.iter().rev();
    newest
        .filter(|id| !replaced.contains(id) && mail.message_id.as_ref() != Some(id))
        .take(limits::MAX_DEPTH.into())
        .map(|id| message_id_hash(id))
        .collect()
}

/// Files what a message answers, in the transaction that accepts it.
pub(crate) fn file_in(txn: &mut Transaction<'_>, found: &Submission) {
    for hash in &found.answers {
        txn.put(tables::answer(hash, found.id), Vec::new());
    }
}

/// Forgets what a message answers, in the transaction that forgets it.
pub(crate) fn forget_in(txn: &mut Transaction<'_>, found: &Submission) {
    for hash in &found.answers {
        txn.delete(tables::answer(hash, found.id));
    }
}

/// A message that answers another, or answers what answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoting {
    /// The message.
    pub submission: Submission,
    /// How many answers it is away: 1 is a direct answer.
    pub depth: u8,
}

/// What answers a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quoted {
    /// The nearest first, and of these the oldest.
    pub all: Vec<Quoting>,
    /// There are more than were looked at.
    pub more: bool,
}

impl Recalls {
    /// What answers a message, so many answers deep, whoever may know of it.
    pub(crate) fn quoted(&self, root: &Submission, depth: u8) -> Result<Quoted, RecallError> {
        let mut room = limits::MAX_ANSWERS;
        let all = self.quoted_within(root, depth, &mut room)?;
        let more = room == 0;
        Ok(Quoted { all, more })
    }

    /// The same, of so many messages that say that they answer one, which are taken off; in the order of
    /// [`Quoted::all`].
    pub(crate) fn quoted_within(
        &self,
        root: &Submission,
        depth: u8,
        room: &mut usize,
    ) -> Result<Vec<Quoting>, RecallError> {
        let depth = depth.min(limits::MAX_DEPTH);
        let mut known = BTreeMap::from([(root.id, (0, root.clone()))]);
        for level in 0..depth {
            let at_level = known.values().filter(|(at, _)| *at == level);
            let parents: Vec<Submission> = at_level.map(|(_, parent)| parent.clone()).collect();
            for parent in parents {
                let answers = self.answers_to(&parent, room)?;
                for (away, answer) in answers {
                    let at = level.saturating_add(away);
                    let before = known.get(&answer.id).map_or(u8::MAX, |(at, _)| *at);
                    if at <= depth && at < before {
                        known.insert(answer.id, (at, answer));
                    }
                }
            }
        }
        let found = known.into_values().filter(|(at, _)| *at > 0);
        let mut all: Vec<Quoting> = found
            .map(|(depth, submission)| Quoting { submission, depth })
            .collect();
        all.sort_by_key(|one| (one.depth, one.submission.id));
        Ok(all)
    }

    /// What says that it answers a message and comes from somebody who had it, with how far away it says
    /// that it is.
    fn answers_to(
        &self,
        parent: &Submission,
        room: &mut usize,
    ) -> Result<Vec<(u8, Submission)>, RecallError> {
        let engine = &*self.engine;
        if parent.message_id.is_empty() {
            return Ok(Vec::new());
        }
        let hash = message_id_hash(&parent.message_id);
        let said = ids(engine, tables::answers_to(&hash), *room)?;
        *room -= said.len();
        if said.is_empty() {
            return Ok(Vec::new());
        }
        let readers = self.readers(parent)?;
        let mut found = Vec::new();
        for id in said {
            // What came in may be forgotten at any time.
            let Some(answer) = submission(engine, id)? else {
                continue;
            };
            let away = answer.answers.iter().position(|one| *one == hash);
            let away = away.ok_or(StoreError::Damaged)? as u8 + 1;
            if readers.contains(&answer.account) {
                found.push((away, answer));
            }
        }
        Ok(found)
    }

    /// Who had a message: its sender, those to whom it led, and those who have a copy however they came
    /// by it; [`Submission::OUTSIDE`] where it was outside.
    fn readers(&self, message: &Submission) -> Result<BTreeSet<AccountId>, RecallError> {
        let mut readers = BTreeSet::from([message.account]);
        for target in targets(&*self.engine, message.id)? {
            match target.destination {
                Destination::Account(account) => readers.insert(account),
                Destination::Outside { .. } => readers.insert(Submission::OUTSIDE),
                Destination::Nowhere => false,
            };
        }
        let copies = self.mailboxes.copies(message.digest)?;
        readers.extend(copies.iter().map(|copy| copy.account));
        Ok(readers)
    }

    /// What is filed as an answer is on record, and says so.
    pub(crate) fn check_answers(&self, findings: &mut Vec<Finding>) -> Result<(), RecallError> {
        let engine = &*self.engine;
        each_row(engine, tables::whole(tables::ANSWER), |key, _| {
            let (hash, id) = tables::read_answer(key)?;
            let found = submission(engine, id)?;
            if !found.is_some_and(|found| found.answers.contains(&hash)) {
                findings.push(Finding(format!("message {id}: is filed as an answer")));
            }
            Ok(())
        })
    }
}
