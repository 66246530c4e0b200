//! Legal holds: what is surely held is not destroyed, nor hidden where that is forbidden; nothing is
//! kept without a hold.
//!
//! A hold counts from the step after the one in which it was acknowledged, until somebody asks for
//! its release: in between is a moment at which either may be so.

use std::collections::BTreeSet;

use tern_base::{AccountId, ContentDigest, MessageId};
use tern_mailbox::{KEPT, MailboxError, Seal, SealTag};
use tern_recall::HoldId;

use super::{Copy, Oracle, Place};

/// What is known of a hold.
#[derive(Clone, Debug)]
pub(crate) struct HeldBy {
    account: Option<AccountId>,
    digest: Option<ContentDigest>,
    visible: bool,
    stage: Stage,
}

/// Whether a hold is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody knows.
    Perhaps,
    /// Since this step.
    Placed,
    /// Since a step before.
    InForce,
}

impl HeldBy {
    /// A hold over an account or a letter, about to be placed.
    pub(crate) const fn asked(
        account: Option<AccountId>,
        digest: Option<ContentDigest>,
        visible: bool,
    ) -> Self {
        Self {
            account,
            digest,
            visible,
            stage: Stage::Perhaps,
        }
    }

    /// Whether the server said that it is placed, and nobody has asked for its release.
    pub(super) fn is_placed(&self) -> bool {
        self.stage != Stage::Perhaps
    }

    fn fits(&self, account: AccountId, digest: ContentDigest) -> bool {
        self.account.is_none_or(|of| of == account) && self.digest.is_none_or(|of| of == digest)
    }
}

impl Oracle {
    /// The server says that a hold is placed.
    pub(crate) fn hold_placed(&mut self, id: HoldId) {
        if let Some(hold) = self.holds.get_mut(&id) {
            hold.stage = Stage::Placed;
        }
    }

    /// Somebody asks for the release of a hold.
    pub(crate) fn hold_let_go(&mut self, id: HoldId) {
        if let Some(hold) = self.holds.get_mut(&id) {
            hold.stage = Stage::Perhaps;
        }
    }

    pub(super) fn surely_held(&self, account: AccountId, digest: ContentDigest) -> bool {
        let mut holds = self.holds.values();
        holds.any(|hold| hold.stage == Stage::InForce && hold.fits(account, digest))
    }

    pub(super) fn perhaps_held(&self, account: AccountId, digest: ContentDigest) -> bool {
        self.holds.values().any(|hold| hold.fits(account, digest))
    }

    /// Whether a hold that forbids hiding may have spared an account's copies of a letter: for the
    /// letter, or for a message that carries it.
    pub(super) fn perhaps_visible(&self, account: AccountId, digest: ContentDigest) -> bool {
        let carriers = self.letters.values();
        let carriers = carriers.filter(|letter| {
            letter.carried.iter().any(|(of, _)| *of == digest)
                || letter.returned.is_some_and(|(of, _)| of == digest)
        });
        let carriers: Vec<ContentDigest> = carriers.map(|letter| letter.digest).collect();
        let mut holds = self.holds.values().filter(|hold| hold.visible);
        holds.any(|hold| {
            let mut letters = carriers.iter().chain([&digest]);
            letters.any(|of| hold.fits(account, *of))
        })
    }

    /// A seal that falls covers no copy that was shown before and that may not be hidden. One that another
    /// seal hides already was hidden before the hold: it brings nothing back into view.
    pub(super) fn check_hidden(&mut self, digest: ContentDigest, seal: &Seal) {
        let forbids = |hold: &&HeldBy| hold.visible && hold.stage == Stage::InForce;
        let holds: Vec<&HeldBy> = self.holds.values().filter(forbids).collect();
        let hidden = self.copies.iter().find(|((account, _), copy)| {
            let held = holds.iter().any(|hold| hold.fits(*account, copy.digest));
            let carriage = copy.carriage_of(digest);
            held && matches!(copy.place, Place::Shown(_))
                && carriage.is_some_and(|how| seal.covers(*account, copy.origin, how))
                && !self.is_hidden_but_by(seal.tag, *account, copy)
        });
        if let Some((id, _)) = hidden {
            let what = format!("a seal covers {id:?}, which a hold forbids to hide");
            self.broke(what);
        }
    }

    /// Whether a seal other than this one covers a copy.
    fn is_hidden_but_by(&self, tag: SealTag, account: AccountId, copy: &Copy) -> bool {
        self.seals.iter().any(|(digest, seals)| {
            let covers = |how| {
                let mut others = seals.iter().filter(|seal| seal.tag != tag);
                others.any(|seal| seal.covers(account, copy.origin, how))
            };
            copy.carriage_of(*digest).is_some_and(covers)
        })
    }

    /// An owner has removed a copy: where it is surely held it is owed from then on.
    pub(super) fn note_removed(&mut self, id: (AccountId, MessageId), copy: &Copy) {
        if self.surely_held(id.0, copy.digest) {
            self.owed.insert(id);
        }
    }

    /// What is owed is there: with a mailbox that is still being deleted, or in the vault.
    pub(super) fn check_held(&mut self) -> Result<(), String> {
        if !self.owed.is_empty() {
            let kept = self.observer.sealing.vaulted(KEPT, None, 10_000);
            let kept = kept.map_err(|error| error.to_string())?;
            let kept: BTreeSet<_> = kept
                .iter()
                .map(|copy| (copy.account, copy.message))
                .collect();
            for (account, message) in std::mem::take(&mut self.owed) {
                let Some(copy) = self.copies.get(&(account, message)) else {
                    continue;
                };
                if !self.surely_held(account, copy.digest) || kept.contains(&(account, message)) {
                    continue;
                }
                // Its rows go one after the other, and what is held of them into the vault.
                if self.people.going().contains(&account) {
                    self.owed.insert((account, message));
                    continue;
                }
                match self.observer.mailboxes.message(account, message) {
                    Ok(_) | Err(MailboxError::Sealed) => drop(self.owed.insert((account, message))),
                    Err(error) => self.broke(format!(
                        "account {account}: message {message} is held and was destroyed: {error}"
                    )),
                }
            }
        }
        for hold in self.holds.values_mut() {
            if hold.stage == Stage::Placed {
                hold.stage = Stage::InForce;
            }
        }
        Ok(())
    }
}
