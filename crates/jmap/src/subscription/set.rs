//! `PushSubscription/set` (RFC 8620 7.2.2).

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::{Map, Value};
use tern_base::Timestamp;
use tern_directory::{DirectoryError, Limit, NewSubscription, PushKeys, SubscriptionChange};
use url::Url;

use super::{PRIVATE, TOLD, object, parse_id};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::push::Wanted;
use crate::standard::set::{Outcomes, SetArgs};
use crate::{args, date, limits};

/// There is neither an account nor a state.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    create: Option<Map<String, Value>>,
    #[serde(default)]
    update: Option<Map<String, Value>>,
    #[serde(default)]
    destroy: Option<Vec<String>>,
}

/// `PushSubscription/set`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let asked: Asked = args::read(args)?;
    let mut args = SetArgs {
        account_id: String::new(),
        if_in_state: None,
        create: asked.create,
        update: asked.update,
        destroy: asked.destroy,
    };
    args.check("")?;
    let mut outcomes = Outcomes::default();
    for (creation, properties) in args.create.take().unwrap_or_default() {
        let outcome = create(cx, &properties);
        outcomes.create(cx, &creation, outcome);
    }
    let updates = args.update.take().unwrap_or_default();
    outcomes.update_each(cx, &args, updates, update);
    outcomes.destroy_each(cx, &args, |cx, id| {
        let account = cx.caller.account;
        let id = parse_id(account, id).ok_or_else(SetError::not_found)?;
        let destroyed = cx
            .verbs
            .subscriptions
            .destroy(account, cx.caller.credential, id, cx.now);
        Ok(destroyed?)
    });
    Ok(Value::Object(outcomes.told()))
}

fn create(cx: &mut Context<'_>, properties: &Value) -> Result<(String, Value), SetError> {
    let Some(properties) = properties.as_object() else {
        return Err(SetError::new("invalidProperties", "it is no object"));
    };
    let new = read(cx, properties)?;
    let (account, by) = (cx.caller.account, cx.caller.credential);
    let made = cx
        .verbs
        .subscriptions
        .create(account, by, &new, cx.now, cx.entropy);
    let made = made.map_err(|error| match error {
        // RFC 8620 5.3
        DirectoryError::Limit(Limit::NewSubscriptions) => {
            SetError::new("rateLimit", error.to_string())
        }
        DirectoryError::Limit(Limit::Subscriptions) => {
            SetError::new("overQuota", error.to_string())
        }
        // What the caller has shown is good no more.
        DirectoryError::NotFound(_) => SetError::new("forbidden", error.to_string()),
        other => other.into(),
    })?;
    let mut told = object(account, &made);
    let id = super::id_of(account, made.id);
    // RFC 8620 5.3: what the client has sent is not told again.
    if let Some(all) = told.as_object_mut() {
        all.retain(|name, value| properties.get(name) != Some(value));
    }
    Ok((id, told))
}

fn read(cx: &Context<'_>, properties: &Map<String, Value>) -> Result<NewSubscription, SetError> {
    for (name, value) in properties {
        let is_known = TOLD[1..].contains(&name.as_str()) || PRIVATE.contains(&name.as_str());
        if !is_known {
            return Err(wrong(name, "no property that can be set"));
        }
        // RFC 8620 7.2: it is null, or omitted, when the subscription is made.
        if name == "verificationCode" && !value.is_null() {
            return Err(wrong(name, "it is sent to the URL first"));
        }
    }
    let text = |name: &str, most: usize| {
        let text = properties.get(name).and_then(Value::as_str);
        let fits = |text: &&str| !text.is_empty() && text.len() <= most;
        text.filter(fits)
            .ok_or_else(|| wrong(name, "missing, no string, or too long"))
    };
    let device = text("deviceClientId", limits::MAX_DEVICE_ID)?.to_owned();
    let url = text("url", limits::MAX_PUSH_URL)?;
    let url = Url::parse(url).map_err(|error| wrong("url", &error.to_string()))?;
    let has_login = !url.username().is_empty() || url.password().is_some();
    if url.scheme() != "https" || url.host().is_none() || has_login {
        return Err(wrong("url", "it does not begin with https:// and a host"));
    }
    if !cx.verbs.push.may_reach(&url) {
        return Err(SetError::new(
            "forbidden",
            "the URL leads into a network that is not pushed to",
        ));
    }
    let keys = match properties.get("keys") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let keys = read_keys(value).filter(|keys| cx.verbs.push.can_use(keys));
            Some(keys.ok_or_else(|| wrong("keys", "not p256dh and auth of RFC 8291 in base64url"))?)
        }
    };
    Ok(NewSubscription {
        device,
        url: url.into(),
        keys,
        expires: match properties.get("expires") {
            None => None,
            Some(value) => expires(value, cx.now)?,
        },
        types: match properties.get("types") {
            None => None,
            Some(value) => types(value)?,
        },
    })
}

/// RFC 8620 7.2 `keys`; with or without the padding that some encoders add.
fn read_keys(value: &Value) -> Option<PushKeys> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let octets = |name: &str| {
        let text = value.get(name)?.as_str()?;
        GeneralPurpose::new(&URL_SAFE, config).decode(text).ok()
    };
    let of_two = value.as_object().is_some_and(|all| all.len() == 2);
    Some(PushKeys {
        p256dh: octets("p256dh").filter(|_| of_two)?.try_into().ok()?,
        auth: octets("auth")?.try_into().ok()?,
    })
}

fn expires(value: &Value, now: Timestamp) -> Result<Option<Timestamp>, SetError> {
    if value.is_null() {
        return Ok(None);
    }
    let at = value.as_str().and_then(date::parse_utc);
    let at = at.ok_or_else(|| wrong("expires", "not a UTCDate"))?;
    match at > now {
        true => Ok(Some(at)),
        false => Err(wrong("expires", "in the past")),
    }
}

fn types(value: &Value) -> Result<Option<Vec<String>>, SetError> {
    let Value::Array(items) = value else {
        return match value {
            Value::Null => Ok(None),
            _ => Err(wrong("types", "not a list of names")),
        };
    };
    let names: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    let names = names.ok_or_else(|| wrong("types", "not a list of names"))?;
    match Wanted::of(names.iter().copied()) {
        Some(_) => Ok(Some(names.into_iter().map(str::to_owned).collect())),
        None => Err(wrong("types", "more names than there are, or longer ones")),
    }
}

fn update(cx: &mut Context<'_>, id: &str, patch: &Value) -> Result<Value, SetError> {
    let (account, by) = (cx.caller.account, cx.caller.credential);
    let id = parse_id(account, id).ok_or_else(SetError::not_found)?;
    let Some(patch) = patch.as_object() else {
        return Err(SetError::new("invalidPatch", "a patch is an object"));
    };
    let subscriptions = cx.verbs.subscriptions;
    let found = subscriptions.one(account, id)?;
    let found = found.filter(|it| it.credential == by && it.expires > cx.now);
    let now = object(account, &found.ok_or_else(SetError::not_found)?);
    let mut change = SubscriptionChange::default();
    for (path, value) in patch {
        if path.contains('/') {
            return Err(SetError::new(
                "invalidPatch",
                "nothing in it is set in part",
            ));
        }
        match path.as_str() {
            // What can't change may be named as it is (RFC 8620 5.3).
            path if now.get(path) == Some(value) => {}
            "verificationCode" => {
                let code = value.as_str().ok_or_else(|| wrong(path, "not the code"))?;
                change.code = Some(code.to_owned());
            }
            "expires" => change.expires = Some(expires(value, cx.now)?),
            "types" => change.types = Some(types(value)?),
            _ => return Err(wrong(path, "no property that can change")),
        }
    }
    let changed = subscriptions.update(account, by, id, &change, cx.now)?;
    let told = object(account, &changed);
    // RFC 8620 5.3: what became otherwise than the client asked.
    let is_other = patch.contains_key("expires") && patch["expires"] != told["expires"];
    Ok(match is_other {
        true => serde_json::json!({"expires": told["expires"]}),
        false => Value::Null,
    })
}

fn wrong(property: &str, why: &str) -> SetError {
    SetError::invalid_properties(&[property], why)
}
