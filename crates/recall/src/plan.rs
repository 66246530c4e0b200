//! From facts to a plan, purely: what would happen to every copy if the recall ran now.
//!
//! A dry run shows the plan; an execution seals what it covers and finds each outcome again from
//! the copy itself, in the transaction that withdraws it.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use tern_base::{AccountId, MessageId, OriginId, Timestamp};
use tern_mailbox::{CopyRow, Cover, Exposure, Origins};
use tern_queue::{Ending, QueueId, State as ItemState, Status};

use crate::outcome::{CopyOutcome, Outcome, Reason, Tally};
use crate::submission::{Destination, Submission, Target};

/// Everything a plan rests on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The submission.
    pub submission: Submission,
    /// Where its recipients led.
    pub targets: Vec<Target>,
    /// Every copy of the letter that is in a mailbox.
    pub copies: Vec<CopyRow>,
    /// What was served of which copy, of copies that are gone too.
    pub exposures: BTreeMap<(AccountId, MessageId), Exposure>,
    /// Submissions of the same letter by other accounts.
    pub rivals: Vec<OriginId>,
    /// The queue's items of the submission, live and finished.
    pub items: BTreeMap<QueueId, Status>,
}

/// What would happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Whose copies the seal covers.
    pub cover: Cover,
    /// Brought by which transactions.
    pub origins: Origins,
    /// Each copy, and its outcome if nothing changes until then.
    pub copies: Vec<PlannedCopy>,
    /// Each target without a copy here, by its position in [`Facts::targets`].
    pub targets: Vec<(usize, CopyOutcome)>,
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
        let all = copies.chain(self.targets.iter().map(|(_, outcome)| outcome));
        for outcome in all.filter(|outcome| outcome.reason != Reason::OwnCopy) {
            tally.add(outcome.outcome);
        }
        tally
    }
}

/// Plans a recall of the chosen recipients' copies, or of all.
pub fn plan(facts: &Facts, chosen: &[String], now: Timestamp) -> Plan {
    let owner = facts.submission.account;
    let cover = cover(owner, &facts.targets, chosen);
    let origins = origins(facts.submission.id, &facts.rivals);
    let outcome_of = |copy: &CopyRow| {
        if copy.account == owner {
            CopyOutcome::new(Outcome::KeptByPolicy, Reason::OwnCopy, now)
        } else if cover.covers(copy.account) {
            let exposure = facts.exposures.get(&(copy.account, copy.message));
            CopyOutcome::withdrawn(exposure.cloned(), now)
        } else {
            CopyOutcome::new(Outcome::KeptByPolicy, Reason::NotChosen, now)
        }
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
        .filter(|copy| origins.covers(copy.origin))
        .collect();
    let holders: BTreeSet<AccountId> = theirs.iter().map(|copy| copy.account).collect();
    let copies = theirs.into_iter().map(planned).collect();
    let without_copy =
        |(n, target)| Some((n, target_outcome(facts, target, chosen, &holders, now)?));
    let targets = facts
        .targets
        .iter()
        .enumerate()
        .filter_map(without_copy)
        .collect();
    Plan {
        cover,
        origins,
        copies,
        targets,
    }
}

/// The accounts whose copies are taken: all but the sender's, or the chosen ones.
pub(crate) fn cover(owner: AccountId, targets: &[Target], chosen: &[String]) -> Cover {
    if chosen.is_empty() {
        return Cover::Except(RoaringBitmap::from([owner.0]));
    }
    let mut accounts = RoaringBitmap::new();
    for target in targets.iter().filter(|target| is_chosen(target, chosen)) {
        match target.destination {
            Destination::Account(account) if account != owner => drop(accounts.insert(account.0)),
            _ => {}
        }
    }
    Cover::Only(accounts)
}

/// The copies that are this sender's to take back. Another account may have sent the same letter
/// word for word: what it sent is never touched, and if it was first, only what this very
/// submission brought is.
pub(crate) fn origins(submission: OriginId, rivals: &[OriginId]) -> Origins {
    if rivals.iter().any(|rival| *rival < submission) {
        Origins::Only(submission)
    } else {
        Origins::AllBut(rivals.to_vec())
    }
}

/// Whether a target is among the chosen: its recipient, a step of its way, or its end.
pub(crate) fn is_chosen(target: &Target, chosen: &[String]) -> bool {
    let named = |address: &str| chosen.iter().any(|one| one.eq_ignore_ascii_case(address));
    let end = match &target.destination {
        Destination::Account(_) => false,
        Destination::Outside { address, .. } => named(address),
    };
    chosen.is_empty() || end || named(&target.recipient) || target.via.iter().any(|via| named(via))
}

/// The outcome of a target that has no copy in a mailbox here; `None` when it has one, or is the
/// sender.
pub(crate) fn target_outcome(
    facts: &Facts,
    target: &Target,
    chosen: &[String],
    holders: &BTreeSet<AccountId>,
    now: Timestamp,
) -> Option<CopyOutcome> {
    let not_chosen = CopyOutcome::new(Outcome::KeptByPolicy, Reason::NotChosen, now);
    match &target.destination {
        Destination::Account(account) => {
            if holders.contains(account) || *account == facts.submission.account {
                return None;
            }
            if !is_chosen(target, chosen) {
                return Some(not_chosen);
            }
            Some(CopyOutcome::gone(exposure_of(facts, *account), now))
        }
        Destination::Outside { item, .. } if is_chosen(target, chosen) => {
            Some(item_outcome(facts.items.get(item), now))
        }
        Destination::Outside { .. } => Some(not_chosen),
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
