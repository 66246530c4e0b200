//! Exceptions: `xtask/tidy-allow.txt`, one for each line: rule, path, reason. They cover a rule
//! in a
//! whole file, so that moving a line breaks nothing. Refuses exceptions without a reason and ones
//! that no longer cover anything.

use super::Finding;

/// Where the exceptions stand.
pub(super) const PATH: &str = "xtask/tidy-allow.txt";

const RULE: &str = "exception";

/// Removes the findings that an exception covers; adds one for each bad or idle exception.
pub(super) fn apply(exceptions: &str, findings: Vec<Finding>) -> Vec<Finding> {
    let mut left = findings;
    let mut complaints = Vec::new();
    for (index, line) in exceptions.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let (rule, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let advice = match words.next().map(str::trim) {
            None | Some("") => "write: rule path reason",
            Some(_) => {
                let before = left.len();
                left.retain(|finding| finding.rule != rule || finding.path != path);
                if left.len() < before {
                    continue;
                }
                "covers nothing any more: remove it"
            }
        };
        let (path, advice) = (PATH.to_owned(), advice.to_owned());
        complaints.push(Finding {
            path,
            line: index + 1,
            rule: RULE,
            advice,
        });
    }
    left.extend(complaints);
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &'static str, path: &str) -> Finding {
        Finding {
            path: path.to_owned(),
            line: 1,
            rule,
            advice: String::new(),
        }
    }

    #[test]
    fn an_exception_covers_its_rule_in_its_file() {
        let found = vec![
            finding("size", "a.rs"),
            finding("size", "b.rs"),
            finding("docs", "a.rs"),
        ];
        let left = apply("# comment\n\nsize a.rs generated table\n", found);
        assert_eq!(left, [finding("size", "b.rs"), finding("docs", "a.rs")]);
    }

    #[test]
    fn idle_and_unexplained_exceptions_are_findings() {
        let lines = |text| {
            apply(text, vec![])
                .iter()
                .map(|f| f.line)
                .collect::<Vec<_>>()
        };
        assert_eq!(lines("size a.rs because\n"), [1]);
        assert_eq!(lines("# why\nsize a.rs\n"), [2]);
        assert_eq!(lines(""), [0; 0]);
    }
}
