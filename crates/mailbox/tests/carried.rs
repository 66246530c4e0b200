//! Messages that carry a letter inside them, over the in-memory engine. Every test ends with a check
//! of the whole store.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use tern_base::{Timestamp, Uid};
use tern_mailbox::{
    Access, Carriage, Cover, ExposureLevel, INBOX, MailboxError, Origins, Outside, Seal, Served,
    Share, Transfer, Viewer, limits,
};
use tern_store::{Range, Read, Transaction, Verdict};

use house::*;

/// A message with these letters attached, each as a message part.
fn forward(n: usize, letters: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!(
        "From: b@example.org\r\nTo: c@example.org\r\nSubject: Fwd {n}\r\n\
         Date: Sat, 21 Nov 2026 22:07:00 +0000\r\nMessage-ID: <fwd{n}@example.org>\r\n\
         Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n\r\nSee below\r\n"
    )
    .into_bytes();
    for letter in letters {
        out.extend(format!("--b{n}\r\nContent-Type: message/rfc822\r\n\r\n").into_bytes());
        out.extend_from_slice(letter);
    }
    out.extend(format!("\r\n--b{n}--\r\n").into_bytes());
    out
}

/// How many rows there are by which messages are found by what they carry.
fn carrier_rows(house: &House) -> usize {
    let range = Range::prefix(vec![0x6e]);
    house.engine.scan(&range, 10_000).unwrap().rows.len()
}

fn withdraw_carriers(house: &House, digest: tern_base::ContentDigest) -> usize {
    let carriers = house.mailboxes.carriers(digest).unwrap();
    let copies: Vec<_> = carriers
        .iter()
        .map(|copy| (copy.account, copy.message))
        .collect();
    let accounts: Vec<_> = copies.iter().map(|copy| copy.0).collect();
    let work = |txn: &mut Transaction<'_>| {
        let sealing = &house.sealing;
        let gone = sealing.withdraw_in(txn, &copies, TAG, house.now)?;
        Ok::<_, MailboxError>(Verdict::Commit(gone.into_iter().flatten().count()))
    };
    house.mailboxes.transact(&accounts, work).unwrap()
}

#[test]
fn what_carries_a_sealed_letter_is_hidden_withdrawn_and_comes_back_whole() {
    let mut house = House::new();
    let trash = house.mailboxes.folder(BOB, "Trash").unwrap().id;
    let his = house.append(BOB, INBOX, &forward(1, &[letter(1)]));
    let transfer = Transfer {
        from: Access::owner(BOB, INBOX),
        uids: &[Uid(1)],
        to: trash,
        by: None,
    };
    house.mailboxes.copy(&transfer, house.now).unwrap();
    let deep = house.append(BOB, INBOX, &forward(3, &[forward(2, &[letter(1)])]));
    let other = house.append(BOB, INBOX, &forward(4, &[letter(2)]));
    let hers = house.append(ALICE, INBOX, &forward(1, &[letter(1)]));
    let row = house.mailboxes.message(BOB, his.message).unwrap();
    let digest = house.seal(&letter(1), Cover::Except([ALICE.0].into()));
    let read = house.mailboxes.read(BOB, &row, 0..9);
    assert_eq!(read, Err(MailboxError::Sealed));
    let is_hidden = |placed: &tern_mailbox::Placed| {
        house.mailboxes.message(placed.account, placed.message) == Err(MailboxError::Sealed)
    };
    assert!(is_hidden(&his) && is_hidden(&deep));
    assert!(!is_hidden(&other) && !is_hidden(&hers));
    let carriers = house.mailboxes.carriers(digest).unwrap();
    assert_eq!(carriers.len(), 3);
    assert!(carriers.iter().all(|copy| {
        copy.carriage().is_some_and(Carriage::is_attached)
            && house.mailboxes.has_copy(digest, copy).unwrap()
    }));
    assert_eq!(house.mailboxes.copies(digest).unwrap(), []);
    assert_eq!(withdraw_carriers(&house, digest), 3);
    assert_eq!(house.uids(BOB, INBOX), [3]);
    assert!(house.uids(BOB, trash).is_empty());
    assert_eq!(house.mailboxes.carriers(digest).unwrap(), []);
    house.check();
    let unseal = |txn: &mut Transaction<'_>| {
        let unsealed = house.sealing.unseal_in(txn, digest, TAG);
        unsealed.map(Verdict::Commit)
    };
    house.mailboxes.transact(&[], unseal).unwrap();
    house.sealing.reload_seal(digest, TAG).unwrap();
    house.restore_all();
    assert_eq!(house.mailboxes.carriers(digest).unwrap().len(), 3);
    let back = house.mailboxes.message(BOB, his.message).unwrap();
    assert_eq!(back.carried, row.carried);
    house.check();
}

#[test]
fn what_carries_a_sealed_letter_is_stopped_as_it_arrives() {
    let mut house = House::new();
    house.seal(&letter(1), Cover::Except([ALICE.0].into()));
    let late = house.append(BOB, INBOX, &forward(1, &[letter(2), letter(1)]));
    assert_eq!(late.sealed, Some(TAG));
    assert_eq!(
        house.append(BOB, INBOX, &forward(2, &[letter(2)])).sealed,
        None
    );
    let hers = house.append(ALICE, INBOX, &forward(1, &[letter(1)]));
    assert_eq!(hers.sealed, None);
    assert_eq!(house.uids(BOB, INBOX), [2]);
    house.check();
}

/// Each has its own words, and was answered as accepted.
#[test]
fn what_was_withdrawn_before_takes_no_room_from_what_arrives() {
    let most = limits::MAX_KEPT_ARRIVALS;
    let mut house = House::new();
    for n in 0..most {
        house.append(BOB, INBOX, &forward(n, &[letter(1)]));
    }
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    assert_eq!(withdraw_carriers(&house, digest), most);
    let vaulted = |house: &House| house.sealing.vaulted(TAG, None, 1_000).unwrap().len();
    for n in most..2 * most + 4 {
        house.append(BOB, INBOX, &forward(n, &[letter(1)]));
        assert_eq!(vaulted(&house), n + 1);
    }
    // Nor do they take it from the letter, of which a few are enough.
    for _ in 0..most + 4 {
        house.append(BOB, INBOX, &letter(1));
    }
    assert_eq!(vaulted(&house), 3 * most + 4);
    // Of what carries it so many octets are enough.
    let mut large = forward(100, &[letter(1)]);
    large.resize(limits::MAX_KEPT_CARRIERS as usize, b'x');
    house.append(BOB, INBOX, &large);
    assert_eq!(vaulted(&house), 3 * most + 4);
    assert!(house.uids(BOB, INBOX).is_empty());
    house.check();
}

#[test]
fn a_seal_of_the_letter_alone_leaves_what_carries_it() {
    let mut house = House::new();
    let his = house.append(BOB, INBOX, &forward(1, &[letter(1)]));
    let whole = house.append(BOB, INBOX, &letter(1));
    let digest = tern_mime::content_digest(house.mailboxes.content_key(), &letter(1));
    let seal = Seal {
        tag: TAG,
        cover: Cover::Except([].into()),
        outside: Outside::All,
        origins: Origins::all(),
        attached: false,
        part: None,
        active: true,
        until: Timestamp(u64::MAX),
    };
    let sealed = house
        .sealing
        .seal(digest, seal, |_| Ok::<_, MailboxError>(()));
    assert_eq!(sealed, Ok(()));
    assert!(house.mailboxes.message(BOB, his.message).is_ok());
    let hidden = house.mailboxes.message(BOB, whole.message);
    assert_eq!(hidden, Err(MailboxError::Sealed));
    house.check();
}

#[test]
fn ordinary_mail_has_no_rows_of_what_it_carries_and_the_most_has_a_bounded_number() {
    let mut house = House::new();
    house.append(BOB, INBOX, &letter(1));
    assert_eq!(carrier_rows(&house), 0);
    let many: Vec<Vec<u8>> = (0..80).map(letter).collect();
    let his = house.append(BOB, INBOX, &forward(1, &many));
    assert_eq!(carrier_rows(&house), limits::MAX_CARRIED);
    // The same one twice is one.
    house.append(BOB, INBOX, &forward(2, &[letter(1), letter(1)]));
    assert_eq!(carrier_rows(&house), limits::MAX_CARRIED + 1);
    let uids = [his.uid];
    let gone = house
        .mailboxes
        .expunge(&Access::owner(BOB, INBOX), &uids, false, house.now)
        .unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(carrier_rows(&house), 1);
    house.upkeep.remove_account(BOB, house.now).unwrap();
    assert_eq!(carrier_rows(&house), 0);
    house.check();
}

#[test]
fn nothing_of_it_is_put_on_record_as_served_under_a_seal() {
    let house = House::new();
    let his = house.deliver(BOB, &forward(1, &[letter(1)]));
    let row = house.mailboxes.message(BOB, his.message).unwrap();
    let serve = |level| {
        let served = Served {
            account: BOB,
            message: his.message,
            digest: row.digest,
            origin: row.origin,
            carries: !row.carried.is_empty(),
            level,
            share: Share::NONE,
        };
        let viewer = Viewer::default();
        house.mailboxes.record_served(&[served], &viewer, house.now)
    };
    assert_eq!(serve(ExposureLevel::Headers), Ok(()));
    let digest = house.seal(&letter(1), Cover::Except([].into()));
    assert_eq!(serve(ExposureLevel::Body), Err(MailboxError::Sealed));
    let carriers = house.mailboxes.carriers(digest).unwrap();
    let exposures = house.sealing.exposures_of(&carriers).unwrap();
    assert_eq!(exposures[0].as_ref().unwrap().level, ExposureLevel::Headers);
    house.check();
}
