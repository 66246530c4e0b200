//! The mailbox verbs over the in-memory engine. Every test ends with a check of the whole store.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tern_base::{AccountId, Entropy, MailboxId, OriginId, SeededEntropy, Timestamp, Uid};
use tern_mailbox::{
    AppendRequest, Cover, ExposureLevel, FlagChange, FlagOutcome, FlagRequest, Flags, FolderSpec,
    INBOX, Landing, Lineage, MailboxError, Mailboxes, NoListener, Origins, Outside, Placed, Role,
    Seal, SealTag, Served, SystemFlag, Transfer, Viewer,
};
use tern_store::{MemEngine, Range, Read, StoreError, Verdict};

const ALICE: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);
const TAG: SealTag = SealTag([9; 16]);
const FOLDERS: [FolderSpec; 2] = [
    FolderSpec {
        path: "Sent",
        role: Some(Role::Sent),
    },
    FolderSpec {
        path: "Trash",
        role: Some(Role::Trash),
    },
];

struct House {
    engine: MemEngine,
    mailboxes: Mailboxes,
    entropy: SeededEntropy,
    now: Timestamp,
}

impl House {
    fn new() -> Self {
        let engine = MemEngine::new();
        let mailboxes = open(&engine);
        let now = Timestamp::from_secs(1_800_000_000);
        for account in [ALICE, BOB] {
            mailboxes.create_account(account, 0, &FOLDERS, now).unwrap();
        }
        Self {
            engine,
            mailboxes,
            entropy: SeededEntropy::new(1),
            now,
        }
    }

    fn append(&mut self, account: AccountId, mailbox: MailboxId, content: &[u8]) -> Placed {
        let origin = OriginId::new(self.now, &mut self.entropy);
        let request = AppendRequest {
            account,
            mailbox,
            content: content.to_vec(),
            flags: Flags::empty(),
            received: None,
            origin,
            viewer: Viewer::default(),
        };
        self.mailboxes.append(request, self.now).unwrap()
    }

    /// What nobody's client brought.
    fn deliver(&self, account: AccountId, content: &[u8]) -> Placed {
        let prepared = self.mailboxes.prepare(content.to_vec(), self.now).unwrap();
        let landing = Landing {
            account,
            mailbox: INBOX,
            flags: Flags::empty(),
            received: self.now,
            prefix: Vec::new(),
            origin: OriginId([0; 16]),
            lineage: Lineage::Delivered,
            brought_by: None,
        };
        let placed = self.mailboxes.land(&prepared, &[landing], self.now);
        placed.unwrap().pop().unwrap().unwrap()
    }

    fn uids(&self, account: AccountId, mailbox: MailboxId) -> Vec<u32> {
        self.mailboxes
            .view(account, mailbox)
            .unwrap()
            .iter()
            .map(|entry| entry.uid.0)
            .collect()
    }

    fn seal(&self, content: &[u8], cover: Cover) -> tern_base::ContentDigest {
        let digest = tern_mime::content_digest(self.mailboxes.content_key(), content);
        let seal = Seal {
            tag: TAG,
            cover,
            outside: Outside::All,
            origins: Origins::AllBut(Vec::new()),
            active: true,
            until: Timestamp(u64::MAX),
        };
        self.mailboxes
            .seal(digest, seal, |_| Ok::<_, MailboxError>(()))
            .unwrap();
        digest
    }

    fn withdraw_all(&self, digest: tern_base::ContentDigest) -> usize {
        let copies = self.mailboxes.copies(digest).unwrap();
        let copies: Vec<_> = copies
            .iter()
            .map(|copy| (copy.account, copy.message))
            .collect();
        let accounts: Vec<_> = copies.iter().map(|copy| copy.0).collect();
        let work = |txn: &mut tern_store::Transaction<'_>| {
            let gone = self
                .mailboxes
                .withdraw_in(txn, digest, &copies, TAG, self.now)?;
            Ok::<_, MailboxError>(Verdict::Commit(gone.into_iter().flatten().count()))
        };
        self.mailboxes.transact(&accounts, work).unwrap()
    }

    fn restore_all(&self) {
        for copy in self.mailboxes.vaulted(TAG, None, 100).unwrap() {
            let work = |txn: &mut tern_store::Transaction<'_>| {
                self.mailboxes
                    .restore_in(txn, copy.account, copy.message)
                    .map(Verdict::Commit)
            };
            self.mailboxes
                .transact(&[copy.account], work)
                .unwrap()
                .unwrap();
        }
    }

    fn check(&self) {
        let findings = self.mailboxes.check(&BTreeMap::new()).unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

fn open(engine: &MemEngine) -> Mailboxes {
    Mailboxes::open(Arc::new(engine.clone()), [7; 32], Arc::new(NoListener)).unwrap()
}

fn letter(n: usize) -> Vec<u8> {
    format!(
        "From: a@example.org\r\nTo: b@example.org\r\nSubject: Letter {n}\r\n\
         Date: Sat, 21 Nov 2026 22:06:00 +0000\r\nMessage-ID: <{n}@example.org>\r\n\r\nBody {n}\r\n"
    )
    .into_bytes()
}

#[test]
fn append_gives_growing_uids_and_returns_the_same_octets() {
    let mut house = House::new();
    for n in 0..3 {
        let placed = house.append(ALICE, INBOX, &letter(n));
        assert_eq!(placed.uid, Uid(n as u32 + 1));
        let row = house.mailboxes.message(ALICE, placed.message).unwrap();
        let body = house.mailboxes.read(ALICE, &row, 0..u64::MAX).unwrap();
        assert_eq!(body.0, letter(n));
    }
    let counters = house.mailboxes.counters(ALICE, INBOX).unwrap();
    assert_eq!(
        (counters.total, counters.unseen, counters.uid_next),
        (3, 3, Uid(4))
    );
    house.check();
}

#[test]
fn large_content_is_staged_read_in_ranges_and_collected() {
    let mut house = House::new();
    let mut content = letter(1);
    content.extend((0..1_500_000u32).map(|n| b'a' + (n % 26) as u8));
    let placed = house.append(ALICE, INBOX, &content);
    let again = house.append(BOB, INBOX, &content);
    let row = house.mailboxes.message(ALICE, placed.message).unwrap();
    for range in [
        0..10u64,
        262_140..262_150,
        700_000..1_400_000,
        1_499_000..9_000_000,
    ] {
        let body = house.mailboxes.read(ALICE, &row, range.clone()).unwrap();
        let end = content.len().min(range.end as usize);
        assert_eq!(body.0, content[range.start as usize..end]);
    }
    let pieces = house.engine.blob_piece_count();
    assert_eq!(pieces, content.len().div_ceil(262_144));
    for (account, uid) in [(ALICE, placed.uid), (BOB, again.uid)] {
        house.check();
        house
            .mailboxes
            .expunge(account, INBOX, &[uid], false, house.now)
            .unwrap();
    }
    assert_eq!(
        house.mailboxes.collect(house.now, 10),
        Ok(0),
        "within the grace time"
    );
    house.check();
    assert_eq!(house.mailboxes.collect_all(), Ok(1));
    assert_eq!(house.engine.blob_piece_count(), 0);
    house.check();
}

#[test]
fn one_content_is_held_once_for_many_recipients() {
    let mut house = House::new();
    let prepared = house.mailboxes.prepare(letter(1), house.now).unwrap();
    let origin = OriginId::new(house.now, &mut house.entropy);
    let landing = |account: AccountId, prefix: &str| Landing {
        account,
        mailbox: INBOX,
        flags: Flags::empty(),
        received: house.now,
        prefix: prefix.as_bytes().to_vec(),
        origin,
        lineage: Lineage::Delivered,
        brought_by: None,
    };
    let landings = [
        landing(ALICE, "Delivered-To: alice\r\n"),
        landing(AccountId(77), ""),
        landing(BOB, "Delivered-To: bob\r\n"),
    ];
    let placed = house
        .mailboxes
        .land(&prepared, &landings, house.now)
        .unwrap();
    assert_eq!(placed[1], Err(MailboxError::NoAccount));
    assert_eq!(house.engine.blob_piece_count(), 1);
    let row = house
        .mailboxes
        .message(BOB, placed[2].as_ref().unwrap().message)
        .unwrap();
    let body = house.mailboxes.read(BOB, &row, 0..u64::MAX).unwrap().0;
    assert_eq!(
        body,
        [b"Delivered-To: bob\r\n".as_slice(), &letter(1)].concat()
    );
    let middle = house.mailboxes.read(BOB, &row, 15..25).unwrap().0;
    assert_eq!(middle, body[15..25]);
    assert_eq!(house.mailboxes.copies(prepared.digest).unwrap().len(), 2);
    house.check();
}

#[test]
fn flags_change_modseq_only_when_they_change() {
    let mut house = House::new();
    for n in 0..3 {
        house.append(ALICE, INBOX, &letter(n));
    }
    let store = |change: FlagChange, unchanged_since| {
        let uids = [Uid(1), Uid(3), Uid(9)];
        let request = FlagRequest {
            account: ALICE,
            mailbox: INBOX,
            uids: &uids,
            change: &change,
            unchanged_since,
        };
        house.mailboxes.change_flags(&request).unwrap()
    };
    let seen = || Flags::of(&[SystemFlag::Seen]);
    let first = store(FlagChange::Add(seen()), None);
    let again = store(FlagChange::Add(seen()), None);
    assert_eq!(first, again);
    assert_eq!(first.len(), 2);
    let before = house.mailboxes.newest_modseq(ALICE).unwrap();
    let refused = store(
        FlagChange::Remove(seen()),
        Some(tern_base::Modseq(before.0 - 1)),
    );
    assert_eq!(
        refused,
        [FlagOutcome::Modified(Uid(1)), FlagOutcome::Modified(Uid(3))]
    );
    assert_eq!(house.mailboxes.counters(ALICE, INBOX).unwrap().unseen, 1);
    store(
        FlagChange::Set(Flags::of(&[SystemFlag::Deleted])),
        Some(before),
    );
    let uids = [Uid(1), Uid(2), Uid(3)];
    let gone = house
        .mailboxes
        .expunge(ALICE, INBOX, &uids, true, house.now)
        .unwrap();
    assert_eq!(gone, [Uid(1), Uid(3)]);
    assert_eq!(house.uids(ALICE, INBOX), [2]);
    house.check();
}

#[test]
fn copies_are_placements_with_flags_of_their_own() {
    let mut house = House::new();
    let sent = house.mailboxes.folder(ALICE, "Sent").unwrap().id;
    let placed = house.append(ALICE, INBOX, &letter(1));
    let uids = [placed.uid];
    let transfer = Transfer {
        account: ALICE,
        from: INBOX,
        uids: &uids,
        to: sent,
    };
    let first = house.mailboxes.copy(&transfer, house.now).unwrap();
    let second = house.mailboxes.copy(&transfer, house.now).unwrap();
    assert_eq!((first[0].to, second[0].to), (Uid(1), Uid(2)));
    house.check();
    let view = house.mailboxes.view(ALICE, sent).unwrap();
    assert_eq!(
        view.get(Uid(1)).unwrap().message,
        placed.message,
        "the same message"
    );
    assert_ne!(
        view.get(Uid(2)).unwrap().message,
        placed.message,
        "shown once in a mailbox"
    );
    let change = FlagChange::Add(Flags::of(&[SystemFlag::Flagged]));
    let request = FlagRequest {
        account: ALICE,
        mailbox: sent,
        uids: &[Uid(1)],
        change: &change,
        unchanged_since: None,
    };
    house.mailboxes.change_flags(&request).unwrap();
    let inbox = house.mailboxes.view(ALICE, INBOX).unwrap();
    assert_eq!(inbox.get(placed.uid).unwrap().flags, Flags::empty());
    let moved = house.mailboxes.move_messages(&transfer, house.now).unwrap();
    assert_eq!(moved[0].to, Uid(3));
    assert!(house.uids(ALICE, INBOX).is_empty());
    assert_eq!(house.uids(ALICE, sent), [1, 2, 3]);
    house.check();
}

#[test]
fn moving_within_a_mailbox_gives_a_new_uid() {
    let mut house = House::new();
    let placed = house.append(ALICE, INBOX, &letter(1));
    let transfer = Transfer {
        account: ALICE,
        from: INBOX,
        uids: &[placed.uid],
        to: INBOX,
    };
    let pairs = house.mailboxes.move_messages(&transfer, house.now).unwrap();
    assert_eq!((pairs[0].from, pairs[0].to), (Uid(1), Uid(2)));
    house.check();
}

#[test]
fn folders_are_made_renamed_and_deleted() {
    let mut house = House::new();
    let now = house.now;
    let m = &house.mailboxes;
    let deep = m.create_folder(ALICE, "Work/2026/Q4", None, now).unwrap();
    assert_eq!(deep.path, "Work/2026/Q4");
    assert_eq!(
        m.create_folder(ALICE, "work", None, now).map(|f| f.path),
        Ok("work".into())
    );
    assert_eq!(
        m.create_folder(ALICE, "inbox", None, now),
        Err(MailboxError::Exists)
    );
    assert_eq!(
        m.create_folder(ALICE, "Work", None, now),
        Err(MailboxError::Exists)
    );
    for bad in ["", "a//b", "/a", "a/", "a\u{7}b"] {
        let answer = m.create_folder(ALICE, bad, None, now);
        assert!(
            matches!(answer, Err(MailboxError::InvalidName(_))),
            "{bad:?}"
        );
    }
    let work = m.folder(ALICE, "Work").unwrap().id;
    assert!(matches!(
        m.delete_folder(ALICE, work, now),
        Err(MailboxError::NotAllowed(_))
    ));
    assert!(matches!(
        m.rename_folder(ALICE, work, "Work/2026/inner", now),
        Err(MailboxError::NotAllowed(_))
    ));
    m.rename_folder(ALICE, work, "Old/Work", now).unwrap();
    assert_eq!(m.folder(ALICE, "Old/Work/2026/Q4").unwrap().id, deep.id);
    assert!(matches!(
        m.delete_folder(ALICE, INBOX, now),
        Err(MailboxError::NotAllowed(_))
    ));
    house.append(ALICE, deep.id, &letter(1));
    house.mailboxes.delete_folder(ALICE, deep.id, now).unwrap();
    assert_eq!(
        house.mailboxes.folder(ALICE, "Old/Work/2026/Q4"),
        Err(MailboxError::NoMailbox)
    );
    let again = house
        .mailboxes
        .create_folder(ALICE, "Old/Work/2026/Q4", None, now)
        .unwrap();
    assert!(again.uid_validity > deep.uid_validity);
    assert_eq!(house.mailboxes.account_head(ALICE).unwrap().messages, 0);
    house.check();
}

#[test]
fn replies_join_the_thread_even_before_the_parent() {
    let mut house = House::new();
    let reply =
        b"Subject: Re: Letter 1\r\nMessage-ID: <r@x>\r\nReferences: <1@example.org>\r\n\r\n.";
    let other = b"Subject: Else\r\nMessage-ID: <o@x>\r\nReferences: <1@example.org>\r\n\r\n.";
    let first = house.append(ALICE, INBOX, reply);
    let parent = house.append(ALICE, INBOX, &letter(1));
    let else_ = house.append(ALICE, INBOX, other);
    let answer = b"Subject: Re: Letter 1\r\nMessage-ID: <a@x>\r\nIn-Reply-To: <r@x>\r\n\r\n.";
    let later = house.append(ALICE, INBOX, answer);
    let thread = |placed: &Placed| {
        house
            .mailboxes
            .message(ALICE, placed.message)
            .unwrap()
            .thread
    };
    assert_eq!(thread(&first), thread(&parent));
    assert_ne!(thread(&first), thread(&else_));
    assert_eq!(thread(&first), thread(&later));
    house.check();
}

#[test]
fn quota_is_answered_and_nothing_is_written() {
    let mut house = House::new();
    house.append(ALICE, INBOX, &letter(1));
    house.mailboxes.set_quota(ALICE, 200).unwrap();
    let request = AppendRequest {
        account: ALICE,
        mailbox: INBOX,
        content: letter(2),
        flags: Flags::empty(),
        received: None,
        origin: OriginId([0; 16]),
        viewer: Viewer::default(),
    };
    assert_eq!(
        house.mailboxes.append(request, house.now),
        Err(MailboxError::QuotaExceeded)
    );
    assert_eq!(house.uids(ALICE, INBOX), [1]);
    house.check();
}

#[test]
fn a_seal_hides_content_at_once_and_survives_a_restart() {
    let mut house = House::new();
    let hers = house.append(ALICE, INBOX, &letter(1));
    let his = house.append(BOB, INBOX, &letter(1));
    let other = house.append(BOB, INBOX, &letter(2));
    let row = house.mailboxes.message(BOB, his.message).unwrap();
    let digest = house.seal(&letter(1), Cover::Except([ALICE.0].into()));
    assert_eq!(
        house.mailboxes.read(BOB, &row, 0..9),
        Err(MailboxError::Sealed)
    );
    assert_eq!(
        house.mailboxes.message(BOB, his.message),
        Err(MailboxError::Sealed)
    );
    assert!(house.mailboxes.message(ALICE, hers.message).is_ok());
    assert!(house.mailboxes.message(BOB, other.message).is_ok());
    let reopened = open(&house.engine);
    assert_eq!(
        reopened.message(BOB, his.message),
        Err(MailboxError::Sealed)
    );
    assert!(house.mailboxes.is_sealed(digest, BOB, OriginId([0; 16])));
    house.check();
}

#[test]
fn a_failed_seal_hides_nothing() {
    let mut house = House::new();
    let his = house.append(BOB, INBOX, &letter(1));
    let digest = tern_mime::content_digest(house.mailboxes.content_key(), &letter(1));
    let cover = Cover::Except([].into());
    let seal = Seal {
        tag: TAG,
        cover,
        outside: Outside::All,
        origins: Origins::AllBut(Vec::new()),
        active: true,
        until: Timestamp(u64::MAX),
    };
    let fail = |_: &mut tern_store::Transaction<'_>| Err::<(), _>(MailboxError::NoAccount);
    assert!(house.mailboxes.seal(digest, seal.clone(), fail).is_err());
    assert!(house.mailboxes.message(BOB, his.message).is_ok());
    house.engine.set_fault_hook(Some(Box::new(|_| {
        Some(tern_store::mem::Injected::UnknownApplied)
    })));
    let unknown = house
        .mailboxes
        .seal(digest, seal, |_| Ok::<_, MailboxError>(()));
    assert_eq!(unknown, Err(MailboxError::Store(StoreError::Unknown)));
    house.engine.set_fault_hook(None);
    assert_eq!(
        house.mailboxes.message(BOB, his.message),
        Err(MailboxError::Sealed)
    );
}

#[test]
fn withdrawn_copies_leave_every_mailbox_and_come_back_whole() {
    let mut house = House::new();
    let now = house.now;
    let trash = house.mailboxes.folder(BOB, "Trash").unwrap().id;
    let work = house
        .mailboxes
        .create_folder(BOB, "Work", None, now)
        .unwrap()
        .id;
    let his = house.append(BOB, INBOX, &letter(1));
    house.append(BOB, INBOX, &letter(2));
    let to = |to| Transfer {
        account: BOB,
        from: INBOX,
        uids: &[Uid(1)],
        to,
    };
    house.mailboxes.copy(&to(trash), now).unwrap();
    house.mailboxes.move_messages(&to(work), now).unwrap();
    let flags = Flags::of(&[SystemFlag::Seen, SystemFlag::Flagged]);
    let request = FlagRequest {
        account: BOB,
        mailbox: work,
        uids: &[Uid(1)],
        change: &FlagChange::Set(flags.clone()),
        unchanged_since: None,
    };
    house.mailboxes.change_flags(&request).unwrap();
    let used = house.mailboxes.account_head(BOB).unwrap().used_bytes;
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    assert_eq!(house.withdraw_all(digest), 1);
    house.check();
    assert_eq!(house.withdraw_all(digest), 0);
    assert!(house.uids(BOB, trash).is_empty() && house.uids(BOB, work).is_empty());
    assert_eq!(house.uids(BOB, INBOX), [2]);
    assert!(house.mailboxes.account_head(BOB).unwrap().used_bytes < used);
    house.mailboxes.delete_folder(BOB, trash, now).unwrap();
    house.restore_all();
    house.check();
    assert_eq!(house.uids(BOB, work), [2], "a fresh UID");
    assert_eq!(
        house.uids(BOB, INBOX),
        [2, 3],
        "the mailbox that is gone is the inbox now"
    );
    let view = house.mailboxes.view(BOB, work).unwrap();
    let entry = view.get(Uid(2)).unwrap();
    assert_eq!((entry.message, &entry.flags), (his.message, &flags));
}

#[test]
fn what_arrives_under_a_seal_is_accepted_and_never_shown() {
    let mut house = House::new();
    house.seal(&letter(1), Cover::Only([BOB.0].into()));
    let late = house.append(BOB, INBOX, &letter(1));
    assert_eq!((late.sealed, late.uid), (Some(TAG), Uid(1)));
    assert!(house.uids(BOB, INBOX).is_empty());
    assert_eq!(house.append(ALICE, INBOX, &letter(1)).sealed, None);
    assert_eq!(
        house.append(BOB, INBOX, &letter(2)).uid,
        Uid(2),
        "the UID is not used again"
    );
    let vaulted = house.mailboxes.vaulted(TAG, None, 10).unwrap();
    assert!(vaulted.len() == 1 && vaulted[0].row.late);
    house.check();
    house.restore_all();
    assert_eq!(house.uids(BOB, INBOX), [2, 3]);
    house.check();
}

#[test]
fn a_flood_of_what_is_sealed_is_stopped_and_a_bounded_part_of_it_kept() {
    let most = tern_mailbox::limits::MAX_KEPT_ARRIVALS;
    let mut house = House::new();
    house.seal(&letter(1), Cover::Except([].into()));
    let everything = Range {
        start: Vec::new(),
        end: vec![0xff],
        reverse: false,
    };
    let count = |house: &House| house.engine.scan(&everything, 10_000).unwrap().rows.len();
    let empty = count(&house);
    let mut rows = Vec::new();
    for n in 0..most + 20 {
        // The same letter in other octets, so that each would be held by itself.
        let padded = [&letter(1)[..], &b"\r\n".repeat(n)].concat();
        let late = house.append(BOB, INBOX, &padded);
        assert_eq!((late.sealed, late.uid), (Some(TAG), Uid(n as u32 + 1)));
        rows.push(count(&house));
    }
    assert!(house.uids(BOB, INBOX).is_empty());
    let kept = house.mailboxes.vaulted(TAG, None, 1_000).unwrap();
    assert_eq!(kept.len(), most);
    assert_eq!(house.mailboxes.late_copies(TAG, 1_000).unwrap().len(), most);
    // What is left of a further one is that its UID was given out: one row of the change log.
    assert!(rows[most - 1] > empty + 3 * most);
    assert_eq!(rows[most + 19] - rows[most - 1], 20);
    assert_eq!(house.append(ALICE, INBOX, &letter(1)).sealed, Some(TAG));
    let kept = house.mailboxes.vaulted(TAG, None, 1_000).unwrap();
    assert_eq!(kept.len(), most + 1, "another account's");
    house.check();
}

#[test]
fn a_settled_seal_is_asked_for_as_long_as_it_keeps_out_and_no_longer() {
    let mut house = House::new();
    let digest = tern_mime::content_digest(house.mailboxes.content_key(), &letter(1));
    let until = house.now.plus_millis(1_000);
    let seal = |cover| Seal {
        tag: TAG,
        cover,
        outside: Outside::All,
        origins: Origins::AllBut(Vec::new()),
        active: true,
        until,
    };
    let sealed = house
        .mailboxes
        .seal(digest, seal(Cover::Except([].into())), |_| {
            Ok::<_, MailboxError>(())
        });
    assert_eq!(sealed, Ok(()));
    // Another try under the same tag fails: what is durable is what is asked.
    let failed = house
        .mailboxes
        .seal(digest, seal(Cover::Only([].into())), |_| {
            Err::<(), _>(MailboxError::NoMessage)
        });
    assert_eq!(failed, Err(MailboxError::NoMessage));
    let is_sealed = |house: &House| house.mailboxes.is_sealed(digest, BOB, OriginId([7; 16]));
    assert!(is_sealed(&house));
    house.mailboxes.forget_over(until).unwrap();
    assert!(is_sealed(&house), "copies may still be in mailboxes");
    let settle = |txn: &mut tern_store::Transaction<'_>| {
        let settled = house.mailboxes.settle_seal_in(txn, digest, TAG);
        settled.map(Verdict::Commit)
    };
    house.mailboxes.transact(&[], settle).unwrap();
    house.mailboxes.forget_over(house.now).unwrap();
    assert!(is_sealed(&house), "a reader may hold the row of one");
    house.mailboxes.forget_over(until).unwrap();
    house.now = until;
    let late = house.append(BOB, INBOX, &letter(1));
    assert_eq!(late.sealed, None);
    assert!(!is_sealed(&house), "what is in a mailbox can be read");
    assert!(house.mailboxes.message(BOB, late.message).is_ok());
    house.check();
}

#[test]
fn exposure_is_recorded_and_refused_under_a_seal() {
    let house = House::new();
    let his = house.deliver(BOB, &letter(1));
    let row = house.mailboxes.message(BOB, his.message).unwrap();
    let (digest, origin) = (row.digest, row.origin);
    let viewer = Viewer {
        protocol: "imap",
        client: "test \"1.0\"".into(),
        address: "127.0.0.1".into(),
    };
    let serve = |level, at| {
        let served = Served {
            account: BOB,
            message: his.message,
            digest,
            origin,
            level,
        };
        house
            .mailboxes
            .record_served(&[served], &viewer, Timestamp(at))
    };
    serve(ExposureLevel::Headers, 1).unwrap();
    serve(ExposureLevel::Body, 2).unwrap();
    serve(ExposureLevel::Headers, 3).unwrap();
    let exposures = house.mailboxes.exposures(digest).unwrap();
    assert_eq!(exposures.len(), 1);
    assert_eq!(
        (exposures[0].2.level, exposures[0].2.at),
        (ExposureLevel::Body, Timestamp(2))
    );
    house.seal(&letter(1), Cover::Except([].into()));
    assert_eq!(
        serve(ExposureLevel::Downloaded, 4),
        Err(MailboxError::Sealed)
    );
    assert_eq!(
        house.mailboxes.exposures(digest).unwrap()[0].2.level,
        ExposureLevel::Body
    );
}

/// Random histories: after every step the view that is advanced from the change log equals the
/// one that is read afresh, and the store checks clean.
#[test]
fn random_histories_keep_every_invariant() {
    for seed in 0..40 {
        let mut house = House::new();
        let mut dice = SeededEntropy::new(seed);
        let work = house
            .mailboxes
            .create_folder(ALICE, "Work", None, house.now)
            .unwrap()
            .id;
        let boxes = [INBOX, work, MailboxId(2)];
        for _ in 0..60 {
            step(&mut house, &mut dice, &boxes);
            let fresh = open(&house.engine);
            for mailbox in boxes {
                let advanced = house.mailboxes.view(ALICE, mailbox).unwrap();
                let read = fresh.view(ALICE, mailbox).unwrap();
                assert!(advanced.iter().eq(read.iter()), "seed {seed}");
                assert_eq!(advanced.len(), read.len());
                assert_eq!(advanced.counters, read.counters);
            }
        }
        house.check();
        house.mailboxes.collect_all().unwrap();
        house.check();
    }
}

fn step(house: &mut House, dice: &mut SeededEntropy, boxes: &[MailboxId; 3]) {
    let now = house.now;
    let (from, to) = (boxes[dice.below(3) as usize], boxes[dice.below(3) as usize]);
    let uids: Vec<Uid> = house
        .uids(ALICE, from)
        .into_iter()
        .filter(|_| dice.below(3) == 0)
        .map(Uid)
        .collect();
    let transfer = Transfer {
        account: ALICE,
        from,
        uids: &uids,
        to,
    };
    match dice.below(8) {
        0..=2 => drop(house.append(ALICE, from, &letter(dice.below(6) as usize))),
        3 => drop(house.mailboxes.copy(&transfer, now).unwrap()),
        4 => drop(house.mailboxes.move_messages(&transfer, now).unwrap()),
        5 => drop(
            house
                .mailboxes
                .expunge(ALICE, from, &uids, false, now)
                .unwrap(),
        ),
        6 => {
            let change = FlagChange::Add(Flags::of(&[SystemFlag::ALL[dice.below(5) as usize]]));
            let request = FlagRequest {
                account: ALICE,
                mailbox: from,
                uids: &uids,
                change: &change,
                unchanged_since: None,
            };
            drop(house.mailboxes.change_flags(&request).unwrap());
        }
        _ => {
            let content = letter(dice.below(6) as usize);
            let digest = house.seal(&content, Cover::Except([].into()));
            house.withdraw_all(digest);
            let unseal = |txn: &mut tern_store::Transaction<'_>| {
                house
                    .mailboxes
                    .unseal_in(txn, digest, TAG)
                    .map(Verdict::Commit)
            };
            house.mailboxes.transact(&[], unseal).unwrap();
            house.mailboxes.forget_seal(digest, TAG);
            if dice.below(2) == 0 {
                house.restore_all();
            }
        }
    }
}

#[test]
fn a_path_leads_to_the_mailbox_that_has_it_now() {
    let house = House::new();
    let (mailboxes, now) = (&house.mailboxes, house.now);
    let first = mailboxes.create_folder(ALICE, "Work", None, now).unwrap();
    assert_eq!(mailboxes.folder(ALICE, "Work").unwrap(), first);
    assert_eq!(mailboxes.folder(ALICE, "Work").unwrap(), first);
    mailboxes
        .rename_folder(ALICE, first.id, "Old", now)
        .unwrap();
    assert_eq!(
        mailboxes.folder(ALICE, "Work"),
        Err(MailboxError::NoMailbox)
    );
    let second = mailboxes.create_folder(ALICE, "Work", None, now).unwrap();
    assert_eq!(mailboxes.folder(ALICE, "Work").unwrap(), second);
    mailboxes
        .rename_folder(ALICE, second.id, "Old/Work", now)
        .unwrap();
    assert_eq!(mailboxes.folder(ALICE, "Old").unwrap().id, first.id);
    assert_eq!(mailboxes.folder(ALICE, "Old/Work").unwrap().id, second.id);
    mailboxes.delete_folder(ALICE, second.id, now).unwrap();
    assert_eq!(
        mailboxes.folder(ALICE, "Old/Work"),
        Err(MailboxError::NoMailbox)
    );
    for path in ["inbox", "INBOX", "inbox"] {
        assert_eq!(mailboxes.folder(ALICE, path).unwrap().id, INBOX);
    }
    house.check();
}
