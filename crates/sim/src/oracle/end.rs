//! After each kill and at the end: every check of every table; at the end the outcome of every
//! copy of every recall as well.

use std::collections::BTreeMap;

use tern_base::{AccountId, MessageId, OriginId};
use tern_mailbox::{Carriage, ExposureLevel};
use tern_recall::{
    Attachment, CopyOutcome, Destination, Outcome, Reason, Recall, RecallId, State, Subject,
    submission,
};

use super::onward::{Said, is_same};
use super::step::of_account;
use super::{Oracle, Place};
use crate::letter::Part;
use crate::server::Server;

impl Oracle {
    /// The whole store, by its own checks; at rest the outcomes too.
    pub(crate) fn check_whole(&mut self, server: &Server, at_rest: bool) -> Result<(), String> {
        let delivery = self.observer.delivery.check().map_err(|e| e.to_string())?;
        let queue = tern_queue::check(&self.observer.mem).map_err(|e| e.to_string())?;
        let directory = tern_directory::check::check(&self.observer.mem);
        let mailboxes = self.observer.upkeep.check(&delivery.references);
        let recalls = self.observer.recalls.check().map_err(|e| e.to_string())?;
        let mut findings: Vec<String> = Vec::new();
        let directory = directory.map_err(|e| e.to_string())?;
        let mailboxes = mailboxes.map_err(|e| e.to_string())?;
        for found in [delivery.findings, queue, directory, mailboxes, recalls] {
            findings.extend(found.iter().map(ToString::to_string));
        }
        let chain = tern_audit::verify(&self.observer.mem, 1, None).map_err(|e| e.to_string())?;
        if !matches!(chain, tern_audit::Verified::Intact { .. }) {
            findings.push(format!("audit: {chain:?}"));
        }
        if let Some(first) = findings.first() {
            return Err(format!("check: {first} ({} findings)", findings.len()));
        }
        self.check_views(server)?;
        if at_rest {
            self.look_at_all(true)?;
            self.check_recalls()?;
            self.check_waits()?;
            self.check_ledgers()?;
            self.check_log()?;
        }
        self.verdict()
    }

    /// What the server shows is what a fresh look at the store shows.
    fn check_views(&mut self, server: &Server) -> Result<(), String> {
        for account in self.people.there() {
            let folders = self.observer.mailboxes.folders(account);
            for folder in folders.map_err(|e| e.to_string())? {
                let truth = self.observer.mailboxes.view(account, folder.id);
                let shown = server.mailboxes.view(account, folder.id);
                let (Ok(truth), Ok(shown)) = (truth, shown) else {
                    return Err(format!("account {account}: {} can't be seen", folder.path));
                };
                if !truth.iter().eq(shown.iter()) || truth.counters != shown.counters {
                    self.broke(format!(
                        "account {account}: the server's view of {} is not what is durable",
                        folder.path
                    ));
                }
            }
        }
        Ok(())
    }

    /// Every client that was seen to get text of a copy is in that copy's ledger.
    fn check_ledgers(&mut self) -> Result<(), String> {
        let mut missing = None;
        for ((account, message), copy) in &self.copies {
            let sealing = &self.observer.sealing;
            let ledger = sealing.ledger(*account, *message);
            let ledger = ledger.map_err(|error| error.to_string())?;
            let says = |address: &&str| {
                let apart = ledger
                    .servings
                    .iter()
                    .filter(|one| one.address == **address);
                let mut all = apart.chain(&ledger.others);
                all.any(|one| one.level() > Some(ExposureLevel::Headers))
            };
            if let Some(reader) = self.unnamed((*account, *message), &ledger) {
                missing.get_or_insert(format!(
                    "account {account}: account {reader} had text of message {message}, and its ledger \
                     does not name them"
                ));
            }
            if let Some(address) = copy.served_to.iter().find(|address| !says(address)) {
                missing.get_or_insert(format!(
                    "account {account}: text of message {message} left for {address}, and its \
                     ledger does not say so"
                ));
            }
        }
        if let Some(missing) = missing {
            self.broke(missing);
        }
        Ok(())
    }

    fn check_recalls(&mut self) -> Result<(), String> {
        let tags: Vec<_> = self.at_seal.keys().copied().collect();
        let mut recalls = Vec::with_capacity(tags.len());
        for tag in tags {
            let id = RecallId(tag.0);
            let recall = self.observer.recalls.recall(id);
            recalls.push(recall.map_err(|error| format!("recall {id}: {error}"))?);
        }
        let mut said = Said::new();
        for recall in &recalls {
            let id = recall.id;
            self.check_right(recall);
            if matches!(recall.state, State::Running | State::Restoring) {
                self.broke(format!("recall {id} is {} at rest", recall.state.code()));
            }
            self.check_copies(recall)?;
            self.check_targets(recall)?;
            self.check_onward(recall, &mut said)?;
        }
        for recall in &recalls {
            self.check_unsaid(recall, &said);
        }
        self.check_all_rests();
        Ok(())
    }

    /// Only whom the sender may take from, and only by a request that was allowed.
    fn check_right(&mut self, recall: &Recall) {
        let id = recall.id;
        let Some(arrival) = recall
            .submission
            .and_then(|origin| self.arrivals.get(&origin))
        else {
            return self.broke(format!("recall {id} is of a letter that nobody submitted"));
        };
        let submitter = arrival.submitter;
        if recall.owner != submitter {
            self.broke(format!(
                "recall {id} is for {:?}, sent by {submitter:?}",
                recall.owner
            ));
        }
        match self.asked.get(&id).cloned() {
            Some(asked) => {
                if !asked.allowed || recall.submission != Some(asked.origin) {
                    self.broke(format!("recall {id} was not asked for by whoever may"));
                }
                let part = |one: &Attachment| one.found.as_ref().ok().map(|found| found.position);
                let part = recall.attachment.as_ref().map(part);
                if part != asked.attachment.map(Part::position) {
                    self.broke(format!("recall {id} is not of {:?}", asked.attachment));
                }
                let chosen: Vec<String> = asked.chosen.iter().map(ToString::to_string).collect();
                if recall.chosen != chosen {
                    self.broke(format!("recall {id} is not limited to {chosen:?}"));
                }
            }
            // By a client of its owner: from everybody.
            None if ["imap", "smtp"].contains(&recall.protocol.as_str())
                && recall.chosen.is_empty() => {}
            None => self.broke(format!("recall {id} was asked for by nobody")),
        }
    }

    /// Every copy has exactly the outcome that the oracle saw.
    fn check_copies(&mut self, recall: &Recall) -> Result<(), String> {
        let id = recall.id;
        let rows = self
            .observer
            .recalls
            .outcomes(id)
            .map_err(|e| e.to_string())?;
        let rows: BTreeMap<(AccountId, MessageId), CopyOutcome> = rows
            .into_iter()
            .filter_map(|(subject, outcome)| match subject {
                Subject::Copy(account, message) => Some(((account, message), outcome)),
                Subject::Target(_) | Subject::Onward(..) => None,
            })
            .collect();
        let undone = recall.state == State::Restored;
        let all: Vec<_> = rows
            .iter()
            .map(|((a, m), row)| (Subject::Copy(*a, *m), row.clone()))
            .collect();
        self.check_places(recall, &all);
        for (copy_id, copy) in &self.copies {
            let by_this = copy.place == Place::Vault(id.tag());
            if by_this && !rows.contains_key(copy_id) {
                let what = format!("recall {id}: {copy_id:?} is in the vault without an outcome");
                self.broken.get_or_insert(what);
            }
            // Where the account has another copy back, what a client put there since stays away.
            let put_back = rows
                .get(copy_id)
                .is_some_and(|row| row.reason == Reason::PutBack && row.carriage.is_none());
            let put_back = put_back
                && rows
                    .range(of_account(copy_id.0))
                    .filter(|(_, row)| row.carriage.is_none())
                    .any(|(_, row)| row.reason != Reason::PutBack || row.restored.is_some());
            // What was taken from an account that is removed since has nowhere to go back to.
            let removed = !self.people.is_there(copy_id.0);
            if by_this && undone && !put_back && !removed {
                let what = format!(
                    "recall {id}: undone, and {copy_id:?} is in the vault: {copy:?}, {:?}",
                    rows.get(copy_id)
                );
                self.broken.get_or_insert(what);
            }
        }
        for (copy_id, outcome) in &rows {
            if let Some(what) = self.wrong_outcome(recall, *copy_id, outcome) {
                self.broken.get_or_insert(format!(
                    "recall {id}: message {} of account {}: {} ({}): {what}",
                    copy_id.1,
                    copy_id.0,
                    outcome.outcome.code(),
                    outcome.reason.code()
                ));
            }
        }
        Ok(())
    }

    /// What is wrong with a copy's outcome, if anything.
    fn wrong_outcome(
        &self,
        recall: &Recall,
        (account, message): (AccountId, MessageId),
        outcome: &CopyOutcome,
    ) -> Option<&'static str> {
        let Some(copy) = self.copies.get(&(account, message)) else {
            return Some("there never was such a copy");
        };
        match copy.carriage_of(recall.digest) {
            None => return Some("it is another letter"),
            Some(carriage)
                if !is_same(
                    carriage.filter(|how| !matches!(how, Carriage::Reduced(_))),
                    outcome.carriage,
                ) =>
            {
                return Some("it is carried otherwise");
            }
            Some(_) => {}
        }
        let undone = outcome.restored.is_some();
        if undone && recall.state != State::Restored {
            return Some("said to be restored, and the recall stands");
        }
        match outcome.outcome {
            // It may have been withdrawn and back between two looks, or, if it is what is left of a letter that
            // is whole again, away.
            Outcome::WithdrawnExposed | Outcome::WithdrawnUnexposed
                if !(copy.withdrawn
                    || undone
                    || outcome.purged.is_some() && self.is_taken_away(copy)) =>
            {
                Some("it never was withdrawn")
            }
            // What an undone recall handed over to another one came back by that one's undoing, and may
            // have been read since.
            Outcome::WithdrawnUnexposed
                if copy.body_out && !undone && recall.state != State::Restored =>
            {
                Some("octets of its body had left")
            }
            // The one exception: the record is durable before an octet leaves, so what was cut
            // off, killed or sealed in between is on record without having left.
            Outcome::WithdrawnExposed if !copy.body_out && !copy.attempted => {
                Some("no octet of its body had left, and nobody was about to be served")
            }
            Outcome::BlockedLate if !copy.late && !undone => Some("it did not arrive late"),
            Outcome::KeptByPolicy => match self.covers_at_seal(recall, account, copy) {
                true => Some("the seal covers it"),
                false => None,
            },
            Outcome::KeptOnHoldVisible if self.covers_at_seal(recall, account, copy) => {
                Some("the seal covers it")
            }
            Outcome::KeptOnHoldVisible if !self.perhaps_visible(account, recall.digest) => {
                Some("no hold forbids to hide it")
            }
            Outcome::WithdrawnExposed
            | Outcome::WithdrawnUnexposed
            | Outcome::BlockedLate
            | Outcome::KeptOnHoldVisible => None,
            _ => Some("no outcome of a copy"),
        }
    }

    fn covers_at_seal(&self, recall: &Recall, account: AccountId, copy: &super::Copy) -> bool {
        let seals = self.seals.get(&recall.digest);
        let seal = seals.and_then(|s| s.iter().find(|seal| seal.tag == recall.id.tag()));
        let carriage = copy.carriage_of(recall.digest).flatten();
        seal.is_some_and(|seal| seal.covers(account, copy.origin, carriage))
    }

    /// Every target without a copy has the outcome that the oracle saw.
    fn check_targets(&mut self, recall: &Recall) -> Result<(), String> {
        let id = recall.id;
        let fault = |error: tern_store::StoreError| error.to_string();
        let mut targets = Vec::new();
        for origin in recall.submission.iter().chain(&recall.also) {
            let of_one = submission::targets(&self.observer.mem, *origin).map_err(fault)?;
            targets.extend(of_one.into_iter().map(|target| (*origin, target)));
        }
        let rows = self
            .observer
            .recalls
            .outcomes(id)
            .map_err(|e| e.to_string())?;
        for (n, (origin, target)) in targets.iter().enumerate() {
            let here = Subject::Target(n as u32);
            let row = rows.iter().find(|(subject, _)| *subject == here);
            let reason = row.map(|(_, row)| row.reason);
            let row = row.map(|(_, row)| row.outcome);
            let wrong = match &target.destination {
                Destination::Nowhere => row.map(|_| "was refused and has an outcome"),
                Destination::Account(account) => {
                    let is_theirs = |subject: &Subject| matches!(subject, Subject::Copy(of, _) if of == account);
                    let mut whole = rows.iter().filter(|(_, row)| row.carriage.is_none());
                    let has_copy = whole.any(|(subject, _)| is_theirs(subject));
                    let own = Some(*account) == recall.owner;
                    match row {
                        None if has_copy || own => None,
                        None => Some("has no outcome"),
                        Some(Outcome::AlreadyGone) => self
                            .not_gone(recall, *origin, *account)
                            .or_else(|| self.wrongly_gone(recall, *account, reason?)),
                        Some(Outcome::KeptByPolicy) if !recall.chosen.is_empty() => None,
                        Some(Outcome::KeptOnHoldVisible)
                            if self.perhaps_visible(*account, recall.digest) =>
                        {
                            None
                        }
                        // By another recall of the same letter.
                        Some(Outcome::WithdrawnExposed | Outcome::WithdrawnUnexposed)
                            if self.was_withdrawn(recall, *account) =>
                        {
                            None
                        }
                        Some(_) => Some("has an outcome that can't be"),
                    }
                }
                Destination::Outside { address, .. } => {
                    let taken = self.was_taken(*origin, &canonical(address));
                    match row {
                        Some(Outcome::Prevented) if taken => Some("was taken outside"),
                        Some(Outcome::Prevented | Outcome::Relayed) => None,
                        Some(Outcome::KeptByPolicy) if !recall.chosen.is_empty() => None,
                        Some(_) => Some("has an outcome that can't be"),
                        None => Some("has no outcome"),
                    }
                }
            };
            if let Some(wrong) = wrong {
                self.broke(format!("recall {id}: {target:?} {wrong}: {row:?}"));
            }
        }
        Ok(())
    }

    fn was_withdrawn(&self, recall: &Recall, account: AccountId) -> bool {
        let mut copies = self.copies.range(of_account(account)).map(|(_, copy)| copy);
        copies.any(|copy| copy.is_of(recall.digest) && (copy.withdrawn || copy.late))
    }

    /// A recipient who is said to have deleted their copy: it must be gone, and not by us.
    fn not_gone(
        &self,
        recall: &Recall,
        origin: OriginId,
        account: AccountId,
    ) -> Option<&'static str> {
        let copies = self.copies.range(of_account(account)).map(|(_, copy)| copy);
        let there = copies
            .filter(|copy| copy.origin == origin && !copy.brought && !copy.by_client)
            .any(|copy| copy.place.is_within_reach());
        (there && recall.state != State::Restored).then_some("is said to be gone and is there")
    }

    /// Whether it was deleted by its owner, or went with the account, is not mixed up.
    fn wrongly_gone(
        &self,
        recall: &Recall,
        account: AccountId,
        reason: Reason,
    ) -> Option<&'static str> {
        let removed = matches!(reason, Reason::RemovedUnread | Reason::RemovedAfterServing);
        let was_gone = self.at_seal.get(&recall.id.tag());
        let was_gone = was_gone.is_some_and(|at| at.gone.contains(&account));
        match removed {
            true if self.people.is_there(account) => Some("is said to be removed and is there"),
            false if was_gone => Some("was removed and is said to have deleted it"),
            _ => None,
        }
    }
}

pub(super) fn canonical(address: &str) -> String {
    tern_base::EmailAddress::parse(address)
        .map_or_else(|_| address.to_owned(), |address| address.canonical())
}
