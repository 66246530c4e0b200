//! Grants and their index by who has them.

use super::Seen;
use crate::access::{read_grant_key, read_granted};
use crate::{Grantee, MailboxError, Mailboxes, tables};

impl Mailboxes {
    /// Each grant is in a mailbox that is there, and found by who has it.
    pub(super) fn check_grants(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        const DIFFER: &str = "grants and their index differ";
        self.look_at_each(tables::whole(tables::GRANT), seen, |seen, key, _| {
            let (owner, mailbox, grantee) = read_grant_key(key)?;
            seen.expect(tables::granted_row(grantee, owner, mailbox), DIFFER);
            let is_there = seen.accounts.contains(&owner);
            if is_there && self.engine.get(&tables::mailbox(owner, mailbox))?.is_none() {
                seen.fault(format!("account {owner}: rights in no mailbox {mailbox}"));
            }
            if grantee == Grantee::Account(owner) {
                seen.fault(format!("account {owner}: its owner was given rights"));
            }
            self.ask_some(seen)
        })?;
        self.look_at_each(tables::whole(tables::GRANTED), seen, |seen, key, _| {
            let (grantee, owner, mailbox) = read_granted(key)?;
            seen.belongs(key, tables::grant(owner, mailbox, grantee), DIFFER);
            self.ask_some(seen)
        })
    }
}
