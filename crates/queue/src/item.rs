//! What an item is, and what is kept of it when it is finished.

use std::fmt;

use tern_base::{AccountId, BlobId, EmailAddress, Entropy, OriginId, Timestamp};

/// One item: one message to one outside recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub [u8; 16]);

impl QueueId {
    /// A new id from the time and random bytes; sorts by time.
    pub fn new(now: Timestamp, entropy: &mut dyn Entropy) -> Self {
        Self(OriginId::new(now, entropy).0)
    }

    /// The id of an origin's recipient number `n`: the same again for the same origin, so that a
    /// delivery that is repeated enqueues nothing twice.
    pub fn of_recipient(origin: OriginId, n: u32) -> Self {
        let mut bytes = origin.0;
        // The last four bytes are random: mixing a number in keeps them as unlikely to collide.
        for (byte, mix) in bytes[12..].iter_mut().zip(n.to_be_bytes()) {
            *byte ^= mix;
        }
        Self(bytes)
    }

    /// Which recipient of an origin this is; `None` when it is another origin's.
    pub fn number_in(self, origin: OriginId) -> Option<u32> {
        let (ours, theirs) = (self.0.split_at(12), origin.0.split_at(12));
        let mut number = [0; 4];
        for ((byte, mine), theirs) in number.iter_mut().zip(ours.1).zip(theirs.1) {
            *byte = mine ^ theirs;
        }
        (ours.0 == theirs.0).then_some(u32::from_be_bytes(number))
    }

    /// The id of a hexadecimal text.
    pub fn from_hex(text: &str) -> Option<Self> {
        OriginId::from_hex(text).map(|id| Self(id.0))
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        OriginId(self.0).fmt(f)
    }
}

/// One attempt's claim on an item, chosen by whoever attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId(pub u64);

/// What a DSN brings back (RFC 3461 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DsnReturn {
    /// The message whole.
    Full,
    /// Its header.
    Headers,
}

/// When the sender wants a DSN (RFC 3461 4.1). The default is that of RFC 3461 5.2.1 d): failures
/// and delays, by the server's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Notify {
    /// When it was delivered.
    pub success: bool,
    /// When it can't be delivered.
    pub failure: bool,
    /// When it takes long.
    pub delay: bool,
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub const NEVER: Self = Self {
        success: false,
        failure: false,
        delay: false,
    };
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            success: false,
            failure: true,
            delay: true,
        }
    }
}

/// The DSN parameters of an envelope (RFC 3461).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dsn {
    /// `RET`.
    pub ret: Option<DsnReturn>,
    /// `ENVID`, decoded.
    pub envid: Option<String>,
    /// `NOTIFY`; `None` when the sender did not say.
    pub notify: Option<Notify>,
    /// `ORCPT` with its type: `rfc822;bob@example.org`.
    pub orcpt: Option<String>,
}

/// What a remote server, or this one in its place, said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The SMTP reply code; 0 when the attempt never came to one.
    pub code: u16,
    /// The enhanced status code (RFC 3463).
    pub enhanced: Option<(u8, u16, u16)>,
    /// The text of the reply, or what went wrong before one.
    pub text: String,
    /// The host that said it.
    pub host: Option<String>,
}

/// What happens when the attempt under way ends without delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AfterFlight {
    /// The next attempt, by the schedule.
    #[default]
    Retry,
    /// It is held, for this reason.
    Hold(String),
    /// It is cancelled.
    Cancel,
    /// It has expired: its time was over when the attempt before was lost, and there is no other.
    Expire,
}

/// Where an item stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for its next attempt.
    Ready {
        /// When that is.
        next_attempt: Timestamp,
    },
    /// Waits for a release.
    Held {
        /// Why.
        reason: String,
    },
    /// An attempt is under way, or was when the server stopped.
    InFlight {
        /// Whose attempt.
        lease: LeaseId,
        /// Since when.
        since: Timestamp,
        /// When it counts as lost.
        until: Timestamp,
        /// What happens if it ends without delivery.
        then: AfterFlight,
    },
}

/// A live item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: QueueId,
    /// How the message came onto this server.
    pub origin: OriginId,
    /// The account that submitted it, or whose rule sends it on; `None` for the server's own.
    pub account: Option<AccountId>,
    /// The reverse path; `None` is `<>`.
    pub mail_from: Option<EmailAddress>,
    /// The recipient.
    pub recipient: EmailAddress,
    /// By what name the sender knows the recipient, where that is another: who is behind it is not
    /// the sender's to know.
    pub named: Option<EmailAddress>,
    /// The DSN parameters.
    pub dsn: Dsn,
    /// Whether the header or the envelope needs SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// The content.
    pub blob: BlobId,
    /// Header lines that go before it.
    pub prefix: Vec<u8>,
    /// Size of prefix and content, in bytes.
    pub size: u64,
    /// When it was enqueued.
    pub created: Timestamp,
    /// When the server gives up.
    pub expires: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Attempts that ended without an answer: a copy may have left.
    pub lost_attempts: u32,
    /// How many recipients it is sent with at most, itself included, since it failed with more together.
    pub at_most: Option<u32>,
    /// Whether the sender has been told of the delay.
    pub delay_told: bool,
    /// The last reply, and when.
    pub last_reply: Option<(Timestamp, Reply)>,
}

impl Item {
    /// Whether it was taken for nothing but to say that its time is over.
    pub fn is_overdue(&self) -> bool {
        matches!(&self.state, State::InFlight { then, .. } if *then == AfterFlight::Expire)
    }
}

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// A remote server took it.
    Relayed,
    /// It was refused for good.
    Refused,
    /// It could not be delivered in time.
    Expired,
    /// It was cancelled before a remote server took it.
    Cancelled,
}

impl Ending {
    /// Whether the sender is owed a bounce, if they want one.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Refused | Self::Expired)
    }
}

/// What is kept of a finished item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its id.
    pub id: QueueId,
    /// How the message came onto this server.
    pub origin: OriginId,
    /// The account that submitted it.
    pub account: Option<AccountId>,
    /// The recipient.
    pub recipient: EmailAddress,
    /// When it was enqueued.
    pub created: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How.
    pub ending: Ending,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Attempts that ended without an answer: even when it was cancelled, a copy may have left.
    pub lost_attempts: u32,
    /// The last reply, and when.
    pub last_reply: Option<(Timestamp, Reply)>,
}
