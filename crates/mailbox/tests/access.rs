//! Rights in the mailboxes of others: who has which, for how long, and that every verb asks.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::{BTreeMap, BTreeSet};

use house::{ALICE, BOB, House, letter};
use tern_base::{AccountId, MailboxId, Timestamp, Uid};
use tern_mailbox::{
    Access, Across, Acting, Actor, Client, ExposureLevel, FlagChange, FlagRequest, Flags, Grantee,
    Hooks, INBOX, Limit, MailboxError, Rights, RightsChange, Served, Share, SystemFlag, Transfer,
    Viewer, limits,
};
use tern_store::Verdict;

const TEAM: u32 = 7;

fn bob() -> Actor {
    Actor {
        account: BOB,
        groups: Vec::new(),
    }
}

fn rights(letters: &str) -> Rights {
    Rights::from_letters(letters).unwrap()
}

fn change(
    house: &House,
    mailbox: MailboxId,
    grantee: Grantee,
    change: RightsChange,
) -> Result<Rights, MailboxError> {
    house.mailboxes.transact(&[ALICE], |txn| {
        house
            .mailboxes
            .change_rights_in(txn, (ALICE, mailbox), grantee, change)
            .map(Verdict::Commit)
    })
}

fn give(house: &House, mailbox: MailboxId, grantee: Grantee, letters: &str) {
    let set = RightsChange::Set(rights(letters));
    assert_eq!(change(house, mailbox, grantee, set), Ok(rights(letters)));
}

fn check(house: &House) {
    let findings = house.upkeep.check(&BTreeMap::new()).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn an_owner_may_do_everything_and_others_what_they_were_given() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    let alice = Actor {
        account: ALICE,
        groups: Vec::new(),
    };
    let member = Actor {
        groups: vec![TEAM],
        ..bob()
    };
    assert_eq!(mailboxes.rights(&alice, ALICE, INBOX), Ok(Rights::ALL));
    assert_eq!(mailboxes.rights(&bob(), ALICE, INBOX), Ok(Rights::NONE));
    give(&house, INBOX, Grantee::Account(BOB), "lr");
    give(&house, INBOX, Grantee::Group(TEAM), "si");
    give(&house, INBOX, Grantee::Anyone, "p");
    assert_eq!(mailboxes.rights(&bob(), ALICE, INBOX), Ok(rights("lrp")));
    assert_eq!(mailboxes.rights(&member, ALICE, INBOX), Ok(rights("lrsip")));
    let stranger = Actor {
        account: AccountId(99),
        groups: vec![TEAM + 1],
    };
    assert_eq!(mailboxes.rights(&stranger, ALICE, INBOX), Ok(rights("p")));
    // Of one mailbox only, and of one account.
    assert_eq!(
        mailboxes.rights(&member, ALICE, MailboxId(2)),
        Ok(Rights::NONE)
    );
    assert_eq!(
        mailboxes.rights(&member, AccountId(99), INBOX),
        Ok(Rights::NONE)
    );
    let shares = mailboxes.shares(&member).unwrap();
    assert_eq!(shares, BTreeMap::from([(ALICE, BTreeSet::from([INBOX]))]));
    assert_eq!(mailboxes.shares(&alice).unwrap(), BTreeMap::new());
    assert_eq!(mailboxes.has_shares_of(&bob(), ALICE), Ok(true));
    assert_eq!(mailboxes.has_shares_of(&alice, BOB), Ok(false));
    check(&house);
}

#[test]
fn rights_are_set_added_and_taken_and_each_change_is_one_of_the_mailbox() {
    let house = House::new();
    let newest = || house.mailboxes.newest_modseq(ALICE).unwrap().0;
    let who = Grantee::Account(BOB);
    let start = newest();
    give(&house, INBOX, who, "lr");
    assert_eq!(newest(), start + 1);
    give(&house, INBOX, who, "lr");
    assert_eq!(newest(), start + 1, "nothing changed");
    let more = change(&house, INBOX, who, RightsChange::Add(rights("sw")));
    assert_eq!(more, Ok(rights("lrsw")));
    let less = change(&house, INBOX, who, RightsChange::Remove(rights("rxw")));
    assert_eq!(less, Ok(rights("ls")));
    assert_eq!(
        house.mailboxes.grants(ALICE, INBOX).unwrap(),
        [(who, rights("ls"))]
    );
    let none = change(&house, INBOX, who, RightsChange::Remove(rights("ls")));
    assert_eq!(none, Ok(Rights::NONE));
    assert_eq!(house.mailboxes.grants(ALICE, INBOX).unwrap(), []);
    assert_eq!(newest(), start + 4);
    let since = tern_base::Modseq(start);
    let changes = house.mailboxes.account_changes(ALICE, since, 100).unwrap();
    let is_mailbox = |change: &tern_mailbox::rows::Change| {
        matches!(change, tern_mailbox::rows::Change::MailboxUpdated(INBOX))
    };
    assert!(changes.iter().all(|one| is_mailbox(&one.change)));
    let own = change(
        &house,
        INBOX,
        Grantee::Account(ALICE),
        RightsChange::Set(Rights::NONE),
    );
    assert!(matches!(own, Err(MailboxError::NotAllowed(_))));
    let nobody = change(
        &house,
        INBOX,
        Grantee::Account(AccountId(99)),
        RightsChange::Set(rights("l")),
    );
    assert_eq!(nobody, Err(MailboxError::NoAccount));
    let nowhere = change(&house, MailboxId(99), who, RightsChange::Set(rights("l")));
    assert_eq!(nowhere, Err(MailboxError::NoMailbox));
    check(&house);
}

#[test]
fn one_mailbox_is_shared_with_so_many_and_one_account_gets_so_many() {
    let house = House::new();
    for group in 0..limits::MAX_GRANTEES {
        give(&house, INBOX, Grantee::Group(group as u32), "l");
    }
    let set = RightsChange::Set(rights("l"));
    let more = change(&house, INBOX, Grantee::Account(BOB), set);
    assert!(matches!(more, Err(MailboxError::Limit(_))), "{more:?}");
    // Those who are there can still get more.
    give(&house, INBOX, Grantee::Group(3), "lr");
    check(&house);
}

#[test]
fn a_new_mailbox_has_the_rights_of_the_one_it_is_in_and_they_go_with_it() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    let who = Grantee::Account(BOB);
    let top = mailboxes
        .create_folder(ALICE, "Work", None, house.now)
        .unwrap();
    give(&house, top.id, who, "lrk");
    let deep = mailboxes
        .create_folder(ALICE, "Work/2026/May", None, house.now)
        .unwrap();
    let middle = mailboxes.folder(ALICE, "Work/2026").unwrap();
    for mailbox in [deep.id, middle.id] {
        assert_eq!(mailboxes.rights(&bob(), ALICE, mailbox), Ok(rights("lrk")));
    }
    // A name and a place are no right.
    mailboxes
        .rename_folder(&Access::owner(ALICE, deep.id), "Private", house.now)
        .unwrap();
    assert_eq!(mailboxes.rights(&bob(), ALICE, deep.id), Ok(rights("lrk")));
    mailboxes
        .delete_folder(&Access::owner(ALICE, deep.id), house.now)
        .unwrap();
    assert_eq!(mailboxes.rights(&bob(), ALICE, deep.id), Ok(Rights::NONE));
    let again = mailboxes
        .create_folder(ALICE, "Private", None, house.now)
        .unwrap();
    assert_eq!(mailboxes.rights(&bob(), ALICE, again.id), Ok(Rights::NONE));
    let shares = mailboxes.shares(&bob()).unwrap();
    assert_eq!(shares[&ALICE], BTreeSet::from([top.id, middle.id]));
    check(&house);
}

#[test]
fn rights_go_with_who_gave_them_and_with_who_had_them() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    give(&house, INBOX, Grantee::Account(BOB), "lr");
    give(&house, INBOX, Grantee::Group(TEAM), "lr");
    mailboxes
        .subscribe_foreign(BOB, (ALICE, INBOX), true)
        .unwrap();
    house.upkeep.drop_grants_of(Grantee::Group(TEAM)).unwrap();
    let member = Actor {
        account: AccountId(99),
        groups: vec![TEAM],
    };
    assert_eq!(mailboxes.rights(&member, ALICE, INBOX), Ok(Rights::NONE));
    let before = mailboxes.newest_modseq(ALICE).unwrap();
    house.upkeep.remove_account(BOB, house.now).unwrap();
    assert_eq!(mailboxes.grants(ALICE, INBOX).unwrap(), []);
    assert!(mailboxes.newest_modseq(ALICE).unwrap() > before);
    assert_eq!(mailboxes.rights(&bob(), ALICE, INBOX), Ok(Rights::NONE));
    check(&house);

    let house = House::new();
    give(&house, INBOX, Grantee::Account(BOB), "lr");
    give(&house, MailboxId(2), Grantee::Anyone, "lr");
    house.upkeep.remove_account(ALICE, house.now).unwrap();
    assert_eq!(house.mailboxes.shares(&bob()).unwrap(), BTreeMap::new());
    assert_eq!(
        house.mailboxes.rights(&bob(), ALICE, INBOX),
        Ok(Rights::NONE)
    );
    check(&house);
}

#[test]
fn a_subscription_to_a_mailbox_of_others_is_ones_own() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    let both = [(ALICE, INBOX), (ALICE, MailboxId(3))];
    for foreign in both {
        mailboxes.subscribe_foreign(BOB, foreign, true).unwrap();
    }
    assert_eq!(mailboxes.subscribed(BOB).unwrap(), BTreeSet::from(both));
    assert_eq!(mailboxes.subscribed(ALICE).unwrap(), BTreeSet::new());
    mailboxes.subscribe_foreign(BOB, both[0], false).unwrap();
    assert_eq!(
        mailboxes.subscribed(BOB).unwrap(),
        BTreeSet::from([both[1]])
    );
    let nobody = mailboxes.subscribe_foreign(AccountId(99), both[0], true);
    assert_eq!(nobody, Err(MailboxError::NoAccount));
    check(&house);
}

/// A verb that somebody else than the owner runs, as its answer says.
type Verb = (
    &'static str,
    &'static str,
    fn(&House, &Actor) -> Result<(), MailboxError>,
);

/// One of Alice's mailboxes, for somebody else.
fn shared(mailbox: MailboxId, actor: &Actor) -> Access {
    Access {
        acting: Acting::Guest(actor.clone()),
        ..Access::owner(ALICE, mailbox)
    }
}

fn flag(house: &House, actor: &Actor, flag: SystemFlag) -> Result<(), MailboxError> {
    let request = FlagRequest {
        access: shared(INBOX, actor),
        uids: &[Uid(1)],
        change: &FlagChange::Add(Flags::of(&[flag])),
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&request).map(drop)
}

fn transfer(house: &House, actor: &Actor, moving: bool) -> Result<(), MailboxError> {
    let transfer = Transfer {
        from: shared(INBOX, actor),
        uids: &[Uid(1)],
        to: WORK,
        by: None,
    };
    match moving {
        true => house
            .mailboxes
            .move_messages(&transfer, house.now)
            .map(drop),
        false => house.mailboxes.copy(&transfer, house.now).map(drop),
    }
}

fn across(house: &House, actor: &Actor, moving: bool) -> Result<(), MailboxError> {
    let viewer = reader();
    let across = Across {
        from: (ALICE, INBOX),
        uid: Uid(1),
        to: (BOB, INBOX),
        actor,
        viewer: &viewer,
        bringer: &Viewer::default().into(),
        moving,
    };
    house.mailboxes.copy_across(&across, house.now).map(drop)
}

fn reader() -> Viewer {
    let client = Client {
        name: "Reader".into(),
        reader: Some(BOB),
        ..Client::default()
    };
    Viewer {
        protocol: "imap",
        client: client.title(),
        address: "192.0.2.9".into(),
        device: client.id(),
    }
}

/// The mailbox of Alice's that the house makes after its own.
const WORK: MailboxId = MailboxId(4);

/// Each verb with what it takes in the inbox, where everything else is given in the other mailbox.
const VERBS: [Verb; 12] = [
    ("mark as read", "lrs", |house, actor| {
        flag(house, actor, SystemFlag::Seen)
    }),
    ("flag", "lrw", |house, actor| {
        flag(house, actor, SystemFlag::Flagged)
    }),
    ("mark as deleted", "lrt", |house, actor| {
        flag(house, actor, SystemFlag::Deleted)
    }),
    ("copy within", "lr", |house, actor| {
        transfer(house, actor, false)
    }),
    ("move within", "lrte", |house, actor| {
        transfer(house, actor, true)
    }),
    ("copy to one's own", "lr", |house, actor| {
        across(house, actor, false)
    }),
    ("move to one's own", "lrte", |house, actor| {
        across(house, actor, true)
    }),
    ("expunge", "lre", |house, actor| {
        let uids = [Uid(1)];
        let boxes = &house.mailboxes;
        let gone = boxes.expunge(&shared(INBOX, actor), &uids, false, house.now);
        gone.map(drop)
    }),
    ("create below", "lk", |house, actor| {
        let boxes = &house.mailboxes;
        let made = boxes.create_folder_for(
            &Acting::Guest(actor.clone()),
            ALICE,
            "INBOX/New",
            None,
            house.now,
        );
        made.map(drop)
    }),
    ("move a mailbox below", "lk", |house, actor| {
        let boxes = &house.mailboxes;
        boxes.rename_folder(&shared(WORK, actor), "INBOX/Work", house.now)
    }),
    ("append", "li", |house, actor| {
        house.mailboxes.transact(&[ALICE], |txn| {
            let needed = Rights::INSERT;
            let rights = house.mailboxes.require_in(
                txn,
                &Acting::Guest(actor.clone()),
                ALICE,
                INBOX,
                needed,
            );
            rights.map(|_| Verdict::Commit(()))
        })
    }),
    ("read", "lr", |house, actor| {
        let rights = house.mailboxes.rights(actor, ALICE, INBOX)?;
        rights.require(Rights::READ).map(drop)
    }),
];

fn house_with_a_message() -> House {
    let mut house = House::new();
    let made = house
        .mailboxes
        .create_folder(ALICE, "Work", None, house.now);
    assert_eq!(made.unwrap().id, WORK);
    house.append(ALICE, INBOX, &letter(1));
    give(&house, WORK, Grantee::Account(BOB), "lrswipkxte");
    house
}

/// Every verb with every set of rights that lacks one of those it takes, and with exactly those.
#[test]
fn every_verb_asks_for_its_rights() {
    for (name, needed, verb) in VERBS {
        let house = house_with_a_message();
        let needed = rights(needed);
        give(&house, INBOX, Grantee::Account(BOB), &needed.letters());
        assert_eq!(verb(&house, &bob()), Ok(()), "{name}");
        check(&house);
        for letter in needed.letters().chars() {
            let house = house_with_a_message();
            let lacks = needed.without(rights(&letter.to_string()));
            // All else that there is does not help.
            let given = Rights::ALL.without(rights(&letter.to_string()));
            for letters in [lacks.letters(), given.letters()] {
                if !letters.is_empty() {
                    give(&house, INBOX, Grantee::Account(BOB), &letters);
                }
                let expect = match letter {
                    // What is made below it would tell whether it is there.
                    'l' if name.ends_with(" below") => MailboxError::NotPermitted,
                    'l' => MailboxError::NoMailbox,
                    _ => MailboxError::NotPermitted,
                };
                let newest = house.mailboxes.newest_modseq(ALICE);
                assert_eq!(verb(&house, &bob()), Err(expect), "{name} with {letters}");
                assert_eq!(house.mailboxes.newest_modseq(ALICE), newest, "{name}");
                assert_eq!(house.uids(BOB, INBOX), [0u32; 0], "{name}");
            }
        }
        // Nothing at all: as if it were not there.
        let house = house_with_a_message();
        let expect = match name.ends_with(" below") {
            true => MailboxError::NotPermitted,
            false => MailboxError::NoMailbox,
        };
        assert_eq!(verb(&house, &bob()), Err(expect), "{name}");
    }
}

#[test]
fn at_the_top_of_an_account_only_its_owner_makes_mailboxes() {
    let house = house_with_a_message();
    let boxes = &house.mailboxes;
    give(&house, INBOX, Grantee::Account(BOB), "lrswipkxtea");
    let top = boxes.create_folder_for(&Acting::Guest(bob()), ALICE, "Mine", None, house.now);
    assert_eq!(top.err(), Some(MailboxError::NotPermitted));
    let top = boxes.rename_folder(&shared(WORK, &bob()), "Mine", house.now);
    assert_eq!(top, Err(MailboxError::NotPermitted));
    let gone = boxes.delete_folder(&shared(WORK, &bob()), house.now);
    assert_eq!(gone, Ok(()));
    // A name that is taken by what they may not see is told as one that they may not use.
    let hidden = boxes
        .create_folder(ALICE, "INBOX/Hidden", None, house.now)
        .unwrap();
    give(&house, hidden.id, Grantee::Account(BOB), "r");
    for path in ["INBOX/Hidden", "Sent"] {
        let taken = boxes.create_folder_for(&Acting::Guest(bob()), ALICE, path, None, house.now);
        assert_eq!(taken.err(), Some(MailboxError::NotPermitted), "{path}");
    }
    check(&house);
}

#[test]
fn a_copy_to_ones_own_account_is_covered_as_the_original_and_on_record_in_both() {
    let house = house_with_a_message();
    let content = letter(2);
    let placed = house.deliver(ALICE, &content);
    give(&house, INBOX, Grantee::Account(BOB), "lr");
    let viewer = reader();
    let copy = |uid| {
        let across = Across {
            from: (ALICE, INBOX),
            uid,
            to: (BOB, INBOX),
            actor: &bob(),
            viewer: &viewer,
            bringer: &Viewer::default().into(),
            moving: false,
        };
        house.mailboxes.copy_across(&across, house.now).unwrap()
    };
    assert!(copy(placed.uid).is_some());
    let digest = tern_mime::content_digest(house.mailboxes.content_key(), &content);
    let copies = house.mailboxes.copies(digest).unwrap();
    let of = |account| copies.iter().find(|copy| copy.account == account).unwrap();
    assert_eq!(of(ALICE).origin, of(BOB).origin);
    assert_eq!(of(BOB).lineage, tern_mailbox::Lineage::Copied);
    let served = house.sealing.exposures(digest).unwrap();
    assert_eq!(served.len(), 2);
    assert!(
        served
            .iter()
            .all(|(.., one)| one.level == ExposureLevel::Downloaded)
    );
    let ledger = house.sealing.ledger(ALICE, placed.message).unwrap();
    assert_eq!(ledger.servings[0].device.reader(), Some(BOB));
    let blobs = [ALICE, BOB].map(|account| {
        let copy = of(account);
        house.mailboxes.message(account, copy.message).unwrap().blob
    });
    assert_eq!(blobs[0], blobs[1], "held once");
    // What is sealed is passed over, and goes from both.
    house.seal(&content, tern_mailbox::Cover::Except(Default::default()));
    assert_eq!(copy(placed.uid), None);
    assert_eq!(house.withdraw_all(digest), 2);
    assert_eq!(house.uids(BOB, INBOX), [0u32; 0]);
    check(&house);
}

#[test]
fn readers_push_none_of_an_accounts_own_clients_out() {
    let house = House::new();
    let saw = |n: usize, reader, at: u64| {
        let client = Client {
            name: n.to_string(),
            reader,
            ..Client::default()
        };
        let sighting = tern_mailbox::Sighting {
            account: ALICE,
            client,
            address: String::new(),
            told: None,
        };
        house.mailboxes.saw_device(sighting, Timestamp(at));
    };
    saw(0, None, 1);
    for n in 0..limits::MAX_DEVICES + 10 {
        saw(n, Some(BOB), 10 + n as u64);
    }
    house.upkeep.write_devices(Timestamp(u64::MAX)).unwrap();
    house.upkeep.write_devices(Timestamp(u64::MAX)).unwrap();
    let known = house.mailboxes.devices(ALICE).unwrap();
    let own = known
        .iter()
        .filter(|(_, device)| device.client.reader.is_none());
    assert_eq!(own.count(), 1);
    assert!(known.len() <= limits::MAX_DEVICES + 1 + limits::DEVICES_PER_WRITE);
}

#[test]
fn what_the_marking_keyword_and_the_watched_mailbox_ask_for_only_the_owner_asks() {
    let engine = tern_store::MemEngine::new();
    let hooks = Hooks {
        marked: Some("$Ask"),
        watched: Some("Ask"),
        ..Hooks::none()
    };
    let opened = house::open_with(&engine, hooks).into_opened();
    let house = House::over(engine, opened);
    for account in [ALICE, BOB] {
        house
            .mailboxes
            .create_account(account, 0, &[], house.now)
            .unwrap();
    }
    let placed = house.deliver(ALICE, &letter(1));
    let boxes = &house.mailboxes;
    let watched = boxes.create_folder(ALICE, "Ask", None, house.now).unwrap();
    let other = boxes
        .create_folder(ALICE, "Other/Ask", None, house.now)
        .unwrap();
    for mailbox in [INBOX, watched.id, other.id] {
        give(&house, mailbox, Grantee::Account(BOB), "lrswipkxtea");
    }
    let all = Ok(Rights::ALL);
    assert_eq!(boxes.rights(&bob(), ALICE, watched.id), Ok(rights("lr")));
    assert_eq!(boxes.rights(&bob(), ALICE, other.id), all);
    let set = |acting: Acting, keyword: &str| {
        let mut flags = Flags::empty();
        assert!(flags.add_keyword(keyword));
        let request = FlagRequest {
            access: Access {
                acting,
                ..Access::owner(ALICE, INBOX)
            },
            uids: &[placed.uid],
            change: &FlagChange::Add(flags),
            unchanged_since: None,
            by: None,
        };
        boxes.change_flags(&request)
    };
    let marks = || house.sealing.marked(ALICE, 10).unwrap().len();
    assert_eq!(
        set(Acting::Guest(bob()), "$ask").err(),
        Some(MailboxError::NotPermitted)
    );
    assert!(set(Acting::Guest(bob()), "$Other").is_ok());
    assert_eq!(marks(), 0);
    assert!(set(Acting::Owner, "$ask").is_ok());
    assert_eq!(marks(), 1);
    let to = |to| Transfer {
        from: shared(INBOX, &bob()),
        uids: &[Uid(1)],
        to,
        by: None,
    };
    let copied = boxes.copy(&to(watched.id), house.now);
    assert_eq!(copied.err(), Some(MailboxError::NotPermitted));
    let moved = boxes.move_messages(&to(watched.id), house.now);
    assert_eq!(moved.err(), Some(MailboxError::NotPermitted));
    assert!(boxes.move_messages(&to(other.id), house.now).is_ok());
    // Whatever is shared becomes the watched one by its owner's doing alone.
    let renamed = boxes.rename_folder(&shared(other.id, &bob()), "Ask2", house.now);
    assert_eq!(renamed, Err(MailboxError::NotPermitted));
    let sub = boxes.create_folder(ALICE, "Sub", None, house.now).unwrap();
    give(&house, sub.id, Grantee::Account(BOB), "lrswipkxtea");
    boxes
        .delete_folder(&Access::owner(ALICE, watched.id), house.now)
        .unwrap();
    let change = tern_mailbox::FolderChange {
        name: Some("Ask".to_owned()),
        ..tern_mailbox::FolderChange::default()
    };
    let renamed = boxes.transact(&[ALICE], |txn| {
        let bob = bob();
        let changes = [(sub.id, change.clone())];
        boxes.change_folders_in(txn, &Acting::Guest(bob.clone()), ALICE, &changes)?;
        Ok::<_, MailboxError>(Verdict::Commit(()))
    });
    assert_eq!(renamed, Err(MailboxError::NotPermitted));
    check(&house);
}

#[test]
fn no_mailbox_of_ones_own_is_named_as_those_of_others() {
    let house = House::new();
    let boxes = &house.mailboxes;
    for path in ["Other Users", "Other Users/x"] {
        let made = boxes.create_folder(ALICE, path, None, house.now);
        assert!(matches!(made, Err(MailboxError::InvalidName(_))), "{path}");
        let renamed = boxes.rename_folder(&Access::owner(ALICE, MailboxId(2)), path, house.now);
        assert!(
            matches!(renamed, Err(MailboxError::InvalidName(_))),
            "{path}"
        );
    }
    let name = String::from("Other Users");
    let change = tern_mailbox::FolderChange {
        name: Some(name.clone()),
        ..Default::default()
    };
    let changed = boxes.change_folder(ALICE, MailboxId(2), &change);
    assert!(matches!(changed, Err(MailboxError::InvalidName(_))));
    assert!(
        boxes
            .create_folder(ALICE, "Deep/Other Users", None, house.now)
            .is_ok()
    );
    check(&house);
}

#[test]
fn what_a_reader_calls_their_program_blurs_no_record() {
    let house = House::new();
    let placed = house.deliver(ALICE, &letter(1));
    let row = house.mailboxes.message(ALICE, placed.message).unwrap();
    let serve = |name: String, reader| {
        let level = ExposureLevel::Body;
        let served = Served::of((ALICE, placed.message), &row, level, Share::ALL);
        let client = Client {
            name,
            reader,
            ..Client::default()
        };
        let viewer = Viewer {
            protocol: "imap",
            client: client.title(),
            address: "192.0.2.9".into(),
            device: client.id(),
        };
        let mailboxes = &house.mailboxes;
        mailboxes.record_served(&[served], &viewer, house.now)
    };
    for n in 0..limits::MAX_BLOCK_CLIENTS + 10 {
        serve(format!("Program {n}"), Some(BOB)).unwrap();
    }
    serve("Other".into(), Some(AccountId(77))).unwrap();
    serve("Own".into(), None).unwrap();
    let ledger = house.sealing.ledger(ALICE, placed.message).unwrap();
    let readers: Vec<_> = ledger
        .servings
        .iter()
        .map(|one| one.device.reader())
        .collect();
    assert_eq!(readers, [Some(BOB), Some(AccountId(77)), None]);
    assert_eq!(ledger.others, None, "each is told apart");
}

/// Makes as many mailboxes as there is room for, but for some; many in one go, one in the other.
fn all_mailboxes_but(house: &House, spare: usize) {
    let has = house.mailboxes.folders(ALICE).unwrap().len();
    let mut missing = limits::MAX_MAILBOXES - spare - has;
    while missing > 0 {
        let levels = missing.min(limits::MAX_MAILBOX_DEPTH);
        let path = vec![format!("F{missing}"); levels].join("/");
        let made = house.mailboxes.create_folder(ALICE, &path, None, house.now);
        made.unwrap();
        missing -= levels;
    }
}

#[test]
fn whoever_moves_a_mailbox_makes_no_more_above_it_than_there_may_be() {
    let house = house_with_a_message();
    let made = house
        .mailboxes
        .create_folder(ALICE, "Work/Box", None, house.now);
    let mailbox = made.unwrap().id;
    all_mailboxes_but(&house, 1);
    let rename = |to| {
        house
            .mailboxes
            .rename_folder(&shared(mailbox, &bob()), to, house.now)
    };
    let refused = rename("Work/One/Two/Box");
    let why = Limit::MailboxesOfAccount;
    assert_eq!(refused, Err(MailboxError::Limit(why)));
    assert!(house.mailboxes.folder(ALICE, "Work/One").is_err());
    assert_eq!(rename("Work/One/Box"), Ok(()));
    assert_eq!(rename("Work/One/Two/Box"), Err(MailboxError::Limit(why)));
    assert_eq!(rename("Work/Box"), Ok(()), "it takes no more to go back");
    check(&house);
}

#[test]
fn what_a_new_mailbox_has_from_the_one_it_is_in_is_within_the_bounds() {
    let house = House::new();
    let mailboxes = &house.mailboxes;
    let top = mailboxes
        .create_folder(ALICE, "Top", None, house.now)
        .unwrap();
    let (who, rest) = (Grantee::Account(BOB), Grantee::Group(TEAM));
    give(&house, top.id, who, "lrk");
    for n in 1..limits::MAX_SHARED_BY_ONE {
        let path = format!("Top/{n}");
        let made =
            mailboxes.create_folder_for(&Acting::Guest(bob()), ALICE, &path, None, house.now);
        let made = made.unwrap();
        assert_eq!(mailboxes.rights(&bob(), ALICE, made.id), Ok(rights("lrk")));
    }
    give(&house, top.id, rest, "lr");
    // Bob has rights in as many as he may have: what he makes now is not his to see.
    let made =
        mailboxes.create_folder_for(&Acting::Guest(bob()), ALICE, "Top/more", None, house.now);
    let grants = mailboxes.grants(ALICE, made.unwrap().id).unwrap();
    assert_eq!(grants, [(rest, rights("lr"))]);
    assert_eq!(
        mailboxes.shares(&bob()).unwrap()[&ALICE].len(),
        limits::MAX_SHARED_BY_ONE
    );
    check(&house);
}
