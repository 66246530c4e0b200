//! `MDN/send` (RFC 9007 2.1).

use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::message_id::MessageId as IdField;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_base::{AccountId, EmailAddress, MessageId};
use tern_delivery::{DeliveryError, NewMdn, SubmitError, Submitter, limits};
use tern_directory::Identity;
use tern_mailbox::{
    ExposureLevel, Flagging, Flags, MailboxError, MessageRow, Served, Share, Update,
};
use tern_session::ids;
use tern_store::StoreError;

use super::ask::{Asked, wrong};
use super::report::Report;
use super::{MDN_SENT, Mdn};
use crate::context::Context;
use crate::email::compose::{self, Field};
use crate::error::{MethodError, SetError};
use crate::submission::set::is_whole_lines;
use crate::{args, identity};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    identity_id: String,
    send: Map<String, Value>,
    #[serde(default)]
    on_success_update_email: Option<Map<String, Value>>,
}

/// `MDN/send`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    // RFC 9007 2.1: neither of the two has an error of its own.
    let account = cx.account(&args.account_id);
    let account = account.map_err(|_| MethodError::invalid_arguments("no such account"))?;
    let id = identity::parse_id(account, cx.resolved(&args.identity_id));
    let (_, identities) = cx.verbs.identities.all(account)?;
    let identity = identities.iter().find(|it| Some(it.id) == id);
    let identity =
        identity.ok_or_else(|| MethodError::invalid_arguments("there is no such identity"))?;
    if args.send.len() > crate::limits::MAX_OBJECTS_IN_SET {
        return Err(MethodError::REQUEST_TOO_LARGE);
    }
    let patches = args.on_success_update_email.unwrap_or_default();
    let patch = |creation: &str| patches.get(&format!("#{creation}"));
    // RFC 9007 2.1: what would leave a message without the keyword is not sent.
    if let Some(creation) = args.send.keys().find(|it| !marks(patch(it))) {
        let why = format!("onSuccessUpdateEmail does not set {MDN_SENT} for {creation:?}");
        return Err(MethodError::invalid_arguments(why));
    }
    let (mut sent, mut not_sent, mut update) = (Map::new(), Map::new(), Map::new());
    for (creation, mdn) in &args.send {
        let outcome = send(cx, account, identity, mdn);
        cx.answer.let_go();
        match outcome {
            Ok((message, told)) => {
                sent.insert(creation.clone(), told);
                let patch = patch(creation).cloned().unwrap_or_default();
                update.insert(ids::email_id(account, message), patch);
            }
            Err(error) => drop(not_sent.insert(creation.clone(), error.into_json())),
        }
    }
    if !update.is_empty() {
        let implied = json!({"accountId": args.account_id, "update": update});
        cx.implied.push(("Email/set", implied));
    }
    let map = |map: Map<String, Value>| (!map.is_empty()).then_some(map);
    Ok(json!({"accountId": args.account_id, "sent": map(sent), "notSent": map(not_sent)}))
}

/// Whether a patch sets the keyword.
fn marks(patch: Option<&Value>) -> bool {
    let is_set = |value: Option<&Value>| value == Some(&Value::Bool(true));
    patch.is_some_and(|patch| {
        let whole = patch.get("keywords").and_then(|all| all.get(MDN_SENT));
        is_set(patch.get(format!("keywords/{MDN_SENT}"))) || is_set(whole)
    })
}

/// Sends one, and tells what of it the client did not say.
fn send(
    cx: &mut Context<'_>,
    account: AccountId,
    identity: &Identity,
    mdn: &Value,
) -> Result<(MessageId, Value), SetError> {
    let properties = mdn.as_object();
    let properties =
        properties.ok_or_else(|| SetError::new("invalidProperties", "an MDN is an object"))?;
    let asked = Asked::read(cx, properties)?;
    let message = ids::parse_email_id(account, &asked.for_email);
    let message = message.ok_or_else(SetError::not_found)?;
    let mailboxes = cx.verbs.mailboxes;
    let view = mailboxes.account_view(account)?;
    let held = view.get(message).ok_or_else(SetError::not_found)?;
    if held.flags.has_keyword(MDN_SENT) {
        return Err(already_sent());
    }
    let row = mailboxes.message(account, message)?;
    let original = Original::read(cx, (account, message), &row)?;
    original.check(&asked)?;
    let recipients = original.asking()?;
    let report = report(cx, account, identity, &asked, &original)?;
    let subject = asked
        .subject
        .clone()
        .unwrap_or_else(|| original.default_subject(&report));
    let text = asked.text.clone().unwrap_or_else(|| default_text(&report));
    let whole = match asked.includes_original {
        true => Some(original_octets(cx, (account, message), &row)?),
        false => None,
    };
    let content = Composition {
        identity,
        recipients: &recipients,
        subject: &subject,
        text: &text,
        report: &report,
        original: &original,
        whole,
    };
    let new = NewMdn {
        submitter: Submitter {
            account,
            login: cx.caller.login.clone(),
            connection: Some(cx.caller.connection()),
        },
        sender: identity.email.clone(),
        content: content.compose(cx)?,
        recipients,
    };
    send_once(cx, message, new)?;
    let mut told = Mdn {
        for_email: Some(asked.for_email),
        subject: Some(&subject),
        text: Some(&text),
        includes_original: asked.includes_original,
        report: &report,
    }
    .object();
    // RFC 9007 2.1: what the client has said is not told again.
    if let Some(all) = told.as_object_mut() {
        all.retain(|name, _| properties.get(name).is_none_or(Value::is_null));
    }
    Ok((message, told))
}

/// Sends it, where none was sent of the message before. Whoever sets the keyword sends; a crash between
/// the two leaves none sent.
fn send_once(cx: &mut Context<'_>, message: MessageId, new: NewMdn) -> Result<(), SetError> {
    let account = new.submitter.account;
    if !cx.verbs.mailboxes.flag_once(account, message, MDN_SENT)? {
        return Err(already_sent());
    }
    let Err(error) = cx.verbs.outbox.send_mdn(new, cx.now, cx.entropy) else {
        return Ok(());
    };
    // Where the answer was lost it may have left.
    let is_lost = matches!(
        error,
        SubmitError::Delivery(DeliveryError::Store(StoreError::Unknown))
    );
    if !is_lost {
        unmark(cx, account, message)?;
    }
    Err(not_sent(error))
}

fn already_sent() -> SetError {
    SetError::new("mdnAlreadySent", "the message has $mdnsent")
}

fn unmark(cx: &Context<'_>, account: AccountId, message: MessageId) -> Result<(), SetError> {
    let mut remove = Flags::empty();
    remove.add_keyword(MDN_SENT);
    let update = Update {
        message,
        placing: None,
        flagging: Some(Flagging::Change {
            add: Flags::empty(),
            remove,
        }),
        by: Some(cx.caller.connection()),
    };
    Ok(cx.verbs.mailboxes.update(account, &update, cx.now)?)
}

/// The errors that RFC 9007 2.1 names; of how many may be written to it says nothing.
fn not_sent(error: SubmitError) -> SetError {
    let text = error.to_string();
    match error {
        SubmitError::NoRecipients | SubmitError::InvalidRecipients(_) => {
            SetError::new("notFound", text)
        }
        SubmitError::ForbiddenMailFrom => SetError::new("forbiddenFrom", text),
        SubmitError::Delivery(DeliveryError::Refused(_) | DeliveryError::Limit(_)) => {
            SetError::new("forbidden", text)
        }
        other => other.into(),
    }
}

fn default_text(report: &Report) -> String {
    let (recipient, kind) = (&report.final_recipient, report.disposition.kind());
    let address = recipient
        .split_once("; ")
        .map_or("", |(_, address)| address);
    format!(
        "This is a receipt for the message that you sent to {address}: it was {kind}.\r\n\
         That does not say that anybody has read or understood it.\r\n"
    )
}

/// What is needed of the message that it is about.
struct Original {
    /// What final delivery put before it, and its header.
    header: Vec<u8>,
    is_mdn: bool,
}

impl Original {
    /// On record as served first: what is told and sent of it is of its header.
    fn read(
        cx: &mut Context<'_>,
        (account, message): (AccountId, MessageId),
        row: &MessageRow,
    ) -> Result<Self, SetError> {
        let mailboxes = cx.verbs.mailboxes;
        let served = Served::of((account, message), row, ExposureLevel::Headers, Share::NONE);
        mailboxes.record_served(&[served], &cx.caller.viewer_in(account), cx.now)?;
        cx.work.take(2 * u64::from(row.size))?;
        let structure = mailboxes.structure(row)?;
        let view = structure.view();
        let view = view.ok_or_else(|| SetError::from(MailboxError::from(StoreError::Damaged)))?;
        let end = row.prefix.len() as u64 + u64::from(view.header_size);
        let header = mailboxes.read(account, row, 0..end)?.0;
        Ok(Self {
            header,
            is_mdn: super::parse::is_mdn(&view.body),
        })
    }

    fn value(&self, name: &str) -> Option<Vec<u8>> {
        tern_mime::header_value(&self.header, name)
    }

    /// A field as a line of ASCII or UTF-8 that may stand in a report.
    fn line(&self, name: &str) -> Option<String> {
        let line = String::from_utf8(self.value(name)?).ok()?;
        let fits = !line.is_empty() && line.len() <= crate::limits::MAX_MDN_FIELD;
        (fits && !line.contains(char::is_control)).then_some(line)
    }

    /// The Message-ID, in angle brackets.
    fn message_id(&self) -> Option<String> {
        let line = self.line("Message-ID")?;
        let id = tern_mime::message_ids(line.as_bytes()).next()?;
        Some(format!("<{id}>"))
    }

    /// The subject of a notification that names none.
    fn default_subject(&self, report: &Report) -> String {
        let (first, rest) = report.disposition.kind().split_at(1);
        let raw = self.value("Subject").unwrap_or_default();
        let text = tern_mime::decode_header_text(&raw);
        let text = text.replace(char::is_control, " ");
        format!("{}{rest}: {}", first.to_ascii_uppercase(), text.trim())
    }

    /// Who asks to be notified (RFC 8098 2.1).
    fn asking(&self) -> Result<Vec<EmailAddress>, SetError> {
        let no = |why: &str| SetError::new("notFound", why);
        let raw = self.value("Disposition-Notification-To");
        let raw = raw.ok_or_else(|| no("nobody asks for a notification"))?;
        let groups = tern_mime::address_groups(&raw);
        let all = groups.iter().flat_map(|group| &group.addresses);
        let mut asking: Vec<EmailAddress> = Vec::new();
        for address in all.map(|one| EmailAddress::parse(&one.email)) {
            let address = address.map_err(|_| no("Disposition-Notification-To is no address"))?;
            if !asking
                .iter()
                .any(|it| it.canonical() == address.canonical())
            {
                asking.push(address);
            }
        }
        match asking.len() {
            0 => Err(no("Disposition-Notification-To is no address")),
            1..=limits::MAX_MDN_RECIPIENTS => Ok(asking),
            _ => Err(no("Disposition-Notification-To names too many")),
        }
    }

    /// Refuses what RFC 8098 forbids, whoever asks.
    fn check(&self, asked: &Asked) -> Result<(), SetError> {
        let no = |why: &str| Err(SetError::new("forbidden", why));
        // RFC 8098 3: nor could two sides go on for ever.
        if self.is_mdn {
            return no("a notification is not answered with one");
        }
        // RFC 8098 2.2: what must be understood to answer is not.
        let options = self.value("Disposition-Notification-Options");
        let options = options.unwrap_or_default().to_ascii_lowercase();
        let required = options.split(|byte| *byte == b'=');
        if required
            .skip(1)
            .any(|it| it.trim_ascii_start().starts_with(b"required"))
        {
            return no("it asks for what is not understood here");
        }
        // RFC 8098 2.1: where it would go elsewhere than to the sender, a person is asked first.
        if asked.disposition.is_sent_automatically() {
            let asking = self.asking()?;
            let path = self.value("Return-Path").unwrap_or_default();
            let path = String::from_utf8_lossy(&path);
            let path = EmailAddress::parse(path.trim_matches(['<', '>']));
            let path = path.map(|path| path.canonical()).ok();
            let is_sender = |one: &EmailAddress| Some(one.canonical()) == path;
            if asking.len() > 1 || !asking.iter().all(is_sender) {
                return no("whoever asks is not who sent it: a person decides");
            }
        }
        Ok(())
    }
}

/// The message itself, without what this mailbox put before it: whoever has it sent on has had it, so that
/// is on record first.
fn original_octets(
    cx: &mut Context<'_>,
    (account, message): (AccountId, MessageId),
    row: &MessageRow,
) -> Result<Vec<u8>, SetError> {
    if row.size as usize > limits::MAX_SENDING {
        let error = SetError::new("tooLarge", "the original message is too large");
        return Err(error.and("maxSize", limits::MAX_SENDING.into()));
    }
    // Read, and written again.
    cx.work.take(2 * u64::from(row.size))?;
    cx.answer.hold(row.size.into())?;
    let served = Served::of(
        (account, message),
        row,
        ExposureLevel::Downloaded,
        Share::ALL,
    );
    let mailboxes = cx.verbs.mailboxes;
    mailboxes.record_served(&[served], &cx.caller.viewer_in(account), cx.now)?;
    let own = row.prefix.len() as u64;
    let octets = mailboxes.read(account, row, own..u64::MAX)?.0;
    match is_whole_lines(&octets) {
        true => Ok(octets),
        false => Err(wrong(
            "includeOriginalMessage",
            "the original message has a NUL, or a CR or LF that ends no line",
        )),
    }
}

fn report(
    cx: &Context<'_>,
    account: AccountId,
    identity: &Identity,
    asked: &Asked,
    original: &Original,
) -> Result<Report, SetError> {
    let recipient = asked.final_recipient.as_ref().unwrap_or(&identity.email);
    let is_own = cx.verbs.outbox.may_send_as(account, recipient);
    let is_own = is_own.map_err(|_| SetError::new("serverFail", "the directory can't be read"))?;
    if !is_own {
        let why = format!("{recipient} is not an address of the account");
        return Err(SetError::new("forbiddenFrom", why));
    }
    let kind = match recipient.needs_smtputf8() {
        true => "utf-8",
        false => "rfc822",
    };
    Ok(Report {
        reporting_ua: asked.reporting_ua.clone(),
        gateway: None,
        original_recipient: original.line("Original-Recipient"),
        final_recipient: format!("{kind}; {recipient}"),
        original_message_id: original.message_id(),
        disposition: asked.disposition,
        errors: Vec::new(),
        extensions: asked.extensions.clone(),
    })
}

/// What the message is made of.
struct Composition<'a> {
    identity: &'a Identity,
    recipients: &'a [EmailAddress],
    subject: &'a str,
    text: &'a str,
    report: &'a Report,
    original: &'a Original,
    whole: Option<Vec<u8>>,
}

impl Composition<'_> {
    /// The message (RFC 8098 3, RFC 6522).
    fn compose(self, cx: &mut Context<'_>) -> Result<Vec<u8>, SetError> {
        let report = self.report.written();
        // RFC 6533 5: a report with addresses or texts in UTF-8 is of another type.
        let (kind, encoding) = match report.is_ascii() {
            true => ("message/disposition-notification", "7bit"),
            false => ("message/global-disposition-notification", "8bit"),
        };
        let text = self.text.replace("\r\n", "\n").replace('\n', "\r\n");
        let mut parts = vec![
            MimePart::new("text/plain", text),
            MimePart::new(kind, BodyPart::Binary(report.into_bytes().into()))
                .transfer_encoding(encoding),
        ];
        if let Some(octets) = self.whole {
            let encoding = if octets.is_ascii() { "7bit" } else { "8bit" };
            let part = MimePart::new("message/rfc822", BodyPart::Binary(octets.into()));
            parts.push(part.transfer_encoding(encoding));
        }
        let kind = ContentType::new("multipart/report")
            .attribute("report-type", "disposition-notification")
            .attribute("boundary", compose::boundary(cx));
        let name = &self.identity.details.name;
        let name = (!name.is_empty()).then(|| name.clone());
        let from = Address::new_address(name, self.identity.email.to_string());
        let to = self.recipients.iter();
        let to = to.map(|it| Address::new_address(None::<String>, it.to_string()));
        let mut fields: Vec<Field> = vec![
            ("From".to_owned(), from.into()),
            ("To".to_owned(), Address::new_list(to.collect()).into()),
            (
                "Subject".to_owned(),
                Text::new(self.subject.to_owned()).into(),
            ),
        ];
        if let Some(id) = self.original.message_id() {
            let id = id.trim_matches(['<', '>']).to_owned();
            for name in ["In-Reply-To", "References"] {
                fields.push((name.to_owned(), IdField::new(id.clone()).into()));
            }
        }
        if self.report.disposition.is_sent_automatically() {
            // RFC 3834 5
            let field = ("Auto-Submitted".to_owned(), Raw::new("auto-replied").into());
            fields.push(field);
        }
        compose::message(cx, fields, MimePart::new(kind, parts))
    }
}
