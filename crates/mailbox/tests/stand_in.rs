//! What takes the place of a message in the vault, over the in-memory engine. Every test ends with a
//! check of the whole store.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use tern_base::{ContentDigest, MessageId, Timestamp, Uid};
use tern_mailbox::{
    Access, Carriage, Cover, ExposureLevel, Flags, INBOX, MailboxError, Origins, Outside, Parts,
    Prepared, Seal, SealTag, Served, Share, StandIn, SystemFlag, Transfer, Viewer,
};
use tern_store::{Transaction, Verdict};

use house::*;

/// Seals the letter for what has this part, or for the whole of it.
fn seal(house: &House, part: Option<u8>, tag: SealTag, active: bool) -> ContentDigest {
    let digest = tern_mime::content_digest(house.mailboxes.content_key(), &letter(1));
    let seal = Seal {
        tag,
        cover: Cover::Except([].into()),
        outside: Outside::All,
        origins: Origins::all(),
        attached: true,
        part,
        active,
        until: Timestamp(u64::MAX),
    };
    let done = house
        .sealing
        .seal(digest, seal, |_| Ok::<_, MailboxError>(()));
    done.unwrap();
    digest
}

/// The letter without these parts.
fn reduced(house: &House, digest: ContentDigest, parts: &[u8]) -> Prepared {
    let content = [letter(1), b"Something was taken out.\r\n".to_vec()].concat();
    let mut prepared = house.mailboxes.prepare(content, house.now).unwrap();
    let parts = parts
        .iter()
        .fold(Parts::default(), |all, part| all.with(*part));
    prepared.lacks(digest, parts);
    prepared
}

fn stand_in(house: &House, message: MessageId, prepared: &Prepared) -> Option<StandIn> {
    let work = |txn: &mut Transaction<'_>| {
        let of = (BOB, message);
        let placed = house.sealing.stand_in_for_in(txn, of, prepared, house.now);
        placed.map(Verdict::Commit)
    };
    house.mailboxes.transact(&[BOB], work).unwrap()
}

#[test]
fn it_is_where_the_other_was_and_no_seal_of_its_part_covers_it() {
    let mut house = House::new();
    let trash = house.mailboxes.folder(BOB, "Trash").unwrap().id;
    let his = house.append(BOB, INBOX, &letter(1));
    let uids = &[Uid(1)];
    let (account, from, to) = (BOB, INBOX, trash);
    let transfer = Transfer {
        from: Access::owner(account, from),
        uids,
        to,
        by: None,
    };
    house.mailboxes.copy(&transfer, house.now).unwrap();
    let seen = Flags::of(&[SystemFlag::Seen]);
    let change = tern_mailbox::FlagRequest {
        access: Access::owner(BOB, INBOX),
        uids,
        change: &tern_mailbox::FlagChange::Add(seen),
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&change).unwrap();
    let before = house.mailboxes.message(BOB, his.message).unwrap();
    let digest = seal(&house, Some(1), TAG, true);
    assert_eq!(house.withdraw_all(digest), 1);
    let placed = stand_in(&house, his.message, &reduced(&house, digest, &[1])).unwrap();
    assert_eq!(placed.sealed, None);
    // Its seal is still active.
    let after = house.mailboxes.message(BOB, placed.message).unwrap();
    assert_eq!(
        (after.received, after.thread),
        (before.received, before.thread)
    );
    assert_eq!(
        (after.origin, after.lineage),
        (before.origin, before.lineage)
    );
    assert_eq!(house.uids(BOB, INBOX), [2]);
    assert_eq!(house.uids(BOB, trash), [2]);
    let flags = |mailbox| {
        let view = house.mailboxes.view(BOB, mailbox).unwrap();
        view.get(Uid(2)).unwrap().flags.has(SystemFlag::Seen)
    };
    assert!(flags(INBOX) && !flags(trash));
    let carriers = house.mailboxes.carriers(digest).unwrap();
    let lacks = Carriage::Reduced(Parts::default().with(1));
    assert_eq!(carriers.len(), 1);
    assert_eq!(carriers[0].carriage(), Some(lacks));
    house.check();
    // Back to what it was.
    let take_away = |txn: &mut Transaction<'_>| {
        let sealing = &house.sealing;
        sealing.restore_in(txn, BOB, his.message)?;
        sealing.take_away_in(txn, BOB, placed.message, house.now)?;
        Ok::<_, MailboxError>(Verdict::Commit(()))
    };
    house.mailboxes.transact(&[BOB], take_away).unwrap();
    assert_eq!(house.uids(BOB, INBOX), [3]);
    assert_eq!(house.mailboxes.carriers(digest).unwrap(), []);
    house.check();
}

#[test]
fn what_was_served_of_the_one_was_served_of_the_other() {
    let mut house = House::new();
    let his = house.append(BOB, INBOX, &letter(1));
    let row = house.mailboxes.message(BOB, his.message).unwrap();
    let served = Served {
        account: BOB,
        message: his.message,
        digest: row.digest,
        origin: row.origin,
        carries: false,
        level: ExposureLevel::Attachment,
        share: Share::NONE,
    };
    let viewer = Viewer::default();
    house
        .mailboxes
        .record_served(&[served], &viewer, house.now)
        .unwrap();
    let digest = seal(&house, Some(1), TAG, true);
    house.withdraw_all(digest);
    stand_in(&house, his.message, &reduced(&house, digest, &[1])).unwrap();
    let carriers = house.mailboxes.carriers(digest).unwrap();
    let exposures = house.sealing.exposures_of(&carriers).unwrap();
    let levels: Vec<_> = exposures.iter().flatten().map(|one| one.level).collect();
    assert_eq!(
        levels,
        [ExposureLevel::Downloaded],
        "it was appended by a client"
    );
    house.check();
}

#[test]
fn under_another_seal_it_is_not_shown() {
    const OTHER: SealTag = SealTag([8; 16]);
    for (part, shown) in [(None, false), (Some(2), false), (Some(1), true)] {
        let mut house = House::new();
        let his = house.append(BOB, INBOX, &letter(1));
        let digest = seal(&house, Some(1), TAG, true);
        house.withdraw_all(digest);
        // Settled: nothing asks it but what arrives.
        seal(&house, part, OTHER, false);
        let placed = stand_in(&house, his.message, &reduced(&house, digest, &[1])).unwrap();
        assert_eq!(placed.sealed, (!shown).then_some(OTHER), "{part:?}");
        assert_eq!(house.uids(BOB, INBOX).len(), usize::from(shown));
        let kept = house.sealing.in_vault(BOB, placed.message).unwrap();
        assert_eq!(kept.is_some_and(|row| row.late && row.tag == OTHER), !shown);
        // No later message has its id.
        assert!(house.append(BOB, INBOX, &letter(2)).message > placed.message);
        house.check();
    }
}

#[test]
fn of_what_is_no_longer_in_the_vault_nothing_takes_the_place() {
    let mut house = House::new();
    let his = house.append(BOB, INBOX, &letter(1));
    let digest = seal(&house, Some(1), TAG, true);
    let prepared = reduced(&house, digest, &[1]);
    assert_eq!(stand_in(&house, his.message, &prepared), None);
    house.withdraw_all(digest);
    house.upkeep.remove_account(BOB, house.now).unwrap();
    assert_eq!(stand_in(&house, his.message, &prepared), None);
    house.check();
}
