//! What a client can ask: one type for every command, with its arguments parsed.
//!
//! Invariant: a [`Command`] is syntactically complete; nothing in it needs to be looked at as text
//! again. Names are decoded, dates are timestamps in UTC, macros are expanded. Refuses to say
//! whether the command is allowed in the session's state.

use std::fmt;

use bytes::Bytes;
use tern_base::Timestamp;
use tern_mailbox::RightsChange;

use crate::fetch::Fetch;
use crate::name::MailboxName;
use crate::search::{Search, Sort, Thread};
use crate::sequence::{MessageSet, SequenceSet};

/// The tag of a command: what its final response carries.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// The tag of `text`; `None` when it is not one (RFC 9051 9 `tag`).
    pub fn new(text: &str) -> Option<Self> {
        let fits = |byte: u8| crate::parse::is_astring_char(byte) && byte != b'+';
        (!text.is_empty() && text.len() <= 128 && text.bytes().all(fits)).then(|| Self(text.into()))
    }

    /// The tag that starts a line, where there is one.
    pub(crate) fn of_line(line: &[u8]) -> Option<Self> {
        let end = memchr::memchr(b' ', line)?;
        Self::new(std::str::from_utf8(line.get(..end)?).ok()?)
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that must not be shown: a password or an initial response.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(pub T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// One command with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The tag.
    pub tag: Tag,
    /// The command itself.
    pub body: CommandBody,
}

/// A command without its tag. The citations are at the parsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandBody {
    /// `CAPABILITY`
    Capability,
    /// `NOOP`
    Noop,
    /// `LOGOUT`
    Logout,
    /// `STARTTLS`
    StartTls,
    /// `LOGIN`
    Login {
        /// The user name.
        username: String,
        /// The password.
        password: Secret<String>,
    },
    /// `AUTHENTICATE`
    Authenticate {
        /// The SASL mechanism, in capitals.
        mechanism: String,
        /// The initial response, decoded (SASL-IR).
        initial: Option<Secret<Vec<u8>>>,
    },
    /// `ID`: the client's fields, names in lower case.
    Id(Vec<(String, Option<String>)>),
    /// `ENABLE`: the extensions that we know and can enable.
    Enable(Vec<Enable>),
    /// `COMPRESS`: the mechanism, in capitals.
    Compress(String),
    /// `SELECT` or `EXAMINE`
    Select(Select),
    /// `CREATE`
    Create {
        /// The mailbox to make.
        mailbox: MailboxName,
        /// What it is for (CREATE-SPECIAL-USE).
        special_use: Vec<SpecialUse>,
    },
    /// `DELETE`
    Delete(MailboxName),
    /// `RENAME`
    Rename {
        /// The name it has.
        from: MailboxName,
        /// The name it gets.
        to: MailboxName,
    },
    /// `SUBSCRIBE`
    Subscribe(MailboxName),
    /// `UNSUBSCRIBE`
    Unsubscribe(MailboxName),
    /// `LIST`
    List(List),
    /// `LSUB`
    Lsub {
        /// The reference name.
        reference: MailboxName,
        /// The pattern, with `*` and `%`.
        pattern: MailboxName,
    },
    /// `NAMESPACE`
    Namespace,
    /// `STATUS`
    Status {
        /// The mailbox.
        mailbox: MailboxName,
        /// What to tell.
        items: Vec<StatusItem>,
    },
    /// `APPEND`
    Append(Append),
    /// `REPLACE` or `UID REPLACE`
    Replace(Replace),
    /// `IDLE`
    Idle,
    /// `GETQUOTA`
    GetQuota(String),
    /// `GETQUOTAROOT`
    GetQuotaRoot(MailboxName),
    /// `SETACL`
    SetAcl {
        /// The mailbox.
        mailbox: MailboxName,
        /// Whose rights.
        who: String,
        /// How they change.
        change: RightsChange,
    },
    /// `DELETEACL`
    DeleteAcl {
        /// The mailbox.
        mailbox: MailboxName,
        /// Whose rights.
        who: String,
    },
    /// `GETACL`
    GetAcl(MailboxName),
    /// `LISTRIGHTS`
    ListRights {
        /// The mailbox.
        mailbox: MailboxName,
        /// Whose rights.
        who: String,
    },
    /// `MYRIGHTS`
    MyRights(MailboxName),
    /// `CHECK`
    Check,
    /// `CLOSE`
    Close,
    /// `UNSELECT`
    Unselect,
    /// `EXPUNGE`, or `UID EXPUNGE` with its UIDs.
    Expunge(Option<MessageSet>),
    /// `SEARCH` or `UID SEARCH`
    Search(Search),
    /// `SORT` or `UID SORT`
    Sort(Sort),
    /// `THREAD` or `UID THREAD`
    Thread(Thread),
    /// `FETCH` or `UID FETCH`
    Fetch(Fetch),
    /// `STORE` or `UID STORE`
    Store(Store),
    /// `COPY`, `UID COPY`, `MOVE` or `UID MOVE`
    Copy(CopyTo),
}

/// An extension that ENABLE turns on (RFC 5161).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enable {
    /// `CONDSTORE`
    Condstore,
    /// `QRESYNC`
    Qresync,
    /// `IMAP4REV2`
    Imap4rev2,
    /// `UTF8=ACCEPT`
    Utf8Accept,
}

/// The arguments of SELECT and EXAMINE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// EXAMINE.
    pub read_only: bool,
    /// `(CONDSTORE)`
    pub condstore: bool,
    /// `(QRESYNC (…))`
    pub qresync: Option<Qresync>,
}

/// What a client remembers of a mailbox (RFC 7162 3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qresync {
    /// The UIDVALIDITY it knows.
    pub uid_validity: u32,
    /// The largest mod-sequence it knows.
    pub modseq: u64,
    /// The UIDs it knows, where it says so.
    pub known_uids: Option<SequenceSet>,
    /// Sequence numbers and the UIDs that they had.
    pub sequence_match: Option<(SequenceSet, SequenceSet)>,
}

/// What a mailbox is for (RFC 6154 2, RFC 8457).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Important`
    Important,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// The attribute without its backslash.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Archive => "Archive",
            Self::Drafts => "Drafts",
            Self::Flagged => "Flagged",
            Self::Important => "Important",
            Self::Junk => "Junk",
            Self::Sent => "Sent",
            Self::Trash => "Trash",
        }
    }

    /// The use that an attribute without its backslash names.
    pub fn parse(text: &str) -> Option<Self> {
        use SpecialUse::{All, Archive, Drafts, Flagged, Important, Junk, Sent, Trash};
        [All, Archive, Drafts, Flagged, Important, Junk, Sent, Trash]
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(text))
    }
}

/// The arguments of LIST, extended or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Selection options.
    pub select: ListSelect,
    /// The reference name.
    pub reference: MailboxName,
    /// The patterns, with `*` and `%`.
    pub patterns: Vec<MailboxName>,
    /// Return options.
    pub returns: ListReturn,
    /// Whether the extended syntax was used (RFC 5258).
    pub extended: bool,
}

/// Which mailboxes LIST shows (RFC 5258 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListSelect {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `REMOTE`
    pub remote: bool,
    /// `RECURSIVEMATCH`
    pub recursive_match: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
}

/// What LIST tells of a mailbox (RFC 5258 3.2, RFC 5819).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListReturn {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `CHILDREN`
    pub children: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
    /// `MYRIGHTS` (RFC 8440)
    pub my_rights: bool,
    /// `STATUS (…)`
    pub status: Option<Vec<StatusItem>>,
}

/// One item of STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusItem {
    /// `MESSAGES`
    Messages,
    /// `RECENT`
    Recent,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `DELETED`
    Deleted,
    /// `SIZE` (RFC 8438)
    Size,
    /// `HIGHESTMODSEQ` (RFC 7162)
    HighestModseq,
    /// `MAILBOXID` (RFC 8474)
    MailboxId,
    /// `APPENDLIMIT` (RFC 7889)
    AppendLimit,
    /// `DELETED-STORAGE` (RFC 9208)
    DeletedStorage,
}

/// The arguments of APPEND.
#[derive(Clone, PartialEq, Eq)]
pub struct Append {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// The messages: one, or more by MULTIAPPEND (RFC 3502).
    pub messages: Vec<AppendMessage>,
}

/// The arguments of REPLACE (RFC 8508 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// UID REPLACE: the message is named by its UID.
    pub uid: bool,
    /// The message that goes; more than one are refused.
    pub set: MessageSet,
    /// The one that comes.
    pub by: Append,
}

/// One message to append.
#[derive(Clone, PartialEq, Eq)]
pub struct AppendMessage {
    /// Its flags.
    pub flags: Vec<Flag>,
    /// Its internal date; the time of the append when absent.
    pub date: Option<Timestamp>,
    /// Its content: a slice of the frame. NUL is in it only where it came as a literal8 (RFC 3516 4.4).
    pub content: Bytes,
}

impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Append {:?} {:?}", self.mailbox, self.messages)
    }
}

impl fmt::Debug for AppendMessage {
    /// The size of the content, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}} {:?}", self.content.len(), self.flags)?;
        if let Some(date) = self.date {
            write!(f, " {date}")?;
        }
        Ok(())
    }
}

/// A flag of a message (RFC 9051 2.3.2).
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Flag {
    /// `\Seen`
    Seen,
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Draft`
    Draft,
    /// Any other, in the letters sent. Compared without regard to ASCII case.
    Keyword(String),
}

impl Flag {
    /// The flag as written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Seen => "\\Seen",
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
            Self::Keyword(text) => text,
        }
    }

    /// The system flag of a name without its backslash. `\Recent` is none: clients can't set it.
    pub fn system(name: &str) -> Option<Self> {
        [
            Self::Seen,
            Self::Answered,
            Self::Flagged,
            Self::Deleted,
            Self::Draft,
        ]
        .into_iter()
        .find(|flag| {
            flag.as_str()
                .get(1..)
                .is_some_and(|own| own.eq_ignore_ascii_case(name))
        })
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The arguments of STORE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// UID STORE: `set` names UIDs.
    pub uid: bool,
    /// The messages.
    pub set: MessageSet,
    /// `(UNCHANGEDSINCE n)` (RFC 7162 3.1.3)
    pub unchanged_since: Option<u64>,
    /// What is done with the flags.
    pub action: StoreAction,
    /// `.SILENT`
    pub silent: bool,
    /// The flags.
    pub flags: Vec<Flag>,
}

/// What STORE does with the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// The arguments of COPY and MOVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyTo {
    /// UID COPY, UID MOVE: `set` names UIDs.
    pub uid: bool,
    /// The messages.
    pub set: MessageSet,
    /// Where to.
    pub mailbox: MailboxName,
    /// MOVE: take them out of the selected mailbox.
    pub take: bool,
}
