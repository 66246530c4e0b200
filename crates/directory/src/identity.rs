//! Identities: as whom an account sends. Each of its own addresses has one by itself, with the
//! name and the signatures that go with it; the account's owner may add others.
//!
//! A change has a number within the account, so that what changed since can be told: every row keeps
//! when it was made and last changed, and what is gone leaves its row for a while.
//!
//! Invariant: the address of every identity is the account's own when it is handed out. Addresses
//! come and go by other hands, so each verb begins by bringing the identities in line with them.
//!
//! Refuses to say what a client may do with an address: that is [`crate::resolve::is_own`].

use std::collections::BTreeSet;
use std::sync::Arc;

use tern_base::changes::{Changes, Numbered};
use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, EmailAddress};
use tern_store::{Engine, Read, StoreError, Transaction, Verdict, transact};

use crate::anew::skipped;
use crate::error::{DirectoryError, Limit};
use crate::resolve::is_own;
use crate::{account, limits, tables};

/// An identity of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityId(pub u32);

/// Somebody in an address field, as its owner wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correspondent {
    /// The name, where there is one.
    pub name: Option<String>,
    /// The address.
    pub email: String,
}

/// What an identity's owner says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityDetails {
    /// The name in From.
    pub name: String,
    /// The Reply-To of messages from it; `None` for none.
    pub reply_to: Option<Vec<Correspondent>>,
    /// The Bcc of messages from it; `None` for none.
    pub bcc: Option<Vec<Correspondent>>,
    /// The signature of plain text.
    pub text_signature: String,
    /// The signature of HTML.
    pub html_signature: String,
}

/// As whom an account sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id within the account.
    pub id: IdentityId,
    /// The address.
    pub email: EmailAddress,
    /// It came with the address, and goes with it alone.
    pub comes_with_address: bool,
    /// What its owner says of it.
    pub details: IdentityDetails,
}

/// The identities of accounts, and nothing else of the directory.
pub struct Identities {
    engine: Arc<dyn Engine>,
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").finish_non_exhaustive()
    }
}

/// What holds for all identities of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    /// The number of the newest change.
    state: u64,
    /// What changed up to here is not known in full any more.
    floor: u64,
    next: u32,
}

/// An identity, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    id: IdentityId,
    created: u64,
    changed: u64,
    identity: Option<Identity>,
}

impl Identities {
    /// The identities in this store.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// Whether an account may use an address as its own (RFC 6409 6.1).
    pub fn is_own(&self, id: AccountId, address: &EmailAddress) -> Result<bool, DirectoryError> {
        Ok(is_own(&*self.engine, id, address)?)
    }

    /// Every identity of an account, and the number of the newest change.
    pub fn all(&self, id: AccountId) -> Result<(u64, Vec<Identity>), DirectoryError> {
        let (head, rows) = self.settled(id)?;
        let there = rows.into_iter().filter_map(|row| row.identity);
        Ok((head.state, there.collect()))
    }

    /// What changed after change number `since`, at most so many identities. `None` where that can't
    /// be told.
    pub fn changes(
        &self,
        id: AccountId,
        since: u64,
        max: usize,
    ) -> Result<Option<Changes<IdentityId>>, DirectoryError> {
        let (head, rows) = self.settled(id)?;
        if since > head.state || since < head.floor {
            return Ok(None);
        }
        let things = rows.into_iter().map(|row| Numbered {
            id: row.id,
            created: row.created,
            changed: row.changed,
            is_there: row.identity.is_some(),
        });
        Ok(Some(Changes::since(since, head.state, things, max)))
    }

    /// Makes an identity of one of the account's own addresses.
    pub fn create(
        &self,
        id: AccountId,
        email: &EmailAddress,
        details: &IdentityDetails,
    ) -> Result<Identity, DirectoryError> {
        check(details)?;
        self.settled(id)?;
        if !is_own(&*self.engine, id, email)? {
            return Err(DirectoryError::NotOwnAddress);
        }
        transact(&*self.engine, |txn| {
            tables::require_account(txn, id)?;
            let (mut head, rows) = read_in(txn, id)?;
            let there = rows.iter().filter(|row| row.identity.is_some()).count();
            if there >= limits::MAX_IDENTITIES {
                return Err(DirectoryError::Limit(Limit::Identities));
            }
            let identity = add(txn, id, &mut head, email, false, details);
            forget_some(txn, id, &mut head, &rows);
            put_head(txn, id, head);
            Ok(Verdict::Commit(identity))
        })
    }

    /// Changes what its owner says of an identity.
    pub fn update(
        &self,
        id: AccountId,
        identity: IdentityId,
        details: &IdentityDetails,
    ) -> Result<(), DirectoryError> {
        check(details)?;
        self.settled(id)?;
        transact(&*self.engine, |txn| {
            let (mut head, rows) = read_in(txn, id)?;
            let mut row = find(rows, identity)?;
            let stored = row.identity.as_mut();
            let stored = stored.ok_or(DirectoryError::NotFound("identity"))?;
            if stored.details == *details {
                return Ok(Verdict::Abandon(()));
            }
            stored.details = details.clone();
            head.state += 1;
            row.changed = head.state;
            put_row(txn, id, &row);
            put_head(txn, id, head);
            Ok(Verdict::Commit(()))
        })
    }

    /// Removes an identity that did not come with its address.
    pub fn destroy(&self, id: AccountId, identity: IdentityId) -> Result<(), DirectoryError> {
        self.settled(id)?;
        transact(&*self.engine, |txn| {
            let (mut head, rows) = read_in(txn, id)?;
            let mut row = find(rows, identity)?;
            if row.identity.is_some_and(|stored| stored.comes_with_address) {
                return Err(DirectoryError::ComesWithAddress);
            }
            head.state += 1;
            row.changed = head.state;
            row.identity = None;
            put_row(txn, id, &row);
            put_head(txn, id, head);
            Ok(Verdict::Commit(()))
        })
    }

    /// The rows of an account, brought in line with its addresses.
    fn settled(&self, id: AccountId) -> Result<(Head, Vec<Row>), DirectoryError> {
        let reader: &dyn Read = &*self.engine;
        let Some(account) = account::account(reader, id)? else {
            return Err(DirectoryError::NotFound("account"));
        };
        let mut own = Vec::new();
        for address in account::addresses_of(reader, id)? {
            if own.len() < limits::MAX_IDENTITIES && is_own(reader, id, &address)? {
                own.push(address);
            }
        }
        let (head, rows) = read(reader, id)?;
        let stray = strays(reader, id, &rows)?;
        if stray.is_empty() && missing(&own, &rows).next().is_none() {
            return Ok((head, rows));
        }
        transact(&*self.engine, |txn| {
            tables::require_account(txn, id)?;
            let (mut head, mut rows) = read_in(txn, id)?;
            for row in rows.iter_mut().filter(|row| stray.contains(&row.id)) {
                head.state += 1;
                row.changed = head.state;
                row.identity = None;
                put_row(txn, id, row);
            }
            let details = IdentityDetails {
                name: account.display_name.clone(),
                ..IdentityDetails::default()
            };
            for address in missing(&own, &rows) {
                add(txn, id, &mut head, address, true, &details);
            }
            forget_some(txn, id, &mut head, &rows);
            put_head(txn, id, head);
            Ok::<_, DirectoryError>(Verdict::Commit(()))
        })?;
        Ok(read(reader, id)?)
    }
}

/// Identities whose address is the account's no more.
fn strays(
    reader: &dyn Read,
    id: AccountId,
    rows: &[Row],
) -> Result<BTreeSet<IdentityId>, StoreError> {
    let mut found = BTreeSet::new();
    for row in rows {
        if let Some(identity) = &row.identity
            && !is_own(reader, id, &identity.email)?
        {
            found.insert(row.id);
        }
    }
    Ok(found)
}

/// Addresses without the identity that comes with them.
fn missing<'a>(own: &'a [EmailAddress], rows: &[Row]) -> impl Iterator<Item = &'a EmailAddress> {
    let come = rows.iter().filter_map(|row| row.identity.as_ref());
    let come = come.filter(|identity| identity.comes_with_address);
    let have: BTreeSet<String> = come.map(|identity| identity.email.canonical()).collect();
    own.iter()
        .filter(move |address| !have.contains(&address.canonical()))
}

fn add(
    txn: &mut Transaction<'_>,
    account: AccountId,
    head: &mut Head,
    email: &EmailAddress,
    comes_with_address: bool,
    details: &IdentityDetails,
) -> Identity {
    head.state += 1;
    head.next += 1;
    let identity = Identity {
        id: IdentityId(head.next),
        email: email.clone(),
        comes_with_address,
        details: details.clone(),
    };
    let row = Row {
        id: identity.id,
        created: head.state,
        changed: head.state,
        identity: Some(identity.clone()),
    };
    put_row(txn, account, &row);
    identity
}

/// Forgets what went longest ago, where that is much.
fn forget_some(txn: &mut Transaction<'_>, account: AccountId, head: &mut Head, rows: &[Row]) {
    let mut gone: Vec<&Row> = rows.iter().filter(|row| row.identity.is_none()).collect();
    gone.sort_by_key(|row| row.changed);
    let many = gone.len().saturating_sub(limits::MAX_IDENTITIES);
    for row in gone.into_iter().take(many) {
        head.floor = head.floor.max(row.changed);
        txn.delete(tables::identity_key(account, row.id.0));
    }
}

fn check(details: &IdentityDetails) -> Result<(), DirectoryError> {
    if details.name.len() > limits::MAX_TEXT {
        return Err(DirectoryError::Limit(Limit::IdentityName));
    }
    let signatures = [&details.text_signature, &details.html_signature];
    if signatures
        .iter()
        .any(|text| text.len() > limits::MAX_SIGNATURE)
    {
        return Err(DirectoryError::Limit(Limit::Signature));
    }
    let lists = [&details.reply_to, &details.bcc];
    let mut size = 0;
    for one in lists.into_iter().flatten().flatten() {
        size += one.email.len() + one.name.as_ref().map_or(0, String::len);
    }
    match size <= limits::MAX_CORRESPONDENTS {
        true => Ok(()),
        false => Err(DirectoryError::Limit(Limit::IdentityAddresses)),
    }
}

fn find(rows: Vec<Row>, id: IdentityId) -> Result<Row, DirectoryError> {
    let mut rows = rows.into_iter();
    rows.find(|row| row.id == id && row.identity.is_some())
        .ok_or(DirectoryError::NotFound("identity"))
}

/// Goes on far behind every id and number that may have been told; nothing is known of what changed since.
pub(crate) fn skip_numbers(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<(), StoreError> {
    let head = txn.get(&tables::identity_key(account, HEAD))?;
    let head = head.map(|row| decode_head(&row)).transpose()?;
    let head = head.unwrap_or_default();
    let state = skipped(head.state);
    let head = Head {
        state,
        floor: state,
        next: head.next.saturating_add(limits::SKIPPED_IDENTITIES),
    };
    put_head(txn, account, head);
    Ok(())
}

/// Removes everything of an account that is removed itself.
pub(crate) fn drop_identities_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<(), DirectoryError> {
    for (key, _) in txn.scan(&tables::identities_of(account), ALL)?.rows {
        txn.delete(key);
    }
    Ok(())
}

/// More rows than an account has: identities, what is left of others, and the head.
const ALL: usize = 3 * limits::MAX_IDENTITIES + 2;

fn read(reader: &dyn Read, account: AccountId) -> Result<(Head, Vec<Row>), StoreError> {
    rows_of(reader.scan(&tables::identities_of(account), ALL)?.rows)
}

fn read_in(txn: &mut Transaction<'_>, account: AccountId) -> Result<(Head, Vec<Row>), StoreError> {
    // Every writer changes the head.
    txn.get(&tables::identity_key(account, HEAD))?;
    rows_of(txn.scan(&tables::identities_of(account), ALL)?.rows)
}

fn rows_of(stored: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(Head, Vec<Row>), StoreError> {
    let (mut head, mut rows) = (Head::default(), Vec::new());
    for (key, value) in stored {
        let (_, number) = tables::read_two(&key)?;
        match number {
            HEAD => head = decode_head(&value)?,
            _ => rows.push(decode_row(IdentityId(number), &value)?),
        }
    }
    Ok((head, rows))
}

/// Whether rows can be read, for checks.
pub(crate) fn verify(number: u32, value: &[u8]) -> Result<(), Damaged> {
    match number {
        HEAD => decode_head(value).map(drop),
        _ => decode_row(IdentityId(number), value).map(drop),
    }
}

/// The number in whose place the head stands.
const HEAD: u32 = 0;
const VERSION: u8 = 1;

fn put_head(txn: &mut Transaction<'_>, account: AccountId, head: Head) {
    let mut w = Writer::versioned(VERSION);
    w.number(head.state)
        .number(head.floor)
        .number(head.next.into());
    txn.put(tables::identity_key(account, HEAD), w.finish());
}

fn decode_head(bytes: &[u8]) -> Result<Head, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Head {
        state: r.number()?,
        floor: r.number()?,
        next: r.number32()?,
    })
}

fn put_row(txn: &mut Transaction<'_>, account: AccountId, row: &Row) {
    let mut w = Writer::versioned(VERSION);
    w.number(row.created).number(row.changed);
    w.option(row.identity.as_ref(), |w, identity| {
        tables::write_address(w, &identity.email);
        w.byte(identity.comes_with_address.into());
        let details = &identity.details;
        w.text(&details.name);
        for list in [&details.reply_to, &details.bcc] {
            w.option(list.as_deref(), |w, list| {
                w.list(list, write_correspondent);
            });
        }
        w.text(&details.text_signature)
            .text(&details.html_signature);
    });
    txn.put(tables::identity_key(account, row.id.0), w.finish());
}

fn write_correspondent(w: &mut Writer, one: &Correspondent) {
    w.option(one.name.as_deref(), |w, name| {
        w.text(name);
    });
    w.text(&one.email);
}

fn read_correspondent(r: &mut Reader<'_>) -> Result<Correspondent, Damaged> {
    Ok(Correspondent {
        name: r.option(Reader::text)?,
        email: r.text()?,
    })
}

fn decode_row(id: IdentityId, bytes: &[u8]) -> Result<Row, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    let (created, changed) = (r.number()?, r.number()?);
    let identity = r.option(|r| {
        let list = |r: &mut Reader<'_>| r.option(|r| r.list(read_correspondent));
        Ok(Identity {
            id,
            email: tables::read_address(r)?,
            comes_with_address: r.byte()? != 0,
            details: IdentityDetails {
                name: r.text()?,
                reply_to: list(r)?,
                bcc: list(r)?,
                text_signature: r.text()?,
                html_signature: r.text()?,
            },
        })
    })?;
    Ok(Row {
        id,
        created,
        changed,
        identity,
    })
}
