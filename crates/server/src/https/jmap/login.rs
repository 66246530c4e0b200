//! Who asks: Basic (RFC 7617) and Bearer (RFC 6750), verified like every login.
//!
//! HTTP shows the login with each request, and a slow hash for each would be felt: what was verified is
//! remembered for a while, by a digest of what was shown.
//!
//! Invariant: what is revoked is not remembered: a remembered login is registered where revocations are
//! told, from before it was verified. No password is kept.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::header::{self, HeaderMap};
use quick_cache::sync::Cache;
use tern_directory::Scope;
use tern_jmap::Caller;
use tern_session::{Credentials, Mechanism, Verified};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Jmap;
use crate::https::limits;
use crate::hub::{Hub, Registration, Signal};

/// Somebody who has authenticated.
pub(super) struct LoggedIn {
    pub(super) caller: Caller,
    known: Arc<Known>,
}

/// Whether a login that was shown is good still.
pub(super) struct Standing(Arc<Known>);

impl Standing {
    /// Whether what it was shown for may go on.
    pub(super) fn may_go_on(&self) -> bool {
        !self.0.signal.is_revoked()
    }
}

impl LoggedIn {
    /// What says so for as long as something goes on by this login.
    pub(super) fn standing(&self) -> Standing {
        Standing(Arc::clone(&self.known))
    }

    /// Wakes `signal` when the account changes and when the login is good no more. `None` where it is
    /// that already.
    pub(super) fn listen(&self, hub: &Arc<Hub>, signal: &Arc<Signal>) -> Option<Registration> {
        let (account, credential) = (self.caller.account, self.caller.credential);
        let registration = hub.register(account, credential, true, hub.moment(), signal);
        // Behind the registration, so that a revocation is seen by the one or the other.
        (!self.known.signal.is_revoked()).then_some(registration)
    }
}

/// Why nobody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLogin {
    Refused,
    Throttled,
    Unavailable,
}

/// The digest of an Authorization field, keyed anew at each start.
type Shown = [u8; 32];

/// Logins that were verified.
pub(super) struct Remembered {
    key: [u8; 32],
    known: Cache<Shown, Arc<Known>>,
}

struct Known {
    caller: Caller,
    until: Instant,
    signal: Arc<Signal>,
    _registration: Registration,
}

impl Known {
    fn is_good(&self) -> bool {
        Instant::now() < self.until && !self.signal.is_revoked()
    }
}

impl Remembered {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        tern_base::Entropy::fill(&mut crate::clock::OsEntropy, &mut key);
        Self {
            key,
            known: Cache::new(limits::MAX_LOGINS),
        }
    }

    fn digest(&self, shown: &[u8]) -> Shown {
        *blake3::keyed_hash(&self.key, shown).as_bytes()
    }
}

impl Jmap {
    /// Who asks, from the Authorization field.
    pub(super) async fn logged_in(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Result<LoggedIn, NoLogin> {
        let shown = headers.get(header::AUTHORIZATION).ok_or(NoLogin::Refused)?;
        let digest = self.logins.digest(shown.as_bytes());
        let known = self
            .logins
            .known
            .get(&digest)
            .filter(|known| known.is_good());
        let known = match known {
            Some(known) => known,
            None => {
                self.logins.known.remove(&digest);
                let credentials = credentials(shown.as_bytes()).ok_or(NoLogin::Refused)?;
                let known = Arc::new(self.verify(peer, credentials).await?);
                self.logins.known.insert(digest, Arc::clone(&known));
                known
            }
        };
        let agent = headers
            .get(header::USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        let agent = agent.unwrap_or_default();
        let agent = agent.get(..agent.floor_char_boundary(limits::MAX_USER_AGENT));
        Ok(LoggedIn {
            caller: Caller {
                address: peer.to_string(),
                user_agent: agent.unwrap_or_default().to_owned(),
                ..known.caller.clone()
            },
            known,
        })
    }

    async fn verify(&self, peer: IpAddr, credentials: Credentials) -> Result<Known, NoLogin> {
        let mechanism = credentials.mechanism;
        let since = self.shared.hub.moment();
        let logins = &self.shared.logins;
        let outcome = logins.verify(peer, Scope::Jmap, credentials).await;
        let who = match outcome.verified {
            Verified::Accepted(who) => who,
            Verified::Refused => return Err(NoLogin::Refused),
            Verified::Throttled => return Err(NoLogin::Throttled),
            Verified::Unavailable => return Err(NoLogin::Unavailable),
        };
        // A token is made by the server: the account's own password is not one.
        if mechanism == Mechanism::Bearer && who.token.is_none() {
            return Err(NoLogin::Refused);
        }
        let signal = Arc::new(Signal::default());
        // Whoever was accepted has shown one.
        let credential = outcome.credential.ok_or(NoLogin::Refused)?;
        let hub = &self.shared.hub;
        let registration = hub.register(who.account, credential, false, since, &signal);
        Ok(Known {
            caller: Caller {
                account: who.account,
                login: who.login,
                mechanism,
                credential,
                token: who.token,
                user_agent: String::new(),
                address: String::new(),
            },
            until: Instant::now() + limits::LOGIN_LIFETIME,
            signal,
            _registration: registration,
        })
    }
}

/// What an Authorization field shows.
fn credentials(field: &[u8]) -> Option<Credentials> {
    let field = std::str::from_utf8(field).ok()?;
    let (scheme, coded) = field.split_once(' ')?;
    let coded = coded.trim();
    let (mechanism, octets) = if scheme.eq_ignore_ascii_case("Basic") {
        (Mechanism::Basic, STANDARD.decode(coded).ok()?)
    } else if scheme.eq_ignore_ascii_case("Bearer") {
        (Mechanism::Bearer, URL_SAFE_NO_PAD.decode(coded).ok()?)
    } else {
        return None;
    };
    let octets = Zeroizing::new(octets);
    // RFC 7617 2: the name ends at the first colon.
    let (login, password) = std::str::from_utf8(&octets).ok()?.split_once(':')?;
    Credentials::new(mechanism, None, login, password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: &str) -> Option<String> {
        let it = credentials(field.as_bytes())?;
        Some(format!(
            "{:?} {} {}",
            it.mechanism,
            it.login,
            it.password.as_str()
        ))
    }

    #[test]
    fn a_field_shows_a_name_and_a_secret() {
        let basic = format!("Basic {}", STANDARD.encode("bob@example.org:a:b"));
        assert_eq!(shown(&basic), Some("Basic bob@example.org a:b".to_owned()));
        let lower = basic.replace("Basic", "basic");
        assert_eq!(shown(&lower), shown(&basic));
        let bearer = format!(
            "Bearer {}",
            URL_SAFE_NO_PAD.encode("bob@example.org:secret")
        );
        assert_eq!(
            shown(&bearer),
            Some("Bearer bob@example.org secret".to_owned())
        );
        for field in [
            "",
            "Basic",
            "Basic !",
            "Digest abc",
            "Basic Ym9i",
            "Basic Og==",
        ] {
            assert_eq!(shown(field), None, "{field}");
        }
    }
}
