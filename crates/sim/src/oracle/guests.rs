//! Who reads what others share with them: nobody without the right to it, and nothing that is not on record
//! with their name.

use tern_base::{AccountId, MailboxId, MessageId};
use tern_mailbox::{Actor, Ledger, Rights};

use super::Oracle;
use crate::letter::{Part, marks};

impl Oracle {
    /// Somebody is about to change rights in mailboxes, or has: what is served meanwhile may be by either.
    pub(crate) fn rights_turn(&mut self) {
        self.rights_turned += 1;
    }

    /// Whether somebody may read a mailbox of somebody else, as it is durable.
    pub(crate) fn may_read(
        &self,
        reader: AccountId,
        (owner, mailbox): (AccountId, MailboxId),
    ) -> bool {
        let groups = tern_directory::group::groups_around(&self.observer.mem, reader);
        let groups = groups.unwrap_or_default().into_iter();
        let actor = Actor {
            account: reader,
            groups: groups.map(|group| group.id.0).collect(),
        };
        let rights = self.observer.mailboxes.rights(&actor, owner, mailbox);
        rights.is_ok_and(|rights| rights.has(Rights::LOOKUP.with(Rights::READ)))
    }

    /// Octets of a copy are in the hands of somebody who reads it by rights.
    pub(crate) fn handed_to_guest(
        &mut self,
        id: (AccountId, MessageId),
        reader: AccountId,
        bytes: &[u8],
    ) {
        let has_text = marks(bytes).iter().any(|(part, _)| *part != Part::Subject);
        if let Some(copy) = self.copies.get_mut(&id).filter(|_| has_text) {
            copy.guests.insert(reader);
        }
    }

    /// The readers of a copy whom its ledger does not name.
    pub(super) fn unnamed(&self, id: (AccountId, MessageId), ledger: &Ledger) -> Option<AccountId> {
        let named = |reader: &AccountId| {
            let mut servings = ledger.servings.iter();
            servings.any(|one| one.device.reader() == Some(*reader))
        };
        let guests = &self.copies.get(&id)?.guests;
        guests.iter().copied().find(|reader| !named(reader))
    }
}
