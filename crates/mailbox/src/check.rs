//! Verifies every invariant of the mailbox tables: at the end of each test, and for `tern check`.

mod access;
mod content;
mod served;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{AccountId, BlobId, MailboxId, MessageId, Uid};
use tern_store::key::KeyReader;
use tern_store::{Finding, StoreError, limits as store_limits};

use crate::remove::EVERYTHING;
use crate::rows::{
    AccountHead, ChangeRow, CopyRow, Counters, MailboxRow, MessageRow, PlacementRow,
    VaultPlacementRow, VaultRow,
};
use crate::{KEPT, MailboxError, Mailboxes, SystemFlag, Upkeep, Uploaded, tables};

/// A key and its value.
type Row = (Vec<u8>, Vec<u8>);

/// What the whole store was seen to hold.
#[derive(Default)]
struct Seen {
    findings: Vec<Finding>,
    references: BTreeMap<BlobId, u64>,
    copies: BTreeSet<Vec<u8>>,
    carriers: BTreeSet<Vec<u8>>,
    vaulted: BTreeSet<Vec<u8>>,
    vault_placements: BTreeSet<Vec<u8>>,
    threads: BTreeSet<Vec<u8>>,
    accounts: BTreeMap<AccountId, AccountHead>,
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
        for (key, _) in self.0.rows(tables::whole(tables::DOOMED))? {
            let mut parts = KeyReader::new(&key);
            if let (Some(account), Some(mailbox)) = (parts.u32(), parts.u32()) {
                seen.doomed.insert((AccountId(account), MailboxId(mailbox)));
            }
        }
        for (key, row) in self.0.rows(tables::whole(tables::UPLOAD))? {
            let uploaded = Uploaded::decode(&key, &row)?;
            *seen.references.entry(uploaded.blob).or_default() += 1;
            if !uploaded.is_whole() {
                seen.under_way.insert(uploaded.blob);
            }
        }
        for (key, value) in self.0.rows(tables::whole(tables::ACCOUNT))? {
            let account = KeyReader::new(&key).u32().ok_or(StoreError::Damaged)?;
            let head = AccountHead::decode(&value)?;
            self.check_account(AccountId(account), &head, &mut seen)?;
            seen.accounts.insert(AccountId(account), head);
        }
        self.check_leftovers(&mut seen)?;
        self.check_vault(&mut seen)?;
        self.check_indexes(&mut seen)?;
        self.0.check_grants(&mut seen)?;
        self.0.check_contents(&mut seen)?;
        self.0.check_served(&mut seen)?;
        self.0.check_words(&mut seen)?;
        Ok(seen.findings)
    }

    /// Checks that there are mailboxes of these accounts only: what is left of others was not
    /// removed with them.
    pub fn check_accounts(
        &self,
        known: &BTreeSet<AccountId>,
    ) -> Result<Vec<Finding>, MailboxError> {
        let mut seen = Seen::default();
        for (key, _) in self.0.rows(tables::whole(tables::ACCOUNT))? {
            let account = KeyReader::new(&key).u32().ok_or(StoreError::Damaged)?;
            if !known.contains(&AccountId(account)) {
                seen.fault(format!("account {account} has mailboxes and is nobody's"));
            }
        }
        Ok(seen.findings)
    }

    fn check_account(
        &self,
        account: AccountId,
        head: &AccountHead,
        seen: &mut Seen,
    ) -> Result<(), MailboxError> {
        let mut placed: BTreeMap<MessageId, Vec<(MailboxId, Uid)>> = BTreeMap::new();
        let mut counted: BTreeMap<MailboxId, Counters> = BTreeMap::new();
        for (key, value) in self.0.rows(tables::whole_of(tables::PLACEMENT, account))? {
            let mut parts = KeyReader::new(&key);
            let _account = parts.u32();
            let (Some(mailbox), Some(uid)) = (parts.u32(), parts.u32()) else {
                return Err(StoreError::Damaged.into());
            };
            let (mailbox, uid) = (MailboxId(mailbox), Uid(uid));
            let row = PlacementRow::decode(&value)?;
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
        }
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
        for (key, value) in self.0.rows(tables::whole_of(tables::MAILBOX, account))? {
            let id = MailboxId(u32::from_be_bytes(
                *key.last_chunk().ok_or(StoreError::Damaged)?,
            ));
            let row = MailboxRow::decode(&value)?;
            mailboxes.insert(id);
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
        }
        for (key, value) in self.0.rows(tables::whole_of(tables::COUNTERS, account))? {
            let id = MailboxId(u32::from_be_bytes(
                *key.last_chunk().ok_or(StoreError::Damaged)?,
            ));
            let stored = Counters::decode(&value)?;
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
            if !mailboxes.remove(&id) && !seen.doomed.contains(&(account, id)) {
                seen.fault(format!("account {account}: counters of no mailbox {id}"));
            }
        }
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
        for (key, value) in self.0.rows(tables::whole_of(tables::MESSAGE, account))? {
            let id = MessageId(u64::from_be_bytes(
                *key.last_chunk().ok_or(StoreError::Damaged)?,
            ));
            let mut row = MessageRow::decode(&value)?;
            bytes += u64::from(row.size);
            messages += 1;
            seen.message(account, id, &row);
            row.placements.sort_unstable();
            let mut shown = placed.remove(&id).unwrap_or_default();
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
        }
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
            for (key, value) in self.0.rows(tables::whole(table))? {
                let account = KeyReader::new(&key).u32().ok_or(StoreError::Damaged)?;
                let account = AccountId(account);
                if seen.accounts.contains_key(&account) {
                    continue;
                }
                if !going.contains(&account) {
                    seen.fault(format!(
                        "account {account} is not there, and has a {name} row"
                    ));
                }
                if table == tables::MESSAGE {
                    let id = *key.last_chunk().ok_or(StoreError::Damaged)?;
                    let (id, row) = (
                        MessageId(u64::from_be_bytes(id)),
                        MessageRow::decode(&value)?,
                    );
                    seen.message(account, id, &row);
                }
            }
        }
        Ok(())
    }

    /// The vault, whose rows outlive their accounts.
    fn check_vault(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        for (key, value) in self.0.rows(tables::whole(tables::VAULT))? {
            let mut parts = KeyReader::new(&key);
            let (Some(account), Some(id)) = (parts.u32(), parts.u64()) else {
                return Err(StoreError::Damaged.into());
            };
            let (account, id) = (AccountId(account), MessageId(id));
            let row = VaultRow::decode(&value)?;
            if row.tag == KEPT {
                *seen.kept.entry(account).or_default() += u64::from(row.message.size);
            }
            *seen.references.entry(row.message.blob).or_default() += 1;
            seen.vaulted.insert(tables::vaulted(row.tag, account, id));
            let placed = row.message.placements.iter();
            let placed = placed.map(|(mailbox, _)| tables::vault_placement(account, id, *mailbox));
            seen.vault_placements.extend(placed);
        }
        for (_, value) in self.0.rows(tables::whole(tables::VAULT_PLACEMENT))? {
            VaultPlacementRow::decode(&value)?;
        }
        for (account, head) in std::mem::take(&mut seen.accounts) {
            let kept = seen.kept.remove(&account).unwrap_or(0);
            if head.kept_bytes != kept {
                let counted = head.kept_bytes;
                seen.fault(format!(
                    "account {account}: counts {counted} octets that are kept of it, not {kept}"
                ));
            }
        }
        Ok(())
    }

    fn check_change_log(
        &self,
        account: AccountId,
        head: &AccountHead,
        seen: &mut Seen,
    ) -> Result<(), MailboxError> {
        // The first modseq is that of the account itself.
        let (mut expected, mut logged) = ((head.log_from.0 + 1).max(2), 0);
        for (key, value) in self.0.rows(tables::whole_of(tables::CHANGE, account))? {
            let modseq = u64::from_be_bytes(*key.last_chunk().ok_or(StoreError::Damaged)?);
            logged += ChangeRow::decode(&value)?.0.len() as u64;
            if modseq != expected {
                seen.fault(format!(
                    "account {account}: change {modseq} follows {}",
                    expected - 1
                ));
            }
            expected = modseq + 1;
        }
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

    fn check_indexes(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        for (key, value) in self.0.rows(tables::whole(tables::COPY))? {
            CopyRow::decode(&key, &value)?;
            if !seen.copies.remove(&key) {
                seen.fault(format!("copy index entry of no message: {key:02x?}"));
            }
        }
        let missing = std::mem::take(&mut seen.copies);
        for key in missing {
            seen.fault(format!("message without copy index entry: {key:02x?}"));
        }
        let tables = [
            (tables::VAULTED, std::mem::take(&mut seen.vaulted), "vault"),
            (
                tables::VAULT_PLACEMENT,
                std::mem::take(&mut seen.vault_placements),
                "vaulted placement",
            ),
            (tables::THREAD, std::mem::take(&mut seen.threads), "thread"),
            (
                tables::CARRIER,
                std::mem::take(&mut seen.carriers),
                "carrier",
            ),
        ];
        for (table, expected, name) in tables {
            let rows = self.0.rows(tables::whole(table))?;
            let found: BTreeSet<Vec<u8>> = rows.into_iter().map(|(key, _)| key).collect();
            for key in expected.symmetric_difference(&found) {
                seen.fault(format!("{name} index and rows differ: {key:02x?}"));
            }
        }
        Ok(())
    }
}

impl Mailboxes {
    fn rows(&self, range: tern_store::Range) -> Result<Vec<Row>, MailboxError> {
        let mut rows = Vec::new();
        let mut next = Some(range);
        while let Some(range) = next {
            let page = self.engine.scan(&range, store_limits::MAX_PAGE)?;
            rows.extend(page.rows);
            next = page.next;
        }
        Ok(rows)
    }
}

impl Seen {
    /// What a message's row says of other tables.
    fn message(&mut self, account: AccountId, id: MessageId, row: &MessageRow) {
        *self.references.entry(row.blob).or_default() += 1;
        self.copies.insert(tables::copy(row.digest, account, id));
        let carried = row.carried.iter();
        let carried = carried.map(|letter| tables::carrier(letter.digest, account, id));
        self.carriers.extend(carried);
        self.threads.insert(tables::thread(account, row.thread, id));
    }

    fn fault(&mut self, what: String) {
        self.findings.push(Finding(what));
    }
}
