//! Verifying a login: the slow hash, a few at once, and patience that grows with failures.
//!
//! Invariant: at most as many Argon2 hashes run at once as there are cores, whoever asks; a failed
//! login is answered later the more of them came from its network, and guesses at one account are
//! looked at slowly, wherever they come from. Refuses to say why it failed to
//! anybody but the log.

mod failures;
mod hashers;
mod known;
mod line;
mod networks;
mod strangers;

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tern_base::EmailAddress;
use tern_directory::{CredentialId, LoginFailure, Passwords, Scope};
use tern_session::{Credentials, Verified};
use tern_store::{Engine, Read};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::clock::OsEntropy;
use crate::config::Network;
use hashers::{Answer, Hashers, Job};
use known::Known;
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
    /// Digests accounts, the same after the next start.
    accounts: [u8; 32],
    known_at: PathBuf,
}

/// How often it is written from where accounts have logged in.
const KEEP_EVERY: Duration = Duration::from_secs(600);

impl Logins {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        passwords: Arc<Passwords>,
        max_failures: u32,
        uncounted: &[Network],
        data_dir: &Path,
    ) -> io::Result<Self> {
        let known_at = data_dir.join("known-networks");
        let known = Known::read(&known_at, &mut OsEntropy);
        let accounts = known.key();
        let slowest = slowest(&passwords);
        Ok(Self {
            engine,
            passwords,
            hashers: Hashers::start(max_failures, uncounted, slowest, known)?,
            digests: RandomState::new(),
            accounts,
            known_at,
        })
    }

    /// Keeps from where accounts have logged in, now and then and when the server stops.
    pub(crate) async fn keep(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        loop {
            let is_over = timeout(KEEP_EVERY, stopped.changed()).await.is_ok();
            if let Some(text) = self.hashers.take_known() {
                let path = self.known_at.clone();
                let write = move || known::write(&path, &text);
                match tokio::task::spawn_blocking(write).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "where accounts logged in from could not be kept");
                    }
                    Err(_) => return,
                }
            }
            if is_over {
                return;
            }
        }
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
            account: known::digest(&self.accounts, &account),
        }
    }
}

/// How long the costliest hash takes that may be stored, by one of the present cost; with half of that on top, for
/// what else runs meanwhile.
fn slowest(passwords: &Passwords) -> Duration {
    let once = || {
        let begun = Instant::now();
        passwords.verify(b"", None);
        begun.elapsed()
    };
    // The quicker of two: what else the machine does as the server starts passes.
    once().min(once()) * passwords.costliest_in_own().div_ceil(2) * 3
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
