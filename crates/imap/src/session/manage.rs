//! CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8).
//!
//! Invariant: INBOX is never deleted or renamed; its RENAME moves the messages (RFC 9051 6.3.6).

use tern_base::{AccountId, MailboxId, Uid};
use tern_mailbox::{Folder, INBOX, MailboxError, Role, Transfer};

use super::answer::{Answer, AnswerCode, Failure, Sync};
use super::run::{Progress, Task};
use super::{Context, Session};
use crate::command::SpecialUse;
use crate::limits::MESSAGES_PER_STEP;
use crate::name::{MailboxName, SEPARATOR};
use crate::respond::status::{CodeName, Condition};
use tern_session::ids::mailbox_id;

/// The messages of the inbox on their way into a new mailbox.
pub(super) struct RenameInboxTask {
    account: AccountId,
    to: MailboxId,
}

impl Session {
    pub(super) fn create(
        &mut self,
        mailbox: &MailboxName,
        special_use: &[SpecialUse],
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let account = self.account()?;
        let role = role_of(special_use)?;
        // RFC 9051 6.3.4: a separator at the end says that more will be created below.
        let path = mailbox.as_str();
        let path = path.strip_suffix(SEPARATOR).unwrap_or(path);
        let created = cx.mailboxes.create_folder(account, path, role, cx.now);
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
        let account = self.account()?;
        let folders = cx.mailboxes.folders(account)?;
        let folder = find(&folders, mailbox)?;
        if folders.iter().any(|one| one.parent == Some(folder.id)) {
            // RFC 5530 3
            return Err(Answer::no(CodeName::HasChildren, "There are mailboxes in it").into());
        }
        if folder.id == INBOX {
            return Err(Answer::no(CodeName::Cannot, "INBOX can't be deleted").into());
        }
        cx.mailboxes.delete_folder(account, folder.id, cx.now)?;
        let is_selected = |selected: &super::Selected| selected.mailbox == folder.id;
        if self.selected().is_some_and(is_selected) {
            self.take_selected();
            let code = Some(CodeName::Closed.into());
            self.out
                .untagged(Condition::Ok, code, "The selected mailbox is deleted");
        }
        Ok(Answer::ok("Delete completed", Sync::Full).into())
    }

    pub(super) fn rename(
        &mut self,
        from: &MailboxName,
        to: &MailboxName,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let account = self.account()?;
        let folder = cx.mailboxes.folder(account, from.as_str())?;
        let path = to.as_str();
        let path = path.strip_suffix(SEPARATOR).unwrap_or(path);
        if folder.id == INBOX {
            let to = cx.mailboxes.create_folder(account, path, None, cx.now)?.id;
            return Ok(Task::RenameInbox(RenameInboxTask { account, to }));
        }
        cx.mailboxes
            .rename_folder(account, folder.id, path, cx.now)?;
        Ok(Answer::ok("Rename completed", Sync::Full).into())
    }

    /// A subscription belongs to a mailbox that exists, and goes with it.
    pub(super) fn subscribe(
        &mut self,
        mailbox: &MailboxName,
        subscribed: bool,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let account = self.account()?;
        let text = if subscribed {
            "Subscribe completed"
        } else {
            "Unsubscribe completed"
        };
        match cx.mailboxes.folder(account, mailbox.as_str()) {
            Ok(folder) => cx
                .mailboxes
                .subscribe_folder(account, folder.id, subscribed)?,
            // Nobody is subscribed to what is not there.
            Err(MailboxError::NoMailbox) if !subscribed => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Answer::ok(text, Sync::Full).into())
    }
}

fn find<'a>(folders: &'a [Folder], name: &MailboxName) -> Result<&'a Folder, MailboxError> {
    let is_it = |folder: &&Folder| folder.path == name.as_str();
    folders.iter().find(is_it).ok_or(MailboxError::NoMailbox)
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
            .take(MESSAGES_PER_STEP)
            .map(|entry| entry.uid)
            .collect();
        if uids.is_empty() {
            return Ok(Progress::Done(Answer::ok("Rename completed", Sync::Full)));
        }
        let transfer = Transfer {
            account: self.account,
            from: INBOX,
            uids: &uids,
            to: self.to,
            by: connection.as_ref(),
        };
        cx.mailboxes.move_messages(&transfer, cx.now)?;
        Ok(Progress::More)
    }
}
