//! IMAP sessions: their verbs over the mailboxes, and their events as log lines.

use std::net::IpAddr;
use std::sync::Arc;

use tern_base::{AccountId, Entropy, Timestamp};
use tern_imap::event::Event;
use tern_imap::session::{Peer, Session};
use tern_imap::settings::Settings;
use tern_imap::verbs::Verbs;
use tern_mailbox::Mailboxes;

use crate::late::Late;
use crate::login::{Attempt, Verified};
use crate::net::{Protocol, Step, TlsFacts};

/// Makes the sessions of one IMAP listener.
#[derive(Clone)]
pub(crate) struct ImapService {
    pub(crate) settings: Arc<Settings>,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) late: Late,
}

impl ImapService {
    pub(crate) fn session(&self, peer: Peer, id: u64, now: Timestamp) -> Box<ImapProtocol> {
        Box::new(ImapProtocol {
            session: Session::new(Arc::clone(&self.settings), peer, now),
            mailboxes: Arc::clone(&self.mailboxes),
            late: self.late.clone(),
            id,
        })
    }
}

/// What a session is told of its peer.
pub(crate) fn imap_peer(ip: IpAddr, tls: Option<TlsFacts>) -> Peer {
    Peer {
        ip,
        tls: tls.map(tls_facts),
    }
}

fn tls_facts(facts: TlsFacts) -> tern_imap::session::TlsFacts {
    tern_imap::session::TlsFacts {
        version: facts.version,
        cipher: facts.cipher,
        sni: facts.sni,
    }
}

/// One IMAP session.
pub(crate) struct ImapProtocol {
    session: Session,
    mailboxes: Arc<Mailboxes>,
    late: Late,
    id: u64,
}

impl Protocol for ImapProtocol {
    fn receive(&mut self, bytes: &[u8], now: Timestamp) {
        self.session.receive(bytes, now);
    }

    fn notify(&mut self) {
        self.session.notify();
    }

    fn step(&mut self, now: Timestamp, entropy: &mut dyn Entropy) -> Step {
        let verbs = Verbs {
            mailboxes: &self.mailboxes,
        };
        match self.session.step(&verbs, now, entropy) {
            tern_imap::Step::Continue => Step::Continue,
            tern_imap::Step::Input => Step::Input,
            tern_imap::Step::StartTls => Step::StartTls,
            tern_imap::Step::Close => Step::Close,
            tern_imap::Step::Verify(credentials) => Step::Verify(Attempt {
                act_as: credentials.act_as,
                login: credentials.login,
                password: credentials.password,
            }),
        }
    }

    fn wants_work(&self) -> bool {
        self.session.wants_work()
    }

    fn has_output(&self) -> bool {
        self.session.has_output()
    }

    fn take_output(&mut self) -> Vec<u8> {
        self.session.take_output()
    }

    fn verified(&mut self, verified: Verified, now: Timestamp) {
        let verified = match verified {
            Verified::Accepted { account, login } => {
                tern_imap::session::Verified::Accepted { account, login }
            }
            Verified::Refused => tern_imap::session::Verified::Refused,
            Verified::Throttled => tern_imap::session::Verified::Throttled,
            Verified::Unavailable => tern_imap::session::Verified::Unavailable,
        };
        self.session.verified(verified, now);
    }

    fn tls_started(&mut self, facts: TlsFacts) {
        self.session.tls_started(tls_facts(facts));
    }

    fn deadline(&self) -> Timestamp {
        self.session.deadline()
    }

    fn timed_out(&mut self) {
        self.session.timed_out();
    }

    fn shutdown(&mut self) {
        self.session.shutdown();
    }

    fn watches(&self) -> Option<AccountId> {
        self.session.authenticated().map(|who| who.account)
    }

    fn log(&mut self) {
        let (id, peer) = (self.id, self.session.peer().ip);
        for event in self.session.take_events() {
            match event {
                Event::Connected => tracing::debug!(id, %peer, "imap connected"),
                Event::TlsStarted { version, cipher } => {
                    tracing::debug!(id, %peer, version, cipher, "imap TLS started");
                }
                Event::Authenticated { login, mechanism } => {
                    tracing::info!(id, %peer, login, ?mechanism, "imap authenticated");
                }
                Event::AuthenticationFailed { login, mechanism } => {
                    tracing::warn!(id, %peer, login, ?mechanism, "imap authentication failed");
                }
                Event::ClientId(fields) => tracing::debug!(id, %peer, ?fields, "imap client"),
                Event::LimitHit(limit) => tracing::warn!(id, %peer, ?limit, "imap limit hit"),
                Event::InjectionRefused => {
                    tracing::warn!(id, %peer, "imap command injection refused");
                }
                // Durable already; this is what brings the report up to date at once.
                Event::Sealed(tag) => self.late.report(&[tag]),
                Event::Failed { doing, why } => {
                    tracing::error!(id, %peer, doing, why, "imap command failed");
                }
                Event::Closed => tracing::debug!(id, %peer, "imap closed"),
            }
        }
    }
}
