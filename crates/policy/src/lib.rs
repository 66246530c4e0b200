//! Facts to verdict: whether an actor may take a message back, under which conditions.
//!
//! A [`Policy`] is asked a [`Question`] that holds every fact it may use, and answers a
//! [`Verdict`] that names the policies which decided it and the inputs they saw. Both are plain
//! values: the caller stores them with the act, so a decision can be understood years later.
//!
//! A [`PolicySet`] is such a policy: policies written in Cedar (<https://docs.cedarpolicy.com>),
//! checked against `schema.cedarschema` when they are loaded. What ships is in
//! `config/policies/` and built in, see [`built_in`].
//!
//! Invariants:
//! - The same question gets the same verdict of the same set. A set reads no store, no clock, no
//!   file and no network; it is given texts.
//! - A set is loaded whole or not at all.
//! - What is not permitted is denied; a policy that fails while it is evaluated denies; what is
//!   not known is absent and never guessed.
//! - A refusal says nothing about a message that the actor has no permission for.
//!
//! Refuses to gather facts, to count requests and to keep challenges or approvals: those belong to
//! the operation that asks.

pub mod cases;
pub mod limits;
pub mod permission;
pub mod question;
pub mod verdict;

mod built_in;
mod decide;
mod duration;
mod error;
mod facts;
mod load;
mod rule;
mod set;
mod visibility;

pub use built_in::{SHIPPED_DEFAULT, UNATTENDED, built_in, unattended};
pub use error::PolicyError;
pub use permission::Permission;
pub use question::{
    Actor, Authentication, Device, LocalTime, Message, Mode, Notice, Operation, Options, Question,
    Relation, Selection, Surroundings,
};
pub use rule::Effect;
pub use set::{PolicySet, Rule};
pub use verdict::{Decision, DenyReason, PolicyId, Verdict};
pub use visibility::Visibility;

/// Decides. Implementations are shared between sessions.
pub trait Policy: Send + Sync {
    /// The verdict on a question.
    fn decide(&self, question: &Question) -> Verdict;

    /// Whether it looks at how many copies are unread, which takes its time to count.
    fn looks_at_unread(&self) -> bool {
        false
    }

    /// How much whoever asks may see of what became of the message; `None` for nothing at all, not
    /// even that there is something. `is_party` says that they sent it, or asked for its recall.
    /// Of a policy that knows no more than yes and no, a yes to exposure shows everything.
    fn visibility(&self, question: &Question, is_party: bool) -> Option<Visibility> {
        match self.decide(&visibility::asked(question)).is_allowed() {
            true => Some(Visibility::Full),
            false => is_party.then_some(Visibility::Outcomes),
        }
    }
}
