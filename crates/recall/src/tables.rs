//! Key layout. Table bytes 0x50 to 0x5f belong to this crate.
//!
//! | table | key after the table byte | value |
//! |---|---|---|
//! | `SUBMISSION` | origin | [`crate::Submission`] |
//! | `TARGETS` | origin, chunk | a list of [`crate::Target`] |
//! | `BY_MESSAGE_ID` | account, hash of the Message-ID, origin | empty |
//! | `BY_DIGEST` | content digest, origin | empty |
//! | `RECALL` | recall | [`crate::Recall`] |
//! | `OF_SUBMISSION` | origin | recall |
//! | `OF_ACCOUNT` | account, time in ms, recall | empty |
//! | `COPY_OUTCOME` | recall, account, message | [`crate::CopyOutcome`] |
//! | `TARGET_OUTCOME` | recall, chunk and position of the target | [`crate::CopyOutcome`] |
//! | `OPEN` | recall | what is still to be done |
//! | `TRIGGER` | account | the next UID of its recall mailbox to look at |
//! | `VERDICT` | recall | [`crate::Decided`] |
//! | `LATEST` | content digest | the submission of the letter that was recorded last |

use tern_base::{AccountId, ContentDigest, MessageId, OriginId, Timestamp};
use tern_store::{Range, key::Key};

use crate::RecallId;

const SUBMISSION: u8 = 0x50;
const TARGETS: u8 = 0x51;
const BY_MESSAGE_ID: u8 = 0x52;
const BY_DIGEST: u8 = 0x53;
pub(crate) const RECALL: u8 = 0x54;
const OF_SUBMISSION: u8 = 0x55;
const OF_ACCOUNT: u8 = 0x56;
const COPY_OUTCOME: u8 = 0x57;
const TARGET_OUTCOME: u8 = 0x58;
pub(crate) const OPEN: u8 = 0x59;
const TRIGGER: u8 = 0x5a;
const LATEST: u8 = 0x5b;
pub(crate) const VERDICT: u8 = 0x5f;

pub(crate) fn submission(id: OriginId) -> Vec<u8> {
    Key::table(SUBMISSION).array(&id.0).finish()
}

pub(crate) fn targets(id: OriginId, chunk: u32) -> Vec<u8> {
    Key::table(TARGETS).array(&id.0).u32(chunk).finish()
}

pub(crate) fn latest(digest: ContentDigest) -> Vec<u8> {
    Key::table(LATEST).array(&digest.0).finish()
}

pub(crate) fn all_targets(id: OriginId) -> Range {
    Range::prefix(Key::table(TARGETS).array(&id.0).finish())
}

pub(crate) fn by_message_id(account: AccountId, hash: &[u8; 16], id: OriginId) -> Vec<u8> {
    Key::table(BY_MESSAGE_ID)
        .u32(account.0)
        .array(hash)
        .array(&id.0)
        .finish()
}

pub(crate) fn of_message_id(account: AccountId, hash: &[u8; 16]) -> Range {
    Range::prefix(
        Key::table(BY_MESSAGE_ID)
            .u32(account.0)
            .array(hash)
            .finish(),
    )
}

pub(crate) fn by_digest(digest: ContentDigest, id: OriginId) -> Vec<u8> {
    Key::table(BY_DIGEST).array(&digest.0).array(&id.0).finish()
}

pub(crate) fn of_digest(digest: ContentDigest) -> Range {
    Range::prefix(Key::table(BY_DIGEST).array(&digest.0).finish())
}

pub(crate) fn recall(id: RecallId) -> Vec<u8> {
    Key::table(RECALL).array(&id.0).finish()
}

pub(crate) fn of_submission(id: OriginId) -> Vec<u8> {
    Key::table(OF_SUBMISSION).array(&id.0).finish()
}

pub(crate) fn of_account(account: AccountId, time: Timestamp, id: RecallId) -> Vec<u8> {
    Key::table(OF_ACCOUNT)
        .u32(account.0)
        .u64(time.0)
        .array(&id.0)
        .finish()
}

pub(crate) fn of_account_since(account: AccountId, since: Timestamp) -> Range {
    let all = Range::prefix(Key::table(OF_ACCOUNT).u32(account.0).finish());
    all.starting_at(Key::table(OF_ACCOUNT).u32(account.0).u64(since.0).finish())
}

pub(crate) fn copy_outcome(id: RecallId, account: AccountId, message: MessageId) -> Vec<u8> {
    Key::table(COPY_OUTCOME)
        .array(&id.0)
        .u32(account.0)
        .u64(message.0)
        .finish()
}

pub(crate) fn copy_outcomes(id: RecallId) -> Range {
    Range::prefix(Key::table(COPY_OUTCOME).array(&id.0).finish())
}

pub(crate) fn target_outcome(id: RecallId, target: u32) -> Vec<u8> {
    Key::table(TARGET_OUTCOME).array(&id.0).u32(target).finish()
}

pub(crate) fn target_outcomes(id: RecallId) -> Range {
    Range::prefix(Key::table(TARGET_OUTCOME).array(&id.0).finish())
}

pub(crate) fn open(id: RecallId) -> Vec<u8> {
    Key::table(OPEN).array(&id.0).finish()
}

pub(crate) fn trigger(account: AccountId) -> Vec<u8> {
    Key::table(TRIGGER).u32(account.0).finish()
}

pub(crate) fn verdict(id: RecallId) -> Vec<u8> {
    Key::table(VERDICT).array(&id.0).finish()
}

/// Every row of a table.
pub(crate) fn whole(table: u8) -> Range {
    Range::prefix(vec![table])
}
