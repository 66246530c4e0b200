//! The options of web push.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Network;

/// Where clients are told what changed that have no connection: web push.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// Networks that push services may be in beside the public Internet, such as those of the own
    /// house: clients choose the URLs, so none of them is reached unless it is named here. A list of
    /// addresses with prefix lengths; default empty.
    pub allowed_networks: Vec<Network>,
    /// File with the certificates by which push services are verified, in PEM. A path; default
    /// `/etc/ssl/certs/ca-certificates.crt`. Without it nothing is pushed.
    pub trusted_certificates: PathBuf,
    /// Whom a push service can turn to (RFC 8292 2.1): a `mailto:` or `https:` URL; default none, which
    /// takes the postmaster of the host name.
    pub contact: Contact,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            allowed_networks: Vec::new(),
            trusted_certificates: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
            contact: Contact::default(),
        }
    }
}

/// A `mailto:` or `https:` URL, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Contact(String);

impl Contact {
    /// The URL; empty for none.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Contact {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let rest = ["mailto:", "https://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        match text.is_empty() || rest.is_some_and(|rest| !rest.is_empty()) {
            true => Ok(Self(text)),
            false => Err(format!("`{text}` is no mailto: or https: URL")),
        }
    }
}

impl From<Contact> for String {
    fn from(contact: Contact) -> Self {
        contact.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn networks_and_a_contact_are_named_or_refused() {
        let read = |text: &str| Config::parse(&format!("[push]\n{text}"), "test");
        let named = read("allowed_networks = [\"10.0.0.0/8\"]\ncontact = \"mailto:a@example.org\"");
        let push = named.expect("right").push;
        assert_eq!(push.contact.as_str(), "mailto:a@example.org");
        let inside = "10.1.2.3".parse().expect("an address");
        assert!(push.allowed_networks.iter().any(|it| it.holds(inside)));
        for wrong in [
            "allowed_networks = [\"office\"]",
            "contact = \"a@example.org\"",
            "contact = \"https://\"",
            "contact = \"http://example.org\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
