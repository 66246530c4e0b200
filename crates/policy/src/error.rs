//! What is wrong with a policy, and where.

use std::fmt;

/// One thing that keeps a set from being loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyError {
    /// The file, by the name that it was given.
    pub file: String,
    /// The line, from 1; 0 when it is the file or the set as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The policy, as far as it has an id.
    pub policy: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What may help: the nearest valid name, where there is one.
    pub help: Option<String>,
}

impl PolicyError {
    /// An error about a whole file.
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            policy: None,
            message: message.into(),
            help: None,
        }
    }

    /// An error at an offset of a text.
    pub(crate) fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = position(text, offset);
        Self {
            line,
            column,
            ..Self::of_file(file, message)
        }
    }

    pub(crate) fn of_policy(mut self, id: Option<&str>) -> Self {
        self.policy = id.map(str::to_owned);
        self
    }

    pub(crate) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        if let Some(policy) = &self.policy {
            write!(f, "policy `{policy}`: ")?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PolicyError {}

/// Line and column of an offset, both from 1. An offset within a character counts as its start.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before: Vec<char> = text
        .char_indices()
        .take_while(|(at, _)| *at < offset)
        .map(|(_, c)| c)
        .collect();
    let line = before.iter().filter(|c| **c == '\n').count() + 1;
    let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
    (line, column)
}

/// The name that was probably meant: the nearest one, if it is near.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = names
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .min()?;
    let (far, name) = near;
    (far <= 1 + name.chars().count() / 3).then(|| format!("did you mean `{name}`?"))
}

/// The edit distance of two texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (above, cb) in row.iter_mut().skip(1).zip(&b) {
            let cost = (diagonal + usize::from(ca != *cb))
                .min(left + 1)
                .min(*above + 1);
            diagonal = *above;
            *above = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{nearest, position};

    #[test]
    fn positions_count_characters() {
        let text = "ä b\ncé";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 3), (1, 3));
        assert_eq!(position(text, 5), (2, 1));
        assert_eq!(position(text, 99), (2, 3));
    }

    #[test]
    fn the_nearest_name_is_named_when_it_is_near() {
        let names = ["too-old", "not-yours", "rate-limited"];
        let meant = nearest("to-old", names);
        assert_eq!(meant.as_deref(), Some("did you mean `too-old`?"));
        assert_eq!(nearest("something", names), None);
    }
}
