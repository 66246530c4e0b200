//! Whom a transaction wakes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use house::{ALICE, House};
use tern_base::AccountId;
use tern_mailbox::{FolderChange, Hooks, Listener, MailboxError, Mailboxes};
use tern_store::{MemEngine, StoreError, Verdict};

#[derive(Default)]
struct Heard {
    times: AtomicUsize,
    whom: Mutex<Vec<AccountId>>,
}

impl Listener for Heard {
    fn changed(&self, accounts: &[AccountId]) {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.whom.lock().unwrap().extend_from_slice(accounts);
    }
}

#[test]
fn what_changes_nothing_wakes_nobody() {
    let (engine, heard) = (MemEngine::new(), Arc::new(Heard::default()));
    let boxes = Mailboxes::open(
        Arc::new(engine.clone()),
        [7; 32],
        Arc::clone(&heard) as Arc<dyn Listener>,
        Hooks::none(),
    )
    .unwrap()
    .into_opened()
    .mailboxes;
    let now = House::new().now;
    boxes.create_account(ALICE, 0, &[], now).unwrap();
    let folder = boxes.create_folder(ALICE, "One", None, now).unwrap().id;
    let times = || heard.times.swap(0, Ordering::SeqCst);
    assert!(times() > 0);
    // Refused, left alone, and as it is already.
    let refused = boxes.create_folder(ALICE, "One", None, now);
    assert_eq!(refused.err(), Some(MailboxError::Exists));
    let left = boxes.transact(&[ALICE], |txn| {
        txn.put(vec![0xff], vec![1]);
        Ok::<_, StoreError>(Verdict::Abandon(()))
    });
    assert_eq!(left, Ok(()));
    let none = FolderChange::default();
    boxes.change_folder(ALICE, folder, &none).unwrap();
    assert_eq!(times(), 0);
    let change = FolderChange {
        sort_order: Some(7),
        ..none
    };
    boxes.change_folder(ALICE, folder, &change).unwrap();
    assert_eq!(times(), 1);
    assert_eq!(heard.whom.lock().unwrap().last(), Some(&ALICE));
}
