//! Many accounts at once: from another server, or for the first day of a school year.
//!
//! Invariant: an account that is there already stays as it is, so an import that broke off is
//! simply run again. A page is one transaction: a line that can't be used leaves nothing of it.

use std::collections::BTreeSet;

use serde_json::json;
use tern_directory::{HashedPassword, NewAccount, account_by_address};
use tern_store::{Verdict, transact};

use super::error::AdminError;
use super::{Admin, Call, Result, count, parse_address};
use crate::control::request::{Answer, ImportedAccount};

/// Most accounts of one page: each may cost a slow hash, and all of them are one transaction.
pub(crate) const PAGE: usize = 50;

impl Admin {
    /// Makes the accounts of a page that are not there yet. `first` is the line of the first.
    pub(super) fn account_import(
        &self,
        accounts: &[ImportedAccount],
        first: usize,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        if accounts.len() > PAGE {
            return Err(AdminError::Wrong(format!("at most {PAGE} accounts a page")));
        }
        let mut wanted = Vec::with_capacity(accounts.len());
        let (mut known, mut addresses) = (0usize, BTreeSet::new());
        for (account, line) in accounts.iter().zip(first..) {
            let at = |error: AdminError| AdminError::Wrong(format!("line {line}: {error}"));
            let address = parse_address(&account.address).map_err(at)?;
            if account_by_address(self.reader(), &address)?.is_some() {
                known += 1;
                continue;
            }
            let hashed = self.imported_password(account, call).map_err(at)?;
            if !addresses.insert(address.canonical()) {
                let twice = AdminError::Wrong(format!("`{address}` is on a line before, too"));
                return Err(at(twice));
            }
            let new = NewAccount {
                address,
                display_name: account.name.clone(),
                quota_bytes: account.quota,
            };
            wanted.push((new, hashed, call.entry("account.add"), line));
        }
        transact(&*self.engine, |txn| {
            for (new, hashed, entry, line) in &wanted {
                let made = self.create_account_in(txn, (new, hashed), entry, call.now);
                made.map_err(|error| AdminError::Wrong(format!("line {line}: {error}")))?;
            }
            Ok::<_, AdminError>(Verdict::Commit(()))
        })?;
        let added = count(wanted.len() as u64, "account", "accounts");
        Ok(Answer::new(
            format!("{added} added, {known} there already"),
            json!({"added": wanted.len(), "known": known}),
        ))
    }

    fn imported_password(
        &self,
        account: &ImportedAccount,
        call: &mut Call<'_>,
    ) -> Result<HashedPassword> {
        match (&account.password, &account.password_hash) {
            (Some(password), None) => Ok(HashedPassword::new(
                password,
                &self.passwords,
                call.entropy,
            )?),
            (None, Some(hash)) => Ok(HashedPassword::import(hash)?),
            _ => Err(AdminError::Wrong(String::from(
                "either `password` or `password_hash` is needed",
            ))),
        }
    }
}
