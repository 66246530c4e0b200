//! Seals, withdrawal and what was served, over the in-memory engine. Every test ends with a check
//! of the whole store.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use tern_base::{ContentDigest, OriginId, Timestamp, Uid};
use tern_mailbox::{
    Access, Cover, ExposureLevel, FlagChange, FlagRequest, Flags, INBOX, MailboxError, Origins,
    Outside, Seal, Served, Share, SystemFlag, Transfer, Viewer,
};
use tern_store::{Range, Read, StoreError, Verdict};

use house::*;

#[test]
fn a_seal_hides_content_at_once_and_survives_a_restart() {
    let mut house = House::new();
    let hers = house.append(ALICE, INBOX, &letter(1));
    let his = house.append(BOB, INBOX, &letter(1));
    let other = house.append(BOB, INBOX, &letter(2));
    let row = house.mailboxes.message(BOB, his.message).unwrap();
    house.seal(&letter(1), Cover::Except([ALICE.0].into()));
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
    let reopened = open(&house.engine).mailboxes;
    assert_eq!(
        reopened.message(BOB, his.message),
        Err(MailboxError::Sealed)
    );
    assert!(house.mailboxes.is_sealed(BOB, &row));
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
        origins: Origins::all(),
        attached: true,
        part: None,
        active: true,
        until: Timestamp(u64::MAX),
    };
    let fail = |_: &mut tern_store::Transaction<'_>| Err::<(), _>(MailboxError::NoAccount);
    assert!(house.sealing.seal(digest, seal.clone(), fail).is_err());
    assert!(house.mailboxes.message(BOB, his.message).is_ok());
    house.engine.set_fault_hook(Some(Box::new(|_| {
        Some(tern_store::mem::Injected::UnknownApplied)
    })));
    let unknown = house
        .sealing
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
        from: Access::owner(BOB, INBOX),
        uids: &[Uid(1)],
        to,
        by: None,
    };
    house.mailboxes.copy(&to(trash), now).unwrap();
    house.mailboxes.move_messages(&to(work), now).unwrap();
    let flags = Flags::of(&[SystemFlag::Seen, SystemFlag::Flagged]);
    let request = FlagRequest {
        access: Access::owner(BOB, work),
        uids: &[Uid(1)],
        change: &FlagChange::Set(flags.clone()),
        unchanged_since: None,
        by: None,
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
    house
        .mailboxes
        .delete_folder(&Access::owner(BOB, trash), now)
        .unwrap();
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
    let vaulted = house.sealing.vaulted(TAG, None, 10).unwrap();
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
    let kept = house.sealing.vaulted(TAG, None, 1_000).unwrap();
    assert_eq!(kept.len(), most);
    assert_eq!(house.sealing.late_copies(TAG, 1_000).unwrap().len(), most);
    // What is left of a further one is that its UID was given out: one row of the change log.
    assert!(rows[most - 1] > empty + 3 * most);
    assert_eq!(rows[most + 19] - rows[most - 1], 20);
    assert_eq!(house.append(ALICE, INBOX, &letter(1)).sealed, Some(TAG));
    let kept = house.sealing.vaulted(TAG, None, 1_000).unwrap();
    assert_eq!(kept.len(), most + 1, "another account's");
    house.check();
}

#[test]
fn a_settled_seal_is_asked_for_as_long_as_it_keeps_out_and_no_longer() {
    let mut house = House::new();
    let his = house.deliver(BOB, &letter(1));
    let row = house.mailboxes.message(BOB, his.message).unwrap();
    let digest = row.digest;
    let until = house.now.plus_millis(1_000);
    let seal = |cover| seal_over(cover, until);
    let sealed = house
        .sealing
        .seal(digest, seal(Cover::Except([].into())), |_| {
            Ok::<_, MailboxError>(())
        });
    assert_eq!(sealed, Ok(()));
    // Another try under the same tag fails: what is durable is what is asked.
    let failed = house
        .sealing
        .seal(digest, seal(Cover::Only([].into())), |_| {
            Err::<(), _>(MailboxError::NoMessage)
        });
    assert_eq!(failed, Err(MailboxError::NoMessage));
    let is_sealed = |house: &House| house.mailboxes.is_sealed(BOB, &row);
    assert!(is_sealed(&house));
    house.sealing.forget_over(until).unwrap();
    assert!(is_sealed(&house), "copies may still be in mailboxes");
    let settle = |txn: &mut tern_store::Transaction<'_>| {
        let settled = house.sealing.settle_seal_in(txn, digest, TAG);
        settled.map(Verdict::Commit)
    };
    house.mailboxes.transact(&[], settle).unwrap();
    house.sealing.forget_over(house.now).unwrap();
    assert!(is_sealed(&house), "a reader may hold the row of one");
    house.sealing.forget_over(until).unwrap();
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
        ..Viewer::default()
    };
    let serve = |level, at| {
        let served = Served {
            account: BOB,
            message: his.message,
            digest,
            origin,
            carries: false,
            level,
            share: Share::NONE,
        };
        house
            .mailboxes
            .record_served(&[served], &viewer, Timestamp(at))
    };
    serve(ExposureLevel::Headers, 1).unwrap();
    serve(ExposureLevel::Body, 2).unwrap();
    serve(ExposureLevel::Headers, 3).unwrap();
    let exposures = house.sealing.exposures(digest).unwrap();
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
        house.sealing.exposures(digest).unwrap()[0].2.level,
        ExposureLevel::Body
    );
}

/// How many rows of seals arrivals of a letter read.
fn seal_rows(house: &House, digest: tern_base::ContentDigest) -> usize {
    let start = [&[0x6c], &digest.0[..]].concat();
    house
        .engine
        .scan(&Range::prefix(start), 10_000)
        .unwrap()
        .rows
        .len()
}

#[test]
fn one_letter_has_room_for_thousands_of_seals_and_arrivals_read_those_that_hold() {
    const SEALS: u16 = 2_000;
    let mut house = House::new();
    let digest = tern_mime::content_digest(house.mailboxes.content_key(), &letter(1));
    let his = house.deliver(BOB, &letter(1));
    let tag = |n: u16| {
        let mut tag = [1; 16];
        tag[..2].copy_from_slice(&n.to_be_bytes());
        tern_mailbox::SealTag(tag)
    };
    let until = |n: u16| house.now.plus_millis(1_000 + u64::from(n % 2) * 1_000);
    let untils: Vec<Timestamp> = (0..SEALS).map(until).collect();
    for n in 0..SEALS {
        let seal = Seal {
            tag: tag(n),
            cover: Cover::Only([1_000 + u32::from(n)].into()),
            outside: Outside::Only([(OriginId([7; 16]), [u32::from(n)].into())].into()),
            origins: Origins::AllBut {
                since: Timestamp(0),
                foreign: true,
                others: vec![OriginId([3; 16]); 20],
            },
            attached: true,
            part: None,
            active: false,
            until: untils[usize::from(n)],
        };
        let sealed = house
            .sealing
            .seal(digest, seal, |_| Ok::<_, MailboxError>(()));
        assert_eq!(sealed, Ok(()));
    }
    assert_eq!(seal_tags(&house, digest).len(), 2_000);
    let last = house.sealing.seal_of(digest, tag(SEALS - 1)).unwrap();
    assert_eq!(last.unwrap().until, untils[usize::from(SEALS) - 1]);
    // The next one is found among them, and another account's arrival passes.
    house.seal(&letter(1), Cover::Only([BOB.0].into()));
    assert_eq!(house.append(BOB, INBOX, &letter(1)).sealed, Some(TAG));
    assert_eq!(house.append(ALICE, INBOX, &letter(1)).sealed, None);
    assert_eq!(
        house.mailboxes.message(BOB, his.message),
        Err(MailboxError::Sealed)
    );
    house.sealing.forget_over(untils[0]).unwrap();
    assert_eq!(seal_rows(&house, digest), 1_001, "half of them are over");
    house.sealing.forget_over(untils[1]).unwrap();
    assert_eq!(seal_rows(&house, digest), 1);
    assert_eq!(seal_tags(&house, digest), [TAG]);
    assert_eq!(house.append(BOB, INBOX, &letter(1)).sealed, Some(TAG));
    house.check();
}

fn seal_tags(house: &House, digest: ContentDigest) -> Vec<tern_mailbox::SealTag> {
    let look = |txn: &mut tern_store::Transaction<'_>| {
        let tags = house.sealing.seal_tags_in(txn, digest);
        tags.map(Verdict::Abandon)
    };
    house.mailboxes.transact(&[], look).unwrap()
}

#[test]
fn what_is_kept_under_a_seal_that_was_taken_away_is_found_by_its_tag() {
    let mut house = House::new();
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    let late = house.append(BOB, INBOX, &letter(1));
    let unseal = |txn: &mut tern_store::Transaction<'_>| {
        let unsealed = house.sealing.unseal_in(txn, digest, TAG);
        unsealed.map(Verdict::Commit)
    };
    house.mailboxes.transact(&[], unseal).unwrap();
    house.sealing.reload_seal(digest, TAG).unwrap();
    house.sealing.forget_over(house.now).unwrap();
    assert_eq!(seal_tags(&house, digest), [TAG]);
    let restore = |txn: &mut tern_store::Transaction<'_>| {
        let kept = house.sealing.vaulted_of_in(txn, TAG, BOB)?;
        let kept: Vec<_> = kept.iter().map(|copy| copy.message).collect();
        assert_eq!(kept, [late.message]);
        let restored = house.sealing.restore_in(txn, BOB, late.message);
        restored.map(Verdict::Commit)
    };
    assert!(house.mailboxes.transact(&[BOB], restore).unwrap().is_some());
    house.sealing.forget_over(house.now).unwrap();
    assert_eq!(seal_tags(&house, digest), []);
    house.check();
}

#[test]
fn the_tag_of_a_seal_that_is_over_is_known_while_copies_are_kept_under_it() {
    let mut house = House::new();
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    let late = house.append(BOB, INBOX, &letter(1));
    let settle = |txn: &mut tern_store::Transaction<'_>| {
        let settled = house.sealing.settle_seal_in(txn, digest, TAG);
        settled.map(Verdict::Commit)
    };
    house.mailboxes.transact(&[], settle).unwrap();
    let over = Timestamp(u64::MAX);
    house.sealing.forget_over(over).unwrap();
    assert_eq!(house.sealing.seal_of(digest, TAG), Ok(None));
    assert_eq!(seal_tags(&house, digest), [TAG]);
    let purge = |txn: &mut tern_store::Transaction<'_>| {
        let purged = house.sealing.purge_in(txn, BOB, late.message, over);
        purged.map(Verdict::Commit)
    };
    assert_eq!(
        house.mailboxes.transact(&[BOB], purge),
        Ok(tern_mailbox::Purged::Gone)
    );
    house.sealing.forget_over(over).unwrap();
    assert_eq!(seal_tags(&house, digest), []);
    house.check();
}

#[test]
fn a_seal_that_falls_while_a_copy_lands_is_a_conflict_whatever_was_sealed_before() {
    let house = House::new();
    let digest = house.seal(&letter(1), Cover::Only([ALICE.0].into()));
    // Taken away and set again: the letter's head must not say what it said before.
    let prepared = house.mailboxes.prepare(letter(1), house.now).unwrap();
    let landing = tern_mailbox::Landing {
        account: BOB,
        mailbox: INBOX,
        flags: Flags::empty(),
        received: house.now,
        prefix: Vec::new(),
        origin: OriginId([0; 16]),
        lineage: tern_mailbox::Lineage::Delivered,
        brought_by: None,
    };
    let mut attempts = 0;
    let placed = tern_store::transact(&house.engine, |txn| {
        let landings = std::slice::from_ref(&landing);
        let placed = house
            .mailboxes
            .land_in(txn, &prepared, landings, house.now)?;
        attempts += 1;
        if attempts == 1 {
            let unseal = |txn: &mut tern_store::Transaction<'_>| {
                let unsealed = house.sealing.unseal_in(txn, digest, TAG);
                unsealed.map(Verdict::Commit)
            };
            house.mailboxes.transact(&[], unseal).unwrap();
            house.seal(&letter(1), Cover::Only([BOB.0].into()));
        }
        Ok::<_, MailboxError>(Verdict::Commit(placed))
    });
    assert_eq!(attempts, 2);
    assert_eq!(placed.unwrap()[0].as_ref().unwrap().sealed, Some(TAG));
    house.check();
}

#[test]
fn what_arrives_in_one_transaction_counts_together() {
    let most = tern_mailbox::limits::MAX_KEPT_ARRIVALS;
    let house = House::new();
    house.seal(&letter(1), Cover::Except([].into()));
    let landing = tern_mailbox::Landing {
        account: BOB,
        mailbox: INBOX,
        flags: Flags::empty(),
        received: house.now,
        prefix: Vec::new(),
        origin: OriginId([0; 16]),
        lineage: tern_mailbox::Lineage::Copied,
        brought_by: None,
    };
    let prepared = house.mailboxes.prepare(letter(1), house.now).unwrap();
    let landings = vec![landing; most + 5];
    let placed = house.mailboxes.land(&prepared, &landings, house.now);
    assert!(placed.unwrap().iter().all(Result::is_ok));
    let kept = house.sealing.vaulted(TAG, None, 1_000).unwrap();
    assert_eq!(kept.len(), most);
    house.check();
}

fn copy(house: &House, uids: &[Uid], to: tern_base::MailboxId, moving: bool) -> Vec<(u32, u32)> {
    let transfer = Transfer {
        from: Access::owner(BOB, INBOX),
        uids,
        to,
        by: None,
    };
    let pairs = match moving {
        true => house.mailboxes.move_messages(&transfer, house.now),
        false => house.mailboxes.copy(&transfer, house.now),
    };
    let pairs = pairs.unwrap();
    pairs.iter().map(|pair| (pair.from.0, pair.to.0)).collect()
}

#[test]
fn what_is_under_a_seal_is_neither_copied_nor_moved() {
    let mut house = House::new();
    house.append(BOB, INBOX, &letter(1));
    house.append(BOB, INBOX, &letter(2));
    let trash = house.mailboxes.folder(BOB, "Trash").unwrap().id;
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    let both = [Uid(1), Uid(2)];
    assert_eq!(copy(&house, &both, INBOX, false), [(2, 3)]);
    assert_eq!(copy(&house, &both, trash, false), [(2, 1)]);
    assert_eq!(copy(&house, &[Uid(1)], trash, true), []);
    assert_eq!(house.mailboxes.copies(digest).unwrap().len(), 1);
    assert_eq!(house.withdraw_all(digest), 1);
    house.check();
}

#[test]
fn a_seal_that_falls_while_its_letter_is_copied_is_a_conflict() {
    let mut house = House::new();
    house.append(BOB, INBOX, &letter(1));
    let trash = house.mailboxes.folder(BOB, "Trash").unwrap().id;
    assert_eq!(copy(&house, &[Uid(1)], trash, false), [(1, 1)]);
    let digest = tern_mime::content_digest(house.mailboxes.content_key(), &letter(1));
    for (to, moving) in [(INBOX, false), (trash, true)] {
        let fork = house.engine.fork();
        let house = House::over(fork.clone(), open(&fork));
        let sealing = house.sealing.clone();
        house.engine.before_commit(0, move || {
            let seal = seal_over(Cover::Except([].into()), Timestamp(u64::MAX));
            let sealed = sealing.seal(digest, seal, |_| Ok::<_, MailboxError>(()));
            sealed.unwrap();
        });
        assert_eq!(copy(&house, &[Uid(1)], to, moving), []);
        assert!(!house.engine.is_awaited());
        assert_eq!(house.mailboxes.copies(digest).unwrap().len(), 1);
        house.check();
    }
}

#[test]
fn where_the_inbox_showed_it_too_it_comes_back_as_it_was_there() {
    let mut house = House::new();
    house.append(BOB, INBOX, &letter(1));
    let work = house.mailboxes.create_folder(BOB, "Work", None, house.now);
    let work = work.unwrap().id;
    // The inbox shows it later than the other.
    assert_eq!(copy(&house, &[Uid(1)], work, true), [(1, 1)]);
    let flag = |mailbox, uid, flag| {
        let request = FlagRequest {
            access: Access::owner(BOB, mailbox),
            uids: &[uid],
            change: &FlagChange::Set(Flags::of(&[flag])),
            unchanged_since: None,
            by: None,
        };
        house.mailboxes.change_flags(&request).unwrap();
    };
    let back = Transfer {
        from: Access::owner(BOB, work),
        uids: &[Uid(1)],
        to: INBOX,
        by: None,
    };
    house.mailboxes.copy(&back, house.now).unwrap();
    flag(work, Uid(1), SystemFlag::Answered);
    flag(INBOX, Uid(2), SystemFlag::Flagged);
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    assert_eq!(house.withdraw_all(digest), 1);
    house.sealing.forget_seal(digest, TAG);
    let of_work = Access::owner(BOB, work);
    house.mailboxes.delete_folder(&of_work, house.now).unwrap();
    house.restore_all();
    let view = house.mailboxes.view(BOB, INBOX).unwrap();
    let flags: Vec<Flags> = view.iter().map(|entry| entry.flags.clone()).collect();
    assert_eq!(flags, [Flags::of(&[SystemFlag::Flagged])]);
    house.check();
}
