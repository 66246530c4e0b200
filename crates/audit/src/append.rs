//! Appending an entry, in the transaction of the act that it records.
//!
//! Idempotent by the entry's id: after a lost answer the verb is simply called again.

use std::collections::BTreeMap;

use tern_base::Fault;
use tern_store::{Engine, StoreError, Transaction, Verdict, transact};

use crate::entry::{Actor, CUT, Detail, Draft, Entry};
use crate::read::Head;
use crate::span::{self, Open};
use crate::{index, json, limits, tables};

/// Why an entry was not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller's action or detail names break the rules of the log: a defect of the caller.
    #[error("an audit entry with {0}")]
    Form(&'static str),
    /// There is no key that could sign.
    #[error("the log has no key: the server makes one when it starts")]
    NoKey,
    /// The log is not as it was when it was signed last: nothing more is signed.
    #[error("the log is not as it was signed: `tern audit verify` says where")]
    Broken,
}

impl AuditError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Form(_) | Self::NoKey | Self::Broken => Fault::Ours,
        }
    }
}

/// What appending did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The place of the entry.
    pub sequence: u64,
    /// Whether it is new; false when this id had been appended before.
    pub new: bool,
}

/// Appends an entry in a transaction of its own.
pub fn append(engine: &dyn Engine, draft: &Draft) -> Result<Appended, AuditError> {
    transact(engine, |txn| {
        append_in(txn, draft.clone()).map(Verdict::Commit)
    })
}

/// Appends an entry to the log with whatever else the transaction does.
pub fn append_in(txn: &mut Transaction<'_>, draft: Draft) -> Result<Appended, AuditError> {
    check_form(&draft)?;
    let id_key = tables::id_key(draft.id);
    if let Some(row) = txn.get(&id_key)? {
        let sequence = tables::decode_sequence(&row).map_err(StoreError::from)?;
        return Ok(Appended {
            sequence,
            new: false,
        });
    }
    let (head, open) = match txn.get_newest(&tables::head_key())? {
        None => (Head::EMPTY, Open::EMPTY),
        Some(row) => tables::decode_head(&row).map_err(StoreError::from)?,
    };
    let sequence = head.sequence + 1;
    let draft = clip(draft);
    let hash = json::hash(&json::canonical(sequence, &draft, &head.hash));
    let entry = Entry {
        sequence,
        draft,
        previous: head.hash,
        hash,
    };
    txn.put(id_key, tables::encode_sequence(sequence));
    index::put_in(txn, sequence, &entry.draft);
    txn.put(tables::entry_key(sequence), tables::encode_entry(&entry));
    let open = span::put_in(txn, sequence, entry.draft.time, open);
    txn.put(
        tables::head_key(),
        tables::encode_head(&Head { sequence, hash }, &open),
    );
    Ok(Appended {
        sequence,
        new: true,
    })
}

fn check_form(draft: &Draft) -> Result<(), AuditError> {
    let name = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        !name.is_empty() && name.len() <= limits::MAX_NAME && name.chars().all(fits)
    };
    if !name(&draft.action) {
        return Err(AuditError::Form("an action that is no dotted name"));
    }
    if draft.details.len() > limits::MAX_DETAILS {
        return Err(AuditError::Form("too many details"));
    }
    // Names in ASCII also keep code point order and UTF-16 order of the JSON keys the same.
    if !draft.details.keys().all(|key| name(key)) {
        return Err(AuditError::Form("a detail without a plain name"));
    }
    let factors = draft.authentication.as_ref().map_or(0, |a| a.factors.len());
    if factors > limits::MAX_FACTORS {
        return Err(AuditError::Form("too many factors"));
    }
    Ok(())
}

/// Cuts every text to its bound.
fn clip(mut draft: Draft) -> Draft {
    draft.actor = match draft.actor {
        Actor::Server => Actor::Server,
        Actor::Operator(name) => Actor::Operator(clip_text(name)),
        Actor::Account { account, address } => Actor::Account {
            account,
            address: clip_text(address),
        },
        Actor::Unauthenticated(claimed) => Actor::Unauthenticated(claimed.map(clip_text)),
    };
    draft.authentication = draft.authentication.map(|mut facts| {
        facts.mechanism = clip_text(facts.mechanism);
        facts.factors = facts.factors.into_iter().map(clip_text).collect();
        facts.credential = facts.credential.map(clip_text);
        facts
    });
    draft.on_behalf_of = draft.on_behalf_of.map(clip_text);
    draft.peer = draft.peer.map(clip_text);
    draft.protocol = draft.protocol.map(clip_text);
    draft.target = draft.target.map(clip_text);
    let clip_detail = |(name, value)| match value {
        Detail::Text(text) => (name, Detail::Text(clip_text(text))),
        number @ Detail::Number(_) => (name, number),
    };
    let details = std::mem::take(&mut draft.details);
    draft.details = details
        .into_iter()
        .map(clip_detail)
        .collect::<BTreeMap<_, _>>();
    draft
}

fn clip_text(mut text: String) -> String {
    if text.len() > limits::MAX_TEXT {
        let mut end = limits::MAX_TEXT - CUT.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push(CUT);
    }
    text
}
