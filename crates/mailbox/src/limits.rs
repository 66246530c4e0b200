//! What a client can grow, and how far.

/// Longest name of one mailbox (one level), in bytes of UTF-8.
pub const MAX_MAILBOX_NAME: usize = 255;
/// Deepest nesting of mailboxes.
pub const MAX_MAILBOX_DEPTH: usize = 20;
/// Most mailboxes of an account.
pub const MAX_MAILBOXES: usize = 5_000;
/// Most accounts and groups that have rights in one mailbox.
pub const MAX_GRANTEES: usize = 250;
/// Most mailboxes of others that one account, one group or anyone has rights in.
pub const MAX_SHARED: usize = 2_000;
/// Most of them that are one account's, so that nobody uses up what others may share with somebody.
pub const MAX_SHARED_BY_ONE: usize = 200;
/// Most mailboxes of others that an account is subscribed to.
pub const MAX_SUBSCRIBED: usize = 4_000;
/// Most names without a mailbox that an account is subscribed to.
pub const MAX_SUBSCRIBED_NAMES: usize = 1_000;
/// Longest of them, in octets: IMAP clients say none that is longer, and it fits a key.
pub const MAX_SUBSCRIBED_NAME: usize = 1_000;
/// Accounts of a group that are told of what it is given.
pub const MAX_NOTIFIED: usize = 250;
/// Notices of an account that its rights changed, and as many that are gone and still told of.
pub const MAX_SHARE_NOTICES: usize = 200;
/// Most keywords of one message in one mailbox.
pub const MAX_KEYWORDS: usize = 64;
/// Longest keyword, in bytes (RFC 8621 4.1.1).
pub const MAX_KEYWORD: usize = 255;
/// All keywords of one message in one mailbox together, in bytes: with this a message in as many
/// mailboxes as it may be in still fits one transaction.
pub const MAX_KEYWORD_BYTES: usize = 2_048;
/// Most placements one transaction changes: longer lists are worked in chunks, each with a
/// modseq of its own.
pub const CHUNK: usize = 512;
/// Most messages that one transaction records as served: a row for a block of them, where all are served
/// alike.
pub const RECORD_CHUNK: usize = 4_096;
/// A transaction that works through messages of one account takes no further one once it writes
/// so many bytes.
pub const CHUNK_BYTES: usize = 512 * 1024;
/// The same for withdrawals and restores. A message in [`MAX_PLACEMENTS`] mailboxes comes on top,
/// and what the floors above write beside each.
pub const VAULT_CHUNK_BYTES: usize = 192 * 1024;
/// Most copies of one message that one transaction brings to their mailboxes.
pub const LANDINGS: usize = 1_024;
/// From so many on, at once, what is served of the copies is on record by letter as well.
pub const WIDE_LANDINGS: usize = 128;
/// Most copies of such a letter that may have been there before, as a sender's draft is.
pub const MAX_EARLIER_COPIES: usize = 8;
/// Most letters of which that is so; of further ones a withdrawal looks into every account that has a copy.
pub const MAX_WIDE_LETTERS: usize = 100_000;
/// Of so many at a time it is looked whether there is a copy.
pub const WIDE_LOOKED_AT: usize = 1_000;
/// References to messages of which it is looked at a time whether anything is left of their conversations.
pub const REFERENCES_LOOKED_AT: usize = 10_000;
/// Placements of messages in mailboxes that an account with a quota may have, however small that is.
pub const LEAST_PLACEMENTS: u64 = 100_000;
/// Octets of a quota for each placement beyond: about what the rows of one take.
pub const QUOTA_OF_PLACEMENT: u64 = 1_024;
/// Most mailboxes that show one message.
pub const MAX_PLACEMENTS: usize = 256;
/// Longest per-recipient prefix (Return-Path, Delivered-To), in bytes.
pub const MAX_PREFIX: usize = 4_096;
/// Copies of a letter that arrived for an account under one seal from which on one more is stopped and
/// not kept: nobody's quota counts the vault, and a letter can be brought again and again.
pub const MAX_KEPT_ARRIVALS: usize = 16;
/// The same for messages that carry the letter, in octets of all of them.
pub const MAX_KEPT_CARRIERS: u64 = 64 << 20;
/// What one of them counts for at the least.
pub const LEAST_KEPT_CARRIER: u64 = 64 << 10;
/// How many times its quota the messages of an account and what it removed of them and has to be kept
/// may fill, where nothing else is said.
pub const KEPT_QUOTAS: u32 = 10;
/// Most letters inside a message by which it is found and kept back; what lies deeper, or comes later,
/// is not.
pub const MAX_CARRIED: usize = tern_mime::limits::MAX_NESTED_DIGESTS;
/// About the rows that one of them takes for each copy of the message, in bytes.
pub(crate) const CARRIED_BYTES: usize = 96;
/// How long content that nothing refers to any more is kept before it is collected, in
/// milliseconds: longer than any transaction that may be about to refer to it.
pub const UNREFERENCED_GRACE_MS: u64 = 3_600_000;
/// Most uploads of an account that are held at once.
pub const MAX_UPLOADS: usize = 1_000;
/// Most octets that they hold together.
pub const MAX_UPLOAD_BYTES: u64 = 512 * 1024 * 1024;
/// How long an upload is held, in milliseconds.
pub const UPLOAD_LIFETIME_MS: u64 = 24 * 3_600_000;
/// Changes of an account that its change log has, about; of older ones it is known no more what they were.
pub const LOGGED_CHANGES: u64 = 250_000;
/// Modseqs that an account skips when its store was put back from a backup: more than were given out since.
/// There are 63 bits of them (RFC 7162 7).
pub const SKIPPED_MODSEQS: u64 = 1 << 40;
/// Ids of messages that it skips.
pub const SKIPPED_MESSAGES: u64 = 1 << 32;
/// Numbers of what it is told of its rights that it skips.
pub const SKIPPED_NOTICES: u64 = 1 << 32;
/// Ids of mailboxes that it skips.
pub const SKIPPED_MAILBOXES: u32 = 1 << 14;
/// Rows of a change log that one transaction forgets. A row has as many changes as one transaction made.
pub const TRIMMED_ROWS: usize = 256;
/// How many times its quota an account may bring in large messages within [`UNREFERENCED_GRACE_MS`]: so
/// much of what it removes again, or is refused, is on the disk at the most.
pub const BROUGHT_QUOTAS: u64 = 10;
/// Accounts of which it is known what they brought, from which on those that brought nothing for that
/// long are forgotten.
pub const BROUGHT_ACCOUNTS: usize = 1_024;
/// Longest content, in bytes, that is read ahead together with others: within the first piece of a blob.
pub const MAX_AHEAD: u64 = 64 * 1024;
/// Bytes of cached mailbox views.
pub const VIEW_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of cached views of whole accounts.
pub const ACCOUNT_VIEW_CACHE_BYTES: u64 = 128 * 1024 * 1024;
/// Bytes of cached message structures.
pub const STRUCTURE_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// About how many structures that is.
pub const STRUCTURE_CACHE_ITEMS: usize = 100_000;
/// Bytes of cached outlines of messages.
pub const OUTLINE_CACHE_BYTES: u64 = 96 * 1024 * 1024;
/// About how many outlines that is.
pub const OUTLINE_CACHE_ITEMS: usize = 300_000;
/// Octets of an address list that an outline has; what follows is not searched.
pub const MAX_OUTLINE_LIST: usize = 64 * 1024;
/// Bytes of the words of all accounts' messages that are kept in memory.
pub const WORDS_CACHE_BYTES: u64 = 160 * 1024 * 1024;
/// About of how many accounts that is, of those with the most.
pub const WORDS_CACHE_ITEMS: usize = 32;
/// Bytes of the words of one account's messages: of further messages none are kept.
pub const MAX_WORDS_BYTES: usize = 96 * 1024 * 1024;
/// Octets of decoded text of one message that are searched; text behind them is not found.
pub const MAX_SEARCHED_TEXT: usize = 8 << 20;
/// Longest row of the words of a block of messages: of the texts with most words none are kept where all do
/// not fit.
pub const MAX_WORDS_ROW: usize = tern_store::limits::MAX_VALUE;
/// Rows of words that are read together.
pub const WORDS_ROWS_PER_READ: usize = 64;
/// Rows of a change log that are followed in one go for words that can be made durable anew.
pub const FOLLOWED_CHANGES: usize = 10_000;
/// Accounts of which blocks wait for their words to be made durable; of further ones none do.
pub const WANTED_WORDS_ACCOUNTS: usize = 4_096;
/// Blocks of one of them that do; further ones do once a later search reads them.
pub const WANTED_WORDS_BLOCKS: usize = 16_384;
/// Octets of a message's texts from which on its words are not kept.
pub const MAX_WORDS_TEXT: usize = 256 * 1024;
/// Longest text, in octets, that is looked for among words.
pub const MAX_FIND: usize = 64;
/// Most texts that one search looks for among words.
pub const MAX_FINDS: usize = 32;
/// Messages of which outlines are made together.
pub const OUTLINES_PER_READ: usize = 256;
/// Blocks of message ids of which it is known what is on record as served: two bytes for each id.
pub const EXPOSED_CACHE_BLOCKS: usize = 8_192;
/// Longest text of those by which a client presents itself, in bytes.
pub const MAX_CLIENT_TEXT: usize = 200;
/// Clients, with version, protocol and address, that are told apart in what is on record as served of
/// a block of messages; what is served to further ones is counted together.
pub const MAX_BLOCK_CLIENTS: usize = 128;
/// Clients that are still told apart in what is on record of a copy that was made of another one; what was
/// served of that one to further ones is counted together.
pub const INHERITED_CLIENTS: usize = 16;
/// Messages of which a record is at once compared with the seals of their own letters only.
pub const FEW_RECORDS: usize = 8;
/// How much older than the truth the last time of a serving may be, in milliseconds: what was served
/// to a client within it is served again without a write.
pub const LAST_SERVED_MS: u64 = 3_600_000;
/// Longest row of what one client was served of a block of messages, in bytes: at the most each message
/// has six levels with two times.
pub(crate) const MAX_SHEET_ROW: usize = 64 + 2 * (MAX_CLIENT_TEXT + 2) + 64 * (9 + 2 + 6 * 21);
/// Longest row of what was served of a block in short: its clients, and a level for each message.
pub(crate) const MAX_ROLL_ROW: usize = 32 + 16 * MAX_BLOCK_CLIENTS + 64 * (9 + 12);
const _: () = assert!(CHUNK_BYTES + MAX_SHEET_ROW + MAX_ROLL_ROW <= tern_store::limits::MAX_BATCH);
/// Longest row of the most that was served of a copy, in bytes.
pub(crate) const MAX_EXPOSURE_ROW: usize = 48 + 3 * (MAX_CLIENT_TEXT + 2);
/// Most bytes that it takes to put on record of one message what is on record of another, keys included.
pub(crate) const MAX_INHERITED_BYTES: usize =
    (INHERITED_CLIENTS + 1) * (MAX_SHEET_ROW + 16) + MAX_ROLL_ROW + MAX_EXPOSURE_ROW + 64;
const _: () = assert!(MAX_SHEET_ROW <= tern_store::limits::MAX_VALUE);
const _: () = assert!(MAX_BLOCK_CLIENTS < u8::MAX as usize);
/// Known clients of an account. Of more, those that were not seen for longest are forgotten.
pub const MAX_DEVICES: usize = 64;
/// Mailboxes of which it is known how far a client was told.
pub const MAX_TOLD_MAILBOXES: usize = 64;
/// Clients of all accounts of which something is noted that is not written yet. Of further ones
/// nothing is noted until those are written.
pub const MAX_NOTED_DEVICES: usize = 100_000;
/// Clients that one transaction writes.
pub const DEVICES_PER_WRITE: usize = 64;
/// How long what was noted of a client waits until it is written, in milliseconds.
pub const DEVICE_WRITE_AFTER_MS: u64 = 600_000;
/// Longest row of a client, in bytes.
const MAX_DEVICE_ROW: usize = 72 + 7 * (MAX_CLIENT_TEXT + 2) + MAX_TOLD_MAILBOXES * 35;
const _: () = assert!(DEVICES_PER_WRITE * (MAX_DEVICE_ROW + 32) <= CHUNK_BYTES);
/// Most bytes that it takes to withdraw or restore one message: for each placement the row with
/// its flags, the deleted row, the counters of its mailbox and its change.
pub const MAX_VAULTED_BYTES: usize = MAX_PLACEMENTS * (MAX_KEYWORD_BYTES + 2 * MAX_KEYWORDS + 192)
    + MAX_PREFIX
    + MAX_CARRIED * 2 * CARRIED_BYTES
    + MAX_ROLL_ROW
    + 2_048;
/// Longest content, in bytes, that goes into the batch which puts its message into many mailboxes at once.
pub(crate) const INLINE_BESIDE_PLACEMENTS: usize = tern_store::limits::BLOB_PIECE;
const _: () = assert!(
    MAX_VAULTED_BYTES
        + MAX_SHEET_ROW
        + MAX_ROLL_ROW
        + MAX_EXPOSURE_ROW
        + tern_store::limits::MAX_VALUE
        + INLINE_BESIDE_PLACEMENTS
        + 4_096
        <= tern_store::limits::MAX_BATCH
);
/// What a transaction that withdraws or restores leaves to the floors above, in bytes.
pub const VAULT_CHUNK_REST: usize =
    tern_store::limits::MAX_BATCH - VAULT_CHUNK_BYTES - MAX_VAULTED_BYTES;
/// A message's row: what one step of a list may write, beside a placement, at the most.
const MAX_MESSAGE_ROW: usize = MAX_PREFIX + 16 * MAX_PLACEMENTS + MAX_CARRIED * CARRIED_BYTES + 256;
const _: () = assert!(
    CHUNK_BYTES + 2 * MAX_MESSAGE_ROW + MAX_KEYWORD_BYTES + 64 * CHUNK + MAX_INHERITED_BYTES
        <= tern_store::limits::MAX_BATCH
);
const _: () = assert!(MAX_INHERITED_BYTES <= VAULT_CHUNK_REST);
const _: () = assert!(MAX_MESSAGE_ROW <= tern_store::limits::MAX_VALUE);
/// Mailboxes whose id is known without looking at all mailboxes of the account.
pub const FOLDER_IDS_CACHE_ITEMS: usize = 100_000;
