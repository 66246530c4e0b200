//! The short form of the campaign, for every run of the tests.

use tern_kill::{Options, run};

#[test]
fn ten_kills_lose_nothing() {
    let report = run(&Options {
        kills: 10,
        seed: 20_261_121,
        check_every: 3,
        verbose: true,
    });
    println!("{report}");
    assert!(report.violations.is_empty(), "{report}");
    assert!(
        report.submitted > 0 && report.appended > 0 && report.exposed > 0,
        "the load did nothing:\n{report}"
    );
}
