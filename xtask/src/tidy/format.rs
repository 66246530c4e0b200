//! A store says in its `FORMAT` which rows are in it, so that a build which can't read them refuses it instead
//! of taking it for damaged. The number is the sum of the versions of every kind of row: whoever changes a row
//! raises its version, and with it this.
//!
//! What is counted: what `Writer::versioned(…)` is given, a number or a constant, once for each place; and the
//! constant `VERSION` of a file that writes its rows otherwise.

use std::collections::HashMap;

use super::{Finding, SourceFile, crate_folder};

const PATH: &str = "crates/store-rocksdb/src/format.rs";
const NAME: &str = "FORMAT_VERSION";
const CALL: &str = "Writer::versioned(";

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let versions = constants(files);
    let mut sum = 0;
    for file in files.iter().filter(|file| keeps_rows(file)) {
        let Some(rust) = &file.rust else { continue };
        let mut written = 0;
        for (at, _) in rust.code.match_indices(CALL) {
            if rust.in_tests(at) {
                continue;
            }
            written += 1;
            let rest = rust.code.get(at + CALL.len()..).unwrap_or_default();
            let given = rest.split(')').next().unwrap_or_default().trim();
            match version_of(given, &file.path, &versions) {
                Some(version) => sum += version,
                None => findings.push(file.finding(
                    rust.line_of(at),
                    "row-version",
                    format!("`{given}` is no number and no constant of this crate: give it one"),
                )),
            }
        }
        if written == 0 {
            sum += versions.get(&(&file.path, "VERSION")).copied().unwrap_or(0);
        }
    }
    let format = files.iter().find(|file| file.path == PATH);
    if let Some(file) = format
        && let Some((index, line)) = line_of_format(file)
        && constant(line).is_none_or(|(_, said)| said != sum)
    {
        let advice = format!("rows have changed: make {NAME} {sum}, the sum of their versions");
        findings.push(file.finding(index + 1, "row-version", advice));
    }
    findings
}

fn line_of_format(file: &SourceFile) -> Option<(usize, &str)> {
    let mut lines = file.text.lines().enumerate();
    lines.find(|(_, line)| line.contains("const ") && line.contains(NAME))
}

/// Code of a crate that may write rows; the codec itself writes none.
fn keeps_rows(file: &SourceFile) -> bool {
    let path = &file.path;
    let in_crate = path.starts_with("crates/") && path.contains("/src/") && !file.is_test;
    in_crate && path != PATH && path != "crates/base/src/codec.rs"
}

/// What a version is, as a number, or by a constant: of the same file, or of the tables of the crate.
fn version_of(given: &str, path: &str, versions: &HashMap<(&str, &str), u32>) -> Option<u32> {
    if let Ok(number) = given.parse() {
        return Some(number);
    }
    let name = given.rsplit("::").next()?;
    let tables = format!("{}/src/tables.rs", crate_folder(path)?);
    let here = versions.get(&(path, name));
    here.or_else(|| versions.get(&(&tables, name))).copied()
}

/// Every constant that may be a version, by file and name.
fn constants(files: &[SourceFile]) -> HashMap<(&str, &str), u32> {
    let mut all = HashMap::new();
    for file in files.iter().filter(|file| keeps_rows(file)) {
        for (name, value) in file.text.lines().filter_map(constant) {
            all.insert((file.path.as_str(), name), value);
        }
    }
    all
}

/// The name and value of `const NAME: u8 = 3;`.
fn constant(line: &str) -> Option<(&str, u32)> {
    let (_, rest) = line.split_once("const ")?;
    let (name, rest) = rest.split_once(": u")?;
    let (_, value) = rest.split_once(" = ")?;
    Some((name, value.strip_suffix(';')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files
            .iter()
            .map(|(path, text)| SourceFile::for_test(path, Some(3), text));
        let findings = check(&files.collect::<Vec<_>>()).into_iter();
        findings
            .map(|one| format!("{}:{} {}", one.path, one.line, one.advice))
            .collect()
    }

    #[test]
    fn the_number_is_the_sum_of_the_versions_of_all_rows() {
        let rows = (
            "crates/a/src/rows.rs",
            "const V: u8 = 2;\nfn f() { Writer::versioned(V); Writer::versioned(V); }\n\
             fn g() { Writer::versioned(tables::VERSION); }\n\
             #[cfg(test)]\nmod tests { fn f() { Writer::versioned(9); } }\n",
        );
        let tables = (
            "crates/a/src/tables.rs",
            "pub(crate) const VERSION: u8 = 5;\n\
             fn f() { Writer::versioned(1); }\n",
        );
        let other = ("crates/b/src/codec.rs", "const VERSION: u8 = 3;\n");
        let format = |text| (PATH, text);
        let right = format("\npub const FORMAT_VERSION: u32 = 13;\n");
        assert_eq!(found(&[rows, tables, other, right]), [""; 0]);
        let wrong = format("\npub const FORMAT_VERSION: u32 = 12;\n");
        let advice = "rows have changed: make FORMAT_VERSION 13, the sum of their versions";
        assert_eq!(
            found(&[rows, tables, other, wrong]),
            [format!("{PATH}:2 {advice}")]
        );
    }

    #[test]
    fn a_version_that_is_not_known_is_found() {
        let rows = (
            "crates/a/src/rows.rs",
            "\nfn f(n: u8) { Writer::versioned(n); }\n",
        );
        let advice = "`n` is no number and no constant of this crate: give it one";
        assert_eq!(found(&[rows]), [format!("{}:2 {advice}", rows.0)]);
    }
}
