//! What comes in, and what is said of it.

use tern_base::{AccountId, EmailAddress, OriginId};
use tern_mailbox::{Connection, SealTag};
use tern_queue::{DsnReturn, Notify};

use crate::DeliveryError;

/// A message that a session has taken in whole.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The id of this arrival, also in its Received header.
    pub origin: OriginId,
    /// The reverse path; `None` is `<>`.
    pub mail_from: Option<EmailAddress>,
    /// The recipients of the envelope, in order.
    pub recipients: Vec<IncomingRecipient>,
    /// How much a failure notice gives back (RFC 3461 4.3).
    pub ret: Option<DsnReturn>,
    /// The sender's id of the envelope, decoded (RFC 3461 4.4).
    pub envid: Option<String>,
    /// Whether header or envelope may be UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// The content, this server's Received header first.
    pub content: Vec<u8>,
    /// Who has authenticated; `None` is reception from another server.
    pub submitter: Option<Submitter>,
}

/// One recipient of the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingRecipient {
    /// The address.
    pub address: EmailAddress,
    /// `NOTIFY`; `None` when the sender did not say.
    pub notify: Option<Notify>,
    /// `ORCPT` with its type: `rfc822;bob@example.org`.
    pub orcpt: Option<String>,
}

impl IncomingRecipient {
    /// A recipient about whom nothing was asked.
    pub const fn new(address: EmailAddress) -> Self {
        Self {
            address,
            notify: None,
            orcpt: None,
        }
    }
}

/// Who submits a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitter {
    /// The account.
    pub account: AccountId,
    /// Its login, as the directory writes it.
    pub login: String,
    /// The connection by which they do, where it is known.
    pub connection: Option<Connection>,
}

/// What became of an accepted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The id of its arrival.
    pub origin: OriginId,
    /// Its Message-ID, without angle brackets; empty when it has none.
    pub message_id: String,
    /// How many copies landed in mailboxes, or will when its job is finished.
    pub local: usize,
    /// How many copies wait to leave, or will.
    pub outside: usize,
    /// Seals that stopped a copy on its way in, each once: on whose behalf.
    pub late: Vec<SealTag>,
    /// Why not every copy is where it goes: the message is durable, and
    /// [`crate::Delivery::resume`] brings the rest.
    pub cut_off: Option<DeliveryError>,
}

/// A message that was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// What became of it, or will.
    pub accepted: Accepted,
    /// Whether each copy is where it goes; what is not, [`crate::Delivery::fan_out`] brings there.
    pub is_whole: bool,
}

/// What came of going on with fan-outs that were cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Those that are finished now.
    pub finished: Vec<Accepted>,
    /// Those that could not go on, and why.
    pub failed: Vec<(OriginId, DeliveryError)>,
}
