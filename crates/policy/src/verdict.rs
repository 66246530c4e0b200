//! What is answered: one decision, and the policies that made it.

use std::fmt;

/// The name of a policy, as an administrator knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(pub String);

impl PolicyId {
    /// A policy by its name.
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why the answer is no: the part of the closed list of request refusals that a policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenyReason {
    /// The operation is not enabled here, or the actor has no permission for it.
    NotEnabled,
    /// The message was submitted by somebody else.
    NotYours,
    /// The message is older than the policy allows.
    TooOld,
    /// Too many requests in the last hour.
    RateLimited,
    /// Another rule; the verdict names the policy.
    PolicyDenied,
    /// They have not said why.
    ReasonRequired,
}

impl DenyReason {
    /// Every reason; of several that apply the first is given, so that nobody says why in vain.
    pub const ALL: [Self; 6] = [
        Self::NotEnabled,
        Self::NotYours,
        Self::TooOld,
        Self::RateLimited,
        Self::PolicyDenied,
        Self::ReasonRequired,
    ];

    /// The code that reports, protocols and the log use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotEnabled => "not-enabled",
            Self::NotYours => "not-yours",
            Self::TooOld => "too-old",
            Self::RateLimited => "rate-limited",
            Self::PolicyDenied => "policy-denied",
            Self::ReasonRequired => "reason-required",
        }
    }

    /// The reason of a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The sentence that the actor is told.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotEnabled => "This is not enabled for your account.",
            Self::NotYours => "This message was not sent from your account.",
            Self::TooOld => "This message is too old.",
            Self::RateLimited => "Too many requests in the last hour; try again later.",
            Self::PolicyDenied => "A policy of your organisation does not allow this.",
            Self::ReasonRequired => "A reason is required.",
        }
    }
}

impl fmt::Display for DenyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Go on.
    Allow,
    /// No.
    Deny(DenyReason),
    /// Once a second factor is shown that is not older than this.
    StepUp {
        /// The greatest age of the second factor, in milliseconds.
        max_age_ms: u64,
    },
    /// Once so many other people have approved, within this time.
    Approval {
        /// How many.
        approvers: u32,
        /// How long the request waits for them, in milliseconds.
        expires_after_ms: u64,
    },
}

impl Decision {
    /// The code that reports, protocols and the log use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(reason) => reason.code(),
            Self::StepUp { .. } => "step-up-required",
            Self::Approval { .. } => "approval-required",
        }
    }
}

/// A decision and what made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The answer.
    pub decision: Decision,
    /// The policies that decided it; never empty. Where no policy permits what was asked that is
    /// the name `implicit-deny`.
    pub policies: Vec<PolicyId>,
    /// What the policies were given, by the name that they use for it.
    pub inputs: Vec<(String, String)>,
}

impl Verdict {
    /// Whether the answer is yes, now.
    pub fn is_allowed(&self) -> bool {
        self.decision == Decision::Allow
    }
}
