//! Identities (RFC 8621 6): as whom the account sends.

pub(crate) mod changes;
pub(crate) mod get;
pub(crate) mod set;

use serde_json::{Value, json};
use tern_base::AccountId;
use tern_directory::{Correspondent, Identity, IdentityId};
use tern_session::ids;

use crate::error::MethodError;
use crate::push::Told;
use crate::{Verbs, state};

/// Every property of an Identity.
pub(crate) const PROPERTIES: [&str; 8] = [
    "id",
    "name",
    "email",
    "replyTo",
    "bcc",
    "textSignature",
    "htmlSignature",
    "mayDelete",
];

pub(crate) fn id_of(account: AccountId, id: IdentityId) -> String {
    ids::identity_id(account, id.0)
}

/// The identity of an id, if it is one of this account.
pub(crate) fn parse_id(account: AccountId, text: &str) -> Option<IdentityId> {
    ids::parse_identity_id(account, text).map(IdentityId)
}

fn object(account: AccountId, identity: &Identity) -> Value {
    let list = |all: &Option<Vec<Correspondent>>| -> Value {
        let one = |one: &Correspondent| json!({"name": one.name, "email": one.email});
        all.as_ref()
            .map_or(Value::Null, |all| all.iter().map(one).collect())
    };
    let details = &identity.details;
    json!({
        "id": id_of(account, identity.id),
        "name": details.name,
        "email": identity.email.to_string(),
        "replyTo": list(&details.reply_to),
        "bcc": list(&details.bcc),
        "textSignature": details.text_signature,
        "htmlSignature": details.html_signature,
        "mayDelete": !identity.comes_with_address,
    })
}

/// What a listener is told of.
pub(crate) fn told(verbs: &Verbs<'_>, account: AccountId) -> Result<Told, MethodError> {
    let state = state::of_number(verbs.identities.all(account)?.0);
    let mark = state.clone();
    Ok(Told { mark, state })
}
