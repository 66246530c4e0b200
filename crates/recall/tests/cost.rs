//! What a recall costs others once it is done.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use house::{ALICE, BOB, House};
use tern_base::BlobId;
use tern_mailbox::{INBOX, NoListener};
use tern_recall::{Keys, Requested, Selector, Settings};
use tern_store::{Batch, CommitError, Engine, MemEngine, Page, Range, Read, Snapshot, StoreError};

/// A store that counts what is looked for in it.
struct Counting(MemEngine, AtomicUsize);

impl Read for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.get(key)
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.scan(range, limit)
    }
}

impl Engine for Counting {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.0.snapshot()
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.0.commit(batch)
    }

    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.stage_blob_piece(blob, piece, bytes)
    }

    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.blob_piece(blob, piece)
    }

    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.0.blobs_after(after, limit)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        self.0.checkpoint(directory)
    }
}

/// A list is made often, and recalls stay for long.
#[test]
fn a_list_looks_for_no_copy_under_what_is_settled() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let kept = house.submit(ALICE, &[BOB], &[], 2);
    let engine = Arc::new(Counting(house.engine.clone(), AtomicUsize::new(0)));
    let shared: Arc<dyn Engine> = Arc::<Counting>::clone(&engine);
    let (keys, listener) = (
        Keys {
            content: [7; 32],
            token: [9; 32],
        },
        Arc::new(NoListener),
    );
    let policy = tern_policy::unattended();
    let opened = tern_recall::open(shared, keys, policy, Settings::default(), listener);
    let (mailboxes, recalls) = opened.unwrap();
    let looked = || {
        let before = engine.1.load(Ordering::Relaxed);
        let hidden = mailboxes.hidden(BOB).unwrap().len();
        (hidden, engine.1.load(Ordering::Relaxed) - before)
    };
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let answer = recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    let (hidden, cost) = looked();
    assert_eq!(hidden, 1);
    assert!(cost > 0, "its copies are looked for");
    recalls.run(request.id, house.now).unwrap();
    assert_eq!(looked(), (0, 0));
    let left = mailboxes.view(BOB, INBOX).unwrap();
    assert_eq!(left.iter().count(), 1);
    let row = mailboxes.message(BOB, left.iter().next().unwrap().message);
    assert_eq!(row.unwrap().digest, kept.digest);
}
