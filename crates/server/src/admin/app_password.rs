//! App passwords: one for each program, good for what it needs, shown once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tern_directory::{self as directory, AppPassword, AppSecret, CredentialId, Scope};

use super::error::AdminError;
use super::{Admin, Call, Result};
use crate::control::request::{Answer, AppPasswordRequest};

/// The number by which the command line names one.
const fn number(info: &AppPassword) -> u32 {
    info.id.0
}

fn scopes_text(scopes: &[Scope]) -> String {
    match scopes {
        [] => String::from("everything"),
        scopes => {
            let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            names.join(" ")
        }
    }
}

/// An app password as one text, for programs that show a token rather than a name and a password (RFC
/// 6750): both are in it.
fn bearer_token(address: &str, secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{address}:{secret}"))
}

fn parse_scope(name: &String) -> Result<Scope> {
    let wrong = || AdminError::Wrong(format!("`{name}` is not a scope: imap, smtp or jmap"));
    Scope::parse(name).ok_or_else(wrong)
}

impl Admin {
    pub(super) fn app_password(
        &self,
        request: &AppPasswordRequest,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        match request {
            AppPasswordRequest::Add {
                address,
                label,
                scopes,
            } => self.app_password_add(address, label, scopes, call),
            AppPasswordRequest::List { address } => self.app_password_list(address),
            AppPasswordRequest::Remove { address, id } => {
                self.app_password_remove(address, *id, call)
            }
        }
    }

    fn app_password_add(
        &self,
        address: &str,
        label: &str,
        scopes: &[String],
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let account = self.account(address)?;
        let scopes = scopes.iter().map(parse_scope).collect::<Result<Vec<_>>>()?;
        let (secret, now) = (AppSecret::new(call.entropy), call.now);
        let info = self.act(
            call,
            "app-password.add",
            |info: &AppPassword, entry| {
                let entry = entry.target(address).detail("label", label);
                entry
                    .detail("id", u64::from(number(info)))
                    .detail("scopes", scopes_text(&info.scopes))
            },
            |txn| {
                let scopes = &scopes;
                let made =
                    directory::add_app_password_in(txn, account.id, label, scopes, &secret, now)?;
                Ok(made)
            },
        )?;
        let (id, good_for) = (number(&info), scopes_text(&info.scopes));
        let secret = secret.as_str();
        let mut text = format!("app password {id} of {address}, for {good_for}:\n{secret}\n");
        let is_for_jmap = info.scopes.is_empty() || info.scopes.contains(&Scope::Jmap);
        let token = is_for_jmap.then(|| bearer_token(&account.address.to_string(), secret));
        if let Some(token) = &token {
            text += &format!("as a bearer token:\n{token}\n");
        }
        text += "it is shown this once";
        Ok(Answer::new(
            text,
            json!({"id": id, "label": info.label, "scopes": names(&info.scopes),
                "password": secret, "token": token}),
        ))
    }

    fn app_password_list(&self, address: &str) -> Result<Answer> {
        let account = self.account(address)?;
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for info in directory::list_app_passwords(self.reader(), account.id)? {
            let state = match info.revoked {
                None => String::from("active"),
                Some(time) => format!("removed {time}"),
            };
            let good_for = scopes_text(&info.scopes);
            text.push(format!(
                "{}  {state}  {good_for}  made {}  {}",
                number(&info),
                info.created,
                info.label
            ));
            data.push(json!({"id": number(&info), "label": info.label,
                "scopes": names(&info.scopes), "created": info.created.to_string(),
                "removed": info.revoked.map(|time| time.to_string())}));
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    /// Removes an app password and ends the sessions that showed it.
    fn app_password_remove(&self, address: &str, id: u32, call: &mut Call<'_>) -> Result<Answer> {
        let account = self.account(address)?;
        let (credential, now) = (CredentialId(id), call.now);
        let gone = || AdminError::NotFound("app password", id.to_string());
        self.act(
            call,
            "app-password.remove",
            |(), entry| entry.target(address).detail("id", u64::from(id)),
            |txn| match directory::revoke_app_password_in(txn, account.id, credential, now) {
                Ok(true) => Ok(()),
                Ok(false) | Err(directory::DirectoryError::NotFound(_)) => Err(gone()),
                Err(error) => Err(error.into()),
            },
        )?;
        self.sessions.revoke(account.id, Some(credential));
        let text = format!("app password {id} of {address} removed");
        Ok(Answer::new(text, json!({})))
    }
}

fn names(scopes: &[Scope]) -> Vec<&'static str> {
    scopes.iter().map(|scope| scope.as_str()).collect()
}
