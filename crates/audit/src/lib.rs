//! The tamper-evident log: append, verify, read
