//! Second factors from the command line: an operator sets them up for those who cannot do it
//! themselves, and removes them for those who lost theirs.

use serde_json::json;
use tern_directory::{self as directory, CodeRefused, NewTotp, RecoveryCodes};
use tern_store::{Verdict, transact};

use super::error::AdminError;
use super::{Admin, Call, Result, count};
use crate::control::request::{Answer, FactorRequest};
use crate::factors;

impl Admin {
    pub(super) fn factor(&self, request: &FactorRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            FactorRequest::Enrol { address } => self.totp_enrol(address, call),
            FactorRequest::Confirm { address, code } => self.totp_confirm(address, code, call),
            FactorRequest::Remove { address } => self.factors_remove(address, call),
            FactorRequest::Status { address } => self.factors_status(address, call),
            FactorRequest::RecoveryCodes { address } => self.recovery_codes(address, call),
        }
    }

    fn totp_enrol(&self, address: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (account, now) = (self.account(address)?, call.now);
        let new = NewTotp::new(self.factors.key(), account.id, call.entropy)?;
        self.act(
            call,
            "factor.enrol",
            |(), entry| entry.target(address).detail("factor", "totp"),
            |txn| Ok(directory::enrol_totp_in(txn, &new, now)?),
        )?;
        let url = new.url(account.address.domain().as_str(), &account.address);
        let secret = new.base32();
        let text = format!(
            "{url}\n\nFor typing: {secret}\nIt is shown this once, and counts once a code of it was \
             shown:\n  tern account totp confirm {address} CODE"
        );
        Ok(Answer::new(text, json!({"url": url, "secret": secret})))
    }

    fn totp_confirm(&self, address: &str, code: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (account, now) = (self.account(address)?, call.now);
        let codes = RecoveryCodes::new(call.entropy);
        let entry = call.entry("factor.confirm").target(address);
        let (key, id) = (self.factors.key(), account.id);
        // A wrong code is counted, and on record: so this is committed, too.
        let confirmed = transact(&*self.engine, |txn| {
            let confirmed = directory::confirm_totp_in(txn, key, id, code, &codes, now)?;
            let entry = entry.clone().detail("factor", "totp");
            let entry = match confirmed {
                Ok(()) => entry,
                Err(refused) => factors::refuse(entry, refused),
            };
            tern_audit::append_in(txn, entry)?;
            Ok::<_, AdminError>(Verdict::Commit(confirmed))
        })?;
        confirmed.map_err(refused)?;
        let text = format!("{address} has a second factor\n{}", codes_text(&codes));
        Ok(Answer::new(
            text,
            json!({"recoveryCodes": codes.as_slice()}),
        ))
    }

    fn recovery_codes(&self, address: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (account, now) = (self.account(address)?, call.now);
        let codes = RecoveryCodes::new(call.entropy);
        let key = self.factors.key();
        self.act(
            call,
            "factor.recovery-codes",
            |(), entry| entry.target(address),
            |txn| {
                let id = account.id;
                Ok(directory::renew_recovery_codes_in(
                    txn, key, id, &codes, now,
                )?)
            },
        )?;
        let text = format!("{}\nThose from before are void.", codes_text(&codes));
        Ok(Answer::new(
            text,
            json!({"recoveryCodes": codes.as_slice()}),
        ))
    }

    fn factors_remove(&self, address: &str, call: &mut Call<'_>) -> Result<Answer> {
        let account = self.account(address)?;
        self.act(
            call,
            "factor.remove",
            |(), entry| entry.target(address),
            |txn| match directory::remove_factors_in(txn, account.id)? {
                true => Ok(()),
                false => Err(directory::DirectoryError::NoFactor.into()),
            },
        )?;
        let text = format!("{address} has no second factor any more");
        Ok(Answer::new(text, json!({})))
    }

    fn factors_status(&self, address: &str, call: &Call<'_>) -> Result<Answer> {
        let account = self.account(address)?;
        let status = self.factors.status(account.id, call.now)?;
        let mut text = match (status.since, status.pending) {
            (Some(since), _) => format!("{address} has a second factor since {since}"),
            (None, true) => format!("{address} has begun to set up a second factor"),
            (None, false) => format!("{address} has no second factor"),
        };
        if status.is_set_up() {
            let left = count(
                status.recovery_codes as u64,
                "recovery code",
                "recovery codes",
            );
            text += &format!("\n{left} left");
        }
        if let Some((when, kind)) = status.last_shown {
            text += &format!("\nlast shown {when} ({})", kind.code());
        }
        if let Some(until) = status.locked_until {
            text += &format!("\ntoo many wrong codes: locked until {until}");
        }
        let shown = status
            .last_shown
            .map(|(when, kind)| json!({"at": when.to_string(), "factor": kind.code()}));
        let data = json!({"setUp": status.is_set_up(), "pending": status.pending,
            "since": status.since.map(|time| time.to_string()),
            "recoveryCodes": status.recovery_codes, "lastShown": shown,
            "lockedUntil": status.locked_until.map(|time| time.to_string())});
        Ok(Answer::new(text, data))
    }
}

fn refused(refused: CodeRefused) -> AdminError {
    AdminError::Wrong(refused.to_string())
}

fn codes_text(codes: &RecoveryCodes) -> String {
    format!(
        "Recovery codes, each good once, shown this once:\n  {}",
        codes.as_slice().join("\n  ")
    )
}
