//! How the shell drives a session, whatever it speaks: bytes, answers, notifications and the time
//! in; bytes and the next [`Step`] out.
//!
//! What differs stays with each protocol: the verbs that its `step` is given, and its events.

use tern_base::{AccountId, Timestamp};

use crate::login::{Authenticated, Credentials, Verified};
use crate::peer::{Peer, TlsFacts};

/// What the shell does next.
#[derive(Debug)]
pub enum Step {
    /// Something was done; call the session's `step` again.
    Continue,
    /// More input is needed, or a notification, or an answer that is still out: write the output,
    /// then wait.
    Input,
    /// Write the output, do the TLS handshake, then call [`Protocol::tls_started`].
    StartTls,
    /// Verify these and call [`Protocol::verified`].
    Verify(Credentials),
    /// Write the output and close the connection.
    Close,
}

/// Why the shell ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The session's deadline has passed.
    TimedOut,
    /// The server stops.
    Stopping,
    /// What the session authenticated with is good no more.
    Revoked,
}

/// A session as its shell sees it.
pub trait Protocol {
    /// Takes octets from the peer. Give no more while [`Protocol::wants_input`] says no.
    fn receive(&mut self, bytes: &[u8], now: Timestamp);

    /// Something changed that the session may have to tell.
    fn notify(&mut self);

    /// Whether the session's `step` would do something.
    fn wants_work(&self) -> bool;

    /// Whether the last step did as much as one may, and what it began goes on: others have their turn first.
    fn is_busy(&self) -> bool {
        false
    }

    /// Whether the shell should read from the peer. Where it says no, the session has work to do,
    /// output to be taken or an answer to wait for first.
    fn wants_input(&self) -> bool;

    /// Whether there is output.
    fn has_output(&self) -> bool;

    /// The output so far; the shell writes it whole and in order.
    fn take_output(&mut self) -> Vec<u8>;

    /// The answer to [`Step::Verify`].
    fn verified(&mut self, outcome: Verified, now: Timestamp);

    /// The answer to [`Step::StartTls`]: the handshake is done.
    fn tls_started(&mut self, facts: TlsFacts);

    /// When the session should be told that it has [`Ending::TimedOut`].
    fn deadline(&self) -> Timestamp;

    /// Ends the session: it says so where it still can, then wants to be closed.
    fn end(&mut self, why: Ending);

    /// The other end, as it was given.
    fn peer(&self) -> &Peer;

    /// Who has authenticated, if anybody.
    fn authenticated(&self) -> Option<&Authenticated>;

    /// The account of somebody else whose changes the session may have to tell, too.
    fn also_watches(&self) -> Option<AccountId> {
        None
    }
}
