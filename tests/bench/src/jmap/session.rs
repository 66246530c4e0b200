//! What a session resource (RFC 8620 2) tells: the account, and where things are.
//!
//! Invariant: URLs are taken as paths on the server that told them, whatever host they name: the target
//! is on loopback.

use serde_json::Value;

use super::http::path_of;
use crate::error::{Error, Result};

/// Where one account's resources are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// The account's id.
    pub(super) account: String,
    /// Where method calls go.
    pub(super) api: String,
    upload: String,
    download: String,
    events: String,
    /// Where the WebSocket is, if there is one (RFC 8887 3).
    pub(super) socket: Option<String>,
}

/// The capability under which mail is.
pub(super) const MAIL: &str = "urn:ietf:params:jmap:mail";
/// The capability that tells of a WebSocket.
const WEBSOCKET: &str = "urn:ietf:params:jmap:websocket";

impl Session {
    /// Reads the resource.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| Error::Usage(format!("the session is no JSON: {error}")))?;
        let path = |name: &str| {
            let url = value.get(name).and_then(Value::as_str);
            url.map(|url| path_of(url).to_owned())
                .ok_or_else(|| Error::Usage(format!("the session tells no {name}")))
        };
        let account = value
            .pointer("/primaryAccounts")
            .and_then(|all| all.get(MAIL));
        let account = account
            .and_then(Value::as_str)
            .ok_or_else(|| Error::Usage("the session has no account with mail".into()))?;
        let socket = value
            .get("capabilities")
            .and_then(|all| all.get(WEBSOCKET)?.get("url")?.as_str());
        Ok(Self {
            account: account.to_owned(),
            api: path("apiUrl")?,
            upload: path("uploadUrl")?,
            download: path("downloadUrl")?,
            events: path("eventSourceUrl")?,
            socket: socket.map(|url| path_of(url).to_owned()),
        })
    }

    /// Where uploads go.
    pub(super) fn upload(&self) -> String {
        self.upload.replace("{accountId}", &self.account)
    }

    /// Where a blob is.
    pub(super) fn download(&self, blob: &str) -> String {
        self.download
            .replace("{accountId}", &self.account)
            .replace("{blobId}", blob)
            .replace("{name}", "blob")
            .replace("{type}", "application%2Foctet-stream")
    }

    /// Where all changes are told, without pings.
    pub(super) fn events(&self) -> String {
        self.events
            .replace("{types}", "*")
            .replace("{closeafter}", "no")
            .replace("{ping}", "0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_tells_where_things_are() {
        let text = br#"{"primaryAccounts":{"urn:ietf:params:jmap:mail":"a1"},
            "capabilities":{"urn:ietf:params:jmap:websocket":{"url":"wss://h:1/jmap/ws/"}},
            "apiUrl":"https://h:1/jmap/api/","uploadUrl":"/up/{accountId}/",
            "downloadUrl":"/down/{accountId}/{blobId}/{name}?accept={type}",
            "eventSourceUrl":"/ev/?types={types}&closeafter={closeafter}&ping={ping}"}"#;
        let session = Session::parse(text).unwrap();
        assert_eq!(session.api, "/jmap/api/");
        assert_eq!(session.upload(), "/up/a1/");
        assert_eq!(
            session.download("b"),
            "/down/a1/b/blob?accept=application%2Foctet-stream"
        );
        assert_eq!(session.events(), "/ev/?types=*&closeafter=no&ping=0");
        assert_eq!(session.socket.as_deref(), Some("/jmap/ws/"));
        assert!(Session::parse(b"{}").is_err());
    }
}
