//! Web push (RFC 8030): a message to a URL that a device has chosen, encrypted for the device (RFC 8291)
//! and signed by this server (RFC 8292).
//!
//! Invariants:
//! - A request goes by HTTPS to an address that may be reached, whatever the name in the URL leads to
//!   now; no redirect is followed.
//! - Whatever the other end does, a request ends in time and holds little memory: of what is answered,
//!   the head alone is read.
//!
//! Refuses to know what is pushed, and to try again: that is for whoever pushes.

mod bag;
mod encrypt;
mod limits;
mod reach;
mod vapid;
mod wire;

use tern_directory::{PushKeys, Subscription};
use url::Url;

use crate::clock::{self, OsEntropy};
use crate::config::Push;
pub(crate) use bag::Bag;
use reach::PushReach;
use vapid::Vapid;
use wire::Wire;
pub(crate) use wire::{Answer, Failure};

/// Octets of the longest text that is sent at once.
pub(crate) const MAX_TEXT: usize = encrypt::MAX_TEXT;

/// What pushes.
pub(crate) struct WebPush {
    reach: PushReach,
    vapid: Vapid,
    wire: Wire,
}

impl WebPush {
    /// By the settings, with the key that is made of `seed`.
    ///
    /// # Errors
    /// rustls refuses.
    pub(crate) fn new(
        settings: &Push,
        hostname: &str,
        seed: &[u8; 32],
    ) -> Result<Self, rustls::Error> {
        let contact = match settings.contact.as_str() {
            "" => format!("mailto:postmaster@{hostname}"),
            contact => contact.to_owned(),
        };
        let reach = PushReach::new(&settings.allowed_networks, hostname);
        Ok(Self {
            wire: Wire::new(settings, reach.clone())?,
            reach,
            vapid: Vapid::new(seed, contact),
        })
    }

    /// `applicationServerKey` (RFC 9749 3).
    pub(crate) fn application_server_key(&self) -> &str {
        self.vapid.public()
    }

    /// Whether a URL may be pushed to, as far as can be told without looking its name up.
    pub(crate) fn may_reach(&self, url: &Url) -> bool {
        url.host().is_some_and(|host| self.reach.allows(&host))
    }

    /// Whether something can be encrypted for these keys.
    pub(crate) fn can_use(keys: &PushKeys) -> bool {
        encrypt::encrypt(keys, b"", &mut OsEntropy).is_some()
    }

    /// Sends a text to where a subscription wants it.
    pub(crate) async fn send(&self, to: &Subscription, text: &str) -> Result<Answer, Failure> {
        let url = Url::parse(&to.url).map_err(|_| Failure::Unsendable)?;
        if !self.may_reach(&url) {
            return Err(Failure::OutOfReach);
        }
        let now = clock::now();
        let (body, is_encrypted) = match &to.keys {
            Some(keys) => (
                encrypt::encrypt(keys, text.as_bytes(), &mut OsEntropy)
                    .ok_or(Failure::Unsendable)?,
                true,
            ),
            None => (text.as_bytes().to_vec(), false),
        };
        let left = to.expires.0.saturating_sub(now.0) / 1_000;
        let letter = wire::Letter {
            body,
            is_encrypted,
            authorization: self
                .vapid
                .authorization(&url, now)
                .ok_or(Failure::Unsendable)?,
            ttl_secs: left.min(limits::MAX_TTL_SECS),
        };
        self.wire.post(&url, letter).await
    }
}
