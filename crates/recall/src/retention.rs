//! How long withdrawn copies are kept: what was configured for the domain of the account that a copy
//! was taken from, or for a group that it is in, the longest of these; else what counts for all.
//!
//! Invariants:
//! - Where it can't be known any more whose a copy was, the longest time of all counts.
//! - What is configured anew shortens no time before a day: what it would remove can't be put back, and a
//!   slip of the fingers is found out meanwhile. The store remembers what counted before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Domain, EmailAddress, Timestamp};
use tern_mailbox::Vaulted;
use tern_store::Verdict;

use crate::status::each_row;
use crate::{RecallError, Recalls, Settings, limits, tables};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Accounts that have a retention of their own: those of a domain, or the members of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Whose(String);

impl Whose {
    /// The domain, or the address of the group.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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

/// What was configured: for all, and for some.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Times {
    of_all: u64,
    of: BTreeMap<Whose, u64>,
}

impl Times {
    fn of(settings: &Settings) -> Self {
        let of = settings.vault_days_of.iter();
        Self {
            of_all: settings.vault_days.get(),
            of: of
                .map(|(whose, days)| (whose.clone(), days.get()))
                .collect(),
        }
    }

    fn days(&self) -> impl Iterator<Item = u64> {
        self.of.values().copied().chain([self.of_all])
    }

    /// Of an account by what it belongs to; of one that is gone, `None`.
    fn days_of(&self, names: Option<&[String]>) -> u64 {
        let Some(names) = names else {
            return self.days().max().unwrap_or(self.of_all);
        };
        let own = names
            .iter()
            .filter_map(|name| self.of.get(&Whose(name.clone())));
        own.copied().max().unwrap_or(self.of_all)
    }

    fn write(&self, w: &mut Writer) {
        let of: Vec<_> = self.of.iter().collect();
        w.number(self.of_all).list(&of, |w, (whose, days)| {
            w.text(&whose.0).number(**days);
        });
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        let of_all = r.number()?;
        let of = r.list(|r| Ok((Whose(r.text()?), r.number()?)))?;
        let of = of.into_iter().collect();
        Ok(Self { of_all, of })
    }
}

/// The row of the times that count, and of those that are to count.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InForce {
    times: Times,
    /// What was configured since then, and is to count a day later.
    next: Option<(Times, Timestamp)>,
}

impl InForce {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(1);
        self.times.write(&mut w);
        w.option(self.next.as_ref(), |w, (times, since)| {
            times.write(w);
            w.number(since.0);
        });
        w.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 1)?;
        Ok(Self {
            times: Times::read(&mut r)?,
            next: r.option(|r| Ok((Times::read(r)?, Timestamp(r.number()?))))?,
        })
    }

    /// What counts from now on, where this is configured.
    fn with(self, configured: Times, now: Timestamp) -> Self {
        if self.times == configured {
            return Self {
                times: configured,
                next: None,
            };
        }
        match self.next {
            Some((next, since)) if next == configured => {
                // Not since a time that the clock had given when it was ahead.
                let since = since.min(now);
                match now.millis_since(since) >= limits::RETENTION_GRACE_MS {
                    true => Self {
                        times: configured,
                        next: None,
                    },
                    false => Self {
                        next: Some((next, since)),
                        ..self
                    },
                }
            }
            _ => Self {
                next: Some((configured, now)),
                ..self
            },
        }
    }
}

/// Copies that go since a shorter time is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortened {
    /// How many would be gone already.
    pub copies: u64,
    /// When they go.
    pub at: Timestamp,
}

impl Recalls {
    /// Whether withdrawn copies go soon since what is configured keeps them for a shorter time than what
    /// counted until now; for a server that begins to run.
    pub fn shortened(&self, now: Timestamp) -> Result<Option<Shortened>, RecallError> {
        let Some((next, since)) = self.retention_in_force(now)?.next else {
            return Ok(None);
        };
        let mut both = Retention::of(self, now)?;
        let mut alone = Retention::by(self, vec![next]);
        let (kept, kept_alone) = (both.kept_since(now), alone.kept_since(now));
        let mut recalls = BTreeSet::new();
        each_row(&*self.engine, tables::kept_since(kept_alone), |key, _| {
            recalls.insert(tables::read_kept(key)?.1);
            Ok(())
        })?;
        let mut copies = 0;
        for id in recalls {
            let mut after = None;
            loop {
                let page = self
                    .sealing
                    .vaulted(id.tag(), after, limits::FORGOTTEN_AT_ONCE)?;
                let Some(last) = page.last() else { break };
                after = Some((last.account, last.message));
                for copy in &page {
                    let goes = alone.counts_from(copy)? <= kept_alone;
                    copies += u64::from(goes && both.counts_from(copy)? > kept);
                }
            }
        }
        let at = since.plus_millis(limits::RETENTION_GRACE_MS);
        Ok((copies > 0).then_some(Shortened { copies, at }))
    }

    fn retention_in_force(&self, now: Timestamp) -> Result<InForce, RecallError> {
        let configured = Times::of(&self.settings);
        tern_store::transact(&*self.engine, |txn| {
            let key = tables::retention();
            let row = txn.get(&key)?;
            let known = row.as_deref().map(InForce::decode).transpose()?;
            let new = match known.clone() {
                None => InForce {
                    times: configured.clone(),
                    next: None,
                },
                Some(known) => known.with(configured.clone(), now),
            };
            if known.as_ref() == Some(&new) {
                return Ok(Verdict::Abandon(new));
            }
            txn.put(key, new.encode());
            Ok::<_, RecallError>(Verdict::Commit(new))
        })
    }
}

/// The times of the accounts that a sweep meets.
pub(crate) struct Retention<'a> {
    recalls: &'a Recalls,
    known: BTreeMap<AccountId, u64>,
    /// Of these the longest counts.
    times: Vec<Times>,
    /// Nothing is removed that is younger, in milliseconds.
    shortest_ms: u64,
}

impl<'a> Retention<'a> {
    /// What counts now: after a change, for a day, both what counted before and what is to count.
    pub(crate) fn of(recalls: &'a Recalls, now: Timestamp) -> Result<Self, RecallError> {
        let InForce { times, next } = recalls.retention_in_force(now)?;
        let next = next.map(|(next, _)| next);
        Ok(Self::by(recalls, [times].into_iter().chain(next).collect()))
    }

    fn by(recalls: &'a Recalls, times: Vec<Times>) -> Self {
        let shortest = times.iter().filter_map(|times| times.days().min()).max();
        Self {
            recalls,
            known: BTreeMap::new(),
            times,
            shortest_ms: shortest.unwrap_or(u64::MAX).saturating_mul(DAY_MS),
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
        let names = match tern_directory::account(&*self.recalls.engine, account)? {
            // Who is in which group matters to nobody.
            _ if self.times.iter().all(|times| times.of.is_empty()) => Some(Vec::new()),
            None => None,
            Some(found) => {
                let mut names = self.recalls.groups(account)?;
                names.push(found.address.domain().as_str().to_owned());
                Some(names)
            }
        };
        let days = self
            .times
            .iter()
            .map(|times| times.days_of(names.as_deref()));
        Ok(days.max().unwrap_or(u64::MAX))
    }
}
