//! The way to a host that takes a domain's mail: its hosts by the route, and a session with one of them.

use tern_queue::{Outcome, Reply};
use tern_smtp::client::{End, TlsPolicy};

use super::Shared;
use super::connect::Way;
use super::dialogue::{Dialogue, Unsent};
use super::patience::{Over, Patience};
use super::route::Route;
use super::traffic::{Bound, Closed};
use super::words::{of_end, unsaid};
use crate::clock::{self, OsEntropy};
use crate::config::{HostPort, RelayTls};
use crate::net::Reach;

/// After how long an item is due again whose hosts have as many sessions as they may have, or have
/// fallen silent. Until there is room no attempt begins.
const WAIT_MS: u64 = 5_000;

/// The hosts of a domain, the best first, and how they are connected to; or what is to be said of each
/// item without one.
pub(super) async fn hosts(
    shared: &Shared,
    domain: &str,
    patience: &mut Patience,
) -> Result<(Vec<HostPort>, Way), Outcome> {
    let mut entropy = OsEntropy;
    match patience.wait(shared.routes.of(domain, &mut entropy)).await {
        Ok(Route::Configured { host, is_of_all }) => {
            let way = Way {
                reach: Reach::Anywhere,
                is_of_dns: false,
                bound: match is_of_all {
                    true => Bound::None,
                    false => Bound::Address,
                },
            };
            Ok((vec![host], way))
        }
        Ok(Route::Hosts(hosts)) => {
            let way = Way {
                reach: shared.reach,
                is_of_dns: true,
                bound: Bound::Network,
            };
            Ok((hosts, way))
        }
        Ok(Route::Unknown(why)) => Err(Outcome::Temporary(unsaid(why, None))),
        Ok(Route::Nowhere(enhanced, why)) => Err(Outcome::Permanent(Reply {
            enhanced: Some(enhanced),
            ..unsaid(why, None)
        })),
        Err(over) => Err(cut_off(over, None)),
    }
}

/// A session with one host, in the clear where TLS was only a wish and failed.
pub(super) async fn call(
    shared: &Shared,
    route: &HostPort,
    way: Way,
    patience: &mut Patience,
) -> Result<Dialogue, Unsent> {
    let policy = match shared.tls {
        RelayTls::Never => TlsPolicy::Never,
        RelayTls::Opportunistic => TlsPolicy::Opportunistic,
        RelayTls::Required => TlsPolicy::Required,
    };
    match Dialogue::begin(shared, route, way, policy, patience).await {
        // RFC 7435: a handshake that fails is no reason not to send in the clear.
        Err(Unsent::Ended(End::TlsFailed)) if policy == TlsPolicy::Opportunistic => {
            Dialogue::begin(shared, route, way, TlsPolicy::Never, patience).await
        }
        said => said,
    }
}

/// What is to be said of items that a host was not asked to take.
pub(super) fn of_unsent(unsent: Unsent, route: &HostPort) -> Outcome {
    let host = Some(route.host.clone());
    match unsent {
        Unsent::Inside => unroutable(route, "is in a private network; see [relay] routes"),
        // RFC 5321 5.1: what the records lead to that can't be used is an error, and so is a domain
        // that has neither a mail server nor an address.
        Unsent::NoAddress => unroutable(route, "has no address"),
        Unsent::Io(error) => Outcome::Temporary(unsaid(format!("{route}: {error}"), host)),
        Unsent::Ended(end) => of_end(end, host),
        Unsent::Over(over) => cut_off(over, host),
        Unsent::Waits(_, closed) => {
            let why = match closed {
                Closed::Busy => "as many sessions are under way as there may be with it",
                Closed::Away => "it did not answer a moment ago",
            };
            Outcome::Waits {
                until: clock::now().plus_millis(WAIT_MS),
                why: unsaid(format!("{route}: {why}"), host),
            }
        }
    }
}

/// An attempt that was cut off before the message was begun.
pub(super) fn cut_off(over: Over, host: Option<String>) -> Outcome {
    match over {
        Over::TimedOut => Outcome::Temporary(unsaid("the attempt took too long", host)),
        Over::Stopped => Outcome::GivenBack,
    }
}

/// A host that no way leads to.
fn unroutable(route: &HostPort, why: &str) -> Outcome {
    Outcome::Permanent(Reply {
        // RFC 3463 3.5, X.4.4: unable to route.
        enhanced: Some((5, 4, 4)),
        ..unsaid(format!("{route} {why}"), Some(route.host.clone()))
    })
}
