//! What a directory does that was put back from a backup: ids, and numbers of changes, that it gave out after the
//! backup was made it does not give out again for something else.
//!
//! Whoever was shown account 7 keeps what they have of it under that number, states included; it is not to be
//! somebody else's afterwards. And whoever was told change 50 of a list that now counts 40 asks again one day for
//! what came after it, when others have made it 60.
//!
//! Invariant: once it is done, no id of an account, of a group or of an identity is one that may have been given
//! out, and what changed since any number that was told is unknown. Doing it again is doing no harm. To be done
//! before anybody is served. Refuses to do anything for what is known by random names.

use tern_base::AccountId;
use tern_store::{Engine, ReadExt as _, StoreError, Transaction, Verdict, transact};

use crate::tables::Counters;
use crate::{identity, limits, principal, tables};

/// Has the directory begin anew.
pub fn begin_anew(engine: &dyn Engine) -> Result<(), StoreError> {
    transact(engine, |txn| {
        skip_ids(txn)?;
        principal::rows::skip_numbers(txn)?;
        Ok::<_, StoreError>(Verdict::Commit(()))
    })?;
    let snapshot = engine.snapshot()?;
    snapshot.each(&tables::accounts(AccountId(0)), |key, _| {
        let account = tables::read_account_key(key)?;
        transact(engine, |txn| {
            identity::skip_numbers(txn, account)?;
            Ok::<_, StoreError>(Verdict::Commit(()))
        })
    })
}

/// Goes on far behind every id that may have been given.
fn skip_ids(txn: &mut Transaction<'_>) -> Result<(), StoreError> {
    let counters = Counters::get(txn)?;
    let counters = Counters {
        account: counters.account.saturating_add(limits::SKIPPED_IDS),
        group: counters.group.saturating_add(limits::SKIPPED_IDS),
        ..counters
    };
    counters.put(txn);
    Ok(())
}

/// A number of a change far behind those that were told.
pub(crate) const fn skipped(number: u64) -> u64 {
    number.saturating_add(limits::SKIPPED_CHANGES)
}
