//! What an alias points to, or a group contains.

use tern_base::{AccountId, EmailAddress};
use tern_store::Transaction;

use crate::error::{DirectoryError, Limit};
use crate::tables::{self, AddressRow};

/// A local account, or any address: of a group, an alias, or outside this server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An account.
    Account(AccountId),
    /// An address. One that is an account's own is stored as that account.
    Address(EmailAddress),
}

/// The target as it is stored: an account's primary address becomes the account. An account must
/// exist and not be under removal; the commit then depends on that.
pub(crate) fn settle(txn: &mut Transaction<'_>, target: &Target) -> Result<Target, DirectoryError> {
    match target {
        Target::Account(id) => {
            tables::require_account(txn, *id)?;
            Ok(target.clone())
        }
        Target::Address(address) => match tables::get_address(txn, address)? {
            Some(AddressRow::Account(id)) => {
                tables::require_account(txn, id)?;
                Ok(Target::Account(id))
            }
            _ if !tables::is_storable(address) => Err(DirectoryError::Limit(Limit::LocalPart)),
            _ => Ok(target.clone()),
        },
    }
}
