//! What other submissions send to other servers of a letter: messages that carry it, and the letter itself,
//! sent again.
//!
//! A message that came to an account here is found by its copies; one that went outside leaves nothing here
//! but the queue's record of it. So whatever is sent outside is filed by the letters that it is and carries,
//! in the transaction that accepts it, and goes when it is forgotten.
//!
//! Invariant: each such copy that a recall speaks for has one outcome in it. What was accepted before the
//! seal is found by where it is filed; of what is accepted later, or had not come to the queue yet, a mark is
//! left in the transaction that stops it there, for the recall under whose seal that is: as a late copy in a
//! mailbox, it has its outcome in that one alone.
//!
//! Refuses to speak of what a seal does not cover: that others send the same letter is theirs.

use std::collections::BTreeSet;

use tern_base::codec::{Reader, Writer};
use tern_base::{ContentDigest, OriginId, Timestamp};
use tern_mailbox::{Carriage, Letter, Origins, SealTag};
use tern_queue::{QueueId, Status as ItemStatus};
use tern_store::{Finding, StoreError, Transaction, Verdict};

use crate::audit::Act;
use crate::outcome_of::{Item, Known, Stays, outcome_of};
use crate::status::each_row;
use crate::submission::{submission, targets, under_way, under_way_in};
use crate::{
    CopyOutcome, Destination, Facts, Outcome, Recall, RecallError, RecallId, Recalls, State,
    Subject, Submission, Target, tables,
};

/// Copies whose outcomes one transaction settles.
const CHUNK: usize = 500;

/// One copy that another submission sends to another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onward {
    /// The submission that sends it.
    pub submission: OriginId,
    /// Its place in where that leads.
    pub number: u32,
    /// The queue's item.
    pub item: QueueId,
    /// How the message carries the letter; `None` where it is the letter.
    pub carriage: Option<Carriage>,
}

/// Files what is sent outside by the letters in it, in the transaction that accepts it.
pub(crate) fn file_in(txn: &mut Transaction<'_>, sent: &Submission) {
    if sent.outside > 0 {
        for letter in letters(sent) {
            let mut w = Writer::versioned(1);
            w.option(letter.carriage, |w, carriage| carriage.write(w));
            txn.put(tables::onward(letter.digest, sent.id), w.finish());
        }
    }
}

/// Takes it out again, in the transaction that forgets it.
pub(crate) fn forget_in(txn: &mut Transaction<'_>, sent: &Submission) {
    for letter in letters(sent) {
        txn.delete(tables::onward(letter.digest, sent.id));
    }
    txn.delete(tables::spoken_of(sent.id));
}

/// The letter that a submission is, then those that it carries.
fn letters(sent: &Submission) -> impl Iterator<Item = Letter> + '_ {
    let own = Letter {
        digest: sent.digest,
        carriage: None,
    };
    std::iter::once(own).chain(sent.carried.iter().copied())
}

fn read_carriage(row: &[u8]) -> Result<Option<Carriage>, StoreError> {
    let mut r = Reader::of_version(row, 1)?;
    Ok(r.option(Carriage::read)?)
}

/// Notes, in the transaction that does it, that something of this origin was stopped on its way out under a
/// seal: its outcome is due.
pub fn note_stopped_in(txn: &mut Transaction<'_>, tag: SealTag, origin: OriginId) {
    txn.put(tables::stopped(RecallId(tag.0), origin), Vec::new());
}

/// Whether a recall speaks for what a transaction sent outside that is the letter or carries it.
fn speaks_for(origins: &Origins, origin: OriginId, carriage: Option<Carriage>) -> bool {
    origins.covers(Carriage::brought_by(carriage, origin))
}

/// Where the recipients outside are among where a submission leads.
fn outside(targets: &[Target]) -> impl Iterator<Item = (u32, QueueId, &Target)> {
    let numbered = (0..).zip(targets);
    numbered.filter_map(|(number, target)| match target.destination {
        Destination::Outside { item, .. } => Some((number, item, target)),
        Destination::Account(_) | Destination::Nowhere => None,
    })
}

/// Why the seal does not stop a copy, though the recall speaks for it; `None` where it does.
pub(crate) fn left_alone(
    carriage: Option<Carriage>,
    reach: crate::Reach,
    is_for_all: bool,
) -> Option<Stays> {
    if !reach.reaches(carriage) {
        Some(Stays::OutOfReach)
    } else if !is_for_all {
        Some(Stays::NotChosen)
    } else {
        None
    }
}

impl Recalls {
    /// What is filed of a letter that a recall speaks for, besides what it is about itself.
    fn sent_on(
        &self,
        digest: ContentDigest,
        origins: &Origins,
        own: &[OriginId],
    ) -> Result<Vec<(OriginId, Option<Carriage>)>, RecallError> {
        let mut found = Vec::new();
        each_row(&*self.engine, tables::onward_of(digest), |key, row| {
            let (_, origin) = tables::read_onward(key)?;
            let filed = read_carriage(row)?;
            let carriage = self.is_carried(digest, origin, filed)?;
            let speaks =
                speaks_for(origins, origin, carriage) || speaks_for(origins, origin, filed);
            if !own.contains(&origin) && speaks {
                found.push((origin, carriage));
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// How what a transaction sent outside carries a letter, as whom it is filed. What has come back as it
    /// was is the letter.
    fn is_carried(
        &self,
        digest: ContentDigest,
        origin: OriginId,
        filed: Option<Carriage>,
    ) -> Result<Option<Carriage>, StoreError> {
        let Some(Carriage::Returned(_)) = filed else {
            return Ok(filed);
        };
        let sent = submission(&*self.engine, origin)?;
        Ok(filed.filter(|_| sent.is_none_or(|sent| sent.digest != digest)))
    }

    /// Adds to the facts what other submissions send to other servers: for plans. A recall settles each by
    /// itself.
    pub(crate) fn add_onward(
        &self,
        facts: &mut Facts,
        also: &[OriginId],
    ) -> Result<(), RecallError> {
        let own = [&[facts.submission.id], also].concat();
        let engine = &*self.engine;
        for (origin, carriage) in self.sent_on(facts.submission.digest, &facts.origins, &own)? {
            let targets = targets(engine, origin)?;
            for (number, item, _) in outside(&targets) {
                if let Some(status) = tern_queue::status(engine, item)? {
                    facts.items.insert(item, status);
                } else if is_on_its_way(under_way(engine, origin)?, number) {
                    continue;
                }
                facts.onward.push(Onward {
                    submission: origin,
                    number,
                    item,
                    carriage,
                });
            }
        }
        Ok(())
    }

    /// Gives everything that was filed before the seal its outcome.
    pub(crate) fn settle_onward(
        &self,
        recall: &Recall,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let own: Vec<OriginId> = recall.sendings().collect();
        for (origin, carriage) in self.sent_on(recall.digest, &facts.origins, &own)? {
            self.settle_sending(recall.id, origin, carriage, now)?;
        }
        Ok(())
    }

    /// Gives what was stopped on its way out under a seal its outcome; answers how much was new.
    pub(crate) fn note_stopped(&self, tag: SealTag, now: Timestamp) -> Result<usize, RecallError> {
        let id = RecallId(tag.0);
        let mut origins = Vec::new();
        each_row(&*self.engine, tables::stopped_of(id), |key, _| {
            origins.push(tables::read_stopped(key)?.1);
            Ok(())
        })?;
        if origins.is_empty() {
            return Ok(0);
        }
        let recall = self.recall(id)?;
        let mut fresh = 0;
        for origin in origins {
            let row = self.engine.get(&tables::onward(recall.digest, origin))?;
            match row {
                Some(row) if !recall.sendings().any(|own| own == origin) => {
                    let carriage = self.is_carried(recall.digest, origin, read_carriage(&row)?)?;
                    fresh += self.settle_sending(id, origin, carriage, now)?;
                }
                // It is among the recall's own recipients, or a notice of the server's, which has none.
                _ => self.forget_stopped(id, origin)?,
            }
        }
        Ok(fresh)
    }

    /// The recalls under whose seals something was stopped that has no outcome yet.
    pub(crate) fn stopped_tags(&self) -> Result<Vec<SealTag>, RecallError> {
        let mut tags = Vec::new();
        each_row(&*self.engine, tables::whole(tables::STOPPED), |key, _| {
            tags.push(tables::read_stopped(key)?.0.tag());
            Ok(())
        })?;
        tags.dedup();
        Ok(tags)
    }

    fn forget_stopped(&self, id: RecallId, origin: OriginId) -> Result<(), RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            txn.delete(tables::stopped(id, origin));
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// Gives each copy that a submission sends outside its outcome, where it has none; answers how many
    /// got one.
    fn settle_sending(
        &self,
        id: RecallId,
        origin: OriginId,
        carriage: Option<Carriage>,
        now: Timestamp,
    ) -> Result<usize, RecallError> {
        let targets = targets(&*self.engine, origin)?;
        let out: Vec<(u32, QueueId, &Target)> = outside(&targets).collect();
        let mut fresh = 0;
        let chunks = out.chunks(CHUNK);
        let last = chunks.len().saturating_sub(1);
        for (n, chunk) in chunks.enumerate() {
            let of = (id, origin, carriage);
            fresh += self.settle_onward_chunk(of, (&targets, chunk), n == last, now)?;
        }
        if out.is_empty() {
            self.forget_stopped(id, origin)?;
        }
        Ok(fresh)
    }

    fn settle_onward_chunk(
        &self,
        (id, origin, carriage): (RecallId, OriginId, Option<Carriage>),
        (targets, chunk): (&[Target], &[(u32, QueueId, &Target)]),
        is_last: bool,
        now: Timestamp,
    ) -> Result<usize, RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = self.recall_in(txn, id)?;
            // Whoever goes on with the delivery meanwhile writes this.
            let way = under_way_in(txn, origin)?;
            let mut settled = Vec::new();
            for (number, item, _) in chunk {
                let subject = Subject::Onward(origin, *number);
                let key = tables::outcome(id, subject);
                if txn.get(&key)?.is_some() || is_on_its_way(way, *number) {
                    continue;
                }
                let outcome = self.onward_outcome_in(txn, &recall, (*item, carriage), now)?;
                if let Some(outcome) = outcome {
                    let outcome = outcome.carried(carriage);
                    txn.put(key, outcome.encode());
                    settled.push((subject, outcome));
                }
            }
            let named = |subject| match subject {
                Subject::Onward(_, number) => targets.get(number as usize),
                Subject::Copy(..) | Subject::Target(_) => None,
            };
            self.audit_outcomes(txn, &recall, Act::Settled, &settled, named, now)?;
            if is_last {
                txn.delete(tables::stopped(id, origin));
            }
            if !settled.is_empty() {
                txn.put(tables::spoken_of(origin), Vec::new());
                let is_pending = |(_, one): &(_, CopyOutcome)| one.outcome == Outcome::Pending;
                recall.unsettled |= recall.state.is_over() && settled.iter().any(is_pending);
                recall.changed();
                recall.put_in(txn)?;
            }
            Ok::<_, RecallError>(Verdict::Commit(settled.len()))
        })
    }

    /// The outcome of a copy that has come to the queue. Once the recall is undone nothing is stopped any
    /// more, and only of what had been there is something to say.
    fn onward_outcome_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        (item, carriage): (QueueId, Option<Carriage>),
        now: Timestamp,
    ) -> Result<Option<CopyOutcome>, RecallError> {
        if matches!(recall.state, State::Restoring | State::Restored) {
            // What is finished stays so.
            let status = tern_queue::status(&*self.engine, item)?;
            return Ok(match status {
                Some(ItemStatus::Finished(row)) if row.ending == tern_queue::Ending::Cancelled => {
                    let item = self.cancel_item_in(txn, item, now)?;
                    outcome_of(Known::Onward { stays: None, item }, now)
                }
                _ => None,
            });
        }
        let stays = left_alone(carriage, recall.reach, recall.chosen.is_empty());
        let item = match stays {
            // It goes where it was going, whatever the queue says of it.
            Some(_) => Item::Forgotten,
            None => self.cancel_item_in(txn, item, now)?,
        };
        Ok(outcome_of(Known::Onward { stays, item }, now))
    }

    /// What is filed as sent outside was, and is; and nothing is left of a mark that led to its outcome.
    pub(crate) fn check_onward(&self, findings: &mut Vec<Finding>) -> Result<(), RecallError> {
        let engine = &*self.engine;
        each_row(engine, tables::whole(tables::ONWARD), |key, _| {
            let (digest, origin) = tables::read_onward(key)?;
            let sent = submission(engine, origin)?;
            let is = |sent: &Submission| letters(sent).any(|letter| letter.digest == digest);
            if !sent.is_some_and(|sent| sent.outside > 0 && is(&sent)) {
                findings.push(Finding(format!("message {origin}: is filed as sent on")));
            }
            Ok(())
        })
    }

    /// What recalls say of what others send outside, and of which something is still to be said.
    pub(crate) fn said_onward(&self, recalls: &[Recall]) -> Result<SaidOnward, RecallError> {
        let mut said = SaidOnward::default();
        for recall in recalls {
            self.each_outcome_elsewhere(recall.id, |subject, _| {
                if let Subject::Onward(origin, number) = subject {
                    said.of.insert((origin, number));
                }
            })?;
        }
        each_row(&*self.engine, tables::whole(tables::STOPPED), |key, _| {
            said.due.insert(tables::read_stopped(key)?.1);
            Ok(())
        })?;
        for (origin, number) in &said.of {
            let targets = targets(&*self.engine, *origin)?;
            if !outside(&targets).any(|(n, ..)| n == *number) {
                let fault = format!("an outcome is of no copy {number} of {origin}");
                said.faults.push(Finding(fault));
            }
        }
        Ok(said)
    }

    /// What neither a finished recall nor another one says of what others send outside.
    pub(crate) fn unsaid_onward(
        &self,
        recall: &Recall,
        said: &SaidOnward,
    ) -> Result<Vec<String>, RecallError> {
        let mut faults = Vec::new();
        // Once its time is over the seal stops nothing, and nobody says anything of what comes later.
        let Some(seal) = self.sealing().seal_of(recall.digest, recall.id.tag())? else {
            return Ok(faults);
        };
        let own: Vec<OriginId> = recall.sendings().collect();
        for (origin, carriage) in self.sent_on(recall.digest, &seal.origins, &own)? {
            let is_for_all = recall.chosen.is_empty();
            let left = left_alone(carriage, recall.reach, is_for_all);
            // Of what nothing stops, what came later has no line.
            if said.due.contains(&origin) || left.is_some() {
                continue;
            }
            let way = under_way(&*self.engine, origin)?;
            for (number, ..) in outside(&targets(&*self.engine, origin)?) {
                if !is_on_its_way(way, number) && !said.of.contains(&(origin, number)) {
                    faults.push(format!("says nothing of copy {number} of {origin}"));
                }
            }
        }
        Ok(faults)
    }
}

/// What all recalls say of what others send outside.
#[derive(Debug, Default)]
pub(crate) struct SaidOnward {
    of: BTreeSet<(OriginId, u32)>,
    /// Of which something was stopped, and has no outcome yet.
    due: BTreeSet<OriginId>,
    /// Outcomes of nothing.
    pub(crate) faults: Vec<Finding>,
}

/// Whether the delivery of a submission has not reached a recipient yet.
fn is_on_its_way(way: Option<crate::submission::UnderWay>, number: u32) -> bool {
    way.is_some_and(|way| number >= way.reached)
}
