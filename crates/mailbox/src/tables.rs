//! Key layout. Table bytes 0x10 to 0x1f, 0x60, 0x64 to 0x66, 0x68, 0x6c to 0x6e, 0x7a to 0x7c, 0x80 to
//! 0x84, 0x88, 0x8a to 0x8c belong to this crate.
//!
//! | table | key after the table byte | value |
//! |---|---|---|
//! | `ACCOUNT` | account | [`crate::rows::AccountHead`] |
//! | `MAILBOX` | account, mailbox | [`crate::rows::MailboxRow`] |
//! | `COUNTERS` | account, mailbox | [`crate::rows::Counters`] |
//! | `PLACEMENT` | account, mailbox, uid | [`crate::rows::PlacementRow`] |
//! | `MESSAGE` | account, message | [`crate::rows::MessageRow`] |
//! | `CHANGE` | account, modseq | [`crate::rows::ChangeRow`] |
//! | `THREAD_KEY` | account, hash of a Message-ID | thread |
//! | `THREAD` | account, thread, message | empty |
//! | `COPY` | content digest, account, message | [`crate::rows::CopyRow`] |
//! | `ROLL` | account, block of messages | what was served of them, in short: `Roll` |
//! | `BLOB` | blob | [`crate::rows::BlobRow`] |
//! | `PARSED` | blob | an encoded `tern_mime::ParsedMessage`, where it fits a row |
//! | `VAULT` | account, message | [`crate::rows::VaultRow`] |
//! | `SEAL_HEAD` | content digest | how many seals it has, and how often they have changed |
//! | `UNREFERENCED` | time in ms, blob | empty |
//! | `VAULTED` | seal tag, account, message | empty, or of what arrived under the seal how much it is |
//! | `DOOMED` | account, mailbox | empty: its messages are still to go; mailbox 0 is the account |
//! | `LATE` | seal tag, account, message | empty: stopped on arrival, and nobody has noted it |
//! | `MARKED` | account, modseq, message | the [`crate::Connection`] that set the marking keyword, or empty: nobody has seen to it |
//! | `BROUGHT` | account, mailbox, uid | that a client put a message into the watched mailbox, by which [`crate::Connection`] |
//! | `SHEET` | account, block of messages, client by its place in the roll | what the client was served of them: `Sheet` |
//! | `DEVICE` | account, device | [`crate::Device`] |
//! | `VAULT_PLACEMENT` | account, message, mailbox | [`crate::rows::VaultPlacementRow`] |
//! | `CARRIER` | digest of a letter inside the message, account, message | [`crate::rows::CopyRow`] |
//! | `SEAL_OF` | content digest, seal tag | [`crate::Seal`] |
//! | `SEAL_OVER` | content digest, seal tag | empty: the seal is over or was taken away, and copies are in the vault under it |
//! | `UPLOAD` | account, blob | [`crate::Uploaded`] |
//! | `GRANT` | account, mailbox, [`crate::Grantee`] | [`crate::Rights`] |
//! | `GRANTED` | [`crate::Grantee`], account, mailbox | empty |
//! | `SUBSCRIBED` | account, account of another, its mailbox | empty |
//! | `SUBSCRIBED_NAME` | account, path | empty: subscribed to, and there is no mailbox of that name |
//! | `SHARE_NOTICE` | account, number | [`crate::ShareNotice`], or what is left of one; number 0: what the next one is |
//! | `EXPOSURE` | content digest, account, message | the [`crate::Exposure`] of a copy that is in no mailbox any more, or of a wide letter |
//! | `WIDE` | content digest | empty: of every copy that was served anything there is a row in `EXPOSURE` |
//! | `WORDS` | account, block of messages | the words of their texts, where somebody searches: [`crate::words`]; a cache |
//! | `SEAL_CHANGES` | nothing | how often any seal has changed |

use tern_base::{
    AccountId, BlobId, ContentDigest, MailboxId, MessageId, Modseq, ThreadId, Timestamp, Uid,
};
use tern_store::{
    Range,
    key::{Key, KeyReader},
};

use crate::{DeviceId, Grantee, SealTag};

pub(crate) const ACCOUNT: u8 = 0x10;
pub(crate) const MAILBOX: u8 = 0x11;
pub(crate) const COUNTERS: u8 = 0x12;
pub(crate) const PLACEMENT: u8 = 0x13;
pub(crate) const MESSAGE: u8 = 0x14;
pub(crate) const CHANGE: u8 = 0x15;
pub(crate) const THREAD_KEY: u8 = 0x16;
pub(crate) const THREAD: u8 = 0x17;
pub(crate) const COPY: u8 = 0x18;
pub(crate) const ROLL: u8 = 0x19;
pub(crate) const BLOB: u8 = 0x1a;
pub(crate) const PARSED: u8 = 0x1b;
pub(crate) const VAULT: u8 = 0x1c;
pub(crate) const SEAL_HEAD: u8 = 0x1d;
pub(crate) const UNREFERENCED: u8 = 0x1e;
pub(crate) const VAULTED: u8 = 0x1f;
pub(crate) const DOOMED: u8 = 0x60;
pub(crate) const LATE: u8 = 0x64;
pub(crate) const VAULT_PLACEMENT: u8 = 0x65;
pub(crate) const BROUGHT: u8 = 0x66;
pub(crate) const MARKED: u8 = 0x68;
pub(crate) const SHEET: u8 = 0x7a;
pub(crate) const SEAL_OF: u8 = 0x6c;
pub(crate) const SEAL_OVER: u8 = 0x6d;
pub(crate) const CARRIER: u8 = 0x6e;
pub(crate) const DEVICE: u8 = 0x7b;
pub(crate) const UPLOAD: u8 = 0x7c;
pub(crate) const GRANT: u8 = 0x80;
pub(crate) const GRANTED: u8 = 0x81;
pub(crate) const SUBSCRIBED: u8 = 0x82;
pub(crate) const SHARE_NOTICE: u8 = 0x83;
pub(crate) const WORDS: u8 = 0x84;
pub(crate) const SUBSCRIBED_NAME: u8 = 0x88;
pub(crate) const EXPOSURE: u8 = 0x8a;
pub(crate) const SEAL_CHANGES: u8 = 0x8b;
pub(crate) const WIDE: u8 = 0x8c;

fn of_account(table: u8, account: AccountId) -> Key {
    Key::table(table).u32(account.0)
}

pub(crate) fn account(account: AccountId) -> Vec<u8> {
    of_account(ACCOUNT, account).finish()
}

pub(crate) fn mailbox(account: AccountId, mailbox: MailboxId) -> Vec<u8> {
    of_account(MAILBOX, account).u32(mailbox.0).finish()
}

pub(crate) fn counters(account: AccountId, mailbox: MailboxId) -> Vec<u8> {
    of_account(COUNTERS, account).u32(mailbox.0).finish()
}

pub(crate) fn placement(account: AccountId, mailbox: MailboxId, uid: Uid) -> Vec<u8> {
    of_account(PLACEMENT, account)
        .u32(mailbox.0)
        .u32(uid.0)
        .finish()
}

pub(crate) fn placements(account: AccountId, mailbox: MailboxId) -> Range {
    Range::prefix(of_account(PLACEMENT, account).u32(mailbox.0).finish())
}

pub(crate) fn message(account: AccountId, message: MessageId) -> Vec<u8> {
    of_account(MESSAGE, account).u64(message.0).finish()
}

/// The message of a key of [`MESSAGE`].
pub(crate) fn message_of(key: &[u8]) -> Option<MessageId> {
    let mut parts = KeyReader::new(key);
    let _account = parts.u32()?;
    parts.u64().map(MessageId)
}

pub(crate) fn change(account: AccountId, modseq: Modseq) -> Vec<u8> {
    of_account(CHANGE, account).u64(modseq.0).finish()
}

/// The changes of an account after `since`.
pub(crate) fn changes_after(account: AccountId, since: Modseq) -> Range {
    let all = Range::prefix(of_account(CHANGE, account).finish());
    all.starting_at(change(account, Modseq(since.0.saturating_add(1))))
}

pub(crate) fn thread_key(account: AccountId, hash: &[u8; 16]) -> Vec<u8> {
    of_account(THREAD_KEY, account).array(hash).finish()
}

pub(crate) fn thread(account: AccountId, thread: ThreadId, message: MessageId) -> Vec<u8> {
    of_account(THREAD, account)
        .u64(thread.0)
        .u64(message.0)
        .finish()
}

pub(crate) fn thread_members(account: AccountId, thread: ThreadId) -> Range {
    Range::prefix(of_account(THREAD, account).u64(thread.0).finish())
}

pub(crate) fn copy(digest: ContentDigest, account: AccountId, message: MessageId) -> Vec<u8> {
    Key::table(COPY)
        .array(&digest.0)
        .u32(account.0)
        .u64(message.0)
        .finish()
}

pub(crate) fn copies(digest: ContentDigest) -> Range {
    Range::prefix(Key::table(COPY).array(&digest.0).finish())
}

pub(crate) fn carrier(digest: ContentDigest, account: AccountId, message: MessageId) -> Vec<u8> {
    Key::table(CARRIER)
        .array(&digest.0)
        .u32(account.0)
        .u64(message.0)
        .finish()
}

pub(crate) fn carriers(digest: ContentDigest) -> Range {
    Range::prefix(Key::table(CARRIER).array(&digest.0).finish())
}

pub(crate) fn carriers_of(digest: ContentDigest, account: AccountId) -> Range {
    Range::prefix(Key::table(CARRIER).array(&digest.0).u32(account.0).finish())
}

pub(crate) fn copies_of(digest: ContentDigest, account: AccountId) -> Range {
    Range::prefix(Key::table(COPY).array(&digest.0).u32(account.0).finish())
}

pub(crate) fn exposure(digest: ContentDigest, account: AccountId, message: MessageId) -> Vec<u8> {
    Key::table(EXPOSURE)
        .array(&digest.0)
        .u32(account.0)
        .u64(message.0)
        .finish()
}

pub(crate) fn wide(digest: ContentDigest) -> Vec<u8> {
    Key::table(WIDE).array(&digest.0).finish()
}

pub(crate) fn exposures(digest: ContentDigest) -> Range {
    Range::prefix(Key::table(EXPOSURE).array(&digest.0).finish())
}

pub(crate) fn roll(account: AccountId, block: u64) -> Vec<u8> {
    of_account(ROLL, account).u64(block).finish()
}

pub(crate) fn words(account: AccountId, block: u64) -> Vec<u8> {
    of_account(WORDS, account).u64(block).finish()
}

/// The block of a key of [`WORDS`].
pub(crate) fn block_of_words(key: &[u8]) -> Option<u64> {
    let mut parts = KeyReader::new(key);
    let _account = parts.u32()?;
    parts.u64()
}

pub(crate) fn sheet(account: AccountId, block: u64, client: u8) -> Vec<u8> {
    of_account(SHEET, account)
        .u64(block)
        .array(&[client])
        .finish()
}

pub(crate) fn device(account: AccountId, device: DeviceId) -> Vec<u8> {
    of_account(DEVICE, account).array(&device.0).finish()
}

pub(crate) fn upload(account: AccountId, blob: BlobId) -> Vec<u8> {
    of_account(UPLOAD, account).array(&blob.0).finish()
}

pub(crate) fn blob(blob: BlobId) -> Vec<u8> {
    Key::table(BLOB).array(&blob.0).finish()
}

pub(crate) fn parsed(blob: BlobId) -> Vec<u8> {
    Key::table(PARSED).array(&blob.0).finish()
}

pub(crate) fn vault(account: AccountId, message: MessageId) -> Vec<u8> {
    of_account(VAULT, account).u64(message.0).finish()
}

pub(crate) fn vault_placement(
    account: AccountId,
    message: MessageId,
    mailbox: MailboxId,
) -> Vec<u8> {
    of_account(VAULT_PLACEMENT, account)
        .u64(message.0)
        .u32(mailbox.0)
        .finish()
}

pub(crate) fn seal_head(digest: ContentDigest) -> Vec<u8> {
    Key::table(SEAL_HEAD).array(&digest.0).finish()
}

pub(crate) fn seal(digest: ContentDigest, tag: SealTag) -> Vec<u8> {
    Key::table(SEAL_OF).array(&digest.0).array(&tag.0).finish()
}

pub(crate) fn seals(digest: ContentDigest) -> Range {
    Range::prefix(Key::table(SEAL_OF).array(&digest.0).finish())
}

pub(crate) fn seal_over(digest: ContentDigest, tag: SealTag) -> Vec<u8> {
    Key::table(SEAL_OVER)
        .array(&digest.0)
        .array(&tag.0)
        .finish()
}

pub(crate) fn seals_over(digest: ContentDigest) -> Range {
    Range::prefix(Key::table(SEAL_OVER).array(&digest.0).finish())
}

pub(crate) fn seal_changes() -> Vec<u8> {
    Key::table(SEAL_CHANGES).finish()
}

pub(crate) fn unreferenced(since: Timestamp, blob: BlobId) -> Vec<u8> {
    Key::table(UNREFERENCED)
        .u64(since.0)
        .array(&blob.0)
        .finish()
}

pub(crate) fn vaulted(tag: SealTag, account: AccountId, message: MessageId) -> Vec<u8> {
    Key::table(VAULTED)
        .array(&tag.0)
        .u32(account.0)
        .u64(message.0)
        .finish()
}

pub(crate) fn vaulted_under(tag: SealTag) -> Range {
    Range::prefix(Key::table(VAULTED).array(&tag.0).finish())
}

pub(crate) fn vaulted_of(tag: SealTag, account: AccountId) -> Range {
    Range::prefix(Key::table(VAULTED).array(&tag.0).u32(account.0).finish())
}

pub(crate) fn late(tag: SealTag, account: AccountId, message: MessageId) -> Vec<u8> {
    Key::table(LATE)
        .array(&tag.0)
        .u32(account.0)
        .u64(message.0)
        .finish()
}

pub(crate) fn late_under(tag: SealTag) -> Range {
    Range::prefix(Key::table(LATE).array(&tag.0).finish())
}

pub(crate) fn marked(account: AccountId, modseq: Modseq, message: MessageId) -> Vec<u8> {
    of_account(MARKED, account)
        .u64(modseq.0)
        .u64(message.0)
        .finish()
}

pub(crate) fn brought(account: AccountId, mailbox: MailboxId, uid: Uid) -> Vec<u8> {
    of_account(BROUGHT, account)
        .u32(mailbox.0)
        .u32(uid.0)
        .finish()
}

pub(crate) fn doomed(account: AccountId, mailbox: MailboxId) -> Vec<u8> {
    of_account(DOOMED, account).u32(mailbox.0).finish()
}

fn of_grantee(key: Key, grantee: Grantee) -> Key {
    let (kind, number) = grantee.parts();
    key.array(&[kind]).u32(number)
}

pub(crate) fn grant(account: AccountId, mailbox: MailboxId, grantee: Grantee) -> Vec<u8> {
    of_grantee(of_account(GRANT, account).u32(mailbox.0), grantee).finish()
}

/// The grants in a mailbox.
pub(crate) fn grants(account: AccountId, mailbox: MailboxId) -> Range {
    Range::prefix(of_account(GRANT, account).u32(mailbox.0).finish())
}

pub(crate) fn granted_row(grantee: Grantee, account: AccountId, mailbox: MailboxId) -> Vec<u8> {
    of_grantee(Key::table(GRANTED), grantee)
        .u32(account.0)
        .u32(mailbox.0)
        .finish()
}

/// What somebody was given.
pub(crate) fn granted(grantee: Grantee) -> Range {
    Range::prefix(of_grantee(Key::table(GRANTED), grantee).finish())
}

/// The same in one account.
pub(crate) fn granted_by(grantee: Grantee, account: AccountId) -> Range {
    let key = of_grantee(Key::table(GRANTED), grantee);
    Range::prefix(key.u32(account.0).finish())
}

pub(crate) fn share_notice(account: AccountId, number: u64) -> Vec<u8> {
    of_account(SHARE_NOTICE, account).u64(number).finish()
}

pub(crate) fn subscribed(account: AccountId, (of, mailbox): (AccountId, MailboxId)) -> Vec<u8> {
    of_account(SUBSCRIBED, account)
        .u32(of.0)
        .u32(mailbox.0)
        .finish()
}

pub(crate) fn subscribed_name(account: AccountId, path: &str) -> Vec<u8> {
    let mut key = of_account(SUBSCRIBED_NAME, account).finish();
    key.extend_from_slice(path.as_bytes());
    key
}

/// The path in a key of [`SUBSCRIBED_NAME`].
pub(crate) fn subscribed_name_of(key: &[u8]) -> Option<&str> {
    const BEFORE: usize = 1 + size_of::<u32>();
    std::str::from_utf8(key.get(BEFORE..)?).ok()
}

/// Every row of a table.
pub(crate) fn whole(table: u8) -> Range {
    Range::prefix(vec![table])
}

/// Every row of a table that belongs to an account.
pub(crate) fn whole_of(table: u8, account: AccountId) -> Range {
    Range::prefix(of_account(table, account).finish())
}
