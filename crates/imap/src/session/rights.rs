//! SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314 3).
//!
//! Invariant: whoever has no `l` in a mailbox is told that there is none, and whoever has no `a` learns
//! nothing of what others have, but takes away what they were given themselves. An identifier is the primary address of an account or a group; one that
//! the asking account does not see is told like one that does not exist. `anyone` can be given rights by
//! an administrator of the server only.

use tern_mailbox::{Grantee, MailboxError, Rights, RightsChange};
use tern_session::{RightsRequest, SharingError};

use super::answer::{Answer, Failure, Sync};
use super::place::{Place, store};
use super::run::Task;
use super::{Context, Session};
use crate::name::MailboxName;
use crate::respond::status::CodeName;

impl Session {
    pub(super) fn set_acl(
        &mut self,
        mailbox: &MailboxName,
        who: &str,
        change: RightsChange,
        cx: &mut Context<'_>,
    ) -> Result<Task, Failure> {
        let place = self.place(mailbox, Rights::ADMINISTER, cx)?;
        let grantee = self.grantee(who, cx)?;
        if grantee == Grantee::Anyone && gives(change) {
            let text = "Only an administrator shares a mailbox with everybody";
            return Err(Answer::no(CodeName::NoPerm, text).into());
        }
        self.change_rights(&place, grantee, change, cx)?;
        Ok(Answer::ok("Setacl completed", Sync::Full).into())
    }

    pub(super) fn delete_acl(
        &mut self,
        mailbox: &MailboxName,
        who: &str,
        cx: &mut Context<'_>,
    ) -> Result<Task, Failure> {
        let found = cx.sharing.find(who).map_err(store)?;
        // Nobody has to keep what somebody else shares with them.
        let needed = match found == Some(Grantee::Account(self.account()?)) {
            true => Rights::LOOKUP,
            false => Rights::ADMINISTER,
        };
        let place = self.place(mailbox, needed, cx)?;
        // Whoever has rights is named in the list, seen otherwise or not.
        let listed = cx.mailboxes.grants(place.access.account, place.folder.id)?;
        let found = found.filter(|found| listed.iter().any(|(has, _)| has == found));
        if let Some(grantee) = found {
            let change = RightsChange::Set(Rights::NONE);
            self.change_rights(&place, grantee, change, cx)?;
        }
        Ok(Answer::ok("Deleteacl completed", Sync::Full).into())
    }

    pub(super) fn get_acl(
        &mut self,
        mailbox: &MailboxName,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let place = self.place(mailbox, Rights::ADMINISTER, cx)?;
        let owner = (Grantee::Account(place.access.account), Rights::ALL);
        let given = cx.mailboxes.grants(place.access.account, place.folder.id)?;
        let mut list = Vec::with_capacity(given.len() + 1);
        for (who, rights) in std::iter::once(owner).chain(given) {
            // Who is on the way out has rights no more.
            if let Some(name) = cx.sharing.name_of(who).map_err(store)? {
                list.push((name, rights.told()));
            }
        }
        self.out.acl(&place.folder.path, &list);
        Ok(Answer::ok("Getacl completed", Sync::Full).into())
    }

    pub(super) fn list_rights(
        &mut self,
        mailbox: &MailboxName,
        who: &str,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let place = self.place(mailbox, Rights::ADMINISTER, cx)?;
        let all = Rights::ALL.told();
        if self.grantee(who, cx)? == Grantee::Account(place.access.account) {
            self.out.list_rights(&place.folder.path, who, &all, "");
        } else {
            // RFC 4314 3.7: none is always given, and none is tied to another.
            let each: String = Rights::each().collect();
            self.out.list_rights(&place.folder.path, who, "", &each);
        }
        Ok(Answer::ok("Listrights completed", Sync::Full).into())
    }

    pub(super) fn my_rights(
        &mut self,
        mailbox: &MailboxName,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let place = self.place(mailbox, Rights::LOOKUP, cx)?;
        self.out.my_rights(&place.folder.path, &place.rights.told());
        Ok(Answer::ok("Myrights completed", Sync::Full).into())
    }

    /// Whom an identifier stands for.
    fn grantee(&self, who: &str, cx: &Context<'_>) -> Result<Grantee, Failure> {
        let found = cx.sharing.find_for(self.account()?, who).map_err(store)?;
        let unknown = || Answer::no(CodeName::Cannot, "No such user or group");
        Ok(found.ok_or_else(unknown)?)
    }

    fn change_rights(
        &self,
        place: &Place,
        grantee: Grantee,
        change: RightsChange,
        cx: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let (Some(who), Some(connection)) = (self.authenticated_as(), self.connection()) else {
            return Err(Answer::bad("Authenticate first").into());
        };
        let request = RightsRequest {
            owner: place.access.account,
            mailbox: place.folder.id,
            grantee,
            change,
            acting: &place.access.acting,
        };
        let entry = tern_session::sharing::entry(who, &connection, cx.now, cx.entropy);
        let changed = cx.sharing.change(cx.mailboxes, &request, entry);
        match changed {
            Ok(_) => Ok(()),
            // Whoever it was is gone.
            Err(SharingError::Mailbox(MailboxError::NoAccount)) => {
                Err(Answer::no(CodeName::Cannot, "No such user or group").into())
            }
            Err(error) => Err(Failure::Mailbox(error.into())),
        }
    }
}

/// Whether a change gives anything.
fn gives(change: RightsChange) -> bool {
    match change {
        RightsChange::Set(rights) | RightsChange::Add(rights) => rights != Rights::NONE,
        RightsChange::Remove(_) => false,
    }
}
