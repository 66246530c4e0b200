//! A directory that was put back from a backup gives out nothing that it may have given out since.

use std::sync::Arc;

use tern_base::AccountId;
use tern_directory::{
    Identities, IdentityDetails, Principals, Visible, account_by_address, begin_anew, check,
    group_by_address,
};
use tern_store::{Engine, MemEngine};

use crate::world::{act, address};

fn account(engine: &Arc<dyn Engine>, name: &str) -> AccountId {
    let found = account_by_address(&**engine, &address(name)).unwrap();
    found.unwrap().id
}

#[test]
fn what_was_given_out_after_the_backup_is_not_given_out_again() {
    let store = MemEngine::new();
    let lost: Arc<dyn Engine> = Arc::new(store.clone());
    for line in ["domain a.example", "account ann", "account ben"] {
        act(&*lost, line).unwrap();
    }
    let (ann, ben) = (account(&lost, "ann"), account(&lost, "ben"));
    // Ben's were not even looked at when the backup was made.
    let of = Identities::new(Arc::clone(&lost));
    let details = IdentityDetails::default();
    of.create(ann, &address("ann"), &details).unwrap();
    let backup: Arc<dyn Engine> = Arc::new(store.fork());

    for line in ["account eve", "group team eve", "account mel"] {
        act(&*lost, line).unwrap();
    }
    let given = of.create(ann, &address("ann"), &details).unwrap();
    let told = [of.all(ann).unwrap().0, of.all(ben).unwrap().0];
    let seen_by = |engine: &Arc<dyn Engine>| Principals::new(Arc::clone(engine), Visible::Everyone);
    let principals = seen_by(&lost).newest_change().unwrap();
    let eve = account(&lost, "eve").max(account(&lost, "mel"));
    let team = group_by_address(&*lost, &address("team")).unwrap().unwrap();

    // Cut off in the middle, it is done again.
    for _ in 0..2 {
        begin_anew(&*backup).unwrap();
        assert_eq!(check(&*backup).unwrap(), []);
    }
    for line in ["account zoe", "group crew zoe"] {
        act(&*backup, line).unwrap();
    }
    assert!(account(&backup, "zoe") > eve);
    let crew = group_by_address(&*backup, &address("crew")).unwrap();
    assert!(crew.unwrap().id > team.id);
    let of = Identities::new(Arc::clone(&backup));
    let another = of.create(ann, &address("ann"), &details).unwrap();
    assert!(another.id > given.id);
    // Whoever was told a number begins anew, whether the backup had come so far or not.
    for (account, told) in [ann, ben].into_iter().zip(told) {
        for since in [0, 1, told] {
            assert_eq!(of.changes(account, since, 100), Ok(None));
        }
        assert!(of.all(account).unwrap().0 > told);
    }
    for since in [0, 1, principals] {
        assert_eq!(seen_by(&backup).changes(ann, since, 100), Ok(None));
    }
    assert_eq!(check(&*backup).unwrap(), []);
}
