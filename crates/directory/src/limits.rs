//! The bounds of the directory.

/// Most targets of an alias.
pub const MAX_ALIAS_TARGETS: usize = 100;
/// Most addresses that an account's mail is sent on to.
pub const MAX_REDIRECT_TARGETS: usize = 10;
/// Ids of accounts, and of groups, that are skipped when the store was put back from a backup: more than were
/// given out since.
pub const SKIPPED_IDS: u32 = 1 << 20;
/// Ids of identities of one account that are.
pub const SKIPPED_IDENTITIES: u32 = 1 << 16;
/// Numbers of changes that are.
pub const SKIPPED_CHANGES: u64 = 1 << 32;
/// Most members of one group.
pub const MAX_GROUP_MEMBERS: u64 = 250_000;
/// Most members that one call adds or removes, so that a batch stays within the store's bounds.
pub const MAX_MEMBERS_PER_CALL: usize = 1_000;
/// How deep aliases and groups may lead into each other when an address is expanded.
pub const MAX_DEPTH: usize = 16;
/// Most recipients that one address expands to.
pub const MAX_EXPANSION: usize = 250_000;
/// Most app passwords of an account, revoked ones included: those make room for new ones.
pub const MAX_APP_PASSWORDS: usize = 50;
/// Most grants of roles.
pub const MAX_GRANTS: u64 = 4_000;
/// Longest password, in bytes.
pub const MAX_PASSWORD: usize = 1024;
/// Most memory that verifying an imported password hash may take, in KiB.
pub const MAX_HASH_MEMORY_KIB: u32 = 64 * 1024;
/// Most KiB that it goes over in all passes: four times that memory, which is what other servers make as a rule, and
/// takes some 150 ms.
pub const MAX_HASH_WORK_KIB: u32 = 4 * MAX_HASH_MEMORY_KIB;
/// Most second factors of an account, its recovery codes counted as one.
pub const MAX_FACTORS: usize = 20;
/// Recovery codes that are made at once.
pub const RECOVERY_CODES: usize = 10;
/// Wrong codes of a second factor after which no more are looked at for a while.
pub const MAX_WRONG_CODES: u32 = 5;
/// How long that is the first time, in milliseconds; each further time is twice as long.
pub const CODE_LOCK_MS: u64 = 5 * 60 * 1000;
/// The longest that it becomes, and how long wrong codes are remembered, in milliseconds.
pub const MAX_CODE_LOCK_MS: u64 = 24 * 60 * 60 * 1000;
/// Longest code that is looked at, in bytes, spaces and dashes included.
pub const MAX_CODE: usize = 64;
/// Longest display name or label, in bytes.
pub const MAX_TEXT: usize = 256;
/// Most rows that one call of a list hands out.
pub const MAX_LIST: usize = 1_000;
/// Most delegates of an account, and most accounts whose delegate one is.
pub const MAX_DELEGATES: usize = 100;
/// Most identities of an account.
pub const MAX_IDENTITIES: usize = 100;
/// Longest signature, in bytes: two of them, and the addresses, stay within a row.
pub const MAX_SIGNATURE: usize = 24 * 1024;
/// Most push subscriptions of an account.
pub const MAX_SUBSCRIPTIONS: usize = 50;
/// Longest that a push subscription lasts without being renewed, in milliseconds.
pub const MAX_SUBSCRIPTION_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Push subscriptions of an account that may be made within [`NEW_SUBSCRIPTIONS_MS`]: each sends a
/// request to where its maker says.
pub const MAX_NEW_SUBSCRIPTIONS: u32 = 60;
/// The time within which new push subscriptions are counted, in milliseconds.
pub const NEW_SUBSCRIPTIONS_MS: u64 = 60 * 60 * 1000;
/// Most bytes of a push subscription's row.
pub const MAX_SUBSCRIPTION: usize = 8 * 1024;
/// Most bytes of an identity's Reply-To and Bcc together.
pub const MAX_CORRESPONDENTS: usize = 8 * 1024;
