//! A record of what is about to be served, at the same moment as a seal or a removal: whichever commits
//! first, nothing is served that is not on record, and the record is found by its letter.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::path::Path;
use std::sync::{Arc, Mutex};

use house::{ALICE, BOB, FOLDERS, House, TAG, letter};
use tern_base::{BlobId, ContentDigest, Timestamp, Uid};
use tern_mailbox::{
    Cover, ExposureLevel, Flags, INBOX, Landing, Lineage, MailboxError, Mailboxes, NoListener,
    Origins, Outside, Seal, Served, Share, Viewer,
};
use tern_store::{Batch, CommitError, Engine, MemEngine, Page, Range, Read, Snapshot, StoreError};

/// What somebody else does.
type Deed = Box<dyn FnOnce() + Send>;

/// An engine on which somebody else commits just before the next commit does.
struct Meeting {
    inner: MemEngine,
    before: Mutex<Option<Deed>>,
}

impl Read for Meeting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        self.inner.scan(range, limit)
    }
}

impl Engine for Meeting {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.inner.snapshot()
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let deed = self.before.lock().unwrap().take();
        if let Some(deed) = deed {
            deed();
        }
        self.inner.commit(batch)
    }

    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.stage_blob_piece(blob, piece, bytes)
    }

    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.blob_piece(blob, piece)
    }

    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.inner.blobs_after(after, limit)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        self.inner.checkpoint(directory)
    }
}

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// One account with one message.
#[derive(Clone)]
struct One {
    engine: Arc<Meeting>,
    mailboxes: Arc<Mailboxes>,
    digest: ContentDigest,
    served: Served,
    uid: Uid,
}

impl One {
    fn new() -> Self {
        let engine = Arc::new(Meeting {
            inner: MemEngine::new(),
            before: Mutex::new(None),
        });
        let listener = Arc::new(NoListener);
        let opened = Mailboxes::open(Arc::<Meeting>::clone(&engine), [7; 32], listener);
        let mailboxes = Arc::new(opened.unwrap());
        mailboxes.create_account(BOB, 0, &FOLDERS, NOW).unwrap();
        let prepared = mailboxes.prepare(letter(1), NOW).unwrap();
        let landing = Landing {
            account: BOB,
            mailbox: INBOX,
            flags: Flags::empty(),
            received: NOW,
            prefix: Vec::new(),
            origin: tern_base::OriginId([1; 16]),
            lineage: Lineage::Delivered,
            brought_by: None,
        };
        let placed = mailboxes.land(&prepared, &[landing], NOW).unwrap();
        let placed = placed.into_iter().next().unwrap().unwrap();
        let row = mailboxes.message(BOB, placed.message).unwrap();
        Self {
            engine,
            digest: row.digest,
            served: Served {
                account: BOB,
                message: placed.message,
                digest: row.digest,
                origin: row.origin,
                carries: false,
                level: ExposureLevel::Body,
                share: Share::ALL,
            },
            uid: placed.uid,
            mailboxes,
        }
    }

    /// What happens just before the next commit.
    fn meanwhile(&self, deed: impl FnOnce(&Self) + Send + 'static) {
        let one = self.clone();
        *self.engine.before.lock().unwrap() = Some(Box::new(move || deed(&one)));
    }

    fn record(&self) -> Result<(), MailboxError> {
        let viewer = Viewer::default();
        self.mailboxes.record_served(&[self.served], &viewer, NOW)
    }

    fn expunge(&self) {
        let gone = self
            .mailboxes
            .expunge(BOB, INBOX, &[self.uid], false, NOW)
            .unwrap();
        assert_eq!(gone, [self.uid]);
    }

    fn seal(&self) {
        let seal = Seal {
            tag: TAG,
            cover: Cover::Except([].into()),
            outside: Outside::All,
            origins: Origins::all(),
            attached: true,
            part: None,
            active: true,
            until: NOW,
        };
        let sealed = self
            .mailboxes
            .seal(self.digest, seal, |_| Ok::<_, MailboxError>(()));
        sealed.unwrap();
    }

    /// Takes it out, as somebody does whose seal is over at once.
    fn withdraw(&self) {
        let copies = [(BOB, self.served.message)];
        let work = |txn: &mut tern_store::Transaction<'_>| {
            let gone = self.mailboxes.withdraw_in(txn, &copies, TAG, NOW)?;
            self.mailboxes.settle_seal_in(txn, self.digest, TAG)?;
            Ok::<_, MailboxError>(tern_store::Verdict::Commit(gone.len()))
        };
        assert_eq!(self.mailboxes.transact(&[BOB], work), Ok(1));
    }

    /// How many copies of the letter are on record as served.
    fn on_record(&self) -> usize {
        let findings = self.mailboxes.check(&Default::default()).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        let ledger = self.mailboxes.ledger(BOB, self.served.message).unwrap();
        let exposures = self.mailboxes.exposures(self.digest).unwrap();
        assert_eq!(ledger.servings.len(), exposures.len());
        exposures.len()
    }
}

#[test]
fn a_seal_that_falls_first_refuses_the_record() {
    let one = One::new();
    one.meanwhile(One::seal);
    assert_eq!(one.record(), Err(MailboxError::Sealed));
    assert_eq!(one.on_record(), 0);
}

#[test]
fn a_seal_of_any_other_letter_only_has_the_record_made_again() {
    let one = One::new();
    one.meanwhile(|one| {
        let other = One {
            digest: ContentDigest([5; 16]),
            ..one.clone()
        };
        other.seal();
    });
    assert_eq!(one.record(), Ok(()));
    assert_eq!(one.on_record(), 1);
}

#[test]
fn what_its_owner_removed_first_is_served_no_more() {
    let one = One::new();
    one.meanwhile(One::expunge);
    assert_eq!(one.record(), Err(MailboxError::Sealed));
    assert_eq!(one.on_record(), 0);
}

#[test]
fn what_was_served_first_is_found_by_its_letter_when_its_owner_has_removed_it() {
    let one = One::new();
    one.meanwhile(|one| one.record().unwrap());
    one.expunge();
    assert_eq!(one.on_record(), 1);
}

#[test]
fn what_was_served_before_the_seal_is_told_by_the_withdrawal() {
    let one = One::new();
    one.record().unwrap();
    one.seal();
    let copies = [(BOB, one.served.message)];
    let gone = one.mailboxes.transact(&[BOB], |txn| {
        one.mailboxes
            .withdraw_in(txn, &copies, TAG, NOW)
            .map(tern_store::Verdict::Commit)
    });
    let gone = gone.unwrap().pop().unwrap().unwrap();
    assert_eq!(gone.exposure.unwrap().level, ExposureLevel::Body);
    assert_eq!(one.on_record(), 1);
}

#[test]
fn a_message_found_before_a_seal_that_is_over_already_is_not_served() {
    let one = One::new();
    one.seal();
    one.withdraw();
    one.mailboxes.forget_over(NOW).unwrap();
    assert_eq!(one.record(), Err(MailboxError::Sealed));
    assert_eq!(one.on_record(), 0);
}

#[test]
fn clients_are_told_apart_by_version_and_too_many_are_counted_together() {
    let house = House::new();
    let his = house.deliver(ALICE, &letter(1));
    let row = house.mailboxes.message(ALICE, his.message).unwrap();
    let served = Served {
        account: ALICE,
        message: his.message,
        digest: row.digest,
        origin: row.origin,
        carries: false,
        level: ExposureLevel::Body,
        share: Share(1),
    };
    let most = tern_mailbox::limits::MAX_BLOCK_CLIENTS;
    for n in 0..most + 3 {
        let viewer = Viewer {
            protocol: "imap",
            client: format!("Mua {n}"),
            ..Viewer::default()
        };
        let at = Timestamp(NOW.0 + n as u64);
        house
            .mailboxes
            .record_served(&[served], &viewer, at)
            .unwrap();
    }
    let ledger = house.mailboxes.ledger(ALICE, his.message).unwrap();
    assert_eq!(ledger.servings.len(), most);
    assert_eq!(ledger.servings[1].client, "Mua 1");
    let others = ledger.others.unwrap();
    let times = (others.first(), others.last());
    let at = |n: usize| Some(Timestamp(NOW.0 + n as u64));
    assert_eq!(times, (at(most), at(most)), "the last within the hour");
    assert_eq!(others.client, "");
    house.check();
}
