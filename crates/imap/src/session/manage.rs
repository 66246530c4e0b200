//! CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8).
//!
//! Invariant: INBOX is never deleted or renamed; its RENAME moves the messages (RFC 9051 6.3.6).

use tern_base::{AccountId, MailboxId, Uid};
use tern_mailbox::{Access, Grantee, INBOX, MailboxError, Rights, Role, Transfer};

use super::answer::{Answer, AnswerCode, Failure, Sync};
use super::place::{Place, prefix_of, store};
use super::run::{Progress, Task};
use super::{Context, Session};
use crate::command::SpecialUse;
use crate::limits::MESSAGES_PER_PIECE;
use crate::name::{MailboxName, SEPARATOR};
use crate::respond::status::{CodeName, Condition};
use tern_session::ids::mailbox_id;

/// What was in a deleted mailbox, on its way out.
pub(super) struct DeleteTask {
    account: AccountId,
    mailbox: MailboxId,
}

/// The messages of the inbox on their way into a new mailbox.
pub(super) struct RenameInboxTask {
    account: AccountId,
    to: MailboxId,
    /// What came from here on came behind the command, and stays.
    up_to: Uid,
}

impl Session {
    pub(super) fn create(
        &mut self,
        mailbox: &MailboxName,
        special_use: &[SpecialUse],
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let whose = self.whose(mailbox, cx)?;
        let (account, acting) = (whose.account, &whose.acting);
        let role = role_of(special_use)?;
        if !acting.is_owner() && role.is_some() {
            let text = "What a mailbox is for is its owner's to say";
            return Err(Answer::no(CodeName::UseAttr, text).into());
        }
        // RFC 9051 6.3.4: a separator at the end says that more will be created below.
        let path = whose.path.strip_suffix(SEPARATOR).unwrap_or(whose.path);
        let created = cx
            .mailboxes
            .create_folder_for(acting, account, path, role, cx.now);
        let folder = created.map_err(|error| match error {
            // RFC 6154 3
            MailboxError::RoleTaken => Failure::from(Answer::no(
                CodeName::UseAttr,
                "Another mailbox has this special use",
            )),
            other => other.into(),
        })?;
        // RFC 8474 4.1
        let code = AnswerCode::MailboxId(mailbox_id(account, folder.id));
        Ok(Answer::ok("Create completed", Sync::Full)
            .with_code(code)
            .into())
    }

    pub(super) fn delete(
        &mut self,
        mailbox: &MailboxName,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let place = self.place(mailbox, Rights::DELETE, cx)?;
        let (account, folder) = (place.access.account, &place.folder);
        self.may_go(&place, cx)?;
        if folder.id == INBOX {
            return Err(Answer::no(CodeName::Cannot, "INBOX can't be deleted").into());
        }
        cx.mailboxes.begin_deletion(&place.access)?;
        let of = place.access.place();
        let is_selected = |selected: &super::Selected| selected.access.place() == of;
        if self.selected().is_some_and(is_selected) {
            self.take_selected();
            let code = Some(CodeName::Closed.into());
            self.out
                .untagged(Condition::Ok, code, "The selected mailbox is deleted");
        }
        Ok(Task::Delete(DeleteTask {
            account,
            mailbox: folder.id,
        }))
    }

    /// Whether no mailbox is in one that is to be deleted. Where those in it are hidden from whoever
    /// asks, it is told as a right that they don't have.
    fn may_go(&self, place: &Place, cx: &Context<'_>) -> Result<(), Failure> {
        let folders = cx.mailboxes.folders(place.access.account)?;
        if !folders
            .iter()
            .any(|one| one.parent == Some(place.folder.id))
        {
            return Ok(());
        }
        if !place.access.is_owners() && !self.sees_children(place, cx)? {
            return Err(MailboxError::NotPermitted.into());
        }
        // RFC 5530 3
        Err(Answer::no(CodeName::HasChildren, "There are mailboxes in it").into())
    }

    pub(super) fn rename(
        &mut self,
        from: &MailboxName,
        to: &MailboxName,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let place = self.place(from, Rights::DELETE, cx)?;
        let whose = self.whose(to, cx)?;
        let (account, folder) = (place.access.account, &place.folder);
        if whose.account != account {
            let text = "A mailbox stays in the account that it belongs to";
            return Err(Answer::no(CodeName::Cannot, text).into());
        }
        let path = whose.path.strip_suffix(SEPARATOR).unwrap_or(whose.path);
        if folder.id == INBOX && place.access.is_owners() {
            let to = cx.mailboxes.create_folder(account, path, None, cx.now)?.id;
            let up_to = cx.mailboxes.counters(account, INBOX)?.uid_next;
            let task = RenameInboxTask { account, to, up_to };
            return Ok(Task::RenameInbox(task));
        }
        cx.mailboxes.rename_folder(&place.access, path, cx.now)?;
        Ok(Answer::ok("Rename completed", Sync::Full).into())
    }

    /// A subscription begins with a mailbox that exists, and one to a mailbox of one's own stays without it (RFC
    /// 9051 6.3.7).
    pub(super) fn subscribe(
        &mut self,
        mailbox: &MailboxName,
        subscribed: bool,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let text = if subscribed {
            "Subscribe completed"
        } else {
            "Unsubscribe completed"
        };
        match self.place(mailbox, Rights::LOOKUP, cx) {
            Ok(place) => self.subscribe_to(&place, subscribed, cx)?,
            // Nobody is subscribed to what is not there; to what they see no more they may have been.
            Err(Failure::Mailbox(MailboxError::NoMailbox)) if !subscribed => {
                self.forget(mailbox, cx)?;
            }
            Err(error) => return Err(error),
        }
        Ok(Answer::ok(text, Sync::Full).into())
    }
}

impl Session {
    fn subscribe_to(
        &self,
        place: &Place,
        subscribed: bool,
        cx: &Context<'_>,
    ) -> Result<(), Failure> {
        let (account, mailbox) = (place.access.account, place.folder.id);
        if place.access.is_owners() {
            cx.mailboxes
                .subscribe_folder(account, mailbox, subscribed)?;
            // It may have come to a name that was subscribed to before.
            if !subscribed {
                cx.mailboxes.unsubscribe_name(account, &place.folder.path)?;
            }
        } else {
            let foreign = (account, mailbox);
            cx.mailboxes
                .subscribe_foreign(self.account()?, foreign, subscribed)?;
        }
        Ok(())
    }

    /// RFC 4314 4: UNSUBSCRIBE takes no right. What there is to forget follows from the subscriptions
    /// alone, so that the answer tells nothing.
    fn forget(&self, name: &MailboxName, cx: &Context<'_>) -> Result<(), Failure> {
        let account = self.account()?;
        cx.mailboxes.unsubscribe_name(account, name.as_str())?;
        for foreign in cx.mailboxes.subscribed(account)? {
            let owner = Grantee::Account(foreign.0);
            let Some(address) = cx.sharing.name_of(owner).map_err(store)? else {
                continue;
            };
            let prefix = prefix_of(&address);
            let Some(path) = name.as_str().strip_prefix(&prefix) else {
                continue;
            };
            let folder = cx.mailboxes.folder(foreign.0, path);
            if folder.is_ok_and(|folder| folder.id == foreign.1) {
                cx.mailboxes.subscribe_foreign(account, foreign, false)?;
            }
        }
        Ok(())
    }
}

/// RFC 6154 3: a use that no mailbox can have here, or two at once, are refused.
fn role_of(uses: &[SpecialUse]) -> Result<Option<Role>, Failure> {
    let role = match uses {
        [] => return Ok(None),
        [SpecialUse::Archive] => Role::Archive,
        [SpecialUse::Drafts] => Role::Drafts,
        [SpecialUse::Important] => Role::Important,
        [SpecialUse::Junk] => Role::Junk,
        [SpecialUse::Sent] => Role::Sent,
        [SpecialUse::Trash] => Role::Trash,
        _ => return Err(Answer::no(CodeName::UseAttr, "Special use not supported").into()),
    };
    Ok(Some(role))
}

impl DeleteTask {
    /// What fails here, or is cut off, the chore finishes: the mailbox is deleted.
    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        cx.budget.changes(MESSAGES_PER_PIECE);
        match cx
            .mailboxes
            .go_on_deleting(self.account, self.mailbox, cx.now)
        {
            Ok(false) => return Ok(Progress::More),
            Ok(true) => {}
            Err(error) => session.failed("emptying a deleted mailbox", &error),
        }
        Ok(Progress::Done(Answer::ok("Delete completed", Sync::Full)))
    }
}

impl RenameInboxTask {
    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        let connection = session.connection();
        let view = cx.mailboxes.view(self.account, INBOX)?;
        let uids: Vec<Uid> = view
            .iter()
            .map(|entry| entry.uid)
            .take_while(|uid| *uid < self.up_to)
            .take(MESSAGES_PER_PIECE)
            .collect();
        if uids.is_empty() {
            return Ok(Progress::Done(Answer::ok("Rename completed", Sync::Full)));
        }
        let transfer = Transfer {
            from: Access::owner(self.account, INBOX),
            uids: &uids,
            to: self.to,
            by: connection.as_ref(),
        };
        cx.budget.changes(uids.len());
        cx.mailboxes.move_messages(&transfer, cx.now)?;
        Ok(Progress::More)
    }
}
