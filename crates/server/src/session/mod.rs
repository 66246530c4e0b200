//! What the shell adds to the sessions of each protocol: the verbs behind them, and their events as
//! log lines.

mod imap;
mod smtp;

pub(crate) use imap::ImapDoor;
pub(crate) use smtp::SmtpDoor;
