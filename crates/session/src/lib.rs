//! What the sessions of every protocol have in common: the other end, the login, the memory for
//! content on its way in, what mailboxes of others need of the directory, and how the shell drives a
//! session.
//!
//! Invariant: nothing here knows a protocol's grammar, and nothing here owns a socket, a clock or a
//! password longer than it takes to hand it on.

pub mod event;
pub mod ids;
pub mod limits;
pub mod login;
pub mod memory;
pub mod peer;
pub mod protocol;
pub mod rate;
pub mod sasl;
pub mod sharing;

pub use event::SessionEvent;
pub use login::{Authenticated, Credentials, Mechanism, Verified};
pub use memory::{Budget, ContentMemory, Reservation, Unlimited};
pub use peer::{Peer, TlsFacts};
pub use protocol::{Ending, Protocol, Step};
pub use rate::Rate;
pub use sasl::{Answer, Exchange};
pub use sharing::{RightsRequest, Sharing, SharingError};
