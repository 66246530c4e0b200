//! A test that the documentation names beside a sentence is there: `recall::asking_again_joins` is a
//! test of that name in that crate.

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
    let there: HashSet<(&str, &str)> = sources
        .flat_map(|file| tests(&file.text).map(|name| (place(&file.path), name)))
        .collect();
    let pages = files.iter().filter(|file| file.path.starts_with("docs/"));
    let mut findings = Vec::new();
    for page in pages {
        for (index, line) in page.text.lines().enumerate() {
            for (place, name) in named(line).filter(|named| !there.contains(named)) {
                let advice = format!(
                    "no test of `{place}` is called `{name}`: name the one that proves this"
                );
                findings.push(page.finding(index + 1, "named-test", advice));
            }
        }
    }
    findings
}

/// The crate or package that a source file is of, as the documentation names it.
fn place(path: &str) -> &str {
    let mut folders = path.split('/').skip(1);
    folders.next().unwrap_or_default()
}

/// The functions that an attribute makes tests of.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    let marks = text
        .match_indices("#[test]")
        .chain(text.match_indices("#[tokio::test"));
    marks.filter_map(|(at, _)| {
        let after = &text[at..];
        let start = after.find("fn ")? + "fn ".len();
        Some(word(&after[start..]))
    })
}

/// The tests that a line names: in which crate, and their names.
fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|code| {
        let (place, name) = code.split_once("::")?;
        let is_name = !name.is_empty() && word(name) == name && name.contains('_');
        (PLACES.contains(&place) && is_name).then_some((place, name))
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
        let text = "fn it_is() {}\n#[test]\nfn it_is_so() {}\n";
        let code = SourceFile::for_test("crates/recall/tests/a.rs", Some(1), text);
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
        assert_eq!(lines("x\n`recall::it_is`\n`imap::it_is_so`\n"), [2, 3]);
        assert_eq!(
            lines("`Recalls::run_open`, `recall::Plan`, `server::run`\n"),
            [0; 0]
        );
    }
}
