//! The mailboxes of an account: create, rename, subscribe, list.

use std::collections::BTreeMap;

use tern_base::codec::Damaged;
use tern_base::{AccountId, MailboxId, Timestamp};
use tern_store::{Read, StoreError, Transaction, Verdict, limits as store_limits};

use crate::edit::Edit;
use crate::rows::{AccountHead, Change, MailboxRow};
use crate::{
    Access, Acting, INBOX, Limit, MailboxError, Mailboxes, NotAllowed, Rights, access, limits,
    subscribed_name, tables,
};

/// The special use of a mailbox (RFC 6154 2, RFC 8621 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// The inbox.
    Inbox = 1,
    /// Messages kept out of the inbox.
    Archive = 2,
    /// Messages that are being written.
    Drafts = 3,
    /// Messages taken for spam.
    Junk = 4,
    /// Messages that were sent.
    Sent = 5,
    /// Messages about to be deleted.
    Trash = 6,
    /// Messages marked as important (RFC 8457).
    Important = 7,
}

impl Role {
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Result<Option<Self>, Damaged> {
        Ok(Some(match number {
            0 => return Ok(None),
            1 => Self::Inbox,
            2 => Self::Archive,
            3 => Self::Drafts,
            4 => Self::Junk,
            5 => Self::Sent,
            6 => Self::Trash,
            7 => Self::Important,
            _ => return Err(Damaged),
        }))
    }
}

/// A mailbox to make for a new account.
#[derive(Clone, Copy, Debug)]
pub struct FolderSpec {
    /// Its path, levels separated by `/`.
    pub path: &'static str,
    /// Its special use.
    pub role: Option<Role>,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::Inbox,
        Self::Archive,
        Self::Drafts,
        Self::Junk,
        Self::Sent,
        Self::Trash,
        Self::Important,
    ];
}

/// A mailbox as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its id.
    pub id: MailboxId,
    /// The mailbox it is in.
    pub parent: Option<MailboxId>,
    /// Its path, levels separated by `/`; the inbox is `INBOX`.
    pub path: String,
    /// Its special use.
    pub role: Option<Role>,
    /// Whether its owner subscribed to it.
    pub subscribed: bool,
    /// Its UIDVALIDITY.
    pub uid_validity: u32,
    /// Where it stands among those beside it (RFC 8621 2).
    pub sort_order: u32,
}

/// The separator of levels in a path.
pub const SEPARATOR: char = '/';

/// The first level under which people find the mailboxes of others: no mailbox of their own has this name.
pub const OTHER_USERS: &str = "Other Users";

impl Mailboxes {
    /// Makes the mailboxes of a new account: the inbox and these. Doing it again changes nothing.
    pub fn create_account(
        &self,
        account: AccountId,
        quota_bytes: u64,
        folders: &[FolderSpec],
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        self.transact(&[account], |txn| {
            self.create_account_in(txn, account, quota_bytes, folders, now)
                .map(Verdict::Commit)
        })
    }

    /// [`Mailboxes::create_account`] as a part of a transaction.
    pub fn create_account_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        quota_bytes: u64,
        folders: &[FolderSpec],
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let key = tables::account(account);
        if txn.get(&key)?.is_some() {
            return Ok(());
        }
        let head = AccountHead {
            modseq: tern_base::Modseq(1),
            next_mailbox: INBOX.0,
            next_message: 1,
            quota_bytes,
            ..AccountHead::default()
        };
        txn.put(key, head.encode());
        let mut edit = Edit::begin(txn, account)?;
        add(&mut edit, None, ("INBOX", true), Some(Role::Inbox), now)?;
        for folder in folders {
            add(&mut edit, None, (folder.path, true), folder.role, now)?;
        }
        edit.finish();
        Ok(())
    }

    /// Sets the most octets an account may use; 0 is no bound.
    pub fn set_quota(&self, account: AccountId, quota_bytes: u64) -> Result<(), MailboxError> {
        self.transact(&[account], |txn| {
            self.set_quota_in(txn, account, quota_bytes)
                .map(Verdict::Commit)
        })
    }

    /// [`Mailboxes::set_quota`] as a part of a transaction.
    pub fn set_quota_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        quota_bytes: u64,
    ) -> Result<(), MailboxError> {
        let key = tables::account(account);
        let row = txn.get(&key)?.ok_or(MailboxError::NoAccount)?;
        let head = AccountHead {
            quota_bytes,
            ..AccountHead::decode(&row)?
        };
        txn.put(key, head.encode());
        Ok(())
    }

    /// The mailboxes of an account, the inbox first, then by path.
    pub fn folders(&self, account: AccountId) -> Result<Vec<Folder>, MailboxError> {
        let tree = Tree::read(&*self.engine, account)?;
        let mut folders: Vec<Folder> = tree.rows.keys().filter_map(|id| tree.folder(*id)).collect();
        folders.sort_by(|a, b| (a.id != INBOX, &a.path).cmp(&(b.id != INBOX, &b.path)));
        Ok(folders)
    }

    /// The mailbox of a path. `INBOX` is found in any case (RFC 9051 5.1).
    pub fn folder(&self, account: AccountId, path: &str) -> Result<Folder, MailboxError> {
        if let Some(folder) = self.known_folder(account, path)? {
            return Ok(folder);
        }
        let tree = Tree::read(&*self.engine, account)?;
        let id = tree.find(path).ok_or(MailboxError::NoMailbox)?;
        let folder = tree.folder(id).ok_or(MailboxError::NoMailbox)?;
        if folder.parent.is_none() {
            self.folder_ids.insert((account, path.into()), id);
        }
        Ok(folder)
    }

    /// A mailbox at the top level whose id is known from before: one point read, which tells
    /// whether it still is the one.
    fn known_folder(&self, account: AccountId, path: &str) -> Result<Option<Folder>, MailboxError> {
        let Some(id) = self.folder_ids.get(&(account, Box::from(path))) else {
            return Ok(None);
        };
        let Some(row) = self.engine.get(&tables::mailbox(account, id))? else {
            return Ok(None);
        };
        let row = MailboxRow::decode(&row)?;
        // The inbox keeps its name, and was found by it.
        let is_it = row.parent.is_none() && (id == INBOX || row.name == path);
        let tree = Tree {
            rows: BTreeMap::from([(id, row)]),
        };
        Ok(tree.folder(id).filter(|_| is_it))
    }

    /// The mailbox that has a special use.
    pub fn folder_of_role(
        &self,
        account: AccountId,
        role: Role,
    ) -> Result<Option<Folder>, MailboxError> {
        let tree = Tree::read(&*self.engine, account)?;
        let id = tree
            .rows
            .iter()
            .find(|(_, row)| row.role == Some(role))
            .map(|(id, _)| *id);
        Ok(id.and_then(|id| tree.folder(id)))
    }

    /// Creates a mailbox, and the mailboxes above it that are missing. Its owner is subscribed to them where
    /// they were to their names.
    pub fn create_folder(
        &self,
        account: AccountId,
        path: &str,
        role: Option<Role>,
        now: Timestamp,
    ) -> Result<Folder, MailboxError> {
        self.create_folder_for(&Acting::Owner, account, path, role, now)
    }

    /// The same for somebody else than the owner.
    pub fn create_folder_for(
        &self,
        acting: &Acting,
        account: AccountId,
        path: &str,
        role: Option<Role>,
        now: Timestamp,
    ) -> Result<Folder, MailboxError> {
        let names = split_path(path)?;
        names.first().map_or(Ok(()), |name| may_stand_first(name))?;
        let id = self.edit(account, |edit| {
            let tree = Tree::read_in(edit)?;
            self.may_make(edit, acting, &tree, path)?;
            if tree.find(path).is_some() {
                return Err(MailboxError::Exists);
            }
            if role.is_some() && tree.rows.values().any(|row| row.role == role) {
                return Err(MailboxError::RoleTaken);
            }
            if tree.rows.len() + names.len() > limits::MAX_MAILBOXES {
                return Err(MailboxError::Limit(Limit::MailboxesOfAccount));
            }
            let (mut parent, mut end) = (None, 0);
            for (level, name) in names.iter().enumerate() {
                let last = level + 1 == names.len();
                end += usize::from(level > 0) + name.len();
                parent = match tree.child(parent, name) {
                    Some(id) if !last => Some(id),
                    _ => {
                        let to_here = path.get(..end).unwrap_or(path);
                        let subscribed = subscribed_name::take(edit, to_here)?;
                        let role = role.filter(|_| last);
                        Some(add(edit, parent, (name, subscribed), role, now)?)
                    }
                };
            }
            parent.ok_or(MailboxError::InvalidName("empty"))
        })?;
        let tree = Tree::read(&*self.engine, account)?;
        tree.folder(id).ok_or(MailboxError::NoMailbox)
    }

    /// Gives a mailbox another path; the mailboxes in it go with it. The mailboxes above the new
    /// path that are missing are created. The inbox can't be renamed: IMAP's RENAME of it is a
    /// move of its messages.
    pub fn rename_folder(
        &self,
        access: &Access,
        path: &str,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let (account, mailbox) = access.place();
        let names = split_path(path)?;
        names.first().map_or(Ok(()), |name| may_stand_first(name))?;
        if mailbox == INBOX {
            return Err(MailboxError::NotAllowed(NotAllowed::InboxName));
        }
        self.edit(account, |edit| {
            let tree = Tree::read_in(edit)?;
            self.may_rename(edit, access, &tree, path)?;
            let mut row = edit.mailbox(mailbox)?;
            if tree.find(path).is_some() {
                return Err(MailboxError::Exists);
            }
            let (mut parent, mut end) = (None, 0);
            let (last, above) = names
                .split_last()
                .ok_or(MailboxError::InvalidName("empty"))?;
            let mut made = 0;
            for (level, name) in above.iter().enumerate() {
                end += usize::from(level > 0) + name.len();
                parent = match tree.child(parent, name) {
                    Some(id) => Some(id),
                    None => {
                        made += 1;
                        if tree.rows.len() + made > limits::MAX_MAILBOXES {
                            return Err(MailboxError::Limit(Limit::MailboxesOfAccount));
                        }
                        let to_here = path.get(..end).unwrap_or(path);
                        let subscribed = subscribed_name::take(edit, to_here)?;
                        Some(add(edit, parent, (name, subscribed), None, now)?)
                    }
                };
                if parent == Some(mailbox) {
                    return Err(MailboxError::NotAllowed(NotAllowed::IntoItself));
                }
            }
            let depth = names.len() + tree.height_below(mailbox);
            if depth > limits::MAX_MAILBOX_DEPTH {
                return Err(MailboxError::Limit(Limit::Depth));
            }
            row.parent = parent;
            row.name = (*last).to_owned();
            row.subscribed |= subscribed_name::take(edit, path)?;
            edit.txn
                .put(tables::mailbox(account, mailbox), row.encode());
            edit.counters(mailbox)?;
            edit.log(Change::MailboxUpdated(mailbox));
            Ok(())
        })
    }

    /// Subscribes to a mailbox, or no longer.
    pub fn subscribe_folder(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        subscribed: bool,
    ) -> Result<(), MailboxError> {
        self.edit(account, |edit| {
            let row = edit.mailbox(mailbox)?;
            if row.subscribed != subscribed {
                let row = MailboxRow { subscribed, ..row };
                edit.txn
                    .put(tables::mailbox(account, mailbox), row.encode());
                edit.log(Change::MailboxUpdated(mailbox));
            }
            Ok(())
        })
    }

    /// RFC 4314 4: the mailbox in which somebody else than the owner would make one of this path: the nearest
    /// above it that is there.
    fn above(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        tree: &Tree,
        path: &str,
    ) -> Result<Option<MailboxId>, MailboxError> {
        let account = edit.account;
        let mut above = None;
        for name in path.split(SEPARATOR) {
            match tree.child(above, name) {
                // A mailbox that is there already, and that they may not know of, is no news to them.
                Some(id) if tree.find(path) == Some(id) => {
                    let seen = self.require_in(edit.txn, acting, account, id, Rights::LOOKUP);
                    seen.map_err(|_| MailboxError::NotPermitted)?;
                }
                Some(id) => above = Some(id),
                None => break,
            }
        }
        Ok(above)
    }

    /// Whether whoever acts may make a mailbox of this path.
    fn may_make(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        tree: &Tree,
        path: &str,
    ) -> Result<(), MailboxError> {
        if acting.is_owner() {
            return Ok(());
        }
        let above = self.above(edit, acting, tree, path)?;
        hiding(self.may_make_in(edit, acting, above))
    }

    /// Whether whoever acts may give a mailbox this path.
    fn may_rename(
        &self,
        edit: &mut Edit<'_, '_>,
        access: &Access,
        tree: &Tree,
        path: &str,
    ) -> Result<(), MailboxError> {
        let own = self.allow_in(edit.txn, access, Rights::DELETE)?;
        let acting = &access.acting;
        if acting.is_owner() {
            return Ok(());
        }
        let above = self.above(edit, acting, tree, path)?;
        hiding(self.may_be_put(edit, acting, own, above))
    }

    /// Whether a mailbox is there: not deleted, though some of its messages may still be.
    pub fn has_folder(&self, account: AccountId, mailbox: MailboxId) -> Result<bool, MailboxError> {
        let row = self.engine.get(&tables::mailbox(account, mailbox))?;
        Ok(row.is_some())
    }
}

/// A mailbox above a path that may not be known of is told as a place where nothing may be made.
fn hiding(may: Result<(), MailboxError>) -> Result<(), MailboxError> {
    may.map_err(|error| match error {
        MailboxError::NoParent => MailboxError::NotPermitted,
        error => error,
    })
}

/// Adds one mailbox below `parent`; with its name, whether its owner is subscribed to it.
fn add(
    edit: &mut Edit<'_, '_>,
    parent: Option<MailboxId>,
    (name, subscribed): (&str, bool),
    role: Option<Role>,
    now: Timestamp,
) -> Result<MailboxId, MailboxError> {
    let row = MailboxRow {
        parent,
        name: name.to_owned(),
        role,
        subscribed,
        uid_validity: 0,
        sort_order: 0,
    };
    add_row(edit, row, now)
}

/// Adds one mailbox; its UIDVALIDITY is given out here.
pub(crate) fn add_row(
    edit: &mut Edit<'_, '_>,
    row: MailboxRow,
    now: Timestamp,
) -> Result<MailboxId, MailboxError> {
    let id = MailboxId(edit.head.next_mailbox);
    edit.head.next_mailbox += 1;
    // RFC 9051 2.3.1.1: a name that is used again must get a greater UIDVALIDITY; the time in
    // seconds makes it greater than that of a store that was lost, too.
    let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    edit.head.uid_validity = seconds.max(edit.head.uid_validity.saturating_add(1));
    let uid_validity = edit.head.uid_validity;
    let parent = row.parent;
    let row = MailboxRow {
        uid_validity,
        ..row
    };
    edit.txn
        .put(tables::mailbox(edit.account, id), row.encode());
    edit.new_counters(id);
    if let Some(parent) = parent {
        access::inherit(edit, parent, id)?;
    }
    edit.log(Change::MailboxCreated(id));
    Ok(id)
}

/// The levels of a path, each a name a mailbox can have.
pub(crate) fn split_path(path: &str) -> Result<Vec<&str>, MailboxError> {
    let names: Vec<&str> = path.split(SEPARATOR).collect();
    if names.len() > limits::MAX_MAILBOX_DEPTH {
        return Err(MailboxError::Limit(Limit::Depth));
    }
    for name in &names {
        if name.is_empty() {
            return Err(MailboxError::InvalidName("a level is empty"));
        }
        if name.len() > limits::MAX_MAILBOX_NAME {
            return Err(MailboxError::Limit(Limit::NameOctets));
        }
        // RFC 9051 5.1: no control characters, nor the line separators of RFC 5198.
        if name
            .chars()
            .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
        {
            return Err(MailboxError::InvalidName("a control character"));
        }
    }
    Ok(names)
}

/// Whether a mailbox at the top level can have this name.
pub(crate) fn may_stand_first(name: &str) -> Result<(), MailboxError> {
    match name == OTHER_USERS {
        true => Err(MailboxError::InvalidName("under it are those of others")),
        false => Ok(()),
    }
}

/// Every mailbox of an account.
pub(crate) struct Tree {
    pub(crate) rows: BTreeMap<MailboxId, MailboxRow>,
}

impl Tree {
    pub(crate) fn read(reader: &dyn Read, account: AccountId) -> Result<Self, MailboxError> {
        let page = reader.scan(
            &tables::whole_of(tables::MAILBOX, account),
            store_limits::MAX_PAGE,
        )?;
        Self::from_rows(page.rows)
    }

    /// The edit has read the account's head, which every change of a mailbox writes: the scan is
    /// covered by it.
    pub(crate) fn read_in(edit: &Edit<'_, '_>) -> Result<Self, MailboxError> {
        let range = tables::whole_of(tables::MAILBOX, edit.account);
        Self::from_rows(edit.txn.scan(&range, store_limits::MAX_PAGE)?.rows)
    }

    fn from_rows(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, MailboxError> {
        let row = |(key, value): (Vec<u8>, Vec<u8>)| -> Result<_, MailboxError> {
            let id = u32::from_be_bytes(*key.last_chunk().ok_or(StoreError::Damaged)?);
            Ok((MailboxId(id), MailboxRow::decode(&value)?))
        };
        Ok(Self {
            rows: rows.into_iter().map(row).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn child(&self, parent: Option<MailboxId>, name: &str) -> Option<MailboxId> {
        let top_inbox = parent.is_none() && name.eq_ignore_ascii_case("INBOX");
        if top_inbox {
            return self.rows.contains_key(&INBOX).then_some(INBOX);
        }
        let is_it = |row: &MailboxRow| row.parent == parent && row.name == name;
        self.rows
            .iter()
            .find(|(_, row)| is_it(row))
            .map(|(id, _)| *id)
    }

    fn find(&self, path: &str) -> Option<MailboxId> {
        path.split(SEPARATOR)
            .try_fold(None, |parent, name| self.child(parent, name).map(Some))?
    }

    pub(crate) fn folder(&self, id: MailboxId) -> Option<Folder> {
        let row = self.rows.get(&id)?;
        let mut path = row.name.clone();
        let mut above = row.parent;
        for _ in 0..limits::MAX_MAILBOX_DEPTH {
            let Some(parent) = above.and_then(|parent| self.rows.get(&parent)) else {
                break;
            };
            path = format!("{}{SEPARATOR}{path}", parent.name);
            above = parent.parent;
        }
        Some(Folder {
            id,
            parent: row.parent,
            path,
            role: row.role,
            subscribed: row.subscribed,
            uid_validity: row.uid_validity,
            sort_order: row.sort_order,
        })
    }

    /// How many levels there are below a mailbox.
    pub(crate) fn height_below(&self, id: MailboxId) -> usize {
        let depth = |mut of: MailboxId| {
            for depth in 0..=limits::MAX_MAILBOX_DEPTH {
                if of == id {
                    return Some(depth);
                }
                of = self.rows.get(&of)?.parent?;
            }
            None
        };
        self.rows
            .keys()
            .filter_map(|of| depth(*of))
            .max()
            .unwrap_or(0)
    }
}
