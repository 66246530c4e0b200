//! IMAP: bytes to typed commands, sessions as state machines, typed responses to bytes.
//!
//! IMAP4rev1 (RFC 3501), IMAP4rev2 (RFC 9051) and the extensions named at each parser. The path of
//! one command: [`frame::Framer`] cuts the input into whole commands and asks for literals,
//! [`parse::parse`] turns one into a [`command::Command`], the session acts on it and answers
//! through a [`respond::ResponseWriter`].
//!
//! The grammar is one parser over one small tokenizer. The imap-codec crate decodes about half of
//! what we need, and a conversion from its types would have been longer than the parser itself; so
//! it serves as an oracle in the tests: what it accepts we accept, with the same meaning.
//!
//! Invariant: no input reaches a panic, and nothing that a peer sends grows without a bound from
//! [`limits`]. Refuses to read a clock, to own a socket and to log.

pub mod command;
mod deflate;
pub mod event;
pub mod fetch;
pub mod frame;
pub mod limits;
pub mod name;
pub mod parse;
pub mod partial;
pub mod respond;
pub mod search;
pub mod sequence;
pub mod session;
pub mod settings;
pub mod verbs;

pub use session::Session;
