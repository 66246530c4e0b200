//! What is under a hold is read out, by whom policy lets, on record.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::collections::BTreeSet;
use std::sync::Arc;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::{AccountId, Uid};
use tern_directory::{Grant, GrantScope, Role};
use tern_mailbox::{Access, INBOX, Transfer, Walk};
use tern_policy::{Authentication, PolicySet, SHIPPED_DEFAULT};
use tern_recall::{HeldCopy, HoldId, NewHold, RecallError, Requester, Scope};

/// Octets of which two are more than a page.
const LARGE: usize = 2_500_000;

fn somebody(account: Option<AccountId>) -> Requester {
    Requester {
        account,
        name: format!("{account:?}"),
        authentication: Authentication::default(),
    }
}

impl House {
    fn hold(&mut self, scope: Scope) -> HoldId {
        let hold = NewHold {
            id: HoldId::new(self.now, &mut self.entropy),
            scope,
            why: "case 12".into(),
            ends: None,
            visible: false,
        };
        let by = somebody(None);
        self.recalls.place_hold(&hold, &by, self.now).unwrap();
        hold.id
    }

    /// Everything that is read, how many are withheld, and how many pages it took.
    fn read(
        &self,
        hold: HoldId,
        by: Option<AccountId>,
    ) -> Result<(Vec<HeldCopy>, u64, usize), RecallError> {
        let (mut copies, mut withheld, mut pages) = (Vec::new(), 0, 0);
        let mut next = Some(Walk::default());
        while let Some(from) = next {
            let page = self
                .recalls
                .read_held(hold, &somebody(by), from, self.now)?;
            copies.extend(page.copies);
            withheld += page.withheld;
            pages += 1;
            next = page.next;
        }
        Ok((copies, withheld, pages))
    }

    fn grant(&self, account: AccountId, role: Role) {
        let grant = Grant {
            account,
            role,
            scope: GrantScope::Everyone,
        };
        tern_directory::grant_role(&self.engine, &grant, None, self.now).unwrap();
    }
}

fn of_account(account: AccountId) -> Scope {
    Scope {
        account: Some(account),
        ..Scope::default()
    }
}

#[test]
fn what_is_under_a_hold_is_read_out_wherever_it_is() {
    let mut house = House::new();
    let boxes = Arc::clone(&house.mailboxes);
    let large = |house: &House, n: usize| {
        let text = "word ".repeat(LARGE / 5);
        [house.letter(n), text.into_bytes()].concat()
    };
    let mut expected = BTreeSet::new();
    // In the inbox, in a folder, deleted by its owner, withdrawn.
    for n in 1..=3 {
        let content = large(&house, n);
        house.append(BOB, INBOX, &content);
        expected.insert(content);
    }
    let work = boxes
        .create_folder(BOB, "Work", None, house.now)
        .unwrap()
        .id;
    let moved = Transfer {
        from: Access::owner(BOB, INBOX),
        uids: &[Uid(2)],
        to: work,
        by: None,
    };
    boxes.move_messages(&moved, house.now).unwrap();
    let hold = house.hold(of_account(BOB));
    boxes
        .expunge(&Access::owner(BOB, INBOX), &[Uid(3)], false, house.now)
        .unwrap();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 4);
    house.recall(ALICE, &sent);
    expected.insert([b"Received: by test\r\n".to_vec(), house.letter(4)].concat());
    let (copies, withheld, pages) = house.read(hold, None).unwrap();
    let read: BTreeSet<Vec<u8>> = copies.iter().map(|copy| copy.octets.clone()).collect();
    assert!(read == expected, "whole and nobody else's");
    assert_eq!(withheld, 0);
    assert!(pages > 3, "{pages}");
    let about = |n: usize, field: &str| {
        let letter = house.letter(n);
        let is_it = |copy: &&HeldCopy| copy.octets.windows(letter.len()).any(|w| w == letter);
        copies.iter().find(is_it).unwrap().about[field].clone()
    };
    assert_eq!(about(2, "mailboxes"), serde_json::json!(["Work"]));
    assert_eq!(about(1, "inVaultSince"), serde_json::Value::Null);
    assert_eq!(about(3, "withdrawnBy"), serde_json::Value::Null);
    assert!(about(3, "inVaultSince").is_string());
    assert!(about(4, "withdrawnBy").is_string());
    assert_eq!(
        house.actions("hold.export").len(),
        pages,
        "each reading is on record"
    );
    assert!(
        house.sealing.exposures(sent.digest).unwrap().is_empty(),
        "nothing was served"
    );
    house.check();
}

#[test]
fn a_search_reads_out_what_fits_it_of_everybody() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB, CAROL, DAVE], &[], 1);
    house.submit(ALICE, &[BOB], &[], 2);
    let hold = house.hold(Scope {
        message_id: Some("1@example.org".into()),
        ..Scope::default()
    });
    house
        .mailboxes
        .expunge(&Access::owner(CAROL, INBOX), &[Uid(1)], false, house.now)
        .unwrap();
    house.upkeep.remove_account(DAVE, house.now).unwrap();
    let (copies, ..) = house.read(hold, None).unwrap();
    let accounts: BTreeSet<AccountId> = copies.iter().map(|copy| copy.account).collect();
    assert_eq!(accounts, BTreeSet::from([BOB, CAROL, DAVE]));
    house.check();
}

#[test]
fn who_may_not_read_it_is_refused_on_record_or_has_it_left_out() {
    let unread = "@id(\"unread\") forbid (principal, action == Tern::Action::\"vault.read\", resource) \
                  when { resource has sender && resource.sender == Tern::Account::\"alice@example.org\" };";
    let files = [SHIPPED_DEFAULT, &[("unread.cedar", unread)]].concat();
    let mut house = House::under(Arc::new(PolicySet::load(&files).unwrap()));
    house.grant(CAROL, Role::ComplianceOfficer);
    house.grant(DAVE, Role::Auditor);
    house.submit(ALICE, &[BOB], &[], 1);
    let letter = house.letter(2);
    house.append(BOB, INBOX, &letter);
    let hold = house.hold(of_account(BOB));
    for nobody in [ALICE, BOB, DAVE] {
        let refused = house.read(hold, Some(nobody));
        assert!(
            matches!(refused, Err(RecallError::NotAllowed(_))),
            "{refused:?}"
        );
    }
    assert_eq!(house.actions("hold.export"), ["hold.export-refused"; 3]);
    let (copies, withheld, _) = house.read(hold, Some(CAROL)).unwrap();
    assert_eq!((copies.len(), withheld), (1, 1));
    assert_eq!(copies[0].octets, letter);
    house.check();
}
