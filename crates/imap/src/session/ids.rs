//! The ids that clients see (RFC 8474): stable, unique on the server, made of the account and the
//! number within it.

use std::fmt::Write as _;

use tern_base::{AccountId, MailboxId, MessageId, ThreadId};

/// MAILBOXID.
pub(super) fn mailbox_id(account: AccountId, mailbox: MailboxId) -> String {
    format!("F{account}-{mailbox}")
}

/// EMAILID, written over what `out` holds.
pub(super) fn email_id(out: &mut String, account: AccountId, message: MessageId) {
    out.clear();
    // Writing to a String can't fail.
    let _ = write!(out, "M{account}-{message}");
}

/// THREADID, written over what `out` holds.
pub(super) fn thread_id(out: &mut String, account: AccountId, thread: ThreadId) {
    out.clear();
    let _ = write!(out, "T{account}-{thread}");
}
