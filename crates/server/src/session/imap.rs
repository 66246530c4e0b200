//! IMAP sessions: their verbs over the mailboxes, and their events as log lines.

use std::sync::Arc;

use tern_base::{Entropy, Timestamp};
use tern_directory::Scope;
use tern_imap::Session;
use tern_imap::event::Event;
use tern_imap::settings::Settings;
use tern_imap::verbs::Verbs;
use tern_mailbox::Mailboxes;
use tern_session::{Peer, Protocol as _, Sharing, Step};

use crate::late::Late;
use crate::memory::{Memory, PeerMemory};
use crate::net::{Served, Service};

/// What the log calls the protocol.
const PROTOCOL: &str = "imap";

/// Makes the sessions of the IMAP listeners.
pub(crate) struct ImapDoor {
    pub(crate) settings: Arc<Settings>,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sharing: Arc<Sharing>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) late: Late,
}

impl ImapDoor {
    pub(crate) fn session(&self, peer: Peer, id: u64, now: Timestamp) -> Box<Served<ImapService>> {
        let service = ImapService {
            mailboxes: Arc::clone(&self.mailboxes),
            sharing: Arc::clone(&self.sharing),
            memory: self.memory.of(peer.ip),
            late: self.late.clone(),
            id,
        };
        let session = Session::new(Arc::clone(&self.settings), peer, now);
        Box::new(Served { session, service })
    }
}

/// What is behind one IMAP session.
pub(crate) struct ImapService {
    mailboxes: Arc<Mailboxes>,
    sharing: Arc<Sharing>,
    memory: PeerMemory,
    late: Late,
    id: u64,
}

impl Service for ImapService {
    type Session = Session;
    const SCOPE: Scope = Scope::Imap;
    const WATCHES: bool = true;

    fn step(&mut self, session: &mut Session, now: Timestamp, entropy: &mut dyn Entropy) -> Step {
        let verbs = Verbs {
            mailboxes: &self.mailboxes,
            sharing: &self.sharing,
            memory: &self.memory,
        };
        session.step(&verbs, now, entropy)
    }

    fn log(&mut self, session: &mut Session) {
        let (id, peer) = (self.id, session.peer().ip);
        for event in session.take_events() {
            match event {
                Event::Session(event) => super::log(id, peer, PROTOCOL, &event),
                Event::ClientId(fields) => tracing::debug!(id, %peer, ?fields, "imap client"),
                Event::LimitHit(limit) => tracing::warn!(id, %peer, ?limit, "imap limit hit"),
                // Durable already; this is what brings the report up to date at once.
                Event::Sealed(tag) => self.late.report(&[tag]),
                Event::Failed { doing, why } => {
                    tracing::error!(id, %peer, doing, why, "imap command failed");
                }
            }
        }
    }
}
