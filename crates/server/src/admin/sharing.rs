//! Rights in mailboxes from the command line: who reads whose mail, and what else they may do.
//!
//! Invariant: a change is in the audit log under the operator's name, in the transaction that makes it.

use serde_json::json;
use tern_base::AccountId;
use tern_directory::{Account, Resolution, Target, resolve};
use tern_mailbox::{Acting, Folder, Grantee, Rights, RightsChange};
use tern_session::{RightsRequest, SharingError};

use super::error::AdminError;
use super::{Admin, Call, Result};
use crate::control::request::{Answer, SharingRequest};

impl Admin {
    pub(super) fn sharing(&self, request: &SharingRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            SharingRequest::Share {
                owner,
                mailbox,
                with,
                rights,
            } => self.share(owner, mailbox, with, rights, call),
            SharingRequest::Unshare {
                owner,
                mailbox,
                with,
            } => self.share(owner, mailbox, with, "", call),
            SharingRequest::Rights { owner, mailbox } => self.list(owner, mailbox.as_deref()),
        }
    }

    fn share(
        &self,
        owner: &str,
        mailbox: &str,
        with: &str,
        letters: &str,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let account = self.account(owner)?;
        let folder = self.folder(&account, mailbox)?;
        let grantee = self.sharing.find(with)?;
        let unknown = || AdminError::NotFound("account or group", with.to_owned());
        let wrong = || AdminError::Wrong(format!("`{letters}` are not rights of RFC 4314"));
        let request = RightsRequest {
            owner: account.id,
            mailbox: folder.id,
            grantee: grantee.ok_or_else(unknown)?,
            change: RightsChange::Set(Rights::from_letters(letters).ok_or_else(wrong)?),
            acting: &Acting::Owner,
        };
        let entry = call.entry(tern_session::sharing::SHARE);
        let rights = match self.sharing.change(&self.mailboxes, &request, entry) {
            Ok(rights) => rights,
            Err(SharingError::Audit(error)) => return Err(error.into()),
            Err(error) => return Err(tern_mailbox::MailboxError::from(error).into()),
        };
        let path = &folder.path;
        let text = match rights {
            Rights::NONE => format!("{with} has no rights in {path} of {owner}"),
            rights => format!("{with} has {} in {path} of {owner}", rights.letters()),
        };
        Ok(Answer::new(text, json!({"rights": rights.letters()})))
    }

    fn list(&self, owner: &str, mailbox: Option<&str>) -> Result<Answer> {
        let account = self.account(owner)?;
        let folders = match mailbox {
            Some(mailbox) => vec![self.folder(&account, mailbox)?],
            None => self.mailboxes.folders(account.id)?,
        };
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for folder in folders {
            for (who, rights) in self.mailboxes.grants(account.id, folder.id)? {
                let name = self.sharing.name_of(who)?;
                let name = name.unwrap_or_else(|| String::from("nobody any more"));
                let kind = match who {
                    Grantee::Anyone => "anyone",
                    Grantee::Account(_) => "account",
                    Grantee::Group(_) => "group",
                };
                let letters = rights.letters();
                text.push(format!("{}  {name}  {letters}", folder.path));
                data.push(json!({"mailbox": folder.path, "who": name, "kind": kind,
                    "rights": letters}));
            }
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    /// The accounts behind some members of a group.
    pub(super) fn behind(&self, members: &[Target]) -> Result<Vec<AccountId>> {
        let mut accounts = Vec::new();
        for member in members {
            match member {
                Target::Account(account) => accounts.push(*account),
                Target::Address(address) => {
                    if let Resolution::Found(found) = resolve(self.reader(), address)? {
                        accounts.extend(found.accounts.iter().map(|one| one.account));
                    }
                }
            }
        }
        Ok(accounts)
    }

    /// Has the sessions of accounts look again at what they may read: a group is not what it was. A session
    /// that waits would else find out when there is something to tell it, and tell nothing.
    pub(super) fn look_again(&self, accounts: &[AccountId]) {
        accounts
            .iter()
            .for_each(|account| self.mailboxes.wake(*account));
    }

    fn folder(&self, account: &Account, path: &str) -> Result<Folder> {
        Ok(self.mailboxes.folder(account.id, path)?)
    }
}
