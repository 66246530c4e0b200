//! Legal holds: what may not be destroyed, whoever asks, for as long as the hold lasts.
//!
//! A hold is over an account, a message or a search, and is a standing condition: what comes later
//! and fits it is held too. It lets a recall withdraw what it covers and keeps it in the vault; a
//! hold that forbids hiding keeps such copies where they are.
//!
//! Invariant: whoever would remove something for good, or seal it, reads the head of the holds in
//! the transaction that does so, and every change of a hold rewrites it: a hold at the same moment
//! is a conflict, not a loss.

mod book;
mod export;
mod place;
mod sweep;
mod visible;

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, EmailAddress, Entropy, OriginId, Timestamp};

use crate::Submission;

pub use book::HoldBook;
pub(crate) use book::{Head, head_in};
pub use export::{HeldCopy, HeldPage};
pub use place::NewHold;
pub use sweep::KeptCopies;

/// The id of one hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub [u8; 16]);

impl HoldId {
    /// A new id; sorts by time.
    pub fn new(now: Timestamp, entropy: &mut dyn Entropy) -> Self {
        Self(OriginId::new(now, entropy).0)
    }

    /// The id of a hexadecimal text.
    pub fn from_hex(text: &str) -> Option<Self> {
        OriginId::from_hex(text).map(|id| Self(id.0))
    }
}

impl std::fmt::Display for HoldId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        OriginId(self.0).fmt(f)
    }
}

/// What a hold is over: whatever fits every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Mail in the mailboxes of this account.
    pub account: Option<AccountId>,
    /// With this Message-ID, without angle brackets.
    pub message_id: Option<String>,
    /// That is this letter.
    pub digest: Option<ContentDigest>,
    /// That this address sent: by the account that submitted it, or as its header says. A hold
    /// gives nobody anything, so the word of a header is enough.
    pub sender: Option<EmailAddress>,
    /// Whose subject has this in it, whatever the case.
    pub subject: Option<String>,
    /// Sent or received at this time or later.
    pub since: Option<Timestamp>,
    /// Sent or received before this time.
    pub until: Option<Timestamp>,
}

/// One legal hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// What it is over.
    pub scope: Scope,
    /// The account that `scope.sender` is, where it is one of this server.
    pub sender: Option<AccountId>,
    /// Who placed it, by name.
    pub by: String,
    /// Why, in their words.
    pub why: String,
    /// When it was placed.
    pub placed: Timestamp,
    /// When it ends by itself; none for when it is released.
    pub ends: Option<Timestamp>,
    /// What it holds may not be hidden either: a recall leaves it where it is.
    pub visible: bool,
}

impl Scope {
    /// Whether nothing is set, and everything would fit.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it says anything of a message besides whose mailbox it is in.
    fn is_about_messages(&self) -> bool {
        let of_any_account = Self {
            account: None,
            ..self.clone()
        };
        !of_any_account.is_everything()
    }

    fn covers_time(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    fn covers_subject(&self, found: &str) -> bool {
        let fits = |wanted: &String| found.to_lowercase().contains(&wanted.to_lowercase());
        self.subject.as_ref().is_none_or(fits)
    }
}

impl Hold {
    /// Whether it holds anything now.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|ends| ends > now)
    }

    /// Whether it is about a message, whoever has it: one over an account alone is about none.
    pub(crate) fn is_about(&self, found: &Submission) -> bool {
        self.scope.is_about_messages() && self.fits_submission(found)
    }

    /// Whether a submission fits, whoever got it.
    fn fits_submission(&self, found: &Submission) -> bool {
        let scope = &self.scope;
        let is_sender = |wanted: &EmailAddress| {
            let from = found.mail_from.as_ref();
            self.sender == Some(found.account)
                || from.is_some_and(|from| from.canonical() == wanted.canonical())
        };
        let message_id = scope.message_id.as_ref();
        message_id.is_none_or(|wanted| *wanted == found.message_id)
            && scope.digest.is_none_or(|wanted| wanted == found.digest)
            && scope.sender.as_ref().is_none_or(is_sender)
            && scope.covers_subject(&found.subject_text())
            && scope.covers_time(found.submitted)
    }

    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(1);
        let text = |w: &mut Writer, text: &String| {
            w.text(text);
        };
        let time = |w: &mut Writer, at: Timestamp| {
            w.number(at.0);
        };
        let account = |w: &mut Writer, account: AccountId| {
            w.number(account.0.into());
        };
        let scope = &self.scope;
        w.option(scope.account, account)
            .option(scope.message_id.as_ref(), text)
            .option(scope.digest, |w, digest| {
                w.array(&digest.0);
            })
            .option(scope.sender.as_ref(), |w, sender| {
                w.text(&sender.to_string());
            })
            .option(scope.subject.as_ref(), text)
            .option(scope.since, time)
            .option(scope.until, time)
            .option(self.sender, account)
            .text(&self.by)
            .text(&self.why)
            .number(self.placed.0)
            .option(self.ends, time)
            .byte(self.visible.into())
            .finish()
    }

    fn decode(id: HoldId, bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 1)?;
        let account = |r: &mut Reader<'_>| r.number32().map(AccountId);
        let time = |r: &mut Reader<'_>| r.number().map(Timestamp);
        let address = |r: &mut Reader<'_>| EmailAddress::parse(&r.text()?).map_err(|_| Damaged);
        Ok(Self {
            id,
            scope: Scope {
                account: r.option(account)?,
                message_id: r.option(Reader::text)?,
                digest: r.option(|r| r.array().map(ContentDigest))?,
                sender: r.option(address)?,
                subject: r.option(Reader::text)?,
                since: r.option(time)?,
                until: r.option(time)?,
            },
            sender: r.option(account)?,
            by: r.text()?,
            why: r.text()?,
            placed: time(&mut r)?,
            ends: r.option(time)?,
            visible: r.byte()? != 0,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn holds_round_trip() {
        let full = Hold {
            id: HoldId([3; 16]),
            scope: Scope {
                account: Some(AccountId(7)),
                message_id: Some("a@b".into()),
                digest: Some(ContentDigest([4; 16])),
                sender: Some(EmailAddress::parse("Anna@example.org").unwrap()),
                subject: Some("merger".into()),
                since: Some(Timestamp(5)),
                until: Some(Timestamp(6)),
            },
            sender: Some(AccountId(8)),
            by: "legal".into(),
            why: "case 12".into(),
            placed: Timestamp(9),
            ends: Some(Timestamp(10)),
            visible: true,
        };
        let bare = Hold {
            scope: Scope::default(),
            sender: None,
            ends: None,
            visible: false,
            ..full.clone()
        };
        for hold in [full, bare] {
            assert_eq!(Hold::decode(hold.id, &hold.encode()), Ok(hold));
        }
    }
}
