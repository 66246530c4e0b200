//! What an alias points to, or a group contains.

use tern_base::{AccountId, EmailAddress};
use tern_store::{StoreError, Transaction};

use crate::tables::{self, AddressRow};

/// A local account, or any address: of a group, an alias, or outside this server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An account.
    Account(AccountId),
    /// An address. One that is an account's own is stored as that account.
    Address(EmailAddress),
}

/// The target as it is stored: an account's primary address becomes the account, and an account
/// must exist. `None` when it does not.
pub(crate) fn settle(
    txn: &mut Transaction<'_>,
    target: &Target,
) -> Result<Option<Target>, StoreError> {
    match target {
        Target::Account(id) => {
            let known = txn.get(&tables::account_key(*id))?.is_some();
            Ok(known.then(|| target.clone()))
        }
        Target::Address(address) => match tables::get_address(txn, address)? {
            Some(AddressRow::Account(id)) => Ok(Some(Target::Account(id))),
            _ => Ok(Some(target.clone())),
        },
    }
}
