//! The rows of the log, tables 0x40 to 0x4f.
//!
//! | table | key after the table byte | value after the version byte |
//! |---|---|---|
//! | 0x40 head | - | sequence, hash of the last entry, the [`crate::span::Open`] spans after it |
//! | 0x41 entry | sequence u64 | the entry, previous hash, hash |
//! | 0x42 id | entry id 16 | sequence |
//! | 0x43 key | number u32 | log name, public key 32, when made, sequence of its entry, signature of the key before it |
//! | 0x44 seed | - | number of the key in force, its seed 32 |
//! | 0x45 checkpoint | entries u64 | the signed note |
//! | 0x46 tree | - | the Merkle tree that the newest checkpoint signed |
//! | 0x47 trunk | - | what is left of removed entries: their tree, the hash of the last, the signed note |
//! | 0x48 forwarded | - | the last entry, and the entries of the last checkpoint, that a collector has |
//! | 0x49 term | [`crate::index::Term`] 16, sequence u64 | empty: the entry has it |
//! | 0x4a span | which of [`crate::span::SIZES`] u8, the last entry u64 | first and last time of so many entries up to it |

use std::collections::BTreeMap;

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Timestamp};
use tern_store::Range;
use tern_store::key::{Key, KeyReader};

use crate::entry::{Actor, Authentication, Detail, Draft, Entry, EntryId, Hash};
use crate::forward::Forwarded;
use crate::index::Term;
use crate::keys::Key as LogKey;
use crate::merkle::Tree;
use crate::note::VerifyingKey;
use crate::read::Head;
use crate::span::{Open, Span};
use crate::trunk::Trunk;

const HEAD: u8 = 0x40;
const ENTRY: u8 = 0x41;
const ID: u8 = 0x42;
const KEY: u8 = 0x43;
const SEED: u8 = 0x44;
const CHECKPOINT: u8 = 0x45;
const TREE: u8 = 0x46;
const TRUNK: u8 = 0x47;
const FORWARDED: u8 = 0x48;
const TERM: u8 = 0x49;
const SPAN: u8 = 0x4a;
const VERSION: u8 = 1;
const HEAD_VERSION: u8 = 2;

pub(crate) fn head_key() -> Vec<u8> {
    Key::table(HEAD).finish()
}

pub(crate) fn entry_key(sequence: u64) -> Vec<u8> {
    Key::table(ENTRY).u64(sequence).finish()
}

pub(crate) fn id_key(id: EntryId) -> Vec<u8> {
    Key::table(ID).array(&id.0).finish()
}

/// Entries from `from` to `to`, both included.
pub(crate) fn entries(from: u64, to: u64) -> Range {
    Range {
        start: entry_key(from),
        end: match to.checked_add(1) {
            Some(end) => entry_key(end),
            None => Key::table(ENTRY + 1).finish(),
        },
        reverse: false,
    }
}

pub(crate) fn term_key(term: Term, sequence: u64) -> Vec<u8> {
    Key::table(TERM).array(&term.0).u64(sequence).finish()
}

pub(crate) fn read_term_key(key: &[u8]) -> Option<(Term, u64)> {
    let mut parts = KeyReader::new(key);
    Some((Term(parts.array()?), parts.u64()?))
}

/// The entries that have a term, from `from` to `to`, both included.
pub(crate) fn entries_with(term: Term, from: u64, to: u64) -> Range {
    Range {
        start: term_key(term, from),
        end: term_key(term, to.saturating_add(1)),
        reverse: false,
    }
}

/// Every row that names an entry by a term.
pub(crate) fn all_terms() -> Range {
    Range::prefix(Key::table(TERM).finish())
}

pub(crate) fn span_key(size: u8, last: u64) -> Vec<u8> {
    Key::table(SPAN).array(&[size]).u64(last).finish()
}

/// The last entry of a span.
pub(crate) fn span_key_end(key: &[u8]) -> Option<u64> {
    let mut parts = KeyReader::new(key);
    parts.array::<1>()?;
    parts.u64()
}

/// Every row of the times of a block.
pub(crate) fn all_spans() -> Range {
    Range::prefix(Key::table(SPAN).finish())
}

/// Every row that names an entry by its id.
pub(crate) fn all_ids() -> Range {
    Range::prefix(Key::table(ID).finish())
}

pub(crate) fn entry_key_sequence(key: &[u8]) -> Option<u64> {
    KeyReader::new(key).u64()
}

pub(crate) fn log_key(number: u32) -> Vec<u8> {
    Key::table(KEY).u32(number).finish()
}

pub(crate) fn all_log_keys() -> Range {
    Range::prefix(Key::table(KEY).finish())
}

pub(crate) fn seed_key() -> Vec<u8> {
    Key::table(SEED).finish()
}

pub(crate) fn checkpoint_key(entries: u64) -> Vec<u8> {
    Key::table(CHECKPOINT).u64(entries).finish()
}

/// Checkpoints of so many entries or more.
pub(crate) fn checkpoints(from: u64) -> Range {
    Range {
        start: checkpoint_key(from),
        end: Key::table(CHECKPOINT + 1).finish(),
        reverse: false,
    }
}

pub(crate) fn tree_key() -> Vec<u8> {
    Key::table(TREE).finish()
}

pub(crate) fn trunk_key() -> Vec<u8> {
    Key::table(TRUNK).finish()
}

pub(crate) fn forwarded_key() -> Vec<u8> {
    Key::table(FORWARDED).finish()
}

pub(crate) fn encode_forwarded(forwarded: &Forwarded) -> Vec<u8> {
    Writer::versioned(VERSION)
        .number(forwarded.entry)
        .number(forwarded.checkpoint)
        .finish()
}

pub(crate) fn decode_forwarded(bytes: &[u8]) -> Result<Forwarded, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Forwarded {
        entry: r.number()?,
        checkpoint: r.number()?,
    })
}

pub(crate) fn encode_log_key(key: &LogKey) -> Vec<u8> {
    Writer::versioned(VERSION)
        .text(key.verifying.name())
        .array(key.verifying.public())
        .number(key.made.0)
        .number(key.sequence)
        .bytes(&key.endorsement)
        .finish()
}

pub(crate) fn decode_log_key(number: u32, bytes: &[u8]) -> Result<LogKey, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    let name = r.text()?;
    Ok(LogKey {
        number,
        verifying: VerifyingKey::new(name, r.array()?),
        made: Timestamp(r.number()?),
        sequence: r.number()?,
        endorsement: r.bytes()?.to_vec(),
    })
}

pub(crate) fn encode_seed(number: u32, seed: &[u8; 32]) -> Vec<u8> {
    Writer::versioned(VERSION)
        .number(number.into())
        .array(seed)
        .finish()
}

pub(crate) fn decode_seed(bytes: &[u8]) -> Result<(u32, [u8; 32]), Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok((r.number32()?, r.array()?))
}

pub(crate) fn encode_note(note: &str) -> Vec<u8> {
    Writer::versioned(VERSION).text(note).finish()
}

pub(crate) fn decode_note(bytes: &[u8]) -> Result<String, Damaged> {
    Reader::of_version(bytes, VERSION)?.text()
}

fn write_tree(w: &mut Writer, tree: &Tree) {
    w.number(tree.size()).list(tree.subtrees(), |w, hash| {
        w.array(&hash.0);
    });
}

fn read_tree(r: &mut Reader<'_>) -> Result<Tree, Damaged> {
    let size = r.number()?;
    let subtrees = r.list(|r| r.array().map(Hash))?;
    Tree::from_parts(size, subtrees).ok_or(Damaged)
}

pub(crate) fn encode_tree(tree: &Tree) -> Vec<u8> {
    let mut w = Writer::versioned(VERSION);
    write_tree(&mut w, tree);
    w.finish()
}

pub(crate) fn decode_tree(bytes: &[u8]) -> Result<Tree, Damaged> {
    read_tree(&mut Reader::of_version(bytes, VERSION)?)
}

pub(crate) fn encode_trunk(trunk: &Trunk) -> Vec<u8> {
    let mut w = Writer::versioned(VERSION);
    write_tree(&mut w, &trunk.tree);
    w.array(&trunk.hash.0).text(&trunk.note).finish()
}

pub(crate) fn decode_trunk(bytes: &[u8]) -> Result<Trunk, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Trunk {
        tree: read_tree(&mut r)?,
        hash: Hash(r.array()?),
        note: r.text()?,
    })
}

fn write_span(w: &mut Writer, span: &Span) {
    w.number(span.first.0).number(span.last.0);
}

fn read_span(r: &mut Reader<'_>) -> Result<Span, Damaged> {
    Ok(Span {
        first: Timestamp(r.number()?),
        last: Timestamp(r.number()?),
    })
}

pub(crate) fn encode_span(span: &Span) -> Vec<u8> {
    let mut w = Writer::versioned(VERSION);
    write_span(&mut w, span);
    w.finish()
}

pub(crate) fn decode_span(bytes: &[u8]) -> Result<Span, Damaged> {
    read_span(&mut Reader::of_version(bytes, VERSION)?)
}

pub(crate) fn encode_head(head: &Head, open: &Open) -> Vec<u8> {
    let mut w = Writer::versioned(HEAD_VERSION);
    w.number(head.sequence).array(&head.hash.0);
    open.0.iter().for_each(|span| write_span(&mut w, span));
    w.finish()
}

pub(crate) fn decode_head(bytes: &[u8]) -> Result<(Head, Open), Damaged> {
    let mut r = Reader::of_version(bytes, HEAD_VERSION)?;
    let head = Head {
        sequence: r.number()?,
        hash: Hash(r.array()?),
    };
    let mut open = Open::EMPTY;
    for span in &mut open.0 {
        *span = read_span(&mut r)?;
    }
    Ok((head, open))
}

pub(crate) fn encode_sequence(sequence: u64) -> Vec<u8> {
    Writer::versioned(VERSION).number(sequence).finish()
}

pub(crate) fn decode_sequence(bytes: &[u8]) -> Result<u64, Damaged> {
    Reader::of_version(bytes, VERSION)?.number()
}

pub(crate) fn encode_entry(entry: &Entry) -> Vec<u8> {
    let draft = &entry.draft;
    let mut w = Writer::versioned(VERSION);
    w.array(&draft.id.0).number(draft.time.0);
    write_actor(&mut w, &draft.actor);
    write_text(&mut w, &draft.on_behalf_of);
    w.option(draft.authentication.as_ref(), |w, facts| {
        w.text(&facts.mechanism)
            .list(&facts.factors, |w, factor| {
                w.text(factor);
            })
            .option(facts.credential.as_deref(), |w, text| {
                w.text(text);
            })
            .option(facts.second_factor_at, |w, time| {
                w.number(time.0);
            });
    });
    write_text(&mut w, &draft.peer);
    write_text(&mut w, &draft.protocol);
    w.text(&draft.action);
    write_text(&mut w, &draft.target);
    w.number(draft.details.len() as u64);
    for (name, value) in &draft.details {
        w.text(name);
        match value {
            Detail::Text(text) => w.byte(0).text(text),
            Detail::Number(number) => w.byte(1).number(*number),
        };
    }
    w.array(&entry.previous.0).array(&entry.hash.0).finish()
}

/// The entry of a row; the sequence is in its key.
pub(crate) fn decode_entry(sequence: u64, bytes: &[u8]) -> Result<Entry, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    let id = EntryId(r.array()?);
    let time = Timestamp(r.number()?);
    let draft = Draft {
        id,
        time,
        actor: read_actor(&mut r)?,
        on_behalf_of: r.option(Reader::text)?,
        authentication: r.option(read_authentication)?,
        peer: r.option(Reader::text)?,
        protocol: r.option(Reader::text)?,
        action: r.text()?,
        target: r.option(Reader::text)?,
        details: read_details(&mut r)?,
    };
    let entry = Entry {
        sequence,
        draft,
        previous: Hash(r.array()?),
        hash: Hash(r.array()?),
    };
    if r.is_empty() {
        Ok(entry)
    } else {
        Err(Damaged)
    }
}

fn write_text(w: &mut Writer, text: &Option<String>) {
    w.option(text.as_deref(), |w, text| {
        w.text(text);
    });
}

fn write_actor(w: &mut Writer, actor: &Actor) {
    match actor {
        Actor::Server => w.byte(0),
        Actor::Operator(name) => w.byte(1).text(name),
        Actor::Account { account, address } => w.byte(2).number(account.0.into()).text(address),
        Actor::Unauthenticated(claimed) => {
            w.byte(3);
            write_text(w, claimed);
            w
        }
    };
}

fn read_actor(r: &mut Reader<'_>) -> Result<Actor, Damaged> {
    Ok(match r.byte()? {
        0 => Actor::Server,
        1 => Actor::Operator(r.text()?),
        2 => Actor::Account {
            account: AccountId(r.number32()?),
            address: r.text()?,
        },
        3 => Actor::Unauthenticated(r.option(Reader::text)?),
        _ => return Err(Damaged),
    })
}

fn read_authentication(r: &mut Reader<'_>) -> Result<Authentication, Damaged> {
    Ok(Authentication {
        mechanism: r.text()?,
        factors: r.list(Reader::text)?,
        credential: r.option(Reader::text)?,
        second_factor_at: r.option(Reader::number)?.map(Timestamp),
    })
}

fn read_details(r: &mut Reader<'_>) -> Result<BTreeMap<String, Detail>, Damaged> {
    let read = |r: &mut Reader<'_>| {
        let name = r.text()?;
        let value = match r.byte()? {
            0 => Detail::Text(r.text()?),
            1 => Detail::Number(r.number()?),
            _ => return Err(Damaged),
        };
        Ok((name, value))
    };
    Ok(r.list(read)?.into_iter().collect())
}
