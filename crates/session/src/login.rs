//! A login: what a client shows, what became of it, and who it then is.
//!
//! Invariant: a password is in [`Credentials`] alone, which never show it and wipe it when dropped.

use std::fmt;

use tern_base::AccountId;
use zeroize::Zeroizing;

/// How somebody authenticates. SCRAM-SHA-256 (RFC 7677) will be another variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// RFC 4616
    Plain,
    /// HTTP's Basic (RFC 7617).
    Basic,
    /// HTTP's Bearer (RFC 6750): an app password.
    Bearer,
    /// IMAP's LOGIN command, or the SASL mechanism of draft-murchison-sasl-login: obsolete, and
    /// still what some clients speak.
    Login,
}

impl Mechanism {
    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Basic => "Basic",
            Self::Bearer => "Bearer",
            Self::Login => "LOGIN",
        }
    }
}

/// What a client wants to have verified.
pub struct Credentials {
    /// The mechanism by which they came.
    pub mechanism: Mechanism,
    /// Whom the client wants to act as, where it named somebody else (RFC 4616 authzid).
    pub act_as: Option<String>,
    /// The login name.
    pub login: String,
    /// The password; wiped when dropped.
    pub password: Zeroizing<String>,
}

impl Credentials {
    /// `None` where a part is missing, or holds a NUL (RFC 4616 2).
    pub fn new(
        mechanism: Mechanism,
        act_as: Option<&str>,
        login: &str,
        password: &str,
    ) -> Option<Self> {
        let is_part = |text: &str| !text.is_empty() && !text.contains('\0');
        let act_as = act_as.filter(|name| !name.is_empty() && *name != login);
        (is_part(login) && is_part(password)).then(|| Self {
            mechanism,
            act_as: act_as.map(str::to_owned),
            login: login.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        })
    }

    /// That they are right: they are those of `account`, which the directory calls `login`, and of the app
    /// password that its owner calls `token`.
    pub fn accepted(&self, account: AccountId, login: String, token: Option<String>) -> Verified {
        Verified::Accepted(Authenticated {
            account,
            login,
            mechanism: self.mechanism,
            token,
        })
    }
}

impl fmt::Debug for Credentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("mechanism", &self.mechanism)
            .field("act_as", &self.act_as)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// What became of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// They are right.
    Accepted(Authenticated),
    /// They are wrong, in whatever respect: told apart to nobody.
    Refused,
    /// Not tried: too many failures from this place lately.
    Throttled,
    /// Can't be told now.
    Unavailable,
}

/// Who has authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The account.
    pub account: AccountId,
    /// The login as the directory writes it.
    pub login: String,
    /// The mechanism used.
    pub mechanism: Mechanism,
    /// What its owner calls the app password that was shown; `None` for the account's own.
    pub token: Option<String>,
}
