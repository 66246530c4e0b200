//! The account's view over random histories: what follows from the change log is what a fresh look finds.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::BTreeSet;

use proptest::prelude::*;
use tern_base::{MailboxId, MessageId, Uid};
use tern_mailbox::{
    Access, Cover, FlagChange, FlagRequest, Flagging, Flags, INBOX, Placing, SystemFlag, Transfer,
    Update,
};

use house::*;

#[derive(Clone, Debug)]
enum Act {
    Append(u32),
    Flag(u32, u32, bool),
    Copy(u32, u32, u32, bool),
    Expunge(u32, u32),
    Update(u64, BTreeSet<u32>, bool),
    Make(u8),
    Delete(u8),
    Seal(bool),
    Look,
}

fn act() -> impl Strategy<Value = Act> {
    let mailbox = || 1..5_u32;
    let uid = || 1..8_u32;
    prop_oneof![
        3 => mailbox().prop_map(Act::Append),
        2 => (mailbox(), uid(), any::<bool>()).prop_map(|(m, u, on)| Act::Flag(m, u, on)),
        3 => (mailbox(), uid(), mailbox(), any::<bool>()).prop_map(|(m, u, t, mv)| Act::Copy(m, u, t, mv)),
        2 => (mailbox(), uid()).prop_map(|(m, u)| Act::Expunge(m, u)),
        3 => (1..9_u64, prop::collection::btree_set(mailbox(), 0..4), any::<bool>())
            .prop_map(|(id, boxes, on)| Act::Update(id, boxes, on)),
        1 => (0..2_u8).prop_map(Act::Make),
        1 => (0..2_u8).prop_map(Act::Delete),
        2 => any::<bool>().prop_map(Act::Seal),
        3 => Just(Act::Look),
    ]
}

/// One update, which is all done or not at all.
fn update(house: &House, message: MessageId, boxes: &BTreeSet<u32>, on: bool) {
    let seen = Flags::of(if on { &[SystemFlag::Seen][..] } else { &[] });
    let update = Update {
        message,
        placing: Some(Placing::Set(boxes.iter().copied().map(MailboxId).collect())),
        flagging: Some(Flagging::Set(seen)),
        by: None,
    };
    let held = || {
        house
            .mailboxes
            .account_view(ALICE)
            .unwrap()
            .get(message)
            .cloned()
    };
    let before = held();
    match house.mailboxes.update(ALICE, &update, house.now) {
        Ok(()) => {
            let after = held().unwrap();
            assert_eq!(after.flags.has(SystemFlag::Seen), on);
            assert!(after.mailboxes().map(|it| it.0).eq(boxes.iter().copied()));
        }
        Err(_) => assert_eq!(before, held(), "all or nothing"),
    }
}

fn play(house: &mut House, act: &Act) {
    let flags = |on| Flags::of(if on { &[SystemFlag::Seen][..] } else { &[] });
    match *act {
        Act::Append(mailbox) => {
            if house.mailboxes.view(ALICE, MailboxId(mailbox)).is_ok() {
                house.append(ALICE, MailboxId(mailbox), &letter(1));
            }
        }
        Act::Flag(mailbox, uid, on) => {
            let request = FlagRequest {
                access: Access::owner(ALICE, MailboxId(mailbox)),
                uids: &[Uid(uid)],
                change: &FlagChange::Set(flags(on)),
                unchanged_since: None,
                by: None,
            };
            let _ = house.mailboxes.change_flags(&request);
        }
        Act::Copy(from, uid, to, moving) => {
            let transfer = Transfer {
                from: Access::owner(ALICE, MailboxId(from)),
                uids: &[Uid(uid)],
                to: MailboxId(to),
                by: None,
            };
            let _ = match moving {
                true => house.mailboxes.move_messages(&transfer, house.now),
                false => house.mailboxes.copy(&transfer, house.now),
            };
        }
        Act::Expunge(mailbox, uid) => {
            let uids = [Uid(uid)];
            let _ = house.mailboxes.expunge(
                &Access::owner(ALICE, MailboxId(mailbox)),
                &uids,
                false,
                house.now,
            );
        }
        Act::Update(message, ref boxes, on) => {
            update(house, MessageId(message), boxes, on);
        }
        Act::Make(n) => {
            let path = format!("Made {n}");
            let _ = house.mailboxes.create_folder(ALICE, &path, None, house.now);
        }
        Act::Delete(n) => {
            let path = format!("Made {n}");
            if let Ok(folder) = house.mailboxes.folder(ALICE, &path) {
                house
                    .mailboxes
                    .delete_folder(&Access::owner(ALICE, folder.id), house.now)
                    .unwrap();
            }
        }
        Act::Seal(true) => {
            let digest = house.seal(&letter(1), Cover::Except([].into()));
            house.withdraw_all(digest);
        }
        Act::Seal(false) => house.restore_all(),
        Act::Look => {}
    }
}

proptest! {
    #[test]
    fn a_view_made_from_the_change_log_is_what_a_fresh_look_finds(acts in prop::collection::vec(act(), 1..60)) {
        let mut house = House::new();
        house.append(ALICE, INBOX, &letter(0));
        for act in &acts {
            play(&mut house, act);
            if matches!(act, Act::Look) {
                let followed = house.mailboxes.account_view(ALICE).unwrap();
                let fresh = open(&house.engine).mailboxes.account_view(ALICE).unwrap();
                prop_assert_eq!(followed.modseq, fresh.modseq);
                prop_assert!(followed.iter().eq(fresh.iter()));
                // Each mailbox shows what its own view does.
                for folder in house.mailboxes.folders(ALICE).unwrap() {
                    let mailbox = house.mailboxes.view(ALICE, folder.id).unwrap();
                    let shown = followed.iter().filter(|held| held.is_in(folder.id));
                    prop_assert_eq!(mailbox.len(), shown.count());
                }
            }
        }
        house.check();
    }
}
