//! Principals: the accounts and groups of the server as people see each other, the organisation's
//! address book (RFC 9670).
//!
//! Invariants:
//! - Whom an account sees is the configuration's to say; itself it sees always. An account that is
//!   disabled, or under removal, is seen by nobody else.
//! - What changed since any number can be told, or is said to be unknown; never is less told.
//!
//! Refuses to tell who is in a group, and any address but the primary one.

pub(crate) mod rows;
mod settings;

use std::sync::{Arc, Mutex, PoisonError};

use tern_base::changes::{Changes, Numbered};
use tern_base::{AccountId, Domain, EmailAddress};
use tern_store::{Engine, Read, ReadExt as _, StoreError};

use crate::error::DirectoryError;
use crate::group::GroupId;
use crate::{account, tables};

pub use settings::{Settings, Visible};

/// Who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalId {
    /// A person.
    Account(AccountId),
    /// Several.
    Group(GroupId),
}

/// An account or a group as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who it is.
    pub id: PrincipalId,
    /// The name that people read; the address where none was given.
    pub name: String,
    /// The primary address.
    pub address: EmailAddress,
    /// Whether it is there for others.
    is_listed: bool,
}

/// All of them at one moment.
#[derive(Debug, Default)]
struct Book {
    state: u64,
    /// By id.
    all: Vec<Principal>,
}

/// The principals of the server, and nothing else of the directory.
pub struct Principals {
    engine: Arc<dyn Engine>,
    visible: Visible,
    /// Good for as long as its number is the newest.
    book: Mutex<Option<Arc<Book>>>,
}

impl std::fmt::Debug for Principals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Principals").finish_non_exhaustive()
    }
}

/// Who looks.
#[derive(Clone, Debug)]
struct Viewer {
    account: AccountId,
    domain: Domain,
    visible: Visible,
}

impl Viewer {
    fn sees(&self, id: PrincipalId, domain: &Domain) -> bool {
        id == PrincipalId::Account(self.account)
            || match self.visible {
                Visible::Own => false,
                Visible::Domain => *domain == self.domain,
                Visible::Everyone => true,
            }
    }

    fn sees_principal(&self, principal: &Principal) -> bool {
        let is_self = principal.id == PrincipalId::Account(self.account);
        self.sees(principal.id, principal.address.domain()) && (principal.is_listed || is_self)
    }
}

/// What an account sees.
#[derive(Debug)]
pub struct Seen {
    book: Arc<Book>,
    viewer: Viewer,
}

impl Seen {
    /// The number of the newest change.
    pub fn state(&self) -> u64 {
        self.book.state
    }

    /// Each, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Principal> {
        let all = self.book.all.iter();
        all.filter(|principal| self.viewer.sees_principal(principal))
    }

    /// One of them.
    pub fn get(&self, id: PrincipalId) -> Option<&Principal> {
        let all = &self.book.all;
        let at = all
            .binary_search_by_key(&id, |principal| principal.id)
            .ok()?;
        let found = all.get(at);
        found.filter(|principal| self.viewer.sees_principal(principal))
    }
}

impl Principals {
    /// The principals in this store, of whom those that are `visible` are seen.
    pub fn new(engine: Arc<dyn Engine>, visible: Visible) -> Self {
        Self {
            engine,
            visible,
            book: Mutex::new(None),
        }
    }

    /// Whom accounts see.
    pub const fn visible(&self) -> Visible {
        self.visible
    }

    /// The number of the newest change.
    pub fn newest_change(&self) -> Result<u64, StoreError> {
        Ok(rows::head(&*self.engine)?.state)
    }

    /// What an account sees.
    pub fn seen_by(&self, account: AccountId) -> Result<Seen, DirectoryError> {
        let viewer = self.viewer(account)?;
        let book = self.book()?;
        Ok(Seen { book, viewer })
    }

    /// What changed after change number `since` of what an account sees, at most so many. `None` where
    /// that can't be told.
    pub fn changes(
        &self,
        account: AccountId,
        since: u64,
        max: usize,
    ) -> Result<Option<Changes<PrincipalId>>, DirectoryError> {
        let viewer = self.viewer(account)?;
        let snapshot = self.engine.snapshot()?;
        let head = rows::head(&*snapshot)?;
        if since > head.state || since < head.floor {
            return Ok(None);
        }
        let mut seen = Vec::new();
        snapshot.each(&rows::all(), |key, value| {
            let id = rows::read_key(key)?;
            let row = rows::decode(value)?;
            if viewer.sees(id, &row.domain) {
                seen.push(Numbered {
                    id,
                    created: row.created,
                    changed: row.changed,
                    is_there: row.is_listed,
                });
            }
            Ok::<_, StoreError>(())
        })?;
        Ok(Some(Changes::since(since, head.state, seen, max)))
    }

    fn viewer(&self, account: AccountId) -> Result<Viewer, DirectoryError> {
        let known = account::account(&*self.engine, account)?;
        let known = known.ok_or(DirectoryError::NotFound("account"))?;
        Ok(Viewer {
            account,
            domain: known.address.domain().clone(),
            visible: self.visible,
        })
    }

    /// Everybody, read again where something has changed.
    fn book(&self) -> Result<Arc<Book>, StoreError> {
        let snapshot = self.engine.snapshot()?;
        let state = rows::head(&*snapshot)?.state;
        let mut kept = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(book) if book.state == state => Ok(Arc::clone(book)),
            _ => {
                let book = Arc::new(read(&*snapshot, state)?);
                *kept = Some(Arc::clone(&book));
                Ok(book)
            }
        }
    }
}

fn read(reader: &dyn Read, state: u64) -> Result<Book, StoreError> {
    let mut all = Vec::new();
    let named = |name: String, address: &EmailAddress| match name.trim().is_empty() {
        true => address.to_string(),
        false => name,
    };
    reader.each(&tables::accounts(AccountId(0)), |key, value| {
        let account = tables::decode_account(tables::read_account_key(key)?, value)?;
        all.push(Principal {
            id: PrincipalId::Account(account.id),
            is_listed: account.is_listed(),
            name: named(account.display_name, &account.address),
            address: account.address,
        });
        Ok::<_, StoreError>(())
    })?;
    reader.each(&tables::groups(), |key, value| {
        let group = tables::decode_group(tables::read_group_key(key)?, value)?;
        all.push(Principal {
            id: PrincipalId::Group(group.id),
            is_listed: true,
            name: named(group.display_name, &group.address),
            address: group.address,
        });
        Ok::<_, StoreError>(())
    })?;
    Ok(Book { state, all })
}
