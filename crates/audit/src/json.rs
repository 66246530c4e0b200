//! The canonical JSON of an entry: what is hashed, byte for byte.
//!
//! Keys in code point order, no white space, absent fields left out, only the escapes that JSON
//! needs (RFC 8785 3.2.2.2; the same bytes as `json.dumps` of Python with sorted keys, separators
//! `,` and `:`, and `ensure_ascii` off). A number over 2^53 - 1 becomes a text: not every JSON
//! reader keeps it (RFC 8259 6).

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::entry::{Actor, Authentication, Detail, Draft, Entry, Hash};
use crate::merkle;

/// The largest number that every JSON reader keeps (RFC 7493 2.2).
const MAX_SAFE_NUMBER: u64 = (1 << 53) - 1;

impl Entry {
    /// The bytes whose SHA-256 is [`Entry::hash`].
    pub fn canonical_json(&self) -> String {
        canonical(self.sequence, &self.draft, &self.previous)
    }

    /// The hash that this entry must carry.
    pub fn computed_hash(&self) -> Hash {
        hash(&self.canonical_json())
    }

    /// Its leaf in the Merkle tree of the log.
    pub fn leaf(&self) -> Hash {
        merkle::leaf(self.canonical_json().as_bytes())
    }

    /// The line of an exported log, without its line end.
    pub fn json_line(&self) -> String {
        format!(
            "{{\"entry\":{},\"hash\":\"{}\"}}",
            self.canonical_json(),
            self.hash
        )
    }
}

/// The SHA-256 of a text.
pub(crate) fn hash(text: &str) -> Hash {
    Hash(Sha256::digest(text.as_bytes()).into())
}

/// The canonical JSON of an entry. The fields are written in code point order of their names.
pub(crate) fn canonical(sequence: u64, draft: &Draft, previous: &Hash) -> String {
    let mut out = Object::begin();
    out.text("action", &draft.action);
    out.nested("actor", actor(&draft.actor));
    if let Some(facts) = &draft.authentication {
        out.nested("authentication", authentication(facts));
    }
    let mut details = Object::begin();
    for (name, value) in &draft.details {
        match value {
            Detail::Text(text) => details.text(name, text),
            Detail::Number(number) => details.number(name, *number),
        }
    }
    out.nested("details", details.end());
    out.text("id", &draft.id.to_string());
    out.optional("on_behalf_of", draft.on_behalf_of.as_deref());
    out.optional("peer", draft.peer.as_deref());
    out.text("previous", &previous.to_string());
    out.optional("protocol", draft.protocol.as_deref());
    out.number("sequence", sequence);
    out.optional("target", draft.target.as_deref());
    out.text("time", &draft.time.to_string());
    out.end()
}

fn actor(actor: &Actor) -> String {
    let mut out = Object::begin();
    match actor {
        Actor::Server => out.text("kind", "server"),
        Actor::Operator(name) => {
            out.text("kind", "operator");
            out.text("name", name);
        }
        Actor::Account { account, address } => {
            out.number("account", u64::from(account.0));
            out.text("address", address);
            out.text("kind", "account");
        }
        Actor::Unauthenticated(claimed) => {
            out.optional("claimed", claimed.as_deref());
            out.text("kind", "unauthenticated");
        }
    }
    out.end()
}

fn authentication(facts: &Authentication) -> String {
    let mut out = Object::begin();
    out.optional("credential", facts.credential.as_deref());
    let mut factors = String::from("[");
    for (n, factor) in facts.factors.iter().enumerate() {
        if n > 0 {
            factors.push(',');
        }
        string(&mut factors, factor);
    }
    factors.push(']');
    out.nested("factors", factors);
    out.text("mechanism", &facts.mechanism);
    if let Some(time) = facts.second_factor_at {
        out.text("second_factor_at", &time.to_string());
    }
    out.end()
}

/// An object under way. The caller adds members in code point order of their names.
struct Object {
    out: String,
}

impl Object {
    fn begin() -> Self {
        Self {
            out: String::from("{"),
        }
    }

    fn name(&mut self, name: &str) {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        string(&mut self.out, name);
        self.out.push(':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        string(&mut self.out, text);
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        if number > MAX_SAFE_NUMBER {
            return self.text(name, &number.to_string());
        }
        self.nested(name, number.to_string());
    }

    fn nested(&mut self, name: &str, json: String) {
        self.name(name);
        self.out.push_str(&json);
    }

    fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }
}

/// RFC 8785 3.2.2.2: two-character escapes where JSON has them, `\u00xx` for other controls.
fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                // Writing to a String can't fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
