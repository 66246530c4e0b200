//! Redirects: what comes for an account is sent on, to others here or elsewhere.
//!
//! A redirect is a part of the account's row, so that mail costs no further read for it. Its targets
//! are addresses that are looked up when mail comes, as those in groups are: where all of them have
//! ceased to be, the account keeps its mail (see [`crate::resolve`]).

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, EmailAddress};
use tern_store::Transaction;

use crate::error::DirectoryError;
use crate::tables::{self, read_address, write_address};
use crate::{Account, limits};

/// Where an account's mail is sent on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The addresses, in the order in which they were given; at most
    /// [`limits::MAX_REDIRECT_TARGETS`], at least one, none twice.
    pub targets: Vec<EmailAddress>,
    /// The account gets its mail as well.
    pub keep: bool,
}

/// Sends an account's mail on from now on, or, without targets, no more. A target in a domain of this
/// server must be there now.
pub fn set_redirect_in(
    txn: &mut Transaction<'_>,
    id: AccountId,
    targets: &[EmailAddress],
    keep: bool,
) -> Result<Account, DirectoryError> {
    let old = tables::require_account(txn, id)?;
    let mut known: Vec<EmailAddress> = Vec::new();
    for target in targets {
        if target.canonical() == old.address.canonical() {
            return Err(DirectoryError::OwnAddress);
        }
        if !tables::is_storable(target) {
            return Err(DirectoryError::Limit("local part"));
        }
        let is_ours = txn.get(&tables::domain_key(target.domain()))?.is_some();
        if is_ours && tables::get_address(txn, target)?.is_none() {
            return Err(DirectoryError::NotFound("address"));
        }
        if !known.iter().any(|k| k.canonical() == target.canonical()) {
            known.push(target.clone());
        }
    }
    if known.len() > limits::MAX_REDIRECT_TARGETS {
        return Err(DirectoryError::Limit("targets of a redirect"));
    }
    let redirect = (!known.is_empty()).then_some(Redirect {
        targets: known,
        keep,
    });
    let account = Account { redirect, ..old };
    txn.put(tables::account_key(id), tables::encode_account(&account));
    Ok(account)
}

pub(crate) fn write(w: &mut Writer, redirect: &Redirect) {
    w.list(&redirect.targets, write_address)
        .byte(redirect.keep.into());
}

pub(crate) fn read(r: &mut Reader<'_>) -> Result<Redirect, Damaged> {
    Ok(Redirect {
        targets: r.list(read_address)?,
        keep: r.byte()? != 0,
    })
}
