//! What the shell adds to the sessions of each protocol: the verbs behind them, and their events as
//! log lines.

mod imap;
mod smtp;

use std::net::IpAddr;

use tern_session::SessionEvent;

pub(crate) use imap::ImapDoor;
pub(crate) use smtp::SmtpDoor;

/// Writes what happened in the session of this number, that speaks `protocol`.
fn log(id: u64, peer: IpAddr, protocol: &str, event: &SessionEvent) {
    match event {
        SessionEvent::Connected => tracing::debug!(id, %peer, protocol, "connected"),
        SessionEvent::TlsStarted { version, cipher } => {
            tracing::debug!(id, %peer, protocol, version, cipher, "TLS started");
        }
        SessionEvent::Authenticated { login, mechanism } => {
            let mechanism = mechanism.as_str();
            tracing::info!(id, %peer, protocol, login, mechanism, "authenticated");
        }
        SessionEvent::AuthenticationFailed { login, mechanism } => {
            let mechanism = mechanism.as_str();
            tracing::warn!(id, %peer, protocol, login, mechanism, "authentication failed");
        }
        SessionEvent::InjectionRefused => {
            tracing::warn!(id, %peer, protocol, "command injection refused");
        }
        SessionEvent::Closed => tracing::debug!(id, %peer, protocol, "closed"),
    }
}
