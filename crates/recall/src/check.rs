//! Verifies the invariants of the recall tables: for `tern check` and at the end of tests.

use std::collections::{BTreeSet, HashSet};

use tern_base::{AccountId, MessageId};
use tern_store::Finding;

use crate::onward::SaidOnward;
use crate::status::each_row;
use crate::{
    Destination, Facts, Outcome, Recall, RecallError, RecallId, Recalls, State, Subject, tables,
};

impl Recalls {
    /// Checks every recall: what is unfinished is on the list of open ones; a finished recall has
    /// no covered copy in a mailbox, and an outcome for every target that it is past; every
    /// withdrawn copy is in the vault, restored or purged; nothing is left of what is purged; what is filed as an answer is one.
    pub fn check(&self) -> Result<Vec<Finding>, RecallError> {
        let mut recalls = Vec::new();
        self.each_recall(|recall| recalls.push(recall))?;
        let mut findings = Vec::new();
        let known: HashSet<&[u8]> = recalls.iter().map(|recall| &recall.id.0[..]).collect();
        each_row(&*self.engine, tables::whole(tables::VERDICT), |key, _| {
            if !key.get(1..).is_some_and(|id| known.contains(id)) {
                findings.push(Finding("a verdict belongs to no recall".to_owned()));
            }
            Ok(())
        })?;
        each_row(&*self.engine, tables::whole(tables::REPLY), |key, _| {
            if !key.get(1..).is_some_and(|id| known.contains(id)) {
                findings.push(Finding("an answer is owed about no recall".to_owned()));
            }
            Ok(())
        })?;
        let mut said = self.said_onward(&recalls)?;
        findings.append(&mut said.faults);
        for recall in &recalls {
            self.check_one(recall, &said, &mut findings)?;
            self.check_purged(recall, &mut findings)?;
        }
        self.check_waiting(&recalls, &mut findings)?;
        self.check_answers(&mut findings)?;
        self.check_onward(&mut findings)?;
        Ok(findings)
    }

    /// What waits is on both lists of what waits, and nothing else is.
    fn check_waiting(
        &self,
        recalls: &[Recall],
        findings: &mut Vec<Finding>,
    ) -> Result<(), RecallError> {
        let waiting = recalls.iter().filter(|recall| recall.state.is_waiting());
        let waiting: BTreeSet<RecallId> = waiting.map(|recall| recall.id).collect();
        let lists = [
            (
                tables::WAITS_UNTIL,
                tables::read_waits_until as fn(&[u8]) -> _,
            ),
            (tables::WAITS, tables::read_waits),
        ];
        for (table, read) in lists {
            let mut listed = BTreeSet::new();
            each_row(&*self.engine, tables::whole(table), |key, _| {
                listed.insert(read(key)?);
                Ok(())
            })?;
            for id in listed.symmetric_difference(&waiting) {
                findings.push(Finding(format!(
                    "recall {id}: is not on the list that it waits on"
                )));
            }
        }
        for id in &waiting {
            if self.wait_of(*id)?.is_none() {
                findings.push(Finding(format!(
                    "recall {id}: does not say what it waits for"
                )));
            }
        }
        Ok(())
    }

    fn check_one(
        &self,
        recall: &Recall,
        said: &SaidOnward,
        findings: &mut Vec<Finding>,
    ) -> Result<(), RecallError> {
        let mut fault =
            |what: String| findings.push(Finding(format!("recall {}: {what}", recall.id)));
        let open = self.engine.get(&tables::open(recall.id))?.is_some();
        if recall.is_open() != open {
            fault(format!("is on the list of open ones: {open}"));
        }
        if recall.state != State::Done {
            return Ok(());
        }
        let facts = self.facts_of(recall)?;
        // Once its time is over the seal keeps nothing out, and is gone.
        let seal = self.sealing().seal_of(recall.digest, recall.id.tag())?;
        let covers = |copy: &&tern_mailbox::CopyRow| {
            let seal = seal.as_ref();
            seal.is_some_and(|seal| seal.cover.covers(copy.account))
        };
        let reached = |copy: &&tern_mailbox::CopyRow| recall.reach.reaches(copy.carriage());
        for copy in facts.copies.iter().filter(covers).filter(reached) {
            fault(format!(
                "covers message {} of account {}",
                copy.message, copy.account
            ));
        }
        let mut withdrawn = Vec::new();
        let mut told = BTreeSet::new();
        self.each_outcome(recall.id, |subject, outcome| {
            told.insert(match subject {
                Subject::Copy(..) if outcome.carriage.is_some() => Told::Carrier,
                Subject::Copy(account, _) => Told::Account(account),
                Subject::Target(n) => Told::Target(n as usize),
                Subject::Onward(..) => return,
            });
            let Subject::Copy(account, message) = subject else {
                return;
            };
            let taken = matches!(
                outcome.outcome,
                Outcome::WithdrawnExposed | Outcome::WithdrawnUnexposed | Outcome::BlockedLate
            );
            if taken && outcome.restored.is_none() && outcome.purged.is_none() {
                withdrawn.push((account, message));
            }
        })?;
        let vaulted = self.all_vaulted(recall)?;
        for copy in withdrawn.iter().filter(|copy| !vaulted.contains(copy)) {
            fault(format!(
                "withdrew message {} of account {}: not kept",
                copy.1, copy.0
            ));
        }
        targets_without(recall, &facts, &told)
            .into_iter()
            .for_each(&mut fault);
        self.unsaid_onward(recall, said)?
            .into_iter()
            .for_each(fault);
        Ok(())
    }

    fn all_vaulted(&self, recall: &Recall) -> Result<Vec<(AccountId, MessageId)>, RecallError> {
        let mut vaulted = Vec::new();
        let mut after = None;
        loop {
            let page = self.sealing().vaulted(recall.id.tag(), after, 1_000)?;
            let Some(last) = page.last() else {
                return Ok(vaulted);
            };
            after = Some((last.account, last.message));
            vaulted.extend(page.iter().map(|copy| (copy.account, copy.message)));
        }
    }

    /// Of what was purged on record nothing is left.
    fn check_purged(
        &self,
        recall: &Recall,
        findings: &mut Vec<Finding>,
    ) -> Result<(), RecallError> {
        let mut purged = Vec::new();
        self.each_outcome(recall.id, |subject, outcome| {
            if let (Subject::Copy(account, message), Some(_)) = (subject, outcome.purged) {
                purged.push((account, message));
            }
        })?;
        for (account, message) in purged {
            if !self.sealing().is_gone(recall.digest, account, message)? {
                let what = format!("purged message {message} of account {account}: not gone");
                findings.push(Finding(format!("recall {}: {what}", recall.id)));
            }
        }
        Ok(())
    }
}

/// What is known of an outcome: whose copy, or which target, or that it is of a message that carries
/// the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Carrier,
    Account(AccountId),
    Target(usize),
}

/// Targets that lack an outcome, and outcomes that lack a target.
fn targets_without(recall: &Recall, facts: &Facts, told: &BTreeSet<Told>) -> Vec<String> {
    let mut faults = Vec::new();
    for one in told {
        if let Told::Target(n) = one
            && *n >= facts.targets.len()
        {
            faults.push(format!("has an outcome of no target {n}"));
        }
    }
    let settled = facts.targets.iter().enumerate();
    for (n, target) in settled.take(recall.settled as usize) {
        let needless = match target.destination {
            Destination::Nowhere => true,
            Destination::Account(account) => {
                account == facts.submission.account || told.contains(&Told::Account(account))
            }
            Destination::Outside { .. } => false,
        };
        if !needless && !told.contains(&Told::Target(n)) {
            faults.push(format!("has no outcome of target {n}: {target:?}"));
        }
    }
    let all = facts.targets.len() as u32;
    if !recall.unsettled && recall.settled != all {
        faults.push(format!("has looked at {} of {all} targets", recall.settled));
    }
    faults
}
