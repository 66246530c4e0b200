//! The bounds on what an account can make this crate hold or do.

use std::time::Duration;

/// Changes of rights that one account makes within [`RIGHTS_CHANGES_WITHIN`], at once or spread: each is
/// rows and an entry of the audit log. Over: IMAP says `NO [LIMIT]`, JMAP `rateLimit`. An administrator has no
/// such bound.
pub const MAX_RIGHTS_CHANGES: u32 = 300;
/// The time of [`MAX_RIGHTS_CHANGES`].
pub const RIGHTS_CHANGES_WITHIN: Duration = Duration::from_secs(3_600);
/// Accounts of which a [`crate::Rate`] knows before it looks for those that it can forget.
pub const RATE_TIDY_FROM: usize = 1_024;
