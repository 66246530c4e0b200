//! The known clients of each account: what they say of themselves, when they were first and last
//! seen, and how far each has been told what changed.
//!
//! What a session notes is kept in memory, where the queries find it, and written by
//! [`Upkeep::write_devices`] a while later: no login, command or push waits for a write, or
//! fails with one. What a crash forgets is noted again when the clients come back.
//!
//! Invariants: *sent* is a modseq up to which the session has handed everything to the
//! connection; *heard* is one up to which it had when the client spoke again, so the client lives and
//! has read it as far as a server can know. Neither goes back. Of an account at most
//! [`limits::MAX_DEVICES`] are kept, and as many of those who read it by rights that they were given; those
//! that were not seen for longest go first, trusted ones last.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, MailboxId, MessageId, Modseq, Timestamp};
use tern_store::{StoreError, Transaction, Verdict};

use crate::client::shortened;
use crate::error::PassedOver;
use crate::rows::VaultRow;
use crate::{Client, DeviceId, MailboxError, Mailboxes, Sealing, Upkeep, limits, tables};

const VERSION: u8 = 2;

/// A known client of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// What it says of itself.
    pub client: Client,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen, to some minutes.
    pub last_seen: Timestamp,
    /// The address that it last came from.
    pub address: String,
    /// Somebody said that it is to be trusted.
    pub trusted: bool,
    /// How far it was told, of each mailbox that it has opened.
    pub told: Vec<Told>,
    /// Of further mailboxes it is not known any more.
    pub forgot: bool,
}

/// How far a client was told what changed in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Up to here everything was handed to the connection.
    pub sent: Modseq,
    /// Up to here it was when the client spoke again.
    pub heard: Modseq,
    /// When the newer of the two was noted.
    pub at: Timestamp,
}

/// Where a client is with respect to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Passed {
    /// It has been told, and has spoken since.
    Heard(Timestamp),
    /// It has been told; whether that arrived is not known.
    Sent(Timestamp),
    /// It has opened the mailbox before, and was not told yet.
    NotYet,
    /// It has not opened the mailbox, as far as is known.
    NeverOpened,
}

impl Passed {
    /// The name that reports use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Heard(_) => "passed",
            Self::Sent(_) => "told",
            Self::NotYet => "not-yet",
            Self::NeverOpened => "never-opened",
        }
    }
}

impl Device {
    /// The id by which the account's clients are told apart.
    pub fn id(&self) -> DeviceId {
        self.client.id()
    }

    /// Whether it was told of a change of some mailboxes that was made at `modseq`.
    pub fn passed(&self, mailboxes: &[MailboxId], modseq: Modseq) -> Passed {
        let mut passed = Passed::NeverOpened;
        for mailbox in mailboxes {
            let told = self.told.iter().find(|told| told.mailbox == *mailbox);
            let here = match told {
                Some(told) if told.heard >= modseq => Passed::Heard(told.at),
                Some(told) if told.sent >= modseq => Passed::Sent(told.at),
                Some(_) => Passed::NotYet,
                None if self.forgot => Passed::NotYet,
                None => continue,
            };
            passed = match (passed, here) {
                (Passed::NotYet, _) | (_, Passed::NotYet) => Passed::NotYet,
                (Passed::Sent(a) | Passed::Heard(a), Passed::Sent(b))
                | (Passed::Sent(a), Passed::Heard(b)) => Passed::Sent(a.max(b)),
                (Passed::Heard(a), Passed::Heard(b)) => Passed::Heard(a.max(b)),
                (Passed::NeverOpened, here) => here,
                (passed, Passed::NeverOpened) => passed,
            };
        }
        passed
    }

    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        self.client.write(&mut w);
        w.number(self.first_seen.0)
            .number(self.last_seen.0)
            .text(&self.address)
            .byte(self.trusted.into())
            .byte(self.forgot.into());
        w.list(&self.told, |w, told| {
            w.number(told.mailbox.0.into())
                .number(told.sent.0)
                .number(told.heard.0)
                .number(told.at.0);
        });
        w.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        Ok(Self {
            client: Client::read(&mut r)?,
            first_seen: Timestamp(r.number()?),
            last_seen: Timestamp(r.number()?),
            address: r.text()?,
            trusted: r.byte()? != 0,
            forgot: r.byte()? != 0,
            told: r.list(|r| {
                Ok(Told {
                    mailbox: MailboxId(r.number32()?),
                    sent: Modseq(r.number()?),
                    heard: Modseq(r.number()?),
                    at: Timestamp(r.number()?),
                })
            })?,
        })
    }

    /// Adds what is known besides; what only rows hold stays.
    fn merge(&mut self, fresh: &Self) {
        if fresh.last_seen >= self.last_seen {
            self.client = fresh.client.clone();
            self.address.clone_from(&fresh.address);
        }
        self.first_seen = self.first_seen.min(fresh.first_seen);
        self.last_seen = self.last_seen.max(fresh.last_seen);
        for told in &fresh.told {
            self.tell(*told);
        }
    }

    fn tell(&mut self, news: Told) {
        if let Some(told) = self.told.iter_mut().find(|t| t.mailbox == news.mailbox) {
            if news.sent > told.sent || news.heard > told.heard {
                told.at = told.at.max(news.at);
            }
            told.sent = told.sent.max(news.sent);
            told.heard = told.heard.max(news.heard);
            return;
        }
        if self.told.len() >= limits::MAX_TOLD_MAILBOXES {
            let oldest = (0..).zip(&self.told).min_by_key(|(_, told)| told.at);
            if let Some((place, _)) = oldest {
                self.told.remove(place);
                self.forgot = true;
            }
        }
        self.told.push(news);
    }
}

/// What a session notes of its client.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The account.
    pub account: AccountId,
    /// What the client says of itself.
    pub client: Client,
    /// The address that it comes from.
    pub address: String,
    /// How far it was told of the mailbox that it has open.
    pub told: Option<Told>,
}

/// What is noted and not written yet.
#[derive(Default)]
pub(crate) struct Noted(Mutex<BTreeMap<(AccountId, DeviceId), Fresh>>);

struct Fresh {
    device: Device,
    /// When the first of it was noted.
    since: Timestamp,
}

impl Noted {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(AccountId, DeviceId), Fresh>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, key: (AccountId, DeviceId), device: &Device, since: Timestamp) {
        let mut noted = self.lock();
        if let Some(known) = noted.get_mut(&key) {
            known.device.merge(device);
        } else if noted.len() < limits::MAX_NOTED_DEVICES {
            let device = device.clone();
            noted.insert(key, Fresh { device, since });
        }
    }

    fn of(&self, account: AccountId) -> Vec<(DeviceId, Device)> {
        let all = (account, DeviceId([0; 8]))..=(account, DeviceId([u8::MAX; 8]));
        let noted = self.lock();
        let found = noted.range(all);
        found
            .map(|((_, id), fresh)| (*id, fresh.device.clone()))
            .collect()
    }

    /// Takes some that were noted by then.
    fn take(&self, by: Timestamp) -> Vec<((AccountId, DeviceId), Fresh)> {
        let mut noted = self.lock();
        let due = noted.iter().filter(|(_, fresh)| fresh.since <= by);
        let keys: Vec<_> = due
            .map(|(key, _)| *key)
            .take(limits::DEVICES_PER_WRITE)
            .collect();
        let taken = keys.into_iter();
        taken
            .filter_map(|key| Some((key, noted.remove(&key)?)))
            .collect()
    }
}

impl Sealing {
    /// Where each known client of an account is with respect to a change of some mailboxes.
    pub fn devices_passed(
        &self,
        account: AccountId,
        mailboxes: &[MailboxId],
        modseq: Modseq,
    ) -> Result<Vec<(DeviceId, Device, Passed)>, MailboxError> {
        let devices = self.0.devices(account)?.into_iter();
        let passed = devices.map(|(id, device)| {
            let passed = device.passed(mailboxes, modseq);
            (id, device, passed)
        });
        Ok(passed.collect())
    }

    /// Where each known client of an account is with respect to the withdrawal of a copy that is in
    /// the vault; nothing where it is not, or was never shown.
    pub fn told_of_withdrawal(
        &self,
        account: AccountId,
        message: MessageId,
    ) -> Result<Vec<(DeviceId, Device, Passed)>, MailboxError> {
        let Some(row) = self.0.engine.get(&tables::vault(account, message))? else {
            return Ok(Vec::new());
        };
        let row = VaultRow::decode(&row)?;
        if row.late {
            return Ok(Vec::new());
        }
        let mailboxes: Vec<_> = row.message.placements.iter().map(|(of, _)| *of).collect();
        self.devices_passed(account, &mailboxes, row.modseq)
    }
}

impl Upkeep {
    /// Writes what was noted `before` then, in as many transactions as it takes. What can't be
    /// written stays noted; but of an account whose rows are damaged it is let go, so that it keeps nobody
    /// else's from being written.
    pub fn write_devices(&self, before: Timestamp) -> Result<(), MailboxError> {
        let mut damaged = PassedOver::default();
        loop {
            let due = self.0.noted.take(before);
            if due.is_empty() {
                return damaged.answer(());
            }
            let mut accounts: Vec<_> = due.iter().map(|((account, _), _)| *account).collect();
            accounts.dedup();
            let mut written = self.write_due(&accounts, &due);
            if written == Err(StoreError::Damaged.into()) {
                let mut each = accounts.iter();
                written = each.try_for_each(|account| {
                    let of_one = self.write_due(&[*account], &due);
                    damaged.pass_over(of_one).map(drop)
                });
            }
            if let Err(error) = written {
                for (key, fresh) in due {
                    self.0.noted.add(key, &fresh.device, fresh.since);
                }
                return Err(error);
            }
        }
    }

    /// Writes what is due of these accounts.
    fn write_due(
        &self,
        accounts: &[AccountId],
        due: &[((AccountId, DeviceId), Fresh)],
    ) -> Result<(), MailboxError> {
        self.0.in_lanes(accounts, |txn| {
            for account in accounts {
                let of = due.iter().filter(|((of, _), _)| of == account);
                let of = of.map(|((_, id), fresh)| (*id, &fresh.device));
                write_account(txn, *account, of)?;
            }
            Ok(Verdict::Commit(()))
        })
    }
}

impl Mailboxes {
    /// Notes that a client was seen, and how far it was told. Asks the store nothing.
    pub fn saw_device(&self, sighting: Sighting, now: Timestamp) {
        let Sighting {
            account,
            client,
            address,
            told,
        } = sighting;
        let device = Device {
            client,
            first_seen: now,
            last_seen: now,
            address: shortened(&address).to_owned(),
            told: told.into_iter().collect(),
            ..Device::default()
        };
        self.noted.add((account, device.id()), &device, now);
    }

    /// The known clients of an account, the last seen first.
    pub fn devices(&self, account: AccountId) -> Result<Vec<(DeviceId, Device)>, MailboxError> {
        let page = self.engine.scan(
            &tables::whole_of(tables::DEVICE, account),
            tern_store::limits::MAX_PAGE,
        )?;
        let mut devices = BTreeMap::new();
        for (key, row) in &page.rows {
            devices.insert(id_of(key)?, Device::decode(row)?);
        }
        for (id, fresh) in self.noted.of(account) {
            devices
                .entry(id)
                .and_modify(|device| device.merge(&fresh))
                .or_insert(fresh);
        }
        let mut devices: Vec<_> = devices.into_iter().collect();
        devices.sort_by_key(|(_, device)| std::cmp::Reverse(device.last_seen));
        Ok(devices)
    }

    /// One known client of an account.
    pub fn device(&self, account: AccountId, id: DeviceId) -> Result<Option<Device>, MailboxError> {
        let devices = self.devices(account)?;
        Ok(devices
            .into_iter()
            .find(|(of, _)| *of == id)
            .map(|(_, device)| device))
    }

    /// Says whether a client is to be trusted, within a transaction. Answers whether it is known.
    pub fn trust_device_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        id: DeviceId,
        trusted: bool,
    ) -> Result<bool, MailboxError> {
        let key = tables::device(account, id);
        let row = txn.get(&key)?.map(|row| Device::decode(&row)).transpose()?;
        let noted = self.noted.of(account).into_iter();
        let noted = noted
            .filter(|(of, _)| *of == id)
            .map(|(_, device)| device)
            .next();
        let Some(mut device) = row.or(noted) else {
            return Ok(false);
        };
        if txn.get(&tables::account(account))?.is_none() {
            return Err(MailboxError::NoAccount);
        }
        device.trusted = trusted;
        txn.put(key, device.encode());
        Ok(true)
    }

    /// Forgets a client, within a transaction. Answers whether it was known; what is noted of it and not
    /// written yet is for [`Mailboxes::forget_noted`], once that is committed. One that comes again
    /// is a new one.
    pub fn forget_device_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        id: DeviceId,
    ) -> Result<bool, MailboxError> {
        let noted = self.noted.lock().contains_key(&(account, id));
        let key = tables::device(account, id);
        let known = txn.get(&key)?.is_some();
        txn.delete(key);
        Ok(known || noted)
    }

    /// Forgets what is noted of a client and not written yet.
    pub fn forget_noted(&self, account: AccountId, id: DeviceId) {
        self.noted.lock().remove(&(account, id));
    }
}

/// Writes clients of one account, and forgets those that are too many. Rows of one account have
/// few writers (this, by one worker, and people), who may exceed the limit by one until the next.
fn write_account<'d>(
    txn: &mut Transaction<'_>,
    account: AccountId,
    fresh: impl Iterator<Item = (DeviceId, &'d Device)>,
) -> Result<(), MailboxError> {
    // An account that is removed leaves none behind.
    if txn.get(&tables::account(account))?.is_none() {
        return Ok(());
    }
    let range = tables::whole_of(tables::DEVICE, account);
    let mut known = BTreeMap::new();
    for (key, row) in txn.scan(&range, tern_store::limits::MAX_PAGE)?.rows {
        known.insert(id_of(&key)?, Device::decode(&row)?);
    }
    for (id, fresh) in fresh {
        let key = tables::device(account, id);
        // Read by itself, so that the commit depends on it.
        let row = txn.get(&key)?.map(|row| Device::decode(&row)).transpose()?;
        let mut device = row.unwrap_or_else(|| fresh.clone());
        device.merge(fresh);
        txn.put(key, device.encode());
        known.insert(id, device);
    }
    // Apart, so that readers push none of the account's own clients out.
    let (readers, own) = known
        .iter()
        .partition::<Vec<_>, _>(|(id, _)| id.reader().is_some());
    for mut by_age in [readers, own] {
        by_age.sort_by_key(|(_, device)| (device.trusted, device.last_seen));
        let too_many = by_age.len().saturating_sub(limits::MAX_DEVICES);
        for (id, _) in by_age.into_iter().take(too_many) {
            txn.delete(tables::device(account, *id));
        }
    }
    Ok(())
}

fn id_of(key: &[u8]) -> Result<DeviceId, Damaged> {
    key.last_chunk().map(|id| DeviceId(*id)).ok_or(Damaged)
}
