//! The ids that clients see (RFC 8474, RFC 8620 1.2): stable, unique on the server, made of the account
//! and the number within it. IMAP's EMAILID is JMAP's Email id, and so are the others.
//!
//! Invariant: a text is the id of one thing, written in one way: what is read back and written again is
//! the same text.

use std::fmt::Write as _;
use std::str::FromStr;

use tern_base::{AccountId, MailboxId, MessageId, ThreadId};

/// The id of an account.
pub fn account_id(account: AccountId) -> String {
    format!("A{account}")
}

/// MAILBOXID.
pub fn mailbox_id(account: AccountId, mailbox: MailboxId) -> String {
    format!("F{account}-{mailbox}")
}

/// EMAILID.
pub fn email_id(account: AccountId, message: MessageId) -> String {
    let mut out = String::new();
    write_email_id(&mut out, account, message);
    out
}

/// EMAILID, written over what `out` holds.
pub fn write_email_id(out: &mut String, account: AccountId, message: MessageId) {
    out.clear();
    // Writing to a String can't fail.
    let _ = write!(out, "M{account}-{message}");
}

/// THREADID.
pub fn thread_id(account: AccountId, thread: ThreadId) -> String {
    let mut out = String::new();
    write_thread_id(&mut out, account, thread);
    out
}

/// THREADID, written over what `out` holds.
pub fn write_thread_id(out: &mut String, account: AccountId, thread: ThreadId) {
    out.clear();
    let _ = write!(out, "T{account}-{thread}");
}

/// The id of an identity.
pub fn identity_id(account: AccountId, identity: u32) -> String {
    format!("I{account}-{identity}")
}

/// The account of an id.
pub fn parse_account_id(text: &str) -> Option<AccountId> {
    text.strip_prefix('A').and_then(number).map(AccountId)
}

/// The mailbox of an id, if it is one of this account.
pub fn parse_mailbox_id(account: AccountId, text: &str) -> Option<MailboxId> {
    within(account, 'F', text).map(MailboxId)
}

/// The message of an id, if it is one of this account.
pub fn parse_email_id(account: AccountId, text: &str) -> Option<MessageId> {
    within(account, 'M', text).map(MessageId)
}

/// The conversation of an id, if it is one of this account.
pub fn parse_thread_id(account: AccountId, text: &str) -> Option<ThreadId> {
    within(account, 'T', text).map(ThreadId)
}

/// The identity of an id, if it is one of this account.
pub fn parse_identity_id(account: AccountId, text: &str) -> Option<u32> {
    within(account, 'I', text)
}

fn within<N: FromStr>(account: AccountId, kind: char, text: &str) -> Option<N> {
    let (of, number_text) = text.strip_prefix(kind)?.split_once('-')?;
    (number::<u32>(of)? == account.0).then(|| number(number_text))?
}

/// A number as it is written: digits, without a sign or zeros before it.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: AccountId = AccountId(7);

    #[test]
    fn an_id_is_read_back_by_its_account_alone() {
        assert_eq!(parse_account_id(&account_id(BOB)), Some(BOB));
        let id = email_id(BOB, MessageId(9));
        assert_eq!(parse_email_id(BOB, &id), Some(MessageId(9)));
        assert_eq!(parse_email_id(AccountId(8), &id), None);
        let thread = thread_id(BOB, ThreadId(u64::MAX));
        assert_eq!(parse_thread_id(BOB, &thread), Some(ThreadId(u64::MAX)));
        let mailbox = mailbox_id(BOB, MailboxId(1));
        assert_eq!(parse_mailbox_id(BOB, &mailbox), Some(MailboxId(1)));
    }

    #[test]
    fn other_spellings_are_no_ids() {
        for text in [
            "",
            "M",
            "M7",
            "M7-",
            "M7-+9",
            "M7-09",
            "M+7-9",
            "T7-9",
            "M7-9 ",
            "M7-99999999999999999999",
        ] {
            assert_eq!(parse_email_id(BOB, text), None, "{text}");
        }
        for text in ["A07", "A", "7", "A-7"] {
            assert_eq!(parse_account_id(text), None, "{text}");
        }
    }
}
