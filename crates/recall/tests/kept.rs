//! What is kept, for how long, who may have it back until when, and that it is gone afterwards.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, ERIN, House};
use tern_base::AccountId;
use tern_directory::{Grant, GrantScope, Role};
use tern_recall::{RecallError, RecallId, Selector, State};

const HOUR_MS: u64 = 60 * 60 * 1000;

impl House {
    fn restore_by(&mut self, account: Option<AccountId>, id: RecallId) -> Result<(), RecallError> {
        let sent = self.recalls.recall(id).unwrap().submission.unwrap();
        let selector = Selector::Submission(sent);
        let mut by = self.request(account.unwrap_or(ALICE), selector).requester;
        by.account = account;
        self.recalls.restore(id, &by, self.now)
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

#[test]
fn its_sender_undoes_it_for_a_day_and_whoever_may_restore_any_message_later() {
    let mut house = House::new();
    house.grant(DAVE, Role::Administrator);
    house.grant(ERIN, Role::Manager);
    let taken_back = |house: &mut House, n| {
        let sent = house.submit(ALICE, &[BOB, CAROL], &[], n);
        house.recall(ALICE, &sent).id()
    };
    let first = taken_back(&mut house, 1);
    let second = taken_back(&mut house, 2);
    let third = taken_back(&mut house, 3);
    let taken_at = house.recalls.recall(third).unwrap().finished.unwrap();
    house.now = taken_at.plus_millis(24 * HOUR_MS);
    assert_eq!(house.restore_by(Some(ALICE), third), Ok(()));
    house.now = house.now.plus_millis(1);
    let late = house.restore_by(Some(ALICE), second);
    let told = late.unwrap_err().to_string();
    assert!(told.contains("its sender can undo it is over"), "{told}");
    for nobody in [BOB, ERIN] {
        assert!(house.restore_by(Some(nobody), second).is_err());
    }
    assert_eq!(house.recalls.recall(second).unwrap().state, State::Done);
    assert_eq!(house.restore_by(Some(DAVE), second), Ok(()));
    assert_eq!(house.restore_by(None, first), Ok(()), "an operator");
    for id in [first, second, third] {
        house.recalls.run(id, house.now).unwrap();
        assert_eq!(house.recalls.recall(id).unwrap().state, State::Restored);
    }
    house.check();
}
