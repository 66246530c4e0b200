//! Every table of the store has a first byte of its own, whichever crate keeps it: two tables with one
//! byte would read each other's rows.

use std::collections::HashMap;

use super::{Finding, SourceFile};

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut sorted: Vec<&SourceFile> = files.iter().filter(|file| keeps_tables(file)).collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let (mut taken, mut findings) = (HashMap::new(), Vec::new());
    for file in sorted {
        for (index, line) in file.text.lines().enumerate() {
            let Some((name, byte)) = table(line) else {
                continue;
            };
            let here = format!("`{name}` of {}", file.path);
            if let Some(other) = taken.insert(byte.to_owned(), here) {
                let advice = format!("{byte} is the first byte of {other}: take a free one");
                findings.push(file.finding(index + 1, "table-byte", advice));
            }
        }
    }
    findings
}

fn keeps_tables(file: &SourceFile) -> bool {
    file.path.starts_with("crates/") && file.path.ends_with("/src/tables.rs")
}

/// The name and byte of `const NAME: u8 = 0x1a;`.
fn table(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("const ")?;
    let (name, byte) = rest.split_once(": u8 = 0x")?;
    Some((name, byte.strip_suffix(';')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<(String, usize)> {
        let files = files
            .iter()
            .map(|(path, text)| SourceFile::for_test(path, Some(3), text));
        let findings = check(&files.collect::<Vec<_>>()).into_iter();
        findings.map(|one| (one.path, one.line)).collect()
    }

    #[test]
    fn one_byte_in_two_crates_is_found() {
        let a = ("crates/a/src/tables.rs", "const ONE: u8 = 0x10;\n");
        let b = (
            "crates/b/src/tables.rs",
            "\npub(crate) const TWO: u8 = 0x10;\n",
        );
        assert_eq!(found(&[b, a]), [(b.0.to_owned(), 2)]);
        assert_eq!(found(&[a]), []);
        let elsewhere = ("crates/b/src/other.rs", b.1);
        let version = ("crates/b/src/tables.rs", "const VERSION: u8 = 1;\n");
        assert_eq!(found(&[a, elsewhere, version]), []);
    }
}
