//! Changing flags: IMAP STORE, JMAP keywords.

use tern_base::{Modseq, Uid};

use crate::edit::Edit;
use crate::rights::FlagRights;
use crate::rows::PlacementRow;
use crate::{Access, Connection, Flags, Limit, MailboxError, Mailboxes, Rights, mark};

/// How to change flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// These and no others.
    Set(Flags),
    /// These too.
    Add(Flags),
    /// No longer these.
    Remove(Flags),
}

impl FlagChange {
    /// Refuses a keyword for which there is no room: what it was to cause would be lost unseen.
    fn apply(&self, old: &Flags) -> Result<Flags, MailboxError> {
        let mut flags = old.clone();
        match self {
            Self::Set(to) => flags = to.clone(),
            Self::Add(more) if !flags.add_all(more) => return Err(TOO_MANY_KEYWORDS),
            Self::Add(_) => {}
            Self::Remove(less) => flags.remove_all(less),
        }
        Ok(flags)
    }
}

/// [`crate::limits::MAX_KEYWORDS`] and [`crate::limits::MAX_KEYWORD_BYTES`].
pub(crate) const TOO_MANY_KEYWORDS: MailboxError = MailboxError::Limit(Limit::Keywords);

/// Which messages, and how.
#[derive(Clone, Debug)]
pub struct FlagRequest<'a> {
    /// The mailbox, and who acts.
    pub access: Access,
    /// The messages; those that are not there are passed over.
    pub uids: &'a [Uid],
    /// The change.
    pub change: &'a FlagChange,
    /// Only messages not changed after this (RFC 7162 3.1.3).
    pub unchanged_since: Option<Modseq>,
    /// The connection of the client that asks, where it is known.
    pub by: Option<&'a Connection>,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagOutcome {
    /// It has these flags now, changed or not.
    Flags {
        /// The message.
        uid: Uid,
        /// Its flags.
        flags: Flags,
        /// Its modseq.
        modseq: Modseq,
        /// Its modseq before: whoever was not told of that does not know all of the flags.
        before: Modseq,
    },
    /// It was changed after `unchanged_since`, and was left alone.
    Modified(Uid),
}

impl Mailboxes {
    /// Changes flags, durably. What somebody has no right to change stays as it is. The answers are in the
    /// order of `uids`.
    pub fn change_flags(
        &self,
        request: &FlagRequest<'_>,
    ) -> Result<Vec<FlagOutcome>, MailboxError> {
        let (access, uids) = (&request.access, request.uids);
        let (account, mailbox) = access.place();
        self.edit_each(account, mailbox, uids, |edit, uid, row| {
            let rights = self.allow_in(edit.txn, access, Rights::READ)?;
            let owners = self.hooks.marked.filter(|_| !access.is_owners());
            let may = FlagRights::of(rights, owners);
            if !may.allow_any_of(request.change) {
                return Err(MailboxError::NotPermitted);
            }
            change_one(edit, request, (may, self.hooks.marked), uid, row).map(Some)
        })
    }
}

fn change_one(
    edit: &mut Edit<'_, '_>,
    request: &FlagRequest<'_>,
    (may, marking): (FlagRights<'_>, Option<&str>),
    uid: Uid,
    row: PlacementRow,
) -> Result<FlagOutcome, MailboxError> {
    if request
        .unchanged_since
        .is_some_and(|since| row.modseq > since)
    {
        return Ok(FlagOutcome::Modified(uid));
    }
    let flags = may.within(&row.flags, request.change.apply(&row.flags)?);
    let before = row.modseq;
    let mut modseq = before;
    if flags != row.flags {
        modseq = edit.modseq;
        let sets = |keyword| flags.has_keyword(keyword) && !row.flags.has_keyword(keyword);
        if marking.is_some_and(sets) {
            mark::mark(edit, row.message, request.by);
        }
        edit.reflag(request.access.mailbox, uid, row, flags.clone())?;
    }
    Ok(FlagOutcome::Flags {
        uid,
        flags,
        modseq,
        before,
    })
}
