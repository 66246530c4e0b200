//! What a listener is for.

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Mail from other servers to this server's own recipients (port 25). No AUTH.
    Reception,
    /// Mail from this server's own users (ports 465 and 587; RFC 6409). AUTH needed.
    Submission,
}
