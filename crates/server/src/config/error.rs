//! What is wrong with a configuration file, shown where it is wrong.
//!
//! Invariant: every error of a file that could be read names line and column, the key, and what
//! was expected there; a key that is nearly right is named. What several options come to together has no
//! one place: it names them.

use std::fmt::Display;
use std::io;
use std::ops::Range;
use std::path::Path;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// Why a configuration was not loaded.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct ConfigError(Box<Fault>);

/// What is wrong, and where.
#[derive(Debug)]
struct Fault {
    message: String,
    place: Option<(NamedSource<String>, LabeledSpan)>,
    help: Option<String>,
}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        let help = self.0.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0
            .place
            .as_ref()
            .map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, label) = self.0.place.as_ref()?;
        Some(Box::new(std::iter::once(label.clone())))
    }
}

impl ConfigError {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        let help = (error.kind() == io::ErrorKind::NotFound)
            .then(|| String::from("`tern init` writes a first one; `--config` names another file"));
        Self(Box::new(Fault {
            message: format!("{}: {error}", path.display()),
            place: None,
            help,
        }))
    }

    pub(super) fn senseless(name: &str, wrong: &[String]) -> Self {
        Self(Box::new(Fault {
            message: format!("{name}: {}", wrong.join("; ")),
            place: None,
            help: None,
        }))
    }

    pub(super) fn syntax(text: &str, name: &str, error: &toml::de::Error) -> Self {
        Self::at(text, name, error.span(), "not TOML", error.message(), None)
    }

    pub(super) fn of(
        text: &str,
        name: &str,
        error: &serde_path_to_error::Error<toml::de::Error>,
    ) -> Self {
        let inner = error.inner();
        let told = inner.message();
        let path = error.path().to_string();
        let Some(unknown) = Unknown::of(told) else {
            let message = match path.as_str() {
                "." => String::from("the configuration has a wrong value"),
                path => format!("`{path}` has a wrong value"),
            };
            return Self::at(text, name, inner.span(), &message, told, None);
        };
        // Where the path does not end in the key itself, it names the section.
        let section = path.strip_suffix(unknown.key).unwrap_or(&path);
        let section = section.trim_end_matches('.');
        let place = match section {
            "" => String::from("the configuration"),
            section => format!("`[{section}]`"),
        };
        let message = format!("{place} has no {} `{}`", unknown.what, unknown.key);
        let nearest = nearest(unknown.key, &unknown.expected);
        let label = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => String::from("not known here"),
        };
        let help = format!("expected: {}", unknown.expected.join(", "));
        Self::at(text, name, inner.span(), &message, &label, Some(help))
    }

    fn at(
        text: &str,
        name: &str,
        span: Option<Range<usize>>,
        message: &str,
        label: &str,
        help: Option<String>,
    ) -> Self {
        let source = NamedSource::new(name, text.to_owned());
        let label = label.lines().collect::<Vec<_>>().join("; ");
        let span = LabeledSpan::new_with_span(Some(label), span.unwrap_or(0..0));
        Self(Box::new(Fault {
            message: message.to_owned(),
            place: Some((source, span)),
            help,
        }))
    }
}

/// What serde says of a key or a choice that does not exist.
struct Unknown<'a> {
    what: &'static str,
    key: &'a str,
    expected: Vec<&'a str>,
}

impl<'a> Unknown<'a> {
    /// Reads "unknown field `a`, expected one of `b`, `c`".
    fn of(told: &'a str) -> Option<Self> {
        let (what, rest) = match told.strip_prefix("unknown field `") {
            Some(rest) => ("option", rest),
            None => ("choice", told.strip_prefix("unknown variant `")?),
        };
        let (key, rest) = rest.split_once('`')?;
        // Every second piece between backticks is a name.
        let expected = rest.split('`').skip(1).step_by(2).collect();
        Some(Self {
            what,
            key,
            expected,
        })
    }
}

/// The candidate that a slip of the fingers turns into `key`, if there is one.
fn nearest<'a>(key: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&&str| edit_distance(key, candidate);
    let best = candidates.iter().min_by_key(distance)?;
    let allowed = (key.chars().count().max(best.chars().count()) / 3).max(1);
    (edit_distance(key, best) <= allowed || best.contains(key)).then_some(*best)
}

/// Insertions, deletions and substitutions between two texts (Levenshtein), by one row.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = *cell;
            *cell = substituted.min(left + 1).min(diagonal + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::edit_distance;

    #[test]
    fn edit_distances() {
        let cases = [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
        ];
        for (a, b, expected) in cases {
            assert_eq!(edit_distance(a, b), expected, "{a} {b}");
        }
    }
}
