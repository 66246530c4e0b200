//! What is asked: who, how they proved it, on which message, with which options.
//!
//! Invariant: a question holds facts only, gathered in one transaction; nothing in it is a claim
//! of the peer that was not verified.

use tern_base::{AccountId, Timestamp};

use crate::Permission;

/// What the actor wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// See what would happen: asks [`Permission::RecallPlan`].
    Plan,
    /// Take the message back: asks [`Permission::RecallOwn`] of a message of their own,
    /// [`Permission::RecallDelegate`] of a delegator's, [`Permission::RecallAny`] of any other.
    Recall,
    /// Undo it: asks [`Permission::RecallRestore`].
    Restore,
    /// Whatever else a permission is for.
    Use(Permission),
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Their account; `None` for whoever runs the command line on the server's machine.
    pub account: Option<AccountId>,
    /// Their address, or their name on the server's machine.
    pub name: String,
    /// Groups they are in, by address.
    pub groups: Vec<String>,
    /// Roles they hold over what is asked about, by name.
    pub roles: Vec<String>,
    /// Accounts that made them a delegate.
    pub delegate_of: Vec<AccountId>,
}

/// How they proved who they are, and where they are. An empty text or list is a fact that is not
/// known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    /// The mechanism: `PLAIN`, `SCRAM-SHA-256`, `session`.
    pub mechanism: String,
    /// What was proven: `password`, `app-password`, `totp`, `webauthn`.
    pub factors: Vec<String>,
    /// Milliseconds since a second factor was last shown; `None` for never.
    pub step_up_age_ms: Option<u64>,
    /// The address that they connect from.
    pub peer: Option<String>,
    /// The protocol they use: `imap`, `smtp`, `jmap`, `console`, `cli`.
    pub protocol: String,
    /// Whether the connection is under TLS.
    pub tls: Option<bool>,
    /// What they connect with.
    pub device: Device,
}

/// A client on one of the actor's devices, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// What the client calls itself.
    pub client: Option<String>,
    /// Milliseconds since it was first seen.
    pub first_seen_age_ms: Option<u64>,
    /// Whether its owner or an administrator said that it is trusted.
    pub trusted: Option<bool>,
}

/// Where and when the question is asked, as the configuration names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Names of the networks that hold the peer's address; `None` when the address is not known.
    pub networks: Option<Vec<String>>,
    /// The country of the peer's address, in two letters of ISO 3166-1.
    pub country: Option<String>,
    /// The time in the configured time zone.
    pub local: Option<LocalTime>,
}

/// A time of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalTime {
    /// 0 to 23.
    pub hour: u8,
    /// 1 for Monday to 7 for Sunday (ISO 8601).
    pub weekday: u8,
}

impl LocalTime {
    /// The time of the week in UTC.
    pub fn utc(now: Timestamp) -> Self {
        const HOUR_MS: u64 = 60 * 60 * 1000;
        let hours = now.0 / HOUR_MS;
        // Timestamps count from a Thursday.
        Self {
            hour: (hours % 24) as u8,
            weekday: ((hours / 24 + 3) % 7 + 1) as u8,
        }
    }
}

/// The message as the server knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The account that submitted it; `None` when it came from outside.
    pub submitter: Option<AccountId>,
    /// The address of that account, while it exists.
    pub sender: Option<String>,
    /// The groups that account is in, by address.
    pub sender_groups: Vec<String>,
    /// Milliseconds since it was accepted.
    pub age_ms: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Its sensitivity label, if it has one.
    pub label: Option<String>,
    /// Recipients after expansion.
    pub recipients: u64,
    /// Recipients outside this server.
    pub external: u64,
    /// Copies of which more than header fields was served; `None` when nobody looked.
    pub exposed: Option<u64>,
    /// Copies without `\Seen`: what a recipient says, never evidence.
    pub unread: Option<u64>,
    /// Whether a copy is under legal hold; `None` when nobody looked.
    pub on_hold: Option<bool>,
    /// Milliseconds since it was taken back, where that is to be undone.
    pub recalled_ms: Option<u64>,
}

/// Which copies, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Selection {
    /// All.
    #[default]
    Any,
    /// Only those of which nothing was served.
    OnlyUnexposed,
    /// Only those without `\Seen`.
    OnlyUnread,
}

impl Selection {
    /// The name that policies and reports use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::OnlyUnexposed => "only-unexposed",
            Self::OnlyUnread => "only-unread",
        }
    }
}

/// What happens to the copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// They are withdrawn.
    #[default]
    Withdraw,
    /// A corrected message takes their place.
    Replace,
    /// They are withdrawn at this time.
    ExpireAt(Timestamp),
}

/// Who is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Notice {
    /// Nobody.
    None,
    /// Recipients to whom content was served.
    #[default]
    ExposedOnly,
    /// Every recipient.
    All,
}

/// How they want it done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How many recipients are behind the addresses that were chosen, groups expanded; `None` for all.
    pub chosen_recipients: Option<u64>,
    /// Which copies.
    pub selection: Selection,
    /// How far beyond the letter itself: `copies`, `attached`; empty where nothing is taken back.
    pub reach: &'static str,
    /// What happens to them.
    pub mode: Mode,
    /// Who is told.
    pub notice: Notice,
    /// The one attachment that is taken out of the message, by its file name or else its part number;
    /// none for the whole message.
    pub attachment: Option<String>,
    /// Why, in their words.
    pub reason: Option<String>,
    /// The message is taken back since it answers another that is.
    pub as_answer: bool,
}

/// Every fact that a policy may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What they want to do.
    pub operation: Operation,
    /// When they ask.
    pub now: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// How they proved it.
    pub authentication: Authentication,
    /// Where and when.
    pub surroundings: Surroundings,
    /// On which message; `None` where the operation is about the server as a whole.
    pub message: Option<Message>,
    /// How they want it done.
    pub options: Options,
    /// How many other people have approved the request.
    pub approvals: u32,
    /// Who asked for what is to be approved, by address.
    pub requester: Option<String>,
    /// Requests of this actor in the hour before this one, refused ones not counted.
    pub requests_last_hour: u32,
    /// Whether the actor takes back far more than they usually may.
    pub frozen: bool,
}

/// Whose message it is to the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// They submitted it.
    Own,
    /// Somebody who made them a delegate did.
    Delegated,
    /// Neither.
    Other,
}

impl Question {
    /// Whether somebody may use a permission; the message, where it is about one, is the caller's to
    /// add.
    pub fn of_permission(
        permission: Permission,
        actor: Actor,
        authentication: Authentication,
        now: Timestamp,
    ) -> Self {
        Self {
            operation: Operation::Use(permission),
            now,
            actor,
            authentication,
            surroundings: Surroundings::default(),
            message: None,
            options: Options::default(),
            approvals: 0,
            requester: None,
            requests_last_hour: 0,
            frozen: false,
        }
    }

    /// Whose the message is to the actor. The submitting account is the proof; what a header says
    /// never is.
    pub fn relation(&self) -> Relation {
        let submitter = self.message.as_ref().and_then(|message| message.submitter);
        match submitter {
            Some(submitter) if self.actor.account == Some(submitter) => Relation::Own,
            Some(submitter) if self.actor.delegate_of.contains(&submitter) => Relation::Delegated,
            _ => Relation::Other,
        }
    }

    /// The permission that is asked for.
    pub fn permission(&self) -> Permission {
        match self.operation {
            Operation::Plan => Permission::RecallPlan,
            Operation::Restore => Permission::RecallRestore,
            Operation::Use(permission) => permission,
            Operation::Recall => match self.relation() {
                Relation::Own => Permission::RecallOwn,
                Relation::Delegated => Permission::RecallDelegate,
                Relation::Other => Permission::RecallAny,
            },
        }
    }
}
