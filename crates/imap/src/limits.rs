//! Every bound on what an IMAP peer can make this crate hold or do, with the answer it gets.
//!
//! Invariant: what one session buffers of its input is at most [`MAX_LINE`] plus the literals that
//! [`FrameLimits`] allows in its present state plus one read of the shell, and [`INFLATE_PIECE`] of that where it
//! is compressed; literals beyond
//! [`MAX_UNRESERVED_LITERALS`] are part of the memory that all sessions share, or are refused with
//! `NO [UNAVAILABLE]`.

/// Octets of one command outside its literals. RFC 7162 4 asks for at least 8,192. Over: `BYE`.
pub const MAX_LINE: usize = 64 * 1024;
/// Octets of one literal before authentication: a user name or a password. Over: `NO [TOOBIG]`.
pub const MAX_LITERAL_BEFORE_AUTH: u64 = 4 * 1024;
/// Octets of one literal that is not an appended message. Over: `NO [TOOBIG]`.
pub const MAX_LITERAL: u64 = 64 * 1024;
/// Octets of the literals of one command that are read without memory set aside for them; nobody
/// gets beyond it before authentication.
pub const MAX_UNRESERVED_LITERALS: u64 = MAX_LITERAL_BEFORE_AUTH * MAX_LITERALS_FACTOR;
/// A command may hold this many times the largest of its literals, in total.
pub const MAX_LITERALS_FACTOR: u64 = 4;
/// Octets of a refused non-synchronising literal that are read and thrown away, so that the
/// refusal can be tagged; over that the connection is closed with `BYE [TOOBIG]` (RFC 7888 4).
pub const MAX_DISCARD: u64 = 256 * 1024 * 1024;
/// Ranges in one sequence set. Over: `BAD`.
pub const MAX_SET_RANGES: usize = 16 * 1024;
/// Depth of parentheses, `NOT` and first operands of `OR` in one search. Over: `NO [LIMIT]`.
pub const MAX_SEARCH_DEPTH: usize = 64;
/// Search keys in one search. Over: `NO [LIMIT]`.
pub const MAX_SEARCH_KEYS: usize = 4096;
/// BODY and TEXT keys in one search: each looks through [`MAX_SEARCHED_TEXT`]. Over: `NO [LIMIT]`.
pub const MAX_SEARCH_TEXTS: usize = 128;
/// HEADER, SUBJECT, FROM, TO, CC and BCC keys in one search: each looks through a header, of which
/// a megabyte is read at most. Over: `NO [LIMIT]`.
pub const MAX_SEARCH_HEADERS: usize = 1024;
/// Items of one list argument (flags, fetch items, header names, patterns, status items).
pub const MAX_LIST_ITEMS: usize = 1024;
/// Octets of patterns times octets of mailbox names that one LIST or LSUB compares. Over:
/// `NO [LIMIT]`.
pub const MAX_LIST_COMPARISONS: usize = 1 << 28;
/// Numbers in one body part path. MIME nests far less than this.
pub const MAX_PART_DEPTH: usize = 64;
/// Octets of a keyword.
pub const MAX_KEYWORD: usize = 255;
/// Octets of a mailbox name or pattern, in UTF-8.
pub const MAX_MAILBOX_NAME: usize = 1000;
/// Fields of an ID command (RFC 2971 3.3).
pub const MAX_ID_FIELDS: usize = 30;
/// Messages of one APPEND (RFC 3502).
pub const MAX_APPEND_MESSAGES: usize = 1000;
/// Commands that don't parse, in a row without a good one, before `BYE`.
pub const MAX_BAD_COMMANDS: u32 = 20;

/// Octets of output after which one step of a long answer ends. A piece of content comes on top.
pub const MAX_STEP_OUTPUT: usize = 128 * 1024;
/// Octets of content that one step reads; longer literals are streamed in pieces of it. What the
/// store holds in one piece, so that none is read twice.
pub const CONTENT_PIECE: u64 = 256 * 1024;
/// Work of one step of any command, in octets that are read, decoded or looked through, beside its last item.
/// What else costs is charged as so many octets; a step ends where this is spent or its output is full.
pub const WORK_PER_STEP: u64 = 16 * 1024 * 1024;
/// What a condition tested on an entry of a view is charged as.
pub const WORK_OF_TEST: u64 = 256;
/// What a row of the store that is looked up is charged as.
pub const WORK_OF_ROW: u64 = 4 * 1024;
/// What a piece of a command is charged as, whatever it did.
pub const WORK_OF_PIECE: u64 = WORK_PER_STEP / 64;
/// Messages that one piece of a command reads rows of, marks as seen, copies, moves or expunges: what the
/// mailboxes do in one commit.
pub const MESSAGES_PER_PIECE: usize = tern_mailbox::limits::CHUNK;
/// Messages that one piece of a FETCH reads rows of and puts on record as served: one commit, for which the
/// first octet of all waits.
pub const MESSAGES_PER_FETCH: usize = 2 * MESSAGES_PER_PIECE;
/// Octets of them, where their bodies are served, from which on it takes no further one: a connection that
/// is cut has at most so many on record that it did not get.
pub const OCTETS_PER_FETCH: u64 = 8 * 1024 * 1024;
/// Structures that are read ahead together, each at most a row of the store.
pub const STRUCTURES_PER_READ: usize = 64;
/// Octets of messages whose contents are read ahead together: what a step writes, so that hardly more is
/// held between two steps.
pub const OCTETS_READ_AHEAD: u64 = MAX_STEP_OUTPUT as u64;
/// Octets of decoded text of one message that are searched; text behind them is not found. The last message
/// of a step takes at most [`MAX_SEARCH_TEXTS`] looks at it and [`MAX_SEARCH_HEADERS`] at its header, a GiB each.
pub const MAX_SEARCHED_TEXT: usize = tern_mailbox::limits::MAX_SEARCHED_TEXT;
/// Octets of memory that a look into a message's text may take without being set aside: most take less.
pub const SEARCHED_FREE: u64 = 256 * 1024;
/// Messages of which bodies are read rather than all words of an account that outlasted a restart.
pub const FEW_TEXTS: usize = MESSAGES_PER_PIECE / 2;
/// Places of one part that are remembered, [`CONTENT_PIECE`] apart, so that it is not decoded again from its
/// beginning; what is behind the last of them is.
pub const MAX_PART_MARKS: usize = 1024;
/// Messages that one SORT or THREAD compares by what is in them. Over: `NO [LIMIT]`.
pub const MAX_ORDERED_MESSAGES: u64 = 100_000;
/// Octets that one SORT or THREAD holds of what it compares without memory set aside for it.
pub const GATHERED_UNRESERVED: u64 = 1 << 20;
/// Octets that are set aside at once for what is beyond. Where there are none: `NO [UNAVAILABLE]`.
pub const GATHERED_PIECE: u64 = 1 << 20;
/// Octets of a subject or name by which messages are put in order, taken apart as RFC 5051 has it (9 for a
/// Korean syllable); what follows is the same. THREAD asks for all of a subject.
pub const MAX_ORDERED_TEXT: usize = 1024;
/// Message-IDs that one THREAD remembers; references to further ones don't join messages.
pub const MAX_THREAD_NODES: usize = 400_000;
/// Messages from a root to a leaf that THREAD looks through for loops; deeper ones start anew.
pub const MAX_THREAD_DEPTH: usize = 1_000;
/// Keywords that the FLAGS response lists; further ones work and are not announced.
pub const MAX_TOLD_KEYWORDS: usize = 256;
/// Octets of an APPEND of more than one message that one transaction takes, so that it is atomic
/// (RFC 3502); larger messages count with their rows only. Over: `NO [LIMIT]`.
pub const MAX_MULTIAPPEND: usize = 900 * 1024;
/// How long after it a client that has nothing new to be told is noted as seen again, in
/// milliseconds.
pub const NOTED_AGAIN_MS: u64 = 300_000;
/// Octets of each text by which a client presents itself (RFC 2971) that are kept.
pub const MAX_CLIENT_NAME: usize = 128;

/// Octets of compressed input that one step decompresses.
pub const INFLATE_PIECE: usize = 16 * 1024;
/// Octets of output up to which it is not worth compressing.
pub const MAX_STORED: usize = 256;

/// Events kept for the shell between two calls; further ones are lost.
pub const MAX_EVENTS: usize = 64;

/// What the framer accepts in the session's present state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Octets of one literal of any command other than APPEND.
    pub literal: u64,
    /// Octets of one literal of an APPEND; also of all its literals together.
    pub append: u64,
    /// Octets of a refused non-synchronising literal that are thrown away rather than answered
    /// with `BYE`.
    pub discard: u64,
}

impl FrameLimits {
    /// The limits before authentication: small literals, no patience.
    pub const fn before_authentication() -> Self {
        Self {
            literal: MAX_LITERAL_BEFORE_AUTH,
            append: MAX_LITERAL_BEFORE_AUTH,
            discard: 0,
        }
    }

    /// The limits of an authenticated session that may append `max_message_size` octets.
    pub const fn authenticated(max_message_size: u64) -> Self {
        Self {
            literal: MAX_LITERAL,
            append: max_message_size,
            discard: MAX_DISCARD,
        }
    }
}
