//! From facts to a plan, purely: what would happen to every copy if the recall ran now.
//!
//! A dry run shows the plan; an execution seals what it covers and finds each outcome again from
//! the copy itself, in the transaction that withdraws it.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use tern_base::{AccountId, MessageId, Timestamp};
use tern_mailbox::{Carriage, CopyRow, Cover, Exposure, Origins, Outside};
use tern_policy::Selection;
use tern_queue::{Ending, QueueId, State as ItemState, Status};

use crate::Reach;
use crate::chosen::is_chosen;
use crate::onward::{Onward, left_alone};
use crate::outcome::{CopyOutcome, Outcome, Reason, Tally};
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
    /// Every copy of the letter that is in a mailbox, and every message that carries it.
    pub copies: Vec<CopyRow>,
    /// Which of these are the sender's to take back.
    pub origins: Origins,
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

/// Plans a recall of the chosen recipients' copies, or of all.
pub fn plan(facts: &Facts, chosen: &[String], now: Timestamp) -> Plan {
    let owner = facts.submission.account;
    let named = &facts.named;
    let outcome_of = |copy: &CopyRow| {
        let outcome = if copy.account == owner {
            CopyOutcome::new(Outcome::KeptByPolicy, Reason::OwnCopy, now)
        } else if !facts.reach.reaches(copy.carriage()) {
            CopyOutcome::new(Outcome::KeptByPolicy, Reason::OutOfReach, now)
        } else if named.covers(copy.account) && facts.visible.contains(copy.account.0) {
            held_visible(now)
        } else if named.covers(copy.account) && facts.spared.contains(copy.account.0) {
            CopyOutcome::new(Outcome::KeptByPolicy, Reason::Spared, now)
        } else if named.covers(copy.account) {
            let exposure = facts.exposures.get(&(copy.account, copy.message));
            CopyOutcome::withdrawn(exposure.cloned(), now)
        } else {
            CopyOutcome::new(Outcome::KeptByPolicy, Reason::NotChosen, now)
        };
        outcome.carried(copy.carriage())
    };
    let planned = |copy: &CopyRow| PlannedCopy {
        account: copy.account,
        message: copy.message,
        outcome: outcome_of(copy),
    };
    // What another account sent is no copy of this submission: not even a word of it is said.
    let theirs: Vec<&CopyRow> = facts
        .copies
        .iter()
        .filter(|copy| facts.origins.covers(copy.origin))
        .collect();
    // Without some of its parts it is the letter all the same.
    let whole = theirs
        .iter()
        .filter(|copy| matches!(copy.carriage(), None | Some(Carriage::Reduced(_))));
    let holders: BTreeSet<AccountId> = whole.map(|copy| copy.account).collect();
    let copies = theirs.into_iter().map(planned).collect();
    let without_copy = |(n, target)| {
        let outcome = match n < facts.reached {
            true => target_outcome(facts, target, chosen, &holders, now),
            false => on_its_way(facts, target, chosen, now),
        };
        Some((n, outcome?))
    };
    let targets = facts
        .targets
        .iter()
        .enumerate()
        .filter_map(without_copy)
        .collect();
    let onward = facts.onward.iter().map(|copy| {
        let left = left_alone(copy.carriage, facts.reach, chosen.is_empty(), now);
        let outcome = left.unwrap_or_else(|| item_outcome(facts.items.get(&copy.item), now));
        outcome.carried(copy.carriage)
    });
    Plan {
        onward: onward.enumerate().collect(),
        copies,
        targets,
    }
}

/// The accounts of a cover that are not spared.
pub(crate) fn spare(cover: Cover, spared: &RoaringBitmap) -> Cover {
    match cover {
        Cover::Except(accounts) => Cover::Except(accounts | spared),
        Cover::Only(accounts) => Cover::Only(accounts - spared),
    }
}

/// The copies that are kept from leaving: all, or those to the chosen recipients.
pub(crate) fn outside(submission: &Submission, targets: &[Target], chosen: &[String]) -> Outside {
    if chosen.is_empty() {
        return Outside::All;
    }
    let number = |target: &Target| match target.destination {
        Destination::Outside { item, .. } if is_chosen(target, chosen) => {
            item.number_in(submission.id)
        }
        _ => None,
    };
    Outside::Only(submission.id, targets.iter().filter_map(number).collect())
}

/// The outcome of a copy that a hold forbids to hide.
pub(crate) const fn held_visible(now: Timestamp) -> CopyOutcome {
    CopyOutcome::new(Outcome::KeptOnHoldVisible, Reason::HeldVisible, now)
}

/// The outcome of an account's copies that a seal leaves though they were asked for: where every state
/// was, only a hold can have kept them.
pub(crate) const fn left_outcome(
    is_held: bool,
    selection: Selection,
    now: Timestamp,
) -> CopyOutcome {
    match selection {
        Selection::OnlyUnexposed | Selection::OnlyUnread if !is_held => {
            CopyOutcome::new(Outcome::KeptByPolicy, Reason::Spared, now)
        }
        _ => held_visible(now),
    }
}

/// The outcome of a target that the delivery has reached and that has no copy in a mailbox here,
/// whatever carries it; `None` when it has one, is the sender, or was refused.
pub(crate) fn target_outcome(
    facts: &Facts,
    target: &Target,
    chosen: &[String],
    holders: &BTreeSet<AccountId>,
    now: Timestamp,
) -> Option<CopyOutcome> {
    let not_chosen = CopyOutcome::new(Outcome::KeptByPolicy, Reason::NotChosen, now);
    match &target.destination {
        Destination::Nowhere => None,
        Destination::Account(account) => {
            if holders.contains(account) || *account == facts.submission.account {
                return None;
            }
            if !is_chosen(target, chosen) {
                return Some(not_chosen);
            }
            if let Some(taken) = facts.taken.get(account) {
                return Some(taken.clone());
            }
            let gone = CopyOutcome::gone(exposure_of(facts, *account), now);
            Some(match facts.removed.contains(account.0) {
                true => gone.with_account_removed(),
                false => gone,
            })
        }
        Destination::Outside { item, .. } if is_chosen(target, chosen) => {
            Some(item_outcome(facts.items.get(item), now))
        }
        Destination::Outside { .. } => Some(not_chosen),
    }
}

/// The outcome of a target that the delivery has not reached yet.
fn on_its_way(
    facts: &Facts,
    target: &Target,
    chosen: &[String],
    now: Timestamp,
) -> Option<CopyOutcome> {
    let own = Destination::Account(facts.submission.account);
    if target.destination == own {
        return None;
    }
    let (outcome, reason) = match &target.destination {
        Destination::Nowhere => return None,
        _ if !is_chosen(target, chosen) => (Outcome::KeptByPolicy, Reason::NotChosen),
        Destination::Account(account) if facts.visible.contains(account.0) => {
            return Some(held_visible(now));
        }
        Destination::Account(_) => (Outcome::BlockedLate, Reason::LateDelivery),
        Destination::Outside { .. } => (Outcome::Prevented, Reason::Queued),
    };
    Some(CopyOutcome::new(outcome, reason, now))
}

/// The outcome of a target that the delivery reached after the recall was undone, or of one that
/// nobody looked at before that.
pub(crate) fn undone_outcome(
    facts: &Facts,
    target: &Target,
    chosen: &[String],
    holders: &BTreeSet<AccountId>,
    now: Timestamp,
) -> Option<CopyOutcome> {
    let reason = match is_chosen(target, chosen) {
        true => Reason::Undone,
        false => Reason::NotChosen,
    };
    let undone = CopyOutcome::new(Outcome::KeptByPolicy, reason, now);
    match &target.destination {
        Destination::Nowhere => None,
        Destination::Account(account) => {
            let told = holders.contains(account) || *account == facts.submission.account;
            (!told).then_some(undone)
        }
        Destination::Outside { item, .. } => Some(match facts.items.get(item) {
            // It came under the seal.
            Some(Status::Finished(row)) if row.ending == Ending::Cancelled => {
                item_outcome(facts.items.get(item), now)
            }
            _ => undone,
        }),
    }
}

/// The most that was served of any copy an account has or had.
fn exposure_of(facts: &Facts, account: AccountId) -> Option<Exposure> {
    let all = (account, MessageId(0))..=(account, MessageId(u64::MAX));
    facts
        .exposures
        .range(all)
        .map(|(_, exposure)| exposure)
        .max_by_key(|e| e.level)
        .cloned()
}

/// What a queue item's state means for the copy that it carries, once it is cancelled.
fn item_outcome(status: Option<&Status>, now: Timestamp) -> CopyOutcome {
    let (outcome, reason) = match status {
        Some(Status::Live(item)) => match item.state {
            ItemState::InFlight { .. } => (Outcome::Pending, Reason::InFlight),
            _ if item.lost_attempts > 0 => (Outcome::Relayed, Reason::MaybeTakenOutside),
            _ => (Outcome::Prevented, Reason::Queued),
        },
        Some(Status::Finished(row)) => finished_item_outcome(row.ending, row.lost_attempts),
        // Its history is no longer kept, so it was finished long ago.
        None => (Outcome::Relayed, Reason::TakenOutside),
    };
    CopyOutcome::new(outcome, reason, now)
}

/// What the end of a queue item means for the copy that it carried.
pub(crate) const fn finished_item_outcome(ending: Ending, lost_attempts: u32) -> (Outcome, Reason) {
    match ending {
        Ending::Relayed => (Outcome::Relayed, Reason::TakenOutside),
        _ if lost_attempts > 0 => (Outcome::Relayed, Reason::MaybeTakenOutside),
        Ending::Refused | Ending::Expired => (Outcome::Prevented, Reason::RefusedOutside),
        Ending::Cancelled => (Outcome::Prevented, Reason::Queued),
    }
}
