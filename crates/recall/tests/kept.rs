//! What is kept, for how long, who may have it back until when, and that it is gone afterwards.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::num::NonZeroU64;
use std::sync::Arc;

use house::{ALICE, BOB, CAROL, DAVE, ERIN, House};
use tern_base::{AccountId, EmailAddress};
use tern_directory::{Grant, GrantScope, Role};
use tern_recall::{RecallError, RecallId, Recalls, Selector, Settings, State, Whose};

const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

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

fn set(house: &mut House, settings: Settings) {
    house.recalls = Recalls::open(
        Arc::new(house.engine.clone()),
        &house.opened(),
        tern_policy::unattended(),
        settings,
    );
}

/// Thirty days for the domain, a year for a group of it; nobody is left for whom the default counts.
fn with_retention() -> House {
    let mut house = House::new();
    let settings = [("example.org", 30), ("Legal@Example.org", 365)];
    let days = |days| NonZeroU64::new(days).unwrap();
    let whose = |(name, n): (&str, u64)| (Whose::try_from(name.to_owned()).unwrap(), days(n));
    set(
        &mut house,
        Settings {
            vault_days_of: settings.into_iter().map(whose).collect(),
            ..Settings::default()
        },
    );
    let legal = EmailAddress::parse("legal@example.org").unwrap();
    let legal = tern_directory::create_group(&house.engine, &legal, "", house.now).unwrap();
    let members = [tern_directory::target::Target::Account(BOB)];
    tern_directory::add_members(&house.engine, legal.id, &members).unwrap();
    house
}

#[test]
fn a_domain_and_a_group_have_times_of_their_own_and_the_longest_counts() {
    let mut house = with_retention();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    let start = house.now;
    let vaulted = |house: &House| -> Vec<AccountId> {
        let all = house.sealing.vaulted(id.tag(), None, 9).unwrap();
        all.iter().map(|copy| copy.account).collect()
    };
    let purged_after = |house: &mut House, millis| {
        house.now = start.plus_millis(millis);
        house.recalls.purge(house.now).unwrap()
    };
    assert_eq!(purged_after(&mut house, 30 * DAY_MS - 1), 0);
    assert_eq!(purged_after(&mut house, 30 * DAY_MS), 1);
    assert_eq!(vaulted(&house), [BOB]);
    assert_eq!(purged_after(&mut house, 91 * DAY_MS), 0);
    assert_eq!(purged_after(&mut house, 365 * DAY_MS - 1), 0);
    assert_eq!(purged_after(&mut house, 365 * DAY_MS + HOUR_MS), 1);
    house.check();
}

/// Whose it was is not known any more: it may have been anybody's.
#[test]
fn what_was_taken_from_an_account_that_is_gone_is_kept_for_the_longest_time() {
    let mut house = with_retention();
    let sent = house.submit(ALICE, &[CAROL], &[], 1);
    house.recall(ALICE, &sent);
    house.upkeep.remove_account(CAROL, house.now).unwrap();
    assert_eq!(
        tern_directory::remove_account(&house.engine, CAROL),
        Ok(true)
    );
    house.now = house.now.plus_millis(364 * DAY_MS);
    assert_eq!(house.recalls.purge(house.now), Ok(0));
    house.now = house.now.plus_millis(2 * DAY_MS);
    assert_eq!(house.recalls.purge(house.now), Ok(1));
    house.check();
}

#[test]
fn a_retention_is_of_a_domain_or_a_group_and_of_nothing_else() {
    for wrong in ["", "no domain", "@example.org", "a@b@c"] {
        assert!(Whose::try_from(wrong.to_owned()).is_err(), "{wrong}");
    }
}

#[test]
fn a_shorter_time_counts_a_day_after_it_was_configured_and_is_told_before() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    house.now = house.now.plus_millis(10 * DAY_MS);
    assert_eq!(house.recalls.purge(house.now), Ok(0));
    assert_eq!(house.recalls.shortened(house.now), Ok(None));
    let one_day = Settings {
        vault_days: NonZeroU64::MIN,
        ..Settings::default()
    };
    set(&mut house, one_day.clone());
    let told = house.recalls.shortened(house.now).unwrap().unwrap();
    assert_eq!((told.copies, told.at), (2, house.now.plus_millis(DAY_MS)));
    // A sweep within the day removes nothing, nor does a restart begin the day anew.
    house.now = house.now.plus_millis(DAY_MS - 1);
    assert_eq!(house.recalls.purge(house.now), Ok(0));
    set(&mut house, one_day.clone());
    assert_eq!(house.recalls.purge(house.now), Ok(0));
    // Whoever finds the slip in time keeps everything.
    set(&mut house, Settings::default());
    house.now = house.now.plus_millis(DAY_MS);
    assert_eq!(house.recalls.purge(house.now), Ok(0));
    assert_eq!(house.recalls.shortened(house.now), Ok(None));
    set(&mut house, one_day);
    assert_eq!(house.recalls.purge(house.now), Ok(0));
    house.now = house.now.plus_millis(DAY_MS);
    assert_eq!(house.recalls.purge(house.now), Ok(2));
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Done);
    house.check();
}
