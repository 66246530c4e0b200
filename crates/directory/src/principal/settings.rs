//! Who sees whom: one option, with its default.

use serde::{Deserialize, Serialize};

/// The options of the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whom an account finds in the address book that clients ask for (RFC 9670): names and primary
    /// addresses of `own`, itself alone, of `domain`, the accounts and groups of its own domain, or of
    /// `everyone` on the server; default `domain`.
    pub visible: Visible,
}

/// Whom an account sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Visible {
    /// Itself.
    Own,
    /// The accounts and groups of its own domain.
    #[default]
    Domain,
    /// All of the server.
    Everyone,
}
