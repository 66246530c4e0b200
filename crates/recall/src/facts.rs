//! Gathering what a plan rests on: a handful of key scans, whatever the size of the store.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use tern_base::{AccountId, ContentDigest, MessageId, OriginId, Timestamp};
use tern_mailbox::{Carriage, CopyRow, Exposure, MailboxError, Origins};
use tern_store::StoreError;

use crate::chosen::is_chosen;
use crate::left::Left;
use crate::{
    Destination, Facts, Reach, Recall, RecallError, Recalls, Submission, Target, rivals, submission,
};

impl Recalls {
    /// The facts about what a recall is about as they are now, and about what else its account sent of
    /// the letter and takes back with it. Where one part is to be taken, a copy that lacks it is none.
    ///
    /// What it covers is what its seal says. The same letter may have been sent again since it fell, which
    /// changes nothing.
    pub(crate) fn facts(
        &self,
        submission: Submission,
        recall: &Recall,
        also: &[OriginId],
    ) -> Result<Facts, RecallError> {
        let (engine, digest) = (&*self.engine, submission.digest);
        let seal = self.sealing.seal_of(recall.digest, recall.id.tag())?;
        let (named, left, cover, origins) = match seal {
            Some(seal) => {
                let left = Left::read(engine, recall.id)?;
                (left.named(&seal.cover), left, seal.cover, seal.origins)
            }
            None => {
                let origins = self.origins(&submission, recall.is_set_when_sent(&submission))?;
                let named = self.named(&submission, &origins, &recall.chosen)?;
                (named.clone(), Left::default(), named, origins)
            }
        };
        let sendings = || std::iter::once(submission.id).chain(also.iter().copied());
        let (mut targets, mut reached, mut items) = (Vec::new(), None, BTreeMap::new());
        for id in sendings() {
            // Looked at before the copies: whoever counts as reached has got theirs by then.
            let under_way = submission::under_way(engine, id)?;
            if let Some(way) = under_way {
                reached.get_or_insert(targets.len() + way.reached as usize);
            }
            targets.extend(submission::targets(engine, id)?);
        }
        let mut copies = self.copies_and_carriers(digest, &origins)?;
        copies.retain(|copy| match (copy.carriage(), recall.part()) {
            (Some(Carriage::Reduced(lacks)), Some(part)) => !lacks.has(part),
            _ => true,
        });
        let exposures = self.served(digest, &origins, Reach::Attached)?;
        for id in sendings() {
            let found = tern_queue::by_origin(engine, id)?.into_iter();
            items.extend(found.map(|status| (status.id(), status)));
        }
        Ok(Facts {
            submission,
            reached: reached.unwrap_or(targets.len()),
            targets,
            copies,
            origins,
            cover,
            named,
            spared: left.spared,
            reach: recall.reach,
            visible: left.held,
            removed: RoaringBitmap::new(),
            taken: BTreeMap::new(),
            onward: Vec::new(),
            exposures: exposures
                .into_iter()
                .map(|(a, m, exposure)| ((a, m), exposure))
                .collect(),
            items,
        })
    }

    /// All that a plan of this recall rests on, as it is now.
    pub(crate) fn facts_now(
        &self,
        found: Submission,
        recall: &Recall,
        now: Timestamp,
    ) -> Result<Facts, RecallError> {
        let origins = self.origins(&found, recall.is_set_when_sent(&found))?;
        let also = self.also(&found, &origins, recall)?;
        let mut facts = self.facts(found, recall, &also)?;
        let (found, reach) = (&facts.submission, recall.reach);
        facts.spared = self.spared(recall.selection, reach, (found, &facts.origins))?;
        facts.visible = self.visible((found, &facts.origins), reach, now)?.1;
        facts.removed = self.removed(&facts)?;
        facts.taken = self.taken_elsewhere(recall, &facts, now)?;
        self.add_onward(&mut facts, &also)?;
        Ok(facts)
    }

    /// Every copy of a letter in a mailbox that is a sender's to take back, then every message that carries
    /// it: each once.
    pub(crate) fn copies_and_carriers(
        &self,
        digest: ContentDigest,
        origins: &Origins,
    ) -> Result<Vec<CopyRow>, RecallError> {
        let mut copies = self.mailboxes.copies(digest)?;
        copies.extend(self.carriers(digest)?);
        let mut known = BTreeSet::new();
        let is_new = |copy: &CopyRow| {
            origins.covers(copy.origin) && known.insert((copy.account, copy.message))
        };
        copies.retain(is_new);
        Ok(copies)
    }

    /// Every message in a mailbox that carries a letter. What has come back as it was is the letter.
    fn carriers(&self, digest: ContentDigest) -> Result<Vec<CopyRow>, RecallError> {
        let mut carriers = self.mailboxes.carriers(digest)?;
        for copy in &mut carriers {
            copy.carrier = copy.carrier.filter(|(_, of)| *of != digest);
        }
        Ok(carriers)
    }

    /// What was served of the copies of a letter that are a sender's to take back, also of those
    /// that are gone, and of the messages within reach that carry it.
    pub(crate) fn served(
        &self,
        digest: ContentDigest,
        origins: &Origins,
        reach: Reach,
    ) -> Result<Vec<(AccountId, MessageId, Exposure)>, RecallError> {
        let mut served = self.sealing.exposures(digest)?;
        served.retain(|(_, _, exposure)| origins.covers(exposure.origin));
        let mut carriers = self.carriers(digest)?;
        let known: BTreeSet<_> = served
            .iter()
            .map(|(account, id, _)| (*account, *id))
            .collect();
        carriers.retain(|copy| {
            let theirs = origins.covers(copy.origin) && reach.reaches(copy.carriage());
            theirs && !known.contains(&(copy.account, copy.message))
        });
        let exposures = self.sealing.exposures_of(&carriers)?;
        let carriers = carriers.into_iter().zip(exposures);
        served.extend(carriers.filter_map(|(copy, exposure)| {
            exposure.map(|exposure| (copy.account, copy.message, exposure))
        }));
        Ok(served)
    }

    /// Recipients without a copy whose accounts were removed: for plans, which are shown. A recall looks
    /// when it settles each.
    pub(crate) fn removed(&self, facts: &Facts) -> Result<RoaringBitmap, RecallError> {
        let holders: RoaringBitmap = facts.copies.iter().map(|copy| copy.account.0).collect();
        let mut removed = RoaringBitmap::new();
        for target in &facts.targets {
            if let Destination::Account(account) = target.destination
                && !holders.contains(account.0)
                && matches!(
                    self.mailboxes.account_head(account),
                    Err(MailboxError::NoAccount)
                )
            {
                removed.insert(account.0);
            }
        }
        Ok(removed)
    }

    /// The facts about a recall that is sealed, or was, as they are now.
    pub(crate) fn facts_of(&self, recall: &Recall) -> Result<Facts, RecallError> {
        self.facts(self.submission_of(recall)?, recall, &recall.also)
    }

    /// What else its account sent of the letter that is taken back with a submission, as things are; where
    /// recipients are chosen, what led to any of them.
    pub(crate) fn also(
        &self,
        found: &Submission,
        origins: &Origins,
        asked: &Recall,
    ) -> Result<Vec<OriginId>, RecallError> {
        let engine = &*self.engine;
        let also = rivals::also(engine, found, origins)?;
        if asked.chosen.is_empty() {
            return Ok(also);
        }
        let mut leading = Vec::new();
        for sending in also {
            let targets = submission::targets(engine, sending)?;
            if targets
                .iter()
                .any(|target| is_chosen(target, &asked.chosen))
            {
                leading.push(sending);
            }
        }
        Ok(leading)
    }

    /// Where the recipients led of whom a recall speaks.
    pub(crate) fn targets_of(&self, recall: &Recall) -> Result<Vec<Target>, RecallError> {
        let mut targets = Vec::new();
        for sending in recall.sendings() {
            targets.extend(submission::targets(&*self.engine, sending)?);
        }
        Ok(targets)
    }

    /// The submission that a recall is about, if one was found.
    pub(crate) fn submission_found(
        &self,
        recall: &Recall,
    ) -> Result<Option<Submission>, RecallError> {
        Ok(match recall.submission {
            Some(id) => submission::submission(&*self.engine, id)?,
            None => None,
        })
    }

    /// The submission that a recall is about.
    pub(crate) fn submission_of(&self, recall: &Recall) -> Result<Submission, RecallError> {
        let id = recall
            .submission
            .ok_or(RecallError::WrongState("about no submission"))?;
        Ok(submission::submission(&*self.engine, id)?.ok_or(StoreError::Damaged)?)
    }
}
