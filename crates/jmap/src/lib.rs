//! JMAP (RFC 8620, RFC 8621): one request in, domain verbs, one response out.
//!
//! The way of a request: [`Request::parse`] reads it strictly (I-JSON, the shape of RFC 8620 3.3, the
//! limits), [`execute`] resolves references and runs the method calls in order, and each answers its
//! response or a method-level error. Whoever is at the other end is a [`Caller`]; what may be reached is
//! in [`Verbs`].
//!
//! Invariants:
//! - A request that cannot be read as a whole has no effect ([`Problem`]); one method call that fails
//!   does not undo those before it, nor stop those after it (RFC 8620 3.6.2).
//! - What is served of a message is on record before it is in the response, and content under a seal is
//!   `notFound`.
//! - An id is looked for within what the caller sees of one account: what they don't see is `notFound`, as
//!   what is not there.
//! - State is the account's newest modseq: IMAP and JMAP read the one change log. Of what is seen of somebody
//!   else's account it names the newest that is seen, and nobody but the server reads it.
//!
//! Refuses to know HTTP, sockets and clocks: the shell brings bytes and takes bytes.

pub mod blob_id;
pub mod capability;
pub mod limits;
pub mod problem;
pub mod push;
pub mod session;
pub mod websocket;

mod args;
mod blob;
mod blobs;
mod budget;
mod caller;
mod context;
mod date;
mod dispatch;
mod echo;
mod email;
mod error;
mod identity;
mod ijson;
mod mailbox;
mod mdn;
mod principal;
mod quota;
mod recall;
mod reference;
mod request;
mod scope;
mod share_notification;
mod standard;
mod state;
mod submission;
mod subscription;
mod thread;
mod vacation;
mod verbs;

pub use blob::{Download, download_needs, download_size};
pub use blobs::{AnyUploads, UploadDesk};
pub use budget::Held;
pub use caller::Caller;
pub use capability::Capability;
pub use dispatch::execute;
pub use error::{MethodError, SetError};
pub use problem::Problem;
pub use recall::{NoDesk, RecallDesk};
pub use request::{Request, Response};
pub use scope::account_seen;
pub use state::{Types, changed_types};
pub use subscription::{NoPush, PushDesk};
pub use verbs::Verbs;
