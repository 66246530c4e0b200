//! `Email/get` (RFC 8621 4.2).
//!
//! Invariant: what is served is on record before it is read, and reading asks for seals last: a message
//! that is sealed at any moment before its content is in the response is `notFound`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};
use tern_base::{AccountId, MessageId};
use tern_mailbox::{
    ExposureLevel, Flags, Held, MailboxError, Mailboxes, MessageRow, Served, Share, SystemFlag,
};
use tern_mime::Structure;
use tern_session::ids;

use super::content::Content;
use super::property::{self, Property};
use super::write::{self, Plan};
use crate::args::{self, UnsignedInt};
use crate::blob_id::BlobRef;
use crate::budget::{Objects, Unread};
use crate::context::Context;
use crate::error::MethodError;
use crate::scope::Of;
use crate::standard::get;
use crate::{date, limits};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    account_id: String,
    #[serde(default)]
    ids: Option<Vec<String>>,
    #[serde(flatten)]
    fetch: Fetch,
}

/// What of each message is asked for: the arguments that `Email/get` and `Email/parse` have in common.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fetch {
    #[serde(default)]
    properties: Option<Vec<String>>,
    #[serde(default)]
    body_properties: Option<Vec<String>>,
    #[serde(default)]
    fetch_text_body_values: bool,
    #[serde(default, rename = "fetchHTMLBodyValues")]
    fetch_html_body_values: bool,
    #[serde(default)]
    fetch_all_body_values: bool,
    #[serde(default)]
    max_body_value_bytes: UnsignedInt,
    /// Nothing else is an argument.
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Fetch {
    /// What to do; with these properties where the client names none.
    pub(super) fn plan(&self, defaults: &[&str]) -> Result<Plan, MethodError> {
        if let Some(name) = self.others.keys().next() {
            return Err(MethodError::invalid_arguments(format!(
                "there is no argument {name:?}"
            )));
        }
        let max = self.max_body_value_bytes.as_usize();
        Ok(Plan {
            properties: property::of_email(self.properties.as_deref(), defaults)?,
            parts: property::of_parts(self.body_properties.as_deref())?,
            fetch_text: self.fetch_text_body_values,
            fetch_html: self.fetch_html_body_values,
            fetch_all: self.fetch_all_body_values,
            // 0 is no bound of the client's.
            max_value: (max > 0).then_some(max),
        })
    }
}

/// `Email/get`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    let plan = args.fetch.plan(&property::DEFAULTS)?;
    let (view, modseq) = scope.view(cx.verbs.mailboxes)?;
    let ids = match &args.ids {
        Some(ids) => cx.each_once(ids)?,
        // RFC 8620 5.1: all of them, where they are not too many.
        None if view.len() > limits::MAX_OBJECTS_IN_GET => {
            return Err(MethodError::REQUEST_TOO_LARGE);
        }
        None => view
            .iter()
            .map(|held| ids::email_id(account, held.message))
            .collect(),
    };
    let wanted = ids.iter().map(|id| {
        let message = ids::parse_email_id(account, id)?;
        view.get(message).cloned()
    });
    let wanted: Vec<Option<Held>> = wanted.collect();
    let mut messages = Messages::read(cx, account, wanted)?;
    messages.record(cx, account, &plan)?;
    messages.read_structures(cx)?;
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    for (id, message) in ids.into_iter().zip(messages.all) {
        let object = match &message {
            Some(message) => write_one(cx, account, &plan, &id, message)?,
            None => None,
        };
        match object {
            Some(object) => list.push(cx, object)?,
            None => not_found.push(id),
        }
    }
    Ok(get::response(
        &args.account_id,
        &scope.state(Of::Messages, modseq),
        list,
        &not_found,
    ))
}

/// One message as it is told; `None` where it is sealed.
pub(super) fn one(
    cx: &mut Context<'_>,
    account: AccountId,
    plan: &Plan,
    held: &Held,
) -> Result<Option<Value>, MethodError> {
    let id = ids::email_id(account, held.message);
    let mut messages = Messages::read(cx, account, vec![Some(held.clone())])?;
    messages.record(cx, account, plan)?;
    match messages.all.pop().flatten() {
        Some(message) => write_one(cx, account, plan, &id, &message),
        None => Ok(None),
    }
}

/// One message; `None` where it is sealed by now.
fn write_one(
    cx: &mut Context<'_>,
    account: AccountId,
    plan: &Plan,
    id: &str,
    message: &Message,
) -> Result<Option<Value>, MethodError> {
    let mailboxes = cx.verbs.mailboxes;
    let mut all = Map::new();
    let served = (|| {
        let structure = match &message.structure {
            Some(structure) => Arc::clone(structure),
            None => mailboxes.structure(&message.row)?,
        };
        let blob = BlobRef::message(message.held.message);
        let content = Content::stored(mailboxes, account, &message.row, blob, structure);
        write::write(plan, &content, (&mut cx.work, &cx.answer), &mut all)
    })();
    match served {
        Ok(()) => {}
        Err(Unread::Mailbox(MailboxError::Sealed)) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // Also what is served without reading the content: its preview, for one.
    if mailboxes.is_sealed(account, &message.row) {
        return Ok(None);
    }
    let held = &message.held;
    all.insert("id".to_owned(), id.into());
    for asked in &plan.properties {
        let value = match asked.property {
            Property::ThreadId => ids::thread_id(account, held.thread).into(),
            Property::MailboxIds => {
                let ids = held
                    .mailboxes()
                    .map(|mailbox| ids::mailbox_id(account, mailbox));
                set_of(ids)
            }
            Property::Keywords => keywords(&held.flags),
            Property::Size => held.size.into(),
            Property::ReceivedAt => date::utc(held.received).into(),
            _ => continue,
        };
        all.insert(asked.name.clone(), value);
    }
    Ok(Some(Value::Object(all)))
}

/// A set as JMAP writes it: each member with `true`.
fn set_of(members: impl Iterator<Item = String>) -> Value {
    Value::Object(members.map(|member| (member, Value::Bool(true))).collect())
}

/// The keywords of flags (RFC 8621 4.1.1): in lower case, and without `\Deleted`, which is IMAP's
/// alone.
pub(crate) fn keywords(flags: &Flags) -> Value {
    let system = [
        (SystemFlag::Seen, "$seen"),
        (SystemFlag::Answered, "$answered"),
        (SystemFlag::Flagged, "$flagged"),
        (SystemFlag::Draft, "$draft"),
    ];
    let system = system.into_iter().filter(|(flag, _)| flags.has(*flag));
    let system = system.map(|(_, keyword)| keyword.to_owned());
    set_of(system.chain(flags.keywords().map(str::to_ascii_lowercase)))
}

/// A message that is there.
struct Message {
    held: Held,
    row: MessageRow,
    /// Its structure, where it was read together with others'.
    structure: Option<Arc<Structure>>,
}

struct Messages {
    all: Vec<Option<Message>>,
}

impl Messages {
    fn read(
        cx: &Context<'_>,
        account: AccountId,
        wanted: Vec<Option<Held>>,
    ) -> Result<Self, MethodError> {
        let ids: Vec<MessageId> = wanted.iter().flatten().map(|held| held.message).collect();
        let mut rows = cx.verbs.mailboxes.messages(account, &ids)?.into_iter();
        let mut all = Vec::with_capacity(wanted.len());
        for held in wanted {
            let Some(held) = held else {
                all.push(None);
                continue;
            };
            all.push(match rows.next().flatten() {
                Some(Ok(row)) => Some(Message {
                    held,
                    row,
                    structure: None,
                }),
                None | Some(Err(MailboxError::Sealed)) => None,
                Some(Err(error)) => return Err(error.into()),
            });
        }
        Ok(Self { all })
    }

    /// Reads the structures of many messages at a time.
    fn read_structures(&mut self, cx: &Context<'_>) -> Result<(), MethodError> {
        for some in self.all.chunks_mut(limits::MESSAGES_PER_READ) {
            let rows: Vec<&MessageRow> = some.iter().flatten().map(|it| &it.row).collect();
            let structures = cx.verbs.mailboxes.structures(&rows)?;
            for (message, structure) in some.iter_mut().flatten().zip(structures) {
                message.structure = structure;
            }
        }
        Ok(())
    }

    /// Puts on record what is about to be served. What is sealed or gone by then is left out.
    fn record(
        &mut self,
        cx: &Context<'_>,
        account: AccountId,
        plan: &Plan,
    ) -> Result<(), MethodError> {
        let mailboxes = cx.verbs.mailboxes;
        for _ in 0..limits::RECORD_ATTEMPTS {
            let mut served = Vec::new();
            for message in self.all.iter().flatten() {
                let Some(level) = level(cx, plan, message)? else {
                    return Ok(());
                };
                let of = (account, message.held.message);
                served.push(Served::of(of, &message.row, level, share(level)));
            }
            match mailboxes.record_served(&served, &cx.caller.viewer_in(account), cx.now) {
                Ok(()) => return Ok(()),
                Err(MailboxError::Sealed) => {
                    self.drop_missing(mailboxes, account)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        // Seals come and go faster than records are made: withhold.
        self.all.iter_mut().for_each(|slot| *slot = None);
        Ok(())
    }

    /// Leaves out what is not there any more, or is sealed.
    fn drop_missing(
        &mut self,
        mailboxes: &Mailboxes,
        account: AccountId,
    ) -> Result<(), MailboxError> {
        let there = self.all.iter().flatten();
        let ids: Vec<MessageId> = there.map(|message| message.held.message).collect();
        let rows = mailboxes.messages(account, &ids)?;
        let there = self.all.iter_mut().filter(|slot| slot.is_some());
        for (slot, row) in there.zip(rows) {
            if !matches!(row, Some(Ok(_))) {
                *slot = None;
            }
        }
        Ok(())
    }
}

/// How telling the properties of an Email are; `None` where they say nothing of its content.
fn level(
    cx: &Context<'_>,
    plan: &Plan,
    message: &Message,
) -> Result<Option<ExposureLevel>, MailboxError> {
    if plan.fetches_values() {
        let of_all = plan.fetch_all && {
            let structure = cx.verbs.mailboxes.structure(&message.row)?;
            structure.view().is_some_and(|view| view.has_attachment)
        };
        return Ok(Some(match of_all {
            true => ExposureLevel::Attachment,
            false => ExposureLevel::Body,
        }));
    }
    let level = match () {
        () if plan.has(|property| *property == Property::Preview) => Some(ExposureLevel::Preview),
        () if plan.tells_header() => Some(ExposureLevel::Headers),
        () => None,
    };
    Ok(level)
}

/// How much of the octets: the whole text counts as all, anything else is told by the level.
const fn share(level: ExposureLevel) -> Share {
    match level {
        ExposureLevel::Body | ExposureLevel::Attachment | ExposureLevel::Downloaded => Share::ALL,
        _ => Share::NONE,
    }
}
