//! Status responses: `OK`, `NO`, `BAD`, `PREAUTH`, `BYE` with their response codes (RFC 9051 7.1).
//!
//! Invariant: one call writes one line. A text is never empty (RFC 9051 9 resp-text).

use super::ResponseWriter;
use crate::command::Tag;

/// The five status responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Done.
    Ok,
    /// Not done.
    No,
    /// Not understood.
    Bad,
    /// The greeting of a session that is authenticated already.
    PreAuth,
    /// The connection is about to close.
    Bye,
}

impl Condition {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK ",
            Self::No => "NO ",
            Self::Bad => "BAD ",
            Self::PreAuth => "PREAUTH ",
            Self::Bye => "BYE ",
        }
    }
}

/// A response code (RFC 9051 7.1, RFC 5530 and where named). The variants that only have a name
/// are written as it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    /// A code that has a name only.
    Name(CodeName),
    /// `CAPABILITY`, given as the list.
    Capability(&'a str),
    /// `PERMANENTFLAGS`: flags as written, and whether new keywords can be made.
    PermanentFlags(&'a [&'a str], bool),
    /// `UIDNEXT`
    UidNext(u32),
    /// `UIDVALIDITY`
    UidValidity(u32),
    /// `UNSEEN` (RFC 3501 7.1)
    Unseen(u32),
    /// `HIGHESTMODSEQ` (RFC 7162 3.1.2.1)
    HighestModseq(u64),
    /// `MODIFIED`: the messages that STORE left alone (RFC 7162 3.1.3)
    Modified(&'a [(u32, u32)]),
    /// `APPENDUID`: UIDVALIDITY and UIDs
    AppendUid(u32, &'a [(u32, u32)]),
    /// `COPYUID`: UIDVALIDITY, UIDs here and UIDs there
    CopyUid(u32, &'a [(u32, u32)], &'a [(u32, u32)]),
    /// `MAILBOXID` (RFC 8474 4)
    MailboxId(&'a str),
    /// `BADCHARSET`: US-ASCII and UTF-8 are what we have
    BadCharset,
}

macro_rules! code_names {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A response code without arguments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CodeName {
            $($(#[$doc])* $name,)*
        }

        impl CodeName {
            /// The code as written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

code_names! {
    /// A message that a person should see.
    Alert = "ALERT",
    /// The mailbox exists already (RFC 5530).
    AlreadyExists = "ALREADYEXISTS",
    /// The credentials were wrong.
    AuthenticationFailed = "AUTHENTICATIONFAILED",
    /// Authenticated, yet not allowed to act as that user.
    AuthorizationFailed = "AUTHORIZATIONFAILED",
    /// Never possible, whatever the permissions.
    Cannot = "CANNOT",
    /// The client has an error.
    ClientBug = "CLIENTBUG",
    /// The mailbox that was selected is so no more.
    Closed = "CLOSED",
    /// The connection is compressed already (RFC 4978).
    CompressionActive = "COMPRESSIONACTIVE",
    /// Ask the administrator.
    ContactAdmin = "CONTACTADMIN",
    /// Damage on this side.
    Corruption = "CORRUPTION",
    /// The credentials are too old.
    Expired = "EXPIRED",
    /// Messages that were named are gone.
    ExpungeIssued = "EXPUNGEISSUED",
    /// The mailbox has mailboxes below it.
    HasChildren = "HASCHILDREN",
    /// In use by another session.
    InUse = "INUSE",
    /// A limit of this server.
    Limit = "LIMIT",
    /// No such mailbox, or none that may be told of.
    NonExistent = "NONEXISTENT",
    /// Mod-sequences are not kept for the mailbox.
    NoModseq = "NOMODSEQ",
    /// Not permitted.
    NoPerm = "NOPERM",
    /// The saved search result was not kept.
    NotSaved = "NOTSAVED",
    /// Over quota.
    OverQuota = "OVERQUOTA",
    /// The message can't be parsed.
    Parse = "PARSE",
    /// TLS is needed first.
    PrivacyRequired = "PRIVACYREQUIRED",
    /// The mailbox is selected read-only.
    ReadOnly = "READ-ONLY",
    /// The mailbox is selected read-write.
    ReadWrite = "READ-WRITE",
    /// A defect on this side.
    ServerBug = "SERVERBUG",
    /// Too large (RFC 7889, RFC 7888).
    TooBig = "TOOBIG",
    /// The mailbox can be created, and then the same may work.
    TryCreate = "TRYCREATE",
    /// UIDs are not kept.
    UidNotSticky = "UIDNOTSTICKY",
    /// Something is out of order for now.
    Unavailable = "UNAVAILABLE",
    /// The transfer encoding of the part is not known (RFC 3516).
    UnknownCte = "UNKNOWN-CTE",
    /// No mailbox can be made for that special use (RFC 6154).
    UseAttr = "USEATTR",
}

impl From<CodeName> for Code<'_> {
    fn from(name: CodeName) -> Self {
        Self::Name(name)
    }
}

impl ResponseWriter {
    /// The tagged end of a command.
    pub fn tagged(&mut self, tag: &Tag, condition: Condition, code: Option<Code<'_>>, text: &str) {
        self.word(tag.as_str()).byte(b' ');
        self.condition(condition, code, text);
    }

    /// An untagged status response.
    pub fn untagged(&mut self, condition: Condition, code: Option<Code<'_>>, text: &str) {
        self.raw(b"* ");
        self.condition(condition, code, text);
    }

    /// A command continuation request (RFC 9051 7.6). An empty text is a bare `+ `.
    pub fn continuation(&mut self, text: &str) {
        self.raw(b"+ ").text(text).end_line();
    }

    fn condition(&mut self, condition: Condition, code: Option<Code<'_>>, text: &str) {
        self.word(condition.as_str());
        if let Some(code) = code {
            self.byte(b'[').code(&code);
            self.raw(b"] ");
        }
        self.text(if text.is_empty() { "Done" } else { text })
            .end_line();
    }

    fn code(&mut self, code: &Code<'_>) {
        match code {
            Code::Name(name) => self.word(name.as_str()),
            Code::Capability(list) => self.raw(b"CAPABILITY ").text(list),
            Code::PermanentFlags(flags, more) => {
                self.raw(b"PERMANENTFLAGS (").word(&flags.join(" "));
                if *more {
                    self.word(if flags.is_empty() { "\\*" } else { " \\*" });
                }
                self.byte(b')')
            }
            Code::UidNext(uid) => self.raw(b"UIDNEXT ").number(*uid),
            Code::UidValidity(value) => self.raw(b"UIDVALIDITY ").number(*value),
            Code::Unseen(number) => self.raw(b"UNSEEN ").number(*number),
            Code::HighestModseq(modseq) => self.raw(b"HIGHESTMODSEQ ").number(*modseq),
            Code::Modified(set) => self.raw(b"MODIFIED ").ranges(set),
            Code::AppendUid(validity, uids) => self
                .raw(b"APPENDUID ")
                .number(*validity)
                .byte(b' ')
                .ranges(uids),
            Code::CopyUid(validity, from, to) => {
                self.raw(b"COPYUID ")
                    .number(*validity)
                    .byte(b' ')
                    .ranges(from);
                self.byte(b' ').ranges(to)
            }
            Code::MailboxId(id) => self.raw(b"MAILBOXID (").word(id).byte(b')'),
            Code::BadCharset => self.raw(b"BADCHARSET (US-ASCII UTF-8)"),
        };
    }
}
