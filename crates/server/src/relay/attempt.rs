//! One attempt to hand one item to the next server: taken under a lease, sent, and concluded.
//!
//! Invariant: what came of it is recorded as soon as it is known, again and again while the lease
//! lasts; nothing is recorded of what is not known.

use std::sync::Arc;
use std::time::Duration;

use tern_base::{Fault, Timestamp};
use tern_delivery::{Concluded, Outgoing};
use tern_queue::{LeaseId, Outcome, QueueId, Reply};
use tern_smtp::client::{self, End, TlsPolicy};
use tokio::time::sleep;

use super::Shared;
use super::connect::Way;
use super::dialogue::{Spoken, Unsent, speak};
use super::patience::{Over, Patience};
use super::route::Route;
use super::traffic::Pass;
use super::words::{envelope, of_end, queue_outcome, unsaid, weigh};
use crate::clock::{self, OsEntropy};
use crate::config::{HostPort, RelayTls};
use crate::net::Reach;

/// The first wait before the store is asked again, and the longest; each is twice the one before.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// After how long an item is due again whose hosts have as many sessions as they may have.
const BUSY_MS: u64 = 5_000;
/// How often a lease is asked for.
const TAKES: u32 = 5;

/// Takes the item, sends it, and records what came of it.
pub(super) async fn attempt(shared: Arc<Shared>, pass: Pass, lease: LeaseId, patience: Patience) {
    let id = pass.id();
    let outgoing = match take(&shared, id, lease).await {
        Ok(Some(outgoing)) => outgoing,
        Ok(None) => return,
        Err(()) => return pass.rest(),
    };
    pass.go();
    let until = clock::now().plus_millis(shared.lease_ms());
    let recipient = outgoing.item.recipient.to_string();
    let (outcome, dsn) = match outgoing.is_overdue {
        true => {
            let why = "the last attempt was cut off, and no time is left for another";
            (Outcome::Temporary(unsaid(why, None)), false)
        }
        false => send(&shared, outgoing, patience).await,
    };
    let concluded = conclude(&shared, id, lease, &outcome, dsn, until).await;
    let reply = outcome.reply().cloned();
    let reply = reply.unwrap_or_else(|| unsaid("given back", None));
    let (code, text, host) = (reply.code, reply.text, reply.host.unwrap_or_default());
    match concluded {
        Some(Concluded::Finished(ending)) => {
            tracing::info!(%id, recipient, host, code, text, ?ending, "relay finished");
        }
        Some(Concluded::Retry(at)) => {
            tracing::info!(%id, recipient, host, code, text, %at, "relay to be tried again");
        }
        Some(Concluded::Held | Concluded::Ignored) => {
            tracing::info!(%id, recipient, host, code, text, "relay held or overtaken");
        }
        None => {}
    }
}

/// Takes the item. A store that does not say whether the lease is taken is asked for the same again.
async fn take(shared: &Arc<Shared>, id: QueueId, lease: LeaseId) -> Result<Option<Outgoing>, ()> {
    let mut wait = ASK_AGAIN.0;
    for left in (0..TAKES).rev() {
        let (delivery, lease_ms) = (Arc::clone(&shared.delivery), shared.lease_ms());
        let take = move || delivery.take(id, lease, clock::now(), lease_ms);
        match tokio::task::spawn_blocking(take).await.map_err(drop)? {
            Ok(outgoing) => return Ok(outgoing),
            Err(error) if left > 0 && error.fault() == Fault::Temporary => {
                tracing::debug!(%id, %error, "asking again for an item");
            }
            Err(error) => {
                tracing::error!(%id, %error, "an item could not be taken");
                return Err(());
            }
        }
        sleep(wait).await;
        wait = ASK_AGAIN.1.min(wait * 2);
    }
    Err(())
}

/// Records what came of it, for as long as the lease lasts.
async fn conclude(
    shared: &Arc<Shared>,
    id: QueueId,
    lease: LeaseId,
    outcome: &Outcome,
    dsn: bool,
    until: Timestamp,
) -> Option<Concluded> {
    let mut wait = ASK_AGAIN.0;
    loop {
        let (delivery, told) = (Arc::clone(&shared.delivery), outcome.clone());
        let record = move || delivery.conclude(id, lease, &told, dsn, clock::now(), &mut OsEntropy);
        match tokio::task::spawn_blocking(record).await.ok()? {
            Ok(concluded) => return Some(concluded),
            Err(error) if error.fault() == Fault::Temporary && clock::now() < until => {
                tracing::warn!(%id, %error, "an outcome is not recorded yet");
            }
            Err(error) => {
                tracing::error!(%id, %error, "an outcome could not be recorded");
                return None;
            }
        }
        sleep(wait).await;
        wait = ASK_AGAIN.1.min(wait * 2);
    }
}

/// Sends one item. Answers the outcome, and whether the other server took its DSN parameters.
async fn send(shared: &Shared, outgoing: Outgoing, mut patience: Patience) -> (Outcome, bool) {
    let domain = outgoing.item.recipient.domain().as_str();
    let mut entropy = OsEntropy;
    let routed = patience.wait(shared.routes.of(domain, &mut entropy));
    let by_dns = Way {
        reach: shared.reach,
        is_absolute: true,
        is_limited: true,
    };
    let configured = Way {
        reach: Reach::Anywhere,
        is_absolute: false,
        is_limited: !shared.routes.is_of_all(domain),
    };
    let (hosts, way) = match routed.await {
        Ok(Route::Configured(host)) => (vec![host], configured),
        Ok(Route::Hosts(hosts)) => (hosts, by_dns),
        Ok(Route::Unknown(why)) => return (Outcome::Temporary(unsaid(why, None)), false),
        Ok(Route::Nowhere(enhanced, why)) => {
            let reply = Reply {
                enhanced: Some(enhanced),
                ..unsaid(why, None)
            };
            return (Outcome::Permanent(reply), false);
        }
        Err(over) => return (cut_off(over, None), false),
    };
    let none = format!("no host for {domain}");
    let message = client::Outgoing {
        envelope: envelope(&outgoing),
        content: Arc::new(outgoing.content),
    };
    let (mut last, mut is_busy) = (None, false);
    for route in &hosts {
        let host = Some(route.host.clone());
        let next = match send_to(shared, route, way, &message, &mut patience).await {
            Ok(spoken) => {
                // What came of it is recorded while the other server is still asked to hang up.
                tokio::spawn(spoken.farewell.say(patience));
                return (queue_outcome(spoken.outcome, host), spoken.dsn);
            }
            // Where another host could not be asked, that may change.
            Err(Unsent::Inside) => inside(route),
            // RFC 5321 5.1: the next host, where this one could not even be asked.
            Err(Unsent::Io(error)) => Outcome::Temporary(unsaid(format!("{route}: {error}"), host)),
            Err(Unsent::Ended(end)) => of_end(end, host),
            Err(Unsent::Over(over)) => return (cut_off(over, host), false),
            Err(Unsent::Busy) => {
                is_busy = true;
                continue;
            }
        };
        last = Some(weigh(last, next));
        if patience.is_over() {
            break;
        }
    }
    if is_busy {
        // One of the hosts may take it as soon as it is done with others.
        let soon = clock::now().plus_millis(BUSY_MS);
        return (Outcome::GivenBack(soon), false);
    }
    (
        last.unwrap_or_else(|| Outcome::Temporary(unsaid(none, None))),
        false,
    )
}

/// An attempt that was cut off before the message was begun.
fn cut_off(over: Over, host: Option<String>) -> Outcome {
    match over {
        Over::TimedOut => Outcome::Temporary(unsaid("the attempt took too long", host)),
        Over::Stopped => Outcome::GivenBack(clock::now()),
    }
}

/// A host whose addresses are all in networks that nobody outside of them can mean.
fn inside(route: &HostPort) -> Outcome {
    let why = format!("{route} is in a private network; see [relay] routes");
    Outcome::Permanent(Reply {
        // RFC 3463 3.5, X.4.4: unable to route.
        enhanced: Some((5, 4, 4)),
        ..unsaid(why, Some(route.host.clone()))
    })
}

/// Speaks to one host, in the clear where TLS was only a wish and failed.
async fn send_to(
    shared: &Shared,
    route: &HostPort,
    way: Way,
    message: &client::Outgoing,
    patience: &mut Patience,
) -> Result<Spoken, Unsent> {
    let policy = match shared.tls {
        RelayTls::Never => TlsPolicy::Never,
        RelayTls::Opportunistic => TlsPolicy::Opportunistic,
        RelayTls::Required => TlsPolicy::Required,
    };
    let said = speak(shared, route, way, policy, message.clone(), patience).await;
    match said {
        // RFC 7435: a handshake that fails is no reason not to send in the clear.
        Err(Unsent::Ended(End::TlsFailed)) if policy == TlsPolicy::Opportunistic => {
            speak(
                shared,
                route,
                way,
                TlsPolicy::Never,
                message.clone(),
                patience,
            )
            .await
        }
        said => said,
    }
}
