//! A letter that comes to many while copies of it are there already, or come at that moment: whichever
//! commits first, what was served of each is on record by letter, so that nobody has to look for the copies.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, FOLDERS, TAG, landing, letter, open, seal_over};
use tern_base::{AccountId, ContentDigest, MessageId, OriginId, Timestamp, Uid};
use tern_mailbox::{
    Access, AppendRequest, Cover, DeviceId, ExposureLevel, Flags, INBOX, MailboxError, Opened,
    Placed, Served, Share, Transfer, Viewer, limits,
};
use tern_store::{MemEngine, Read, Verdict, mem::Injected};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Alice, to whom many copies come, and Bob, who sends them and has a copy of his own.
#[derive(Clone)]
struct Mass {
    engine: MemEngine,
    opened: Opened,
    digest: ContentDigest,
}

fn viewer(name: &str) -> Viewer {
    Viewer {
        protocol: "imap",
        client: name.to_owned(),
        device: DeviceId([3; 8]),
        ..Viewer::default()
    }
}

impl Mass {
    fn new() -> Self {
        let engine = MemEngine::new();
        let opened = open(&engine);
        for account in [ALICE, BOB] {
            opened
                .mailboxes
                .create_account(account, 0, &FOLDERS, NOW)
                .unwrap();
        }
        Self {
            engine,
            digest: tern_mime::content_digest(opened.mailboxes.content_key(), &letter(1)),
            opened,
        }
    }

    fn meanwhile(&self, deed: impl FnOnce(&Self) + Send + 'static) {
        let mass = self.clone();
        self.engine.before_commit(0, move || deed(&mass));
    }

    /// What another process finds.
    fn restarted(&self) -> Self {
        Self {
            opened: open(&self.engine),
            ..self.clone()
        }
    }

    /// A client of Bob's brings a copy.
    fn append(&self) -> Placed {
        let request = AppendRequest {
            account: BOB,
            mailbox: INBOX,
            content: letter(1),
            flags: Flags::empty(),
            received: None,
            origin: OriginId([1; 16]),
            by: viewer("writer").into(),
        };
        self.opened.mailboxes.append(request, NOW).unwrap()
    }

    fn land(&self, account: AccountId, count: usize) -> Result<Vec<Placed>, MailboxError> {
        let prepared = self.opened.mailboxes.prepare(letter(1), NOW)?;
        let landing = landing(account, OriginId([2; 16]), NOW);
        let placed = self
            .opened
            .mailboxes
            .land(&prepared, &vec![landing; count], NOW)?;
        placed.into_iter().collect()
    }

    fn send_to_many(&self) {
        let placed = self.land(ALICE, limits::WIDE_LANDINGS).unwrap();
        assert_eq!(placed.len(), limits::WIDE_LANDINGS);
    }

    fn serve(&self, account: AccountId, message: MessageId) {
        let row = self.opened.mailboxes.message(account, message).unwrap();
        let served = Served::of((account, message), &row, ExposureLevel::Body, Share(1));
        let reader = viewer("reader");
        self.opened
            .mailboxes
            .record_served(&[served], &reader, NOW)
            .unwrap();
    }

    fn copy(&self, account: AccountId, uid: Uid) {
        let transfer = Transfer {
            from: Access::owner(account, INBOX),
            uids: &[uid],
            to: INBOX,
            by: None,
        };
        assert_eq!(self.opened.mailboxes.copy(&transfer, NOW).unwrap().len(), 1);
    }

    fn is_wide(&self) -> bool {
        let mut key = vec![0x8c];
        key.extend(self.digest.0);
        self.engine.get(&key).unwrap().is_some()
    }

    /// How many copies of Bob's were served, by letter; every record of a copy says the same.
    fn served_to_bob(&self) -> usize {
        let findings = self.opened.upkeep.check(&Default::default()).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        let told = self.opened.sealing.exposures(self.digest).unwrap();
        for copy in self.opened.mailboxes.copies(self.digest).unwrap() {
            let of = |(account, message, _): &&(AccountId, MessageId, _)| {
                (*account, *message) == (copy.account, copy.message)
            };
            let ledger = self
                .opened
                .sealing
                .ledger(copy.account, copy.message)
                .unwrap();
            let by_client = ledger.servings.iter().filter_map(|one| one.level()).max();
            let by_letter = told.iter().find(of).map(|(.., exposure)| exposure.level);
            assert_eq!(by_letter, by_client, "{copy:?}");
        }
        told.iter().filter(|(account, ..)| *account == BOB).count()
    }

    /// The same, by what is durable as well as by what this process knows.
    fn found(&self) -> usize {
        let found = self.served_to_bob();
        assert_eq!(self.restarted().served_to_bob(), found);
        found
    }
}

#[test]
fn a_draft_that_its_sender_has_before_is_found_by_letter() {
    let mass = Mass::new();
    let draft = mass.append();
    mass.send_to_many();
    assert!(mass.is_wide());
    assert_eq!(mass.found(), 1);
    // What is served of it later, too; and after a restart.
    let row = mass.opened.mailboxes.message(BOB, draft.message).unwrap();
    let served = Served::of(
        (BOB, draft.message),
        &row,
        ExposureLevel::Relayed,
        Share::ALL,
    );
    let again = mass.restarted();
    let reader = viewer("reader");
    again
        .opened
        .mailboxes
        .record_served(&[served], &reader, NOW)
        .unwrap();
    let told = mass.opened.sealing.exposures(mass.digest).unwrap();
    assert_eq!(told[0].2.level, ExposureLevel::Relayed);
    assert_eq!(mass.found(), 1);
}

#[test]
fn with_more_copies_than_that_it_stays_an_ordinary_letter() {
    for (copies, wide) in [
        (limits::MAX_EARLIER_COPIES, true),
        (limits::MAX_EARLIER_COPIES + 1, false),
    ] {
        let mass = Mass::new();
        for placed in mass.land(BOB, copies).unwrap() {
            mass.serve(BOB, placed.message);
        }
        mass.send_to_many();
        assert_eq!(mass.is_wide(), wide);
        assert_eq!(mass.found(), copies);
    }
}

#[test]
fn what_is_served_of_a_draft_at_that_moment_is_found() {
    for first_served in [true, false] {
        let mass = Mass::new();
        let draft = mass.land(BOB, 1).unwrap()[0].message;
        if first_served {
            mass.meanwhile(move |mass| mass.serve(BOB, draft));
            mass.send_to_many();
        } else {
            mass.meanwhile(Mass::send_to_many);
            mass.serve(BOB, draft);
        }
        assert!(mass.is_wide());
        assert_eq!(mass.found(), 1, "served first: {first_served}");
    }
}

#[test]
fn what_a_client_appends_at_that_moment_is_found() {
    for first_appended in [true, false] {
        let mass = Mass::new();
        if first_appended {
            mass.meanwhile(|mass| {
                mass.append();
            });
            mass.send_to_many();
        } else {
            mass.meanwhile(Mass::send_to_many);
            mass.append();
        }
        assert!(mass.is_wide());
        assert_eq!(mass.found(), 1, "appended first: {first_appended}");
    }
}

#[test]
fn what_is_copied_at_that_moment_is_found() {
    for first_copied in [true, false] {
        let mass = Mass::new();
        let draft = mass.append();
        if first_copied {
            mass.meanwhile(move |mass| mass.copy(BOB, draft.uid));
            mass.send_to_many();
        } else {
            mass.meanwhile(Mass::send_to_many);
            mass.copy(BOB, draft.uid);
        }
        assert!(mass.is_wide());
        assert_eq!(mass.found(), 2, "copied first: {first_copied}");
    }
}

#[test]
fn what_is_removed_at_that_moment_is_found() {
    for first_removed in [true, false] {
        let mass = Mass::new();
        let draft = mass.append();
        let remove = move |mass: &Mass| {
            let uids = [draft.uid];
            let gone = mass
                .opened
                .mailboxes
                .expunge(&Access::owner(BOB, INBOX), &uids, false, NOW);
            assert_eq!(gone.unwrap(), uids);
        };
        if first_removed {
            mass.meanwhile(remove);
            mass.send_to_many();
        } else {
            mass.meanwhile(Mass::send_to_many);
            remove(&mass);
        }
        assert!(mass.is_wide());
        assert_eq!(mass.found(), 1, "removed first: {first_removed}");
    }
}

#[test]
fn a_delivery_that_fails_leaves_an_ordinary_letter_of_which_nothing_is_missed() {
    for fault in [
        Injected::Full,
        Injected::UnknownDropped,
        Injected::UnknownApplied,
    ] {
        let mass = Mass::new();
        let draft = mass.append();
        let other = mass.land(BOB, 1).unwrap()[0].message;
        mass.engine
            .set_fault_hook(Some(Box::new(move |_| Some(fault))));
        assert!(mass.land(ALICE, limits::WIDE_LANDINGS).is_err());
        mass.engine.set_fault_hook(None);
        assert_eq!(mass.is_wide(), fault == Injected::UnknownApplied);
        assert_eq!(mass.found(), 1, "{fault:?}");
        mass.serve(BOB, draft.message);
        mass.serve(BOB, other);
        assert_eq!(mass.found(), 2, "{fault:?}");
        if fault != Injected::UnknownApplied {
            mass.send_to_many();
            assert!(mass.is_wide());
        }
        assert_eq!(mass.found(), 2, "{fault:?}");
    }
}

#[test]
fn a_withdrawal_tells_what_was_served_of_the_draft_and_of_each_copy() {
    let mass = Mass::new();
    let draft = mass.append();
    mass.send_to_many();
    let copies = mass.opened.mailboxes.copies(mass.digest).unwrap();
    let copies: Vec<_> = copies
        .iter()
        .map(|copy| (copy.account, copy.message))
        .collect();
    let (_, read) = *copies
        .iter()
        .find(|(account, _)| *account == ALICE)
        .unwrap();
    mass.serve(ALICE, read);
    let seal = seal_over(Cover::Except([].into()), NOW);
    let sealed = mass
        .opened
        .sealing
        .seal(mass.digest, seal, |_| Ok::<_, MailboxError>(()));
    sealed.unwrap();
    let gone = mass.opened.mailboxes.transact(&[ALICE, BOB], |txn| {
        let gone = mass.opened.sealing.withdraw_in(txn, &copies, TAG, NOW);
        gone.map(Verdict::Commit)
    });
    let served: Vec<_> = gone
        .unwrap()
        .into_iter()
        .flatten()
        .filter_map(|one| Some((one.message, one.exposure?.level)))
        .collect();
    let expect = [
        (read, ExposureLevel::Body),
        (draft.message, ExposureLevel::Downloaded),
    ];
    assert_eq!(served, expect);
    assert_eq!(mass.found(), 1);
}

impl Mass {
    fn remove_all(&self) {
        for account in [ALICE, BOB] {
            let view = self.opened.mailboxes.view(account, INBOX).unwrap();
            let uids: Vec<Uid> = view.iter().map(|entry| entry.uid).collect();
            let inbox = Access::owner(account, INBOX);
            let gone = self.opened.mailboxes.expunge(&inbox, &uids, false, NOW);
            assert_eq!(gone.unwrap(), uids);
        }
    }

    fn collect(&self) {
        self.opened.upkeep.collect(NOW, 10).unwrap();
    }
}

#[test]
fn a_letter_of_which_no_copy_is_left_leaves_room_for_another() {
    let mass = Mass::new();
    mass.send_to_many();
    mass.collect();
    assert!(mass.is_wide(), "there are copies");
    mass.remove_all();
    mass.collect();
    assert!(!mass.is_wide());
    // It comes again, and is one of them again.
    mass.send_to_many();
    assert!(mass.is_wide());
    let placed = mass.append();
    mass.serve(BOB, placed.message);
    assert_eq!(mass.served_to_bob(), 1);
    assert_eq!(mass.restarted().served_to_bob(), 1);
}

#[test]
fn a_letter_that_comes_to_many_while_it_leaves_is_on_record_as_any_other() {
    let mass = Mass::new();
    mass.send_to_many();
    mass.remove_all();
    // Its row is about to go, and copies of it come.
    mass.meanwhile(|mass| {
        mass.send_to_many();
        let placed = mass.land(BOB, 1).unwrap();
        mass.serve(BOB, placed[0].message);
    });
    mass.collect();
    assert!(!mass.engine.is_awaited());
    assert!(!mass.is_wide());
    let last = mass.land(BOB, 1).unwrap();
    mass.serve(BOB, last[0].message);
    assert_eq!(mass.served_to_bob(), 2);
    assert_eq!(mass.restarted().served_to_bob(), 2);
    // Nor is it in memory.
    mass.remove_all();
    mass.send_to_many();
    assert!(mass.is_wide());
    mass.served_to_bob();
}
