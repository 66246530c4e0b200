//! The mailboxes of others that an account subscribed to (RFC 9051 6.3.7). One's own are subscribed to in
//! their rows.
//!
//! A subscription is somebody's wish and no right: whoever lists what is subscribed asks for rights as
//! always. What it is about may be gone; ids are never given twice, so it then means nothing.

use std::collections::BTreeSet;

use tern_base::codec::Damaged;
use tern_base::{AccountId, MailboxId};
use tern_store::key::KeyReader;
use tern_store::{Transaction, Verdict, limits as store_limits};

use crate::{Limit, MailboxError, Mailboxes, limits, tables};

/// A mailbox of another account.
pub type Foreign = (AccountId, MailboxId);

impl Mailboxes {
    /// The mailboxes of others that an account subscribed to.
    pub fn subscribed(&self, account: AccountId) -> Result<BTreeSet<Foreign>, MailboxError> {
        let range = tables::whole_of(tables::SUBSCRIBED, account);
        let page = self.engine.scan(&range, store_limits::MAX_PAGE)?;
        let read = |(key, _): &(Vec<u8>, Vec<u8>)| read(key).map_err(MailboxError::from);
        page.rows.iter().map(read).collect()
    }

    /// Which of these mailboxes an account subscribed to.
    pub fn subscribed_among(
        &self,
        account: AccountId,
        among: &[Foreign],
    ) -> Result<BTreeSet<Foreign>, MailboxError> {
        let key = |foreign: &Foreign| tables::subscribed(account, *foreign);
        let keys: Vec<Vec<u8>> = among.iter().map(key).collect();
        let rows = self.engine.get_many(&keys)?;
        let all = among.iter().zip(rows).filter(|(_, row)| row.is_some());
        Ok(all.map(|(foreign, _)| *foreign).collect())
    }

    /// Subscribes an account to a mailbox of another one, or no longer.
    pub fn subscribe_foreign(
        &self,
        account: AccountId,
        foreign: Foreign,
        subscribed: bool,
    ) -> Result<(), MailboxError> {
        self.transact(&[account], |txn| {
            self.subscribe_foreign_in(txn, account, foreign, subscribed)?;
            Ok(Verdict::Commit(()))
        })
    }

    /// The same within a transaction.
    pub fn subscribe_foreign_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        foreign: Foreign,
        subscribed: bool,
    ) -> Result<(), MailboxError> {
        if txn.get(&tables::account(account))?.is_none() {
            return Err(MailboxError::NoAccount);
        }
        let key = tables::subscribed(account, foreign);
        match subscribed {
            true => {
                make_room(txn, account)?;
                txn.put(key, Vec::new());
            }
            false => txn.delete(key),
        }
        Ok(())
    }
}

/// Forgets subscriptions to what is gone, where there are as many as there may be.
fn make_room(txn: &mut Transaction<'_>, account: AccountId) -> Result<(), MailboxError> {
    let range = tables::whole_of(tables::SUBSCRIBED, account);
    let rows = txn.scan(&range, store_limits::MAX_PAGE)?.rows;
    if rows.len() < limits::MAX_SUBSCRIBED {
        return Ok(());
    }
    let mut left = rows.len();
    for (key, _) in rows {
        let (owner, mailbox) = read(&key)?;
        if txn.peek(&tables::mailbox(owner, mailbox))?.is_none() {
            txn.delete(key);
            left -= 1;
        }
    }
    match left < limits::MAX_SUBSCRIBED {
        true => Ok(()),
        false => Err(MailboxError::Limit(Limit::Subscriptions)),
    }
}

fn read(key: &[u8]) -> Result<Foreign, Damaged> {
    let mut parts = KeyReader::new(key);
    let _account = parts.u32();
    match (parts.u32(), parts.u32()) {
        (Some(owner), Some(mailbox)) => Ok((AccountId(owner), MailboxId(mailbox))),
        _ => Err(Damaged),
    }
}
