//! What is left of a letter of which one attachment was taken back: a message of its own, in the place of
//! the one in the vault.
//!
//! It is known by what its row says that it lacks, and believed for what it holds: neither more nor less
//! than the letter without that.

use std::collections::BTreeSet;

use tern_base::{AccountId, ContentDigest, MessageId, Modseq};
use tern_mailbox::rows::Change;
use tern_mailbox::{Carriage, INBOX, Parts, SealTag};
use tern_recall::{CopyOutcome, Reason, Recall, State, Subject};

use super::copies::Shown;
use super::{Copy, Oracle, Place};
use crate::letter::{Part, marks};

impl Copy {
    /// Of which letter it is what is left, and what it lacks.
    pub(crate) fn lacks(&self) -> Option<(ContentDigest, Parts)> {
        self.carried.iter().find_map(|(digest, how)| match how {
            Carriage::Reduced(parts) => Some((*digest, *parts)),
            _ => None,
        })
    }

    /// Whether it is a letter, or what is left of it.
    pub(crate) fn is_of(&self, digest: ContentDigest) -> bool {
        let lacks = self.lacks().is_some_and(|(of, _)| of == digest);
        self.digest == digest || lacks
    }

    /// Whether a part was taken out of it.
    pub(super) fn is_without(&self, part: Part) -> bool {
        let lacks = self.lacks().zip(part.position());
        lacks.is_some_and(|((_, parts), position)| parts.has(position))
    }
}

impl Oracle {
    /// A message is what is left of a letter: it holds all of it but what it lacks. Whose place it
    /// takes is looked at once all of the account is known.
    pub(super) fn met_rest(&mut self, account: AccountId, message: MessageId, copy: &Copy) {
        self.fresh_rests.insert((account, message));
        let mailboxes = &self.observer.mailboxes;
        let row = mailboxes.message(account, message);
        let content = row.and_then(|row| self.observer.sealing.sealed_content(&row));
        let Ok(content) = content else { return };
        let has: BTreeSet<Part> = marks(&content).into_iter().map(|(part, _)| part).collect();
        for part in [Part::Subject, Part::Body, Part::Attachment, Part::Second] {
            if has.contains(&part) == copy.is_without(part) {
                self.broke(format!(
                    "account {account}: message {message} is left of letter {:?} without {:?}, and \
                     holds {has:?}",
                    copy.letter,
                    copy.lacks()
                ));
            }
        }
    }

    /// What is new in an account and is what is left of a letter: it has taken somebody's place.
    pub(super) fn check_rests(&mut self, account: AccountId) {
        for (of, message) in std::mem::take(&mut self.fresh_rests) {
            if of != account {
                self.fresh_rests.insert((of, message));
                continue;
            }
            let Some(copy) = self.copies.get(&(account, message)) else {
                continue;
            };
            let shown = match &copy.place {
                Place::Shown(shown) => shown.clone(),
                _ => Shown::new(),
            };
            let entered = shown
                .keys()
                .any(|mailbox| self.may_enter(account, *mailbox));
            let takes = self.takes_a_place(account, message, copy, &shown);
            if !entered && !takes {
                let what = format!("account {account}: message {message} takes nobody's place");
                self.broke(what);
            }
            if let Some(copy) = self.copies.get_mut(&(account, message)) {
                copy.by_owner = entered;
            }
        }
    }

    /// Whether a copy stands where one was that a recall of a part of it holds.
    fn takes_a_place(
        &self,
        account: AccountId,
        message: MessageId,
        copy: &Copy,
        shown: &Shown,
    ) -> bool {
        let Some((of, lacks)) = copy.lacks() else {
            return false;
        };
        let owners = self.copies.range(super::step::of_account(account));
        let mut others = owners.filter(|((_, id), other)| *id != message && other.is_of(of));
        others.any(|(_, other)| {
            let Place::Vault(tag) = other.place else {
                return false;
            };
            let had = other.lacks().map_or(Parts::default(), |(_, parts)| parts);
            let part = self.part_of(tag);
            let there = |mailbox| other.before.contains_key(mailbox) || *mailbox == INBOX;
            part.is_some_and(|part| had.with(part) == lacks)
                && other.origin == copy.origin
                && (shown.keys().all(there) || self.touched(account))
        })
    }

    /// The part that a recall takes out.
    fn part_of(&self, tag: SealTag) -> Option<u8> {
        let asked = self.asked.get(&tern_recall::RecallId(tag.0))?;
        asked.attachment?.position()
    }

    /// Each copy that a recall of a part holds has somebody in its place, and no two have the same.
    pub(super) fn check_places(&mut self, recall: &Recall, rows: &[(Subject, CopyOutcome)]) {
        if recall.attachment.is_none() || recall.state != State::Done {
            return;
        }
        for (subject, outcome) in rows {
            let Subject::Copy(account, message) = subject else {
                continue;
            };
            let copy = self.copies.get(&(*account, *message));
            let held = copy.is_some_and(|copy| copy.place == Place::Vault(recall.id.tag()));
            let due = held
                && outcome.carriage.is_none()
                && outcome.reason != Reason::PutBack
                && self.people.is_there(*account);
            if !due {
                continue;
            }
            let what = match outcome.stand_in {
                None => "has nobody",
                Some(id) if !self.copies.contains_key(&(*account, id)) => {
                    // One that came and went within a step is in no look after it.
                    if self.has_gone(*account, id) {
                        continue;
                    }
                    "has who never was"
                }
                Some(id) if !self.stand_ins.insert((*account, id)) => "has who stands elsewhere",
                Some(_) => continue,
            };
            self.broke(format!(
                "recall {}: message {message} of account {account} {what} in its place",
                recall.id
            ));
        }
    }

    /// Whether the change log of an account says that it had a message and has it no more.
    fn has_gone(&self, account: AccountId, message: MessageId) -> bool {
        let log = &self.observer.mailboxes;
        let all = log.account_changes(account, Modseq(0), usize::MAX);
        let went = |change: &tern_mailbox::AccountChange| matches!(change.change, Change::Vanished { message: it, destroyed: Some(_), .. } if it == message);
        all.is_ok_and(|all| all.iter().any(went))
    }

    /// What is left of a letter at rest stands where the letter was, or its owner has made it of what
    /// stood there.
    pub(super) fn check_all_rests(&mut self) {
        let rests = self.copies.iter().filter(|((account, _), copy)| {
            let shown = matches!(copy.place, Place::Shown(_));
            shown && copy.lacks().is_some() && !copy.by_owner && self.people.is_there(*account)
        });
        let alone = rests.filter(|(id, _)| !self.stand_ins.contains(id));
        let alone: Vec<_> = alone.map(|(id, _)| *id).collect();
        for (account, message) in alone {
            self.broke(format!(
                "account {account}: message {message} stands in nobody's place any more"
            ));
        }
    }
}
