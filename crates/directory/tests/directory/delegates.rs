//! Who may act for whom, and what is left of it when one of them goes.

use crate::world::build;
use tern_base::{AccountId, Timestamp};
use tern_directory::limits::MAX_DELEGATES;
use tern_directory::{
    DirectoryError, Limit, add_delegate_in, check, delegates, is_delegate, remove_account,
    remove_delegate_in,
};
use tern_store::{MemEngine, Transaction, Verdict, transact};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const ANNA: AccountId = AccountId(1);
const BEN: AccountId = AccountId(2);
const CARL: AccountId = AccountId(3);

fn act<T>(
    engine: &MemEngine,
    work: impl Fn(&mut Transaction<'_>) -> Result<T, DirectoryError>,
) -> Result<T, DirectoryError> {
    transact(engine, |txn| work(txn).map(Verdict::Commit))
}

#[test]
fn a_delegate_is_one_for_whom_they_were_made_it_and_for_nobody_else() {
    let engine = MemEngine::new();
    build(
        &engine,
        "domain a.example\naccount anna\naccount ben\naccount carl",
    );
    let add = |of, delegate| act(&engine, |txn| add_delegate_in(txn, of, delegate, NOW));
    assert_eq!(add(ANNA, BEN), Ok(true));
    assert_eq!(add(ANNA, BEN), Ok(false));
    assert_eq!(add(CARL, ANNA), Ok(true));
    assert_eq!(add(ANNA, ANNA), Err(DirectoryError::OwnDelegate));
    assert_eq!(
        add(ANNA, AccountId(9)),
        Err(DirectoryError::NotFound("account"))
    );
    assert_eq!(
        add(AccountId(9), ANNA),
        Err(DirectoryError::NotFound("account"))
    );
    assert_eq!(delegates(&engine, ANNA), Ok(vec![(BEN, NOW)]));
    let is = |of, delegate| is_delegate(&engine, of, delegate).unwrap();
    assert!(is(ANNA, BEN) && is(CARL, ANNA));
    assert!(!is(BEN, ANNA), "it does not go both ways");
    assert!(!is(CARL, BEN), "nor further");
    assert_eq!(check(&engine).unwrap(), []);
    let remove = |of, delegate| act(&engine, |txn| remove_delegate_in(txn, of, delegate));
    assert_eq!(remove(ANNA, BEN), Ok(true));
    assert_eq!(remove(ANNA, BEN), Ok(false));
    assert!(!is(ANNA, BEN));
    // Whoever goes is nobody's delegate, and has none.
    assert_eq!(add(ANNA, BEN), Ok(true));
    assert_eq!(remove_account(&engine, ANNA), Ok(true));
    assert!(!is(ANNA, BEN) && !is(CARL, ANNA));
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn an_account_has_so_many_delegates() {
    let engine = MemEngine::new();
    let accounts: Vec<String> = (0..MAX_DELEGATES + 2)
        .map(|n| format!("account a{n}"))
        .collect();
    build(
        &engine,
        &format!("domain a.example\n{}", accounts.join("\n")),
    );
    let add = |n: usize| {
        let delegate = AccountId(n as u32 + 1);
        act(&engine, |txn| add_delegate_in(txn, ANNA, delegate, NOW))
    };
    for n in 1..=MAX_DELEGATES {
        assert_eq!(add(n), Ok(true));
    }
    assert_eq!(
        add(MAX_DELEGATES + 1),
        Err(DirectoryError::Limit(Limit::Delegates))
    );
}
