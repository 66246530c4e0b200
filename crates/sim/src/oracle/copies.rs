//! One copy, from the moment that it was first durable.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{AccountId, ContentDigest, MailboxId, OriginId, Timestamp, Uid};
use tern_mailbox::{Carriage, Flags, KEPT, SealTag};

/// Where a copy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not met by a check yet.
    Unmet,
    /// In these mailboxes.
    Shown(Shown),
    /// In the vault, under this tag.
    Vault(SealTag),
    /// Deleted by its owner; under a hold it is in the vault under [`KEPT`].
    Gone,
}

impl Place {
    /// Whether its owner, or a recall, has it.
    pub(crate) fn is_within_reach(&self) -> bool {
        !matches!(self, Self::Gone | Self::Vault(KEPT))
    }
}

/// The mailboxes that show a copy.
pub(crate) type Shown = BTreeMap<MailboxId, (Uid, Flags)>;

/// One copy.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// The letter; `None` is mail of the system's own.
    pub(crate) letter: Option<u32>,
    pub(crate) digest: ContentDigest,
    /// The letters that it carries, and how.
    pub(crate) carried: Vec<(ContentDigest, Carriage)>,
    pub(crate) origin: OriginId,
    pub(crate) place: Place,
    pub(crate) received: Option<Timestamp>,
    /// Octets of text or attachment were seen to leave.
    pub(crate) body_out: bool,
    /// The same, before this step: a copy that is made of it in this step is exposed too.
    pub(crate) body_out_before: bool,
    /// To which addresses they were seen to leave.
    pub(crate) served_to: BTreeSet<&'static str>,
    /// Who had text of it by rights in its owner's mailbox.
    pub(crate) guests: BTreeSet<AccountId>,
    /// Its owner brought it from somebody else's mailbox.
    pub(crate) brought: bool,
    /// A client put it there, or it was made of what one did.
    pub(crate) by_client: bool,
    /// It was about to be served, and perhaps the connection was cut, the process killed, the
    /// commit's answer lost or the letter sealed before an octet left.
    pub(crate) attempted: bool,
    /// It was taken out by a seal at least once.
    pub(crate) withdrawn: bool,
    /// Its owner removed it at least once while a hold kept it.
    pub(crate) kept: bool,
    /// It arrived under a seal.
    pub(crate) late: bool,
    /// What is left of a letter, and its owner has made it of another such.
    pub(crate) by_owner: bool,
    /// A report of the server, which it replaces by itself.
    pub(crate) report: bool,
    /// Where it was when it was withdrawn, with the flags.
    pub(crate) before: Shown,
}

impl Copy {
    pub(crate) const fn new(
        letter: Option<u32>,
        digest: ContentDigest,
        carried: Vec<(ContentDigest, Carriage)>,
        origin: OriginId,
    ) -> Self {
        Self {
            letter,
            digest,
            carried,
            origin,
            place: Place::Unmet,
            received: None,
            body_out: false,
            served_to: BTreeSet::new(),
            guests: BTreeSet::new(),
            brought: false,
            by_client: false,
            attempted: false,
            withdrawn: false,
            kept: false,
            late: false,
            body_out_before: false,
            by_owner: false,
            report: false,
            before: BTreeMap::new(),
        }
    }

    /// How it has to do with a letter: it is the letter (`None`), or carries it so.
    pub(crate) fn carriage_of(&self, digest: ContentDigest) -> Option<Option<Carriage>> {
        let carried = self.carried.iter().find(|(of, _)| *of == digest);
        match self.digest == digest {
            true => Some(None),
            false => carried.map(|(_, carriage)| Some(*carriage)),
        }
    }
}
