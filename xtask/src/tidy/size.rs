//! A file is one verb and a function fits a screen: at most 800 lines and 70 lines (120 for a test,
//! whose table is its body).

use super::{Finding, SourceFile};

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;
const TEST_LINES: usize = 120;

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let Some(rust) = &file.rust else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES {
        let advice = format!("{lines} lines, at most {FILE_LINES}: split by verb");
        findings.push(file.finding(1, "file-size", advice));
    }
    for function in rust.functions() {
        let limit = if function.is_test {
            TEST_LINES
        } else {
            FUNCTION_LINES
        };
        if function.length > limit {
            let (name, length) = (function.name, function.length);
            let advice = format!("`{name}` has {length} lines, at most {limit}: split it");
            findings.push(file.finding(function.line, "function-size", advice));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<(usize, &'static str)> {
        let file = SourceFile::for_test("crates/a/src/a.rs", Some(1), text);
        check(&file)
            .into_iter()
            .map(|finding| (finding.line, finding.rule))
            .collect()
    }

    #[test]
    fn limits_are_inclusive() {
        assert_eq!(rules(&"\n".repeat(800)), []);
        assert_eq!(rules(&"\n".repeat(801)), [(1, "file-size")]);
        let function = |lines: usize| format!("\nfn a() {{{}}}\n", "\n".repeat(lines - 1));
        assert_eq!(rules(&function(70)), []);
        assert_eq!(rules(&function(71)), [(2, "function-size")]);
        assert_eq!(rules(&format!("#[test]{}", function(120))), []);
        assert_eq!(
            rules(&format!("#[test]{}", function(121))),
            [(2, "function-size")]
        );
    }

    #[test]
    fn braces_in_text_do_not_count() {
        assert_eq!(
            rules(&format!(
                "fn a() {{ \"{{\"; '{{' }} // {{{}",
                "\n".repeat(100)
            )),
            []
        );
    }
}
