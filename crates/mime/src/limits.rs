//! Limits on everything a sender can grow, and what happens when one is hit.
//!
//! Invariant: no limit makes a message unreadable. Past a limit the structure becomes coarser
//! (a part is not taken apart, a list is cut), and the bytes stay fetchable whole.

/// Parts inside parts. A multipart or message at this depth is kept as one opaque part.
pub const MAX_NESTING: usize = 64;

/// Parts of one message, all levels together. Past it no boundary is recognised any more, so the
/// rest of the message belongs to the last part.
pub const MAX_PARTS: usize = 10_000;

/// Bytes of one header (of the message or of a part) in which fields are looked for. Fields that
/// begin later are served raw but appear neither in the envelope nor in the body structure.
pub const MAX_HEADER_BYTES: usize = 1 << 20;

/// Bytes kept of one unstructured header value (Subject, Date, Content-Description and so on).
pub const MAX_VALUE_BYTES: usize = 16 << 10;

/// Addresses kept in all envelopes of one message together; the lists are cut there.
pub const MAX_ADDRESSES: usize = 20_000;

/// Content-Type and Content-Disposition parameters, and languages, kept in all parts of one
/// message together.
pub const MAX_PARAMS: usize = 20_000;

/// Message-Ids kept for threading: the oldest, which names the conversation, and the newest.
pub const MAX_THREAD_IDS: usize = 32;

/// Bytes of a Message-Id; a longer one is not a usable name and is passed over (one header line
/// of RFC 5322 2.1.1 holds no more).
pub const MAX_MESSAGE_ID_BYTES: usize = 998;

/// Bytes of a decoded subject from which the base subject is taken.
pub const MAX_SUBJECT_BYTES: usize = 2048;

/// Bytes of a boundary that are compared: the 70 of RFC 2046 5.1.1 and some more.
pub const MAX_BOUNDARY_BYTES: usize = 80;

/// Characters of a preview (RFC 8970 3.2).
pub const MAX_PREVIEW_CHARS: usize = 256;

/// Bytes of a text part that are decoded to find its preview, in turn, while what was found is too
/// short: markup often begins with a long style sheet.
pub const PREVIEW_BYTES: [usize; 3] = [2 << 10, 16 << 10, 128 << 10];

/// Nested messages of one message that get a content digest.
pub const MAX_NESTED_DIGESTS: usize = 64;

/// Levels of messages wrapped in transfer-encoded messages that are opened for a digest.
pub const MAX_ENCODED_NESTING: usize = 4;

/// How many times its own size a message may cost in nested digests.
pub const NESTED_DIGEST_FACTOR: usize = 4;

/// Attributes of a TNEF stream that are walked to find the class of the message; it stands among
/// the first few.
pub const MAX_TNEF_ATTRIBUTES: usize = 64;

/// Parts of a message, in the order in which they stand, among which one attachment can be taken: what
/// says which parts a copy lacks has a bit for each.
pub const MAX_NUMBERED_PARTS: u8 = 64;

/// Characters of a file name that is shown; the rest is cut off.
pub const MAX_FILE_NAME_CHARS: usize = 200;
