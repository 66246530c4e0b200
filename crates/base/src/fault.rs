//! Whose fault an error is. Every error type of the house maps to one [`Fault`], and every
//! protocol maps each `Fault` once, at its session.

/// Whose fault an error is, and so what a peer should be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The peer sent something that can't be done as sent; the same again fails again.
    Peer,
    /// What was asked is understood and refused by rule (quota, permission, policy).
    Policy,
    /// Something on this side is in the way for now (disk full, conflict, restart): try later.
    Temporary,
    /// A defect or damage on this side; the same again most likely fails again.
    Ours,
}
