//! The bounds on what an account can make this crate hold or do.

use std::time::Duration;

/// Changes of rights that one account makes within [`RIGHTS_CHANGES_WITHIN`], at once or spread: each is
/// rows and an entry of the audit log. Over: IMAP says `NO [LIMIT]`, JMAP `rateLimit`. An administrator has no
/// such bound.
pub const MAX_RIGHTS_CHANGES: u32 = 300;
/// The time of [`MAX_RIGHTS_CHANGES`].
pub const RIGHTS_CHANGES_WITHIN: Duration = Duration::from_secs(3_600);
/// Notices that one change of a mailbox's access list as a whole makes: those who go beyond it, the last of its
/// groups, are told of nothing. All of them are one transaction.
pub const MAX_NOTIFIED_TOGETHER: usize = 500;
/// How often an access list that others change meanwhile is looked at before somebody's wish for it. Over: the
/// store is busy.
pub const WISH_ATTEMPTS: usize = 8;
/// Accounts of which a [`crate::Rate`] knows before it looks for those that it can forget.
pub const RATE_TIDY_FROM: usize = 1_024;
