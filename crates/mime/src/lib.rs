//! Message bytes to structure, once at ingest, and back from a compact row.
//!
//! [`parse`] takes any bytes and gives a [`ParsedMessage`]: the envelope and body structure of
//! RFC 9051 with byte offsets for every section, a preview, the ids that thread it. [`encode`] and
//! [`decode`] store it. The structural scanner is our own, since IMAP wants raw values and exact
//! offsets; decoding of charsets, encoded words, dates and HTML is `mail-parser`'s.
//!
//! Invariants: nothing here fails or panics on any input; time is linear in the message; recursion
//! is bounded by [`limits::MAX_NESTING`]; every range lies within the message, a part's body begins
//! where its header ends, and parts follow each other in order.
//!
//! Deliberately absent: writing IMAP or JMAP syntax (those crates do), composing messages, and any
//! judgement about whether a message is wanted.

mod address;
mod attached;
mod attachment;
mod codec;
mod content;
mod continuation;
mod digest;
mod envelope;
mod forms;
mod header;
mod lexer;
pub mod limits;
mod message;
mod part;
mod piece;
mod rewrite;
mod scanner;
mod section;
mod size;
mod subject;
mod text;
mod thread;
mod tnef;

pub use address::Address;
pub use attached::first_attached;
pub use attachment::{Attachment, NoAttachment, find_attachment, without_attachment};
pub use codec::{MessageView, Structure, decode, encode};
pub use content::bare_content_id;
pub use continuation::whole_params;
pub use digest::{BlobHasher, blob_id, content_digest, each_nested, nested_digests};
pub use envelope::Envelope;
pub use forms::{AddressGroup, NamedAddress, address_groups, date_time, id_list, urls};
pub use header::{HeaderField, Headers, header_fields, header_length, header_value, headers};
pub use message::{ParsedMessage, date, parse, received_at};
pub use part::{Disposition, Param, Part, PartKind};
pub use piece::{decode_octets, whole_units};
pub use rewrite::{prepend_headers, remove_headers};
pub use section::{Section, section};
pub use subject::{base_subject, is_reply_or_forward};
pub use text::{
    decode_header_text, decode_part, decode_whole_header_text, decoded_text, decoded_text_of,
    decoded_text_weight, is_identity, is_known_charset, is_known_encoding, part_name, part_text,
    shown_header_text, shown_text,
};
pub use thread::{clean_message_id, message_ids};
pub use tnef::message_class;
