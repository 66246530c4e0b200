//! Key layout. Table bytes 0x50 to 0x5f, 0x6f to 0x74 and 0x90 to 0x9c and 0x9e belong to this crate.
//!
//! | table | key after the table byte | value |
//! |---|---|---|
//! | `SUBMISSION` | origin | [`crate::Submission`] |
//! | `ARRIVAL` | origin | [`crate::Arrival`] |
//! | `TARGETS` | origin, position of the first | a list of [`crate::Target`] |
//! | `UNDER_WAY` | origin | how many targets the delivery has reached, and of how many |
//! | `BY_MESSAGE_ID` | account, hash of the Message-ID, origin | empty |
//! | `BY_DIGEST` | content digest, account, origin | empty |
//! | `LETTER` | content digest | the account that submitted it first, the last submission of it |
//! | `RECALL` | recall | [`crate::Recall`] |
//! | `OF_LETTER` | content digest, account | the recalls of what this account sent of it, the oldest first |
//! | `LEFT` | recall | [`crate::left::Left`]: whose copies its seal leaves though they were asked for |
//! | `ASKED` | account | [`crate::asked::Asked`]: every request of the account writes it |
//! | `OUTCOME` | recall, [`Subject`] | [`crate::CopyOutcome`] |
//! | `STAND_IN` | recall, account, message | empty: the place of this copy in the vault is to be taken |
//! | `OPEN` | recall | empty: something is still to be done |
//! | `KEPT` | time in ms, recall | empty: from then on its withdrawn copies are kept |
//! | `TRIGGER` | account | the next UID of its recall mailbox to look at |
//! | `VERDICT` | recall | [`crate::Decided`] |
//! | `MAILED` | account, origin | [`crate::mail::Mailed`]: nobody has seen to it |
//! | `WAIT` | recall | [`crate::Wait`]: it waits, or has waited |
//! | `WAITS_UNTIL` | time in ms, recall | whether it waits for that time alone, and begins then; else it expires then |
//! | `FROZEN` | account | [`crate::Frozen`]: it takes back far more than it usually may |
//! | `WAITS` | requester, origin, recall | empty: it waits |
//! | `REPLY` | recall | Message-ID of the mail that asked: its sender is owed an answer |
//! | `HOLDS_HEAD` | 0 | how often holds were changed, and how many there are |
//! | `HOLD` | hold | [`crate::Hold`] |
//! | `ANSWER` | hash of a Message-ID, origin of what answers it | empty |
//! | `RELEASED` | 0 | when a hold ended last, while what it held has not been looked at |
//! | `NEWS_HEAD` | account | the number of its last news |
//! | `FOLLOWED` | account, recall | empty: the account is told of it |
//! | `NEWS` | account, number | the recall, and whether it was new |
//! | `ONWARD` | content digest, origin that sends it outside | how that carries the letter, if it is not the letter |
//! | `STOPPED` | recall, origin | empty: something of it was stopped on its way out, and has no outcome yet |
//! | `NOTICED` | recall, account | [`crate::Noticed`]: it was to get a notice |
//! | `FORGOTTEN` | origin | empty: it came in and is forgotten, but for rows of where it led |
//! | `RETENTION` | | [`crate::retention`]: for how long withdrawn copies are kept |
//! | `SPOKEN_OF` | origin | empty: outcomes of a recall name where it leads, or, of what came in, a recall was asked for |

use tern_base::codec::Damaged;
use tern_base::{AccountId, ContentDigest, MessageId, OriginId, Timestamp};
use tern_store::Range;
use tern_store::key::{Key, KeyReader};

use crate::{HoldId, RecallId, Subject};

const ARRIVAL: u8 = 0x6f;
const SUBMISSION: u8 = 0x50;
const TARGETS: u8 = 0x51;
const BY_MESSAGE_ID: u8 = 0x52;
const BY_DIGEST: u8 = 0x53;
pub(crate) const RECALL: u8 = 0x54;
const OF_LETTER: u8 = 0x55;
const ASKED: u8 = 0x56;
const OUTCOME: u8 = 0x57;
const UNDER_WAY: u8 = 0x58;
pub(crate) const OPEN: u8 = 0x59;
const TRIGGER: u8 = 0x5a;
const LETTER: u8 = 0x5b;
const KEPT: u8 = 0x5c;
pub(crate) const VERDICT: u8 = 0x5d;
const MAILED: u8 = 0x5e;
pub(crate) const REPLY: u8 = 0x5f;
pub(crate) const WAIT: u8 = 0x70;
pub(crate) const WAITS_UNTIL: u8 = 0x71;
pub(crate) const WAITS: u8 = 0x72;
pub(crate) const FROZEN: u8 = 0x73;
const STAND_IN: u8 = 0x74;
const HOLDS_HEAD: u8 = 0x90;
pub(crate) const HOLD: u8 = 0x91;
const RELEASED: u8 = 0x92;
pub(crate) const ANSWER: u8 = 0x93;
const NEWS_HEAD: u8 = 0x94;
const FOLLOWED: u8 = 0x95;
const NEWS: u8 = 0x96;
pub(crate) const ONWARD: u8 = 0x97;
pub(crate) const STOPPED: u8 = 0x98;
const SPOKEN_OF: u8 = 0x99;
const NOTICED: u8 = 0x9a;
const LEFT: u8 = 0x9b;
pub(crate) const FORGOTTEN: u8 = 0x9c;
const RETENTION: u8 = 0x9e;

pub(crate) fn submission(id: OriginId) -> Vec<u8> {
    Key::table(SUBMISSION).array(&id.0).finish()
}

pub(crate) fn targets(id: OriginId, first: u32) -> Vec<u8> {
    Key::table(TARGETS).array(&id.0).u32(first).finish()
}

/// The rows of targets up to the one that holds this position, the last first.
pub(crate) fn targets_back_from(id: OriginId, position: u32) -> Range {
    let mut end = targets(id, position);
    end.push(0);
    Range {
        end,
        ..all_targets(id)
    }
    .reversed()
}

pub(crate) fn under_way(id: OriginId) -> Vec<u8> {
    Key::table(UNDER_WAY).array(&id.0).finish()
}

pub(crate) fn letter(digest: ContentDigest) -> Vec<u8> {
    Key::table(LETTER).array(&digest.0).finish()
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

pub(crate) fn by_digest(digest: ContentDigest, account: AccountId, id: OriginId) -> Vec<u8> {
    Key::table(BY_DIGEST)
        .array(&digest.0)
        .u32(account.0)
        .array(&id.0)
        .finish()
}

pub(crate) fn of_digest_by(digest: ContentDigest, account: AccountId) -> Range {
    Range::prefix(
        Key::table(BY_DIGEST)
            .array(&digest.0)
            .u32(account.0)
            .finish(),
    )
}

/// Every submission of a letter.
pub(crate) fn of_digest(digest: ContentDigest) -> Range {
    Range::prefix(Key::table(BY_DIGEST).array(&digest.0).finish())
}

pub(crate) fn arrival(id: OriginId) -> Vec<u8> {
    Key::table(ARRIVAL).array(&id.0).finish()
}

/// The submissions made from one time on and before another, the oldest first.
pub(crate) fn submissions_between(since: Timestamp, until: Timestamp) -> Range {
    between(SUBMISSION, since, until)
}

/// What came in from one time on and before another, the oldest first.
pub(crate) fn arrivals_between(since: Timestamp, until: Timestamp) -> Range {
    between(ARRIVAL, since, until)
}

fn between(table: u8, since: Timestamp, until: Timestamp) -> Range {
    // An id begins with its time (RFC 9562 5.7).
    let at = |time: Timestamp| {
        let millis = time.as_millis().min((1 << 48) - 1).to_be_bytes();
        Key::table(table).array(&millis[2..]).finish()
    };
    Range {
        start: at(since),
        end: match until {
            Timestamp(u64::MAX) => vec![table + 1],
            until => at(until),
        },
        ..whole(table)
    }
}

/// The submissions of a letter by the accounts before and after this one.
pub(crate) fn of_digest_not_by(digest: ContentDigest, account: AccountId) -> [Range; 2] {
    let all = Range::prefix(Key::table(BY_DIGEST).array(&digest.0).finish());
    let own = of_digest_by(digest, account);
    let before = Range {
        end: own.start,
        ..all.clone()
    };
    [before, all.starting_at(own.end)]
}

pub(crate) fn recall(id: RecallId) -> Vec<u8> {
    Key::table(RECALL).array(&id.0).finish()
}

pub(crate) fn of_letter(digest: ContentDigest, account: AccountId) -> Vec<u8> {
    let key = Key::table(OF_LETTER).array(&digest.0);
    key.u32(account.0).finish()
}

pub(crate) fn left(id: RecallId) -> Vec<u8> {
    Key::table(LEFT).array(&id.0).finish()
}

pub(crate) fn asked(account: AccountId) -> Vec<u8> {
    Key::table(ASKED).u32(account.0).finish()
}

pub(crate) fn outcome(id: RecallId, subject: Subject) -> Vec<u8> {
    let key = Key::table(OUTCOME).array(&id.0);
    match subject {
        Subject::Copy(account, message) => key.array(&[0]).u32(account.0).u64(message.0),
        Subject::Target(position) => key.array(&[1]).u32(position),
        Subject::Onward(origin, position) => key.array(&[2]).array(&origin.0).u32(position),
    }
    .finish()
}

/// Every outcome: those of copies first, by account, then those of targets, by position, then those of
/// what others send outside.
pub(crate) fn outcomes(id: RecallId) -> Range {
    Range::prefix(Key::table(OUTCOME).array(&id.0).finish())
}

/// The outcomes of an account's copies.
pub(crate) fn copy_outcomes_of(id: RecallId, account: AccountId) -> Range {
    let key = Key::table(OUTCOME).array(&id.0).array(&[0]);
    Range::prefix(key.u32(account.0).finish())
}

/// The outcomes of what is in no account here.
pub(crate) fn outcomes_elsewhere(id: RecallId) -> Range {
    outcomes(id).starting_at(Key::table(OUTCOME).array(&id.0).array(&[1]).finish())
}

pub(crate) fn read_subject(key: &[u8]) -> Result<Subject, Damaged> {
    let mut parts = KeyReader::new(key);
    let _recall: Option<[u8; 16]> = parts.array();
    Ok(match parts.array() {
        Some([0]) => Subject::Copy(
            parts.u32().map(AccountId).ok_or(Damaged)?,
            parts.u64().map(MessageId).ok_or(Damaged)?,
        ),
        Some([1]) => Subject::Target(parts.u32().ok_or(Damaged)?),
        Some([2]) => Subject::Onward(
            parts.array().map(OriginId).ok_or(Damaged)?,
            parts.u32().ok_or(Damaged)?,
        ),
        _ => return Err(Damaged),
    })
}

pub(crate) fn forgotten(id: OriginId) -> Vec<u8> {
    Key::table(FORGOTTEN).array(&id.0).finish()
}

pub(crate) fn read_forgotten(key: &[u8]) -> Result<OriginId, Damaged> {
    let id = key.get(1..).and_then(OriginId::from_slice);
    id.ok_or(Damaged)
}

pub(crate) fn stand_in(id: RecallId, account: AccountId, message: MessageId) -> Vec<u8> {
    let key = Key::table(STAND_IN).array(&id.0);
    key.u32(account.0).u64(message.0).finish()
}

pub(crate) fn stand_ins(id: RecallId) -> Range {
    Range::prefix(Key::table(STAND_IN).array(&id.0).finish())
}

pub(crate) fn read_stand_in(key: &[u8]) -> Result<(AccountId, MessageId), Damaged> {
    let mut parts = KeyReader::new(key);
    let _recall: Option<[u8; 16]> = parts.array();
    match (parts.u32(), parts.u64()) {
        (Some(account), Some(message)) => Ok((AccountId(account), MessageId(message))),
        _ => Err(Damaged),
    }
}

pub(crate) fn kept(since: Timestamp, id: RecallId) -> Vec<u8> {
    Key::table(KEPT).u64(since.0).array(&id.0).finish()
}

/// What has been kept since this time, or longer.
pub(crate) fn kept_since(since: Timestamp) -> Range {
    Range {
        end: Key::table(KEPT).u64(since.0.saturating_add(1)).finish(),
        ..whole(KEPT)
    }
}

pub(crate) fn read_kept(key: &[u8]) -> Result<(Timestamp, RecallId), Damaged> {
    let mut parts = KeyReader::new(key);
    match (parts.u64(), parts.array()) {
        (Some(since), Some(id)) => Ok((Timestamp(since), RecallId(id))),
        _ => Err(Damaged),
    }
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

pub(crate) fn mailed(account: AccountId, origin: OriginId) -> Vec<u8> {
    Key::table(MAILED).u32(account.0).array(&origin.0).finish()
}

/// What an account has asked for by mail, the oldest first.
pub(crate) fn mailed_by(account: AccountId) -> Range {
    Range::prefix(Key::table(MAILED).u32(account.0).finish())
}

pub(crate) fn reply(id: RecallId) -> Vec<u8> {
    Key::table(REPLY).array(&id.0).finish()
}

pub(crate) fn wait(id: RecallId) -> Vec<u8> {
    Key::table(WAIT).array(&id.0).finish()
}

pub(crate) fn waits_until(until: Timestamp, id: RecallId) -> Vec<u8> {
    Key::table(WAITS_UNTIL).u64(until.0).array(&id.0).finish()
}

/// What has waited until this time, or less long.
pub(crate) fn waits_until_by(now: Timestamp) -> Range {
    let end = now.0.saturating_add(1);
    Range {
        end: Key::table(WAITS_UNTIL).u64(end).finish(),
        ..whole(WAITS_UNTIL)
    }
}

/// What waits longer than until this time.
pub(crate) fn waits_until_after(time: Timestamp) -> Range {
    let start = time.0.saturating_add(1);
    whole(WAITS_UNTIL).starting_at(Key::table(WAITS_UNTIL).u64(start).finish())
}

/// Until when something waits.
pub(crate) fn read_until(key: &[u8]) -> Result<Timestamp, Damaged> {
    let until = KeyReader::new(key).u64();
    Ok(Timestamp(until.ok_or(Damaged)?))
}

pub(crate) fn read_waits_until(key: &[u8]) -> Result<RecallId, Damaged> {
    let mut parts = KeyReader::new(key);
    let _until = parts.u64();
    parts.array().map(RecallId).ok_or(Damaged)
}

pub(crate) fn waits(requester: &[u8; 16], submission: OriginId, id: RecallId) -> Vec<u8> {
    let key = Key::table(WAITS).array(requester);
    key.array(&submission.0).array(&id.0).finish()
}

/// What waits that a requester has asked for.
pub(crate) fn waits_of(requester: &[u8; 16]) -> Range {
    Range::prefix(Key::table(WAITS).array(requester).finish())
}

/// What waits of a submission that a requester has asked for.
pub(crate) fn waits_for(requester: &[u8; 16], submission: OriginId) -> Range {
    let key = Key::table(WAITS).array(requester);
    Range::prefix(key.array(&submission.0).finish())
}

pub(crate) fn read_waits(key: &[u8]) -> Result<RecallId, Damaged> {
    let mut parts = KeyReader::new(key);
    let _requester: Option<[u8; 16]> = parts.array();
    let _submission: Option<[u8; 16]> = parts.array();
    parts.array().map(RecallId).ok_or(Damaged)
}

pub(crate) fn frozen(account: AccountId) -> Vec<u8> {
    Key::table(FROZEN).u32(account.0).finish()
}

pub(crate) fn read_frozen(key: &[u8]) -> Result<AccountId, Damaged> {
    KeyReader::new(key).u32().map(AccountId).ok_or(Damaged)
}

pub(crate) fn holds_head() -> Vec<u8> {
    Key::table(HOLDS_HEAD).array(&[0]).finish()
}

pub(crate) fn hold(id: HoldId) -> Vec<u8> {
    Key::table(HOLD).array(&id.0).finish()
}

pub(crate) fn released() -> Vec<u8> {
    Key::table(RELEASED).array(&[0]).finish()
}

pub(crate) fn answer(message_id: &[u8; 16], id: OriginId) -> Vec<u8> {
    let key = Key::table(ANSWER).array(message_id);
    key.array(&id.0).finish()
}

/// What says that it answers a message, the oldest first.
pub(crate) fn answers_to(message_id: &[u8; 16]) -> Range {
    Range::prefix(Key::table(ANSWER).array(message_id).finish())
}

pub(crate) fn read_answer(key: &[u8]) -> Result<([u8; 16], OriginId), Damaged> {
    let mut parts = KeyReader::new(key);
    match (parts.array(), parts.array()) {
        (Some(message_id), Some(id)) => Ok((message_id, OriginId(id))),
        _ => Err(Damaged),
    }
}

pub(crate) fn news_head(account: AccountId) -> Vec<u8> {
    Key::table(NEWS_HEAD).u32(account.0).finish()
}

pub(crate) fn followed(account: AccountId, id: RecallId) -> Vec<u8> {
    Key::table(FOLLOWED).u32(account.0).array(&id.0).finish()
}

/// Every recall that an account is told of.
pub(crate) fn followed_by(account: AccountId) -> Range {
    Range::prefix(Key::table(FOLLOWED).u32(account.0).finish())
}

pub(crate) fn read_followed(key: &[u8]) -> Result<RecallId, Damaged> {
    let mut parts = KeyReader::new(key);
    let _account = parts.u32();
    parts.array().map(RecallId).ok_or(Damaged)
}

pub(crate) fn news(account: AccountId, number: u64) -> Vec<u8> {
    Key::table(NEWS).u32(account.0).u64(number).finish()
}

/// The news of an account after this number, the oldest first.
pub(crate) fn news_after(account: AccountId, number: u64) -> Range {
    news_of(account).starting_at(news(account, number.saturating_add(1)))
}

pub(crate) fn news_of(account: AccountId) -> Range {
    Range::prefix(Key::table(NEWS).u32(account.0).finish())
}

pub(crate) fn read_news(key: &[u8]) -> Result<u64, Damaged> {
    let mut parts = KeyReader::new(key);
    let _account = parts.u32();
    parts.u64().ok_or(Damaged)
}

pub(crate) fn onward(digest: ContentDigest, id: OriginId) -> Vec<u8> {
    let key = Key::table(ONWARD).array(&digest.0);
    key.array(&id.0).finish()
}

/// What is sent outside that is a letter or carries it, the oldest first.
pub(crate) fn onward_of(digest: ContentDigest) -> Range {
    Range::prefix(Key::table(ONWARD).array(&digest.0).finish())
}

pub(crate) fn read_onward(key: &[u8]) -> Result<(ContentDigest, OriginId), Damaged> {
    let mut parts = KeyReader::new(key);
    match (parts.array(), parts.array()) {
        (Some(digest), Some(id)) => Ok((ContentDigest(digest), OriginId(id))),
        _ => Err(Damaged),
    }
}

pub(crate) fn stopped(id: RecallId, origin: OriginId) -> Vec<u8> {
    let key = Key::table(STOPPED).array(&id.0);
    key.array(&origin.0).finish()
}

pub(crate) fn stopped_of(id: RecallId) -> Range {
    Range::prefix(Key::table(STOPPED).array(&id.0).finish())
}

pub(crate) fn read_stopped(key: &[u8]) -> Result<(RecallId, OriginId), Damaged> {
    let mut parts = KeyReader::new(key);
    match (parts.array(), parts.array()) {
        (Some(id), Some(origin)) => Ok((RecallId(id), OriginId(origin))),
        _ => Err(Damaged),
    }
}

pub(crate) fn noticed(id: RecallId, account: AccountId) -> Vec<u8> {
    let key = Key::table(NOTICED).array(&id.0);
    key.u32(account.0).finish()
}

pub(crate) fn noticed_of(id: RecallId) -> Range {
    Range::prefix(Key::table(NOTICED).array(&id.0).finish())
}

pub(crate) fn read_noticed(key: &[u8]) -> Result<AccountId, Damaged> {
    let mut parts = KeyReader::new(key);
    let _recall: Option<[u8; 16]> = parts.array();
    parts.u32().map(AccountId).ok_or(Damaged)
}

pub(crate) fn retention() -> Vec<u8> {
    vec![RETENTION]
}

pub(crate) fn spoken_of(origin: OriginId) -> Vec<u8> {
    Key::table(SPOKEN_OF).array(&origin.0).finish()
}

/// Every row of a table.
pub(crate) fn whole(table: u8) -> Range {
    Range::prefix(vec![table])
}
