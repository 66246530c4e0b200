//! Mailboxes as a tree of ids: made below another one, and changed property by property (RFC 8621 2.5),
//! where IMAP names paths.
//!
//! Invariant: a change is done whole or not at all, and no two mailboxes have one parent and one name,
//! or one special use.

use tern_base::{AccountId, MailboxId, Timestamp};
use tern_store::{Transaction, Verdict};

use crate::edit::Edit;
use crate::folder::{Role, SEPARATOR, Tree, add_row, may_stand_first, split_path};
use crate::rows::{Change, MailboxRow};
use crate::{
    Acting, INBOX, Limit, MailboxError, Mailboxes, NotAllowed, Rights, limits, subscribed_name,
    tables,
};

/// A mailbox to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFolder {
    /// The mailbox it is in.
    pub parent: Option<MailboxId>,
    /// Its name at its level.
    pub name: String,
    /// Its special use.
    pub role: Option<Role>,
    /// Where it stands among those beside it.
    pub sort_order: u32,
    /// Whether its owner subscribed to it.
    pub subscribed: bool,
}

/// What of a mailbox changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderChange {
    /// Its name at its level.
    pub name: Option<String>,
    /// The mailbox it is in; the mailboxes in it go with it.
    pub parent: Option<Option<MailboxId>>,
    /// Its special use.
    pub role: Option<Option<Role>>,
    /// Where it stands among those beside it.
    pub sort_order: Option<u32>,
    /// Whether its owner subscribed to it.
    pub subscribed: Option<bool>,
}

impl Mailboxes {
    /// Makes a mailbox.
    pub fn add_folder(
        &self,
        account: AccountId,
        folder: &NewFolder,
        now: Timestamp,
    ) -> Result<MailboxId, MailboxError> {
        self.transact(&[account], |txn| {
            let made = self.add_folder_in(txn, &Acting::Owner, account, folder, now)?;
            Ok(Verdict::Commit(made))
        })
    }

    /// The same within a transaction, for somebody else than the owner too.
    pub fn add_folder_in(
        &self,
        txn: &mut Transaction<'_>,
        acting: &Acting,
        account: AccountId,
        folder: &NewFolder,
        now: Timestamp,
    ) -> Result<MailboxId, MailboxError> {
        let mut edit = Edit::begin(txn, account)?;
        let made = self.add(&mut edit, acting, folder, now)?;
        edit.finish();
        Ok(made)
    }

    fn add(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        folder: &NewFolder,
        now: Timestamp,
    ) -> Result<MailboxId, MailboxError> {
        let tree = Tree::read_in(edit)?;
        if !acting.is_owner() {
            self.may_make_in(edit, acting, folder.parent)?;
            // The special uses of its mailboxes are the owner's to give.
            if folder.role.is_some() {
                return Err(MailboxError::NotPermitted);
            }
        }
        if tree.rows.len() >= limits::MAX_MAILBOXES {
            return Err(MailboxError::Limit(Limit::MailboxesOfAccount));
        }
        let row = MailboxRow {
            parent: folder.parent,
            name: folder.name.clone(),
            role: folder.role,
            subscribed: folder.subscribed,
            uid_validity: 0,
            sort_order: folder.sort_order,
        };
        self.may_stand_for(edit, acting, &tree, (None, &row))?;
        // Whether they are subscribed to it is said.
        let above = folder.parent.and_then(|parent| tree.folder(parent));
        let path = match above {
            Some(above) => format!("{}{SEPARATOR}{}", above.path, row.name),
            None => row.name.clone(),
        };
        subscribed_name::take(edit, &path)?;
        add_row(edit, row, now)
    }

    /// Changes a mailbox. The inbox keeps its name, its place and its special use.
    pub fn change_folder(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        change: &FolderChange,
    ) -> Result<(), MailboxError> {
        self.change_folders(account, &[(mailbox, change.clone())])
    }

    /// Changes mailboxes together: what they are among themselves counts once all are changed, so two may
    /// change names, places or special uses with each other.
    pub fn change_folders(
        &self,
        account: AccountId,
        changes: &[(MailboxId, FolderChange)],
    ) -> Result<(), MailboxError> {
        self.transact(&[account], |txn| {
            self.change_folders_in(txn, &Acting::Owner, account, changes)?;
            Ok(Verdict::Commit(()))
        })
    }

    /// The same within a transaction, for somebody else than the owner too.
    pub fn change_folders_in(
        &self,
        txn: &mut Transaction<'_>,
        acting: &Acting,
        account: AccountId,
        changes: &[(MailboxId, FolderChange)],
    ) -> Result<(), MailboxError> {
        let mut edit = Edit::begin(txn, account)?;
        for (mailbox, change) in changes {
            self.may_change(&mut edit, acting, *mailbox, change)?;
        }
        self.change_in(&mut edit, acting, changes)?;
        edit.finish();
        Ok(())
    }

    /// RFC 4314 4, RENAME: whether somebody else than the owner may rename a mailbox, or put it into another
    /// one. Where it is to stand they need the right to make one, whether it stands there already or not; the
    /// top level, and all else of it, is the owner's.
    fn may_change(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        mailbox: MailboxId,
        change: &FolderChange,
    ) -> Result<(), MailboxError> {
        if acting.is_owner() || *change == FolderChange::default() {
            return Ok(());
        }
        let account = edit.account;
        let own = self.require_in(edit.txn, acting, account, mailbox, Rights::DELETE)?;
        if change.role.is_some() || change.sort_order.is_some() || change.subscribed.is_some() {
            return Err(MailboxError::NotPermitted);
        }
        match change.parent {
            Some(parent) => self.may_be_put(edit, acting, own, parent),
            None => {
                let parent = edit.mailbox(mailbox)?.parent;
                let may = self.may_be_put(edit, acting, own, parent);
                may.map_err(|error| match error {
                    // Nothing was said of it, and it may be one that they don't know of.
                    MailboxError::NoParent => MailboxError::NotPermitted,
                    error => error,
                })
            }
        }
    }

    /// The one place that says who may rename a mailbox, or move it ([`Rights::may_be_put`]): whoever has
    /// these rights in it puts it there.
    pub(crate) fn may_be_put(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        own: Rights,
        parent: Option<MailboxId>,
    ) -> Result<(), MailboxError> {
        let there = self.rights_there(edit, acting, parent)?;
        match own.may_be_put(Some(there)) {
            true => Ok(()),
            false => Err(MailboxError::NotPermitted),
        }
    }

    /// RFC 4314 4: whether whoever acts may make a mailbox there.
    pub(crate) fn may_make_in(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        parent: Option<MailboxId>,
    ) -> Result<(), MailboxError> {
        let there = self.rights_there(edit, acting, parent)?;
        there.require(Rights::CREATE).map(drop)
    }

    /// What whoever acts may do where a mailbox is to stand. The top level is the owner's.
    fn rights_there(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        parent: Option<MailboxId>,
    ) -> Result<Rights, MailboxError> {
        let parent = parent.ok_or(MailboxError::NotPermitted)?;
        let rights = self.require_in(edit.txn, acting, edit.account, parent, Rights::LOOKUP);
        rights.map_err(|error| match error {
            MailboxError::NoMailbox => MailboxError::NoParent,
            error => error,
        })
    }

    /// Whether a mailbox can be as a row says. That another one has its name already is no news to whoever
    /// may not know of that one.
    fn may_stand_for(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        tree: &Tree,
        (of, row): (Option<MailboxId>, &MailboxRow),
    ) -> Result<(), MailboxError> {
        let stands = may_stand(tree, of, row);
        let (Err(MailboxError::Exists), Some(actor)) = (&stands, acting.guest()) else {
            return stands;
        };
        let namesake = tree.child(row.parent, &row.name);
        let namesake = namesake.ok_or(MailboxError::NoMailbox)?;
        let rights = self.rights_in(edit.txn, actor, edit.account, namesake)?;
        match rights.has(Rights::LOOKUP) {
            true => stands,
            false => Err(MailboxError::NotPermitted),
        }
    }

    fn change_in(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        changes: &[(MailboxId, FolderChange)],
    ) -> Result<(), MailboxError> {
        let mut rows = Vec::with_capacity(changes.len());
        for (mailbox, change) in changes {
            let before = edit.mailbox(*mailbox)?;
            let row = changed(&before, change);
            if row != before {
                rows.push((*mailbox, before, row));
            }
        }
        let is_elsewhere = |before: &MailboxRow, row: &MailboxRow| {
            (row.parent, &row.name) != (before.parent, &before.name)
        };
        let is_arranged = |before: &MailboxRow, row: &MailboxRow| {
            is_elsewhere(before, row) || row.role != before.role
        };
        if rows.iter().any(|(_, before, row)| is_arranged(before, row)) {
            let mut tree = Tree::read_in(edit)?;
            let all = rows.iter().map(|(mailbox, _, row)| (*mailbox, row.clone()));
            tree.rows.extend(all);
            for (mailbox, before, row) in &rows {
                if !is_arranged(before, row) {
                    continue;
                }
                if *mailbox == INBOX {
                    return Err(MailboxError::NotAllowed(NotAllowed::InboxUse));
                }
                leads_up(&tree, row)?;
                // Among the others, as they will be.
                tree.rows.remove(mailbox);
                self.may_stand_for(edit, acting, &tree, (Some(*mailbox), row))?;
                tree.rows.insert(*mailbox, row.clone());
            }
        }
        for (mailbox, before, row) in rows {
            if is_elsewhere(&before, &row) {
                edit.counters(mailbox)?;
            }
            edit.txn
                .put(tables::mailbox(edit.account, mailbox), row.encode());
            edit.log(Change::MailboxUpdated(mailbox));
        }
        Ok(())
    }
}

fn changed(before: &MailboxRow, change: &FolderChange) -> MailboxRow {
    MailboxRow {
        parent: change.parent.unwrap_or(before.parent),
        name: change.name.clone().unwrap_or_else(|| before.name.clone()),
        role: change.role.unwrap_or(before.role),
        subscribed: change.subscribed.unwrap_or(before.subscribed),
        uid_validity: before.uid_validity,
        sort_order: change.sort_order.unwrap_or(before.sort_order),
    }
}

/// Refuses a mailbox that is in itself, by way of others.
fn leads_up(tree: &Tree, row: &MailboxRow) -> Result<(), MailboxError> {
    let mut above = row.parent;
    for _ in 0..=limits::MAX_MAILBOX_DEPTH {
        let Some(parent) = above else {
            return Ok(());
        };
        above = tree.rows.get(&parent).ok_or(MailboxError::NoParent)?.parent;
    }
    Err(MailboxError::NoParent)
}

/// Whether a mailbox can be as a row says, among the others. `of` is the one that is changed.
fn may_stand(tree: &Tree, of: Option<MailboxId>, row: &MailboxRow) -> Result<(), MailboxError> {
    if row.name.contains(SEPARATOR) {
        return Err(MailboxError::InvalidName("a separator of levels"));
    }
    split_path(&row.name)?;
    if row.parent.is_none() {
        may_stand_first(&row.name)?;
    }
    let (mut depth, mut above) = (1, row.parent);
    while let Some(parent) = above {
        if Some(parent) == of {
            return Err(MailboxError::NoParent);
        }
        depth += 1;
        above = tree.rows.get(&parent).ok_or(MailboxError::NoParent)?.parent;
    }
    depth += of.map_or(0, |of| tree.height_below(of));
    if depth > limits::MAX_MAILBOX_DEPTH {
        return Err(MailboxError::Limit(Limit::Depth));
    }
    let namesake = tree.child(row.parent, &row.name);
    if namesake.is_some() && namesake != of {
        return Err(MailboxError::Exists);
    }
    let mut others = tree.rows.iter().filter(|(id, _)| Some(**id) != of);
    let is_taken = others.any(|(_, other)| row.role.is_some() && other.role == row.role);
    match is_taken {
        true => Err(MailboxError::RoleTaken),
        false => Ok(()),
    }
}
