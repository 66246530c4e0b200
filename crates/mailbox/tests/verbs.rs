//! The mailbox verbs over the in-memory engine. Every test ends with a check of the whole store.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use tern_base::{AccountId, Entropy, MailboxId, OriginId, SeededEntropy, Uid};
use tern_mailbox::{
    Access, AppendRequest, Cover, FlagChange, FlagOutcome, FlagRequest, Flags, INBOX, Landing,
    Limit, Lineage, MailboxError, Placed, SystemFlag, Transfer, Viewer, limits,
};
use tern_store::Verdict;

use house::*;

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
fn what_is_read_slowly_and_removed_meanwhile_is_gone_and_not_damaged() {
    let mut house = House::new();
    let placed = house.append(ALICE, INBOX, &letter(1));
    let row = house.mailboxes.message(ALICE, placed.message).unwrap();
    let uids = [placed.uid];
    let removed = house
        .mailboxes
        .expunge(&Access::owner(ALICE, INBOX), &uids, false, house.now);
    removed.unwrap();
    // Whoever began before goes on for as long as the content is kept.
    let read = |house: &House| house.mailboxes.read(ALICE, &row, 0..u64::MAX);
    assert_eq!(read(&house).unwrap().0, letter(1));
    house.upkeep.collect_all().unwrap();
    let gone = read(&house);
    assert!(matches!(gone, Err(MailboxError::NoMessage)), "{gone:?}");
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
            .expunge(&Access::owner(account, INBOX), &[uid], false, house.now)
            .unwrap();
    }
    assert_eq!(
        house.upkeep.collect(house.now, 10),
        Ok(0),
        "within the grace time"
    );
    house.check();
    assert_eq!(house.upkeep.collect_all(), Ok(1));
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
            access: Access::owner(ALICE, INBOX),
            uids: &uids,
            change: &change,
            unchanged_since,
            by: None,
        };
        house.mailboxes.change_flags(&request).unwrap()
    };
    let seen = || Flags::of(&[SystemFlag::Seen]);
    let first = store(FlagChange::Add(seen()), None);
    let again = store(FlagChange::Add(seen()), None);
    let changed = |outcome: &FlagOutcome| match outcome {
        FlagOutcome::Flags { modseq, before, .. } => (*modseq, *modseq != *before),
        FlagOutcome::Modified(_) => panic!("nothing was asked for"),
    };
    let modseqs = |of: &[FlagOutcome]| of.iter().map(|one| changed(one).0).collect::<Vec<_>>();
    assert_eq!(modseqs(&first), modseqs(&again));
    assert!(first.iter().all(|one| changed(one).1) && !again.iter().any(|one| changed(one).1));
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
        .expunge(&Access::owner(ALICE, INBOX), &uids, true, house.now)
        .unwrap();
    assert_eq!(gone, [Uid(1), Uid(3)]);
    assert_eq!(house.uids(ALICE, INBOX), [2]);
    house.check();
}

#[test]
fn a_keyword_for_which_there_is_no_room_is_refused_and_not_dropped() {
    let mut house = House::new();
    house.append(ALICE, INBOX, &letter(1));
    let keywords = |names: &[String]| {
        let mut flags = Flags::empty();
        assert!(names.iter().all(|name| flags.add_keyword(name)));
        flags
    };
    let store = |change: FlagChange| {
        let request = FlagRequest {
            access: Access::owner(ALICE, INBOX),
            uids: &[Uid(1)],
            change: &change,
            unchanged_since: None,
            by: None,
        };
        house.mailboxes.change_flags(&request)
    };
    let names: Vec<String> = (0..limits::MAX_KEYWORDS).map(|n| format!("k{n}")).collect();
    store(FlagChange::Set(keywords(&names))).unwrap();
    let one_more = || keywords(&["$Label".to_owned()]);
    let refused = store(FlagChange::Add(one_more()));
    assert_eq!(refused, Err(MailboxError::Limit(Limit::Keywords)));
    // One that it has takes no room.
    store(FlagChange::Add(keywords(&names[..1]))).unwrap();
    store(FlagChange::Remove(keywords(&names[..1]))).unwrap();
    store(FlagChange::Add(one_more())).unwrap();
    let view = house.mailboxes.view(ALICE, INBOX).unwrap();
    assert!(view.get(Uid(1)).unwrap().flags.has_keyword("$Label"));
    house.check();
}

#[test]
fn copies_are_placements_with_flags_of_their_own() {
    let mut house = House::new();
    let sent = house.mailboxes.folder(ALICE, "Sent").unwrap().id;
    let placed = house.append(ALICE, INBOX, &letter(1));
    let uids = [placed.uid];
    let transfer = Transfer {
        from: Access::owner(ALICE, INBOX),
        uids: &uids,
        to: sent,
        by: None,
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
        access: Access::owner(ALICE, sent),
        uids: &[Uid(1)],
        change: &change,
        unchanged_since: None,
        by: None,
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
        from: Access::owner(ALICE, INBOX),
        uids: &[placed.uid],
        to: INBOX,
        by: None,
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
        m.delete_folder(&Access::owner(ALICE, work), now),
        Err(MailboxError::HasChildren)
    ));
    assert!(matches!(
        m.rename_folder(&Access::owner(ALICE, work), "Work/2026/inner", now),
        Err(MailboxError::NotAllowed(_))
    ));
    m.rename_folder(&Access::owner(ALICE, work), "Old/Work", now)
        .unwrap();
    assert_eq!(m.folder(ALICE, "Old/Work/2026/Q4").unwrap().id, deep.id);
    assert!(matches!(
        m.delete_folder(&Access::owner(ALICE, INBOX), now),
        Err(MailboxError::NotAllowed(_))
    ));
    house.append(ALICE, deep.id, &letter(1));
    house
        .mailboxes
        .delete_folder(&Access::owner(ALICE, deep.id), now)
        .unwrap();
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
        by: Viewer::default().into(),
    };
    assert_eq!(
        house.mailboxes.append(request, house.now),
        Err(MailboxError::QuotaExceeded)
    );
    assert_eq!(house.uids(ALICE, INBOX), [1]);
    house.check();
}

#[test]
fn a_move_into_a_mailbox_that_shows_the_message_takes_room_as_a_copy_does() {
    let mut house = House::new();
    house.append(ALICE, INBOX, &letter(1));
    let sent = house.mailboxes.folder(ALICE, "Sent").unwrap().id;
    let used = || house.mailboxes.account_head(ALICE).unwrap().used_bytes;
    let transfer = |from, to| Transfer {
        from: Access::owner(ALICE, from),
        uids: &[Uid(1)],
        to,
        by: None,
    };
    house
        .mailboxes
        .copy(&transfer(INBOX, sent), house.now)
        .unwrap();
    let one = used();
    house.mailboxes.set_quota(ALICE, one * 3 / 2).unwrap();
    let over = Err(MailboxError::QuotaExceeded);
    for (from, to) in [(INBOX, sent), (sent, INBOX)] {
        let moved = house
            .mailboxes
            .move_messages(&transfer(from, to), house.now);
        assert_eq!(moved, over);
        let copied = house.mailboxes.copy(&transfer(from, to), house.now);
        assert_eq!(copied, over);
    }
    assert_eq!(used(), one);
    house.mailboxes.set_quota(ALICE, one * 2).unwrap();
    house
        .mailboxes
        .move_messages(&transfer(INBOX, sent), house.now)
        .unwrap();
    assert_eq!(
        (house.uids(ALICE, INBOX), house.uids(ALICE, sent)),
        (vec![], vec![1, 2])
    );
    assert_eq!(used(), one * 2);
    house.check();
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
            let fresh = open(&house.engine).mailboxes;
            for mailbox in boxes {
                let advanced = house.mailboxes.view(ALICE, mailbox).unwrap();
                let read = fresh.view(ALICE, mailbox).unwrap();
                assert!(advanced.iter().eq(read.iter()), "seed {seed}");
                assert_eq!(advanced.len(), read.len());
                assert_eq!(advanced.counters, read.counters);
            }
        }
        house.check();
        house.upkeep.collect_all().unwrap();
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
        from: Access::owner(ALICE, from),
        uids: &uids,
        to,
        by: None,
    };
    match dice.below(8) {
        0..=2 => drop(house.append(ALICE, from, &letter(dice.below(6) as usize))),
        3 => drop(house.mailboxes.copy(&transfer, now).unwrap()),
        4 => drop(house.mailboxes.move_messages(&transfer, now).unwrap()),
        5 => drop(
            house
                .mailboxes
                .expunge(&Access::owner(ALICE, from), &uids, false, now)
                .unwrap(),
        ),
        6 => {
            let change = FlagChange::Add(Flags::of(&[SystemFlag::ALL[dice.below(5) as usize]]));
            let request = FlagRequest {
                access: Access::owner(ALICE, from),
                uids: &uids,
                change: &change,
                unchanged_since: None,
                by: None,
            };
            drop(house.mailboxes.change_flags(&request).unwrap());
        }
        _ => {
            let content = letter(dice.below(6) as usize);
            let digest = house.seal(&content, Cover::Except([].into()));
            house.withdraw_all(digest);
            let unseal = |txn: &mut tern_store::Transaction<'_>| {
                house
                    .sealing
                    .unseal_in(txn, digest, TAG)
                    .map(Verdict::Commit)
            };
            house.mailboxes.transact(&[], unseal).unwrap();
            house.sealing.forget_seal(digest, TAG);
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
        .rename_folder(&Access::owner(ALICE, first.id), "Old", now)
        .unwrap();
    assert_eq!(
        mailboxes.folder(ALICE, "Work"),
        Err(MailboxError::NoMailbox)
    );
    let second = mailboxes.create_folder(ALICE, "Work", None, now).unwrap();
    assert_eq!(mailboxes.folder(ALICE, "Work").unwrap(), second);
    mailboxes
        .rename_folder(&Access::owner(ALICE, second.id), "Old/Work", now)
        .unwrap();
    assert_eq!(mailboxes.folder(ALICE, "Old").unwrap().id, first.id);
    assert_eq!(mailboxes.folder(ALICE, "Old/Work").unwrap().id, second.id);
    mailboxes
        .delete_folder(&Access::owner(ALICE, second.id), now)
        .unwrap();
    assert_eq!(
        mailboxes.folder(ALICE, "Old/Work"),
        Err(MailboxError::NoMailbox)
    );
    for path in ["inbox", "INBOX", "inbox"] {
        assert_eq!(mailboxes.folder(ALICE, path).unwrap().id, INBOX);
    }
    house.check();
}

#[test]
fn an_upload_comes_in_pieces_and_is_there_whole_for_a_day() {
    let mut house = House::new();
    let content: Vec<u8> = (0..700_000u32).map(|n| n as u8).collect();
    let mut upload = house
        .mailboxes
        .begin_upload(ALICE, "image/png", 1_000_000, house.now, &mut house.entropy)
        .unwrap();
    for piece in content.chunks(100_001) {
        house.mailboxes.upload_more(&mut upload, piece).unwrap();
    }
    let done = house.mailboxes.finish_upload(upload, house.now).unwrap();
    assert_eq!(
        (done.size, done.media_type.as_str()),
        (700_000, "image/png")
    );
    house.check();
    assert_eq!(
        house.mailboxes.uploaded(ALICE, done.blob),
        Ok(Some(done.clone()))
    );
    assert_eq!(house.mailboxes.uploaded(BOB, done.blob), Ok(None));
    for range in [0..10u64, 262_100..524_400, 699_999..900_000] {
        let read = house.mailboxes.read_upload(&done, range.clone()).unwrap();
        assert_eq!(
            read,
            content[range.start as usize..(range.end as usize).min(700_000)]
        );
    }
    let day = 24 * 3_600_000;
    assert_eq!(
        house
            .upkeep
            .expire_uploads(house.now.plus_millis(day - 1), 9),
        Ok(0)
    );
    assert_eq!(
        house.upkeep.expire_uploads(house.now.plus_millis(day), 9),
        Ok(1)
    );
    house.upkeep.collect_all().unwrap();
    house.check();
}

#[test]
fn uploads_of_an_account_are_bounded_and_go_with_it() {
    let mut house = House::new();
    let most = tern_mailbox::limits::MAX_UPLOAD_BYTES;
    let mut begin = |size| {
        house
            .mailboxes
            .begin_upload(ALICE, "", size, house.now, &mut house.entropy)
    };
    assert_eq!(begin(most + 1).err(), Some(MailboxError::QuotaExceeded));
    let mut upload = begin(10).unwrap();
    house
        .mailboxes
        .upload_more(&mut upload, b"0123456789")
        .unwrap();
    let done = house.mailboxes.finish_upload(upload, house.now).unwrap();
    house.upkeep.remove_account(ALICE, house.now).unwrap();
    assert_eq!(house.mailboxes.uploaded(ALICE, done.blob), Ok(None));
    house.upkeep.collect_all().unwrap();
    house.check();
}

#[test]
fn an_upload_that_is_broken_off_leaves_nothing_and_holds_its_room_until_then() {
    let mut house = House::new();
    let most = tern_mailbox::limits::MAX_UPLOAD_BYTES;
    let content = vec![7; 600_000];
    let begin = |house: &mut House, size| {
        let (mailboxes, entropy) = (&house.mailboxes, &mut house.entropy);
        mailboxes.begin_upload(ALICE, "", size, house.now, entropy)
    };
    let mut cut = begin(&mut house, most - 10).unwrap();
    let over = begin(&mut house, 11).err();
    assert_eq!(over, Some(MailboxError::QuotaExceeded));
    house.mailboxes.upload_more(&mut cut, &content).unwrap();
    assert_ne!(house.engine.blob_piece_count(), 0);
    house.check();
    house.mailboxes.abandon_upload(cut).unwrap();
    assert_eq!(house.engine.blob_piece_count(), 0);
    house.check();
    // What a crash leaves, or what takes too long, is let go, and what comes after that is not kept.
    let mut left = begin(&mut house, most).unwrap();
    house.mailboxes.upload_more(&mut left, &content).unwrap();
    let grace = tern_mailbox::limits::UNREFERENCED_GRACE_MS;
    for (millis, gone) in [(grace - 1, 0), (grace, 1)] {
        let now = house.now.plus_millis(millis);
        assert_eq!(house.upkeep.expire_uploads(now, 9), Ok(gone));
    }
    assert_eq!(house.upkeep.collect_all(), Ok(1));
    house.mailboxes.upload_more(&mut left, &content).unwrap();
    let late = house.mailboxes.finish_upload(left, house.now);
    assert!(late.is_err(), "{late:?}");
    assert_eq!(house.engine.blob_piece_count(), 0);
    // With its account.
    let gone = begin(&mut house, 10).unwrap();
    house.upkeep.remove_account(ALICE, house.now).unwrap();
    let gone = house.mailboxes.finish_upload(gone, house.now);
    assert!(gone.is_err(), "{gone:?}");
    house.upkeep.collect_all().unwrap();
    house.check();
}
