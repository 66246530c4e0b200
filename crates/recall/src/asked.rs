//! What an account has asked for lately: one row that every request of it writes, so that two at
//! once can't both be the last that the rate allows.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Timestamp};
use tern_store::{StoreError, Transaction};

use crate::{RecallError, RecallId, Recalls, limits, tables};

/// Requests within the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Each that was granted, or waits, the oldest first.
    granted: Vec<Granted>,
    /// When each that was refused for there being too many was made, the oldest first.
    limited: Vec<Timestamp>,
    /// When each that was refused and is on record was made, the oldest first.
    refused: Vec<Timestamp>,
    /// The refusal that stands for those that are not.
    flood: Option<Flood>,
}

/// A request that was granted, or waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Granted {
    at: Timestamp,
    /// How many recipients it covers; none any more once somebody has looked into it.
    recipients: u32,
}

/// Refusals that are not on record one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flood {
    recall: RecallId,
    count: u64,
}

/// What becomes of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is on record.
    OnRecord,
    /// It is on record, and stands for those that follow.
    FirstOfMany,
    /// The refusal of this id stands for it, as for so many.
    Counted(RecallId, u64),
}

impl Asked {
    /// How many requests were granted in the hour before.
    pub(crate) fn granted_before(&self, now: Timestamp) -> u32 {
        let recent = self.granted.iter().filter(|one| is_recent(one.at, now));
        recent.count() as u32
    }

    /// How many recipients the requests cover that were granted in the hour before.
    pub(crate) fn recipients_before(&self, now: Timestamp) -> u64 {
        let recent = self.granted.iter().filter(|one| is_recent(one.at, now));
        recent.map(|one| u64::from(one.recipients)).sum()
    }

    /// How many requests there were too many within this time.
    pub(crate) fn limited_within(&self, within_ms: u64, now: Timestamp) -> u32 {
        let recent = self.limited.iter().filter(|at| is_recent(**at, now));
        recent
            .filter(|at| now.millis_since(**at) <= within_ms)
            .count() as u32
    }

    /// Adds a request that is granted, and covers so many recipients.
    pub(crate) fn grant(&mut self, recipients: u32, now: Timestamp) {
        self.granted.retain(|one| is_recent(one.at, now));
        if self.granted.len() >= limits::MAX_COUNTED {
            self.granted.remove(0);
        }
        self.granted.push(Granted {
            at: now,
            recipients,
        });
    }

    /// Adds a request of which there are too many.
    pub(crate) fn limit(&mut self, now: Timestamp) {
        self.limited.retain(|at| is_recent(*at, now));
        if self.limited.len() >= limits::MAX_LIMITED {
            self.limited.remove(0);
        }
        self.limited.push(now);
    }

    /// Somebody has looked into what was asked for until now: it freezes nobody any more.
    pub(crate) fn looked_into(&mut self) {
        self.limited.clear();
        self.granted.iter_mut().for_each(|one| one.recipients = 0);
    }

    /// Adds a request that is refused.
    pub(crate) fn refuse(&mut self, id: RecallId, now: Timestamp) -> Refused {
        self.refused.retain(|at| is_recent(*at, now));
        if self.refused.len() < limits::MAX_REFUSALS {
            self.flood = None;
            self.refused.push(now);
            return Refused::OnRecord;
        }
        match &mut self.flood {
            Some(flood) => {
                flood.count += 1;
                Refused::Counted(flood.recall, flood.count)
            }
            None => {
                self.flood = Some(Flood {
                    recall: id,
                    count: 1,
                });
                Refused::FirstOfMany
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(2);
        w.list(&self.granted, |w, one| {
            w.number(one.at.0).number(one.recipients.into());
        });
        for times in [&self.limited, &self.refused] {
            w.list(times, |w, at| {
                w.number(at.0);
            });
        }
        w.option(self.flood, |w, flood| {
            w.array(&flood.recall.0).number(flood.count);
        });
        w.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 2)?;
        Ok(Self {
            granted: r.list(|r| {
                Ok(Granted {
                    at: Timestamp(r.number()?),
                    recipients: r.number32()?,
                })
            })?,
            limited: r.list(|r| r.number().map(Timestamp))?,
            refused: r.list(|r| r.number().map(Timestamp))?,
            flood: r.option(|r| {
                Ok(Flood {
                    recall: RecallId(r.array()?),
                    count: r.number()?,
                })
            })?,
        })
    }

    pub(crate) fn put_in(&self, txn: &mut Transaction<'_>, account: AccountId) {
        txn.put(tables::asked(account), self.encode());
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    // What a clock wrote that had jumped ahead is not held against anybody until then.
    let ahead = at.millis_since(now);
    ahead <= limits::CLOCK_SLACK_MS && now.millis_since(at) <= limits::RATE_WINDOW_MS
}

/// What an account has asked for, in a transaction that then depends on it.
pub(crate) fn asked_in(txn: &mut Transaction<'_>, account: AccountId) -> Result<Asked, StoreError> {
    let row = txn.get(&tables::asked(account))?;
    Ok(row.map_or(Ok(Asked::default()), |row| Asked::decode(&row))?)
}

impl Recalls {
    /// What an account has asked for; nothing of an operator is counted.
    pub(crate) fn asked(&self, account: Option<AccountId>) -> Result<Asked, RecallError> {
        let Some(account) = account else {
            return Ok(Asked::default());
        };
        let row = self.engine.get(&tables::asked(account))?;
        Ok(row.map_or(Ok(Asked::default()), |row| Asked::decode(&row))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_ahead_is_not_held_against_anybody() {
        let mut asked = Asked::default();
        let now = Timestamp(10 * limits::RATE_WINDOW_MS);
        for n in 0..limits::MAX_COUNTED as u64 {
            asked.grant(1, now.plus_millis(limits::CLOCK_SLACK_MS + 1 + n));
        }
        asked.grant(1, now.plus_millis(limits::CLOCK_SLACK_MS));
        assert_eq!(
            asked.granted_before(now),
            1,
            "a step back of a moment counts"
        );
    }

    #[test]
    fn the_window_moves_and_a_flood_has_one_record() {
        let (hour, mut asked) = (limits::RATE_WINDOW_MS, Asked::default());
        let at = |n: u64| Timestamp(1_000_000 + n);
        asked.grant(3, at(0));
        asked.grant(4, at(10));
        assert_eq!(asked.recipients_before(at(10)), 7);
        assert_eq!(asked.granted_before(at(hour)), 2);
        assert_eq!(asked.granted_before(at(hour + 1)), 1);
        for n in 0..limits::MAX_REFUSALS as u64 {
            let kept = asked.refuse(RecallId([n as u8; 16]), at(n));
            assert_eq!(kept, Refused::OnRecord);
        }
        let flood = RecallId([99; 16]);
        assert_eq!(asked.refuse(flood, at(50)), Refused::FirstOfMany);
        for n in 2..1_000 {
            let next = asked.refuse(RecallId([98; 16]), at(50 + n));
            assert_eq!(next, Refused::Counted(flood, n));
        }
        assert!(asked.encode().len() < 1_000, "a flood takes no room");
        assert_eq!(Asked::decode(&asked.encode()), Ok(asked.clone()));
        let later = asked.refuse(RecallId([97; 16]), at(hour + 1_000));
        assert_eq!(later, Refused::OnRecord);
    }
}
