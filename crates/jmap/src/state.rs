//! States (RFC 8620 1.6): the account's newest modseq, the same for every type that the mailboxes
//! hold.

use std::collections::BTreeSet;

use tern_base::changes::Changes;
use tern_base::{AccountId, Modseq};
use tern_mailbox::rows::Change;
use tern_mailbox::{MailboxError, Mailboxes};
use tern_recall::{RecallError, Recalls};

use crate::error::MethodError;
use crate::limits;
use crate::scope::{Moment, Scope};

/// A state as clients see it.
pub(crate) fn of(modseq: Modseq) -> String {
    modseq.to_string()
}

/// The state of a type that counts its own changes.
pub(crate) fn of_number(number: u64) -> String {
    number.to_string()
}

/// The number of such a state.
pub(crate) fn since_number(text: &str) -> Result<u64, MethodError> {
    let number = text
        .parse()
        .ok()
        .filter(|number| of_number(*number) == text);
    number.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)
}

/// The modseq of a state that is not newer than now. Anything else was never given out here, and what
/// changed since can't be told.
pub(crate) fn since(text: &str, now: Modseq) -> Result<Modseq, MethodError> {
    let modseq = text.parse().ok().map(Modseq);
    let known = modseq.filter(|modseq| *modseq <= now && of(*modseq) == text);
    known.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)
}

/// The modseq up to which nothing has changed after `since` but what is the caller's own: the state that a
/// caller has who knows of `since` and of these changes. What somebody else changed meanwhile is beyond it, so
/// that the caller asks for it.
pub(crate) fn after(
    mailboxes: &Mailboxes,
    scope: &Scope,
    since: Moment,
    is_own: impl Fn(&Change) -> bool,
) -> Result<Modseq, MailboxError> {
    let (mut whole, mut at) = (since.seen, since.seen);
    let mut read = since.seen.max(since.all);
    loop {
        let found = mailboxes.account_changes(scope.account, read, limits::MAX_CHANGES);
        let changes = match found {
            // So much changed that it is not known any more; the caller's state stays what it was.
            Err(MailboxError::NoHistory) => return Ok(whole),
            changes => changes?,
        };
        let Some(last) = changes.last() else {
            return Ok(at);
        };
        read = last.modseq;
        for change in changes.iter().filter(|one| scope.sees_change(&one.change)) {
            if change.modseq > at {
                (whole, at) = (at, change.modseq);
            }
            if !is_own(&change.change) {
                return Ok(whole);
            }
        }
    }
}

/// The state of a type that counts its own changes behind a set that began at the number `old`: the newest,
/// where nothing changed but what the set itself did. Else, and where that can't be told now, the one it
/// began with, so that the caller asks what changed.
pub(crate) fn after_own<I, E>(
    old: u64,
    changes: Result<Option<Changes<I>>, E>,
    is_own: impl Fn(&I) -> bool,
) -> String {
    let Ok(Some(changes)) = changes else {
        return of_number(old);
    };
    let all = [&changes.created, &changes.updated, &changes.destroyed];
    let is_all_own = all.into_iter().flatten().all(is_own);
    of_number(if is_all_own { changes.state } else { old })
}

/// The state of the type Recall: the number of the account's last news of recalls, which has nothing to
/// do with its mailboxes.
pub(crate) fn of_recalls(recalls: &Recalls, account: AccountId) -> Result<String, RecallError> {
    Ok(recalls.last_news(account)?.to_string())
}

/// Types of which something changed (RFC 8620 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Types {
    /// `Email`
    pub email: bool,
    /// `Mailbox`
    pub mailbox: bool,
    /// `Thread`
    pub thread: bool,
    /// `EmailDelivery`: a message was delivered, or put there (RFC 8621 1.5).
    pub delivery: bool,
}

impl Types {
    /// All of them.
    pub const ALL: Self = Self {
        email: true,
        mailbox: true,
        thread: true,
        delivery: true,
    };

    /// All but what says that something came.
    pub(crate) const ALL_BUT_DELIVERY: Self = Self {
        delivery: false,
        ..Self::ALL
    };

    /// Whether something of each type changed.
    pub const fn by_name(self) -> [(&'static str, bool); 4] {
        [
            ("Email", self.email),
            ("Mailbox", self.mailbox),
            ("Thread", self.thread),
            ("EmailDelivery", self.delivery),
        ]
    }
}

/// Of which types something changed in an account after `since`, and the newest modseq.
pub fn changed_types(
    mailboxes: &Mailboxes,
    account: AccountId,
    since: Modseq,
) -> Result<(Types, Modseq), MailboxError> {
    changed_types_in(mailboxes, &Scope::of_owner(account), since)
}

/// The same of what is seen of an account.
pub(crate) fn changed_types_in(
    mailboxes: &Mailboxes,
    scope: &Scope,
    since: Modseq,
) -> Result<(Types, Modseq), MailboxError> {
    let (mut types, mut at) = (Types::default(), since);
    loop {
        let changes = match mailboxes.account_changes(scope.account, at, limits::MAX_CHANGES) {
            // Anything may have changed.
            Err(MailboxError::NoHistory) => {
                return Ok((Types::ALL, scope.newest(mailboxes)?));
            }
            changes => changes?,
        };
        let Some(last) = changes.last() else {
            return Ok((types, at));
        };
        at = last.modseq;
        for change in changes.iter().filter(|one| scope.sees_change(&one.change)) {
            let came = matches!(
                change.change,
                Change::Placed {
                    created: Some(_),
                    ..
                }
            );
            let went = matches!(
                change.change,
                Change::Vanished {
                    destroyed: Some(_),
                    ..
                }
            );
            let of_message = !matches!(
                change.change,
                Change::MailboxCreated(_) | Change::MailboxUpdated(_) | Change::MailboxDestroyed(_)
            );
            // What left or came by another mailbox of somebody else's came and went for whoever sees this
            // one.
            let moved = scope.is_foreign() && !matches!(change.change, Change::Flagged { .. });
            let arrived = matches!(change.change, Change::Placed { .. });
            types.mailbox = true;
            types.email |= of_message;
            types.thread |= came || went || moved;
            types.delivery |= came || (moved && arrived);
        }
    }
}

/// Ids of one type that came, changed and went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta<I: Ord> {
    pub(crate) created: BTreeSet<I>,
    pub(crate) updated: BTreeSet<I>,
    pub(crate) destroyed: BTreeSet<I>,
}

impl<I: Ord + Copy> From<&Changes<I>> for Delta<I> {
    fn from(changes: &Changes<I>) -> Self {
        Self {
            created: changes.created.iter().copied().collect(),
            updated: changes.updated.iter().copied().collect(),
            destroyed: changes.destroyed.iter().copied().collect(),
        }
    }
}

impl<I: Ord + Copy> Delta<I> {
    pub(crate) fn create(&mut self, id: I) {
        // What went and came back (a restore) was there before, too.
        if self.destroyed.remove(&id) {
            self.updated.insert(id);
        } else {
            // What else changed because of it can be told before it.
            self.updated.remove(&id);
            self.created.insert(id);
        }
    }

    pub(crate) fn update(&mut self, id: I) {
        if !self.created.contains(&id) && !self.destroyed.contains(&id) {
            self.updated.insert(id);
        }
    }

    pub(crate) fn destroy(&mut self, id: I) {
        self.updated.remove(&id);
        if !self.created.remove(&id) {
            self.destroyed.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;

    use tern_base::{MessageId, OriginId, SeededEntropy, Timestamp};
    use tern_mailbox::{AppendRequest, Flags, Hooks, INBOX, NoListener, Viewer};
    use tern_store::MemEngine;

    use super::*;

    #[test]
    fn a_state_after_own_changes_does_not_cover_anybody_elses() {
        let engine = Arc::new(MemEngine::new());
        let mailboxes =
            Mailboxes::open(engine, [7; 32], Arc::new(NoListener), Hooks::none()).unwrap();
        let (account, now) = (AccountId(1), Timestamp::from_secs(1_800_000_000));
        mailboxes.create_account(account, 0, &[], now).unwrap();
        let mut entropy = SeededEntropy::new(1);
        let mut append = |text: &str| {
            let request = AppendRequest {
                account,
                mailbox: INBOX,
                content: text.as_bytes().to_vec(),
                flags: Flags::empty(),
                received: None,
                origin: OriginId::new(now, &mut entropy),
                by: Viewer::default().into(),
            };
            let placed = mailboxes.append(request, now).unwrap();
            (placed.message, mailboxes.newest_modseq(account).unwrap())
        };
        let since = mailboxes.newest_modseq(account).unwrap();
        let (first, at_first) = append("Subject: mine\r\n\r\n");
        let (second, at_second) = append("Subject: mine too\r\n\r\n");
        let (other, _) = append("Subject: delivered meanwhile\r\n\r\n");
        let (last, at_last) = append("Subject: mine again\r\n\r\n");
        let after = |own: &[MessageId]| {
            let own: BTreeSet<MessageId> = own.iter().copied().collect();
            let since = Moment {
                seen: since,
                all: since,
            };
            Scope::of_owner(account).after(&mailboxes, since, &own)
        };
        assert_eq!(after(&[]), since);
        assert_eq!(after(&[first, last]), at_first);
        assert_eq!(after(&[first, second, last]), at_second);
        assert_eq!(after(&[first, second, other, last]), at_last);
    }
}
