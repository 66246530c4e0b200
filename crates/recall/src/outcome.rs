//! What became of each copy: one closed list, with a reason and a sentence for people.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, MailboxId, MessageId, OriginId, Timestamp};
use tern_mailbox::{Carriage, Exposure, ExposureLevel};

use crate::RecallId;

/// What an outcome is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A copy that is or was in a mailbox.
    Copy(AccountId, MessageId),
    /// A recipient without one, by its position in the submission's list of targets.
    Target(u32),
    /// A copy that another submission, which carries the letter or is it, sends to another server: by its
    /// position in that one's list of targets.
    Onward(OriginId, u32),
}

/// How a copy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Still held or queued: it never left.
    Prevented = 1,
    /// Withdrawn; its body had not been served.
    WithdrawnUnexposed = 2,
    /// Withdrawn after it had been served.
    WithdrawnExposed = 3,
    /// Its owner had deleted it.
    AlreadyGone = 4,
    /// A rule keeps it.
    KeptByPolicy = 5,
    /// The recipient opted out.
    KeptOptedOut = 6,
    /// A hold that forbids hiding keeps it.
    KeptOnHoldVisible = 7,
    /// It arrived after the recall and was stopped.
    BlockedLate = 8,
    /// It left for a server that offers no recall.
    Relayed = 9,
    /// A federated server took the request.
    PeerAccepted = 10,
    /// A federated server refused the request.
    PeerRefused = 11,
    /// A federated server has not answered yet.
    PeerPending = 12,
    /// Not settled yet.
    Pending = 13,
    /// It could not be done.
    Failed = 14,
}

impl Outcome {
    /// Every outcome, in the order of reports.
    pub const ALL: [Self; 14] = [
        Self::WithdrawnUnexposed,
        Self::WithdrawnExposed,
        Self::Prevented,
        Self::BlockedLate,
        Self::AlreadyGone,
        Self::Relayed,
        Self::KeptByPolicy,
        Self::KeptOptedOut,
        Self::KeptOnHoldVisible,
        Self::PeerAccepted,
        Self::PeerRefused,
        Self::PeerPending,
        Self::Pending,
        Self::Failed,
    ];

    /// The name that reports and the API use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Prevented => "prevented",
            Self::WithdrawnUnexposed => "withdrawn-unexposed",
            Self::WithdrawnExposed => "withdrawn-exposed",
            Self::AlreadyGone => "already-gone",
            Self::KeptByPolicy => "kept-by-policy",
            Self::KeptOptedOut => "kept-opted-out",
            Self::KeptOnHoldVisible => "kept-on-hold-visible",
            Self::BlockedLate => "blocked-late",
            Self::Relayed => "relayed",
            Self::PeerAccepted => "peer-accepted",
            Self::PeerRefused => "peer-refused",
            Self::PeerPending => "peer-pending",
            Self::Pending => "pending",
            Self::Failed => "failed",
        }
    }

    /// Whether the copy is out of its recipient's reach now by this recall.
    pub const fn is_withdrawn(self) -> bool {
        matches!(
            self,
            Self::Prevented | Self::WithdrawnUnexposed | Self::WithdrawnExposed | Self::BlockedLate
        )
    }

    fn from_number(number: u8) -> Result<Self, Damaged> {
        Self::ALL
            .into_iter()
            .find(|outcome| *outcome as u8 == number)
            .ok_or(Damaged)
    }
}

/// Why a copy ended as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Nothing of it was served.
    NeverServed = 1,
    /// Only header fields were served.
    HeadersServed = 2,
    /// The preview, the body or more was served.
    BodyServed = 3,
    /// It waited in the queue.
    Queued = 4,
    /// The remote server had refused it.
    RefusedOutside = 5,
    /// Its owner deleted it without reading it.
    DeletedUnread = 6,
    /// Its owner deleted it after it had been served.
    DeletedAfterServing = 7,
    /// It is the sender's own copy.
    OwnCopy = 8,
    /// The request did not name this recipient.
    NotChosen = 9,
    /// A remote server took it.
    TakenOutside = 10,
    /// An attempt broke off: the remote server may have taken it.
    MaybeTakenOutside = 11,
    /// An attempt to relay it is under way.
    InFlight = 12,
    /// It arrived by delivery after the recall.
    LateDelivery = 13,
    /// A client put it back after the recall.
    PutBack = 14,
    /// The recall was undone before it arrived.
    Undone = 15,
    /// Only copies in another state were asked for.
    Spared = 16,
    /// It is inside another message, and only the message itself was asked for.
    OutOfReach = 17,
    /// Its recipient's account was removed, who had not read it.
    RemovedUnread = 18,
    /// Its recipient's account was removed after it had been served.
    RemovedAfterServing = 19,
    /// A hold forbids to hide it.
    HeldVisible = 40,
}

impl Reason {
    const ALL: [Self; 20] = [
        Self::NeverServed,
        Self::HeadersServed,
        Self::BodyServed,
        Self::Queued,
        Self::RefusedOutside,
        Self::DeletedUnread,
        Self::DeletedAfterServing,
        Self::OwnCopy,
        Self::NotChosen,
        Self::TakenOutside,
        Self::MaybeTakenOutside,
        Self::InFlight,
        Self::LateDelivery,
        Self::PutBack,
        Self::Undone,
        Self::Spared,
        Self::OutOfReach,
        Self::RemovedUnread,
        Self::RemovedAfterServing,
        Self::HeldVisible,
    ];

    /// The name that reports and the API use.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NeverServed => "never-served",
            Self::HeadersServed => "headers-served",
            Self::BodyServed => "body-served",
            Self::Queued => "queued",
            Self::RefusedOutside => "refused-outside",
            Self::DeletedUnread => "deleted-unread",
            Self::DeletedAfterServing => "deleted-after-serving",
            Self::OwnCopy => "own-copy",
            Self::NotChosen => "not-chosen",
            Self::TakenOutside => "taken-outside",
            Self::MaybeTakenOutside => "maybe-taken-outside",
            Self::InFlight => "in-flight",
            Self::LateDelivery => "late-delivery",
            Self::PutBack => "put-back",
            Self::Undone => "undone",
            Self::Spared => "spared",
            Self::OutOfReach => "out-of-reach",
            Self::RemovedUnread => "removed-unread",
            Self::RemovedAfterServing => "removed-after-serving",
            Self::HeldVisible => "held-visible",
        }
    }

    /// The sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NeverServed => "Taken back; it had not been opened.",
            Self::HeadersServed => {
                "Taken back; only sender and subject had been shown, not the text."
            }
            Self::BodyServed => "Taken back, but it had been opened or downloaded before.",
            Self::Queued => "Stopped before it left this server.",
            Self::RefusedOutside => "It never arrived: the other server had refused it.",
            Self::DeletedUnread => "The recipient had deleted it without opening it.",
            Self::DeletedAfterServing => "The recipient had opened it and then deleted it.",
            Self::OwnCopy => "Your own copy stays with you.",
            Self::NotChosen => "This recipient was not chosen.",
            Self::TakenOutside => "It had left for another server and can't be taken back there.",
            Self::MaybeTakenOutside => {
                "Stopped, but a transfer to the other server had broken off: it may have arrived."
            }
            Self::InFlight => "It is being handed to another server right now.",
            Self::LateDelivery => "A late delivery was stopped.",
            Self::PutBack => "A client put the message back; it was removed again at once.",
            Self::Undone => "The recall was undone before this copy arrived.",
            Self::Spared => "It had been opened, and only unopened copies were to be taken.",
            Self::OutOfReach => {
                "It is inside another message, and only the message itself was to be taken."
            }
            Self::RemovedUnread => {
                "The recipient's account had been removed; the message had not been opened."
            }
            Self::RemovedAfterServing => {
                "The recipient's account had been removed; the message had been opened before."
            }
            Self::HeldVisible => "A legal hold keeps it where it is.",
        }
    }

    /// The same of one who had not read it.
    pub(crate) const fn unread(self) -> Self {
        match self {
            Self::RemovedUnread | Self::RemovedAfterServing => Self::RemovedUnread,
            _ => Self::DeletedUnread,
        }
    }

    fn from_number(number: u8) -> Result<Self, Damaged> {
        Self::ALL
            .into_iter()
            .find(|reason| *reason as u8 == number)
            .ok_or(Damaged)
    }
}

/// What became of one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOutcome {
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// When that was settled.
    pub at: Timestamp,
    /// What had been served of it by then.
    pub exposure: Option<Exposure>,
    /// The mailboxes it was in.
    pub mailboxes: Vec<MailboxId>,
    /// How the message carries the letter; `None` where it is the letter.
    pub carriage: Option<Carriage>,
    /// When it was put back, if the recall was undone.
    pub restored: Option<Timestamp>,
    /// When it was removed from the vault for good.
    pub purged: Option<Timestamp>,
    /// The recall on whose behalf it stayed in the vault when this one was undone.
    pub handed_over: Option<RecallId>,
    /// The message that has taken its place, without the attachment that was taken back.
    pub stand_in: Option<MessageId>,
}

impl CopyOutcome {
    /// An outcome without more to say.
    pub const fn new(outcome: Outcome, reason: Reason, at: Timestamp) -> Self {
        Self {
            outcome,
            reason,
            at,
            exposure: None,
            mailboxes: Vec::new(),
            carriage: None,
            restored: None,
            purged: None,
            handed_over: None,
            stand_in: None,
        }
    }

    /// The outcome of a copy that was withdrawn after this exposure. Header fields alone leave it
    /// unexposed: every client that lists a mailbox fetches them.
    pub fn withdrawn(exposure: Option<Exposure>, at: Timestamp) -> Self {
        let (outcome, reason) = match exposure.as_ref().map(|exposure| exposure.level) {
            None => (Outcome::WithdrawnUnexposed, Reason::NeverServed),
            Some(ExposureLevel::Headers) => (Outcome::WithdrawnUnexposed, Reason::HeadersServed),
            Some(_) => (Outcome::WithdrawnExposed, Reason::BodyServed),
        };
        Self {
            exposure,
            ..Self::new(outcome, reason, at)
        }
    }

    /// The same of a message that carries the letter so. Without some of its parts it is the letter.
    #[must_use]
    pub fn carried(self, carriage: Option<Carriage>) -> Self {
        let carriage = carriage.filter(|carriage| !matches!(carriage, Carriage::Reduced(_)));
        Self { carriage, ..self }
    }

    /// The outcome of a recipient whose copy was deleted before.
    pub fn gone(exposure: Option<Exposure>, at: Timestamp) -> Self {
        let served = exposure
            .as_ref()
            .is_some_and(|e| e.level > ExposureLevel::Headers);
        let reason = if served {
            Reason::DeletedAfterServing
        } else {
            Reason::DeletedUnread
        };
        Self {
            exposure,
            ..Self::new(Outcome::AlreadyGone, reason, at)
        }
    }

    /// The same of one whose account was removed, whoever had deleted the copy before.
    #[must_use]
    pub fn with_account_removed(self) -> Self {
        let reason = match self.reason {
            Reason::DeletedUnread => Reason::RemovedUnread,
            Reason::DeletedAfterServing => Reason::RemovedAfterServing,
            other => other,
        };
        Self { reason, ..self }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(5);
        w.byte(self.outcome as u8)
            .byte(self.reason as u8)
            .number(self.at.0);
        w.option(self.exposure.as_ref(), |w, exposure| {
            w.bytes(&exposure.encode());
        });
        w.list(&self.mailboxes, |w, mailbox| {
            w.number(mailbox.0.into());
        });
        w.option(self.carriage, |w, carriage| {
            carriage.write(w);
        });
        for at in [self.restored, self.purged] {
            w.option(at, |w, at| {
                w.number(at.0);
            });
        }
        w.option(self.handed_over, |w, id| {
            w.array(&id.0);
        });
        w.option(self.stand_in, |w, message| {
            w.number(message.0);
        });
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 5)?;
        Ok(Self {
            outcome: Outcome::from_number(r.byte()?)?,
            reason: Reason::from_number(r.byte()?)?,
            at: Timestamp(r.number()?),
            exposure: r.option(|r| Exposure::decode(r.bytes()?))?,
            mailboxes: r.list(|r| r.number32().map(MailboxId))?,
            carriage: r.option(Carriage::read)?,
            restored: r.option(|r| r.number().map(Timestamp))?,
            purged: r.option(|r| r.number().map(Timestamp))?,
            handed_over: r.option(|r| r.array().map(RecallId))?,
            stand_in: r.option(|r| r.number().map(MessageId))?,
        })
    }
}

/// How many copies ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; Outcome::ALL.len()]);

impl Tally {
    /// How many ended so.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome as usize - 1).copied().unwrap_or(0)
    }

    /// Counts one copy.
    pub fn add(&mut self, outcome: Outcome) {
        self.add_many(outcome, 1);
    }

    /// Counts some copies.
    pub fn add_many(&mut self, outcome: Outcome, copies: u64) {
        if let Some(count) = self.0.get_mut(outcome as usize - 1) {
            *count += copies;
        }
    }

    /// Every outcome that occurred, in the order of reports.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL
            .into_iter()
            .map(|outcome| (outcome, self.of(outcome)))
            .filter(|(_, n)| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposure(level: ExposureLevel) -> Exposure {
        Exposure {
            level,
            at: Timestamp(5),
            protocol: "imap".into(),
            client: "c".into(),
            address: "::1".into(),
            origin: tern_base::OriginId([4; 16]),
        }
    }

    #[test]
    fn outcomes_round_trip() {
        let mut tally = Tally::default();
        for outcome in Outcome::ALL {
            let row = CopyOutcome {
                exposure: Some(exposure(ExposureLevel::Body)),
                mailboxes: vec![MailboxId(1), MailboxId(7)],
                carriage: Some(Carriage::Attached(None)),
                restored: Some(Timestamp(9)),
                purged: Some(Timestamp(10)),
                handed_over: Some(RecallId([8; 16])),
                stand_in: Some(MessageId(6)),
                ..CopyOutcome::new(outcome, Reason::Queued, Timestamp(3))
            };
            assert_eq!(CopyOutcome::decode(&row.encode()), Ok(row));
            tally.add(outcome);
            assert_eq!(tally.of(outcome), 1);
        }
        assert_eq!(tally.iter().count(), 14);
    }

    #[test]
    fn headers_alone_do_not_expose() {
        let served = |level| CopyOutcome::withdrawn(Some(exposure(level)), Timestamp(1)).outcome;
        assert_eq!(served(ExposureLevel::Headers), Outcome::WithdrawnUnexposed);
        assert_eq!(served(ExposureLevel::Preview), Outcome::WithdrawnExposed);
        assert_eq!(served(ExposureLevel::Downloaded), Outcome::WithdrawnExposed);
    }
}
