//! Room for what a client brings, asked before any of it is on the disk.
//!
//! Large content is staged ahead of the transaction that refers to it, and stays for a while when that
//! is refused or the message removed again: no quota counts it then. So whoever has no room is refused
//! before, and what an account brings within such a while is bounded by its quota too.
//!
//! Invariant: nothing of a large message is written on behalf of an account that could not keep it. Refuses
//! to bound an account without a quota, which may fill the disk with what it keeps.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tern_base::{AccountId, Timestamp};

use crate::{MailboxError, Mailboxes, Prepared, blob, limits};

/// What each account brought lately, in large messages.
#[derive(Debug, Default)]
pub(crate) struct BroughtLately(Mutex<HashMap<AccountId, Lately>>);

#[derive(Clone, Copy, Debug)]
struct Lately {
    since: Timestamp,
    octets: u64,
}

impl Lately {
    const fn is_over(&self, now: Timestamp) -> bool {
        now.0 >= self.since.0.saturating_add(limits::UNREFERENCED_GRACE_MS)
    }
}

impl BroughtLately {
    /// Counts some octets that an account brings, where they fit.
    fn take(&self, account: AccountId, octets: u64, most: u64, now: Timestamp) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::BROUGHT_ACCOUNTS && !all.contains_key(&account) {
            all.retain(|_, lately| !lately.is_over(now));
        }
        let fresh = Lately {
            since: now,
            octets: 0,
        };
        let lately = all.entry(account).or_insert(fresh);
        if lately.is_over(now) {
            *lately = fresh;
        }
        let with = lately.octets.saturating_add(octets);
        if with > most {
            return false;
        }
        lately.octets = with;
        true
    }
}

impl Mailboxes {
    /// [`Mailboxes::prepare`] for what a client brings to an account, in which `frees` octets go with its
    /// coming.
    pub fn prepare_brought(
        &self,
        account: AccountId,
        content: Vec<u8>,
        frees: u64,
        now: Timestamp,
    ) -> Result<Prepared, MailboxError> {
        if content.len() > blob::INLINE {
            self.ask_for_room(account, content.len() as u64, frees, now)?;
        }
        let prepared = self.prepare(content, now)?;
        self.recognised(account, prepared)
    }

    pub(crate) fn ask_for_room(
        &self,
        account: AccountId,
        octets: u64,
        frees: u64,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let head = self.account_head(account)?;
        head.room_for(octets.saturating_sub(frees), self.hooks.kept_quotas)?;
        let most = head.quota_bytes.saturating_mul(limits::BROUGHT_QUOTAS);
        match head.quota_bytes == 0 || self.brought_lately.take(account, octets, most, now) {
            true => Ok(()),
            false => Err(MailboxError::QuotaExceeded),
        }
    }
}
