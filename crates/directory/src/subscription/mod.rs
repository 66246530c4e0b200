//! Push subscriptions (RFC 8620 7.2): where a device of an account wants to be told what changed.
//!
//! A subscription is bound to the credential that made it: whatever takes that away takes its
//! subscriptions away in the same transaction, as do the disabling and the removal of the account. Until
//! its URL has proved by a code that it wants to be told, it is told nothing else.
//!
//! Invariants:
//! - No subscription outlives its credential, its account or its time.
//! - What the device was last told is known durably, so that a restart neither loses nor repeats it.
//!
//! Refuses to know what is told, and to judge URLs: that is for whoever connects to them.

mod rows;

use std::sync::Arc;

use tern_base::{AccountId, Entropy, Timestamp};
use tern_store::{Engine, Read, StoreError, Transaction, Verdict, transact};

use crate::credential::{self, CredentialId, Stored};
use crate::error::{DirectoryError, Limit};
use crate::{account, limits, tables};
use rows::Head;

pub(crate) use rows::strays;

/// A subscription of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u32);

/// For whom what is told is encrypted (RFC 8291).
#[derive(Clone, PartialEq, Eq)]
pub struct PushKeys {
    /// The device's public key: a point of P-256, uncompressed.
    pub p256dh: [u8; 65],
    /// What the device and this server share.
    pub auth: [u8; 16],
}

impl std::fmt::Debug for PushKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PushKeys(..)")
    }
}

/// How far the URL has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The code is to be sent to it.
    Owed,
    /// The code was sent.
    Sent,
    /// The code came back.
    Given,
}

/// What a device asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// How the device's program finds its own again.
    pub device: String,
    /// Where it is told.
    pub url: String,
    /// For whom it is encrypted; `None` for nobody.
    pub keys: Option<PushKeys>,
    /// Until when it wants to be told; `None` for as long as it can be.
    pub expires: Option<Timestamp>,
    /// Of which types; `None` for all.
    pub types: Option<Vec<String>>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id within the account.
    pub id: SubscriptionId,
    /// What made it.
    pub credential: CredentialId,
    /// How the device's program finds its own again.
    pub device: String,
    /// Where it is told.
    pub url: String,
    /// For whom it is encrypted; `None` for nobody.
    pub keys: Option<PushKeys>,
    /// From when on it is told nothing more.
    pub expires: Timestamp,
    /// Of which types it is told; `None` for all.
    pub types: Option<Vec<String>>,
    /// How far the URL has proved itself.
    pub proof: Proof,
    /// The code by which it does.
    pub code: String,
}

/// What of a subscription can change; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// The code that the URL was sent.
    pub code: Option<String>,
    /// Until when; the inner `None` for as long as it can be.
    pub expires: Option<Option<Timestamp>>,
    /// Of which types; the inner `None` for all.
    pub types: Option<Option<Vec<String>>>,
}

/// The push subscriptions of accounts, and nothing else of the directory.
pub struct Subscriptions {
    engine: Arc<dyn Engine>,
}

impl std::fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriptions").finish_non_exhaustive()
    }
}

/// When a subscription ends that is to end then, or as late as it can.
fn end(wanted: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let latest = now.plus_millis(limits::MAX_SUBSCRIPTION_MS);
    wanted.map_or(latest, |wanted| wanted.min(latest))
}

impl Subscriptions {
    /// The subscriptions in this store.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// Every subscription of an account whose time is not over.
    pub fn all(&self, id: AccountId, now: Timestamp) -> Result<Vec<Subscription>, DirectoryError> {
        let mut all = rows::read(&*self.engine, id)?;
        all.retain(|subscription| subscription.expires > now);
        Ok(all)
    }

    /// One subscription, whether its time is over or not.
    pub fn one(
        &self,
        id: AccountId,
        subscription: SubscriptionId,
    ) -> Result<Option<Subscription>, DirectoryError> {
        Ok(rows::one(&*self.engine, id, subscription)?)
    }

    /// Some accounts that have or had subscriptions, from account `from` on, and where to go on.
    pub fn subscribed(
        &self,
        from: AccountId,
    ) -> Result<(Vec<AccountId>, Option<AccountId>), DirectoryError> {
        Ok(rows::subscribed(&*self.engine, from)?)
    }

    /// Makes a subscription with this credential of the account.
    ///
    /// # Errors
    /// `NotFound` where the account or the credential is good no more; `Limit` where there are too many,
    /// or (`"new subscriptions"`) were made too many of late.
    pub fn create(
        &self,
        id: AccountId,
        by: CredentialId,
        new: &NewSubscription,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Subscription, DirectoryError> {
        let code = credential::random_letters(CODE_LETTERS, entropy);
        transact(&*self.engine, |txn| {
            require_credential(txn, id, by)?;
            let mut head = rows::head_in(txn, id)?;
            let known = rows::read_in(txn, id)?;
            let (good, over): (Vec<_>, Vec<_>) = known.iter().partition(|it| it.expires > now);
            if good.len() >= limits::MAX_SUBSCRIPTIONS {
                return Err(DirectoryError::Limit(Limit::Subscriptions));
            }
            for subscription in over {
                rows::delete(txn, id, subscription.id);
            }
            head.count(now)?;
            let subscription = Subscription {
                id: SubscriptionId(head.next),
                credential: by,
                device: new.device.clone(),
                url: new.url.clone(),
                keys: new.keys.clone(),
                expires: end(new.expires, now),
                types: new.types.clone(),
                proof: Proof::Owed,
                code: code.clone(),
            };
            rows::put(txn, id, &subscription)?;
            rows::put_head(txn, id, &head);
            Ok(Verdict::Commit(subscription))
        })
    }

    /// Changes a subscription that the same credential made; answers what it is now.
    ///
    /// # Errors
    /// `WrongCode`: nothing changed.
    pub fn update(
        &self,
        id: AccountId,
        by: CredentialId,
        subscription: SubscriptionId,
        change: &SubscriptionChange,
        now: Timestamp,
    ) -> Result<Subscription, DirectoryError> {
        transact(&*self.engine, |txn| {
            let mut found = own_in(txn, id, by, subscription, now)?;
            let before = found.clone();
            if let Some(code) = &change.code {
                if *code != found.code {
                    return Err(DirectoryError::WrongCode);
                }
                found.proof = Proof::Given;
            }
            if let Some(expires) = change.expires {
                found.expires = end(expires, now);
            }
            if let Some(types) = &change.types {
                found.types.clone_from(types);
            }
            if found == before {
                return Ok(Verdict::Abandon(found));
            }
            if found.types != before.types {
                // Of a type that it was not told of before it is told from the start.
                rows::delete_told(txn, id, subscription);
            }
            rows::put(txn, id, &found)?;
            Ok(Verdict::Commit(found))
        })
    }

    /// Removes a subscription that the same credential made.
    pub fn destroy(
        &self,
        id: AccountId,
        by: CredentialId,
        subscription: SubscriptionId,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        transact(&*self.engine, |txn| {
            own_in(txn, id, by, subscription, now)?;
            rows::delete(txn, id, subscription);
            Ok(Verdict::Commit(()))
        })
    }

    /// Removes a subscription whose time is over, or whose URL is.
    pub fn end(&self, id: AccountId, subscription: SubscriptionId) -> Result<(), DirectoryError> {
        transact(&*self.engine, |txn| {
            rows::delete(txn, id, subscription);
            Ok(Verdict::Commit(()))
        })
    }

    /// Notes that the URL was sent its code.
    pub fn code_was_sent(
        &self,
        id: AccountId,
        subscription: SubscriptionId,
    ) -> Result<(), DirectoryError> {
        transact(&*self.engine, |txn| {
            match rows::one_in(txn, id, subscription)? {
                Some(found) if found.proof == Proof::Owed => {
                    let proof = Proof::Sent;
                    rows::put(txn, id, &Subscription { proof, ..found })?;
                    Ok(Verdict::Commit(()))
                }
                _ => Ok(Verdict::Abandon(())),
            }
        })
    }

    /// What a subscription was told last, as whoever told it has put it; `None` for nothing yet.
    pub fn told(
        &self,
        id: AccountId,
        subscription: SubscriptionId,
    ) -> Result<Option<String>, DirectoryError> {
        Ok(rows::told(&*self.engine, id, subscription)?)
    }

    /// Notes what a subscription was told, unless it or its types have changed since it was `seen`.
    pub fn was_told(
        &self,
        id: AccountId,
        seen: &Subscription,
        what: &str,
    ) -> Result<(), DirectoryError> {
        transact(&*self.engine, |txn| {
            let now = rows::one_in(txn, id, seen.id)?;
            match now.is_some_and(|now| now.types == seen.types) {
                true => {
                    rows::put_told(txn, id, seen.id, what);
                    Ok(Verdict::Commit(()))
                }
                false => Ok(Verdict::Abandon(())),
            }
        })
    }
}

/// Letters of a code: 125 bits.
const CODE_LETTERS: usize = 25;

/// The account and its credential must be good, and the commit depends on both.
fn require_credential(
    txn: &mut Transaction<'_>,
    id: AccountId,
    by: CredentialId,
) -> Result<(), DirectoryError> {
    if tables::require_account(txn, id)?.disabled {
        return Err(DirectoryError::NotFound("account"));
    }
    let row = txn.get(&tables::credential_key(id, by.0))?;
    let stored = row.map(|row| credential::decode(by, &row)).transpose()?;
    match stored {
        Some(Stored::App(info, _)) if info.revoked.is_some() => {}
        Some(_) => return Ok(()),
        None => {}
    }
    Err(DirectoryError::NotFound("credential"))
}

fn own_in(
    txn: &mut Transaction<'_>,
    id: AccountId,
    by: CredentialId,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Result<Subscription, DirectoryError> {
    let found = rows::one_in(txn, id, subscription)?;
    let own = found.filter(|found| found.credential == by && found.expires > now);
    own.ok_or(DirectoryError::NotFound("subscription"))
}

/// Removes the subscriptions that a credential made, or all of an account.
pub(crate) fn drop_subscriptions_in(
    txn: &mut Transaction<'_>,
    id: AccountId,
    by: Option<CredentialId>,
) -> Result<(), StoreError> {
    // Whoever makes one changes the head.
    rows::head_in(txn, id)?;
    for subscription in rows::read_in(txn, id)? {
        if by.is_none_or(|by| by == subscription.credential) {
            rows::delete(txn, id, subscription.id);
        }
    }
    Ok(())
}

/// Removes the subscriptions of an account that is removed ([`drop_subscriptions_in`]), and what is kept
/// of their making.
pub(crate) fn forget_subscriptions_in(
    txn: &mut Transaction<'_>,
    id: AccountId,
) -> Result<(), StoreError> {
    drop_subscriptions_in(txn, id, None)?;
    rows::delete_head(txn, id);
    Ok(())
}

impl Head {
    /// Counts one that is made, and gives it its number.
    fn count(&mut self, now: Timestamp) -> Result<(), DirectoryError> {
        if now.0.saturating_sub(self.since.0) >= limits::NEW_SUBSCRIPTIONS_MS {
            (self.since, self.made) = (now, 0);
        }
        if self.made >= limits::MAX_NEW_SUBSCRIPTIONS {
            return Err(DirectoryError::Limit(Limit::NewSubscriptions));
        }
        self.made += 1;
        // 4 billion of one account, so many an hour: 16,000 years.
        self.next = self.next.checked_add(1).ok_or(StoreError::Exhausted)?;
        Ok(())
    }
}

/// Whether what made a subscription is good, for checks.
fn is_good(reader: &dyn Read, id: AccountId, by: CredentialId) -> Result<bool, StoreError> {
    let account = account::account(reader, id)?;
    let row = reader.get(&tables::credential_key(id, by.0))?;
    let stored = row.map(|row| credential::decode(by, &row)).transpose()?;
    let is_credential = match stored {
        Some(Stored::App(info, _)) => info.revoked.is_none(),
        Some(Stored::Password(_)) => true,
        None => false,
    };
    Ok(is_credential && account.is_some_and(|account| !account.disabled && !account.removing))
}
