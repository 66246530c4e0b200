//! A test that the documentation names beside a sentence is there: `recall::asking_again_joins` is a
//! function of that name in a test of that crate.

use std::collections::HashSet;

use super::{Finding, SourceFile};

/// What begins the name of a test in the documentation: a crate, or the package of interop tests.
const PLACES: [&str; 12] = [
    "audit",
    "delivery",
    "directory",
    "imap",
    "interop",
    "jmap",
    "mailbox",
    "policy",
    "recall",
    "server",
    "sim",
    "smtp",
];

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let sources = files.iter().filter(|file| file.rust.is_some());
    let there: HashSet<&str> = sources.flat_map(|file| functions(&file.text)).collect();
    let pages = files.iter().filter(|file| file.path.starts_with("docs/"));
    let mut findings = Vec::new();
    for page in pages {
        for (index, line) in page.text.lines().enumerate() {
            for name in named(line).filter(|name| !there.contains(name)) {
                let advice = format!("no test is called `{name}`: name the one that proves this");
                findings.push(page.finding(index + 1, "named-test", advice));
            }
        }
    }
    findings
}

fn functions(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("fn ").map(|(at, word)| at + word.len());
    starts.map(|at| word(&text[at..]))
}

/// The tests that a line names.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter_map(|code| {
        let (place, name) = code.split_once("::")?;
        let is_name = !name.is_empty() && word(name) == name && name.contains('_');
        (PLACES.contains(&place) && is_name).then_some(name)
    })
}

/// The lower-case name that a text begins with.
fn word(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_no_test_is_found() {
        let code = SourceFile::for_test("crates/a/tests/a.rs", Some(1), "fn it_is_so() {}\n");
        let page = |text: &str| SourceFile::for_test("docs/a.md", None, text);
        let lines = |text: &str| {
            let files = [
                SourceFile::for_test(&code.path, Some(1), &code.text),
                page(text),
            ];
            let findings = check(&files).into_iter();
            findings.map(|finding| finding.line).collect::<Vec<_>>()
        };
        assert_eq!(lines("| so | `recall::it_is_so` |\n"), [0; 0]);
        assert_eq!(lines("x\n`recall::it_is`, `imap::it_is_so`\n"), [2]);
        assert_eq!(
            lines("`Recalls::run_open`, `recall::Plan`, `server::run`\n"),
            [0; 0]
        );
    }
}
