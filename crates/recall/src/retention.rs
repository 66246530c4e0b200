//! How long withdrawn copies are kept: what was configured for the domain of the account that a copy
//! was taken from, or for a group that it is in, the longest of these; else what counts for all.
//!
//! Invariant: where it can't be known any more whose a copy was, the longest time of all counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tern_base::{AccountId, Domain, EmailAddress, Timestamp};
use tern_mailbox::Vaulted;

use crate::{RecallError, Recalls};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Accounts that have a retention of their own: those of a domain, or the members of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Whose(String);

impl TryFrom<String> for Whose {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither a domain nor the address of a group");
        if text.contains('@') {
            let group = EmailAddress::parse(&text).map_err(|_| wrong())?;
            return Ok(Self(group.canonical()));
        }
        let domain = Domain::parse(&text).map_err(|_| wrong())?;
        Ok(Self(domain.as_str().to_owned()))
    }
}

impl From<Whose> for String {
    fn from(whose: Whose) -> Self {
        whose.0
    }
}

/// The times of the accounts that a sweep meets.
pub(crate) struct Retention<'a> {
    recalls: &'a Recalls,
    known: BTreeMap<AccountId, u64>,
    /// Nothing is removed that is younger, in milliseconds.
    shortest_ms: u64,
}

impl<'a> Retention<'a> {
    pub(crate) fn of(recalls: &'a Recalls) -> Self {
        let (of_all, of) = (
            &recalls.settings.vault_days,
            &recalls.settings.vault_days_of,
        );
        let shortest = of.values().chain([of_all]).min().unwrap_or(of_all);
        Self {
            recalls,
            known: BTreeMap::new(),
            shortest_ms: shortest.saturating_mul(DAY_MS),
        }
    }

    /// What was withdrawn until then may be removed, where the shortest time counts.
    pub(crate) const fn kept_since(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_sub(self.shortest_ms))
    }

    /// When a copy would have been withdrawn that goes together with this one, if the shortest time
    /// counted for it.
    pub(crate) fn counts_from(&mut self, copy: &Vaulted) -> Result<Timestamp, RecallError> {
        let own_ms = match self.known.get(&copy.account) {
            Some(own_ms) => *own_ms,
            None => {
                let own_ms = self.days_of(copy.account)?.saturating_mul(DAY_MS);
                self.known.insert(copy.account, own_ms);
                own_ms
            }
        };
        let longer_ms = own_ms.saturating_sub(self.shortest_ms);
        Ok(Timestamp(copy.row.withdrawn.0.saturating_add(longer_ms)))
    }

    fn days_of(&self, account: AccountId) -> Result<u64, RecallError> {
        let settings = &self.recalls.settings;
        let (of_all, of) = (settings.vault_days, &settings.vault_days_of);
        if of.is_empty() {
            return Ok(of_all);
        }
        let Some(found) = tern_directory::account(&*self.recalls.engine, account)? else {
            return Ok(of.values().copied().chain([of_all]).max().unwrap_or(of_all));
        };
        let mut names = self.recalls.groups(account)?;
        names.push(found.address.domain().as_str().to_owned());
        let own = names.into_iter().filter_map(|name| of.get(&Whose(name)));
        Ok(own.copied().max().unwrap_or(of_all))
    }
}
