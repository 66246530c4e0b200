//! One attempt to hand one item to the next server.

use std::io;
use std::sync::Arc;

use tern_delivery::{BodyType, Concluded, Outgoing};
use tern_queue::{DsnReturn, LeaseId, Outcome, QueueId, Reply};
use tern_session::TlsFacts;
use tern_smtp::client::{self, Cause, Client, ClientStep, End, TlsPolicy};
use tern_smtp::{Envelope, Notify, OriginalRecipient, Recipient, Ret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::Shared;
use super::route::Route;
use crate::clock::{self, OsEntropy};
use crate::config::{HostPort, RelayTls};
use crate::net::Reach;

/// Takes the item, sends it, and records what came of it.
pub(super) async fn attempt(shared: Arc<Shared>, id: QueueId, lease: LeaseId) {
    let (delivery, lease_ms) = (Arc::clone(&shared.delivery), shared.lease_ms());
    let take = move || delivery.take(id, lease, clock::now(), lease_ms);
    let outgoing = match tokio::task::spawn_blocking(take).await {
        Ok(Ok(Some(outgoing))) => outgoing,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return tracing::error!(%id, %error, "an item could not be taken"),
        Err(_) => return,
    };
    let recipient = outgoing.item.recipient.to_string();
    let sent = timeout(shared.attempt_timeout, send(&shared, outgoing)).await;
    let (outcome, dsn_passed_on) = sent.unwrap_or_else(|_| {
        let why = String::from("the attempt took too long");
        (Outcome::Temporary(unsaid(why, None)), false)
    });
    let told = outcome.clone();
    let delivery = Arc::clone(&shared.delivery);
    let conclude = move || {
        delivery.conclude(
            id,
            lease,
            &told,
            dsn_passed_on,
            clock::now(),
            &mut OsEntropy,
        )
    };
    let reply = outcome.reply();
    let (code, text, host) = (
        reply.code,
        &reply.text,
        reply.host.as_deref().unwrap_or("-"),
    );
    match tokio::task::spawn_blocking(conclude).await {
        Ok(Ok(Concluded::Finished(ending))) => {
            tracing::info!(%id, recipient, host, code, text, ?ending, "relay finished");
        }
        Ok(Ok(Concluded::Retry(at))) => {
            tracing::info!(%id, recipient, host, code, text, %at, "relay to be tried again");
        }
        Ok(Ok(Concluded::Held | Concluded::Ignored)) => {
            tracing::info!(%id, recipient, host, code, text, "relay held or overtaken");
        }
        Ok(Err(error)) => tracing::error!(%id, %error, "an outcome could not be recorded"),
        Err(_) => {}
    }
}

/// Sends one item. Answers the outcome, and whether the other server took its DSN parameters.
async fn send(shared: &Shared, outgoing: Outgoing) -> (Outcome, bool) {
    let domain = outgoing.item.recipient.domain().as_str();
    let (hosts, reach) = match shared.routes.of(domain, &mut OsEntropy).await {
        Route::Configured(host) => (vec![host], Reach::Anywhere),
        Route::Hosts(hosts) => (hosts, shared.reach),
        Route::Unknown(why) => return (Outcome::Temporary(unsaid(why, None)), false),
        Route::Nowhere(enhanced, why) => {
            let reply = Reply {
                enhanced: Some(enhanced),
                ..unsaid(why, None)
            };
            return (Outcome::Permanent(reply), false);
        }
    };
    let message = client::Outgoing {
        envelope: envelope(&outgoing),
        content: Arc::new(outgoing.content),
    };
    let mut last = None;
    for route in &hosts {
        let host = Some(route.host.clone());
        last = Some(match send_to(shared, route, reach, &message).await {
            Ok((outcome, dsn)) => return (queue_outcome(outcome, host), dsn),
            // Where another host could not be asked, that may change.
            Err(Unsent::Inside) => last.unwrap_or_else(|| inside(route)),
            // RFC 5321 5.1: the next host, where this one could not even be asked.
            Err(Unsent::Io(error)) => Outcome::Temporary(unsaid(format!("{route}: {error}"), host)),
            Err(Unsent::Ended(end)) => of_end(end, host),
        });
    }
    let none = || Outcome::Temporary(unsaid(format!("no host for {domain}"), None));
    (last.unwrap_or_else(none), false)
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
    reach: Reach,
    message: &client::Outgoing,
) -> Result<(client::Outcome, bool), Unsent> {
    let policy = match shared.tls {
        RelayTls::Never => TlsPolicy::Never,
        RelayTls::Opportunistic => TlsPolicy::Opportunistic,
        RelayTls::Required => TlsPolicy::Required,
    };
    let said = speak(shared, route, reach, policy, message.clone()).await;
    match said {
        // RFC 7435: a handshake that fails is no reason not to send in the clear.
        Err(Unsent::Ended(End::TlsFailed)) if policy == TlsPolicy::Opportunistic => {
            speak(shared, route, reach, TlsPolicy::Never, message.clone()).await
        }
        said => said,
    }
}

/// Why a message was not even begun.
enum Unsent {
    Io(io::Error),
    Ended(End),
    /// The host is where nothing may lead.
    Inside,
}

impl From<io::Error> for Unsent {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The connection of a client session.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

async fn speak(
    shared: &Shared,
    route: &HostPort,
    reach: Reach,
    policy: TlsPolicy,
    message: client::Outgoing,
) -> Result<(client::Outcome, bool), Unsent> {
    let stream = shared.connector.connect(route, reach).await?;
    let mut wire = Wire::Plain(stream.ok_or(Unsent::Inside)?);
    let mut client = Client::new(Arc::clone(&shared.client), policy, None, clock::now());
    let mut message = Some(message);
    let mut sent = None;
    let mut buffer = vec![0; 4_096];
    loop {
        match client.step(clock::now()) {
            ClientStep::Continue => {}
            ClientStep::Input => exchange(&mut client, &mut wire, &mut buffer).await,
            ClientStep::StartTls => wire = secure(shared, route, wire, &mut client).await?,
            ClientStep::Idle => match message.take() {
                // The session is idle, so it takes the message.
                Some(message) => drop(client.send(message, clock::now())),
                None => client.quit(clock::now()),
            },
            ClientStep::Sent(outcomes) => {
                let dsn = client.extensions().dsn;
                sent = outcomes.into_iter().next().map(|outcome| (outcome, dsn));
                client.quit(clock::now());
            }
            ClientStep::Close(end) => return sent.ok_or(Unsent::Ended(end)),
        }
    }
}

/// Writes what is to be written, then reads once.
async fn exchange(client: &mut Client, wire: &mut Wire, buffer: &mut [u8]) {
    while client.has_output() {
        let output = client.take_output();
        let written = timeout(clock::until(client.deadline()), wire.write(&output)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return client.connection_lost(),
            Err(_) => return client.timed_out(),
        }
    }
    match timeout(clock::until(client.deadline()), wire.read(buffer)).await {
        Ok(Ok(0) | Err(_)) => client.connection_lost(),
        Ok(Ok(n)) => client.receive(buffer.get(..n).unwrap_or_default(), clock::now()),
        Err(_) => client.timed_out(),
    }
}

async fn secure(
    shared: &Shared,
    route: &HostPort,
    wire: Wire,
    client: &mut Client,
) -> Result<Wire, Unsent> {
    let Wire::Plain(stream) = wire else {
        return Err(Unsent::Ended(End::Protocol));
    };
    match shared.connector.secure(stream, &route.host).await {
        Ok(stream) => {
            let session = stream.get_ref().1;
            let version = session.protocol_version().and_then(|v| v.as_str());
            let suite = session.negotiated_cipher_suite();
            let cipher = suite.and_then(|suite| suite.suite().as_str());
            let facts = TlsFacts {
                version: version.unwrap_or("TLS").to_owned(),
                cipher: cipher.unwrap_or("unknown").to_owned(),
                sni: Some(route.host.clone()),
            };
            client.tls_started(facts, clock::now());
            Ok(Wire::Tls(Box::new(stream)))
        }
        Err(error) => {
            tracing::debug!(host = %route.host, %error, "outgoing TLS handshake failed");
            Err(Unsent::Ended(End::TlsFailed))
        }
    }
}

fn envelope(outgoing: &Outgoing) -> Envelope {
    let item = &outgoing.item;
    let notify = item.dsn.notify.map(|notify| match notify {
        tern_queue::Notify::NEVER => Notify::Never,
        tern_queue::Notify {
            success,
            failure,
            delay,
        } => Notify::On {
            success,
            failure,
            delay,
        },
    });
    let orcpt = item
        .dsn
        .orcpt
        .as_ref()
        .and_then(|text| text.split_once(';'));
    let recipient = Recipient {
        address: item.recipient.clone(),
        notify,
        orcpt: orcpt.map(|(kind, address)| OriginalRecipient {
            kind: kind.to_owned(),
            address: address.to_owned(),
        }),
    };
    Envelope {
        mail_from: item.mail_from.clone(),
        recipients: vec![recipient],
        body: match outgoing.body {
            BodyType::SevenBit => tern_smtp::BodyType::SevenBit,
            BodyType::EightBitMime => tern_smtp::BodyType::EightBitMime,
            BodyType::BinaryMime => tern_smtp::BodyType::BinaryMime,
        },
        smtputf8: item.smtputf8,
        declared_size: None,
        ret: item.dsn.ret.map(|ret| match ret {
            DsnReturn::Full => Ret::Full,
            DsnReturn::Headers => Ret::Headers,
        }),
        envid: item.dsn.envid.clone(),
    }
}

fn queue_outcome(outcome: client::Outcome, host: Option<String>) -> Outcome {
    match outcome {
        client::Outcome::Delivered(reply) => Outcome::Delivered(said(&reply, host)),
        client::Outcome::Rejected(cause) => Outcome::Permanent(of_cause(cause, host)),
        client::Outcome::Deferred(cause) => Outcome::Temporary(of_cause(cause, host)),
        client::Outcome::Unanswered(end) => {
            let text = format!("the whole message was sent, and no answer came: {end:?}");
            Outcome::Unanswered(unsaid(text, host))
        }
    }
}

fn of_cause(cause: Cause, host: Option<String>) -> Reply {
    let (enhanced, text) = match cause {
        Cause::Reply(reply) => return said(&reply, host),
        Cause::Ended(End::Refused(reply)) => return said(&reply, host),
        Cause::Ended(end) => return unsaid(format!("the session ended: {end:?}"), host),
        Cause::TooLarge => ((5, 3, 4), "the message is larger than the server takes"),
        Cause::NeedsSmtpUtf8 => ((5, 6, 7), "the server does not offer SMTPUTF8"),
        Cause::NeedsConversion => ((5, 6, 3), "the server does not take 8-bit content"),
    };
    Reply {
        enhanced: Some(enhanced),
        ..unsaid(text.to_owned(), host)
    }
}

/// A session that ended before the message: whatever it said, another time may do.
fn of_end(end: End, host: Option<String>) -> Outcome {
    Outcome::Temporary(match end {
        End::Refused(reply) => said(&reply, host),
        end => unsaid(format!("the session ended: {end:?}"), host),
    })
}

/// What the other server said.
fn said(reply: &client::Reply, host: Option<String>) -> Reply {
    Reply {
        code: reply.code,
        enhanced: reply.enhanced().and_then(parse_enhanced),
        text: reply.text.replace('\n', " "),
        host,
    }
}

fn parse_enhanced(text: &str) -> Option<(u8, u16, u16)> {
    let mut parts = text.splitn(3, '.');
    let class = parts.next()?.parse().ok()?;
    Some((
        class,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    ))
}

/// What went wrong before it said anything.
fn unsaid(text: String, host: Option<String>) -> Reply {
    Reply {
        code: 0,
        enhanced: None,
        text,
        host,
    }
}
