//! Mailboxes for the tests that stand beside what they test.

use std::sync::Arc;

use tern_base::{AccountId, OriginId, Timestamp};
use tern_store::MemEngine;

use crate::{AppendRequest, Flags, Hooks, INBOX, Mailboxes, NoListener, Placed, Viewer};

pub(crate) const BOB: AccountId = AccountId(1);
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Bob, with messages in his inbox whose subjects are numbers from 0 on.
pub(crate) fn bob(messages: usize) -> (Arc<MemEngine>, Mailboxes) {
    let engine = Arc::new(MemEngine::new());
    let listener = Arc::new(NoListener);
    let mailboxes = Mailboxes::open(engine.clone(), [1; 32], listener, Hooks::none()).unwrap();
    mailboxes.create_account(BOB, 0, &[], NOW).unwrap();
    for number in 0..messages {
        append(&mailboxes, number);
    }
    (engine, mailboxes)
}

/// One more.
pub(crate) fn append(mailboxes: &Mailboxes, number: usize) -> Placed {
    let request = AppendRequest {
        account: BOB,
        mailbox: INBOX,
        content: format!("Subject: {number}\r\n\r\n").into_bytes(),
        flags: Flags::empty(),
        received: None,
        origin: OriginId([1; 16]),
        by: Viewer::default().into(),
    };
    mailboxes.append(request, NOW).unwrap()
}
