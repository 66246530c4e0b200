//! The policy that ships: own messages, for a day, ten an hour.
//!
//! Checked in this order, so that a refusal tells no more than the actor may know: permission,
//! ownership, age, rate. Whoever may act on any message is bound by neither ownership nor age.

use crate::question::{Question, Reach};
use crate::verdict::{Decision, DenyReason, Verdict};
use crate::{Operation, Policy};

/// One hour, in milliseconds.
const HOUR_MS: u64 = 60 * 60 * 1000;

/// The rules and their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultPolicy {
    /// Whether messages can be taken back at all.
    pub enabled: bool,
    /// The greatest age of a message, in milliseconds. 24 hours by default.
    pub max_age_ms: u64,
    /// How many requests of one actor in an hour. 10 by default.
    pub max_per_hour: u32,
}

impl Default for DefaultPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            max_age_ms: 24 * HOUR_MS,
            max_per_hour: 10,
        }
    }
}

impl Policy for DefaultPolicy {
    fn decide(&self, question: &Question) -> Verdict {
        let deny = Verdict::deny;
        let reach = question.actor.reach;
        if !self.enabled {
            return deny("default.enabled", DenyReason::NotEnabled);
        }
        if reach == Reach::Nothing {
            return deny("default.permission", DenyReason::NotEnabled);
        }
        if reach == Reach::Any {
            return Verdict::by("default.any", Decision::Allow);
        }
        if !is_theirs(question) {
            return deny("default.own", DenyReason::NotYours);
        }
        // Undoing is open as long as the copies are kept, which the operation knows.
        if question.operation == Operation::Restore {
            return Verdict::by("default.own", Decision::Allow);
        }
        if question.message.age_ms > self.max_age_ms {
            return deny("default.age", DenyReason::TooOld);
        }
        let limited = question.operation == Operation::Recall;
        if limited && question.requests_last_hour >= self.max_per_hour {
            return deny("default.rate", DenyReason::RateLimited);
        }
        Verdict::by("default.own", Decision::Allow)
    }
}

/// The submitting account is the proof of ownership; what a header says never is.
fn is_theirs(question: &Question) -> bool {
    let Some(submitter) = question.message.submitter else {
        return false;
    };
    let actor = &question.actor;
    let delegated = actor.reach >= Reach::Delegate && actor.delegate_of.contains(&submitter);
    actor.account == Some(submitter) || delegated
}
