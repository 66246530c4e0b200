//! What an account is told of its rights in mailboxes of others (RFC 9670 3): that somebody changed them.
//!
//! Notices are numbered by account, and so are the changes of what there is: what was destroyed leaves its
//! number for a while, so that `/changes` can tell. Invariants: a notice is there with the change that it is
//! about, or neither is; an account has no more of them than the limit, the newest ones.
//!
//! Refuses to say what somebody may do: that is asked of the rights themselves.

use tern_base::changes::{Changes, Numbered};
use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, MailboxId, Timestamp};
use tern_store::{Transaction, Verdict, limits as store_limits};

use crate::{MailboxError, Mailboxes, Rights, limits, tables};

const VERSION: u8 = 1;

/// That rights changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareNotice {
    /// When.
    pub at: Timestamp,
    /// The account that changed them; none where it was nobody's.
    pub by: Option<AccountId>,
    /// What whoever did it was called then.
    pub by_name: String,
    /// The address of the account.
    pub by_address: Option<String>,
    /// Whose mailbox.
    pub owner: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// What it was called then.
    pub name: String,
    /// The rights before.
    pub before: Rights,
    /// The rights from then on.
    pub rights: Rights,
}

/// The notices of an account at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareNotices {
    /// The number of the newest change.
    pub state: u64,
    /// Those that are there, by their numbers, the oldest first.
    pub all: Vec<(u64, ShareNotice)>,
}

/// The counters of an account's notices.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// The number of the newest change.
    state: u64,
    /// Changes up to this one are not told any more.
    floor: u64,
}

/// A notice, or what is left of one.
struct Row {
    number: u64,
    changed: u64,
    notice: Option<ShareNotice>,
}

impl Mailboxes {
    /// Notes for an account that its rights changed, within the transaction that changes them.
    pub fn note_share_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        notice: &ShareNotice,
    ) -> Result<(), MailboxError> {
        if !self.has_account_in(txn, account)? {
            return Ok(());
        }
        let (mut head, rows) = read_in(txn, account)?;
        let mut there = rows.iter().filter(|row| row.notice.is_some());
        let oldest = there
            .next()
            .filter(|_| there.count() + 1 >= limits::MAX_SHARE_NOTICES);
        if let Some(oldest) = oldest {
            head.state += 1;
            put(txn, account, oldest.number, head.state, None);
        }
        head.state += 1;
        put(txn, account, head.state, head.state, Some(notice));
        forget_some(txn, account, &mut head, &rows);
        put_head(txn, account, head);
        Ok(())
    }

    /// The notices of an account.
    pub fn share_notices(&self, account: AccountId) -> Result<ShareNotices, MailboxError> {
        let (head, rows) = self.notices(account)?;
        let there = rows.into_iter();
        let there = there.filter_map(|row| Some((row.number, row.notice?)));
        Ok(ShareNotices {
            state: head.state,
            all: there.collect(),
        })
    }

    /// What changed of them since a state, of at most `max`; none where that can't be told.
    pub fn share_notice_changes(
        &self,
        account: AccountId,
        since: u64,
        max: usize,
    ) -> Result<Option<Changes<u64>>, MailboxError> {
        let (head, rows) = self.notices(account)?;
        if since > head.state || since < head.floor {
            return Ok(None);
        }
        let things = rows.into_iter().map(|row| Numbered {
            id: row.number,
            created: row.number,
            changed: row.changed,
            is_there: row.notice.is_some(),
        });
        Ok(Some(Changes::since(since, head.state, things, max)))
    }

    /// Destroys a notice. Answers whether it was there.
    pub fn drop_share_notice(&self, account: AccountId, number: u64) -> Result<bool, MailboxError> {
        self.transact(&[account], |txn| {
            let (mut head, rows) = read_in(txn, account)?;
            let is_it = |row: &&Row| row.number == number && row.notice.is_some();
            if !rows.iter().any(|row| is_it(&row)) {
                return Ok(Verdict::Abandon(false));
            }
            head.state += 1;
            put(txn, account, number, head.state, None);
            put_head(txn, account, head);
            Ok(Verdict::Commit(true))
        })
    }

    fn notices(&self, account: AccountId) -> Result<(Head, Vec<Row>), MailboxError> {
        let range = tables::whole_of(tables::SHARE_NOTICE, account);
        let page = self.engine.scan(&range, store_limits::MAX_PAGE)?;
        read(page.rows)
    }
}

/// Goes on far behind every number that may have been told; nothing is known of what changed since.
pub(crate) fn skip_numbers(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<(), MailboxError> {
    let (head, _) = read_in(txn, account)?;
    let state = head.state.saturating_add(limits::SKIPPED_NOTICES);
    let floor = state;
    put_head(txn, account, Head { state, floor });
    Ok(())
}

/// Every row of an account depends on its head, which each change writes.
fn read_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<(Head, Vec<Row>), MailboxError> {
    txn.get(&tables::share_notice(account, 0))?;
    let range = tables::whole_of(tables::SHARE_NOTICE, account);
    let mut rows = txn.scan(&range, store_limits::MAX_PAGE)?.rows;
    // Noted by the same transaction.
    let written: Vec<Vec<u8>> = txn.written(&range).map(<[u8]>::to_vec).collect();
    for key in written {
        rows.retain(|(known, _)| *known != key);
        if let Some(row) = txn.get(&key)? {
            rows.push((key, row));
        }
    }
    rows.sort();
    read(rows)
}

fn read(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(Head, Vec<Row>), MailboxError> {
    let (mut head, mut all) = (Head::default(), Vec::with_capacity(rows.len()));
    for (key, row) in rows {
        let number = u64::from_be_bytes(*key.last_chunk().ok_or(Damaged)?);
        let mut r = Reader::of_version(&row, VERSION)?;
        match number {
            0 => {
                head = Head {
                    state: r.number()?,
                    floor: r.number()?,
                };
            }
            number => all.push(Row {
                number,
                changed: r.number()?,
                notice: r.option(decode)?,
            }),
        }
    }
    Ok((head, all))
}

/// Forgets what is gone, the first first, where much of it is kept.
fn forget_some(txn: &mut Transaction<'_>, account: AccountId, head: &mut Head, rows: &[Row]) {
    let gone = rows.iter().filter(|row| row.notice.is_none());
    let mut gone: Vec<&Row> = gone.collect();
    gone.sort_by_key(|row| row.changed);
    let over = gone.len().saturating_sub(limits::MAX_SHARE_NOTICES);
    for row in gone.into_iter().take(over) {
        head.floor = head.floor.max(row.changed);
        txn.delete(tables::share_notice(account, row.number));
    }
}

fn put_head(txn: &mut Transaction<'_>, account: AccountId, head: Head) {
    let mut w = Writer::versioned(VERSION);
    w.number(head.state).number(head.floor);
    txn.put(tables::share_notice(account, 0), w.finish());
}

fn put(
    txn: &mut Transaction<'_>,
    account: AccountId,
    number: u64,
    changed: u64,
    notice: Option<&ShareNotice>,
) {
    let mut w = Writer::versioned(VERSION);
    w.number(changed).option(notice, encode);
    txn.put(tables::share_notice(account, number), w.finish());
}

fn encode(w: &mut Writer, notice: &ShareNotice) {
    w.number(notice.at.0)
        .option(notice.by.as_ref(), |w, by| {
            w.number(by.0.into());
        })
        .text(&notice.by_name)
        .option(notice.by_address.as_ref(), |w, text| {
            w.text(text);
        });
    w.number(notice.owner.0.into())
        .number(notice.mailbox.0.into())
        .text(&notice.name)
        .number(notice.before.bits().into())
        .number(notice.rights.bits().into());
}

fn decode(r: &mut Reader<'_>) -> Result<ShareNotice, Damaged> {
    fn rights(number: u64) -> Result<Rights, Damaged> {
        let bits = u16::try_from(number).map_err(|_| Damaged)?;
        Rights::from_bits(bits).ok_or(Damaged)
    }
    Ok(ShareNotice {
        at: Timestamp(r.number()?),
        by: r.option(|r| r.number32().map(AccountId))?,
        by_name: r.text()?,
        by_address: r.option(Reader::text)?,
        owner: AccountId(r.number32()?),
        mailbox: MailboxId(r.number32()?),
        name: r.text()?,
        before: rights(r.number()?)?,
        rights: rights(r.number()?)?,
    })
}
