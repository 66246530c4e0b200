//! From what is known of one copy to its outcome, purely: the one place where that is decided, for a plan
//! that is shown, for a recall that settles, and for what arrives later.
//!
//! Invariant: the same is said of the same, whoever asks and when: what differs between a plan and a
//! recall is only how the facts were come by.
//!
//! Refuses to look anything up.

use tern_base::Timestamp;
use tern_mailbox::Exposure;
use tern_queue::{Cancelled, Ending, State as ItemState, Status};

use crate::{CopyOutcome, Outcome, Reason};

/// What is known of a copy.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on its way from one function to another"
)]
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// It is in a mailbox, or carried by what is.
    Copy {
        /// Why it stays there, if it does.
        stays: Option<Stays>,
        /// What was served of it.
        exposure: Option<Exposure>,
    },
    /// It came under the seal.
    Stopped {
        /// A client brought it.
        put_back: bool,
    },
    /// It leaves, or left, for another server, sent by another submission.
    Onward {
        /// Why it goes where it was going, if it does.
        stays: Option<Stays>,
        /// How it stands with the queue.
        item: Item,
    },
    /// It is that of a recipient.
    Led(Led),
}

/// Why a copy stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stays {
    /// It is the sender's own.
    Own,
    /// It is inside another message, and only the message itself was asked for.
    OutOfReach,
    /// Its recipient was not chosen.
    NotChosen,
    /// A hold forbids to hide it.
    Held,
    /// Only copies in another state were asked for.
    Spared,
}

impl Stays {
    const fn outcome(self) -> (Outcome, Reason) {
        match self {
            Self::Own => (Outcome::KeptByPolicy, Reason::OwnCopy),
            Self::OutOfReach => (Outcome::KeptByPolicy, Reason::OutOfReach),
            Self::NotChosen => (Outcome::KeptByPolicy, Reason::NotChosen),
            Self::Spared => (Outcome::KeptByPolicy, Reason::Spared),
            Self::Held => (Outcome::KeptOnHoldVisible, Reason::HeldVisible),
        }
    }
}

/// What is known of a recipient.
#[derive(Clone, Debug)]
pub(crate) struct Led {
    /// The request names them.
    pub(crate) chosen: bool,
    /// The delivery has reached them.
    pub(crate) reached: bool,
    /// The recall was undone before anybody looked.
    pub(crate) undone: bool,
    /// Where their copy went.
    pub(crate) place: Place,
}

/// Where the copy of a recipient went.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on its way from one function to another"
)]
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Nowhere: it was refused.
    Nowhere,
    /// To an account of this server, where it has an outcome of its own or needs none.
    Told,
    /// To an account of this server.
    Here(Here),
    /// To another server.
    Outside(Item),
}

/// What is known of a recipient here of whose copy nothing is said yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Here {
    /// Why a copy that is there, or comes yet, stays.
    pub(crate) stays: Option<Stays>,
    /// What became of it by another recall that holds it.
    pub(crate) elsewhere: Option<CopyOutcome>,
    /// Their account was removed.
    pub(crate) removed: bool,
    /// The most that was served of any copy they had.
    pub(crate) exposure: Option<Exposure>,
}

/// How what leaves for another server stands with the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// It waits, or waited until it was cancelled.
    Waits {
        /// An attempt broke off before.
        may_have_left: bool,
    },
    /// An attempt is under way.
    InFlight,
    /// It has ended, after so many attempts that broke off.
    Ended(Ending, u32),
    /// Its history is no longer kept, so it was finished long ago.
    Forgotten,
}

impl Item {
    /// As it stands.
    pub(crate) fn of(status: Option<&Status>) -> Self {
        match status {
            Some(Status::Live(item)) => match item.state {
                ItemState::InFlight { .. } => Self::InFlight,
                _ => Self::Waits {
                    may_have_left: item.lost_attempts > 0,
                },
            },
            Some(Status::Finished(row)) => Self::Ended(row.ending, row.lost_attempts),
            None => Self::Forgotten,
        }
    }

    /// As it stood when it was cancelled.
    pub(crate) fn cancelled(was: &Cancelled) -> Self {
        match was {
            Cancelled::Cancelled { may_have_left, .. } => Self::Waits {
                may_have_left: *may_have_left,
            },
            Cancelled::InFlight { .. } => Self::InFlight,
            Cancelled::AlreadyFinished(row) => Self::Ended(row.ending, row.lost_attempts),
            Cancelled::Gone => Self::Forgotten,
        }
    }

    /// What it means for the copy that it carries, once it is cancelled.
    const fn outcome(self) -> (Outcome, Reason) {
        match self {
            Self::InFlight => (Outcome::Pending, Reason::InFlight),
            Self::Ended(Ending::Relayed, _) | Self::Forgotten => {
                (Outcome::Relayed, Reason::TakenOutside)
            }
            Self::Waits {
                may_have_left: true,
            }
            | Self::Ended(_, 1..) => (Outcome::Relayed, Reason::MaybeTakenOutside),
            Self::Ended(Ending::Refused | Ending::Expired, 0) => {
                (Outcome::Prevented, Reason::RefusedOutside)
            }
            Self::Waits {
                may_have_left: false,
            }
            | Self::Ended(Ending::Cancelled, 0) => (Outcome::Prevented, Reason::Queued),
        }
    }
}

/// The outcome of a copy; `None` of a recipient of whom nothing is to be said, since a copy of theirs has
/// its own, it is the sender's, or it was refused.
pub(crate) fn outcome_of(known: Known, now: Timestamp) -> Option<CopyOutcome> {
    let (outcome, reason) = match known {
        Known::Copy {
            stays: None,
            exposure,
        } => return Some(CopyOutcome::withdrawn(exposure, now)),
        Known::Copy {
            stays: Some(why), ..
        }
        | Known::Onward {
            stays: Some(why), ..
        } => why.outcome(),
        Known::Stopped { put_back: true } => (Outcome::BlockedLate, Reason::PutBack),
        Known::Stopped { put_back: false } => (Outcome::BlockedLate, Reason::LateDelivery),
        Known::Onward { stays: None, item } => item.outcome(),
        Known::Led(led) => return of_recipient(led, now),
    };
    Some(CopyOutcome::new(outcome, reason, now))
}

fn of_recipient(led: Led, now: Timestamp) -> Option<CopyOutcome> {
    let (outcome, reason) = match led.place {
        Place::Nowhere | Place::Told => return None,
        // It came under the seal.
        Place::Outside(item @ Item::Ended(Ending::Cancelled, _)) if led.undone => item.outcome(),
        _ if !led.chosen => Stays::NotChosen.outcome(),
        _ if led.undone => (Outcome::KeptByPolicy, Reason::Undone),
        Place::Here(Here {
            stays: Some(why), ..
        }) => why.outcome(),
        Place::Here(_) if !led.reached => (Outcome::BlockedLate, Reason::LateDelivery),
        Place::Outside(_) if !led.reached => (Outcome::Prevented, Reason::Queued),
        Place::Outside(item) => item.outcome(),
        Place::Here(here) => {
            let gone = || match (CopyOutcome::gone(here.exposure, now), here.removed) {
                (gone, true) => gone.with_account_removed(),
                (gone, false) => gone,
            };
            return Some(here.elsewhere.unwrap_or_else(gone));
        }
    };
    Some(CopyOutcome::new(outcome, reason, now))
}

#[cfg(test)]
mod tests {
    use tern_base::OriginId;
    use tern_mailbox::ExposureLevel;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn served(level: ExposureLevel) -> Option<Exposure> {
        Some(Exposure {
            level,
            at: NOW,
            protocol: "imap".into(),
            client: "mutt".into(),
            address: "192.0.2.1".into(),
            origin: OriginId([4; 16]),
        })
    }

    /// The name of an outcome and its reason, by which the tables below are written.
    fn said(known: Known) -> String {
        outcome_of(known, NOW).map_or_else(
            || "nothing".to_owned(),
            |it| {
                assert_eq!(it.at, NOW);
                format!("{} {}", it.outcome.code(), it.reason.code())
            },
        )
    }

    fn led(place: Place) -> Led {
        Led {
            chosen: true,
            reached: true,
            undone: false,
            place,
        }
    }

    fn here(change: impl FnOnce(&mut Here)) -> Place {
        let mut here = Here::default();
        change(&mut here);
        Place::Here(here)
    }

    const WAITS: Item = Item::Waits {
        may_have_left: false,
    };
    const BROKE_OFF: Item = Item::Waits {
        may_have_left: true,
    };

    #[test]
    fn what_is_in_a_mailbox_or_comes_there() {
        use ExposureLevel::{Body, Headers, Preview};
        let copy = |stays, exposure| Known::Copy { stays, exposure };
        let table = [
            (copy(None, None), "withdrawn-unexposed never-served"),
            (
                copy(None, served(Headers)),
                "withdrawn-unexposed headers-served",
            ),
            (copy(None, served(Preview)), "withdrawn-exposed body-served"),
            (
                copy(Some(Stays::Own), served(Body)),
                "kept-by-policy own-copy",
            ),
            (
                copy(Some(Stays::OutOfReach), None),
                "kept-by-policy out-of-reach",
            ),
            (
                copy(Some(Stays::NotChosen), None),
                "kept-by-policy not-chosen",
            ),
            (copy(Some(Stays::Spared), None), "kept-by-policy spared"),
            (
                copy(Some(Stays::Held), None),
                "kept-on-hold-visible held-visible",
            ),
            (Known::Stopped { put_back: true }, "blocked-late put-back"),
            (
                Known::Stopped { put_back: false },
                "blocked-late late-delivery",
            ),
        ];
        for (known, expected) in table {
            assert_eq!(said(known.clone()), expected, "{known:?}");
        }
    }

    #[test]
    fn what_leaves_for_other_servers() {
        let table = [
            (WAITS, "prevented queued"),
            (BROKE_OFF, "relayed maybe-taken-outside"),
            (Item::InFlight, "pending in-flight"),
            (Item::Forgotten, "relayed taken-outside"),
            (Item::Ended(Ending::Relayed, 0), "relayed taken-outside"),
            (Item::Ended(Ending::Relayed, 2), "relayed taken-outside"),
            (Item::Ended(Ending::Refused, 0), "prevented refused-outside"),
            (
                Item::Ended(Ending::Refused, 1),
                "relayed maybe-taken-outside",
            ),
            (Item::Ended(Ending::Expired, 0), "prevented refused-outside"),
            (Item::Ended(Ending::Cancelled, 0), "prevented queued"),
            (
                Item::Ended(Ending::Cancelled, 1),
                "relayed maybe-taken-outside",
            ),
        ];
        for (item, expected) in table {
            let stays = None;
            assert_eq!(said(Known::Onward { stays, item }), expected, "{item:?}");
            let to = led(Place::Outside(item));
            assert_eq!(said(Known::Led(to)), expected, "{item:?}");
            let stays = Some(Stays::OutOfReach);
            let left = said(Known::Onward { stays, item });
            assert_eq!(left, "kept-by-policy out-of-reach");
        }
    }

    #[test]
    fn recipients_whose_copy_says_nothing() {
        let elsewhere = CopyOutcome::withdrawn(served(ExposureLevel::Body), NOW);
        let read = served(ExposureLevel::Attachment);
        let cancelled = Item::Ended(Ending::Cancelled, 0);
        let not_chosen = |place| Led {
            chosen: false,
            ..led(place)
        };
        let unreached = |place| Led {
            reached: false,
            ..led(place)
        };
        let undone = |place| Led {
            undone: true,
            ..led(place)
        };
        let table = [
            (led(Place::Nowhere), "nothing"),
            (undone(Place::Told), "nothing"),
            (not_chosen(Place::Told), "nothing"),
            (led(here(|_| {})), "already-gone deleted-unread"),
            (
                led(here(|it| it.exposure.clone_from(&read))),
                "already-gone deleted-after-serving",
            ),
            (
                led(here(|it| it.removed = true)),
                "already-gone removed-unread",
            ),
            (
                led(here(|it| {
                    it.removed = true;
                    it.exposure.clone_from(&read);
                })),
                "already-gone removed-after-serving",
            ),
            // What another recall holds its owner has not deleted, though their account is gone.
            (
                led(here(|it| {
                    it.elsewhere = Some(elsewhere.clone());
                    it.removed = true;
                })),
                "withdrawn-exposed body-served",
            ),
            // What came under a seal that leaves it has not gone, whatever another recall holds.
            (
                led(here(|it| {
                    it.stays = Some(Stays::Spared);
                    it.elsewhere = Some(elsewhere.clone());
                })),
                "kept-by-policy spared",
            ),
            (not_chosen(here(|_| {})), "kept-by-policy not-chosen"),
            (
                not_chosen(Place::Outside(WAITS)),
                "kept-by-policy not-chosen",
            ),
            (unreached(here(|_| {})), "blocked-late late-delivery"),
            (
                unreached(here(|it| it.stays = Some(Stays::Held))),
                "kept-on-hold-visible held-visible",
            ),
            (
                unreached(Place::Outside(Item::Forgotten)),
                "prevented queued",
            ),
            (undone(here(|_| {})), "kept-by-policy undone"),
            (undone(Place::Outside(WAITS)), "kept-by-policy undone"),
            (undone(Place::Outside(cancelled)), "prevented queued"),
            (
                Led {
                    chosen: false,
                    ..undone(here(|_| {}))
                },
                "kept-by-policy not-chosen",
            ),
        ];
        for (led, expected) in table {
            assert_eq!(said(Known::Led(led.clone())), expected, "{led:?}");
        }
    }
}
