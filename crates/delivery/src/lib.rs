//! An accepted message to its mailboxes or the queue
