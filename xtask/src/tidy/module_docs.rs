//! Every Rust file opens with `//!`: what it is, its invariant, what it refuses. Build scripts and
//! fixtures are exempt.

use super::{Finding, SourceFile};

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let exempt = file.path.ends_with("build.rs") || file.path.contains("/fixtures/");
    if file.rust.is_none() || exempt || file.text.starts_with("//!") {
        return Vec::new();
    }
    let advice = "open the file with `//!`: what it is, its invariant, what it refuses".to_owned();
    vec![file.finding(1, "module-docs", advice)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rust_files_without_docs_are_found() {
        let cases = [
            ("crates/a/src/a.rs", "//! What it is.\n", 0),
            ("crates/a/src/a.rs", "use std::fmt;\n", 1),
            ("crates/a/src/a.rs", "// Not module docs.\n", 1),
            ("crates/a/src/a.rs", "", 1),
            ("crates/a/build.rs", "fn main() {}\n", 0),
            ("tests/e2e/fixtures/a.rs", "broken", 0),
            ("docs/a.md", "text", 0),
        ];
        for (path, text, count) in cases {
            let file = SourceFile::for_test(path, None, text);
            assert_eq!(check(&file).len(), count, "{path} {text:?}");
        }
    }
}
