//! Deleting a mailbox: it is gone in one transaction, and what is in it in as many as that takes.
//!
//! Invariant: from the first transaction on the mailbox is in no list, and whatever cuts the rest off, what was
//! deleted stays deleted; it is on the list of what is still to go until nothing is.

use tern_base::codec::Damaged;
use tern_base::{AccountId, MailboxId, Timestamp, Uid};
use tern_store::{StoreError, limits as store_limits};

use crate::folder::Tree;
use crate::rows::{Change, Counters};
use crate::{
    Access, INBOX, MailboxError, Mailboxes, NotAllowed, Rights, Upkeep, access, expunge, limits,
    subscribed_name, tables,
};

impl Upkeep {
    /// Finishes the deletions of mailboxes, and the removals of accounts, that a crash or a lost
    /// answer cut off. To be called at start and now and then. One that fails keeps no other from being
    /// finished; the first failure is answered.
    pub fn finish_deletions(&self, now: Timestamp) -> Result<(), MailboxError> {
        let doomed = tables::whole(tables::DOOMED);
        let page = self.0.engine.scan(&doomed, store_limits::MAX_PAGE)?;
        let mut outcome = Ok(());
        for (key, _) in &page.rows {
            let mut parts = tern_store::key::KeyReader::new(key);
            let (account, mailbox) = (parts.u32().ok_or(Damaged)?, parts.u32().ok_or(Damaged)?);
            let (account, mailbox) = (AccountId(account), MailboxId(mailbox));
            let done = match self.0.empty_doomed(account, mailbox, now) {
                // The whole account is going.
                Err(MailboxError::NoAccount) => self.0.erase_account(account, now),
                done => done,
            };
            outcome = outcome.and(done);
        }
        outcome
    }
}

impl Mailboxes {
    /// Deletes a mailbox and the messages that are only there. A mailbox with mailboxes in it is
    /// not deleted (RFC 5530 3, HASCHILDREN).
    ///
    /// The mailbox is gone from every list in one transaction; messages of a large one are then
    /// removed in chunks, after a crash by [`Upkeep::finish_deletions`].
    pub fn delete_folder(&self, access: &Access, now: Timestamp) -> Result<(), MailboxError> {
        self.begin_deletion(access)?;
        self.empty_doomed(access.account, access.mailbox, now)
    }

    /// The first part of it alone: the mailbox is gone, and what is in it is for
    /// [`Mailboxes::go_on_deleting`], or for [`Upkeep::finish_deletions`].
    pub fn begin_deletion(&self, access: &Access) -> Result<(), MailboxError> {
        self.doom_if(access, |_| true)
    }

    /// Deletes a mailbox that holds no message; any other is [`MailboxError::NotEmpty`].
    pub fn delete_empty_folder(&self, access: &Access, now: Timestamp) -> Result<(), MailboxError> {
        self.doom_if(access, Counters::is_empty)?;
        self.empty_doomed(access.account, access.mailbox, now)
    }

    fn doom_if(
        &self,
        access: &Access,
        may_go: impl Fn(&Counters) -> bool,
    ) -> Result<(), MailboxError> {
        let (account, mailbox) = access.place();
        if mailbox == INBOX {
            return Err(MailboxError::NotAllowed(NotAllowed::InboxStays));
        }
        self.edit(account, |edit| {
            self.allow_in(edit.txn, access, Rights::DELETE)?;
            let row = edit.mailbox(mailbox)?;
            let tree = Tree::read_in(edit)?;
            if tree.rows.values().any(|row| row.parent == Some(mailbox)) {
                return Err(MailboxError::HasChildren);
            }
            if !may_go(edit.counters(mailbox)?) {
                return Err(MailboxError::NotEmpty);
            }
            access::drop_mailbox(edit, mailbox)?;
            if let (true, Some(folder)) = (row.subscribed, tree.folder(mailbox)) {
                subscribed_name::keep(edit, &folder.path)?;
            }
            edit.txn.delete(tables::mailbox(account, mailbox));
            edit.txn.put(tables::doomed(account, mailbox), Vec::new());
            edit.log(Change::MailboxDestroyed(mailbox));
            Ok(())
        })
    }

    /// Whether messages of a deleted mailbox are still to go: their changes are not in the log yet.
    pub fn is_emptying(&self, account: AccountId) -> Result<bool, MailboxError> {
        let range = tables::whole_of(tables::DOOMED, account);
        Ok(!self.engine.scan(&range, 1)?.rows.is_empty())
    }

    fn empty_doomed(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        while !self.go_on_deleting(account, mailbox, now)? {}
        Ok(())
    }

    /// Removes some of what was in a deleted mailbox. Answers whether that was the last of it.
    pub fn go_on_deleting(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        now: Timestamp,
    ) -> Result<bool, MailboxError> {
        self.edit(account, |edit| {
            if edit.has_mailbox(mailbox)? {
                return Err(MailboxError::NotAllowed(NotAllowed::NotDeleted));
            }
            let page = edit
                .txn
                .scan(&tables::placements(account, mailbox), limits::CHUNK)?;
            let uids: Option<Vec<Uid>> = page
                .rows
                .iter()
                .map(|(key, _)| Some(Uid(u32::from_be_bytes(*key.last_chunk()?))))
                .collect();
            let uids = uids.ok_or(StoreError::Damaged)?;
            let (gone, _) = edit.each_placed(mailbox, &uids, |edit, uid, placement| {
                expunge::expunge_one(self, edit, mailbox, uid, &placement, now).map(Some)
            })?;
            let last = page.next.is_none() && gone.len() == uids.len();
            if last {
                edit.drop_counters(mailbox);
                edit.txn.delete(tables::doomed(account, mailbox));
            }
            Ok(last)
        })
    }
}

impl Counters {
    /// Whether the mailbox holds no message.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }
}
