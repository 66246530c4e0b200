//! SMTP reception and submission sessions as state machines
