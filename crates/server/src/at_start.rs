//! What a server looks at before it serves: whether it can read what is there, and whether it is told to keep
//! what it keeps for a shorter time.
//!
//! A store of another build can be opened and hold rows that this one does not understand. A server that took mail
//! into it all the same would have to be called damaged for ever.

use tern_base::AccountId;
use tern_store::{Read, StoreError};

use crate::clock;
use crate::parts::{Parts, PartsError};

/// Accounts that are read at once.
const PAGE: usize = 500;

/// Looks, and warns of what is about to go.
///
/// # Errors
/// Says what can't be read; nothing was changed.
pub(crate) fn look(parts: &Parts) -> Result<(), PartsError> {
    let reader: &dyn Read = &*parts.engine;
    accounts(reader).map_err(|error| PartsError::Unreadable("accounts", error))?;
    let head = tern_audit::head(reader).map(drop);
    head.map_err(|error| PartsError::Unreadable("audit log", error))?;
    match parts.recalls.shortened(clock::now()) {
        Ok(None) => {}
        Ok(Some(soon)) => tracing::warn!(
            copies = soon.copies,
            at = %soon.at,
            "withdrawn copies are to be removed from the vault, since the configuration keeps them for a \
             shorter time than before: a longer `vault_days` until then keeps them"
        ),
        Err(error) => tracing::error!(%error, "the vault could not be looked at"),
    }
    Ok(())
}

fn accounts(reader: &dyn Read) -> Result<(), StoreError> {
    tern_directory::list_domains(reader)?;
    let mut from = Some(AccountId(0));
    while let Some(next) = from {
        from = tern_directory::list_accounts(reader, next, PAGE)?.next;
    }
    Ok(())
}
