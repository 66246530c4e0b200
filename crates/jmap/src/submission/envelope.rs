//! The envelope of a submission: as the client gives it, or as the message has it.

use serde_json::Value;
use tern_base::EmailAddress;
use tern_delivery::{Envelope, Stop};
use tern_mime::{Address, ParsedMessage};

use crate::error::SetError;

fn wrong(why: &str) -> SetError {
    SetError::invalid_properties(&["envelope"], why)
}

/// Reads an Envelope object.
pub(super) fn read(value: &Value) -> Result<Envelope, SetError> {
    let all = value.as_object().ok_or_else(|| wrong("not an object"))?;
    if all
        .keys()
        .any(|name| name != "mailFrom" && name != "rcptTo")
    {
        return Err(wrong("an envelope is {mailFrom, rcptTo}"));
    }
    let mail_from = all.get("mailFrom").ok_or_else(|| wrong("no mailFrom"))?;
    let rcpt_to = all.get("rcptTo").and_then(Value::as_array);
    let rcpt_to = rcpt_to.ok_or_else(|| wrong("rcptTo is no list"))?;
    let stops: Result<Vec<Stop>, SetError> = rcpt_to.iter().map(stop).collect();
    Ok(Envelope {
        mail_from: stop(mail_from)?,
        rcpt_to: stops?,
    })
}

/// Reads an Address object.
fn stop(value: &Value) -> Result<Stop, SetError> {
    let not = || wrong("an address is {email, parameters}");
    let all = value.as_object().ok_or_else(not)?;
    if all
        .keys()
        .any(|name| name != "email" && name != "parameters")
    {
        return Err(not());
    }
    let email = all.get("email").and_then(Value::as_str).ok_or_else(not)?;
    let mut parameters = Vec::new();
    match all.get("parameters") {
        None | Some(Value::Null) => {}
        Some(Value::Object(members)) => {
            for (name, value) in members {
                let value = match value {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    _ => return Err(wrong("a parameter is a string or null")),
                };
                parameters.push((name.clone(), value));
            }
        }
        Some(_) => return Err(not()),
    }
    Ok(Stop {
        email: email.to_owned(),
        parameters,
    })
}

/// The senders of a message, and whether it names a Sender.
pub(super) struct Senders {
    pub(super) from: Vec<EmailAddress>,
    pub(super) sender: Vec<EmailAddress>,
}

impl Senders {
    /// Reads From and Sender. A message without a From, or with one that is no address, can't be sent
    /// (RFC 5322 3.6.2).
    pub(super) fn of(parsed: &ParsedMessage, content: &[u8]) -> Result<Self, SetError> {
        let invalid = |property: &str, why: &str| {
            SetError::new("invalidEmail", why).and("properties", serde_json::json!([property]))
        };
        let envelope = &parsed.envelope;
        let from = addresses(envelope.from.as_deref());
        let from = from.filter(|all| !all.is_empty());
        let from = from.ok_or_else(|| invalid("from", "From names nobody, or no address"))?;
        let has_sender = tern_mime::header_value(content, "Sender").is_some();
        let sender = match has_sender {
            true => addresses(envelope.sender.as_deref()),
            false => Some(Vec::new()),
        };
        let sender = sender.filter(|all| all.len() <= 1);
        let sender = sender.ok_or_else(|| invalid("sender", "Sender is not one address"))?;
        // RFC 5322 3.6.2: of several who wrote it, one sends it.
        if from.len() > 1 && sender.is_empty() {
            return Err(invalid(
                "sender",
                "several are in From, and none is the Sender",
            ));
        }
        Ok(Self { from, sender })
    }

    /// Everybody in whose name it is sent.
    pub(super) fn all(&self) -> impl Iterator<Item = &EmailAddress> {
        self.sender.iter().chain(&self.from)
    }
}

/// The addresses of a field; `None` where one of them is none.
fn addresses(list: Option<&[Address]>) -> Option<Vec<EmailAddress>> {
    let specs = list.unwrap_or_default().iter();
    // The start and the end of a group name nobody.
    let specs = specs.filter(|it| it.host.is_some());
    let parse = |it: &Address| EmailAddress::parse(&it.addr_spec()?).ok();
    specs.map(parse).collect()
}

/// RFC 8621 7.5: the envelope of a message that comes without one.
pub(super) fn of_message(parsed: &ParsedMessage, senders: &Senders) -> Envelope {
    let plain = |email: String| Stop {
        email,
        parameters: Vec::new(),
    };
    let envelope = &parsed.envelope;
    let lists = [&envelope.to, &envelope.cc, &envelope.bcc];
    let mut rcpt_to: Vec<Stop> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for address in lists.into_iter().flatten().flatten() {
        let Some(spec) = address.addr_spec().filter(|_| address.host.is_some()) else {
            continue;
        };
        let canonical =
            EmailAddress::parse(&spec).map_or_else(|_| spec.clone(), |it| it.canonical());
        if known.insert(canonical) {
            rcpt_to.push(plain(spec));
        }
    }
    let mail_from = senders.all().next();
    Envelope {
        mail_from: plain(mail_from.map(ToString::to_string).unwrap_or_default()),
        rcpt_to,
    }
}
