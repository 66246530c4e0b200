//! The bounds of a set of policies. A set that exceeds one is not loaded; the error names it.

/// Most files of a set.
pub const MAX_FILES: usize = 200;
/// Longest file, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// Most policies of a set: every one is looked at for every question.
pub const MAX_POLICIES: usize = 2_000;
/// Longest id of a policy, in bytes.
pub const MAX_ID_BYTES: usize = 64;
/// Most people whose approval a policy can ask for.
pub const MAX_APPROVERS: u32 = 9;
/// Longest value of an input that a verdict keeps, in characters.
pub const MAX_INPUT_CHARS: usize = 500;
/// Most groups or networks of a question that are looked at; a question with more is denied.
pub const MAX_NAMES: usize = 10_000;
/// Most recipients over which a policy may ask for numbers instead of names.
pub const MAX_AGGREGATE: u32 = 10_000;
