//! IMAP sessions as state machines
