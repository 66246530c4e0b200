//! `VacationResponse` (RFC 8621 8): the one of an account.

use serde_json::{Map, Value, json};
use tern_base::{AccountId, Timestamp};
use tern_delivery::{DeliveryError, Vacation};

use crate::Verbs;
use crate::budget::Objects;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::push::Told;
use crate::standard::get::{self, GetArgs, Wanted};
use crate::standard::set::{Outcomes, SetArgs, is_as_it_is};
use crate::standard::wrong::Wrong;
use crate::{args, date, state};

/// The id of the only one there is.
const SINGLETON: &str = "singleton";

const PROPERTIES: [&str; 7] = [
    "id",
    "isEnabled",
    "fromDate",
    "toDate",
    "subject",
    "textBody",
    "htmlBody",
];

fn object(vacation: &Vacation) -> Value {
    json!({
        "id": SINGLETON,
        "isEnabled": vacation.is_enabled,
        "fromDate": vacation.from.map(date::utc),
        "toDate": vacation.to.map(date::utc),
        "subject": vacation.subject,
        "textBody": vacation.text,
        "htmlBody": vacation.html,
    })
}

/// What a listener is told of.
pub(crate) fn told(verbs: &Verbs<'_>, account: AccountId) -> Result<Told, MethodError> {
    let state = state::of_number(verbs.outbox.vacation(account)?.0);
    let mark = state.clone();
    Ok(Told { mark, state })
}

/// `VacationResponse/get`
pub(crate) fn get(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let wanted = Wanted::of(args.properties.as_deref(), &PROPERTIES)?;
    let (number, vacation) = cx.verbs.outbox.vacation(account)?;
    let mut not_found = match &args.ids {
        None => Vec::new(),
        Some(ids) => cx.each_once(ids)?,
    };
    let asked = not_found.len();
    not_found.retain(|id| id != SINGLETON);
    let is_asked = args.ids.is_none() || not_found.len() < asked;
    let list = is_asked.then(|| wanted.select(object(&vacation)));
    let state = state::of_number(number);
    let list = Objects::of(cx, list)?;
    Ok(get::response(&args.account_id, &state, list, &not_found))
}

/// `VacationResponse/set`
pub(crate) fn set(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: SetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let old = cx.verbs.outbox.vacation(account)?.0;
    let old_state = state::of_number(old);
    args.check(&old_state)?;
    let (mut outcomes, mut own) = (Outcomes::default(), 0);
    // RFC 8620 5.3
    let singleton = || SetError::new("singleton", "there is one, always");
    for (creation, _) in args.create.take().unwrap_or_default() {
        outcomes.create(cx, &creation, Err(singleton()));
    }
    for (id, patch) in args.update.take().unwrap_or_default() {
        let outcome = match id.as_str() {
            SINGLETON => update(cx, account, &patch),
            _ => Err(SetError::not_found()),
        };
        own += u64::from(outcome == Ok(true));
        outcomes.update(&id, outcome.map(|_| Value::Null));
    }
    for id in args.destroy.take().unwrap_or_default() {
        let error = match id.as_str() {
            SINGLETON => singleton(),
            _ => SetError::not_found(),
        };
        outcomes.destroy(&id, Err(error));
    }
    // What is beyond its own change is somebody else's.
    let newest = cx.verbs.outbox.vacation(account).map(|now| now.0);
    let new = newest.ok().filter(|newest| *newest <= old + own);
    let new_state = state::of_number(new.unwrap_or(old));
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

/// Whether it is another one by it.
fn update(cx: &Context<'_>, account: AccountId, patch: &Value) -> Result<bool, SetError> {
    let Some(patch) = patch.as_object() else {
        return Err(SetError::new("invalidPatch", "a patch is an object"));
    };
    let failed = |_| SetError::new("serverFail", "the store could not do it");
    let (_, mut vacation) = cx.verbs.outbox.vacation(account).map_err(failed)?;
    let before = vacation.clone();
    apply(&mut vacation, patch)?;
    let changed = cx.verbs.outbox.set_vacation(account, &vacation, cx.now);
    changed.map_err(|error| match error {
        DeliveryError::Limit(_) => SetError::new("tooLarge", error.to_string()),
        other => failed(other),
    })?;
    Ok(vacation != before)
}

fn apply(vacation: &mut Vacation, patch: &Map<String, Value>) -> Result<(), SetError> {
    let now = object(vacation);
    let mut all = Wrong::default();
    for (path, value) in patch {
        if !is_as_it_is(&now, path, value) {
            all.take(apply_one(vacation, path, value));
        }
    }
    all.told()
}

/// One member of a patch.
fn apply_one(vacation: &mut Vacation, path: &str, value: &Value) -> Result<(), SetError> {
    let wrong = |why: &str| SetError::invalid_properties(&[path], why);
    let text = || match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(wrong("neither a string nor null")),
    };
    let time = || -> Result<Option<Timestamp>, SetError> {
        let Some(text) = text()? else {
            return Ok(None);
        };
        let at = date::parse_utc(&text);
        at.map(Some).ok_or_else(|| wrong("not a UTCDate"))
    };
    match path {
        "isEnabled" => {
            vacation.is_enabled = value.as_bool().ok_or_else(|| wrong("not a boolean"))?;
        }
        "fromDate" => vacation.from = time()?,
        "toDate" => vacation.to = time()?,
        "subject" => vacation.subject = text()?,
        "textBody" => vacation.text = text()?,
        "htmlBody" => vacation.html = text()?,
        path if path.contains('/') => {
            return Err(SetError::new(
                "invalidPatch",
                "nothing in it is set in part",
            ));
        }
        _ => return Err(wrong("no property that can change")),
    }
    Ok(())
}
