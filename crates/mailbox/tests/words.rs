//! Words that outlast a restart: what they say is what content says, and nothing of a message that went is left.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::BTreeSet;

use house::{ALICE, House, open, open_without_lanes};
use proptest::prelude::*;
use tern_base::{AccountId, MailboxId, MessageId, Timestamp};
use tern_mailbox::{
    Access, Cover, Finds, INBOX, MailboxError, Mailboxes, Place, Purged, Transfer, Upkeep,
    body_text, folded,
};
use tern_store::{Engine, MemEngine, Range, Read, Verdict};

const SENT: MailboxId = MailboxId(2);
/// What is looked for. The last is nowhere.
const TEXTS: [&str; 6] = ["fish", "cake", "isch", "topic", "e", "nowhere"];

/// A word of letter 7 alone, which begins as none of the others.
const RARE: &str = "9zebra-crossing";

fn letter(n: usize) -> Vec<u8> {
    let body = ["fish", "cake for Fischer", "fish and cake", "ÄRGER", ""][n % 5];
    format!(
        "From: {}@example.org\r\nSubject: Topic {}\r\nMessage-ID: <{n}@example.org>\r\n\r\n\
         {body} {}\r\n",
        ["zoe", "adam", "fishmonger"][n % 3],
        n % 7,
        if n == 7 { RARE } else { "" },
    )
    .into_bytes()
}

/// The rows of words, as they are in the store.
fn rows(engine: &MemEngine) -> Vec<(Vec<u8>, Vec<u8>)> {
    let words = Range::prefix(vec![0x84]);
    engine.scan(&words, 1_000).unwrap().rows
}

/// Whether anything of the rare word is left in rows of words.
fn is_left(engine: &MemEngine) -> bool {
    let rows = rows(engine);
    let mut octets = rows.iter().flat_map(|(_, row)| row.windows(RARE.len()));
    octets.any(|octets| octets == RARE.as_bytes())
}

fn ids(mailboxes: &Mailboxes) -> Vec<MessageId> {
    let view = mailboxes.account_view(ALICE).unwrap();
    view.iter().map(|held| held.message).collect()
}

/// Has the words of all messages made, as after a search that had to read them.
fn make(mailboxes: &Mailboxes, upkeep: &Upkeep) {
    for message in ids(mailboxes) {
        mailboxes.want_words(ALICE, message);
    }
    while !upkeep.make_words(2).unwrap() {}
}

/// What is known after a start of the server, without a look into content.
fn finds(engine: &MemEngine) -> Finds {
    let mailboxes = open(engine).mailboxes;
    while mailboxes.load_words(ALICE).unwrap().more {}
    let texts = TEXTS.iter().map(|text| text.as_bytes());
    mailboxes.words(ALICE).find(texts)
}

/// What the content of a message says.
fn read(mailboxes: &Mailboxes, message: MessageId, text: &str) -> Place {
    let outline = mailboxes.outlines(ALICE, &[message]).unwrap();
    let outline = outline[0].as_ref().unwrap();
    let row = mailboxes.message(ALICE, message).unwrap();
    let structure = mailboxes.structure(&row).unwrap();
    let octets = mailboxes.read(ALICE, &row, 0..row.size.into()).unwrap().0;
    let body = body_text(&structure, &octets[row.prefix.len()..]).unwrap();
    Place {
        shown: Some(folded(&outline.whole()).contains(text)),
        body: Some(folded(&body).contains(text)),
    }
}

/// Everything that is known is what content says. Answers of how many messages it is.
fn compare(house: &House) -> usize {
    let finds = finds(&house.engine);
    let mut known = 0;
    for message in ids(&house.mailboxes) {
        let places = TEXTS.map(|text| finds.place(message, text.as_bytes()));
        if places.iter().all(|place| *place == Place::default()) {
            continue;
        }
        known += 1;
        for (text, place) in TEXTS.iter().zip(places) {
            assert_eq!(
                place,
                read(&house.mailboxes, message, text),
                "{text} in {message}"
            );
        }
    }
    house.check();
    known
}

fn furnished(messages: usize) -> House {
    let mut house = House::new();
    for n in 0..messages {
        house.append(ALICE, INBOX, &letter(n));
    }
    house
}

fn purge(house: &House) {
    for copy in house.sealing.vaulted(house::TAG, None, 1_000).unwrap() {
        let later = Timestamp(house.now.0 + 1);
        let work = |txn: &mut tern_store::Transaction<'_>| {
            let purged = house
                .sealing
                .purge_in(txn, copy.account, copy.message, later)?;
            Ok::<_, MailboxError>(Verdict::Commit(purged))
        };
        let purged = house.mailboxes.transact(&[copy.account], work).unwrap();
        assert_eq!(purged, Purged::Gone);
    }
}

fn unseal(house: &House, n: usize) {
    let digest = tern_mime::content_digest(house.mailboxes.content_key(), &letter(n));
    let work = |txn: &mut tern_store::Transaction<'_>| {
        let gone = house.sealing.unseal_in(txn, digest, house::TAG);
        gone.map(Verdict::Commit)
    };
    house.mailboxes.transact(&[], work).unwrap();
    house.sealing.reload_seal(digest, house::TAG).unwrap();
}

#[test]
fn words_are_there_after_a_restart_and_say_what_content_says() {
    let house = furnished(200);
    assert_eq!(compare(&house), 0);
    make(&house.mailboxes, &house.upkeep);
    // The ids of the last block are not all given out.
    assert_eq!(rows(&house.engine).len(), 3);
    assert_eq!(compare(&house), 191);
    // Nothing to do: they are there.
    let before = rows(&house.engine);
    make(&house.mailboxes, &house.upkeep);
    assert_eq!(rows(&house.engine), before);
}

#[test]
fn none_are_made_while_the_disk_has_no_room_for_content() {
    let house = furnished(130);
    for message in ids(&house.mailboxes) {
        house.mailboxes.want_words(ALICE, message);
    }
    house.engine.refuse_content(true);
    assert_eq!(house.upkeep.make_words(9), Ok(true));
    assert_eq!(rows(&house.engine), []);
    // They stay wanted.
    house.engine.refuse_content(false);
    assert_eq!(house.upkeep.make_words(9), Ok(true));
    assert!(compare(&house) > 60);
}

#[test]
fn a_delivery_neither_makes_nor_changes_a_row() {
    let mut house = furnished(200);
    make(&house.mailboxes, &house.upkeep);
    let before = rows(&house.engine);
    for n in 200..300 {
        house.append(ALICE, INBOX, &letter(n));
        assert!(house.upkeep.make_words(100).unwrap());
    }
    assert_eq!(rows(&house.engine), before);
    make(&house.mailboxes, &house.upkeep);
    assert_eq!(rows(&house.engine).len(), before.len() + 1);
    assert_eq!(compare(&house), 255);
}

#[test]
fn whatever_takes_a_message_away_takes_its_words_away() {
    type Deed = fn(&House);
    let expunge: Deed = |house| {
        let uids = [tern_base::Uid(8)];
        let inbox = Access::owner(ALICE, INBOX);
        house
            .mailboxes
            .expunge(&inbox, &uids, false, house.now)
            .unwrap();
    };
    let withdraw: Deed = |house| {
        let digest = house.seal(&letter(7), Cover::Except([].into()));
        assert_eq!(house.withdraw_all(digest), 1);
    };
    let purge: Deed = |house| {
        let digest = house.seal(&letter(7), Cover::Except([].into()));
        house.withdraw_all(digest);
        purge(house);
    };
    let remove: Deed = |house| house.upkeep.remove_account(ALICE, house.now).unwrap();
    for (name, deed) in [
        ("expunge", expunge),
        ("withdraw", withdraw),
        ("purge", purge),
        ("remove", remove),
    ] {
        let house = furnished(200);
        make(&house.mailboxes, &house.upkeep);
        assert!(is_left(&house.engine));
        let before = rows(&house.engine).len();
        deed(&house);
        assert!(!is_left(&house.engine), "{name}");
        let after = rows(&house.engine);
        match name {
            "remove" => assert_eq!(after, []),
            _ => {
                assert_eq!(after.len(), before - 1, "{name}");
                // And are made anew without it.
                make(&house.mailboxes, &house.upkeep);
                assert_eq!(rows(&house.engine).len(), before, "{name}");
                compare(&house);
            }
        }
        house.check();
    }
}

#[test]
fn what_comes_back_is_found_again() {
    let house = furnished(200);
    make(&house.mailboxes, &house.upkeep);
    let known = compare(&house);
    let digest = house.seal(&letter(7), Cover::Except([].into()));
    // Nothing is made of what is sealed.
    let before = rows(&house.engine);
    make(&house.mailboxes, &house.upkeep);
    assert_eq!(rows(&house.engine), before);
    assert_eq!(house.withdraw_all(digest), 1);
    make(&house.mailboxes, &house.upkeep);
    assert_eq!(compare(&house), known - 1);
    unseal(&house, 7);
    house.restore_all();
    assert_eq!(rows(&house.engine).len(), before.len() - 1);
    make(&house.mailboxes, &house.upkeep);
    assert_eq!(compare(&house), known);
}

#[test]
fn a_message_that_goes_while_its_words_are_made_leaves_none() {
    let house = furnished(200);
    let before = {
        make(&house.mailboxes, &house.upkeep);
        rows(&house.engine).len()
    };
    let expunge = |uid: u32| {
        let mailboxes = open_without_lanes(&house.engine).mailboxes;
        let now = house.now;
        move || {
            let access = Access::owner(ALICE, INBOX);
            let gone = mailboxes.expunge(&access, &[tern_base::Uid(uid)], false, now);
            assert_eq!(gone.unwrap().len(), 1);
        }
    };
    expunge(5)();
    // Just before the row is written that speaks of it.
    house.engine.before_commit(0, expunge(6));
    make(&house.mailboxes, &house.upkeep);
    assert_eq!(rows(&house.engine).len(), before - 1);
    house.check();
    make(&house.mailboxes, &house.upkeep);
    assert_eq!(rows(&house.engine).len(), before);
    compare(&house);
    // And just before the very first row of an account.
    let house = furnished(70);
    let mailboxes = open_without_lanes(&house.engine).mailboxes;
    let now = house.now;
    house.engine.before_commit(0, move || {
        let access = Access::owner(ALICE, INBOX);
        mailboxes
            .expunge(&access, &[tern_base::Uid(6)], false, now)
            .unwrap();
    });
    make(&house.mailboxes, &house.upkeep);
    assert_eq!(rows(&house.engine), []);
    house.check();
}

#[test]
fn a_row_that_is_made_while_a_message_goes_goes_with_it() {
    let house = furnished(70);
    let maker = open_without_lanes(&house.engine);
    let withdrawer = open_without_lanes(&house.engine).mailboxes;
    house
        .engine
        .before_commit(0, move || make(&maker.mailboxes, &maker.upkeep));
    let access = Access::owner(ALICE, INBOX);
    withdrawer
        .expunge(&access, &[tern_base::Uid(6)], false, house.now)
        .unwrap();
    assert_eq!(rows(&house.engine), []);
    house.check();
}

#[test]
fn rows_that_are_no_good_are_passed_over_and_made_anew() {
    let house = furnished(200);
    make(&house.mailboxes, &house.upkeep);
    let good = rows(&house.engine);
    let known = compare(&house);
    let put = |key: &[u8], row: Vec<u8>| {
        let mut batch = tern_store::Batch::new();
        batch.put(key.to_vec(), row);
        house.engine.commit(batch).unwrap();
    };
    let (key, row) = &good[0];
    let mut other_version = row.clone();
    other_version[0] = u8::MAX;
    let mut cut = row.clone();
    cut.pop();
    let findings = || house.upkeep.check(&Default::default()).unwrap();
    for (bad, is_fault) in [
        (other_version, false),
        (cut, true),
        (Vec::new(), true),
        (vec![0xff; 300], true),
    ] {
        put(key, bad);
        assert_eq!(findings().is_empty(), !is_fault, "{:?}", findings());
        let finds = finds(&house.engine);
        let all = ids(&house.mailboxes);
        let is_known = |id: &&MessageId| finds.place(**id, b"fish") != Place::default();
        let left = all.iter().filter(is_known).count();
        assert!((1..known).contains(&left), "{left} of {known}");
        make(&house.mailboxes, &house.upkeep);
        assert_eq!(rows(&house.engine), good);
        assert_eq!(compare(&house), known);
    }
}

#[test]
fn words_of_a_message_that_is_not_there_are_a_finding() {
    let house = furnished(200);
    make(&house.mailboxes, &house.upkeep);
    let (key, row) = rows(&house.engine)[0].clone();
    let access = Access::owner(ALICE, INBOX);
    let uids = [tern_base::Uid(8)];
    house
        .mailboxes
        .expunge(&access, &uids, false, house.now)
        .unwrap();
    house.check();
    for row in [row.clone(), {
        let mut other = row;
        other[0] += 1;
        other
    }] {
        let mut batch = tern_store::Batch::new();
        batch.put(key.clone(), row);
        house.engine.commit(batch).unwrap();
        let findings = house.upkeep.check(&Default::default()).unwrap();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].0.contains("words of no message"),
            "{findings:?}"
        );
    }
    // Nor may there be any in an account that does not say so, or that is not there.
    let mut batch = tern_store::Batch::new();
    batch.delete(key.clone());
    let mut of_bob = key;
    of_bob[4] = 2;
    batch.put(of_bob.clone(), rows(&house.engine)[1].1.clone());
    house.engine.commit(batch).unwrap();
    let findings = house.upkeep.check(&Default::default()).unwrap();
    assert!(
        findings.iter().any(|it| it.0.contains("does not say so")),
        "{findings:?}"
    );
}

#[test]
fn a_store_that_was_put_back_keeps_its_words_and_makes_new_ones() {
    let mut house = furnished(40);
    house.upkeep.begin_anew(house.now).unwrap();
    for n in 40..160 {
        house.append(ALICE, INBOX, &letter(n));
    }
    make(&house.mailboxes, &house.upkeep);
    // Those before, and those behind what was skipped but for the last ones.
    assert_eq!(compare(&house), 40 + 23 + 64);
}

#[test]
fn rows_are_made_anew_where_somebody_searches() {
    let mut house = furnished(200);
    make(&house.mailboxes, &house.upkeep);
    while house.mailboxes.load_words(ALICE).unwrap().more {}
    let work = |house: &House| {
        house.upkeep.follow_words().unwrap();
        assert!(house.upkeep.make_words(100).unwrap());
        rows(&house.engine).len()
    };
    assert_eq!(work(&house), 3);
    let access = Access::owner(ALICE, INBOX);
    let uids = [tern_base::Uid(8), tern_base::Uid(150)];
    house
        .mailboxes
        .expunge(&access, &uids, false, house.now)
        .unwrap();
    assert_eq!(rows(&house.engine).len(), 1);
    assert_eq!(work(&house), 3);
    // Until the last id of the block is given out.
    for n in 200..255 {
        assert_eq!(work(&house), 3, "{n}");
        house.append(ALICE, INBOX, &letter(n));
    }
    assert_eq!(work(&house), 4);
    assert_eq!(compare(&house), 253);
    // Nobody searches after a restart, so nothing is read.
    house.reopen();
    house
        .mailboxes
        .expunge(&access, &[tern_base::Uid(9)], false, house.now)
        .unwrap();
    assert_eq!(work(&house), 3);
}

#[test]
fn what_nobody_looked_into_has_no_words() {
    let house = furnished(200);
    assert!(house.upkeep.make_words(100).unwrap());
    assert_eq!(rows(&house.engine), []);
    assert!(!house.mailboxes.account_head(ALICE).unwrap().has_words);
    // An account that is not there.
    house.mailboxes.want_words(AccountId(77), MessageId(1));
    assert!(house.upkeep.make_words(100).unwrap());
    assert_eq!(rows(&house.engine), []);
}

/// One thing that happens to an account. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Expunge(usize),
    Copy(usize, bool),
    Seal(usize),
    Restore,
    Purge,
    Make,
    Follow,
    MakeSome(usize),
    Restart,
    Search,
}

fn act() -> impl Strategy<Value = Act> {
    let n = || 0..90_usize;
    prop_oneof![
        6 => n().prop_map(Act::Append),
        3 => n().prop_map(Act::Expunge),
        3 => (n(), any::<bool>()).prop_map(|(n, moving)| Act::Copy(n, moving)),
        2 => n().prop_map(Act::Seal),
        2 => Just(Act::Restore),
        1 => Just(Act::Purge),
        3 => Just(Act::Make),
        3 => Just(Act::Follow),
        2 => n().prop_map(Act::MakeSome),
        1 => Just(Act::Restart),
        2 => Just(Act::Search),
    ]
}

fn play(house: &mut House, sealed: &mut BTreeSet<usize>, act: &Act) {
    let inbox = Access::owner(ALICE, INBOX);
    let uids = house.uids(ALICE, INBOX);
    let nth = |n: usize| {
        uids.get(n % uids.len().max(1))
            .map(|uid| tern_base::Uid(*uid))
    };
    match *act {
        Act::Append(n) => drop(house.append(ALICE, INBOX, &letter(n))),
        Act::Expunge(n) => {
            let uids: Vec<_> = nth(n).into_iter().collect();
            house
                .mailboxes
                .expunge(&inbox, &uids, false, house.now)
                .unwrap();
        }
        Act::Copy(n, moving) => {
            let uids: Vec<_> = nth(n).into_iter().collect();
            let transfer = Transfer {
                from: inbox,
                uids: &uids,
                to: if n % 2 == 0 { INBOX } else { SENT },
                by: None,
            };
            match moving {
                true => house.mailboxes.move_messages(&transfer, house.now).unwrap(),
                false => house.mailboxes.copy(&transfer, house.now).unwrap(),
            };
        }
        Act::Seal(n) => {
            let digest = house.seal(&letter(n), Cover::Except([].into()));
            sealed.insert(n);
            if n % 3 > 0 {
                house.withdraw_all(digest);
            }
        }
        Act::Restore => {
            std::mem::take(sealed)
                .into_iter()
                .for_each(|n| unseal(house, n));
            house.restore_all();
        }
        Act::Purge => purge(house),
        Act::Make => make(&house.mailboxes, &house.upkeep),
        Act::Follow => {
            house.upkeep.follow_words().unwrap();
            house.upkeep.make_words(100).unwrap();
        }
        Act::MakeSome(n) => {
            if let Some(id) = ids(&house.mailboxes).get(n) {
                house.mailboxes.want_words(ALICE, *id);
            }
            house.upkeep.make_words(1).unwrap();
        }
        Act::Restart => house.reopen(),
        Act::Search => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_words_say_what_content_says(
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let mut house = furnished(90);
        make(&house.mailboxes, &house.upkeep);
        let mut sealed = BTreeSet::new();
        for act in &acts {
            play(&mut house, &mut sealed, act);
            house.check();
            if matches!(act, Act::Search) {
                search(&house);
            }
        }
        search(&house);
    }
}

/// Compares what is known, of messages that no seal is over.
fn search(house: &House) {
    let after_restart = finds(&house.engine);
    while house.mailboxes.load_words(ALICE).unwrap().more {}
    let texts = || TEXTS.iter().map(|text| text.as_bytes());
    let in_memory = house.mailboxes.words(ALICE).find(texts());
    for message in ids(&house.mailboxes) {
        if house.mailboxes.message(ALICE, message).is_err() {
            continue;
        }
        for finds in [&after_restart, &in_memory] {
            for text in TEXTS {
                let known = finds.place(message, text.as_bytes());
                if known != Place::default() {
                    assert_eq!(known, read(&house.mailboxes, message, text));
                }
            }
        }
    }
}
