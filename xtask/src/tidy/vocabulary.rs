//! Nothing below floor 5 knows the word *recall* (`policy`, floor 4, decides about it and may):
//! mailbox offers `withdraw` and `restore`, queue offers `hold`, `release`, `cancel`. Comments and
//! strings count: a concept that must be explained there has leaked.

use super::{Finding, SourceFile};

const POLICY_FLOOR: u64 = 4;

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let below = file.floor.is_some_and(|floor| floor < POLICY_FLOOR);
    if !below || !(file.path.ends_with(".rs") || file.path.ends_with("Cargo.toml")) {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    let hits = lines.filter(|(_, line)| line.to_ascii_lowercase().contains("recall"));
    let advice = "say what this floor does (withdraw, restore, hold, release, cancel) and leave the word to floors 4 and up";
    hits.map(|(index, _)| file.finding(index + 1, "vocabulary", advice.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_found_below_policy_only() {
        let cases = [
            ("crates/mailbox/src/a.rs", Some(3), "fn recall() {}", 1),
            (
                "crates/mailbox/src/a.rs",
                Some(3),
                "//! Used by Recalls.\nx\n// RECALL",
                2,
            ),
            ("crates/mailbox/Cargo.toml", Some(3), "tern-recall = 1", 1),
            ("crates/mailbox/src/a.rs", Some(3), "fn withdraw() {}", 0),
            ("crates/policy/src/a.rs", Some(4), "recall.own", 0),
            ("crates/recall/src/a.rs", Some(5), "recall", 0),
            ("docs/recall.md", None, "recall", 0),
        ];
        for (path, floor, text, count) in cases {
            let file = SourceFile::for_test(path, floor, text);
            assert_eq!(check(&file).len(), count, "{path} {text}");
        }
    }
}
