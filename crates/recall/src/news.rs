//! What is new of the recalls that an account is told of: a log of its own, so that a client which was
//! away learns what it has missed.
//!
//! Invariants:
//! - A recall is on the list of each account that follows it, and its first news there says that it is
//!   new. Every later change of what a report tells is one news more, in the transaction that makes it.
//! - News are numbered without gaps, and the last [`limits::MAX_NEWS`] of them are kept for as long as the
//!   account is there. Whoever asks for what came after one that is so long ago is told that it is not known.

use tern_base::AccountId;
use tern_base::codec::Damaged;
use tern_store::{StoreError, Transaction, Verdict};

use crate::status::each_row;
use crate::{RecallError, RecallId, Recalls, limits, tables};

/// Rows that one transaction forgets.
const FORGOTTEN_AT_ONCE: usize = 1_000;

/// Something is new of a recall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// Its number within the account.
    pub number: u64,
    /// The recall.
    pub recall: RecallId,
    /// Whether the account was told of nothing of it before.
    pub is_first: bool,
}

/// Adds news of a recall to those of an account.
pub(crate) fn add_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    recall: RecallId,
    is_first: bool,
) -> Result<(), StoreError> {
    let head = tables::news_head(account);
    let number = read_head(txn.get(&head)?.as_deref())?.saturating_add(1);
    txn.put(head, number.to_be_bytes().to_vec());
    let row = [&recall.0[..], &[u8::from(is_first)]].concat();
    txn.put(tables::news(account, number), row);
    if let Some(old) = number.checked_sub(limits::MAX_NEWS) {
        txn.delete(tables::news(account, old));
    }
    if is_first {
        txn.put(tables::followed(account, recall), Vec::new());
    }
    Ok(())
}

fn read_head(row: Option<&[u8]>) -> Result<u64, Damaged> {
    row.map_or(Ok(0), |row| {
        row.try_into().map(u64::from_be_bytes).map_err(|_| Damaged)
    })
}

fn read_row(row: &[u8]) -> Result<(RecallId, bool), Damaged> {
    let (id, is_first) = row.split_at_checked(16).ok_or(Damaged)?;
    let id = id.try_into().map(RecallId).map_err(|_| Damaged)?;
    Ok((id, is_first == [1]))
}

impl Recalls {
    /// The number of an account's last news; 0 for none.
    pub fn last_news(&self, account: AccountId) -> Result<u64, RecallError> {
        let row = self.engine.get(&tables::news_head(account))?;
        Ok(read_head(row.as_deref())?)
    }

    /// The news of an account after the one of this number, the oldest first; at most so many. None where they
    /// are not all kept.
    pub fn news(
        &self,
        account: AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Option<Vec<News>>, RecallError> {
        let page = self
            .engine
            .scan(&tables::news_after(account, after), limit)?;
        let news = page.rows.iter().map(|(key, row)| {
            let (recall, is_first) = read_row(row)?;
            Ok(News {
                number: tables::read_news(key)?,
                recall,
                is_first,
            })
        });
        let news: Vec<News> = news.collect::<Result<_, RecallError>>()?;
        let are_all = news.first().is_none_or(|first| first.number == after + 1);
        Ok(are_all.then_some(news))
    }

    /// The recalls that an account is told of.
    pub fn followed(&self, account: AccountId) -> Result<Vec<RecallId>, RecallError> {
        let mut all = Vec::new();
        each_row(&*self.engine, tables::followed_by(account), |key, _| {
            all.push(tables::read_followed(key)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// Whether an account is told of a recall.
    pub fn is_followed(&self, account: AccountId, id: RecallId) -> Result<bool, RecallError> {
        Ok(self.engine.get(&tables::followed(account, id))?.is_some())
    }

    /// Has the clients of those who follow a recall look at it again.
    pub(crate) fn wake_followers(&self, id: RecallId) -> Result<(), RecallError> {
        for follower in self.recall(id)?.followers {
            self.mailboxes().wake(follower);
        }
        Ok(())
    }

    /// Forgets the news of an account that is removed.
    pub(crate) fn forget_news(&self, account: AccountId) -> Result<(), RecallError> {
        for range in [tables::news_of(account), tables::followed_by(account)] {
            loop {
                let page = self.engine.scan(&range, FORGOTTEN_AT_ONCE)?;
                if page.rows.is_empty() {
                    break;
                }
                tern_store::transact(&*self.engine, |txn| {
                    for (key, _) in &page.rows {
                        txn.delete(key.clone());
                    }
                    Ok::<_, RecallError>(Verdict::Commit(()))
                })?;
            }
        }
        tern_store::transact(&*self.engine, |txn| {
            txn.delete(tables::news_head(account));
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }
}
