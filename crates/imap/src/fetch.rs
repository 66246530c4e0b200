//! What FETCH asks for (RFC 9051 6.4.5 and the extensions named at each item).
//!
//! Invariant: macros are expanded; a section path holds no 0.

use crate::partial::Partial;
use crate::sequence::MessageSet;

/// The arguments of FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// UID FETCH: `set` names UIDs, and the responses carry them.
    pub uid: bool,
    /// The messages.
    pub set: MessageSet,
    /// What to tell of each.
    pub items: Vec<FetchItem>,
    /// `(CHANGEDSINCE n)` (RFC 7162 3.1.4.1)
    pub changed_since: Option<u64>,
    /// `VANISHED` beside CHANGEDSINCE (RFC 7162 3.2.6)
    pub vanished: bool,
    /// `PARTIAL` (RFC 9394 3.3): of the messages that the set names only these.
    pub partial: Option<Partial>,
}

/// One data item of FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    /// `FLAGS`
    Flags,
    /// `UID`
    Uid,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `BODY[…]` or `BODY.PEEK[…]`
    Section(BodySection),
    /// `RFC822`: `BODY[]` under another name.
    Rfc822,
    /// `RFC822.HEADER`: `BODY.PEEK[HEADER]` under another name.
    Rfc822Header,
    /// `RFC822.TEXT`: `BODY[TEXT]` under another name.
    Rfc822Text,
    /// `BINARY[…]` or `BINARY.PEEK[…]` (RFC 9051 6.4.5, RFC 3516)
    Binary {
        /// The part.
        path: Vec<u32>,
        /// Offset and length.
        partial: Option<(u64, u64)>,
        /// Without setting `\Seen`.
        peek: bool,
    },
    /// `BINARY.SIZE[…]`
    BinarySize(Vec<u32>),
    /// `MODSEQ` (RFC 7162 3.1.4.2)
    Modseq,
    /// `EMAILID` (RFC 8474 5.1)
    EmailId,
    /// `THREADID` (RFC 8474 5.2)
    ThreadId,
    /// `SAVEDATE` (RFC 8514)
    SaveDate,
    /// `PREVIEW`, with `(LAZY)` or without: it is always at hand (RFC 8970 3.1)
    Preview,
}

impl FetchItem {
    /// Whether serving the item sets `\Seen`.
    pub const fn sets_seen(&self) -> bool {
        match self {
            Self::Section(section) => !section.peek,
            Self::Binary { peek, .. } => !*peek,
            Self::Rfc822 | Self::Rfc822Text => true,
            _ => false,
        }
    }
}

/// `BODY[section]<partial>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodySection {
    /// The part; empty for the whole message.
    pub path: Vec<u32>,
    /// What of the part.
    pub text: SectionText,
    /// Offset and length.
    pub partial: Option<(u64, u64)>,
    /// Without setting `\Seen`.
    pub peek: bool,
}

/// What of a part or message is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// All of it.
    All,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (…)`, names as sent.
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT (…)`, names as sent.
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`
    Text,
    /// `MIME`: the header of the part itself; only with a path.
    Mime,
}
