//! Changes of many messages work from the view that is kept: it must be what the store holds, whoever
//! else writes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, House, letter, open};
use proptest::prelude::*;
use tern_base::{MailboxId, Uid};
use tern_mailbox::{
    Access, Entry, FlagChange, FlagRequest, Flags, INBOX, Mailboxes, SystemFlag, Transfer,
};

const SENT: MailboxId = MailboxId(2);

/// What one step does to some of a mailbox's messages.
#[derive(Clone, Copy, Debug)]
enum Act {
    Append,
    Flag(SystemFlag),
    Unflag(SystemFlag),
    Expunge,
    Copy(MailboxId),
    Move,
    Look,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Append),
        Just(Act::Flag(SystemFlag::Seen)),
        Just(Act::Flag(SystemFlag::Flagged)),
        Just(Act::Unflag(SystemFlag::Seen)),
        Just(Act::Expunge),
        Just(Act::Copy(INBOX)),
        Just(Act::Copy(SENT)),
        Just(Act::Move),
        Just(Act::Look),
    ]
}

fn entries(mailboxes: &Mailboxes, mailbox: MailboxId) -> Vec<Entry> {
    let view = mailboxes.view(ALICE, mailbox).unwrap();
    view.iter().cloned().collect()
}

/// Does it to the messages of INBOX that `chosen` has a bit for.
fn step(house: &mut House, mailboxes: &Mailboxes, act: Act, chosen: u8) {
    let chosen = (1..=8).filter(|n| chosen >> (n - 1) & 1 == 1);
    let uids: Vec<Uid> = chosen.chain([u32::MAX]).map(Uid).collect();
    let flag = |change| {
        let request = FlagRequest {
            access: Access::owner(ALICE, INBOX),
            uids: &uids,
            change: &change,
            unchanged_since: None,
            by: None,
        };
        mailboxes.change_flags(&request).unwrap();
    };
    let transfer = |to| Transfer {
        from: Access::owner(ALICE, INBOX),
        uids: &uids,
        to,
        by: None,
    };
    match act {
        Act::Append => drop(house.append(ALICE, INBOX, &letter(uids.len()))),
        Act::Flag(which) => flag(FlagChange::Add(Flags::of(&[which]))),
        Act::Unflag(which) => flag(FlagChange::Remove(Flags::of(&[which]))),
        Act::Expunge => {
            drop(mailboxes.expunge(&Access::owner(ALICE, INBOX), &uids, false, house.now))
        }
        Act::Copy(to) => drop(mailboxes.copy(&transfer(to), house.now).unwrap()),
        Act::Move => drop(mailboxes.move_messages(&transfer(SENT), house.now).unwrap()),
        Act::Look => drop(entries(mailboxes, INBOX)),
    }
}

proptest! {
    #[test]
    fn a_kept_view_is_what_the_store_holds_whoever_writes(
        steps in prop::collection::vec((act(), any::<u8>(), any::<bool>()), 1..24),
    ) {
        let mut house = House::new();
        for n in 0..5 {
            house.append(ALICE, INBOX, &letter(n));
        }
        // Another that keeps views of its own, which writes of the first make old.
        let both = [(); 2].map(|()| open(&house.engine).mailboxes);
        both.iter().for_each(|one| drop(entries(one, INBOX)));
        for (act, chosen, second) in steps {
            step(&mut house, &both[usize::from(second)], act, chosen);
        }
        for mailbox in [INBOX, SENT] {
            let held = entries(&open(&house.engine).mailboxes, mailbox);
            for one in &both {
                prop_assert_eq!(entries(one, mailbox), held.as_slice());
            }
        }
        house.check();
    }
}
