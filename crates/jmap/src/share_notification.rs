//! ShareNotification (RFC 9670 3): that somebody changed the caller's rights in a mailbox.
//!
//! The mailboxes keep them, with the change that each is about: see [`tern_mailbox::ShareNotice`]. Clients
//! destroy what they have shown; nobody else makes or changes any.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tern_base::{AccountId, Timestamp};
use tern_directory::PrincipalId;
use tern_mailbox::{MailboxError, Rights, ShareNotice};
use tern_session::ids;

use crate::budget::Objects;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::mailbox::rights;
use crate::principal;
use crate::push::Told as News;
use crate::standard::changes::{ChangesArgs, Told};
use crate::standard::filter::Filter;
use crate::standard::get::{self, GetArgs, Wanted};
use crate::standard::listed::{self, Key, Order};
use crate::standard::query::{Comparator, QueryArgs, QueryChangesArgs};
use crate::standard::set::{Outcomes, SetArgs};
use crate::state::{self, Delta};
use crate::{Verbs, args, date};

const PROPERTIES: [&str; 9] = [
    "id",
    "created",
    "changedBy",
    "objectType",
    "objectAccountId",
    "objectId",
    "oldRights",
    "newRights",
    "name",
];

/// Rights in mailboxes are all that is shared here.
const OBJECT_TYPE: &str = "Mailbox";

fn id_of(number: u64) -> String {
    format!("N{number}")
}

fn parse_id(text: &str) -> Option<u64> {
    let number = text.strip_prefix('N')?.parse().ok()?;
    (id_of(number) == text).then_some(number)
}

fn object(
    cx: &Context<'_>,
    account: AccountId,
    number: u64,
    notice: &ShareNotice,
) -> Result<Value, MailboxError> {
    let rights = |rights: Rights| match rights {
        Rights::NONE => Value::Null,
        rights => rights::object(cx, rights),
    };
    // Whom the caller does not find is told by name alone.
    let seen = |by: AccountId| {
        let seen = cx.verbs.principals.seen_by(account).ok();
        let id = PrincipalId::Account(by);
        let found = seen.is_some_and(|seen| seen.get(id).is_some());
        found.then(|| principal::id_of(id))
    };
    let principal = notice.by.and_then(seen);
    let address = principal.as_ref().and(notice.by_address.as_ref());
    Ok(json!({
        "id": id_of(number),
        "created": date::utc(notice.at),
        "changedBy": {
            "name": notice.by_name,
            "email": address,
            "principalId": principal,
        },
        "objectType": OBJECT_TYPE,
        "objectAccountId": ids::account_id(notice.owner),
        "objectId": ids::mailbox_id(notice.owner, notice.mailbox),
        "oldRights": rights(notice.before),
        "newRights": rights(notice.rights),
        "name": notice.name,
    }))
}

/// What a listener is told of.
pub(crate) fn told(verbs: &Verbs<'_>, account: AccountId) -> Result<News, MethodError> {
    let state = state::of_number(verbs.mailboxes.share_notices(account)?.state);
    let mark = state.clone();
    Ok(News { mark, state })
}

/// `ShareNotification/get`
pub(crate) fn get(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let wanted = Wanted::of(args.properties.as_deref(), &PROPERTIES)?;
    let notices = cx.verbs.mailboxes.share_notices(account)?;
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    let of = |cx: &Context<'_>, number: u64, notice: &ShareNotice| {
        Ok::<_, MailboxError>(wanted.select(object(cx, account, number, notice)?))
    };
    match &args.ids {
        None => {
            for (number, notice) in &notices.all {
                let object = of(cx, *number, notice)?;
                list.push(cx, object)?;
            }
        }
        Some(ids) => {
            for id in cx.each_once(ids)? {
                let number = parse_id(&id);
                let found = notices.all.iter().find(|(known, _)| Some(*known) == number);
                match found {
                    Some((number, notice)) => {
                        let object = of(cx, *number, notice)?;
                        list.push(cx, object)?;
                    }
                    None => not_found.push(id),
                }
            }
        }
    }
    let state = state::of_number(notices.state);
    Ok(get::response(&args.account_id, &state, list, &not_found))
}

/// `ShareNotification/changes`
pub(crate) fn changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let (max, since) = (args.max()?, state::since_number(&args.since_state)?);
    let changes = cx
        .verbs
        .mailboxes
        .share_notice_changes(account, since, max)?;
    let changes = changes.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    Ok(Told::numbered(&changes, id_of).response(&args))
}

/// `ShareNotification/set` (RFC 9670 3.5): destroying is all that a client may do.
pub(crate) fn set(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: SetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let mailboxes = cx.verbs.mailboxes;
    let old = mailboxes.share_notices(account)?.state;
    let old_state = state::of_number(old);
    args.check(&old_state)?;
    let forbidden = || SetError::new("forbidden", "the server alone makes notifications");
    let mut outcomes = Outcomes::default();
    for (creation, _) in args.create.take().unwrap_or_default() {
        outcomes.create(cx, &creation, Err(forbidden()));
    }
    let updates = args.update.take().unwrap_or_default();
    outcomes.update_each(cx, &args, updates, |_, _, _| Err(forbidden()));
    outcomes.destroy_each(cx, &args, |_, id| {
        let number = parse_id(id).ok_or_else(SetError::not_found)?;
        let was_there = mailboxes.drop_share_notice(account, number)?;
        was_there.then_some(()).ok_or_else(SetError::not_found)
    });
    let own: BTreeSet<u64> = outcomes.touched().filter_map(parse_id).collect();
    let changes = mailboxes.share_notice_changes(account, old, usize::MAX);
    let new_state = state::after_own(old, changes, |number| own.contains(number));
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

/// A condition of RFC 9670 3.6.
enum Condition {
    All(Vec<Condition>),
    /// Made then or later.
    After(Timestamp),
    /// Made before.
    Before(Timestamp),
    ObjectType(String),
    ObjectAccount(String),
}

impl Condition {
    fn read(members: &Map<String, Value>) -> Result<Self, MethodError> {
        let one = |(name, value): (&String, &Value)| {
            let wrong = || {
                let why = format!("{name} can't be that in a filter");
                MethodError::invalid_arguments(why)
            };
            let time = || {
                let time = value.as_str().and_then(date::parse_utc);
                time.ok_or_else(wrong)
            };
            let text = || value.as_str().map(str::to_owned).ok_or_else(wrong);
            Ok(match name.as_str() {
                "after" | "before" if value.is_null() => Self::All(Vec::new()),
                "after" => Self::After(time()?),
                "before" => Self::Before(time()?),
                "objectType" => Self::ObjectType(text()?),
                "objectAccountId" => Self::ObjectAccount(text()?),
                _ => {
                    let why = format!("there is no condition {name:?}");
                    return Err(MethodError::unsupported_filter(why));
                }
            })
        };
        let all = members.iter().map(one);
        Ok(Self::All(all.collect::<Result<_, _>>()?))
    }

    fn is_met_by(&self, notice: &ShareNotice) -> bool {
        let created = notice.at.as_secs();
        match self {
            Self::All(all) => all.iter().all(|one| one.is_met_by(notice)),
            Self::After(at) => created >= at.as_secs(),
            Self::Before(at) => created < at.as_secs(),
            Self::ObjectType(of) => of == OBJECT_TYPE,
            Self::ObjectAccount(id) => *id == ids::account_id(notice.owner),
        }
    }
}

/// What is asked, and found.
struct Found {
    state: u64,
    ids: Vec<u64>,
}

fn find(
    cx: &Context<'_>,
    account: AccountId,
    filter: Option<&Value>,
    sort: Option<&[Comparator]>,
) -> Result<Found, MethodError> {
    let filter = Filter::read(filter, &Condition::read)?;
    let order = Order::read(sort, |step| match step.property.as_str() {
        "created" => Ok(()),
        _ => Err(step.unsupported()),
    })?;
    let notices = cx.verbs.mailboxes.share_notices(account)?;
    let passing = notices.all.into_iter();
    let passing = passing.filter(|(_, notice)| filter.passes(&|one| one.is_met_by(notice)));
    let key = |(_, notice): &(u64, ShareNotice), (): &()| Key::Number(Some(notice.at.as_secs()));
    let sorted = order.sort(passing.collect(), key);
    Ok(Found {
        state: notices.state,
        ids: sorted.into_iter().map(|(number, _)| number).collect(),
    })
}

/// `ShareNotification/query`
pub(crate) fn query(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: QueryArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let found = find(cx, account, args.filter.as_ref(), args.sort.as_deref())?;
    let state = state::of_number(found.state);
    listed::query(cx, &mut args, &state, &found.ids, id_of)
}

/// `ShareNotification/queryChanges`
pub(crate) fn query_changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: QueryChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let since = state::since_number(&args.since_query_state)?;
    let found = find(cx, account, args.filter.as_ref(), args.sort.as_deref())?;
    let mailboxes = cx.verbs.mailboxes;
    // Where something came between the two looks, the client asks anew.
    let changes = mailboxes.share_notice_changes(account, since, usize::MAX)?;
    let changes = changes.filter(|changes| changes.state == found.state);
    let changes = changes.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    let (state, delta) = (state::of_number(found.state), Delta::from(&changes));
    listed::changes(cx, &args, &state, &found.ids, &delta, id_of)
}
