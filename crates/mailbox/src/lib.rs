//! Mailboxes and messages: append, flag, move, copy, expunge, withdraw, restore
