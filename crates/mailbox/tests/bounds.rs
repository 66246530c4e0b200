//! The largest that an owner can make: every verb that works in chunks still does its work, and
//! each chunk fits a batch of the store. Every test ends with a check of the whole store.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{ContentDigest, MailboxId, MessageId, OriginId, Timestamp, Uid};
use tern_mailbox::{
    Access, AppendRequest, DeviceId, ExposureLevel, FlagChange, FlagOutcome, FlagRequest, Flags,
    INBOX, Mailboxes, Opened, Served, Share, Transfer, Upkeep, Viewer, limits,
};
use tern_store::{MemEngine, Verdict};

use house::{ALICE, TAG};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// One account without folders.
fn open() -> Opened {
    let opened = house::open(&MemEngine::new());
    opened.mailboxes.create_account(ALICE, 0, &[], NOW).unwrap();
    opened
}

/// As many and as long keywords as there may be; another set for each `n`.
fn full_flags(n: usize) -> Flags {
    let mut flags = Flags::empty();
    let long = limits::MAX_KEYWORD_BYTES / limits::MAX_KEYWORDS;
    for keyword in 0..limits::MAX_KEYWORDS {
        assert!(flags.add_keyword(&format!("{keyword:03}-{n:0>width$}", width = long - 4)));
    }
    assert!(!flags.add_keyword("x"), "no more fits");
    flags
}

fn append(mailboxes: &Mailboxes, n: u8, flags: Flags) -> (MessageId, ContentDigest) {
    let content = format!("Message-ID: <{n}@x>\r\nSubject: letter {n}\r\n\r\nBody {n}\r\n");
    let request = AppendRequest {
        account: ALICE,
        mailbox: INBOX,
        content: content.into_bytes(),
        flags,
        received: None,
        origin: OriginId([n; 16]),
        by: Viewer::default().into(),
    };
    let placed = mailboxes.append(request, NOW).unwrap();
    let row = mailboxes.message(ALICE, placed.message).unwrap();
    (placed.message, row.digest)
}

/// One more mailbox.
fn folder(mailboxes: &Mailboxes, n: usize) -> MailboxId {
    let folder = mailboxes.create_folder(ALICE, &format!("f{n}"), None, NOW);
    folder.unwrap().id
}

fn transfer(from: MailboxId, uids: &[Uid], to: MailboxId) -> Transfer<'_> {
    Transfer {
        from: Access::owner(ALICE, from),
        uids,
        to,
        by: None,
    }
}

fn check(upkeep: &Upkeep) {
    assert_eq!(upkeep.check(&BTreeMap::new()).unwrap(), []);
}

type Shown = BTreeMap<MailboxId, Flags>;

/// Where a message is shown, with which flags.
fn shown(mailboxes: &Mailboxes, message: MessageId) -> Shown {
    let placements = mailboxes.placements(ALICE, message).unwrap();
    let flags = |(mailbox, uid)| {
        let view = mailboxes.view(ALICE, mailbox).unwrap();
        (mailbox, view.get(uid).unwrap().flags.clone())
    };
    placements.into_iter().map(flags).collect()
}

/// A message in as many mailboxes, with as many and as long keywords in each, as there may be.
fn everywhere(mailboxes: &Mailboxes) -> MessageId {
    let (message, _) = append(mailboxes, 1, full_flags(0));
    for n in 1..limits::MAX_PLACEMENTS {
        let to = folder(mailboxes, n);
        let copied = mailboxes.copy(&transfer(INBOX, &[Uid(1)], to), NOW);
        let uid = copied.unwrap()[0].to;
        let request = FlagRequest {
            access: Access::owner(ALICE, to),
            uids: &[uid],
            change: &FlagChange::Set(full_flags(n)),
            unchanged_since: None,
            by: None,
        };
        mailboxes.change_flags(&request).unwrap();
    }
    message
}

/// A message of so many octets.
fn of_size(octets: usize) -> Vec<u8> {
    let mut content = b"Subject: large\r\n\r\n".to_vec();
    while content.len() < octets {
        let line = format!("{:076}\r\n", content.len());
        content.extend(line.bytes().take(octets - content.len()));
    }
    content
}

#[test]
fn what_stands_in_for_the_largest_message_fits_whatever_its_content() {
    let Opened {
        mailboxes,
        sealing,
        upkeep,
    } = open();
    let message = everywhere(&mailboxes);
    let before = shown(&mailboxes, message);
    let row = mailboxes.message(ALICE, message).unwrap();
    // More clients than are told apart in what it inherits, with the longest names.
    for n in 0..=limits::INHERITED_CLIENTS as u8 {
        let viewer = Viewer {
            protocol: "imap",
            client: format!("{n}{}", "c".repeat(limits::MAX_CLIENT_TEXT)),
            address: "a".repeat(limits::MAX_CLIENT_TEXT),
            device: DeviceId([n; 8]),
        };
        let all = [ExposureLevel::Preview, ExposureLevel::Body];
        let served = all.map(|level| Served::of((ALICE, message), &row, level, Share::ALL));
        for served in served {
            mailboxes.record_served(&[served], &viewer, NOW).unwrap();
        }
    }
    let withdrawn = mailboxes.transact(&[ALICE], |txn| {
        let gone = sealing.withdraw_in(txn, &[(ALICE, message)], TAG, NOW);
        gone.map(Verdict::Commit)
    });
    assert!(withdrawn.unwrap()[0].is_some());
    let content = of_size(512 * 1024);
    let prepared = mailboxes.prepare_ahead(content.clone(), NOW).unwrap();
    let size = std::cell::Cell::new(0);
    let put = mailboxes.transact(&[ALICE], |txn| {
        let put = sealing.stand_in_for_in(txn, (ALICE, message), &prepared, NOW);
        size.set(txn.size());
        put.map(Verdict::Commit)
    });
    let stand_in = put.unwrap().unwrap().message;
    assert!(
        size.get() <= tern_store::limits::MAX_BATCH - limits::VAULT_CHUNK_BYTES,
        "{}",
        size.get()
    );
    assert_eq!(shown(&mailboxes, stand_in), before);
    let row = mailboxes.message(ALICE, stand_in).unwrap();
    let read = mailboxes.read(ALICE, &row, 0..u64::MAX).unwrap();
    assert!(read.0 == content);
    assert!(mailboxes.structures(&[&row]).unwrap()[0].is_some());
    check(&upkeep);
}

#[test]
fn the_largest_message_is_put_into_as_many_mailboxes_at_once() {
    let Opened {
        mailboxes, upkeep, ..
    } = open();
    let others: BTreeSet<_> = (1..limits::MAX_PLACEMENTS)
        .map(|n| folder(&mailboxes, n))
        .collect();
    for octets in [100, 256 * 1024, 512 * 1024] {
        let request = AppendRequest {
            account: ALICE,
            mailbox: INBOX,
            content: of_size(octets),
            flags: full_flags(0),
            received: None,
            origin: OriginId([1; 16]),
            by: Viewer::default().into(),
        };
        let placed = mailboxes.append_to_each(request, &others, NOW).unwrap();
        let shown = shown(&mailboxes, placed.message);
        assert_eq!(shown.len(), limits::MAX_PLACEMENTS);
        let row = mailboxes.message(ALICE, placed.message).unwrap();
        let read = mailboxes.read(ALICE, &row, 0..u64::MAX).unwrap();
        assert!(read.0 == of_size(octets));
    }
    check(&upkeep);
}

#[test]
fn the_largest_message_is_withdrawn_and_comes_back_whole() {
    let Opened {
        mailboxes,
        sealing,
        upkeep,
    } = open();
    let message = everywhere(&mailboxes);
    let before = shown(&mailboxes, message);
    assert_eq!(before.len(), limits::MAX_PLACEMENTS);
    let copies = [(ALICE, message)];
    let size = std::cell::Cell::new(0);
    let withdrawn = mailboxes.transact(&[ALICE], |txn| {
        let gone = sealing.withdraw_in(txn, &copies, TAG, NOW);
        size.set(txn.size());
        gone.map(Verdict::Commit)
    });
    assert_eq!(
        withdrawn.unwrap()[0].as_ref().unwrap().placements.len(),
        limits::MAX_PLACEMENTS
    );
    assert!(size.get() <= limits::MAX_VAULTED_BYTES, "{}", size.get());
    check(&upkeep);
    let vaulted = sealing.vaulted(TAG, None, 10).unwrap();
    let kept = sealing.vaulted_placements(&vaulted[0]).unwrap();
    let kept: Shown = kept.into_iter().map(|p| (p.mailbox, p.flags)).collect();
    assert_eq!(kept, before);
    let restored = mailboxes.transact(&[ALICE], |txn| {
        let back = sealing.restore_in(txn, ALICE, message);
        size.set(txn.size());
        back.map(Verdict::Commit)
    });
    assert!(restored.unwrap().is_some());
    assert!(size.get() <= limits::MAX_VAULTED_BYTES, "{}", size.get());
    assert_eq!(shown(&mailboxes, message), before);
    assert_eq!(sealing.vaulted(TAG, None, 10).unwrap(), []);
    check(&upkeep);
}

#[test]
fn a_withdrawal_of_many_stops_in_time_and_goes_on() {
    let Opened {
        mailboxes,
        sealing,
        upkeep,
    } = open();
    let (_, digest) = append(&mailboxes, 1, full_flags(0));
    // A copy within one mailbox is a message of its own.
    for n in 0..8_u32 {
        let uids: Vec<Uid> = (1..=1 << n).map(Uid).collect();
        mailboxes.copy(&transfer(INBOX, &uids, INBOX), NOW).unwrap();
    }
    let uids: Vec<Uid> = (1..=256).map(Uid).collect();
    for n in 0..3 {
        let to = folder(&mailboxes, n);
        mailboxes.copy(&transfer(INBOX, &uids, to), NOW).unwrap();
    }
    let copies = mailboxes.copies(digest).unwrap();
    let copies: Vec<_> = copies
        .iter()
        .map(|copy| (copy.account, copy.message))
        .collect();
    assert_eq!(copies.len(), 256);
    let (mut rest, mut chunks) = (copies.as_slice(), 0);
    while !rest.is_empty() {
        let gone = mailboxes.transact(&[ALICE], |txn| {
            sealing
                .withdraw_in(txn, rest, TAG, NOW)
                .map(Verdict::Commit)
        });
        let gone = gone.unwrap();
        assert!(gone.iter().all(Option::is_some) && !gone.is_empty());
        rest = &rest[gone.len()..];
        chunks += 1;
    }
    assert!(chunks > 8, "{chunks}");
    assert!(mailboxes.view(ALICE, INBOX).unwrap().is_empty());
    check(&upkeep);
}

#[test]
fn long_lists_of_messages_with_long_rows_are_worked_in_chunks_that_fit() {
    let Opened {
        mailboxes, upkeep, ..
    } = open();
    append(&mailboxes, 1, full_flags(0));
    for n in 0..9_u32 {
        let uids: Vec<Uid> = (1..=1 << n).map(Uid).collect();
        mailboxes.copy(&transfer(INBOX, &uids, INBOX), NOW).unwrap();
    }
    let uids: Vec<Uid> = (1..=limits::CHUNK as u32).map(Uid).collect();
    let (work, later) = (folder(&mailboxes, 0), folder(&mailboxes, 1));
    let copied = mailboxes.copy(&transfer(INBOX, &uids, work), NOW).unwrap();
    assert_eq!(copied.len(), limits::CHUNK);
    let copied: Vec<Uid> = copied.iter().map(|pair| pair.to).collect();
    let moved = mailboxes.move_messages(&transfer(work, &copied, later), NOW);
    let moved: Vec<Uid> = moved.unwrap().iter().map(|pair| pair.to).collect();
    assert_eq!(moved.len(), limits::CHUNK);
    let change = FlagChange::Set(full_flags(1));
    let request = FlagRequest {
        access: Access::owner(ALICE, later),
        uids: &moved,
        change: &change,
        unchanged_since: None,
        by: None,
    };
    let outcomes = mailboxes.change_flags(&request).unwrap();
    let changed = |outcome: &FlagOutcome| matches!(outcome, FlagOutcome::Flags { flags, .. } if *flags == full_flags(1));
    assert_eq!(outcomes.len(), limits::CHUNK);
    assert!(outcomes.iter().all(changed));
    let gone = mailboxes
        .expunge(&Access::owner(ALICE, INBOX), &uids, false, NOW)
        .unwrap();
    assert_eq!(gone, uids);
    mailboxes
        .delete_folder(&Access::owner(ALICE, later), NOW)
        .unwrap();
    assert_eq!(mailboxes.account_head(ALICE).unwrap().messages, 0);
    check(&upkeep);
}
