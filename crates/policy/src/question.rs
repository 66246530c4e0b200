//! What is asked: who, how they proved it, on which message, with which options.
//!
//! Invariant: a question holds facts only, gathered in one transaction; nothing in it is a claim
//! of the peer that was not verified.

use tern_base::{AccountId, Timestamp};

/// What the actor wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// See what would happen (`recall.plan`, or whatever allows the recall itself).
    Plan,
    /// Take the message back (`recall.own`, `recall.delegate`, `recall.any`).
    Recall,
    /// Undo it (`recall.restore`).
    Restore,
}

/// How far an actor's permission for the operation reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// No permission at all.
    #[default]
    Nothing,
    /// Messages that they submitted.
    Own,
    /// These, and those of the accounts that made them a delegate.
    Delegate,
    /// Every message of the server.
    Any,
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
    /// Roles they hold over what the message belongs to.
    pub roles: Vec<String>,
    /// How far their permission for the operation reaches.
    pub reach: Reach,
    /// Accounts that made them a delegate.
    pub delegate_of: Vec<AccountId>,
}

/// How they proved who they are, and where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    /// The mechanism: `PLAIN`, `SCRAM-SHA-256`, `session`.
    pub mechanism: String,
    /// What was proven: `password`, `app-password`, `totp`, `webauthn`.
    pub factors: Vec<String>,
    /// Milliseconds since a second factor was last shown; `None` for never.
    pub step_up_age_ms: Option<u64>,
    /// Where they connect from.
    pub peer: Option<String>,
    /// The protocol they use: `imap`, `smtp`, `jmap`, `console`, `cli`.
    pub protocol: String,
    /// Whether the connection is under TLS.
    pub tls: bool,
}

/// The message as the server knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The account that submitted it; `None` when it came from outside.
    pub submitter: Option<AccountId>,
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
    /// Copies of which some content was served.
    pub exposed: u64,
    /// Copies without `\Seen`: what a recipient says, never evidence.
    pub unread: Option<u64>,
    /// Whether a copy is under legal hold.
    pub on_hold: bool,
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
    /// How many of the recipients; `None` for all.
    pub chosen_recipients: Option<u64>,
    /// Which copies.
    pub selection: Selection,
    /// What happens to them.
    pub mode: Mode,
    /// Who is told.
    pub notice: Notice,
    /// Why, in their words.
    pub reason: Option<String>,
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
    /// On which message.
    pub message: Message,
    /// How they want it done.
    pub options: Options,
    /// Requests of this actor in the hour before this one, refused ones not counted.
    pub requests_last_hour: u32,
}
