//! Mailboxes by their names: one's own, and those of others under `Other Users/` with the login address of
//! whoever they belong to (RFC 2342 5).
//!
//! Invariant: a mailbox of somebody else is reached by [`Session::place`] alone, which asks for the rights
//! that a command takes, and by the selected mailbox, whose rights are asked for again at every step of
//! the session ([`Session::may_go_on`]). What may not be seen is told like what is not there.

use tern_base::AccountId;
use tern_mailbox::{Access, Acting, Actor, Folder, MailboxError, OTHER_USERS, Rights};

use super::answer::Failure;
use super::{Context, Phase, Session};
use crate::name::{MailboxName, SEPARATOR};
use crate::respond::status::CodeName;

/// A mailbox, and what may be done in it.
pub(super) struct Place {
    /// Which it is, and who acts.
    pub(super) access: Access,
    /// The same; its path is the name by which the client knows it.
    pub(super) folder: Folder,
    /// What may be done in it.
    pub(super) rights: Rights,
}

/// A name, taken apart; whether there is such a mailbox is not asked.
pub(super) struct Whose<'n> {
    /// The account under which it is looked for.
    pub(super) account: AccountId,
    /// In whose name the session acts there.
    pub(super) acting: Acting,
    /// What stands before the path in the name.
    before: &'n str,
    /// What its owner calls it.
    pub(super) path: &'n str,
}

impl Whose<'_> {
    /// The name of a mailbox of this account, as the client knows it.
    pub(super) fn name(&self, path: &str) -> String {
        format!("{}{path}", self.before)
    }
}

/// The names under which the mailboxes of one account are found.
pub(super) fn prefix_of(address: &str) -> String {
    format!("{OTHER_USERS}{SEPARATOR}{address}{SEPARATOR}")
}

impl Session {
    /// Whose mailbox a name speaks of. One of somebody who shares nothing is told like one that is not
    /// there.
    pub(super) fn whose<'n>(
        &self,
        name: &'n MailboxName,
        cx: &Context<'_>,
    ) -> Result<Whose<'n>, Failure> {
        let account = self.account()?;
        let name = name.as_str();
        let others = name
            .strip_prefix(OTHER_USERS)
            .and_then(|rest| rest.strip_prefix(SEPARATOR));
        let Some(others) = others else {
            return Ok(Whose {
                account,
                acting: Acting::Owner,
                before: "",
                path: name,
            });
        };
        // An address may have the separator in it: the first that is one counts.
        for (at, _) in others.match_indices(SEPARATOR) {
            let (Some(address), Some(path)) = (others.get(..at), others.get(at + 1..)) else {
                continue;
            };
            let Some(owner) = cx.sharing.account_named(address).map_err(store)? else {
                continue;
            };
            let actor = cx.sharing.actor(account).map_err(store)?;
            if owner == account || !cx.mailboxes.has_shares_of(&actor, owner)? {
                break;
            }
            return Ok(Whose {
                account: owner,
                acting: Acting::Guest(actor),
                before: name.strip_suffix(path).unwrap_or_default(),
                path,
            });
        }
        Err(MailboxError::NoMailbox.into())
    }

    /// The mailbox of a name, for a command that takes these rights in it.
    pub(super) fn place(
        &self,
        name: &MailboxName,
        needed: Rights,
        cx: &Context<'_>,
    ) -> Result<Place, Failure> {
        let whose = self.whose(name, cx)?;
        let mut folder = cx.mailboxes.folder(whose.account, whose.path)?;
        let mut rights = Rights::ALL;
        if let Acting::Guest(actor) = &whose.acting {
            rights = cx.mailboxes.rights(actor, whose.account, folder.id)?;
            rights.require(needed)?;
            folder.path = whose.name(&folder.path);
            // What it is for, and whether it is subscribed to, is so for its owner.
            (folder.role, folder.subscribed) = (None, false);
        }
        Ok(Place {
            access: Access {
                account: whose.account,
                mailbox: folder.id,
                acting: whose.acting,
            },
            folder,
            rights,
        })
    }

    /// Asks for the rights in the selected mailbox again, where it is somebody else's. Whether the session
    /// can go on: where it may not be read any more, it is over (RFC 4314 5.1.1). In the middle of a
    /// response nothing more is said.
    pub(super) fn may_go_on(&mut self, cx: &Context<'_>) -> bool {
        let Ok(account) = self.account() else {
            return true;
        };
        let Some(selected) = self.selected().filter(|one| !one.access.is_owners()) else {
            return true;
        };
        let ((owner, mailbox), before) = (selected.access.place(), selected.rights);
        let asked = cx.sharing.actor(account).map_err(MailboxError::from);
        let asked = asked.and_then(|actor| {
            let rights = cx.mailboxes.rights(&actor, owner, mailbox)?;
            Ok((actor, rights))
        });
        let is_mid_response =
            matches!(&self.phase, Phase::Running(running) if running.is_mid_response());
        let (code, text) = match asked {
            Ok((actor, rights)) if rights.has(Rights::LOOKUP.with(Rights::READ)) => {
                self.take_rights(actor, rights);
                if rights != before && !is_mid_response {
                    self.tell_flags();
                }
                return true;
            }
            Ok(_) => (None, "The selected mailbox is yours to read no more"),
            // What can't be asked is not allowed.
            Err(error) => {
                self.failed("asking for rights", &error);
                (Some(CodeName::Unavailable), "Rights can't be looked up now")
            }
        };
        match is_mid_response {
            true => self.close(),
            false => self.bye(code, text),
        }
        false
    }

    fn take_rights(&mut self, actor: Actor, rights: Rights) {
        if let Ok(here) = self.here() {
            here.selected.rights = rights;
            here.selected.access.acting = Acting::Guest(actor);
        }
    }

    /// RFC 4314 5.1.1: what flags may be changed is not what it was.
    fn tell_flags(&mut self) {
        if let Ok(here) = self.here() {
            here.selected.write_flags(here.out);
        }
    }
}

/// An error of the directory's rows, told as one of the mailboxes.
pub(super) fn store(error: impl Into<MailboxError>) -> Failure {
    Failure::Mailbox(error.into())
}
