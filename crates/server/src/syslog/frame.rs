//! Entries and checkpoints as syslog messages.
//!
//! The message is the line of the export, so a collector holds what it needs to verify the chain;
//! what people search by is in the structured data besides.

use tern_audit::{Actor, Entry, Signed};

use crate::config::{Facility, Syslog};

/// RFC 5424 6.2.1: an audit entry is normal but significant.
const NOTICE: u8 = 5;
/// RFC 5424 6.2.7.
const MAX_MSGID: usize = 32;

/// How messages of this server look.
#[derive(Clone, Debug)]
pub(super) struct Format {
    hostname: String,
    facility: Facility,
    enterprise_number: u32,
}

impl Format {
    pub(super) fn new(settings: &Syslog, hostname: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            facility: settings.facility,
            enterprise_number: settings.enterprise_number,
        }
    }

    /// The message of an entry.
    pub(super) fn entry(&self, entry: &Entry) -> Vec<u8> {
        let draft = &entry.draft;
        let kind = match &draft.actor {
            Actor::Server => "server",
            Actor::Operator(_) => "operator",
            Actor::Account { .. } => "account",
            Actor::Unauthenticated(_) => "unauthenticated",
        };
        let parameters = [
            ("sequence", Some(entry.sequence.to_string())),
            ("action", Some(draft.action.clone())),
            ("actorKind", Some(kind.to_owned())),
            ("actor", draft.actor.name().map(str::to_owned)),
            ("onBehalfOf", draft.on_behalf_of.clone()),
            ("target", draft.target.clone()),
            ("peer", draft.peer.clone()),
            ("hash", Some(entry.hash.to_string())),
        ];
        let time = draft.time.to_string();
        self.message(&time, &draft.action, &parameters, &entry.json_line())
    }

    /// The message of a checkpoint.
    pub(super) fn checkpoint(&self, signed: &Signed) -> Vec<u8> {
        let checkpoint = &signed.checkpoint;
        let parameters = [("entries", Some(checkpoint.entries.to_string()))];
        let time = checkpoint.time.as_deref().unwrap_or("-");
        let text = serde_json::json!({"checkpoint": signed.note}).to_string();
        self.message(time, "audit.checkpoint", &parameters, &text)
    }

    /// A message with its length before it (RFC 5425 4.3).
    fn message(
        &self,
        time: &str,
        id: &str,
        parameters: &[(&str, Option<String>)],
        text: &str,
    ) -> Vec<u8> {
        let priority = self.facility as u8 * 8 + NOTICE;
        let id = &id[..id.len().min(MAX_MSGID)];
        let mut data = format!("[tern@{}", self.enterprise_number);
        for (name, value) in parameters {
            if let Some(value) = value {
                data.push_str(&format!(" {name}=\"{}\"", escaped(value)));
            }
        }
        data.push(']');
        // RFC 5424 6.4: a text in UTF-8 begins with the byte order mark.
        let message = format!(
            "<{priority}>1 {time} {} tern - {id} {data} \u{feff}{text}",
            self.hostname
        );
        [format!("{} ", message.len()).as_bytes(), message.as_bytes()].concat()
    }
}

/// RFC 5424 6.3.3. What would end a line of a collector's file becomes a space.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' | '\\' | ']' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use tern_audit::{Draft, EntryId, Hash};
    use tern_base::Timestamp;

    use super::*;

    #[test]
    fn an_entry_is_one_message_that_names_what_people_search_by() {
        let actor = Actor::Operator(String::from("r\"o]o\\t\n"));
        let draft = Draft::new(EntryId([7; 16]), Timestamp(1_234), actor, "account.quota");
        let entry = Entry {
            sequence: 3,
            draft: draft.target("bob@example.org"),
            previous: Hash::ZERO,
            hash: Hash([0xab; 32]),
        };
        let format = Format::new(&Syslog::default(), "mx.example.org");
        let frame = String::from_utf8(format.entry(&entry)).expect("UTF-8");
        let (length, message) = frame.split_once(' ').expect("a length");
        assert_eq!(length.parse(), Ok(message.len()));
        let hash = "ab".repeat(32);
        let head = format!(
            "<109>1 1970-01-01T00:00:01.234Z mx.example.org tern - account.quota [tern@32473 \
             sequence=\"3\" action=\"account.quota\" actorKind=\"operator\" \
             actor=\"r\\\"o\\]o\\\\t \" target=\"bob@example.org\" hash=\"{hash}\"] \u{feff}"
        );
        let text = message.strip_prefix(&head).expect("the head");
        assert_eq!(text, entry.json_line());
    }
}
