//! One attempt to hand items that travel together to the next server: taken under a lease, sent, and
//! recorded.
//!
//! Invariant: no recipient is named to a server outside of the lease. Whoever is too many for one
//! transaction goes with the next one of the same session, and where there is none, is due again as if
//! there had been no attempt; each transaction settles somebody, so that comes to an end.

use std::sync::Arc;

use tern_base::Fault;
use tern_delivery::Outgoing;
use tern_queue::{Item, LeaseId, Outcome, QueueId, Reply};
use tern_smtp::client::{self, End, TlsPolicy};
use tokio::time::sleep;

use super::Shared;
use super::connect::Way;
use super::dialogue::{Dialogue, Unsent};
use super::patience::{Over, Patience};
use super::record::{ASK_AGAIN, Ended, Record};
use super::route::Route;
use super::traffic::Pass;
use super::words::{envelope, of_end, queue_outcome, unsaid, weigh};
use crate::clock::{self, OsEntropy};
use crate::config::{HostPort, RelayTls};
use crate::net::Reach;

/// After how long an item is due again whose hosts have as many sessions as they may have.
const BUSY_MS: u64 = 5_000;
/// How often a lease is asked for.
const TAKES: u32 = 5;

/// Takes the items, sends them, and records what came of each.
pub(super) async fn attempt(shared: Arc<Shared>, pass: Pass, lease: LeaseId, patience: Patience) {
    let outgoing = match take(&shared, pass.ids(), lease).await {
        Ok(Some(outgoing)) => outgoing,
        Ok(None) => return,
        Err(()) => return pass.rest(),
    };
    pass.go();
    let until = clock::now().plus_millis(shared.lease_ms());
    let record = Record {
        shared,
        lease,
        until,
    };
    let why = "the last attempt was cut off, and no time is left for another";
    let overdue = Outcome::Temporary(unsaid(why, None));
    record.same(outgoing.overdue.clone(), &overdue).await;
    send(&record, outgoing, patience).await;
}

/// Takes the items. A store that does not say whether the lease is taken is asked for the same again.
async fn take(
    shared: &Arc<Shared>,
    ids: &[QueueId],
    lease: LeaseId,
) -> Result<Option<Outgoing>, ()> {
    let mut wait = ASK_AGAIN.0;
    let first = ids.first().map(ToString::to_string).unwrap_or_default();
    for left in (0..TAKES).rev() {
        let (delivery, lease_ms) = (Arc::clone(&shared.delivery), shared.lease_ms());
        let ids = ids.to_vec();
        let take = move || delivery.take(&ids, lease, clock::now(), lease_ms);
        match tokio::task::spawn_blocking(take).await.map_err(drop)? {
            Ok(outgoing) => return Ok(outgoing),
            Err(error) if left > 0 && error.fault() == Fault::Temporary => {
                tracing::debug!(first, %error, "asking again for items");
            }
            Err(error) => {
                tracing::error!(first, %error, "items could not be taken");
                return Err(());
            }
        }
        sleep(wait).await;
        wait = ASK_AGAIN.1.min(wait * 2);
    }
    Err(())
}

/// Sends a message to its recipients, by as many transactions of one session as it takes.
async fn send(record: &Record, outgoing: Outgoing, mut patience: Patience) {
    let mut left = outgoing.items;
    let Some(first) = left.first() else {
        return;
    };
    let domain = first.recipient.domain().as_str().to_owned();
    let (mut dialogue, host) = match reach(&record.shared, &domain, &mut patience).await {
        Ok(reached) => reached,
        Err(outcome) => return record.same(left, &outcome).await,
    };
    let content = Arc::new(outgoing.content);
    loop {
        let message = client::Outgoing {
            envelope: envelope(&left, outgoing.body),
            content: Arc::clone(&content),
        };
        let (mut ended, dsn) = match dialogue.send(message, &mut patience).await {
            Ok(outcomes) => (settled(&mut left, outcomes, &host), dialogue.takes_dsn()),
            Err(unsent) => return record.same(left, &of_unsent(unsent, &host)).await,
        };
        if left.is_empty() || !dialogue.takes_more() || patience.is_over() {
            // What came of it is recorded while the other server is still asked to hang up.
            tokio::spawn(dialogue.end(patience));
            let at_once = Outcome::GivenBack(clock::now());
            ended.extend(left.into_iter().map(|item| (item, at_once.clone())));
            return record.each(ended, dsn).await;
        }
        record.each(ended, dsn).await;
    }
}

/// What came of the items in one transaction; those that were too many for it are left.
fn settled(left: &mut Vec<Item>, outcomes: Vec<client::Outcome>, host: &HostPort) -> Vec<Ended> {
    let (mut ended, mut surplus) = (Vec::new(), Vec::new());
    for (item, outcome) in std::mem::take(left).into_iter().zip(outcomes) {
        match queue_outcome(outcome, Some(host.host.clone())) {
            Some(outcome) => ended.push((item, outcome)),
            None => surplus.push(item),
        }
    }
    *left = surplus;
    ended
}

/// A session with one of the hosts of a domain, or what is to be said of each item without one.
async fn reach(
    shared: &Shared,
    domain: &str,
    patience: &mut Patience,
) -> Result<(Dialogue, HostPort), Outcome> {
    let (hosts, way) = hosts(shared, domain, patience).await?;
    let (mut last, mut is_busy) = (None, false);
    for host in hosts {
        let next = match call(shared, &host, way, patience).await {
            Ok(dialogue) => return Ok((dialogue, host)),
            Err(Unsent::Over(over)) => return Err(cut_off(over, Some(host.host))),
            Err(Unsent::Busy) => {
                is_busy = true;
                continue;
            }
            // RFC 5321 5.1: the next host, where this one could not even be asked.
            Err(unsent) => of_unsent(unsent, &host),
        };
        // Where another host could not be asked, that may change.
        last = Some(weigh(last, next));
        if patience.is_over() {
            break;
        }
    }
    if is_busy {
        // One of the hosts may take it as soon as it is done with others.
        return Err(Outcome::GivenBack(clock::now().plus_millis(BUSY_MS)));
    }
    let none = || Outcome::Temporary(unsaid(format!("no host for {domain}"), None));
    Err(last.unwrap_or_else(none))
}

/// The hosts of a domain, the best first, and how they are connected to.
async fn hosts(
    shared: &Shared,
    domain: &str,
    patience: &mut Patience,
) -> Result<(Vec<HostPort>, Way), Outcome> {
    let mut entropy = OsEntropy;
    let by_dns = Way {
        reach: shared.reach,
        is_of_dns: true,
        is_limited: true,
    };
    let configured = Way {
        reach: Reach::Anywhere,
        is_of_dns: false,
        is_limited: !shared.routes.destination(domain).is_of_all,
    };
    match patience.wait(shared.routes.of(domain, &mut entropy)).await {
        Ok(Route::Configured(host)) => Ok((vec![host], configured)),
        Ok(Route::Hosts(hosts)) => Ok((hosts, by_dns)),
        Ok(Route::Unknown(why)) => Err(Outcome::Temporary(unsaid(why, None))),
        Ok(Route::Nowhere(enhanced, why)) => Err(Outcome::Permanent(Reply {
            enhanced: Some(enhanced),
            ..unsaid(why, None)
        })),
        Err(over) => Err(cut_off(over, None)),
    }
}

/// What is to be said of items that a host was not asked to take.
fn of_unsent(unsent: Unsent, route: &HostPort) -> Outcome {
    let host = Some(route.host.clone());
    match unsent {
        Unsent::Inside => unroutable(route, "is in a private network; see [relay] routes"),
        // RFC 5321 5.1: what the records lead to that can't be used is an error, and so is a domain
        // that has neither a mail server nor an address.
        Unsent::NoAddress => unroutable(route, "has no address"),
        Unsent::Io(error) => Outcome::Temporary(unsaid(format!("{route}: {error}"), host)),
        Unsent::Ended(end) => of_end(end, host),
        Unsent::Over(over) => cut_off(over, host),
        Unsent::Busy => Outcome::GivenBack(clock::now().plus_millis(BUSY_MS)),
    }
}

/// An attempt that was cut off before the message was begun.
fn cut_off(over: Over, host: Option<String>) -> Outcome {
    match over {
        Over::TimedOut => Outcome::Temporary(unsaid("the attempt took too long", host)),
        Over::Stopped => Outcome::GivenBack(clock::now()),
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

/// A session with one host, in the clear where TLS was only a wish and failed.
async fn call(
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
