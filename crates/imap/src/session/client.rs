//! The client at the other end: what it says of itself, for the records of what it is served.
//!
//! Invariant: nothing here is proof of anything; a client may say what it likes (RFC 2971 2).

use tern_mailbox::{Client, Viewer};
use tern_session::Protocol as _;

use super::Session;
use crate::limits::MAX_CLIENT_NAME;

/// What the records call the protocol.
const PROTOCOL: &str = "imap";

impl Session {
    /// The client said what it is (RFC 2971 3.3).
    pub(super) fn introduced(&mut self, fields: &[(String, Option<String>)]) {
        let field = |wanted: &str| {
            let is_it = |(name, _): &&(String, Option<String>)| name == wanted;
            let value = fields
                .iter()
                .find(is_it)
                .and_then(|(_, value)| value.as_deref());
            let mut text = value.unwrap_or_default().to_owned();
            text.truncate(text.floor_char_boundary(MAX_CLIENT_NAME));
            text
        };
        let os = [field("os"), field("os-version")].join(" ");
        self.client = Some(Box::new(Client {
            name: field("name"),
            version: field("version"),
            vendor: field("vendor"),
            os: os.trim().to_owned(),
            ..Client::default()
        }));
    }

    /// The client as far as it is known.
    pub(super) fn client(&self) -> Client {
        let said = self.client.as_deref().cloned().unwrap_or_default();
        let token = self.authenticated().and_then(|who| who.token.clone());
        Client {
            protocol: PROTOCOL.to_owned(),
            token: token.unwrap_or_default(),
            ..said
        }
    }

    /// To whom content is served, and who brings it.
    pub(super) fn viewer(&self) -> Viewer {
        let client = self.client();
        Viewer {
            protocol: PROTOCOL,
            client: client.title(),
            address: self.peer.ip.to_string(),
            device: client.id(),
        }
    }
}
