//! Verifying a login: the slow hash, a few at once, and patience that grows with failures.
//!
//! Invariant: at most as many Argon2 hashes run at once as there are cores, whoever asks; a failed
//! login is answered later the more of them came from its network, and guesses at one account are
//! looked at slowly, wherever they come from. Refuses to say why it failed to
//! anybody but the log.

mod failures;
mod hashers;
mod line;
mod networks;
mod strangers;

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tern_base::EmailAddress;
use tern_directory::{CredentialId, LoginFailure, Passwords, Scope};
use tern_session::{Credentials, Verified};
use tern_store::{Engine, Read};
use tokio::sync::oneshot;

use crate::clock::OsEntropy;
use crate::config::Network;
use hashers::{Answer, Hashers, Job};
use line::{Guess, Refused};

/// What came of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What the session is told.
    pub(crate) verified: Verified,
    /// What was shown, where that was right.
    pub(crate) credential: Option<CredentialId>,
}

impl From<Verified> for Outcome {
    fn from(verified: Verified) -> Self {
        Self {
            verified,
            credential: None,
        }
    }
}

/// Verifies logins.
pub(crate) struct Logins {
    engine: Arc<dyn Engine>,
    passwords: Arc<Passwords>,
    hashers: Hashers<Outcome>,
    /// Digests what was shown, for as long as this process runs.
    digests: RandomState,
}

impl Logins {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        passwords: Arc<Passwords>,
        max_failures: u32,
        uncounted: &[Network],
    ) -> io::Result<Self> {
        Ok(Self {
            engine,
            passwords,
            hashers: Hashers::start(max_failures, uncounted)?,
            digests: RandomState::new(),
        })
    }

    /// Verifies what `peer` shows to use `scope`, and waits before it says no.
    pub(crate) async fn verify(
        &self,
        peer: IpAddr,
        scope: Scope,
        credentials: Credentials,
    ) -> Outcome {
        let guess = self.guess(peer, &credentials);
        // RFC 4616 2: nobody may act as somebody else here.
        let acts_as_other = |name: &String| !name.eq_ignore_ascii_case(&credentials.login);
        if credentials.act_as.as_ref().is_some_and(acts_as_other) {
            tokio::time::sleep(self.hashers.fail(guess)).await;
            return Verified::Refused.into();
        }
        let (engine, passwords) = (Arc::clone(&self.engine), Arc::clone(&self.passwords));
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let outcome = verify_now(&*engine, &passwords, scope, &credentials);
            let failed = outcome.verified == Verified::Refused;
            (outcome, failed)
        };
        let work = Box::new(work);
        match self.hashers.push(guess, Job { work, answer }) {
            Ok(()) => {}
            Err(Refused::Throttled) => return Verified::Throttled.into(),
            Err(Refused::Busy) => return Verified::Unavailable.into(),
        }
        match answered.await {
            Ok(Answer::Done(outcome, delay)) => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                outcome
            }
            Ok(Answer::Throttled) => Verified::Throttled.into(),
            Err(_) => Verified::Unavailable.into(),
        }
    }

    /// What is counted of a login. However an account is written, it is the same one.
    fn guess(&self, peer: IpAddr, credentials: &Credentials) -> Guess {
        let (login, password) = (&credentials.login, &credentials.password);
        let address = EmailAddress::parse(login).map(|address| address.canonical());
        let account = address.unwrap_or_else(|_| login.to_lowercase());
        Guess {
            peer,
            shown: self.digests.hash_one((&account, password.as_str())),
            account: self.digests.hash_one(&account),
        }
    }
}

fn verify_now(
    engine: &dyn Engine,
    passwords: &Passwords,
    scope: Scope,
    credentials: &Credentials,
) -> Outcome {
    let reader: &dyn Read = engine;
    let (login, password) = (&credentials.login, &credentials.password);
    match tern_directory::login(reader, passwords, login, password, scope) {
        Ok(login) => {
            let account = login.account.id;
            if login.needs_rehash {
                // The login is right whether or not the new hash could be stored.
                let _ = tern_directory::rehash_password(
                    engine,
                    account,
                    password,
                    passwords,
                    &mut OsEntropy,
                );
            }
            Outcome {
                verified: credentials.accepted(
                    account,
                    login.account.address.to_string(),
                    login.token,
                ),
                credential: Some(login.credential),
            }
        }
        Err(LoginFailure::Store(error)) => {
            tracing::error!(%error, "login could not be verified");
            Verified::Unavailable.into()
        }
        Err(why) => {
            // Quoted: the peer chose it, line ends included.
            tracing::info!(?login, %why, "login refused");
            Verified::Refused.into()
        }
    }
}
