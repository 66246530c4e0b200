//! `SearchSnippet/get` (RFC 8621 5): where the text of a filter is found in a subject and in a body.
//!
//! Invariant: what is told is on record before it is told, and asks for seals last.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tern_base::AccountId;
use tern_mailbox::{
    ExposureLevel, MailboxError, MessageRow, Outline, Served, Share, searched_weight,
};
use tern_session::ids;

use super::query::marked::{self, Text};
use super::query::test::{Field, Test};
use super::query::text::Word;
use crate::budget::Objects;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::object;
use crate::{args, limits};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    #[serde(default)]
    filter: Option<Value>,
    email_ids: Vec<String>,
}

/// What a filter looks for: what it leaves out is no find.
#[derive(Default)]
struct Wanted<'t> {
    in_subject: Vec<&'t Word>,
    in_body: Vec<&'t Word>,
}

impl<'t> Wanted<'t> {
    /// Each word once.
    fn of(test: &'t Test) -> Self {
        let mut wanted = Self::default();
        wanted.take(test);
        for words in [&mut wanted.in_subject, &mut wanted.in_body] {
            words.sort_unstable_by_key(|word| word.text());
            words.dedup_by_key(|word| word.text());
        }
        wanted
    }

    fn take(&mut self, test: &'t Test) {
        match test {
            Test::And(tests) | Test::Or(tests) => tests.iter().for_each(|test| self.take(test)),
            Test::Text(words) => {
                self.in_subject.extend(words.iter());
                self.in_body.extend(words.iter());
            }
            Test::Field(Field::Subject, words) => self.in_subject.extend(words.iter()),
            Test::Body(words) => self.in_body.extend(words.iter()),
            _ => {}
        }
    }
}

/// What is found in one message.
struct Snippet {
    subject: Option<String>,
    preview: Option<String>,
}

/// `SearchSnippet/get`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    let test = Test::read(cx, account, args.filter.as_ref())?;
    let wanted = Wanted::of(&test);
    let (view, _) = scope.view(cx.verbs.mailboxes)?;
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    for id in cx.each_once(&args.email_ids)? {
        let message = ids::parse_email_id(account, &id).filter(|it| view.get(*it).is_some());
        let found = match message {
            Some(message) => one(cx, account, message, &wanted),
            None => Err(Failure::Mailbox(MailboxError::NoMessage)),
        };
        match found {
            Ok(Snippet { subject, preview }) => {
                let snippet = json!({"emailId": id, "subject": subject, "preview": preview});
                list.push(cx, snippet)?;
            }
            Err(Failure::Mailbox(MailboxError::NoMessage | MailboxError::Sealed)) => {
                not_found.push(id);
            }
            Err(Failure::Mailbox(error)) => return Err(error.into()),
            Err(Failure::Method(error)) => return Err(error),
        }
    }
    let not_found = (!not_found.is_empty()).then_some(not_found);
    Ok(object([
        ("accountId", args.account_id.into()),
        ("list", list.into()),
        ("notFound", json!(not_found)),
    ]))
}

/// Why there is no snippet.
enum Failure {
    Mailbox(MailboxError),
    Method(MethodError),
}

impl From<MailboxError> for Failure {
    fn from(error: MailboxError) -> Self {
        Self::Mailbox(error)
    }
}

fn one(
    cx: &mut Context<'_>,
    account: AccountId,
    message: tern_base::MessageId,
    wanted: &Wanted<'_>,
) -> Result<Snippet, Failure> {
    let mailboxes = cx.verbs.mailboxes;
    let row = mailboxes.message(account, message)?;
    let outline = mailboxes.outlines(account, &[message])?.pop().flatten();
    let outline: Arc<Outline> = outline.ok_or(MailboxError::NoMessage)?;
    let subject = text(cx, &outline.subject, &wanted.in_subject)?;
    let subject = marked::whole(&subject, &wanted.in_subject);
    let mut preview = None;
    if !wanted.in_body.is_empty() {
        let body = body(cx, account, &row)?;
        let body = text(cx, &body, &wanted.in_body)?;
        preview = marked::part(&body, &wanted.in_body, limits::MAX_SNIPPET);
    }
    let level = match (&subject, &preview) {
        (_, Some(_)) => Some(ExposureLevel::Preview),
        (Some(_), None) => Some(ExposureLevel::Headers),
        (None, None) => None,
    };
    if let Some(level) = level {
        let served = Served::of((account, message), &row, level, Share::NONE);
        mailboxes.record_served(&[served], &cx.caller.viewer_in(account), cx.now)?;
    }
    match mailboxes.is_sealed(account, &row) {
        true => Err(MailboxError::Sealed.into()),
        false => Ok(Snippet { subject, preview }),
    }
}

/// A text in which so many words are about to be looked for.
fn text(cx: &mut Context<'_>, text: &str, words: &[&Word]) -> Result<Text, Failure> {
    let times = words.len() as u64 + 2;
    let searched = cx.search(times * text.len() as u64);
    searched.map_err(Failure::Method)?;
    Ok(Text::new(text))
}

/// The text of a body.
fn body(cx: &mut Context<'_>, account: AccountId, row: &MessageRow) -> Result<String, Failure> {
    let mailboxes = cx.verbs.mailboxes;
    // How much it is is known behind it.
    cx.search(0).map_err(Failure::Method)?;
    let structure = mailboxes.structure(row)?;
    let weight = searched_weight(&structure)?;
    let _held = cx
        .answer
        .reserve(weight)
        .map_err(|why| Failure::Method(why.into()))?;
    let searched = mailboxes.searched_text(account, row, &structure)?;
    cx.searched(searched.work).map_err(Failure::Method)?;
    Ok(searched.text)
}
