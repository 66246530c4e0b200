//! Evidence: one file for whoever has to decide on a breach, which proves itself without this server.
//!
//! The format is described in docs/evidence.md. What is known of a recall, with the entries of the
//! audit log about it, is signed by the key of that log; each entry is proven to be under a signed
//! checkpoint by its way through the Merkle tree (RFC 9162 2.1.3).
//!
//! Invariant: a file that verifies says what the server said, and each entry in it is one of the log.
//!
//! Refuses to call a file proven by a key that only the file itself names: that is said apart.

pub(crate) mod page;
mod verify;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use tern_audit::{AuditError, Entry, Inclusion, Key};
use tern_store::Engine;

pub(crate) use verify::verify;

/// The name and version of the format.
pub(crate) const SCHEMA: &str = "tern-evidence/1";

/// What is signed: the bytes of the evidence are in it by their digest, so that the note can stand
/// beside them in one file.
fn signed_text(name: &str, evidence: &Value) -> String {
    let mut text = String::new();
    canonical(&mut text, evidence);
    format!("{name}\nevidence\nsha256 {}\n", sha256(&text))
}

/// The canonical form of a value (RFC 8785), whose numbers are whole and whose names are ASCII. The
/// maps of serde_json need not be sorted: that hangs on how others in the house have it built.
fn canonical(out: &mut String, value: &Value) {
    let mut between = "";
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in sorted {
                out.push_str(between);
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                canonical(out, value);
                between = ",";
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for value in list {
                out.push_str(between);
                canonical(out, value);
                between = ",";
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// The canonical text of the entry in a line of the log, where it is what its hash says.
pub(crate) fn hashed(line: &Value) -> Option<String> {
    let mut text = String::new();
    canonical(&mut text, &line["entry"]);
    (line["hash"] == sha256(&text)).then_some(text)
}

/// A SHA-256 in hexadecimal.
fn sha256(text: &str) -> String {
    sha256_of(text.as_bytes())
}

/// The same of any octets.
pub(crate) fn sha256_of(octets: &[u8]) -> String {
    hex(digest(&SHA256, octets).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The part about the log: keys, checkpoint, entries with their proofs, and how many of the log's oldest were
/// removed: among them may be some about the recall.
pub(crate) fn log_part(
    keys: &[Key],
    entries: &[Entry],
    inclusion: &Inclusion,
    removed: u64,
) -> Value {
    let key = |key: &Key| {
        json!({"number": key.number, "key": key.verifying.to_string(),
            "madeAt": key.made.to_string(), "entry": key.sequence,
            "signature": hex(&key.endorsement)})
    };
    let proven = entries.iter().zip(&inclusion.proofs);
    let entry = |(entry, proof): (&Entry, &Vec<tern_audit::Hash>)| {
        let line: Value = serde_json::from_str(&entry.canonical_json()).unwrap_or_default();
        let proof: Vec<String> = proof.iter().map(ToString::to_string).collect();
        json!({"entry": line, "hash": entry.hash.to_string(), "proof": proof})
    };
    json!({
        "name": inclusion.signed.checkpoint.name,
        "keys": keys.iter().map(key).collect::<Vec<_>>(),
        "checkpoint": inclusion.signed.note,
        "entries": proven.map(entry).collect::<Vec<_>>(),
        "removed": removed,
    })
}

/// The file: the evidence, and the note that signs it.
pub(crate) fn bundle(engine: &dyn Engine, evidence: Value) -> Result<Value, AuditError> {
    let name = evidence["log"]["name"].as_str().unwrap_or_default();
    let note = tern_audit::attest(engine, &signed_text(name, &evidence))?;
    Ok(json!({"evidence": evidence, "signature": note}))
}
