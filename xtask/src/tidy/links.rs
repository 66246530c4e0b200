//! Links between the repository's Markdown files and to its other files resolve. Web addresses are
//! not fetched; code blocks are not read. Anchors are checked within the same file only.

use super::{Finding, SourceFile};

const RULE: &str = "link";

/// `exists` answers for a path relative to the root of the clone.
pub(super) fn check(file: &SourceFile, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, target) in targets(&file.text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let found = match path {
            "" => has_anchor(&file.text, anchor),
            path => resolve(&file.path, path).is_some_and(|path| exists(&path)),
        };
        if !found {
            let advice = format!("`{target}` leads nowhere: correct or remove the link");
            findings.push(file.finding(line, RULE, advice));
        }
    }
    findings
}

/// Link targets with their lines: `[text](target)`, `[text](target "title")`, `[label]: target`.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        if in_block {
            continue;
        }
        let line = without_code(line);
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((index + 1, target.trim_matches(['<', '>']).to_owned()));
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            let target = target.split_whitespace().next().unwrap_or_default();
            found.push((index + 1, target.to_owned()));
        }
    }
    found
}

/// The line without its `code spans`.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match path.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').collect(),
    };
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn has_anchor(text: &str, anchor: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| slug(line.trim_start_matches('#')))
        .any(|heading| heading == anchor)
}

/// GitHub's rule: lower case, spaces to hyphens, other punctuation dropped.
fn slug(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let file = SourceFile::for_test("docs/a.md", None, text);
        let exists = |path: &str| ["docs/b.md", "README.md", "docs"].contains(&path);
        check(&file, &exists)
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn links_that_resolve_are_clean() {
        let text = "# One: two\n[a](b.md) [b](../README.md#x) [c](https://example.org/)\n[d](#one-two) `[e](none.md)`\n```\n[f](none.md)\n```\n[g]: b.md\n[h](/README.md)\n[i](.)";
        assert_eq!(lines(text), [0; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(
            lines("[a](none.md)\n[b](../../b.md)\n[c](#none)\n[d]: none.md"),
            [1, 2, 3, 4]
        );
    }
}
