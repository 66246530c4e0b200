//! The bounds of the directory.

/// Most targets of an alias.
pub const MAX_ALIAS_TARGETS: usize = 100;
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
/// Most passes over it.
pub const MAX_HASH_PASSES: u32 = 10;
/// Longest display name or label, in bytes.
pub const MAX_TEXT: usize = 256;
/// Most rows that one call of a list hands out.
pub const MAX_LIST: usize = 1_000;
