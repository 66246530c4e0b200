//! The session resource (RFC 8620 2).

use serde_json::{Map, Value, json};
use tern_base::AccountId;
use tern_directory::PrincipalId;
use tern_mailbox::{Grantee, MailboxError, Rights};
use tern_session::ids;

use crate::scope::Scope;
use crate::{Caller, Capability, Verbs, principal};

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
///
/// # Errors
/// The store.
pub fn resource(
    verbs: &Verbs<'_>,
    caller: &Caller,
    endpoints: &Endpoints,
    application_server_key: &str,
) -> Result<Value, MailboxError> {
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
    let mut accounts = Map::from_iter([(account, self::account(caller))]);
    for other in others(verbs, caller)? {
        accounts.insert(ids::account_id(other.account), other.object(caller));
    }
    Ok(json!({
        "capabilities": of_server,
        "accounts": accounts,
        "primaryAccounts": primary,
        "username": caller.login,
        "apiUrl": endpoints.api,
        "downloadUrl": endpoints.download,
        "uploadUrl": endpoints.upload,
        "eventSourceUrl": endpoints.event_source,
        "state": state(verbs, caller),
    }))
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
    let (owner, about) = owned_by(caller, caller.account);
    capabilities.insert(owner, about);
    json!({
        "name": caller.login,
        "isPersonal": true,
        "isReadOnly": false,
        "accountCapabilities": capabilities,
    })
}

/// RFC 9670 1.5.2: which principal an account is of, and where that is found.
fn owned_by(caller: &Caller, owner: AccountId) -> (String, Value) {
    let about = json!({
        "accountIdForPrincipal": ids::account_id(caller.account),
        "principalId": principal::id_of(PrincipalId::Account(owner)),
    });
    (format!("{}:owner", Capability::Principals.uri()), about)
}

/// Somebody else's account of which the caller sees something.
pub(crate) struct Other {
    pub(crate) account: AccountId,
    name: String,
    is_read_only: bool,
    /// The caller finds its owner among the principals.
    is_of_principal: bool,
}

impl Other {
    /// Its Account. What is about its owner alone is not among the capabilities.
    pub(crate) fn object(&self, caller: &Caller) -> Value {
        let mut capabilities = Map::new();
        for capability in [Capability::Mail, Capability::Blob, Capability::MailShare] {
            let about = capability.of_account().unwrap_or_default();
            capabilities.insert(capability.uri().to_owned(), about);
        }
        capabilities[Capability::Mail.uri()]["mayCreateTopLevelMailbox"] = false.into();
        if self.is_of_principal {
            let (owner, about) = owned_by(caller, self.account);
            capabilities.insert(owner, about);
        }
        json!({
            "name": self.name,
            "isPersonal": false,
            "isReadOnly": self.is_read_only,
            "accountCapabilities": capabilities,
        })
    }
}

/// The rights by which something of an account can be changed.
const CHANGES: Rights = Rights::ALL
    .without(Rights::LOOKUP)
    .without(Rights::READ)
    .without(Rights::POST);

/// Whether nothing of an account can be changed by the caller.
pub(crate) fn is_read_only(scope: &Scope) -> bool {
    !scope.any_rights().has_any(CHANGES)
}

/// The accounts of others of which the caller sees something.
pub(crate) fn others(verbs: &Verbs<'_>, caller: &Caller) -> Result<Vec<Other>, MailboxError> {
    let actor = verbs.sharing.actor(caller.account)?;
    let seen = verbs.mailboxes.accounts_seen(&actor)?;
    if seen.is_empty() {
        return Ok(Vec::new());
    }
    // Whose account is gone sees nobody.
    let principals = verbs.principals.seen_by(caller.account).ok();
    let mut all = Vec::with_capacity(seen.len());
    for (account, rights) in seen {
        // An account that is going has nothing to see any more.
        let Some(name) = verbs.sharing.name_of(Grantee::Account(account))? else {
            continue;
        };
        let id = PrincipalId::Account(account);
        let principals = principals.as_ref();
        all.push(Other {
            account,
            name,
            is_read_only: !rights.has_any(CHANGES),
            is_of_principal: principals.is_some_and(|seen| seen.get(id).is_some()),
        });
    }
    Ok(all)
}

/// The state of the session: it changes with whatever the resource says.
pub fn state(verbs: &Verbs<'_>, caller: &Caller) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    for capability in Capability::ALL {
        hasher.update(capability.uri().as_bytes());
        hasher.update(capability.of_server().to_string().as_bytes());
    }
    hasher.update(caller.login.as_bytes());
    match others(verbs, caller) {
        Ok(others) => {
            for other in others {
                hasher.update(other.object(caller).to_string().as_bytes());
            }
        }
        // Whoever asks now for the resource is told that it can't be read.
        Err(_) => drop(hasher.update(b"unreadable")),
    }
    let digest = hasher.finalize().to_hex();
    digest.as_str().get(..16).unwrap_or_default().to_owned()
}
