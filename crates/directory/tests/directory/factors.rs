//! Second factors: enrolment in two steps, codes that are good once, wrong ones that are counted.

use crate::world::{address, build};
use tern_base::{AccountId, SeededEntropy, Timestamp};
use tern_directory::limits::{CODE_LOCK_MS, MAX_CODE_LOCK_MS, RECOVERY_CODES};
use tern_directory::{
    CodeRefused, CodeShown, DirectoryError, FactorKey, FactorKind, NewTotp, RecoveryCodes, check,
    confirm_totp_in, enrol_totp_in, factors, remove_account, remove_factors_in,
    renew_recovery_codes_in, show_code, update_account,
};
use tern_store::{MemEngine, Transaction, Verdict, transact};
use totp_rs::{Builder, Secret};

const ALICE: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const STEP_MS: u64 = 30_000;

struct World {
    engine: MemEngine,
    key: FactorKey,
    entropy: SeededEntropy,
}

/// An authenticator application.
struct App(Secret);

impl App {
    fn code(&self, at: Timestamp) -> String {
        let totp = Builder::new().with_secret(self.0.as_bytes().to_vec());
        totp.build().unwrap().generate(at.as_secs()).to_string()
    }

    /// A code that is not good around `at`.
    fn wrong(&self, at: Timestamp) -> String {
        let good = [-1, 0, 1].map(|n| self.code(Timestamp(at.0.wrapping_add_signed(n * 30_000))));
        let mut all = (0..10).map(|n| format!("{n:06}"));
        all.find(|code| !good.contains(code)).unwrap()
    }
}

impl World {
    fn new() -> Self {
        let engine = MemEngine::new();
        build(&engine, "domain a.example\naccount alice\naccount bob");
        Self {
            engine,
            key: FactorKey::derive(&[7; 32]),
            entropy: SeededEntropy::new(7),
        }
    }

    fn act<T>(
        &self,
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, DirectoryError>,
    ) -> Result<T, DirectoryError> {
        transact(&self.engine, |txn| work(txn).map(Verdict::Commit))
    }

    fn enrol(&mut self, account: AccountId) -> App {
        let new = NewTotp::new(&self.key, account, &mut self.entropy).unwrap();
        self.act(|txn| enrol_totp_in(txn, &new, NOW)).unwrap();
        App(Secret::try_from_base32(new.base32()).unwrap())
    }

    fn confirm(
        &mut self,
        account: AccountId,
        code: &str,
        now: Timestamp,
    ) -> Result<Result<Vec<String>, CodeRefused>, DirectoryError> {
        let codes = RecoveryCodes::new(&mut self.entropy);
        let done = self.act(|txn| confirm_totp_in(txn, &self.key, account, code, &codes, now));
        done.map(|done| done.map(|()| codes.as_slice().to_vec()))
    }

    /// An account with an application, and its recovery codes.
    fn enrolled(&mut self, account: AccountId) -> (App, Vec<String>) {
        let app = self.enrol(account);
        let codes = self.confirm(account, &app.code(NOW), NOW).unwrap().unwrap();
        (app, codes)
    }

    fn show(
        &self,
        account: AccountId,
        code: &str,
        now: Timestamp,
    ) -> Result<FactorKind, CodeRefused> {
        let shown = show_code(&self.engine, &self.key, account, code, now).unwrap();
        shown.map(|CodeShown { kind }| kind)
    }
}

fn later(steps: u64) -> Timestamp {
    NOW.plus_millis(steps * STEP_MS)
}

#[test]
fn an_enrolment_counts_once_its_first_code_has_come_back() {
    let mut world = World::new();
    assert_eq!(
        world.confirm(ALICE, "000000", NOW),
        Err(DirectoryError::NoFactor)
    );
    let forgotten = world.enrol(ALICE);
    let app = world.enrol(ALICE);
    assert_ne!(
        forgotten.code(NOW),
        app.code(NOW),
        "each time another secret"
    );
    let status = factors(&world.engine, ALICE, NOW).unwrap();
    assert!(status.pending && !status.is_set_up());
    assert_eq!(
        world.show(ALICE, &app.code(NOW), NOW),
        Err(CodeRefused::NotSetUp),
        "it proves nothing yet"
    );
    let refused = world.confirm(ALICE, &forgotten.code(NOW), NOW).unwrap();
    assert_eq!(refused, Err(CodeRefused::Wrong { left: 4 }));
    let codes = world.confirm(ALICE, &app.code(NOW), NOW).unwrap().unwrap();
    assert_eq!(codes.len(), RECOVERY_CODES);
    let status = factors(&world.engine, ALICE, NOW).unwrap();
    assert_eq!(status.since, Some(NOW));
    assert_eq!(status.recovery_codes, RECOVERY_CODES);
    assert_eq!(status.last_shown, Some((NOW, FactorKind::Totp)));
    // The code that confirmed is used up.
    assert!(world.show(ALICE, &app.code(NOW), NOW).is_err());
    let new = NewTotp::new(&world.key, ALICE, &mut world.entropy).unwrap();
    let again = world.act(|txn| enrol_totp_in(txn, &new, NOW));
    assert_eq!(
        again,
        Err(DirectoryError::FactorThere),
        "nobody replaces it unseen"
    );
    assert_eq!(check(&world.engine).unwrap(), []);
}

#[test]
fn a_uri_names_issuer_and_account() {
    let mut world = World::new();
    let new = NewTotp::new(&world.key, ALICE, &mut world.entropy).unwrap();
    let url = new.url("A & B: mail", &address("alice"));
    assert_eq!(
        url,
        format!(
            "otpauth://totp/A%20%26%20B%3A%20mail:alice%40a.example?secret={}&issuer=A%20%26%20B%3A%20mail",
            new.base32()
        )
    );
}

#[test]
fn a_code_is_good_once_and_none_before_it_is_afterwards() {
    let mut world = World::new();
    let (app, _) = world.enrolled(ALICE);
    let now = later(10);
    let code = app.code(now);
    let typed = format!(" {} {} ", &code[..3], &code[3..]);
    assert_eq!(world.show(ALICE, &typed, now), Ok(FactorKind::Totp));
    assert!(world.show(ALICE, &code, now).is_err(), "replayed");
    assert!(
        world.show(ALICE, &code, later(11)).is_err(),
        "replayed in the next step"
    );
    assert!(
        world.show(ALICE, &app.code(later(9)), now).is_err(),
        "older than what was used"
    );
    assert_eq!(
        world.show(ALICE, &app.code(later(11)), now),
        Ok(FactorKind::Totp),
        "a clock ahead"
    );
    assert_eq!(
        world.show(ALICE, &app.code(later(12)), later(13)),
        Ok(FactorKind::Totp),
        "behind"
    );
    assert!(
        world.show(ALICE, &app.code(later(20)), later(22)).is_err(),
        "too far behind"
    );
    // The clock of the server went back: what was used stays used.
    assert!(world.show(ALICE, &app.code(later(10)), now).is_err());
    assert!(world.show(ALICE, &app.code(later(11)), now).is_err());
}

#[test]
fn a_code_is_of_one_account() {
    let mut world = World::new();
    let (alice, codes) = world.enrolled(ALICE);
    let (_, _) = world.enrolled(BOB);
    assert!(world.show(BOB, &alice.code(later(5)), later(5)).is_err());
    assert!(world.show(BOB, &codes[0], later(5)).is_err());
    assert_eq!(
        world.show(ALICE, &codes[0], later(5)),
        Ok(FactorKind::RecoveryCode)
    );
    assert!(
        world
            .show(AccountId(9), "000000", NOW)
            .is_err_and(|why| why == CodeRefused::NotSetUp)
    );
}

#[test]
fn a_recovery_code_is_good_once_and_void_once_renewed() {
    let mut world = World::new();
    let (_, codes) = world.enrolled(ALICE);
    let typed = codes[3].to_uppercase().replace('-', " ");
    assert_eq!(world.show(ALICE, &typed, NOW), Ok(FactorKind::RecoveryCode));
    assert!(world.show(ALICE, &codes[3], NOW).is_err(), "used up");
    let status = factors(&world.engine, ALICE, NOW).unwrap();
    assert_eq!(status.recovery_codes, RECOVERY_CODES - 1);
    let fresh = RecoveryCodes::new(&mut world.entropy);
    let renew =
        |account| world.act(|txn| renew_recovery_codes_in(txn, &world.key, account, &fresh, NOW));
    renew(ALICE).unwrap();
    assert_eq!(renew(BOB), Err(DirectoryError::NoFactor));
    assert!(world.show(ALICE, &codes[4], NOW).is_err(), "void");
    for code in fresh.as_slice() {
        assert_eq!(world.show(ALICE, code, NOW), Ok(FactorKind::RecoveryCode));
    }
    assert_eq!(
        factors(&world.engine, ALICE, NOW).unwrap().recovery_codes,
        0
    );
}

#[test]
fn wrong_codes_lock_for_a_time_that_doubles() {
    let mut world = World::new();
    let (app, codes) = world.enrolled(ALICE);
    let mut now = later(10);
    for lock_ms in [CODE_LOCK_MS, 2 * CODE_LOCK_MS, 4 * CODE_LOCK_MS] {
        for left in [4, 3, 2, 1] {
            let refused = world.show(ALICE, &app.wrong(now), now);
            assert_eq!(refused, Err(CodeRefused::Wrong { left }));
        }
        let locked = Err(CodeRefused::Locked {
            until: now.plus_millis(lock_ms),
        });
        assert_eq!(world.show(ALICE, &"9".repeat(1_000), now), locked);
        assert_eq!(
            world.show(ALICE, &app.code(now), now),
            locked,
            "a right one, too"
        );
        assert_eq!(world.show(ALICE, &codes[0], now), locked);
        assert_eq!(
            factors(&world.engine, ALICE, now).unwrap().locked_until,
            Some(now.plus_millis(lock_ms))
        );
        now = now.plus_millis(lock_ms);
    }
    assert_eq!(world.show(ALICE, &app.code(now), now), Ok(FactorKind::Totp));
    let refused = world.show(ALICE, &app.wrong(now), now);
    assert_eq!(
        refused,
        Err(CodeRefused::Wrong { left: 4 }),
        "a right one forgets the wrong ones"
    );
}

#[test]
fn a_lock_ends_where_the_clock_went_back_and_within_a_day() {
    let mut world = World::new();
    let (app, _) = world.enrolled(ALICE);
    let ahead = NOW.plus_millis(1_000 * MAX_CODE_LOCK_MS);
    for _ in 0..5 {
        assert!(world.show(ALICE, &app.wrong(ahead), ahead).is_err());
    }
    assert_eq!(
        world.show(ALICE, &app.code(later(9)), later(9)),
        Ok(FactorKind::Totp)
    );
    let mut now = later(10);
    for _ in 0..200 {
        while let Err(CodeRefused::Wrong { .. }) = world.show(ALICE, &app.wrong(now), now) {}
        let until = factors(&world.engine, ALICE, now).unwrap().locked_until;
        let until = until.expect("locked");
        assert!(until.millis_since(now) <= MAX_CODE_LOCK_MS);
        now = until;
    }
    assert_eq!(world.show(ALICE, &app.code(now), now), Ok(FactorKind::Totp));
}

#[test]
fn two_who_show_one_code_at_once_are_one() {
    let mut world = World::new();
    let (_, codes) = world.enrolled(ALICE);
    let mut second = None;
    let first = transact(&world.engine, |txn| {
        let shown = tern_directory::show_code_in(txn, &world.key, ALICE, &codes[0], NOW)?;
        // Another session is faster, once.
        if second.is_none() {
            second = Some(world.show(ALICE, &codes[0], NOW));
        }
        Ok::<_, DirectoryError>(Verdict::Commit(shown))
    });
    assert_eq!(second, Some(Ok(FactorKind::RecoveryCode)));
    assert!(first.unwrap().is_err());
}

#[test]
fn what_is_removed_proves_nothing_and_leaves_nothing() {
    let mut world = World::new();
    let (app, codes) = world.enrolled(ALICE);
    let (bobs, _) = world.enrolled(BOB);
    let remove = |account| world.act(|txn| remove_factors_in(txn, account));
    assert_eq!(remove(ALICE), Ok(true));
    assert_eq!(remove(ALICE), Ok(false));
    for code in [&app.code(later(5)), &codes[0]] {
        assert_eq!(
            world.show(ALICE, code, later(5)),
            Err(CodeRefused::NotSetUp)
        );
    }
    update_account(&world.engine, BOB, |account| account.disabled = true).unwrap();
    assert_eq!(
        world.show(BOB, &bobs.code(later(5)), later(5)),
        Err(CodeRefused::NotSetUp)
    );
    assert!(remove_account(&world.engine, BOB).unwrap());
    assert_eq!(factors(&world.engine, BOB, NOW).unwrap().since, None);
    assert_eq!(check(&world.engine).unwrap(), []);
}
