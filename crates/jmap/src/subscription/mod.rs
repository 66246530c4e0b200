//! PushSubscription (RFC 8620 7.2): where a device wants to be told what changed, without a connection
//! of its own.
//!
//! Invariants:
//! - A subscription is seen by whoever shows the credential that made it, and by nobody else; where it
//!   leads and for whom it is encrypted is never told again.
//! - A URL is told nothing but its code until the code came back.

pub(crate) mod get;
pub(crate) mod set;

use serde_json::{Value, json};
use tern_base::AccountId;
use tern_directory::{Proof, PushKeys, Subscription, SubscriptionId};
use url::Url;

use crate::date;

/// What pushing needs of the shell.
pub trait PushDesk {
    /// Whether a URL may be pushed to, as far as it says itself.
    fn may_reach(&self, url: &Url) -> bool;
    /// Whether something can be encrypted for these keys.
    fn can_use(&self, keys: &PushKeys) -> bool;
}

/// A shell that pushes nowhere.
#[derive(Clone, Copy, Debug)]
pub struct NoPush;

impl PushDesk for NoPush {
    fn may_reach(&self, _: &Url) -> bool {
        false
    }

    fn can_use(&self, _: &PushKeys) -> bool {
        false
    }
}

/// Every property of a PushSubscription that is ever told.
const TOLD: [&str; 5] = [
    "id",
    "deviceClientId",
    "verificationCode",
    "expires",
    "types",
];
/// Those that are not (RFC 8620 7.2.1).
const PRIVATE: [&str; 2] = ["url", "keys"];

fn id_of(account: AccountId, id: SubscriptionId) -> String {
    format!("P{account}-{}", id.0)
}

/// The subscription of an id, if it is one of this account.
fn parse_id(account: AccountId, text: &str) -> Option<SubscriptionId> {
    let (_, number) = text.split_once('-')?;
    let id = number.parse().ok().map(SubscriptionId)?;
    (id_of(account, id) == text).then_some(id)
}

fn object(account: AccountId, it: &Subscription) -> Value {
    // Whoever could read the code here would not have to show that the URL is theirs.
    let code = (it.proof == Proof::Given).then_some(&it.code);
    json!({
        "id": id_of(account, it.id),
        "deviceClientId": it.device,
        "verificationCode": code,
        "expires": date::utc(it.expires),
        "types": it.types,
    })
}

/// The PushVerification that a URL is sent (RFC 8620 7.2.2).
pub fn verification(account: AccountId, it: &Subscription) -> Value {
    json!({
        "@type": "PushVerification",
        "pushSubscriptionId": id_of(account, it.id),
        "verificationCode": it.code,
    })
}
