//! SMTP as state machines: reception and submission sessions, and the client of the queue.
//!
//! A [`Session`] is given octets, answers and the time; it gives back octets, events and the next
//! [`Step`](tern_session::Step). It owns no socket and no clock, draws no randomness, and reaches the rest of the
//! server only through [`Verbs`].
//!
//! Invariants: a 250 after content means that [`Verbs::accept`] has made the message durable. End
//! of data is CRLF.CRLF alone, and no command line with a bare LF is executed, so nothing can be
//! smuggled past (CVE-2023-51764). Output does not depend on how the input was cut into reads,
//! but for plaintext behind STARTTLS, which ends the session.
//!
//! Deliberately absent: what a message means (adding Date, taking Bcc out, rules, spam) is
//! delivery's; DNS and passwords are the shell's.

pub mod client;
pub mod envelope;
pub mod event;
pub mod limits;
pub mod role;
pub mod settings;
pub mod testing;
pub mod verbs;

mod content;
mod input;
mod parse;
mod received;
mod session;

pub use envelope::{BodyType, Envelope, Notify, OriginalRecipient, Recipient, Ret};
pub use event::{Event, Limit};
pub use role::Role;
pub use session::Session;
pub use settings::{BareNewline, ForeignFrom, Settings};
pub use verbs::{AcceptError, Accepted, Arrival, RecipientVerdict, Sender, Verbs};
