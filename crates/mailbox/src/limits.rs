//! What a client can grow, and how far.

/// Longest name of one mailbox (one level), in bytes of UTF-8.
pub const MAX_MAILBOX_NAME: usize = 255;
/// Deepest nesting of mailboxes.
pub const MAX_MAILBOX_DEPTH: usize = 20;
/// Most mailboxes of an account.
pub const MAX_MAILBOXES: usize = 5_000;
/// Most keywords of one message in one mailbox.
pub const MAX_KEYWORDS: usize = 64;
/// Longest keyword, in bytes.
pub const MAX_KEYWORD: usize = 128;
/// Most placements one transaction changes: longer lists are worked in chunks, each with a
/// modseq of its own.
pub const CHUNK: usize = 512;
/// Most copies of one message that one transaction brings to their mailboxes.
pub const LANDINGS: usize = 1_024;
/// Most mailboxes that show one message.
pub const MAX_PLACEMENTS: usize = 256;
/// Longest per-recipient prefix (Return-Path, Delivered-To), in bytes.
pub const MAX_PREFIX: usize = 4_096;
/// How long content that nothing refers to any more is kept before it is collected, in
/// milliseconds: longer than any transaction that may be about to refer to it.
pub const UNREFERENCED_GRACE_MS: u64 = 3_600_000;
/// Bytes of cached mailbox views.
pub const VIEW_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Parsed messages that are kept at hand.
pub const PARSED_CACHE_ITEMS: usize = 8_192;
/// Mailboxes whose id is known without looking at all mailboxes of the account.
pub const FOLDER_IDS_CACHE_ITEMS: usize = 100_000;
/// Copies whose exposure record is known without asking the store.
pub const EXPOSED_CACHE_ITEMS: usize = 65_536;
