//! Each crate declares its floor and depends on lower floors only. Packages beside the house (sim,
//! xtask, tests/*) may use anything; dev-dependencies are exempt.

use super::Finding;
use crate::metadata::Package;

const RULE: &str = "floor";

/// Packages that stand beside the house: nothing in it may depend on them.
fn is_beside(package: &Package) -> bool {
    !package.folder.starts_with("crates/") || package.folder == "crates/sim"
}

pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| !is_beside(package)) {
        let mut report = |advice| {
            let path = format!("{}/Cargo.toml", package.folder);
            findings.push(Finding {
                path,
                line: 1,
                rule: RULE,
                advice,
            });
        };
        let Some(floor) = package.floor else {
            report("declare `floor = N` under [package.metadata.tern]".to_owned());
            continue;
        };
        for name in &package.dependencies {
            let Some(other) = packages.iter().find(|other| other.name == *name) else {
                continue; // from outside the workspace
            };
            match other.floor {
                _ if is_beside(other) => {
                    report(format!(
                        "{name} stands beside the house: no crate may depend on it"
                    ));
                }
                Some(theirs) if theirs >= floor => report(format!(
                    "floor {floor} may not depend on {name} (floor {theirs}): import lower floors only, or pass the verb in"
                )),
                _ => {}
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, folder: &str, floor: Option<u64>, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            folder: folder.to_owned(),
            floor,
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            binaries: Vec::new(),
        }
    }

    #[test]
    fn downward_is_clean() {
        let packages = [
            package("tern-base", "crates/base", Some(0), &["serde"]),
            package("tern-imap", "crates/imap", Some(7), &["tern-base"]),
            package("tern-sim", "crates/sim", Some(9), &["tern-imap"]),
            package("tern-bench", "tests/bench", None, &["tern-imap"]),
        ];
        assert_eq!(check(&packages), []);
    }

    #[test]
    fn upward_sideways_beside_and_undeclared_are_found() {
        let packages = [
            package("tern-base", "crates/base", Some(0), &["tern-imap"]),
            package(
                "tern-imap",
                "crates/imap",
                Some(7),
                &["tern-smtp", "tern-sim"],
            ),
            package("tern-smtp", "crates/smtp", Some(7), &[]),
            package("tern-sim", "crates/sim", Some(9), &[]),
            package("tern-new", "crates/new", None, &[]),
        ];
        let found: Vec<_> = check(&packages)
            .into_iter()
            .map(|finding| finding.path)
            .collect();
        let expected = ["crates/base", "crates/imap", "crates/imap", "crates/new"];
        assert_eq!(found, expected.map(|folder| format!("{folder}/Cargo.toml")));
    }
}
