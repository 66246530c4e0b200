//! Redirects: what comes for an account is sent on, to others here or elsewhere.
//!
//! A redirect is a part of the account's row, so that mail costs no further read for it. Its targets
//! are as those of an alias or a group: what is an account's own address when the redirect is set stands
//! for that account, so that nobody who gets the address later gets the mail; any other address is looked
//! up when mail comes. Where all of them have ceased to be, the account keeps its mail (see
//! [`crate::resolve`]).

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, EmailAddress};
use tern_store::Transaction;

use crate::error::{DirectoryError, Limit};
use crate::tables::{self, read_target, write_target};
use crate::target::{Target, settle};
use crate::{Account, limits};

/// Where an account's mail is sent on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// To whom, in the order in which they were given; at most
    /// [`limits::MAX_REDIRECT_TARGETS`], at least one, none twice.
    pub targets: Vec<Target>,
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
    let mut known: Vec<Target> = Vec::new();
    for target in targets {
        let settled = settle(txn, &Target::Address(target.clone()))?;
        if settled == Target::Account(id) {
            return Err(DirectoryError::OwnAddress);
        }
        let is_ours = txn.get(&tables::domain_key(target.domain()))?.is_some();
        if is_ours && tables::get_address(txn, target)?.is_none() {
            return Err(DirectoryError::NotFound("address"));
        }
        let is_same = |known: &Target| match (known, &settled) {
            (Target::Address(one), Target::Address(other)) => one.canonical() == other.canonical(),
            (one, other) => one == other,
        };
        if !known.iter().any(is_same) {
            known.push(settled);
        }
    }
    if known.len() > limits::MAX_REDIRECT_TARGETS {
        return Err(DirectoryError::Limit(Limit::RedirectTargets));
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
    w.list(&redirect.targets, write_target)
        .byte(redirect.keep.into());
}

pub(crate) fn read(r: &mut Reader<'_>) -> Result<Redirect, Damaged> {
    Ok(Redirect {
        targets: r.list(read_target)?,
        keep: r.byte()? != 0,
    })
}
