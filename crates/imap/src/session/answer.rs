//! The tagged end of a command, and how errors of the mailboxes become one.
//!
//! Invariant: this is the one place where a [`MailboxError`] gets a response code (RFC 5530), and
//! no answer tells more than the client may know: what failed on this side is an event.

use std::borrow::Cow;

use tern_base::Fault;
use tern_mailbox::MailboxError;

use crate::command::Tag;
use crate::respond::ResponseWriter;
use crate::respond::status::{Code, CodeName, Condition};

/// What of the mailbox's changes may be told before the tagged answer (RFC 9051 7.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// None: the mailbox was just read, or none is selected.
    Nothing,
    /// Sequence numbers stay: new messages and flags, no expunges.
    KeepNumbers,
    /// All of them.
    Full,
}

/// A response code that owns what it lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AnswerCode {
    Name(CodeName),
    HighestModseq(u64),
    Modified(Vec<(u32, u32)>),
    AppendUid(u32, Vec<(u32, u32)>),
    CopyUid(u32, Vec<(u32, u32)>, Vec<(u32, u32)>),
    MailboxId(String),
}

impl AnswerCode {
    pub(super) fn borrowed(&self) -> Code<'_> {
        match self {
            Self::Name(name) => Code::Name(*name),
            Self::HighestModseq(modseq) => Code::HighestModseq(*modseq),
            Self::Modified(set) => Code::Modified(set),
            Self::AppendUid(validity, uids) => Code::AppendUid(*validity, uids),
            Self::CopyUid(validity, from, to) => Code::CopyUid(*validity, from, to),
            Self::MailboxId(id) => Code::MailboxId(id),
        }
    }
}

/// A tagged answer that is due once the changes before it are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) condition: Condition,
    pub(super) code: Option<AnswerCode>,
    pub(super) text: Cow<'static, str>,
    pub(super) sync: Sync,
}

impl Answer {
    pub(super) fn ok(text: &'static str, sync: Sync) -> Self {
        Self {
            condition: Condition::Ok,
            code: None,
            text: Cow::Borrowed(text),
            sync,
        }
    }

    pub(super) fn no(code: CodeName, text: &'static str) -> Self {
        Self {
            condition: Condition::No,
            code: Some(AnswerCode::Name(code)),
            text: Cow::Borrowed(text),
            sync: Sync::Nothing,
        }
    }

    pub(super) fn bad(text: &'static str) -> Self {
        Self {
            condition: Condition::Bad,
            code: None,
            text: Cow::Borrowed(text),
            sync: Sync::Nothing,
        }
    }

    #[must_use]
    pub(super) fn with_code(mut self, code: AnswerCode) -> Self {
        self.code = Some(code);
        self
    }

    #[must_use]
    pub(super) fn with_sync(mut self, sync: Sync) -> Self {
        self.sync = sync;
        self
    }

    /// The same where the changes were not told. RFC 7162 3.2.5: a client that is told a mod-sequence asks
    /// from there, and would never hear of them.
    #[must_use]
    pub(super) fn without_modseq(self) -> Self {
        let code = self.code;
        Self {
            code: code.filter(|code| !matches!(code, AnswerCode::HighestModseq(_))),
            sync: Sync::Nothing,
            ..self
        }
    }

    pub(super) fn write(&self, tag: &Tag, out: &mut ResponseWriter) {
        let code = self.code.as_ref().map(AnswerCode::borrowed);
        out.tagged(tag, self.condition, code, &self.text);
    }
}

/// Why a command was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The mailboxes refused it, or could not do it.
    Mailbox(MailboxError),
    /// Anything else, with what the client is told.
    Answer(Answer),
    /// Content was sealed in the middle of its literal: the connection ends here.
    Torn,
}

impl From<MailboxError> for Failure {
    fn from(error: MailboxError) -> Self {
        Self::Mailbox(error)
    }
}

impl From<Answer> for Failure {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// What the client is told of an error of the mailboxes.
pub(super) fn answer_to(error: &MailboxError) -> Answer {
    let (code, text) = match error {
        MailboxError::NoMailbox => (CodeName::NonExistent, "No such mailbox"),
        MailboxError::NoAccount => (CodeName::ContactAdmin, "The account has no mailboxes"),
        MailboxError::NoMessage => (CodeName::ExpungeIssued, "The message is gone"),
        MailboxError::Exists => (
            CodeName::AlreadyExists,
            "A mailbox of that name exists already",
        ),
        MailboxError::QuotaExceeded => (CodeName::OverQuota, "Not enough room left"),
        MailboxError::KeptQuotaExceeded => (
            CodeName::OverQuota,
            "Not enough room left: messages that were deleted from this account have to be kept",
        ),
        MailboxError::Limit(_) => (CodeName::Limit, ""),
        MailboxError::InvalidName(_) => (CodeName::Cannot, "Not a name that a mailbox can have"),
        MailboxError::NotAllowed(_) => (CodeName::Cannot, ""),
        MailboxError::HasChildren => (CodeName::HasChildren, "It has mailboxes in it"),
        MailboxError::RoleTaken => (CodeName::UseAttr, "Another mailbox has this special use"),
        MailboxError::NotEmpty => (CodeName::Cannot, "It holds messages"),
        MailboxError::NotPermitted => (
            CodeName::NoPerm,
            "You have no right to do that in this mailbox",
        ),
        MailboxError::NoParent => (CodeName::Cannot, "A mailbox can't be in that one"),
        // Nothing of a session asks for them without another way.
        MailboxError::NoHistory => (CodeName::ServerBug, "Internal error"),
        MailboxError::Sealed => (CodeName::ExpungeIssued, "Some messages are being removed"),
        MailboxError::Store(error) => match error.fault() {
            Fault::Temporary => (
                CodeName::Unavailable,
                "Can't be done just now, try again later",
            ),
            _ => (CodeName::ServerBug, "Internal error"),
        },
    };
    let answer = Answer::no(code, text);
    match error {
        MailboxError::Limit(what) => Answer {
            text: Cow::Owned(format!("Over the limit: {what}")),
            ..answer
        },
        MailboxError::NotAllowed(why) => Answer {
            text: Cow::Owned(format!("Not allowed: {why}")),
            ..answer
        },
        _ => answer,
    }
}

/// Whether the log should have the error: it is no refusal.
pub(super) const fn is_ours(error: &MailboxError) -> bool {
    matches!(
        error,
        MailboxError::Store(_) | MailboxError::NoAccount | MailboxError::NoHistory
    )
}
