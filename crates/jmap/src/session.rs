//! The session resource (RFC 8620 2).

use serde_json::{Map, Value, json};
use tern_session::ids;

use crate::{Caller, Capability, principal};

/// Where the endpoints of the shell are, as URLs or URI templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// `apiUrl`
    pub api: String,
    /// `downloadUrl`
    pub download: String,
    /// `uploadUrl`
    pub upload: String,
    /// `eventSourceUrl`
    pub event_source: String,
    /// `url` of the WebSocket capability (RFC 8887 3)
    pub websocket: String,
}

impl Endpoints {
    /// The endpoints below a base URL without a slash at its end.
    pub fn below(base: &str) -> Self {
        let bare = base.strip_prefix("https://").unwrap_or(base);
        Self {
            websocket: format!("wss://{bare}/jmap/ws/"),
            api: format!("{base}/jmap/api/"),
            download: format!(
                "{base}/jmap/download/{{accountId}}/{{blobId}}/{{name}}?accept={{type}}"
            ),
            upload: format!("{base}/jmap/upload/{{accountId}}/"),
            event_source: format!(
                "{base}/jmap/eventsource/?types={{types}}&closeafter={{closeafter}}&ping={{ping}}"
            ),
        }
    }
}

/// The session of a caller.
///
/// `application_server_key` is the one that signs what is pushed (RFC 9749 3).
pub fn resource(caller: &Caller, endpoints: &Endpoints, application_server_key: &str) -> Value {
    let account = ids::account_id(caller.account);
    let mut primary = Map::new();
    let mut of_server = Map::new();
    for capability in Capability::ALL {
        let uri = capability.uri().to_owned();
        let mut about = capability.of_server();
        match capability {
            Capability::WebSocket => about["url"] = endpoints.websocket.as_str().into(),
            Capability::WebPushVapid => {
                about["applicationServerKey"] = application_server_key.into();
            }
            _ => {}
        }
        of_server.insert(uri.clone(), about);
        if capability.of_account().is_some() {
            primary.insert(uri, account.as_str().into());
        }
    }
    json!({
        "capabilities": of_server,
        "accounts": {account: self::account(caller)},
        "primaryAccounts": primary,
        "username": caller.login,
        "apiUrl": endpoints.api,
        "downloadUrl": endpoints.download,
        "uploadUrl": endpoints.upload,
        "eventSourceUrl": endpoints.event_source,
        "state": state(caller),
    })
}

/// The Account of a caller.
pub(crate) fn account(caller: &Caller) -> Value {
    let mut capabilities = Map::new();
    for capability in Capability::ALL {
        if let Some(about) = capability.of_account() {
            capabilities.insert(capability.uri().to_owned(), about);
        }
    }
    // RFC 9670 1.5: principals are in each account that they are seen from.
    let principal = principal::of_caller(caller);
    let about = json!({"currentUserPrincipalId": principal});
    capabilities.insert(Capability::Principals.uri().to_owned(), about);
    let owner = format!("{}:owner", Capability::Principals.uri());
    let account = ids::account_id(caller.account);
    let about = json!({"accountIdForPrincipal": account, "principalId": principal});
    capabilities.insert(owner, about);
    json!({
        "name": caller.login,
        "isPersonal": true,
        "isReadOnly": false,
        "accountCapabilities": capabilities,
    })
}

/// The state of the session: it changes with whatever the resource says.
pub fn state(caller: &Caller) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    for capability in Capability::ALL {
        hasher.update(capability.uri().as_bytes());
        hasher.update(capability.of_server().to_string().as_bytes());
    }
    hasher.update(caller.login.as_bytes());
    let digest = hasher.finalize().to_hex();
    digest.as_str().get(..16).unwrap_or_default().to_owned()
}
