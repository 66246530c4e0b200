//! ENVELOPE and BODYSTRUCTURE of every corpus message against what Dovecot 2.3.19 answered.
//!
//! `dovecot.txt` holds three lines for each message: its name, its ENVELOPE, its BODYSTRUCTURE.
//! `differences.txt` holds four for each message where we answer otherwise on purpose: name, why,
//! our ENVELOPE, our BODYSTRUCTURE.

mod common;

use std::collections::HashMap;

#[test]
fn answers_as_dovecot_does_but_for_named_differences() {
    let mut expected = HashMap::new();
    let lines: Vec<&str> = include_str!("dovecot.txt").lines().collect();
    for three in lines.chunks(3) {
        let [name, envelope, structure] = three else {
            panic!("three lines a message")
        };
        expected.insert(*name, (*envelope, *structure));
    }
    let lines: Vec<&str> = include_str!("differences.txt").lines().collect();
    for four in lines.chunks(4) {
        let [name, why, envelope, structure] = four else {
            panic!("four lines a difference")
        };
        assert!(!why.is_empty());
        let theirs = expected.insert(*name, (*envelope, *structure));
        assert_ne!(
            theirs,
            Some((*envelope, *structure)),
            "{name} is no difference any more"
        );
        assert!(theirs.is_some(), "{name} is not in the corpus");
    }
    let mut wrong = 0;
    for (name, bytes) in common::corpus() {
        let parsed = tern_mime::parse(&bytes);
        let ours = (
            common::envelope(&parsed.envelope),
            common::structure(&parsed.body),
        );
        let Some(want) = expected.remove(name.as_str()) else {
            panic!("{name} is not in the table")
        };
        if want != (ours.0.as_str(), ours.1.as_str()) {
            wrong += 1;
            println!(
                "--- {name}\nwant {}\nhave {}\nwant {}\nhave {}",
                want.0, ours.0, want.1, ours.1
            );
        }
    }
    assert_eq!(wrong, 0);
    assert!(
        expected.is_empty(),
        "in the table only: {:?}",
        expected.keys()
    );
}
