//! Principals (RFC 9670 2): who else there is. They are in each account that they are seen from, and the
//! directory says who that is.
//!
//! Invariant: who is not seen is `notFound`, and changes of theirs are told to nobody who does not see
//! them.
//!
//! Refuses to change the directory: its operators do that.

pub(crate) mod changes;
pub(crate) mod get;
pub(crate) mod query;
pub(crate) mod set;

use serde_json::{Map, Value, json};
use tern_base::AccountId;
use tern_directory::{GroupId, Principal, PrincipalId, Visible};
use tern_session::ids;

use crate::context::Context;
use crate::error::MethodError;
use crate::push::Told;
use crate::session::Other;
use crate::{Caller, Verbs, session, state};

/// Every property of a Principal.
const PROPERTIES: [&str; 8] = [
    "id",
    "type",
    "name",
    "description",
    "email",
    "timeZone",
    "capabilities",
    "accounts",
];

pub(crate) fn id_of(id: PrincipalId) -> String {
    match id {
        PrincipalId::Account(AccountId(number)) => format!("P{number}"),
        PrincipalId::Group(GroupId(number)) => format!("PG{number}"),
    }
}

/// Who an id names.
pub(crate) fn parse_id(text: &str) -> Option<PrincipalId> {
    let rest = text.strip_prefix('P')?;
    let id = match rest.strip_prefix('G') {
        Some(number) => PrincipalId::Group(GroupId(number.parse().ok()?)),
        None => PrincipalId::Account(AccountId(rest.parse().ok()?)),
    };
    (id_of(id) == text).then_some(id)
}

/// The principal whose account a caller has.
pub(crate) fn of_caller(caller: &Caller) -> String {
    id_of(PrincipalId::Account(caller.account))
}

/// The accounts of a principal that the caller has: their own, and what others share with them.
fn accounts(caller: &Caller, others: &[Other], id: PrincipalId) -> Option<Map<String, Value>> {
    let PrincipalId::Account(account) = id else {
        return None;
    };
    let object = match account == caller.account {
        true => session::account(caller),
        false => {
            let mut others = others.iter();
            let other = others.find(|other| other.account == account)?;
            other.object(caller)
        }
    };
    Some(Map::from_iter([(ids::account_id(account), object)]))
}

fn kind(id: PrincipalId) -> &'static str {
    match id {
        PrincipalId::Account(_) => "individual",
        PrincipalId::Group(_) => "group",
    }
}

fn object(caller: &Caller, others: &[Other], principal: &Principal) -> Value {
    json!({
        "id": id_of(principal.id),
        "type": kind(principal.id),
        "name": principal.name,
        // The directory knows neither.
        "description": null,
        "timeZone": null,
        "email": principal.address.to_string(),
        // RFC 9670 defines none, and no type here adds any.
        "capabilities": {},
        "accounts": accounts(caller, others, principal.id),
    })
}

/// What a listener is told of.
pub(crate) fn told(verbs: &Verbs<'_>, _account: AccountId) -> Result<Told, MethodError> {
    let principals = verbs.principals;
    let state = text(principals.visible(), principals.newest_change()?);
    let mark = state.clone();
    Ok(Told { mark, state })
}

/// Before the number: whoever is let see others from one day on has another state.
const fn mark(visible: Visible) -> char {
    match visible {
        Visible::Own => 'o',
        Visible::Domain => 'd',
        Visible::Everyone => 'e',
    }
}

fn text(visible: Visible, number: u64) -> String {
    format!("{}{}", mark(visible), state::of_number(number))
}

fn state_of(cx: &Context<'_>, number: u64) -> String {
    text(cx.verbs.principals.visible(), number)
}

fn since(cx: &Context<'_>, text: &str) -> Result<u64, MethodError> {
    let number = text.strip_prefix(mark(cx.verbs.principals.visible()));
    state::since_number(number.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_one_way() {
        for id in ["P1", "PG1", "P4294967295"] {
            assert_eq!(parse_id(id).map(id_of).as_deref(), Some(id));
        }
        for wrong in [
            "",
            "P",
            "PG",
            "P01",
            "P+1",
            "PG-1",
            "p1",
            "A1",
            "P4294967296",
            "PPG1",
        ] {
            assert_eq!(parse_id(wrong), None, "{wrong}");
        }
    }
}
