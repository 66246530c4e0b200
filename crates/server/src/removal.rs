//! Removing an account: from the directory's mark to its last row.
//!
//! Invariant: once an account is marked it will be gone. Nobody logs in to it and nothing is
//! delivered to it any more; whatever cuts the removal off, the next start goes on with it. Its id
//! is never given out again.
//!
//! Refuses to touch evidence: copies of it in the vault, what was served of its mail, and what it
//! sent, stay on record.

use tern_base::{AccountId, Timestamp};
use tern_delivery::Delivery;
use tern_mailbox::Mailboxes;
use tern_recall::Recalls;
use tern_store::{Engine, Read};

use crate::admin::AdminError;

/// Removes an account that was marked ([`tern_directory::begin_removal`]).
pub(crate) fn finish(
    engine: &dyn Engine,
    delivery: &Delivery,
    mailboxes: &Mailboxes,
    recalls: &Recalls,
    account: AccountId,
    now: Timestamp,
) -> Result<(), AdminError> {
    delivery.remove_outbox(account, now)?;
    delivery.remove_vacation(account)?;
    mailboxes.remove_account(account, now)?;
    recalls.forget_triggers(account)?;
    // Last: while the account is in the directory, its removal can be found.
    tern_directory::remove_account(engine, account)?;
    Ok(())
}

/// Goes on with every removal that was cut off. Answers how many there were.
pub(crate) fn resume(
    engine: &dyn Engine,
    delivery: &Delivery,
    mailboxes: &Mailboxes,
    recalls: &Recalls,
    now: Timestamp,
) -> Result<usize, AdminError> {
    let reader: &dyn Read = engine;
    let (mut finished, mut from) = (0, Some(AccountId(0)));
    while let Some(next) = from {
        let page = tern_directory::list_accounts(reader, next, 500)?;
        for account in page.accounts.iter().filter(|account| account.removing) {
            finish(engine, delivery, mailboxes, recalls, account.id, now)?;
            finished += 1;
        }
        from = page.next;
    }
    Ok(finished)
}
