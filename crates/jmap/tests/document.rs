//! docs/jmap.md says of every error that the RFCs name where it is made, and names tests that there are.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// RFC 8620 3.6.1, 3.6.2, 5.3 to 5.6; RFC 8621 2.5, 4.6 to 4.8, 6.3, 7.5.
const ERRORS: [&str; 45] = [
    "unknownCapability",
    "notJSON",
    "notRequest",
    "limit",
    "serverUnavailable",
    "serverFail",
    "serverPartialFail",
    "unknownMethod",
    "invalidArguments",
    "invalidResultReference",
    "forbidden",
    "accountNotFound",
    "accountNotSupportedByMethod",
    "accountReadOnly",
    "requestTooLarge",
    "stateMismatch",
    "cannotCalculateChanges",
    "tooManyChanges",
    "anchorNotFound",
    "unsupportedSort",
    "unsupportedFilter",
    "fromAccountNotFound",
    "fromAccountNotSupportedByMethod",
    "overQuota",
    "tooLarge",
    "rateLimit",
    "notFound",
    "invalidPatch",
    "willDestroy",
    "invalidProperties",
    "singleton",
    "alreadyExists",
    "mailboxHasChild",
    "mailboxHasEmail",
    "blobNotFound",
    "tooManyKeywords",
    "tooManyMailboxes",
    "invalidEmail",
    "tooManyRecipients",
    "noRecipients",
    "invalidRecipients",
    "forbiddenMailFrom",
    "forbiddenFrom",
    "forbiddenToSend",
    "cannotUnsend",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> String {
    fs::read_to_string(root().join("docs/jmap.md")).unwrap()
}

/// The cells of the rows of its tables.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
}

#[test]
fn every_error_that_the_rfcs_name_has_a_test_or_a_reason() {
    let text = document();
    for error in ERRORS {
        let name = format!("`{error}`");
        let mut named = rows(&text).filter(|row| row[0].contains(&name)).peekable();
        assert!(named.peek().is_some(), "{error} is not there");
        for row in named {
            let is_proved = row.last().is_some_and(|proof| proof.contains("::"));
            let is_nowhere = row[1].starts_with("nowhere: ");
            assert!(is_proved != is_nowhere, "{row:?}");
        }
    }
}

/// The names of the functions of each source file below a directory.
fn functions(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let found = text
                .match_indices("fn ")
                .map(|(at, it)| &text[at + it.len()..]);
            let found = found.filter_map(|rest| rest.split_once('('));
            names.extend(found.map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let text = document();
    let mut missing = Vec::new();
    for (of, place) in [
        ("jmap", "crates/jmap"),
        ("delivery", "crates/delivery"),
        ("directory", "crates/directory"),
        ("server", "crates/server"),
        ("interop", "tests/interop"),
    ] {
        let mut known = BTreeSet::new();
        functions(&root().join(place), &mut known);
        let named = text
            .split('`')
            .filter_map(|it| it.strip_prefix(of)?.strip_prefix("::"));
        missing.extend(
            named
                .filter(|name| !name.is_empty() && !known.contains(*name))
                .map(|name| format!("{of}::{name}")),
        );
    }
    assert_eq!(missing, Vec::<String>::new());
}
