//! A change log that is trimmed: who follows it has the same as one who reads everything anew, whether it
//! reaches back to where they stand or not, and it is never longer than its bound for long.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{Entropy, MailboxId, MessageId, Modseq, SeededEntropy, Uid};
use tern_mailbox::rows::Change;
use tern_mailbox::{
    Access, FlagChange, FlagRequest, Flags, Hooks, INBOX, MailboxError, SystemFlag, Transfer,
};

use house::*;

/// Changes that are remembered: fewer than a client that is away misses.
const MOST: u64 = 12;

fn house() -> House {
    let mut house = House::new();
    let mailboxes = open_with(&house.engine, Hooks::none());
    house.reopen_as(mailboxes.remembering(MOST).into_opened());
    house
}

/// Somebody who follows one mailbox as IMAP clients do.
struct Follower {
    mailbox: MailboxId,
    since: Modseq,
    has: BTreeMap<u32, Flags>,
}

impl Follower {
    fn sync(&mut self, house: &House) {
        let changes = house
            .mailboxes
            .changes(ALICE, self.mailbox, self.since)
            .unwrap();
        let view = house.mailboxes.view(ALICE, self.mailbox).unwrap();
        for uid in &changes.vanished {
            self.has.remove(&uid);
        }
        for uid in &changes.touched {
            let entry = view.get(Uid(uid)).unwrap();
            self.has.insert(uid, entry.flags.clone());
        }
        assert!(changes.vanished.is_disjoint(&changes.touched));
        assert!(changes.modseq >= view.counters.highest_modseq);
        self.since = changes.modseq;
        let there = view.iter().map(|entry| (entry.uid.0, entry.flags.clone()));
        assert_eq!(self.has, there.collect());
    }
}

/// Somebody who follows the account as JMAP clients do, and begins anew where the log does not reach back.
#[derive(Default)]
struct Account {
    since: Modseq,
    has: BTreeSet<MessageId>,
    begun_anew: usize,
}

impl Account {
    fn sync(&mut self, house: &House) {
        let boxes = &house.mailboxes;
        let head = boxes.account_head(ALICE).unwrap();
        let changes = boxes.account_changes(ALICE, self.since, usize::MAX);
        assert_eq!(changes.is_err(), self.since < head.log_from);
        match changes {
            Ok(changes) => changes.iter().for_each(|one| self.apply(&one.change)),
            Err(MailboxError::NoHistory) => {
                self.begun_anew += 1;
                let view = boxes.account_view(ALICE).unwrap();
                self.has = view.iter().map(|held| held.message).collect();
            }
            Err(other) => panic!("{other}"),
        }
        self.since = head.modseq;
        let view = boxes.account_view(ALICE).unwrap();
        assert_eq!(self.has, view.iter().map(|held| held.message).collect());
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Placed {
                message,
                created: Some(_),
                ..
            } => {
                self.has.insert(*message);
            }
            Change::Vanished {
                message,
                destroyed: Some(_),
                ..
            } => {
                self.has.remove(message);
            }
            _ => {}
        }
    }
}

/// One thing that the owner does.
fn act(house: &mut House, dice: &mut SeededEntropy, boxes: &[MailboxId], number: usize) {
    let mut pick = |from: &[MailboxId]| from[dice.below(from.len() as u64) as usize];
    let (mailbox, to) = (pick(boxes), pick(boxes));
    let all = house.uids(ALICE, mailbox);
    let uids: Vec<Uid> = all
        .into_iter()
        .map(Uid)
        .filter(|_| dice.below(3) == 0)
        .collect();
    let flag = SystemFlag::ALL[dice.below(5) as usize];
    let transfer = Transfer {
        from: Access::owner(ALICE, mailbox),
        uids: &uids,
        to,
        by: None,
    };
    match dice.below(6) {
        0 | 1 => {
            house.append(ALICE, mailbox, &letter(number));
        }
        2 => {
            let request = FlagRequest {
                access: Access::owner(ALICE, mailbox),
                uids: &uids,
                change: &FlagChange::Set(Flags::of(&[flag])),
                unchanged_since: None,
                by: None,
            };
            house.mailboxes.change_flags(&request).unwrap();
        }
        3 => {
            house.mailboxes.copy(&transfer, house.now).unwrap();
        }
        4 => {
            house.mailboxes.move_messages(&transfer, house.now).unwrap();
        }
        _ => {
            house
                .mailboxes
                .expunge(&Access::owner(ALICE, mailbox), &uids, false, house.now)
                .unwrap();
        }
    }
}

fn history(seed: u64) -> usize {
    let mut house = house();
    let mut dice = SeededEntropy::new(seed);
    let sent = house.mailboxes.folder(ALICE, "Sent").unwrap().id;
    let boxes = [INBOX, sent];
    let mut followers: Vec<Follower> = [INBOX, sent, INBOX]
        .map(|mailbox| Follower {
            mailbox,
            since: Modseq(0),
            has: BTreeMap::new(),
        })
        .into();
    let mut account = Account::default();
    for number in 0..80 {
        act(&mut house, &mut dice, &boxes, number);
        if dice.below(4) == 0 {
            house.upkeep.trim_logs().unwrap();
            let head = house.mailboxes.account_head(ALICE).unwrap();
            assert!(head.logged <= MOST, "{} changes", head.logged);
        }
        let who = dice.below(40) as usize;
        if let Some(follower) = followers.get_mut(who / 2) {
            follower.sync(&house);
        } else if who < 10 {
            account.sync(&house);
        }
    }
    house.upkeep.trim_logs().unwrap();
    followers
        .iter_mut()
        .for_each(|follower| follower.sync(&house));
    account.sync(&house);
    house.check();
    account.begun_anew
}

#[test]
fn whoever_follows_a_trimmed_log_has_what_is_there() {
    let begun_anew: usize = (0..60).map(history).sum();
    assert!(
        begun_anew > 60,
        "{begun_anew}: the log was trimmed before they looked"
    );
}

#[test]
fn a_log_within_its_bound_is_left_alone_and_every_account_has_its_turn() {
    let mut house = house();
    let logged = |house: &House, account| house.mailboxes.account_head(account).unwrap().logged;
    let (alice, bob) = (logged(&house, ALICE), logged(&house, BOB));
    assert_eq!(house.upkeep.trim_logs(), Ok(0));
    assert_eq!((logged(&house, ALICE), logged(&house, BOB)), (alice, bob));
    for number in 0..20 {
        house.append(ALICE, INBOX, &letter(number));
        house.append(BOB, INBOX, &letter(number));
    }
    assert_eq!(house.upkeep.trim_logs(), Ok(2));
    assert_eq!((logged(&house, ALICE), logged(&house, BOB)), (MOST, MOST));
    assert_eq!(house.upkeep.trim_logs(), Ok(0));
    // The last modseqs are where they were: whoever is up to date is told nothing.
    let newest = house.mailboxes.newest_modseq(ALICE).unwrap();
    assert_eq!(
        house.mailboxes.account_changes(ALICE, newest, 10),
        Ok(vec![])
    );
    house.check();
}

#[test]
fn of_a_mailbox_that_is_left_alone_nothing_is_told_however_much_is_forgotten_of_others() {
    let mut house = house();
    for number in 0..3 {
        house.append(ALICE, INBOX, &letter(number));
    }
    let expunge = |house: &House, uid| {
        let gone =
            house
                .mailboxes
                .expunge(&Access::owner(ALICE, INBOX), &[Uid(uid)], false, house.now);
        assert_eq!(gone, Ok(vec![Uid(uid)]));
    };
    expunge(&house, 2);
    let since = house
        .mailboxes
        .counters(ALICE, INBOX)
        .unwrap()
        .highest_modseq;
    let sent = house.mailboxes.folder(ALICE, "Sent").unwrap().id;
    for number in 0..20 {
        house.append(ALICE, sent, &letter(number));
    }
    assert!(house.mailboxes.trim_log(ALICE).unwrap());
    let newest = house.mailboxes.newest_modseq(ALICE).unwrap();
    let changes = house.mailboxes.changes(ALICE, INBOX, since).unwrap();
    assert_eq!(changes.modseq, newest);
    assert!(changes.vanished.is_empty() && changes.touched.is_empty());
    expunge(&house, 3);
    let changes = house.mailboxes.changes(ALICE, INBOX, since).unwrap();
    assert_eq!(changes.vanished.iter().collect::<Vec<_>>(), [2, 3]);
    house.check();
}
