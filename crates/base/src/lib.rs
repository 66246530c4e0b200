//! The ground floor: ids, addresses, time and entropy as arguments, and errors that say whose
//! fault they are.
//!
//! Invariant: nothing here reads a clock, draws randomness, or does I/O. What the rest of the
//! house needs of the outer world comes in as a value ([`Timestamp`]) or as a trait ([`Entropy`]).

pub mod address;
pub mod changes;
pub mod codec;
pub mod dsn;
pub mod entropy;
pub mod fault;
pub mod id;
pub mod limits;
pub mod time;

pub use address::{AddressError, Domain, EmailAddress};
pub use entropy::{Entropy, SeededEntropy};
pub use fault::Fault;
pub use id::{
    AccountId, BlobId, ContentDigest, MailboxId, MessageId, Modseq, OriginId, ThreadId, Uid,
};
pub use time::Timestamp;
