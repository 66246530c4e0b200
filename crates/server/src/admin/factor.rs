//! Second factors from the command line: an operator sets them up for those who cannot do it
//! themselves, and removes them for those who lost theirs.

use serde_json::json;
use tern_directory::{self as directory, CodeRefused, RecoveryCodes};

use super::error::AdminError;
use super::{Admin, Call, Result, count};
use crate::control::request::{Answer, FactorRequest};
use crate::https::ENROL_PATH;
use crate::invite::Proof;

impl Admin {
    pub(super) fn factor(&self, request: &FactorRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            FactorRequest::Enrol { address } => self.totp_enrol(address, call),
            FactorRequest::Invite { address } => self.factor_invite(address, call),
            FactorRequest::Confirm { address, code } => self.totp_confirm(address, code, call),
            FactorRequest::Remove { address } => self.factors_remove(address, call),
            FactorRequest::Status { address } => self.factors_status(address, call),
            FactorRequest::RecoveryCodes { address } => self.recovery_codes(address, call),
        }
    }

    fn totp_enrol(&self, address: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (account, now) = (self.account(address)?, call.now);
        let entry = call.entry("factor.enrol").target(address);
        let entry = entry.detail("factor", "totp");
        let new = self.factors.enrol(account.id, &entry, now, call.entropy)?;
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
        let entry = call.entry("factor.confirm").target(address);
        let entry = entry.detail("factor", "totp");
        let confirmed = self
            .factors
            .confirm(account.id, code, &entry, now, call.entropy)?;
        let codes = confirmed.map_err(refused)?;
        let text = format!("{address} has a second factor\n{}", codes_text(&codes));
        Ok(Answer::new(
            text,
            json!({"recoveryCodes": codes.as_slice()}),
        ))
    }

    /// A link by which the account's owner sets up a second factor alone, with their password.
    fn factor_invite(&self, address: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (account, now) = (self.account(address)?, call.now);
        let status = self.factors.status(account.id, now)?;
        if status.is_set_up() {
            return Err(directory::DirectoryError::FactorThere.into());
        }
        let Some(base) = &self.public_url else {
            let text = "this server has no pages: see `[listeners] https`, or enrol with `tern account totp enrol`";
            return Err(AdminError::Wrong(String::from(text)));
        };
        self.record(call, "factor.invite", |entry| entry.target(address))?;
        let whose = (account.id, status.generation);
        let token = self.factors.invites().make(Proof::Invited, whose, now);
        let link = format!("{base}{ENROL_PATH}{token}");
        let until = now.plus_millis(Proof::Invited.lifetime_ms());
        let text = format!(
            "{link}\n\nGive it to the owner of {address}, who needs their password with it. It is good \
             until {until}, and opens nothing once a second factor is set up or a new password."
        );
        Ok(Answer::new(
            text,
            json!({"link": link, "until": until.to_string()}),
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
