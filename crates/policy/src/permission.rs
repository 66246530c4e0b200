//! The closed list of what can be permitted.
//!
//! Invariant: each permission is one action of the schema, under the same name.

use std::fmt;

/// What an actor can be permitted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Take back messages that they submitted.
    RecallOwn,
    /// Take back messages of those who made them a delegate.
    RecallDelegate,
    /// Take back any message.
    RecallAny,
    /// See what a recall would do.
    RecallPlan,
    /// Approve somebody else's recall.
    RecallApprove,
    /// Undo a recall.
    RecallRestore,
    /// See who was served what of a message.
    ReportExposure,
    /// Put on hold and release.
    HoldManage,
    /// Read what was withdrawn.
    VaultRead,
    /// Read the audit log.
    AuditRead,
    /// Take the audit log out of the server.
    AuditExport,
    /// Change domains, accounts, aliases, groups and grants.
    DirectoryManage,
    /// Hold, release and cancel what waits to leave.
    QueueManage,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 13] = [
        Self::RecallOwn,
        Self::RecallDelegate,
        Self::RecallAny,
        Self::RecallPlan,
        Self::RecallApprove,
        Self::RecallRestore,
        Self::ReportExposure,
        Self::HoldManage,
        Self::VaultRead,
        Self::AuditRead,
        Self::AuditExport,
        Self::DirectoryManage,
        Self::QueueManage,
    ];

    /// Its name in policies, in reports and in the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::RecallOwn => "recall.own",
            Self::RecallDelegate => "recall.delegate",
            Self::RecallAny => "recall.any",
            Self::RecallPlan => "recall.plan",
            Self::RecallApprove => "recall.approve",
            Self::RecallRestore => "recall.restore",
            Self::ReportExposure => "report.exposure",
            Self::HoldManage => "hold.manage",
            Self::VaultRead => "vault.read",
            Self::AuditRead => "audit.read",
            Self::AuditExport => "audit.export",
            Self::DirectoryManage => "directory.manage",
            Self::QueueManage => "queue.manage",
        }
    }

    /// The permission of a name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }

    /// Whether it is asked about a message; the others are about the server as a whole.
    pub const fn is_about_a_message(self) -> bool {
        match self {
            Self::RecallOwn
            | Self::RecallDelegate
            | Self::RecallAny
            | Self::RecallPlan
            | Self::RecallApprove
            | Self::RecallRestore
            | Self::ReportExposure
            | Self::VaultRead => true,
            Self::HoldManage
            | Self::AuditRead
            | Self::AuditExport
            | Self::DirectoryManage
            | Self::QueueManage => false,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
