//! `cargo xtask tidy`: the house rules that neither rustc nor clippy checks. One rule, one file; a
//! rule is a pure function from files to findings, tested on a case that breaks it and one that does
//! not. Every finding says where, which rule, and what to do. An exception stands in
//! `xtask/tidy-allow.txt` with its reason; an exception that nothing needs is itself a finding.

mod allow;
mod banned;
mod floors;
mod format;
mod links;
mod machine;
mod module_docs;
mod named_tests;
mod size;
mod tables;
mod vocabulary;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::context::{Context, Outcome, output};
use crate::metadata::{self, Package};
use crate::rust_source::RustSource;

/// One breach of one rule.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    path: String,
    /// From 1.
    line: usize,
    rule: &'static str,
    /// What is wrong and what to do.
    advice: String,
}

/// A tracked text file with what the rules need to know about it.
struct SourceFile {
    /// Relative to the root of the clone, with `/`.
    path: String,
    text: String,
    /// Scanned where the file is Rust.
    rust: Option<RustSource>,
    /// The floor of its crate; none outside `crates/`.
    floor: Option<u64>,
    /// The whole file is test code.
    is_test: bool,
}

impl SourceFile {
    fn finding(&self, line: usize, rule: &'static str, advice: String) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            rule,
            advice,
        }
    }

    #[cfg(test)]
    fn for_test(path: &str, floor: Option<u64>, text: &str) -> Self {
        let rust = path.ends_with(".rs").then(|| RustSource::scan(text));
        let is_test = in_test_folder(path);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            rust,
            floor,
            is_test,
        }
    }
}

/// Checks every rule and prints what it found.
pub(crate) fn run_verb(context: &Context) -> Outcome {
    let packages = metadata::packages(context)?;
    let files = read_files(context, &packages)?;
    let mut findings = floors::check(&packages);
    findings.extend(tables::check(&files));
    findings.extend(format::check(&files));
    findings.extend(named_tests::check(&files));
    for file in &files {
        findings.extend(size::check(file));
        findings.extend(module_docs::check(file));
        findings.extend(banned::check(file));
        findings.extend(vocabulary::check(file));
        findings.extend(machine::check(file));
        findings.extend(links::check(file, &|path| context.root.join(path).exists()));
    }
    let exceptions = fs::read_to_string(context.root.join(allow::PATH)).unwrap_or_default();
    let mut findings = allow::apply(&exceptions, findings);
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        println!(
            "{}:{}: [{}] {}",
            finding.path, finding.line, finding.rule, finding.advice
        );
    }
    match findings.len() {
        0 => {
            println!(
                "tidy: {} files, {} packages, no findings",
                files.len(),
                packages.len()
            );
            Ok(())
        }
        1 => Err("1 finding".to_owned()),
        count => Err(format!("{count} findings")),
    }
}

/// Tracked files and new ones that git does not ignore; binary files are skipped.
fn read_files(context: &Context, packages: &[Package]) -> Outcome<Vec<SourceFile>> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(&context.root);
    let listing = output(&mut git)?;
    let paths: HashSet<&str> = listing.split_terminator('\0').collect();
    let floors: HashMap<&str, u64> = packages
        .iter()
        .filter_map(|package| Some((&*package.folder, package.floor?)))
        .collect();
    let mut files = Vec::new();
    for path in paths {
        // A file deleted but not yet committed is listed and absent.
        let Ok(text) = fs::read_to_string(context.root.join(path)) else {
            continue;
        };
        let rust = path.ends_with(".rs").then(|| RustSource::scan(&text));
        let floor = crate_folder(path).and_then(|folder| floors.get(folder).copied());
        let is_test = in_test_folder(path);
        files.push(SourceFile {
            path: path.to_owned(),
            text,
            rust,
            floor,
            is_test,
        });
    }
    if files.is_empty() {
        return Err("git lists no files: run tidy in a clone".to_owned());
    }
    mark_test_modules(&mut files);
    Ok(files)
}

/// `crates/imap/src/lib.rs` → `crates/imap`.
fn crate_folder(path: &str) -> Option<&str> {
    let name = path.strip_prefix("crates/")?.split('/').next()?;
    path.get(.."crates/".len() + name.len())
}

/// Integration tests of a crate, and the packages under `tests/`; the load generator is a program.
fn in_test_folder(path: &str) -> bool {
    let package = path.starts_with("tests/") && !path.starts_with("tests/bench/");
    package || crate_folder(path).is_some_and(|folder| path[folder.len()..].starts_with("/tests/"))
}

/// `#[cfg(test)] mod cases;` makes `cases.rs`, `cases/mod.rs` and what is below them test code.
fn mark_test_modules(files: &mut [SourceFile]) {
    let mut stems = Vec::new();
    for file in files.iter() {
        let names = file.rust.iter().flat_map(RustSource::test_modules);
        stems.extend(names.map(|name| format!("{}/{name}", module_folder(&file.path))));
    }
    for file in files {
        let below = |stem: &String| {
            let rest = file.path.strip_prefix(stem.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        file.is_test |= stems.iter().any(below);
    }
}

/// The folder where a file's child modules live.
fn module_folder(path: &str) -> String {
    let path = Path::new(path);
    let parent = path.parent().unwrap_or(Path::new(""));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match stem.as_ref() {
        "lib" | "main" | "mod" => parent.to_string_lossy().into_owned(),
        stem => parent.join(stem).to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_modules_in_their_own_files_are_test_code() {
        let mut files = [
            SourceFile::for_test(
                "crates/a/src/lib.rs",
                Some(1),
                "#[cfg(test)]\nmod cases;\nmod b;",
            ),
            SourceFile::for_test("crates/a/src/b.rs", Some(1), "#[cfg(test)]\nmod deep;"),
            SourceFile::for_test("crates/a/src/cases.rs", Some(1), ""),
            SourceFile::for_test("crates/a/src/cases/more.rs", Some(1), ""),
            SourceFile::for_test("crates/a/src/b/deep.rs", Some(1), ""),
            SourceFile::for_test("crates/a/src/deep.rs", Some(1), ""),
            SourceFile::for_test("crates/a/tests/all.rs", Some(1), ""),
            SourceFile::for_test("tests/bench/src/main.rs", None, ""),
        ];
        mark_test_modules(&mut files);
        let tests: Vec<bool> = files.iter().map(|file| file.is_test).collect();
        assert_eq!(tests, [false, false, true, true, true, false, true, false]);
    }
}
