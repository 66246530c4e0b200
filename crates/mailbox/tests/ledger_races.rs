//! A record of what is about to be served, at the same moment as a seal or a removal: whichever commits
//! first, nothing is served that is not on record, and the record is found by its letter.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::{ALICE, BOB, FOLDERS, House, TAG, landing, letter, open, seal_over};
use tern_base::{ContentDigest, OriginId, Timestamp, Uid};
use tern_mailbox::{
    Access, Cover, ExposureLevel, INBOX, MailboxError, Opened, Served, Share, Viewer, limits,
};
use tern_store::MemEngine;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// One account with one message.
#[derive(Clone)]
struct One {
    engine: MemEngine,
    opened: Opened,
    digest: ContentDigest,
    served: Served,
    uid: Uid,
}

impl One {
    fn new() -> Self {
        Self::with(letter(1))
    }

    fn with(content: Vec<u8>) -> Self {
        let engine = MemEngine::new();
        let opened = open(&engine);
        opened
            .mailboxes
            .create_account(BOB, 0, &FOLDERS, NOW)
            .unwrap();
        Self::deliver(engine, opened, content)
    }

    /// One more message of the account.
    fn and(&self, content: Vec<u8>) -> Self {
        Self::deliver(self.engine.clone(), self.opened.clone(), content)
    }

    fn deliver(engine: MemEngine, opened: Opened, content: Vec<u8>) -> Self {
        let mailboxes = &opened.mailboxes;
        let prepared = mailboxes.prepare(content, NOW).unwrap();
        let landing = landing(BOB, OriginId([1; 16]), NOW);
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
                carries: !row.carried.is_empty(),
                level: ExposureLevel::Body,
                share: Share::ALL,
            },
            uid: placed.uid,
            opened,
        }
    }

    /// What happens just before the next commit.
    fn meanwhile(&self, deed: impl FnOnce(&Self) + Send + 'static) {
        let one = self.clone();
        self.engine.before_commit(0, move || deed(&one));
    }

    /// Before each of so many commits from the next on, somebody seals a letter of their own.
    fn while_others_seal(&self, times: u8) {
        self.meanwhile(move |one| {
            let other = Self {
                digest: ContentDigest([times; 16]),
                ..one.clone()
            };
            other.seal();
            if times > 1 {
                one.while_others_seal(times - 1);
            }
        });
    }

    /// Serves all together.
    fn record_all(all: &[Self]) -> Result<(), MailboxError> {
        let served: Vec<Served> = all.iter().map(|one| one.served).collect();
        let mailboxes = &all[0].opened.mailboxes;
        mailboxes.record_served(&served, &Viewer::default(), NOW)
    }

    fn record(&self) -> Result<(), MailboxError> {
        let viewer = Viewer::default();
        self.opened
            .mailboxes
            .record_served(&[self.served], &viewer, NOW)
    }

    fn expunge(&self) {
        let gone = self
            .opened
            .mailboxes
            .expunge(&Access::owner(BOB, INBOX), &[self.uid], false, NOW)
            .unwrap();
        assert_eq!(gone, [self.uid]);
    }

    fn seal(&self) {
        let seal = seal_over(Cover::Except([].into()), NOW);
        let sealed = self
            .opened
            .sealing
            .seal(self.digest, seal, |_| Ok::<_, MailboxError>(()));
        sealed.unwrap();
    }

    /// Takes it out, as somebody does whose seal is over at once.
    fn withdraw(&self) {
        let copies = [(BOB, self.served.message)];
        let work = |txn: &mut tern_store::Transaction<'_>| {
            let gone = self.opened.sealing.withdraw_in(txn, &copies, TAG, NOW)?;
            self.opened.sealing.settle_seal_in(txn, self.digest, TAG)?;
            Ok::<_, MailboxError>(tern_store::Verdict::Commit(gone.len()))
        };
        assert_eq!(self.opened.mailboxes.transact(&[BOB], work), Ok(1));
    }

    /// How many copies of the letter are on record as served.
    fn on_record(&self) -> usize {
        let findings = self.opened.upkeep.check(&Default::default()).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        let ledger = self
            .opened
            .sealing
            .ledger(BOB, self.served.message)
            .unwrap();
        let exposures = self.opened.sealing.exposures(self.digest).unwrap();
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
fn a_seal_that_falls_first_refuses_the_record_of_whatever_carries_the_letter() {
    let carrier = format!(
        "Subject: Fwd\r\nContent-Type: message/rfc822\r\n\r\n{}",
        String::from_utf8(letter(1)).unwrap()
    );
    let one = One::with(carrier.into_bytes());
    assert!(one.served.carries);
    let inner = One {
        digest: tern_mime::content_digest(one.opened.mailboxes.content_key(), &letter(1)),
        ..one.clone()
    };
    one.meanwhile(move |_| inner.seal());
    assert_eq!(one.record(), Err(MailboxError::Sealed));
    assert_eq!(one.on_record(), 0);
}

#[test]
fn a_record_is_made_however_often_others_are_sealed_meanwhile() {
    let one = One::new();
    one.while_others_seal(u8::MAX);
    assert_eq!(one.record(), Ok(()));
    assert!(one.engine.is_awaited(), "the first attempt was the last");
    assert_eq!(one.on_record(), 1);
}

/// So many that a record of all of them is first compared with every seal.
fn many() -> Vec<One> {
    let one = One::new();
    let more = 2..=limits::FEW_RECORDS + 1;
    let more: Vec<One> = more.map(|n| one.and(letter(n))).collect();
    std::iter::once(one).chain(more).collect()
}

#[test]
fn a_record_of_many_is_made_however_often_others_are_sealed_meanwhile() {
    let all = many();
    all[0].while_others_seal(u8::MAX);
    assert_eq!(One::record_all(&all), Ok(()));
    assert!(
        all[0].engine.is_awaited(),
        "the second attempt was the last"
    );
    for one in &all {
        assert_eq!(one.on_record(), 1);
    }
}

#[test]
fn a_seal_of_one_of_many_refuses_the_record_of_all_and_leaves_none() {
    let all = many();
    all[3].meanwhile(One::seal);
    assert_eq!(One::record_all(&all), Err(MailboxError::Sealed));
    for one in &all {
        assert_eq!(one.on_record(), 0);
    }
    let others: Vec<One> = all
        .iter()
        .filter(|one| one.digest != all[3].digest)
        .cloned()
        .collect();
    assert_eq!(One::record_all(&others), Ok(()));
    assert_eq!((others[0].on_record(), all[3].on_record()), (1, 0));
}

#[test]
fn what_was_served_before_a_crash_is_on_record_and_what_was_sealed_before_it_is_not() {
    let one = One::new();
    let seen = one.clone();
    // Killed right before the record is durable, after a seal has come first.
    let killed = Arc::new(std::sync::Mutex::new(None));
    let disk = Arc::clone(&killed);
    one.meanwhile(move |one| {
        one.seal();
        *disk.lock().unwrap() = Some(one.engine.fork());
    });
    assert_eq!(one.record(), Err(MailboxError::Sealed));
    let disk = killed.lock().unwrap().take().unwrap();
    let after = One {
        opened: open(&disk),
        engine: disk,
        ..seen
    };
    assert_eq!(after.record(), Err(MailboxError::Sealed));
    assert_eq!(after.on_record(), 0);
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
    let gone = one.opened.mailboxes.transact(&[BOB], |txn| {
        one.opened
            .sealing
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
    one.opened.sealing.forget_over(NOW).unwrap();
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
    let most = limits::MAX_BLOCK_CLIENTS;
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
    let ledger = house.sealing.ledger(ALICE, his.message).unwrap();
    assert_eq!(ledger.servings.len(), most);
    assert_eq!(ledger.servings[1].client, "Mua 1");
    let others = ledger.others.unwrap();
    let times = (others.first(), others.last());
    let at = |n: usize| Some(Timestamp(NOW.0 + n as u64));
    assert_eq!(times, (at(most), at(most)), "the last within the hour");
    assert_eq!(others.client, "");
    house.check();
}
