//! The oracle can fail: each defect that is built in on purpose is seen, within a few seeds, and
//! for the right reason.

use tern_sim::{Options, Sabotage, run};

/// What the oracle says of the first of a hundred seeds that it finds broken.
fn caught(sabotage: Sabotage) -> String {
    let options = Options {
        sabotage,
        ..Options::default()
    };
    let found = (0..100).find_map(|seed| run(seed, options).err());
    found.map_or_else(|| "nothing".to_owned(), |failure| failure.what)
}

#[track_caller]
fn check(sabotage: Sabotage, says: &[&str]) {
    let what = caught(sabotage);
    assert!(
        says.iter().any(|words| what.contains(words)),
        "{sabotage:?}: {what}"
    );
}

#[test]
fn reads_that_ask_no_seal() {
    check(Sabotage::ForgetSeals, &["handed out"]);
}

#[test]
fn arrivals_that_ask_no_tombstone() {
    check(
        Sabotage::HideTombstones,
        &["came back as", "under a seal", "covers message"],
    );
}

#[test]
fn acknowledged_mail_that_is_lost() {
    check(
        Sabotage::LoseArrivals,
        &["is not in the accounts", "acknowledged", "can't be seen"],
    );
}

#[test]
fn exposure_that_is_not_recorded() {
    check(
        Sabotage::LoseExposures,
        &["octets of its body had left", "its ledger does not say so"],
    );
}

#[test]
fn withdrawals_that_do_not_happen() {
    // The recall itself finds its copies still there, and never says that it is done.
    check(
        Sabotage::LoseWithdrawals,
        &["covers message", "is running at rest"],
    );
}

#[test]
fn holds_that_hold_nothing() {
    check(
        Sabotage::LoseHolds,
        &["which a hold forbids to hide", "is held"],
    );
}

#[test]
fn outcomes_without_an_entry() {
    check(Sabotage::LoseEntries, &["the log has no outcome"]);
}

#[test]
fn restores_that_put_nothing_back() {
    // The mailbox counts what is not in it.
    check(
        Sabotage::LoseRestores,
        &["is lost; it was Vault", ", holds ("],
    );
}
