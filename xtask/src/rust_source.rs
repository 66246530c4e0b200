//! A Rust source file split into code and comments, line by line: enough for house rules, not a
//! parser. In the code view strings, characters and comments are spaces of the same length, so byte
//! offsets and line numbers hold in both views. Unfinished strings run to the end of the file.

use std::ops::Range;

/// One file, scanned.
pub(crate) struct RustSource {
    /// The text with comments, strings and characters blanked.
    pub(crate) code: String,
    /// Each comment's text with the line (from 1) where it starts; block comments are split
    /// by line.
    pub(crate) comments: Vec<(usize, String)>,
    /// Byte ranges of items under `#[cfg(test)]` or a test attribute.
    pub(crate) tests: Vec<Range<usize>>,
}

/// A function with a body.
#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of `fn`, from 1.
    pub(crate) line: usize,
    /// Lines from `fn` to its closing brace.
    pub(crate) length: usize,
    /// Whether a test attribute stands before it.
    pub(crate) is_test: bool,
}

impl RustSource {
    /// Scans a whole file.
    pub(crate) fn scan(text: &str) -> Self {
        let (code, comments) = split(text);
        let tests = test_ranges(&code);
        Self {
            code,
            comments,
            tests,
        }
    }

    /// The line of a byte offset, from 1.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.code
            .as_bytes()
            .iter()
            .take(offset)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    }

    /// Whether an offset lies in test code.
    pub(crate) fn in_tests(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// Offsets where `needle` stands in the code as a whole path segment or token.
    pub(crate) fn find_token(&self, needle: &str) -> Vec<usize> {
        let ends_in_word = needle.ends_with(is_word);
        let starts_in_word = needle.starts_with(is_word);
        let code = &self.code;
        let whole = |(at, _): &(usize, &str)| {
            let before = code[..*at].chars().next_back().is_some_and(is_word);
            let after = code[at + needle.len()..]
                .chars()
                .next()
                .is_some_and(is_word);
            !(before && starts_in_word || after && ends_in_word)
        };
        code.match_indices(needle)
            .filter(whole)
            .map(|(at, _)| at)
            .collect()
    }

    /// Every function that has a body, nested ones included.
    pub(crate) fn functions(&self) -> Vec<Function> {
        self.find_token("fn")
            .into_iter()
            .filter_map(|at| self.function_at(at))
            .collect()
    }

    /// Modules declared as `#[cfg(test)] mod name;`, whose files are test code.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let declared = self.tests.iter().filter_map(|range| {
            let item = self.code.get(range.clone())?.trim_end().strip_suffix(';')?;
            let (_, name) = item.rsplit_once("mod ")?;
            Some(name.trim().to_owned())
        });
        declared.collect()
    }

    fn function_at(&self, at: usize) -> Option<Function> {
        let rest = &self.code[at + 2..];
        let name: String = rest
            .trim_start()
            .chars()
            .take_while(|c| is_word(*c))
            .collect();
        if name.is_empty() {
            return None; // a function pointer type
        }
        let end = item_end(&self.code, at)?;
        if !self.code[..end].ends_with('}') {
            return None; // a trait's signature
        }
        let attributes_start = self.code[..at]
            .rfind(['{', '}', ';'])
            .map_or(0, |before| before + 1);
        let attributes = &self.code[attributes_start..at];
        let line = self.line_of(at);
        let length = self.line_of(end) - line + 1;
        Some(Function {
            name,
            line,
            length,
            is_test: has_test_attribute(attributes),
        })
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_test_attribute(attributes: &str) -> bool {
    attributes.contains("#[test]")
        || attributes.contains("::test]")
        || attributes.contains("::test(")
}

fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let starts = ["#[cfg(test)]", "#[cfg(all(test", "#[test]", "#[tokio::test"];
    let starts = starts
        .iter()
        .flat_map(|attribute| code.match_indices(attribute));
    starts
        .filter_map(|(at, _)| Some(at..item_end(code, at)?))
        .collect()
}

/// The end of the item that starts at `at`: after its body's closing brace, or after its semicolon.
fn item_end(code: &str, at: usize) -> Option<usize> {
    let mut nesting = 0_usize;
    let mut braces = 0_usize;
    for (offset, byte) in code.as_bytes().iter().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => nesting += 1,
            b')' | b']' => nesting = nesting.saturating_sub(1),
            b'{' => braces += 1,
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 && nesting == 0 {
                    return Some(offset + 1);
                }
            }
            b';' if braces == 0 && nesting == 0 => return Some(offset + 1),
            _ => {}
        }
    }
    None
}

fn split(text: &str) -> (String, Vec<(usize, String)>) {
    let mut code = String::with_capacity(text.len());
    let mut comments = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, kind) = token(rest, code.chars().next_back());
        let length = if length == 0 {
            first.len_utf8()
        } else {
            length
        };
        let (taken, after) = rest.split_at(length);
        match kind {
            Kind::Code => code.push_str(taken),
            Kind::Text => blank(taken, &mut code),
            Kind::Comment => {
                let lines = taken.lines().enumerate();
                comments.extend(lines.map(|(index, part)| (line + index, part.to_owned())));
                blank(taken, &mut code);
            }
        }
        line += taken.matches('\n').count();
        rest = after;
    }
    (code, comments)
}

enum Kind {
    Code,
    Text,
    Comment,
}

/// The length in bytes of what starts here, and its kind.
fn token(rest: &str, previous: Option<char>) -> (usize, Kind) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Kind::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Kind::Comment);
    }
    if rest.starts_with('"') {
        return (quoted(rest), Kind::Text);
    }
    if rest.starts_with('\'') {
        return match character(rest) {
            Some(length) => (length, Kind::Text),
            None => (1, Kind::Code), // a lifetime
        };
    }
    if rest.starts_with(['r', 'b', 'c']) && !previous.is_some_and(is_word) {
        let prefix = rest.chars().take_while(|c| "rbc".contains(*c)).count();
        let after = &rest[prefix..];
        let hashes = after.chars().take_while(|c| *c == '#').count();
        if prefix <= 2 && after[hashes..].starts_with('"') && rest[..prefix].contains('r') {
            return (prefix + raw(after, hashes), Kind::Text);
        }
    }
    (0, Kind::Code)
}

fn block_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2), // the first pair opened
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw(after_prefix: &str, hashes: usize) -> usize {
    let end = format!("\"{}", "#".repeat(hashes));
    let open = hashes + 1;
    after_prefix[open..]
        .find(&end)
        .map_or(after_prefix.len(), |at| open + at + end.len())
}

/// The length of a character literal, or none where the quote starts a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next()?; // the escaped character may be a quote
        return chars.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

fn blank(text: &str, into: &mut String) {
    for c in text.chars() {
        match c {
            '\n' => into.push('\n'),
            _ => (0..c.len_utf8()).for_each(|_| into.push(' ')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_leave_the_code() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("x(\"fn {\") y", "x(      ) y"),
            ("x(\"\\\"}\") y", "x(     ) y"),
            ("r#\"a\"b\"# c", "         c"),
            ("br\"\\\" c", "      c"),
            ("'{' 'a 'b'", "    'a    "),
            ("'\\'' x", "     x"),
            ("\"é\" x", "     x"),
            ("var\"s\" x", "var    x"),
        ];
        for (text, code) in cases {
            assert_eq!(RustSource::scan(text).code, code, "{text}");
        }
    }

    #[test]
    fn comments_keep_their_lines() {
        let source = RustSource::scan("//! one\nfn a() {} // two\n/* three\nfour */");
        let lines: Vec<_> = source
            .comments
            .iter()
            .map(|(n, text)| (*n, text.as_str()))
            .collect();
        assert_eq!(
            lines,
            [
                (1, "//! one"),
                (2, "// two"),
                (3, "/* three"),
                (4, "four */")
            ]
        );
    }

    #[test]
    fn functions_are_measured() {
        let text = "trait T { fn a(&self); }\nfn b(x: [u8; 4]) -> u8 {\n  {}\n}\n#[test]\nfn c() { fn d() {} }\ntype F = fn(u8);";
        let functions = RustSource::scan(text).functions();
        let short: Vec<_> = functions
            .iter()
            .map(|function| {
                (
                    function.name.as_str(),
                    function.line,
                    function.length,
                    function.is_test,
                )
            })
            .collect();
        assert_eq!(
            short,
            [("b", 2, 3, false), ("c", 6, 1, true), ("d", 6, 1, false)]
        );
    }

    #[test]
    fn test_code_is_known() {
        let source = RustSource::scan(
            "fn a() { x }\n#[cfg(test)]\nmod tests { y }\n#[cfg(test)]\nmod cases;\nz",
        );
        let place = |token| {
            source
                .find_token(token)
                .into_iter()
                .map(|at| source.in_tests(at))
        };
        assert!(place("x").eq([false]) && place("y").eq([true]) && place("z").eq([false]));
        assert_eq!(source.test_modules(), ["cases"]);
    }

    #[test]
    fn tokens_are_whole() {
        let source = RustSource::scan("now(); snow(); now_ms(); a::now()");
        assert_eq!(source.find_token("now"), [0, 28]);
    }
}
