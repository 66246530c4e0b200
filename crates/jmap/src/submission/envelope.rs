//! The envelope of a submission: as the client gives it, or as the message has it.

use serde_json::Value;
use tern_base::EmailAddress;
use tern_delivery::{Envelope, Stop};
use tern_mime::limits::MAX_HEADER_BYTES;
use tern_mime::{address_groups, headers};

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
    pub(super) fn of(content: &[u8]) -> Result<Self, SetError> {
        let invalid = |property: &str, why: &str| {
            SetError::new("invalidEmail", why).and("properties", serde_json::json!([property]))
        };
        let from = addresses(content, "From").filter(|all| !all.is_empty());
        let from = from.ok_or_else(|| invalid("from", "From names nobody, or no address"))?;
        let sender = addresses(content, "Sender").filter(|all| all.len() <= 1);
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

/// The addresses of the fields of a name, as Email/get tells them. Of a header of more than
/// [`MAX_HEADER_BYTES`] the fields that end within them count.
fn specs(content: &[u8], name: &str) -> Vec<String> {
    let fields = headers(content).take_while(|field| field.range.end <= MAX_HEADER_BYTES);
    let groups = fields
        .filter(|field| field.is(name))
        .flat_map(|field| address_groups(field.value));
    let all = groups.flat_map(|group| group.addresses);
    all.map(|address| address.email).collect()
}

/// The same as addresses; `None` where one of them is none.
fn addresses(content: &[u8], name: &str) -> Option<Vec<EmailAddress>> {
    let parse = |spec: &String| EmailAddress::parse(spec).ok();
    specs(content, name).iter().map(parse).collect()
}

/// RFC 8621 7: the envelope of a message that comes without one. What its header has for an address and is
/// none stays what it is, so that it is refused by name.
pub(super) fn of_message(content: &[u8], senders: &Senders, identity: &EmailAddress) -> Envelope {
    let plain = |email: String| Stop {
        email,
        parameters: Vec::new(),
    };
    let mut rcpt_to: Vec<Stop> = Vec::new();
    let mut known = std::collections::HashSet::new();
    let names = ["To", "Cc", "Bcc"];
    for spec in names.iter().flat_map(|name| specs(content, name)) {
        let canonical =
            EmailAddress::parse(&spec).map_or_else(|_| spec.clone(), |it| it.canonical());
        if known.insert(canonical) {
            rcpt_to.push(plain(spec));
        }
    }
    // One that the identity does not allow gives way to the identity's.
    let mail_from = senders.all().next().filter(|sender| *sender == identity);
    Envelope {
        mail_from: plain(mail_from.unwrap_or(identity).to_string()),
        rcpt_to,
    }
}
