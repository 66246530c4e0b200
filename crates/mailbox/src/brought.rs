//! What a client brings into a mailbox that is watched, and by which connection.
//!
//! A row of its own, written in the transaction that places the message there, so that whoever looks
//! at the mailbox later, after a crash too, can judge the connection that did this very thing. What
//! comes there in another way (a restore, the renaming of a mailbox) has no row.
//!
//! Refuses to know what is looked for in the mailbox.

use tern_base::{AccountId, MailboxId, Uid};
use tern_store::{Transaction, key::KeyReader, limits as store_limits};

use crate::edit::Edit;
use crate::expose::Viewer;
use crate::rows::MailboxRow;
use crate::{Connection, MailboxError, Mailboxes, tables};

/// The client that brings a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bringer {
    /// Who it is in the records of what was served: it has the whole of what it brings.
    pub viewer: Viewer,
    /// Its connection, where it is known.
    pub connection: Option<Connection>,
}

impl From<Viewer> for Bringer {
    fn from(viewer: Viewer) -> Self {
        let connection = None;
        Self { viewer, connection }
    }
}

/// Notes by which connection a message was put at a UID, where the mailbox is the watched one. Answers
/// the UID.
pub(crate) fn note(
    edit: &mut Edit<'_, '_>,
    watched: Option<&str>,
    (mailbox, row, uid): (MailboxId, &MailboxRow, Uid),
    connection: Option<&Connection>,
) -> Uid {
    let is_watched = row.parent.is_none() && watched == Some(row.name.as_str());
    if let (true, Some(connection)) = (is_watched, connection) {
        let key = tables::brought(edit.account, mailbox, uid);
        edit.txn.put(key, connection.encode());
    }
    uid
}

impl Mailboxes {
    /// The same, with a mailbox at the top level of every account that is watched: see
    /// [`Mailboxes::brought`].
    #[must_use]
    pub fn watching(mut self, name: &'static str) -> Self {
        self.watched = Some(name);
        self
    }

    /// By which connection a client put the message at `uid` into the watched mailbox, where that is
    /// known.
    pub fn brought(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<Option<Connection>, MailboxError> {
        let row = self.engine.get(&tables::brought(account, mailbox, uid))?;
        Ok(row.map(|row| Connection::decode(&row)).transpose()?)
    }

    /// Forgets what was noted of the watched mailbox below `next`, and of one that had its name
    /// before: it was looked at. Of many rows a page at a time.
    pub fn forget_brought_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        mailbox: MailboxId,
        next: Uid,
    ) -> Result<(), MailboxError> {
        let range = tables::whole_of(tables::BROUGHT, account);
        for (key, _) in txn.scan(&range, store_limits::MAX_PAGE)?.rows {
            let mut parts = KeyReader::new(&key);
            let _account = parts.u32();
            let (Some(of), Some(uid)) = (parts.u32(), parts.u32()) else {
                return Err(tern_store::StoreError::Damaged.into());
            };
            if of != mailbox.0 || uid < next.0 {
                txn.delete(key);
            }
        }
        Ok(())
    }
}
