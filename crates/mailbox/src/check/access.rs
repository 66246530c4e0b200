//! Grants and their index by who has them.

use std::collections::BTreeSet;

use super::Seen;
use crate::access::read_grant_key;
use crate::{Grantee, MailboxError, Mailboxes, tables};

impl Mailboxes {
    /// Each grant is in a mailbox that is there, and found by who has it.
    pub(super) fn check_grants(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        let mut expected = BTreeSet::new();
        for (key, _) in self.rows(tables::whole(tables::GRANT))? {
            let (owner, mailbox, grantee) = read_grant_key(&key)?;
            expected.insert(tables::granted_row(grantee, owner, mailbox));
            let is_going = !seen.accounts.contains_key(&owner);
            if !is_going && self.engine.get(&tables::mailbox(owner, mailbox))?.is_none() {
                seen.fault(format!("account {owner}: rights in no mailbox {mailbox}"));
            }
            if grantee == Grantee::Account(owner) {
                seen.fault(format!("account {owner}: its owner was given rights"));
            }
        }
        let rows = self.rows(tables::whole(tables::GRANTED))?;
        let found: BTreeSet<Vec<u8>> = rows.into_iter().map(|(key, _)| key).collect();
        for key in expected.symmetric_difference(&found) {
            seen.fault(format!("grants and their index differ: {key:02x?}"));
        }
        Ok(())
    }
}
