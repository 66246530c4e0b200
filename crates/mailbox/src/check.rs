//! Verifies every invariant of the mailbox tables: at the end of each test, and for `tern check`.

mod access;
mod content;
mod each;
mod index;
mod served;

mod words;

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{AccountId, BlobId, MailboxId, MessageId, Uid};
use tern_store::key::KeyReader;
use tern_store::{Finding, StoreError};

use self::each::Questions;
use crate::remove::EVERYTHING;
use crate::rows::{AccountHead, ChangeRow, Counters, MailboxRow, MessageRow, PlacementRow};
use crate::{MailboxError, Mailboxes, SystemFlag, Upkeep, Uploaded, tables};

/// What the whole store was seen to hold: what there is of accounts, and of contents a number each.
#[derive(Default)]
struct Seen {
    findings: Vec<Finding>,
    questions: Questions,
    references: BTreeMap<BlobId, u64>,
    accounts: BTreeSet<AccountId>,
    /// Accounts that are there, though it can't be read what they say of themselves.
    damaged: BTreeSet<AccountId>,
    /// Octets that are kept of each account, as it says, and as they are.
    kept_by_head: BTreeMap<AccountId, u64>,
    kept: BTreeMap<AccountId, u64>,
    doomed: BTreeSet<(AccountId, MailboxId)>,
    /// Contents of uploads that have not come whole.
    under_way: BTreeSet<BlobId>,
}

/// Tables whose keys begin with the account that a row belongs to; the vault's rows belong to
/// their tags.
const OF_ACCOUNTS: [(u8, &str); 16] = [
    (tables::MAILBOX, "mailbox"),
    (tables::COUNTERS, "counters"),
    (tables::PLACEMENT, "placement"),
    (tables::MESSAGE, "message"),
    (tables::CHANGE, "change"),
    (tables::THREAD_KEY, "thread key"),
    (tables::THREAD, "thread"),
    (tables::DOOMED, "deletion"),
    (tables::MARKED, "mark"),
    (tables::BROUGHT, "note of what was brought"),
    (tables::DEVICE, "device"),
    (tables::GRANT, "grant"),
    (tables::SUBSCRIBED, "subscription"),
    (tables::SUBSCRIBED_NAME, "subscription to a name"),
    (tables::SHARE_NOTICE, "notice of rights"),
    (tables::WORDS, "words"),
];

impl Upkeep {
    /// Checks every account. `other_references` are the references to contents that other tables
    /// hold (the queue). Meant for a store at rest: a change during the check can look like a
    /// fault.
    pub fn check(
        &self,
        other_references: &BTreeMap<BlobId, u64>,
    ) -> Result<Vec<Finding>, MailboxError> {
        let mut seen = Seen {
            references: other_references.clone(),
            ..Seen::default()
        };
        let mailboxes = &self.0;
        mailboxes.look_at_each(tables::whole(tables::DOOMED), &mut seen, |seen, key, _| {
            let mut parts = KeyReader::new(key);
            if let (Some(account), Some(mailbox)) = (parts.u32(), parts.u32()) {
                seen.doomed.insert((AccountId(account), MailboxId(mailbox)));
            }
            Ok(())
        })?;
        let uploads = tables::whole(tables::UPLOAD);
        mailboxes.look_at_each(uploads, &mut seen, |seen, key, row| {
            let uploaded = Uploaded::decode(key, row)?;
            *seen.references.entry(uploaded.blob).or_default() += 1;
            if !uploaded.is_whole() {
                seen.under_way.insert(uploaded.blob);
            }
            Ok(())
        })?;
        let accounts = tables::whole(tables::ACCOUNT);
        mailboxes.look_at_each(accounts, &mut seen, |seen, key, value| {
            let account = AccountId(KeyReader::new(key).u32().ok_or(StoreError::Damaged)?);
            seen.accounts.insert(account);
            match AccountHead::decode(value) {
                Ok(head) => {
                    seen.kept_by_head.insert(account, head.kept_bytes);
                    mailboxes.check_account(account, &head, seen)
                }
                Err(error) => {
                    seen.damaged.insert(account);
                    Err(error.into())
                }
            }
        })?;
        mailboxes.check_leftovers(&mut seen)?;
        mailboxes.check_vault(&mut seen)?;
        mailboxes.check_indexes(&mut seen)?;
        mailboxes.check_grants(&mut seen)?;
        mailboxes.check_contents(&mut seen)?;
        mailboxes.check_served(&mut seen)?;
        mailboxes.check_words(&mut seen)?;
        Ok(seen.findings)
    }

    /// Checks that there are mailboxes of these accounts only: what is left of others was not
    /// removed with them.
    pub fn check_accounts(
        &self,
        known: &BTreeSet<AccountId>,
    ) -> Result<Vec<Finding>, MailboxError> {
        let mut seen = Seen::default();
        let accounts = tables::whole(tables::ACCOUNT);
        self.0.look_at_each(accounts, &mut seen, |seen, key, _| {
            let account = KeyReader::new(key).u32().ok_or(StoreError::Damaged)?;
            if !known.contains(&AccountId(account)) {
                seen.fault(format!("account {account} has mailboxes and is nobody's"));
            }
            Ok(())
        })?;
        Ok(seen.findings)
    }
}

impl Mailboxes {
    fn check_account(
        &self,
        account: AccountId,
        head: &AccountHead,
        seen: &mut Seen,
    ) -> Result<(), MailboxError> {
        let mut placed: BTreeMap<MessageId, Vec<(MailboxId, Uid)>> = BTreeMap::new();
        let mut counted: BTreeMap<MailboxId, Counters> = BTreeMap::new();
        let placements = tables::whole_of(tables::PLACEMENT, account);
        self.look_at_each(placements, seen, |seen, key, value| {
            let mut parts = KeyReader::new(key);
            let _account = parts.u32();
            let (Some(mailbox), Some(uid)) = (parts.u32(), parts.u32()) else {
                return Err(StoreError::Damaged.into());
            };
            let (mailbox, uid) = (MailboxId(mailbox), Uid(uid));
            let row = PlacementRow::decode(value)?;
            if row.modseq > head.modseq {
                seen.fault(format!(
                    "account {account}: {mailbox}/{uid} is ahead of the account"
                ));
            }
            let counters = counted.entry(mailbox).or_default();
            counters.total += 1;
            counters.unseen += u32::from(!row.flags.has(SystemFlag::Seen));
            counters.deleted += u32::from(row.flags.has(SystemFlag::Deleted));
            counters.bytes += u64::from(row.size);
            counters.uid_next = Uid(uid.0 + 1);
            placed.entry(row.message).or_default().push((mailbox, uid));
            Ok(())
        })?;
        self.check_counters(account, head, &counted, seen)?;
        self.check_messages(account, head, placed, seen)?;
        self.check_change_log(account, head, seen)
    }

    fn check_counters(
        &self,
        account: AccountId,
        head: &AccountHead,
        counted: &BTreeMap<MailboxId, Counters>,
        seen: &mut Seen,
    ) -> Result<(), MailboxError> {
        let (mut mailboxes, mut validities) = (BTreeSet::new(), BTreeSet::new());
        self.look_at_each(
            tables::whole_of(tables::MAILBOX, account),
            seen,
            |seen, key, value| {
                let id = mailbox_of(key)?;
                mailboxes.insert(id);
                let row = MailboxRow::decode(value)?;
                if !validities.insert(row.uid_validity) {
                    seen.fault(format!(
                        "account {account}: mailbox {id} has the UIDVALIDITY of another"
                    ));
                }
                if id.0 >= head.next_mailbox || row.uid_validity > head.uid_validity {
                    seen.fault(format!(
                        "account {account}: mailbox {id} is ahead of the account"
                    ));
                }
                Ok(())
            },
        )?;
        self.look_at_each(
            tables::whole_of(tables::COUNTERS, account),
            seen,
            |seen, key, value| {
                let id = mailbox_of(key)?;
                if !mailboxes.remove(&id) && !seen.doomed.contains(&(account, id)) {
                    seen.fault(format!("account {account}: counters of no mailbox {id}"));
                }
                let stored = Counters::decode(value)?;
                let found = counted.get(&id).cloned().unwrap_or_default();
                let counts = |c: &Counters| (c.total, c.unseen, c.deleted, c.bytes);
                if counts(&stored) != counts(&found) {
                    seen.fault(format!(
                        "account {account}: mailbox {id} counts {:?}, holds {:?}",
                        counts(&stored),
                        counts(&found)
                    ));
                }
                if stored.uid_next < found.uid_next || stored.highest_modseq > head.modseq {
                    seen.fault(format!(
                        "account {account}: mailbox {id} UIDNEXT or modseq is off"
                    ));
                }
                Ok(())
            },
        )?;
        for id in mailboxes {
            seen.fault(format!("account {account}: mailbox {id} has no counters"));
        }
        Ok(())
    }

    fn check_messages(
        &self,
        account: AccountId,
        head: &AccountHead,
        mut placed: BTreeMap<MessageId, Vec<(MailboxId, Uid)>>,
        seen: &mut Seen,
    ) -> Result<(), MailboxError> {
        let (mut bytes, mut messages) = (0, 0);
        let placements: usize = placed.values().map(Vec::len).sum();
        if placements as u64 != head.placements {
            seen.fault(format!(
                "account {account}: counts {} placements, has {placements}",
                head.placements
            ));
        }
        self.look_at_each(
            tables::whole_of(tables::MESSAGE, account),
            seen,
            |seen, key, value| {
                let id = tables::message_of(key).ok_or(StoreError::Damaged)?;
                let mut shown = placed.remove(&id).unwrap_or_default();
                let mut row = MessageRow::decode(value)?;
                bytes += u64::from(row.size);
                messages += 1;
                seen.message(account, id, &row);
                row.placements.sort_unstable();
                shown.sort_unstable();
                if row.placements != shown || shown.is_empty() {
                    seen.fault(format!(
                        "account {account}: message {id} lists {:?}, is shown in {shown:?}",
                        row.placements
                    ));
                }
                if id.0 >= head.next_message {
                    seen.fault(format!(
                        "account {account}: message {id} is ahead of the account"
                    ));
                }
                self.ask_some(seen)
            },
        )?;
        for (id, shown) in placed {
            seen.fault(format!("account {account}: {shown:?} show no message {id}"));
        }
        if (bytes, messages) != (head.used_bytes, head.messages) {
            seen.fault(format!(
                "account {account}: counts {} octets in {} messages, holds {bytes} in {messages}",
                head.used_bytes, head.messages
            ));
        }
        Ok(())
    }

    /// Nothing is left of an account that is not there, unless it is on its way out.
    fn check_leftovers(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        let whole = seen.doomed.iter().filter(|(_, id)| *id == EVERYTHING);
        let going: BTreeSet<AccountId> = whole.map(|(account, _)| *account).collect();
        for (table, name) in OF_ACCOUNTS {
            // From account to account: of those that are there the rows were looked at.
            let mut from = Some(AccountId(0));
            while let Some(account) = from {
                let all = tables::whole(table);
                let of_account = tables::whole_of(table, account);
                let first = self
                    .engine
                    .scan(&all.starting_at(of_account.start.clone()), 1);
                let Some(page) = seen.readable(&of_account.start, first.map_err(Into::into))?
                else {
                    break;
                };
                let Some((key, _)) = page.rows.first() else {
                    break;
                };
                let account = KeyReader::new(key).u32().map(AccountId);
                let Some(account) = account else {
                    seen.fault(format!("a row of no account: {key:02x?}"));
                    break;
                };
                let is_damaged = seen.damaged.contains(&account);
                if !seen.accounts.contains(&account) || is_damaged {
                    let is_fault = !is_damaged && !going.contains(&account);
                    self.check_leftover((table, name), account, is_fault, seen)?;
                }
                from = account.0.checked_add(1).map(AccountId);
            }
        }
        Ok(())
    }

    fn check_leftover(
        &self,
        (table, name): (u8, &str),
        account: AccountId,
        is_fault: bool,
        seen: &mut Seen,
    ) -> Result<(), MailboxError> {
        self.look_at_each(
            tables::whole_of(table, account),
            seen,
            |seen, key, value| {
                if is_fault {
                    seen.fault(format!(
                        "account {account} is not there, and has a {name} row"
                    ));
                }
                if table == tables::MESSAGE {
                    let id = tables::message_of(key).ok_or(StoreError::Damaged)?;
                    seen.message(account, id, &MessageRow::decode(value)?);
                }
                self.ask_some(seen)
            },
        )
    }

    fn check_change_log(
        &self,
        account: AccountId,
        head: &AccountHead,
        seen: &mut Seen,
    ) -> Result<(), MailboxError> {
        // The first modseq is that of the account itself.
        let (mut expected, mut logged) = ((head.log_from.0 + 1).max(2), 0);
        self.look_at_each(
            tables::whole_of(tables::CHANGE, account),
            seen,
            |seen, key, value| {
                let modseq = u64::from_be_bytes(*key.last_chunk().ok_or(StoreError::Damaged)?);
                if modseq != expected {
                    seen.fault(format!(
                        "account {account}: change {modseq} follows {}",
                        expected - 1
                    ));
                }
                expected = modseq + 1;
                logged += ChangeRow::decode(value)?.0.len() as u64;
                Ok(())
            },
        )?;
        if head.logged != logged {
            seen.fault(format!(
                "account {account}: change log has {logged} changes, not {}",
                head.logged
            ));
        }
        if head.modseq.0 + 1 != expected {
            seen.fault(format!(
                "account {account}: change log ends before {}",
                head.modseq
            ));
        }
        Ok(())
    }
}

fn mailbox_of(key: &[u8]) -> Result<MailboxId, StoreError> {
    let id = key.last_chunk().ok_or(StoreError::Damaged)?;
    Ok(MailboxId(u32::from_be_bytes(*id)))
}
