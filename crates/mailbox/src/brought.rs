//! What a client brings into a mailbox that is watched, and by which connection.
//!
//! A row of its own, written in the transaction that places the message there, so that whoever looks
//! at the mailbox later, after a crash too, can tell what somebody put there by intent, and judge the
//! connection that did this very thing. What comes there in another way (a delivery, a restore, the
//! renaming of a mailbox) has no row.
//!
//! Refuses to know what is looked for in the mailbox.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, MailboxId, Uid};
use tern_store::{Transaction, key::KeyReader, limits as store_limits};

use crate::edit::Edit;
use crate::expose::Viewer;
use crate::rows::MailboxRow;
use crate::{Connection, MailboxError, Sealing, tables};

/// The first layout was a [`Connection`] alone.
const VERSION: u8 = 2;

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

/// That a client put a message into the watched mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// By which connection, where that is known.
    pub connection: Option<Connection>,
}

/// Notes that a client put a message at a UID, and by which connection, where the mailbox is the watched
/// one. Answers the UID.
pub(crate) fn note(
    edit: &mut Edit<'_, '_>,
    watched: Option<&str>,
    (mailbox, row, uid): (MailboxId, &MailboxRow, Uid),
    connection: Option<&Connection>,
) -> Uid {
    let is_watched = row.parent.is_none() && watched == Some(row.name.as_str());
    if is_watched {
        let mut w = Writer::versioned(VERSION);
        w.option(connection, |w, connection| {
            w.bytes(&connection.encode());
        });
        let key = tables::brought(edit.account, mailbox, uid);
        edit.txn.put(key, w.finish());
    }
    uid
}

/// The same of what a client brings, or nobody's client.
pub(crate) fn note_bringer(
    edit: &mut Edit<'_, '_>,
    watched: Option<&str>,
    at: (MailboxId, &MailboxRow, Uid),
    by: Option<&Bringer>,
) -> Uid {
    match by {
        Some(by) => note(edit, watched, at, by.connection.as_ref()),
        None => at.2,
    }
}

fn decode(row: &[u8]) -> Result<Brought, Damaged> {
    let mut r = Reader::of_version(row, VERSION)?;
    let connection = r.option(|r| Connection::decode(r.bytes()?))?;
    Ok(Brought { connection })
}

impl Sealing {
    /// Whether a client put the message at `uid` into the watched mailbox, and by which connection.
    pub fn brought(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
    ) -> Result<Option<Brought>, MailboxError> {
        let row = self.0.engine.get(&tables::brought(account, mailbox, uid))?;
        Ok(row.map(|row| decode(&row)).transpose()?)
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
