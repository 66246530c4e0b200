//! What can be wrong with a change of the directory, and whose fault it is.

use tern_base::Fault;
use tern_base::codec::Damaged;
use tern_store::StoreError;

/// What there may be no more of, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Targets of a redirect.
    #[error("targets of a redirect")]
    RedirectTargets,
    /// Grants of roles.
    #[error("grants")]
    Grants,
    /// Identities of an account.
    #[error("identities")]
    Identities,
    /// An identity's name.
    #[error("name of an identity")]
    IdentityName,
    /// A signature.
    #[error("signature")]
    Signature,
    /// Addresses of an identity.
    #[error("addresses of an identity")]
    IdentityAddresses,
    /// A display name.
    #[error("display name")]
    DisplayName,
    /// Members that one call adds or removes.
    #[error("members in one call")]
    MembersAtOnce,
    /// Members of a group.
    #[error("members of a group")]
    Members,
    /// A credential's label.
    #[error("label")]
    Label,
    /// App passwords of an account.
    #[error("app passwords")]
    AppPasswords,
    /// The part of an address before the @.
    #[error("local part")]
    LocalPart,
    /// Targets of an alias.
    #[error("targets of an alias")]
    AliasTargets,
    /// Push subscriptions of an account.
    #[error("subscriptions")]
    Subscriptions,
    /// Push subscriptions that an account makes within an hour.
    #[error("new subscriptions")]
    NewSubscriptions,
    /// What one push subscription says.
    #[error("subscription")]
    Subscription,
    /// Delegates of an account.
    #[error("delegates")]
    Delegates,
}

/// Why the directory did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The domain is not one of this server.
    #[error("the domain is not one of this server")]
    UnknownDomain,
    /// The domain still has addresses.
    #[error("the domain still has addresses")]
    DomainNotEmpty,
    /// The address leads to something else already.
    #[error("the address is taken")]
    AddressTaken,
    /// There is no such account, alias, group or credential.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A bound of [`crate::limits`].
    #[error("too many or too long: {0}")]
    Limit(Limit),
    /// A second factor is set up: it is removed before another is.
    #[error("a second factor is set up already; remove it first")]
    FactorThere,
    /// No second factor is set up.
    #[error("no second factor is set up")]
    NoFactor,
    /// The address is not the account's own.
    #[error("the address is not the account's own")]
    NotOwnAddress,
    /// An account's mail would be sent on to itself.
    #[error("an account's mail is not sent on to itself")]
    OwnAddress,
    /// An identity is there for as long as its address is.
    #[error("the identity is there for as long as its address is")]
    ComesWithAddress,
    /// The code is not the one that the URL was sent.
    #[error("this is not the code that was sent")]
    WrongCode,
    /// Nobody gives themselves a role.
    #[error("nobody gives themselves a role")]
    OwnRole,
    /// Nobody is their own delegate.
    #[error("nobody is their own delegate")]
    OwnDelegate,
    /// Every account holds this role already.
    #[error("every account holds this role")]
    EverybodysRole,
    /// The password can't be used.
    #[error("a password is 8 to 1024 bytes long")]
    BadPassword,
    /// The hash can't be used.
    #[error(
        "a password hash is Argon2id in the PHC string format, of at most 64 MiB and 10 passes"
    )]
    BadHash,
}

impl DirectoryError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::UnknownDomain
            | Self::NotFound(_)
            | Self::Limit(_)
            | Self::EverybodysRole
            | Self::FactorThere
            | Self::NoFactor
            | Self::BadPassword
            | Self::WrongCode
            | Self::BadHash => Fault::Peer,
            Self::DomainNotEmpty
            | Self::AddressTaken
            | Self::NotOwnAddress
            | Self::OwnAddress
            | Self::ComesWithAddress
            | Self::OwnDelegate
            | Self::OwnRole => Fault::Policy,
        }
    }
}

impl From<Damaged> for DirectoryError {
    fn from(damaged: Damaged) -> Self {
        Self::Store(damaged.into())
    }
}
