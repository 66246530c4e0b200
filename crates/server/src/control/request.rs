//! What can be asked of a server on its own machine: the one request and response type of the
//! control socket and the command line.
//!
//! Invariant: a request means the same whether a running server or the command line itself
//! carries it out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::audit::AuditRequest;

use super::hold::HoldRequest;

/// An account of an import, as a line of its file has it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedAccount {
    /// Its address, which is its login name.
    pub address: String,
    /// The name that people read.
    #[serde(default)]
    pub name: String,
    /// How many bytes it may hold; 0 is no limit.
    #[serde(default)]
    pub quota: u64,
    /// Its password, or else `password_hash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Its password as Argon2id in the PHC string format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
}

/// One request.
#[derive(Clone, Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum Request {
    DomainAdd {
        domain: String,
    },
    DomainList,
    DomainRemove {
        domain: String,
    },
    AccountAdd {
        address: String,
        name: String,
        quota_bytes: u64,
        password: String,
    },
    AccountImport {
        accounts: Vec<ImportedAccount>,
        /// The line of the first.
        first: usize,
    },
    AccountList,
    AccountRemove {
        address: String,
    },
    AccountPassword {
        address: String,
        password: String,
    },
    AccountQuota {
        address: String,
        quota_bytes: u64,
    },
    AccountDisable {
        address: String,
        disabled: bool,
    },
    AccountRedirect {
        address: String,
        /// None: it is sent on no more.
        targets: Vec<String>,
        keep: bool,
    },
    AppPassword(AppPasswordRequest),
    Device(DeviceRequest),
    Alias(AliasRequest),
    Group(GroupRequest),
    Delegate(DelegateRequest),
    Factor(FactorRequest),
    Queue(QueueRequest),
    RecallPlan {
        which: RecallWhich,
    },
    RecallRun(RecallRun),
    RecallStatus {
        id: String,
        /// The account whose view is asked for; none for the operator's.
        seen_by: Option<String>,
    },
    RecallList {
        by: Option<String>,
        /// Only those of this retract.
        #[serde(default)]
        batch: Option<String>,
    },
    RecallAgain(RecallAgain),
    RecallRestore {
        id: String,
        /// Whose permission counts; none for the operator's own.
        by: Option<String>,
    },
    /// Undoes every recall of a retract.
    RecallRestoreBatch {
        batch: String,
        /// Whose permission counts; none for the operator's own.
        by: Option<String>,
    },
    Waiting(WaitingRequest),
    RecallEvidence {
        id: String,
        /// The message itself, too.
        with_content: bool,
        /// Whose permission counts; none for the operator's own.
        by: Option<String>,
    },
    Hold(HoldRequest),
    Role(RoleRequest),
    Sharing(SharingRequest),
    Policy(PolicyRequest),
    Audit(AuditRequest),
    Store(StoreRequest),
    Ping,
}

/// Which messages are to be taken back, all that fit every field that is set, and from whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RecallWhich {
    /// Sent by this account.
    pub by: Option<String>,
    /// With this Message-ID.
    pub message_id: Option<String>,
    /// Whose subject has this in it.
    pub subject: Option<String>,
    /// With this content digest, in hexadecimal.
    pub digest: Option<String>,
    /// Sent at this time or later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Sent before this time, in milliseconds since 1970.
    pub until: Option<u64>,
    /// From these recipients; none for all.
    pub recipients: Vec<String>,
    /// Only copies in this state: `unexposed` or `unread`.
    pub only: Option<String>,
    /// Leave the messages that have it inside.
    #[serde(default)]
    pub copies_only: bool,
    /// Of it this attachment only, by part number or file name.
    #[serde(default)]
    pub attachment: Option<String>,
    /// With the messages that answer it, so many answers deep; 0 for none.
    #[serde(default)]
    pub depth: u8,
    /// By the permission of this account; none for the operator's own.
    #[serde(default)]
    pub acting: Option<String>,
}

/// A recall that another copy of this store has carried out, as its audit log says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RecallAgain {
    /// Its id, which it keeps.
    pub id: String,
    /// The message that it took back: the id of its submission.
    pub submission: String,
    /// Its letter, where the log says it.
    pub letter: Option<String>,
    /// Its Message-ID.
    pub message_id: String,
    /// Whose account had sent it.
    pub sender: Option<String>,
    /// From these recipients; none for all.
    pub recipients: Vec<String>,
    /// Only copies in this state: `unexposed` or `unread`.
    pub only: Option<String>,
    /// Left the messages that have it inside.
    pub copies_only: bool,
    /// Of it this attachment only, by part number.
    pub attachment: Option<String>,
    /// Who had asked for it.
    pub asked_by: String,
    /// When, in RFC 3339.
    pub asked_at: String,
}

/// A request about the store as a whole.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StoreRequest {
    /// Whether every invariant holds.
    Check,
    /// Have what was removed leave the disk.
    Compact,
    /// A consistent copy.
    Backup {
        /// Where, in a directory that is not there yet.
        directory: PathBuf,
    },
}

/// A request about second factors.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum FactorRequest {
    Enrol { address: String },
    Invite { address: String },
    Confirm { address: String, code: String },
    Remove { address: String },
    Status { address: String },
    RecoveryCodes { address: String },
}

/// A request about aliases.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum AliasRequest {
    Add {
        address: String,
        targets: Vec<String>,
        /// In the place of what the alias leads to already.
        #[serde(default)]
        replace: bool,
    },
    Remove {
        address: String,
    },
    List,
}

/// A request about groups.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum GroupRequest {
    Add {
        address: String,
        name: String,
        #[serde(default)]
        members: Vec<String>,
    },
    Remove {
        address: String,
    },
    AddMember {
        address: String,
        members: Vec<String>,
    },
    RemoveMember {
        address: String,
        members: Vec<String>,
    },
    List {
        address: Option<String>,
    },
}

/// A request about messages that wait for other servers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum QueueRequest {
    List,
    Hold { id: String, reason: String },
    Release { id: String },
    Cancel { id: String },
    Flush,
}

/// A request about recalls that wait. `by` is the account that the operator speaks for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum WaitingRequest {
    List,
    Confirm {
        id: String,
        by: String,
        code: String,
        reason: Option<String>,
    },
    Approve {
        id: String,
        by: Option<String>,
        reason: Option<String>,
    },
    Decline {
        id: String,
        by: Option<String>,
        reason: Option<String>,
    },
    Cancel {
        id: String,
        by: Option<String>,
    },
    Frozen,
    Unfreeze {
        address: String,
    },
}

/// Which messages are taken back, and what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub struct RecallRun {
    pub which: RecallWhich,
    /// How many messages it must find, where any number is not meant.
    #[serde(default)]
    pub expected: Option<u64>,
    pub reason: Option<String>,
    /// `none`, `exposed` or `all`; none for what is usual.
    pub notice: Option<String>,
    pub notice_text: Option<String>,
}

/// A request about who may act for whom.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum DelegateRequest {
    Add { address: String, delegate: String },
    Remove { address: String, delegate: String },
    List { address: String },
}

/// A request about who holds which role.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum RoleRequest {
    Grant {
        role: String,
        address: String,
        over: String,
    },
    Revoke {
        role: String,
        address: String,
        over: String,
    },
    List {
        address: Option<String>,
    },
}

/// A request about who has rights in whose mailboxes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum SharingRequest {
    Share {
        owner: String,
        mailbox: String,
        with: String,
        rights: String,
    },
    Unshare {
        owner: String,
        mailbox: String,
        with: String,
    },
    Rights {
        owner: String,
        mailbox: Option<String>,
    },
}

/// What is done with the app passwords of an account.
#[derive(Clone, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the command line, which explains them"
)]
pub enum AppPasswordRequest {
    Add {
        address: String,
        label: String,
        scopes: Vec<String>,
    },
    List {
        address: String,
    },
    Remove {
        address: String,
        id: u32,
    },
}

/// A request about the known clients of an account.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DeviceRequest {
    /// Which they are.
    List {
        /// The account.
        address: String,
    },
    /// Something is to become of one.
    Change {
        /// The account.
        address: String,
        /// The client's id.
        device: String,
        /// What.
        change: DeviceChange,
    },
}

/// What is to become of a known client of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceChange {
    /// It is trusted.
    Trust,
    /// It is not.
    Distrust,
    /// It is not known any more; when it comes again it is a new one.
    Forget,
}

/// A request about the policies in force.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PolicyRequest {
    /// Which they are.
    List,
    /// What the verdict on a recall would be.
    Explain(Asked),
    /// Why a recall that is on record was decided as it was.
    ExplainRecall {
        /// The recall.
        id: String,
    },
}

/// A recall that somebody might ask for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The account that sent the message.
    pub by: String,
    /// The message's Message-ID.
    pub message_id: String,
    /// Who would ask; none for the operator.
    pub actor: Option<String>,
    /// The protocol that they would use.
    pub protocol: Option<String>,
    /// The address that they would come from.
    pub peer: Option<String>,
}

/// What was answered to a request that was done.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// For machines.
    pub data: Value,
    /// What was asked was looked into and is not as it should be.
    pub found_wrong: bool,
}

impl Answer {
    pub(crate) fn new(text: impl Into<String>, data: Value) -> Self {
        Self {
            text: text.into(),
            data,
            found_wrong: false,
        }
    }
}

/// One response.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It was done.
    Done(Answer),
    /// It was not; why.
    Failed(String),
}
