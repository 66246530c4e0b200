//! The pages behind an invitation: the password first, then the secret as a QR code, then a first code
//! of it, then the recovery codes. What is secret is shown to its owner alone, not to the operator who
//! invites.
//!
//! Invariant: a GET sets nothing up; an invitation opens nothing once a second factor is set up.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::StatusCode;
use tern_audit::{Actor, Draft, EntryId};
use tern_base::Timestamp;
use tern_directory::{self as directory, Account, CodeRefused, DirectoryError, Scope};
use tern_session::{Credentials, Mechanism, Verified};

use super::answer::Answer;
use super::failed::{Failed, told};
use super::form::Form;
use super::pages::{self, Enrolment, Trouble};
use super::{Site, blocking, on_thread};
use crate::clock::{self, OsEntropy};
use crate::factors::FactorsError;
use crate::invite::Proof;

impl Site {
    /// The page that asks for the password. Changes nothing.
    pub(super) fn enrol_page(&self, token: &str, peer: &IpAddr) -> Answer {
        let page = self
            .invited(token, clock::now())
            .map(|account| match account {
                None => pages::no_invitation(),
                Some(account) => pages::enrol(StatusCode::OK, &Enrolment::ask(&account)),
            });
        told(peer, page)
    }

    /// What a form does: the password of the first page, or the code of the second.
    pub(super) async fn enrol(self: Arc<Self>, token: String, form: Form, peer: IpAddr) -> Answer {
        let shared = Arc::clone(&self.shared);
        if let Some(code) = form.get("code") {
            let proof = form.get("proof").unwrap_or_default();
            return blocking(&shared, peer, move || {
                let now = clock::now();
                told(&peer, self.end(&token, &proof, &code, &peer, now))
            })
            .await;
        }
        let site = Arc::clone(&self);
        let invited = move || site.invited(&token, clock::now());
        let account = match on_thread(&shared, peer, invited).await {
            Some(Ok(Some(account))) => account,
            Some(Ok(None)) => return pages::no_invitation(),
            Some(Err(error)) => return told(&peer, Err(error)),
            None => return pages::problem(StatusCode::INTERNAL_SERVER_ERROR),
        };
        let password = form.get("password").unwrap_or_default();
        match self.verify(&account, &password, peer).await {
            Verified::Accepted(who) if who.token.is_none() => {
                let begin = move || told(&peer, self.begin(&account, &peer, clock::now()));
                blocking(&shared, peer, begin).await
            }
            // An application's password is not its owner's.
            Verified::Accepted(_) | Verified::Refused => {
                let page = Enrolment::wrong_password(&account);
                pages::enrol(StatusCode::FORBIDDEN, &page)
            }
            Verified::Throttled => pages::problem(StatusCode::TOO_MANY_REQUESTS),
            Verified::Unavailable => pages::problem(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    async fn verify(&self, account: &Account, password: &str, peer: IpAddr) -> Verified {
        let login = account.address.to_string();
        match Credentials::new(Mechanism::Plain, None, &login, password) {
            None => Verified::Refused,
            Some(credentials) => {
                let outcome = self.shared.logins.verify(peer, Scope::Imap, credentials);
                outcome.await.verified
            }
        }
    }

    /// Whose invitation this is, while it is one.
    fn invited(&self, token: &str, now: Timestamp) -> Result<Option<Account>, Failed> {
        let Some((id, generation)) = self.factors.invites().read(Proof::Invited, token, now) else {
            return Ok(None);
        };
        let account = directory::account(&*self.engine, id)?;
        let account = account.filter(|account| !account.disabled && !account.removing);
        let status = self.factors.status(id, now)?;
        let is_good = !status.is_set_up() && status.generation == generation;
        Ok(account.filter(|_| is_good))
    }

    fn begin(&self, account: &Account, peer: &IpAddr, now: Timestamp) -> Result<Answer, Failed> {
        let entry = entry("factor.enrol", account, peer, now);
        let new = match self.factors.enrol(account.id, &entry, now, &mut OsEntropy) {
            Err(FactorsError::Directory(DirectoryError::FactorThere)) => {
                return Ok(pages::no_invitation());
            }
            new => new?,
        };
        let proof = self.factors.invites();
        let whose = (account.id, self.factors.status(account.id, now)?.generation);
        let proof = proof.make(Proof::PasswordShown, whose, now);
        let url = new.url(account.address.domain().as_str(), &account.address);
        let page = Enrolment::scan(account, &url, &new.base32(), proof);
        Ok(pages::enrol(StatusCode::OK, &page))
    }

    fn end(
        &self,
        token: &str,
        proof: &str,
        code: &str,
        peer: &IpAddr,
        now: Timestamp,
    ) -> Result<Answer, Failed> {
        let Some(account) = self.invited(token, now)? else {
            return Ok(pages::no_invitation());
        };
        let shown = self
            .factors
            .invites()
            .read(Proof::PasswordShown, proof, now);
        let generation = self.factors.status(account.id, now)?.generation;
        if shown != Some((account.id, generation)) {
            return Ok(pages::enrol(
                StatusCode::FORBIDDEN,
                &Enrolment::ask(&account),
            ));
        }
        let entry = entry("factor.confirm", &account, peer, now);
        let confirmed = self
            .factors
            .confirm(account.id, code, &entry, now, &mut OsEntropy);
        let confirmed = match confirmed {
            // Another page was quicker, or an operator removed it.
            Err(FactorsError::Directory(
                DirectoryError::FactorThere | DirectoryError::NoFactor,
            )) => {
                return Ok(pages::no_invitation());
            }
            confirmed => confirmed?,
        };
        let again = |status, trouble| {
            let page = Enrolment::code_again(&account, proof.to_owned(), trouble);
            Ok(pages::enrol(status, &page))
        };
        match confirmed {
            Ok(codes) => {
                tracing::info!(%peer, account = %account.address, "a second factor was set up");
                let page = Enrolment::done(&account, codes.as_slice());
                Ok(pages::enrol(StatusCode::OK, &page))
            }
            Err(CodeRefused::Wrong { left }) => again(StatusCode::FORBIDDEN, Trouble::Wrong(left)),
            Err(CodeRefused::Locked { until }) => {
                again(StatusCode::TOO_MANY_REQUESTS, Trouble::Locked(until))
            }
            Err(CodeRefused::NotSetUp) => Ok(pages::no_invitation()),
        }
    }
}

fn entry(action: &str, account: &Account, peer: &IpAddr, now: Timestamp) -> Draft {
    let actor = Actor::Account {
        account: account.id,
        address: account.address.to_string(),
    };
    let id = EntryId::new(now, &mut OsEntropy);
    let mut entry = Draft::new(id, now, actor, action).target(account.address.to_string());
    entry.peer = Some(peer.to_string());
    entry.protocol = Some(String::from("https"));
    entry.detail("factor", "totp")
}
