//! Gathering what a plan rests on: a handful of key scans, whatever the size of the store.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use tern_base::{AccountId, ContentDigest, MessageId, OriginId, Timestamp};
use tern_mailbox::{Carriage, CopyRow, Cover, Exposure, MailboxError, Origins};
use tern_store::StoreError;

use crate::{
    Destination, Facts, Reach, Recall, RecallError, Recalls, Submission, Target, rivals, submission,
};

impl Recalls {
    /// The facts about a submission as they are now, and about what else its account sent of the
    /// letter and takes back with it. Where one part is to be taken, a copy that lacks it is none.
    pub(crate) fn facts(
        &self,
        submission: Submission,
        also: &[OriginId],
        part: Option<u8>,
    ) -> Result<Facts, RecallError> {
        let (engine, digest) = (&*self.engine, submission.digest);
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
        let origins = rivals::origins(engine, &submission)?;
        let mut copies = self.copies_and_carriers(digest)?;
        copies.retain(|copy| match (copy.carriage(), part) {
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
            named: Cover::Except(RoaringBitmap::new()),
            spared: RoaringBitmap::new(),
            reach: Reach::Attached,
            visible: RoaringBitmap::new(),
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
        let also = self.also(&found, recall)?;
        let mut facts = self.facts(found, &also, recall.part())?;
        facts.named = self.named(&facts.submission, &recall.chosen)?;
        facts.reach = recall.reach;
        facts.spared = self.spared(recall.selection, recall.reach, &facts.submission)?;
        facts.visible = self.visible(&facts.submission, recall.reach, now)?.1;
        facts.removed = self.removed(&facts)?;
        facts.taken = self.taken_elsewhere(recall, &facts, now)?;
        self.add_onward(&mut facts, &also)?;
        Ok(facts)
    }

    /// Every copy of a letter in a mailbox, whosever it is, then every message that carries it.
    pub(crate) fn copies_and_carriers(
        &self,
        digest: ContentDigest,
    ) -> Result<Vec<CopyRow>, RecallError> {
        let mut copies = self.mailboxes.copies(digest)?;
        copies.extend(self.mailboxes.carriers(digest)?);
        Ok(copies)
    }

    /// What was served of the copies of a letter that are a sender's to take back, also of those
    /// that are gone, and of the messages within reach that carry it.
    pub(crate) fn served(
        &self,
        digest: ContentDigest,
        origins: &Origins,
        reach: Reach,
    ) -> Result<Vec<(AccountId, MessageId, Exposure)>, RecallError> {
        let mut served = self.mailboxes.exposures(digest)?;
        served.retain(|(_, _, exposure)| origins.covers(exposure.origin));
        let mut carriers = self.mailboxes.carriers(digest)?;
        carriers.retain(|copy| origins.covers(copy.origin) && reach.reaches(copy.carriage()));
        let exposures = self.mailboxes.exposures_of(&carriers)?;
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

    /// What else is taken back with a submission, as things are. Where recipients are chosen, or
    /// where a header of the message itself asks for it, nothing is.
    pub(crate) fn also(
        &self,
        found: &Submission,
        asked: &Recall,
    ) -> Result<Vec<OriginId>, RecallError> {
        if !asked.chosen.is_empty() || asked.id.is_expiry_of(found) {
            return Ok(Vec::new());
        }
        let origins = rivals::origins(&*self.engine, found)?;
        Ok(rivals::also(&*self.engine, found, &origins)?)
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
