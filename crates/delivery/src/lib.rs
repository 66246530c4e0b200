//! An accepted message to its mailboxes or the queue.
//!
//! The way of a message: resolve every recipient → one *plan* of landings and queue items → one
//! transaction, or a durable *job* of several where the plan is too large for one → a notice to the
//! sender (RFC 3464) for what could not be delivered.
//!
//! Invariants:
//! - [`Delivery::accept`] answers `Ok` only when the message is durable and every recipient will
//!   get it or be reported: the server's `250` rests on it (RFC 5321 6.1).
//! - A fan-out that a crash cut off goes on where it stopped ([`Delivery::resume`]): each copy
//!   lands exactly once.
//! - What a submission led to is on record in the transaction that led there, so that it can be
//!   taken back.
//! - What a client asked to be sent later leaves at its time, or was called off before (`outbox`). What
//!   comes back of it is noted with it (`heard`).
//! - Whatever is under a seal is neither shown nor handed to the network.
//!
//! Refuses to talk to the network, and to read a clock.

mod accept;
mod author;
mod body;
mod check;
mod entry;
mod error;
mod heard;
mod incoming;
mod job;
pub mod limits;
mod notice;
mod outbox;
mod outgoing;
mod place;
mod plan;
mod prepare;
mod recipient;
mod removal;
mod report;
mod request;
mod tables;
mod vacation;

use std::sync::Arc;

use tern_mailbox::Mailboxes;
use tern_queue::Schedule;
use tern_store::{Engine, Read};

pub use author::Misnamed;
pub use body::BodyType;
pub use check::Checked;
pub use error::{DeliveryError, Refusal};
pub use heard::Reports;
pub use incoming::{Accepted, Incoming, IncomingRecipient, Resumed, Submitter, TakenOver};
pub use outbox::{
    Delivered, Dispatched, Envelope, NewMdn, NewSending, Outbox, OutboxChanges, RecipientStatus,
    Sending, Stage, Stop, SubmitError,
};
pub use outgoing::{Concluded, Outgoing};
pub use recipient::RecipientCheck;
pub use removal::{RemovalError, Removals};
pub use request::is_request_address;
pub use vacation::Vacation;

/// What delivery must be told of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The server's name: in message ids and in what it writes itself.
    pub hostname: String,
    /// When queued mail is tried again, and for how long.
    pub schedule: Schedule,
    /// The header field that says how confidential a message is; empty for none.
    pub label_header: String,
}

/// Brings accepted messages to their mailboxes or into the queue.
pub struct Delivery {
    engine: Arc<dyn Engine>,
    mailboxes: Arc<Mailboxes>,
    settings: Settings,
    token_key: [u8; 32],
    under_way: outbox::UnderWay,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// Delivery into these mailboxes. `token_key` keys the tokens of outgoing messages and must be
    /// the same at each start.
    pub fn new(
        engine: Arc<dyn Engine>,
        mailboxes: Arc<Mailboxes>,
        settings: Settings,
        token_key: [u8; 32],
    ) -> Self {
        Self {
            engine,
            mailboxes,
            settings,
            token_key,
            under_way: outbox::UnderWay::default(),
        }
    }

    /// What this server was told of itself.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    fn reader(&self) -> &dyn Read {
        &*self.engine
    }
}
