//! From facts to a plan, purely: what would happen to every copy if the recall ran now.
//!
//! A dry run shows the plan; an execution seals what it covers and finds each outcome again from
//! the copy itself, in the transaction that withdraws it.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use tern_base::{AccountId, MessageId, Timestamp};
use tern_mailbox::{Carriage, CopyRow, Cover, Exposure, Origins};
use tern_queue::{QueueId, Status};

use crate::Reach;
use crate::chosen::is_chosen;
use crate::onward::{Onward, left_alone};
use crate::outcome::{CopyOutcome, Reason, Tally};
use crate::outcome_of::{Here, Item, Known, Led, Place, Stays, outcome_of};
use crate::{Destination, Submission, Target};

/// Everything a plan rests on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The submission.
    pub submission: Submission,
    /// Where its recipients led.
    pub targets: Vec<Target>,
    /// How many of the targets the delivery has reached.
    pub reached: usize,
    /// Every copy of the letter that is in a mailbox and the sender's to take back, and every message that
    /// carries one. What another account sent is no copy of the submission: not even a word of it is said.
    pub copies: Vec<CopyRow>,
    /// What is the sender's to take back: as it was sealed, where it is.
    pub origins: Origins,
    /// Whose copies the seal covers; those that are asked for, where nothing is sealed.
    pub cover: Cover,
    /// What was served of which copy of theirs, of copies that are gone too.
    pub exposures: BTreeMap<(AccountId, MessageId), Exposure>,
    /// Whose copies are asked for.
    pub named: Cover,
    /// The queue's items of the submission, live and finished.
    pub items: BTreeMap<QueueId, Status>,
    /// Accounts whose copies stay, since a copy of theirs is not in the state that was asked for.
    pub spared: RoaringBitmap,
    /// How far beyond the letter itself.
    pub reach: Reach,
    /// Accounts whose copies a hold forbids to hide.
    pub visible: RoaringBitmap,
    /// Recipients without a copy whose accounts were removed.
    pub removed: RoaringBitmap,
    /// What became of the copies of recipients that other recalls hold.
    pub taken: BTreeMap<AccountId, CopyOutcome>,
    /// What other submissions send to other servers that are the letter or carry it, and are the sender's to
    /// take back.
    pub onward: Vec<Onward>,
}

/// What would happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Each copy, and its outcome if nothing changes until then.
    pub copies: Vec<PlannedCopy>,
    /// Each target without a copy here, by its position in [`Facts::targets`].
    pub targets: Vec<(usize, CopyOutcome)>,
    /// Each copy that another submission sends outside, by its position in [`Facts::onward`].
    pub onward: Vec<(usize, CopyOutcome)>,
}

/// One copy of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCopy {
    /// The account.
    pub account: AccountId,
    /// The message.
    pub message: MessageId,
    /// Its outcome.
    pub outcome: CopyOutcome,
}

impl Plan {
    /// How many copies would end how, the sender's own left out.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        let copies = self.copies.iter().map(|copy| &copy.outcome);
        let elsewhere = self.targets.iter().chain(&self.onward);
        let all = copies.chain(elsewhere.map(|(_, outcome)| outcome));
        for outcome in all.filter(|outcome| outcome.reason != Reason::OwnCopy) {
            tally.add(outcome.outcome);
        }
        tally
    }
}

impl Facts {
    /// Why a copy of an account stays, or would, that is the letter or carries it so.
    pub(crate) fn why_it_stays(
        &self,
        account: AccountId,
        carriage: Option<Carriage>,
    ) -> Option<Stays> {
        if account == self.submission.account {
            Some(Stays::Own)
        } else if !self.reach.reaches(carriage) {
            Some(Stays::OutOfReach)
        } else if !self.named.covers(account) {
            Some(Stays::NotChosen)
        } else if self.visible.contains(account.0) {
            Some(Stays::Held)
        } else if self.spared.contains(account.0) {
            Some(Stays::Spared)
        } else {
            None
        }
    }

    /// The most that was served of any copy an account has or had.
    pub(crate) fn exposure_of(&self, account: AccountId) -> Option<Exposure> {
        let all = (account, MessageId(0))..=(account, MessageId(u64::MAX));
        let served = self.exposures.range(all).map(|(_, exposure)| exposure);
        served.max_by_key(|exposure| exposure.level).cloned()
    }
}

/// Plans a recall of the chosen recipients' copies, or of all.
pub fn plan(facts: &Facts, chosen: &[String], now: Timestamp) -> Plan {
    let mut copies = Vec::new();
    let mut holders = BTreeSet::new();
    for copy in &facts.copies {
        let (account, message, carriage) = (copy.account, copy.message, copy.carriage());
        // Without some of its parts it is the letter all the same.
        if matches!(carriage, None | Some(Carriage::Reduced(_))) {
            holders.insert(account);
        }
        let known = Known::Copy {
            stays: facts.why_it_stays(account, carriage),
            exposure: facts.exposures.get(&(account, message)).cloned(),
        };
        copies.extend(outcome_of(known, now).map(|outcome| PlannedCopy {
            account,
            message,
            outcome: outcome.carried(carriage),
        }));
    }
    let targets = facts.targets.iter().enumerate();
    let targets = targets.filter_map(|(n, target)| {
        let led = led_by_facts(facts, (n, target), chosen, &holders);
        Some((n, outcome_of(Known::Led(led), now)?))
    });
    let onward = facts.onward.iter().enumerate().filter_map(|(n, copy)| {
        let known = Known::Onward {
            stays: left_alone(copy.carriage, facts.reach, chosen.is_empty()),
            item: Item::of(facts.items.get(&copy.item)),
        };
        Some((n, outcome_of(known, now)?.carried(copy.carriage)))
    });
    Plan {
        targets: targets.collect(),
        onward: onward.collect(),
        copies,
    }
}

/// What the facts say of the recipient of this number.
fn led_by_facts(
    facts: &Facts,
    (n, target): (usize, &Target),
    chosen: &[String],
    holders: &BTreeSet<AccountId>,
) -> Led {
    let reached = n < facts.reached;
    let place = match target.destination {
        Destination::Nowhere => Place::Nowhere,
        Destination::Outside { item, .. } => Place::Outside(Item::of(facts.items.get(&item))),
        Destination::Account(account) if account == facts.submission.account => Place::Told,
        Destination::Account(account) if reached && holders.contains(&account) => Place::Told,
        Destination::Account(account) => Place::Here(Here {
            // Of somebody who has been reached, and has no copy, nothing is left to keep.
            stays: match reached {
                true => None,
                false => facts.why_it_stays(account, None),
            },
            elsewhere: facts.taken.get(&account).cloned(),
            removed: facts.removed.contains(account.0),
            exposure: facts.exposure_of(account),
        }),
    };
    Led {
        chosen: is_chosen(target, chosen),
        reached,
        undone: false,
        place,
    }
}
