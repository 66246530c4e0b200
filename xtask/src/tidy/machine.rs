//! Tracked files name no machine: no home or work folder of whoever wrote them, no package
//! registry's
//! host (mirrors differ; names of registries in prose are fine). The patterns are assembled here so
//! that this file does not match itself.

use super::{Finding, SourceFile};

const FOLDERS: [&str; 3] = [
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/ro", "ot`"),
];

const HOSTS: [&str; 8] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("deb.debian", ".org"),
    concat!("rubygems", ".org"),
    concat!("proxy.golang", ".org"),
];

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    // Cargo writes the name of its default index there, on every machine alike.
    let generated = file.path.ends_with("Cargo.lock");
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if let Some(folder) = FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            let advice =
                format!("`{folder}` is a path of one machine: make it relative or a setting");
            findings.push(file.finding(index + 1, "machine-path", advice));
        }
        let host = HOSTS.iter().find(|host| line.contains(**host));
        if let Some(host) = host.filter(|_| !generated) {
            let advice = format!("`{host}` is a registry's host: name the package, not the place");
            findings.push(file.finding(index + 1, "registry-host", advice));
        }
    }
    findings
}

/// A path that starts here: `example.org/work/` and `a/root/` are others.
fn names_folder(line: &str, folder: &str) -> bool {
    let starts_path = |at: usize| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-$}>*".contains(c))
    };
    line.match_indices(folder).any(|(at, _)| starts_path(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let file = SourceFile::for_test(path, None, text);
        check(&file)
            .into_iter()
            .map(|finding| finding.rule)
            .collect()
    }

    #[test]
    fn machine_paths_and_registry_hosts_are_found() {
        let (home, work) = (FOLDERS[0], FOLDERS[1]);
        assert_eq!(rules("a.md", &format!("see {work}notes")), ["machine-path"]);
        assert_eq!(
            rules("a.toml", &format!("path = \"{home}x\"")),
            ["machine-path"]
        );
        assert_eq!(
            rules("a.md", &format!("https://{}/x", HOSTS[0])),
            ["registry-host"]
        );
    }

    #[test]
    fn other_paths_are_clean() {
        let work = FOLDERS[1];
        assert_eq!(
            rules(
                "a.md",
                &format!("https://example.org{work}x ~/.cache /etc/tern")
            ),
            [""; 0]
        );
        assert_eq!(
            rules(
                "Cargo.lock",
                &format!("registry+https://{}-index", HOSTS[0])
            ),
            [""; 0]
        );
        assert_eq!(rules("a.md", "PyPI, npm and Debian by name"), [""; 0]);
    }
}
