//! Facts to verdict: whether an actor may take a message back, under which conditions.
//!
//! A [`Policy`] is asked a [`Question`] that holds every fact it may use, and answers a
//! [`Verdict`] that names the policies which decided it. Both are plain values: the caller stores
//! them with the act, so a decision can be understood and repeated years later.
//!
//! Invariant: the same question gets the same verdict. A policy reads no store, no clock and no
//! network; what it can't decide it denies.
//!
//! Refuses to gather facts, to count requests and to keep challenges or approvals: those belong to
//! the operation that asks.
//!
//! [`DefaultPolicy`] is plain code. A policy engine that evaluates written policies stands behind
//! the same trait.

pub mod default_policy;
pub mod question;
pub mod verdict;

pub use default_policy::DefaultPolicy;
pub use question::{
    Actor, Authentication, Message, Mode, Notice, Operation, Options, Question, Reach, Selection,
};
pub use verdict::{Decision, DenyReason, PolicyId, Verdict};

/// Decides. Implementations are shared between sessions.
pub trait Policy: Send + Sync {
    /// The verdict on a question.
    fn decide(&self, question: &Question) -> Verdict;
}
