//! Why a mailbox verb was not done.

use tern_base::{Fault, codec::Damaged};
use tern_store::StoreError;

/// What there may be no more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Mailboxes of an account.
    #[error("mailboxes of an account")]
    MailboxesOfAccount,
    /// Levels of mailboxes.
    #[error("levels of mailboxes")]
    Depth,
    /// Octets of a mailbox's name.
    #[error("octets of a mailbox name")]
    NameOctets,
    /// UIDs of a mailbox.
    #[error("UIDs of a mailbox")]
    Uids,
    /// Subscriptions to mailboxes of others.
    #[error("subscriptions to mailboxes of others")]
    Subscriptions,
    /// Keywords of a message.
    #[error("keywords of a message")]
    Keywords,
    /// Mailboxes that show one message.
    #[error("mailboxes that show one message")]
    Placements,
    /// Octets of a message.
    #[error("octets of a message")]
    MessageOctets,
    /// Octets of what one recipient's copy begins with.
    #[error("octets of a recipient's prefix")]
    PrefixOctets,
    /// Octets that one command brings in many messages.
    #[error("octets of one APPEND of many messages")]
    AppendOctets,
    /// Accounts and groups with rights in a mailbox.
    #[error("accounts and groups with rights in a mailbox")]
    Grantees,
    /// Mailboxes of one account shared with one account or group.
    #[error("mailboxes of one account shared with one account or group")]
    SharedByOne,
    /// Mailboxes shared with one account or group.
    #[error("mailboxes shared with one account or group")]
    Shared,
    /// Changes of rights that one account makes within an hour.
    #[error("changes of rights within an hour")]
    RightsChanges,
}

/// What no mailbox verb does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The inbox has another special use, or none.
    #[error("the inbox is what it is")]
    InboxUse,
    /// The inbox gets another name.
    #[error("the inbox keeps its name")]
    InboxName,
    /// The inbox is deleted.
    #[error("the inbox stays")]
    InboxStays,
    /// A mailbox goes into itself.
    #[error("a mailbox can't go into itself")]
    IntoItself,
    /// What is in a mailbox goes, and the mailbox is there.
    #[error("the mailbox was not deleted")]
    NotDeleted,
    /// A message is in no mailbox.
    #[error("a message is in at least one mailbox")]
    InNoMailbox,
    /// The owner is given rights, or loses some.
    #[error("the owner has every right")]
    OwnerRights,
    /// A mailbox is shared with nobody that is there.
    #[error("there is nobody of that id to share it with")]
    NobodyThere,
}

/// Why a mailbox verb was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// There is no such account.
    #[error("no such account")]
    NoAccount,
    /// There is no such mailbox.
    #[error("no such mailbox")]
    NoMailbox,
    /// There is no such message.
    #[error("no such message")]
    NoMessage,
    /// A mailbox of that name is there already.
    #[error("a mailbox of that name exists")]
    Exists,
    /// The account's quota would be exceeded.
    #[error("the account is over its quota")]
    QuotaExceeded,
    /// So would the bound on what is kept of the account, though its owner removed it.
    #[error("the account is over its quota with what has to be kept of it")]
    KeptQuotaExceeded,
    /// One of [`crate::limits`].
    #[error("over the limit: {0}")]
    Limit(Limit),
    /// A mailbox can't have this name.
    #[error("not a mailbox name: {0}")]
    InvalidName(&'static str),
    /// The mailbox can't be changed in this way.
    #[error("not allowed: {0}")]
    NotAllowed(NotAllowed),
    /// Whoever asks has no right to do this in a mailbox that they may see.
    #[error("no right to do that in this mailbox")]
    NotPermitted,
    /// The mailbox has mailboxes in it, and so can't be deleted.
    #[error("the mailbox has mailboxes in it")]
    HasChildren,
    /// The mailbox holds messages, and is to be deleted only if it does not.
    #[error("the mailbox holds messages")]
    NotEmpty,
    /// Another mailbox has this special use.
    #[error("another mailbox has this special use")]
    RoleTaken,
    /// A mailbox can't be in this one: it is not there, or is within the mailbox itself.
    #[error("a mailbox can't be in that one")]
    NoParent,
    /// What changed after that modseq is not known any more.
    #[error("the changes since then are not known any more")]
    NoHistory,
    /// The content is sealed: it is on its way out of the mailbox.
    #[error("the message is being removed")]
    Sealed,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MailboxError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoAccount | Self::NoMailbox | Self::NoMessage | Self::Exists => Fault::Peer,
            Self::InvalidName(_) => Fault::Peer,
            Self::QuotaExceeded | Self::KeptQuotaExceeded => Fault::Policy,
            Self::Limit(_) | Self::NotAllowed(_) | Self::Sealed => Fault::Policy,
            Self::NotPermitted => Fault::Policy,
            Self::NoParent | Self::NoHistory => Fault::Peer,
            Self::HasChildren | Self::NotEmpty | Self::RoleTaken => Fault::Policy,
            Self::Store(error) => error.fault(),
        }
    }
}

impl From<Damaged> for MailboxError {
    fn from(_: Damaged) -> Self {
        Self::Store(StoreError::Damaged)
    }
}

/// What a chore passes over: where the rows of one thing are damaged it goes on with the next, so that they keep
/// no other from being done, and fails in the end. Any other failure ends it.
#[derive(Debug, Default)]
pub(crate) struct PassedOver(bool);

impl PassedOver {
    /// What was done; none where it met a damaged row.
    pub(crate) fn pass_over<T>(
        &mut self,
        done: Result<T, MailboxError>,
    ) -> Result<Option<T>, MailboxError> {
        match done {
            Err(MailboxError::Store(StoreError::Damaged)) => {
                self.0 = true;
                Ok(None)
            }
            done => done.map(Some),
        }
    }

    /// The chore's answer.
    pub(crate) fn answer<T>(self, done: T) -> Result<T, MailboxError> {
        match self.0 {
            true => Err(StoreError::Damaged.into()),
            false => Ok(done),
        }
    }
}
