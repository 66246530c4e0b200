//! Messages as a whole: what JMAP changes and destroys.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::*;
use tern_base::{MailboxId, MessageId, Uid};
use tern_mailbox::{
    Access, Acting, Actor, FlagChange, FlagRequest, Flags, Grantee, INBOX, MailboxError, Placing,
    Rights, RightsChange, SystemFlag, Update,
};
use tern_store::{Range, Read, Verdict};

const SENT: MailboxId = MailboxId(2);
const TRASH: MailboxId = MailboxId(3);

fn flags(house: &House, mailbox: MailboxId) -> Vec<Flags> {
    let view = house.mailboxes.view(ALICE, mailbox).unwrap();
    view.iter().map(|entry| entry.flags.clone()).collect()
}

#[test]
fn what_is_marked_for_deletion_in_one_mailbox_is_not_in_another_it_is_put_into() {
    let mut house = House::new();
    let placed = house.append(ALICE, INBOX, &letter(1));
    let marked = Flags::of(&[SystemFlag::Deleted, SystemFlag::Flagged]);
    let request = FlagRequest {
        access: Access::owner(ALICE, INBOX),
        uids: &[Uid(1)],
        change: &FlagChange::Set(marked.clone()),
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&request).unwrap();
    let update = Update {
        message: placed.message,
        placing: Some(Placing::Change {
            add: [SENT].into(),
            remove: [].into(),
        }),
        flagging: None,
        by: None,
    };
    house.mailboxes.update(ALICE, &update, house.now).unwrap();
    assert_eq!(flags(&house, SENT), [Flags::of(&[SystemFlag::Flagged])]);
    assert_eq!(flags(&house, INBOX), [marked]);
    let sent = Access::owner(ALICE, SENT);
    let gone = house.mailboxes.expunge(&sent, &[Uid(1)], true, house.now);
    assert_eq!(gone.unwrap(), []);
    house.check();
}

#[test]
fn many_are_removed_in_few_commits() {
    let mut house = House::new();
    let mut messages = Vec::new();
    for n in 0..600 {
        messages.push(house.append(ALICE, INBOX, &letter(n)).message);
    }
    let kept = house.append(ALICE, INBOX, &letter(600)).message;
    // One that is not there, and one that is named again.
    let nobody = MessageId(1 << 40);
    messages.insert(300, nobody);
    messages.push(messages[0]);
    let before = house.mailboxes.account_head(ALICE).unwrap().modseq.0;
    let done = house
        .mailboxes
        .remove_each_for(&Acting::Owner, ALICE, &messages, house.now);
    let was_there = |n: usize| n != 300 && n != 601;
    let expected: Vec<_> = (0..602).map(|n| Ok(was_there(n))).collect();
    assert_eq!(done, expected);
    let after = house.mailboxes.account_head(ALICE).unwrap().modseq.0;
    assert!((1..=4).contains(&(after - before)), "{}", after - before);
    let left = house.mailboxes.account_view(ALICE).unwrap();
    assert_eq!(
        left.iter().map(|held| held.message).collect::<Vec<_>>(),
        [kept]
    );
    house.check();
}

#[test]
fn what_somebody_else_may_not_remove_keeps_no_other_from_going() {
    let mut house = House::new();
    let hers = [INBOX, TRASH, INBOX].map(|mailbox| house.append(ALICE, mailbox, &letter(1)));
    for (mailbox, letters) in [(INBOX, "lrte"), (TRASH, "lr")] {
        let rights = Rights::from_letters(letters).unwrap();
        let given = house.mailboxes.transact(&[ALICE, BOB], |txn| {
            let (grantee, set) = (Grantee::Account(BOB), RightsChange::Set(rights));
            let given = house
                .mailboxes
                .change_rights_in(txn, (ALICE, mailbox), grantee, set);
            given.map(Verdict::Commit)
        });
        assert_eq!(given, Ok(rights));
    }
    let bob = Acting::Guest(Actor {
        account: BOB,
        groups: Vec::new(),
    });
    let messages = hers.map(|placed| placed.message);
    let done = house
        .mailboxes
        .remove_each_for(&bob, ALICE, &messages, house.now);
    assert_eq!(done, [Ok(true), Err(MailboxError::NotPermitted), Ok(true)]);
    let left = house.mailboxes.account_view(ALICE).unwrap();
    assert!(left.get(messages[1]).is_some() && left.len() == 1);
    house.check();
}

/// A reply that names eight messages that nobody here has.
fn reply(n: usize) -> Vec<u8> {
    let of = |k: usize| format!("<{n}-{k}@elsewhere.example>");
    let references: Vec<String> = (0..9).map(of).collect();
    format!(
        "Message-ID: <reply-{n}@example.org>\r\nSubject: Re: {n}\r\nReferences: {}\r\n\r\n",
        references.join(" ")
    )
    .into_bytes()
}

#[test]
fn what_was_filed_of_conversations_goes_when_nothing_of_them_is_left() {
    let mut house = House::new();
    let filed = |house: &House| {
        let all = Range::prefix(vec![0x16]);
        house.engine.scan(&all, 1_000).unwrap().rows.len()
    };
    let replies: Vec<_> = (0..3)
        .map(|n| house.append(ALICE, INBOX, &reply(n)))
        .collect();
    let all = filed(&house);
    house.upkeep.collect(house.now, 1).unwrap();
    assert_eq!(filed(&house), all, "there is something of each");
    let gone = [replies[0].message, replies[1].message];
    let thread = house
        .mailboxes
        .message(ALICE, replies[2].message)
        .unwrap()
        .thread;
    house
        .mailboxes
        .remove_each_for(&Acting::Owner, ALICE, &gone, house.now);
    house.upkeep.collect(house.now, 1).unwrap();
    assert_eq!(filed(&house), all / 3);
    // Of the third one still knows by any of the ids.
    let other =
        b"Message-ID: <late@x>\r\nSubject: Re: 2\r\nIn-Reply-To: <2-7@elsewhere.example>\r\n\r\n";
    let other = house.append(ALICE, INBOX, other).message;
    assert_eq!(
        house.mailboxes.message(ALICE, other).unwrap().thread,
        thread
    );
    house.check();
}

#[test]
fn a_message_that_comes_while_its_conversation_is_forgotten_is_found_by_what_it_names() {
    let mut house = House::new();
    let first = house.append(ALICE, INBOX, &reply(1)).message;
    house
        .mailboxes
        .remove_each_for(&Acting::Owner, ALICE, &[first], house.now);
    let (other, now) = (open(&house.engine).mailboxes, house.now);
    house.engine.before_commit(0, move || {
        let prepared = other.prepare(reply(1), now).unwrap();
        let landing = landing(ALICE, tern_base::OriginId([2; 16]), now);
        let placed = other.land(&prepared, &[landing], now).unwrap();
        assert!(placed[0].is_ok());
    });
    house.upkeep.collect(house.now, 1).unwrap();
    assert!(!house.engine.is_awaited());
    let again = house.append(ALICE, INBOX, &reply(1)).message;
    let thread = |message| house.mailboxes.message(ALICE, message).unwrap().thread;
    let threads = house.mailboxes.thread(ALICE, thread(again)).unwrap();
    assert_eq!(threads.len(), 2);
    house.check();
}
