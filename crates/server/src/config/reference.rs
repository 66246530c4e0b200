//! The option reference and the commented default file, both generated: the text from the doc
//! comments in the source, the values from the defaults in the code.
//!
//! Invariant: every option that the configuration accepts is in both, in the order of the source.

use std::fmt::Write as _;

use super::Config;

/// A section: its name, and the struct whose source describes it.
struct Section {
    name: &'static str,
    structure: &'static str,
    source: &'static str,
}

const OWN: &str = include_str!("mod.rs");

/// The sections in the order of [`Config`].
const SECTIONS: &[Section] = &[
    section("server", "Server", OWN),
    section("tls", "Tls", OWN),
    section("listeners", "Listeners", OWN),
    section("limits", "Limits", OWN),
    section(
        "smtp",
        "Settings",
        include_str!("../../../smtp/src/settings.rs"),
    ),
    section(
        "imap",
        "Settings",
        include_str!("../../../imap/src/settings.rs"),
    ),
    section("https", "Https", include_str!("https.rs")),
    section("jmap", "Jmap", include_str!("jmap.rs")),
    section(
        "directory",
        "Settings",
        include_str!("../../../directory/src/principal/settings.rs"),
    ),
    section("push", "Push", include_str!("push.rs")),
    section("relay", "Relay", OWN),
    section("policy", "Policy", include_str!("policy.rs")),
    section(
        "recall",
        "Settings",
        include_str!("../../../recall/src/settings.rs"),
    ),
    section("audit", "Audit", include_str!("audit.rs")),
    section("syslog", "Syslog", include_str!("audit.rs")),
    section(
        "store",
        "Settings",
        include_str!("../../../store-rocksdb/src/settings.rs"),
    ),
    section("log", "Log", OWN),
];

const fn section(name: &'static str, structure: &'static str, source: &'static str) -> Section {
    Section {
        name,
        structure,
        source,
    }
}

/// Accepted in a section and not described there: `[server] hostname` sets it.
const INHERITED: &[&str] = &["smtp.hostname", "imap.hostname", "recall.hostname"];

/// One option as its source describes it.
struct Described {
    key: String,
    text: String,
}

impl Section {
    /// What the doc comment of the section's field in [`Config`] says.
    fn about(&self) -> String {
        let described = described(OWN, "Config");
        let about = described.into_iter().find(|field| field.key == self.name);
        about.map(|field| field.text).unwrap_or_default()
    }

    fn options(&self) -> Vec<Described> {
        let inherited = |key: &str| INHERITED.contains(&format!("{}.{key}", self.name).as_str());
        let mut options = described(self.source, self.structure);
        options.retain(|option| !inherited(&option.key));
        options
    }

    /// The value of an option by default, as TOML.
    fn default_of(&self, defaults: &toml::Table, key: &str) -> String {
        let value = defaults.get(self.name).and_then(|section| section.get(key));
        match value {
            Some(toml::Value::Table(table)) if table.is_empty() => String::from("{}"),
            Some(value) => value.to_string(),
            None => String::from("?"),
        }
    }
}

/// The public fields of a struct with their doc comments, read from Rust source.
fn described(source: &str, structure: &str) -> Vec<Described> {
    let opening = format!("pub struct {structure} {{");
    let lines = source.lines().map(str::trim);
    let body = lines.skip_while(|line| *line != opening).skip(1);
    let mut found = Vec::new();
    let mut text: Vec<&str> = Vec::new();
    for line in body.take_while(|line| *line != "}") {
        if let Some(comment) = line.strip_prefix("///") {
            text.push(comment.trim());
        } else if let Some((key, _)) = line.strip_prefix("pub ").and_then(|l| l.split_once(':')) {
            found.push(Described {
                key: key.to_owned(),
                text: std::mem::take(&mut text).join(" "),
            });
        }
    }
    found
}

fn defaults() -> toml::Table {
    // The defaults are plain data; were they not, the test of this file would show it.
    toml::Table::try_from(Config::default()).unwrap_or_default()
}

/// The configuration file with every option, commented out, at its default.
pub fn commented_default() -> String {
    let defaults = defaults();
    let mut out = String::from(
        "# The configuration of Tern. Every option is here at its default, commented out.\n\
         # `tern config check` says whether a file is right.\n",
    );
    for section in SECTIONS {
        out.push('\n');
        wrap(&mut out, "# ", &section.about());
        let _ = writeln!(out, "[{}]", section.name);
        for option in section.options() {
            let _ = writeln!(out);
            wrap(&mut out, "# ", &option.text);
            let value = section.default_of(&defaults, &option.key);
            let _ = writeln!(out, "#{} = {value}", option.key);
        }
    }
    out
}

/// The option reference in Markdown.
pub fn reference() -> String {
    let defaults = defaults();
    let mut out = String::from(
        "# Configuration\n\nGenerated by `tern config reference` from the doc comments in the \
         source; do not edit.\n\nOne TOML file, by default `/etc/tern/tern.toml`; `--config` names \
         another. A key that does not exist is an error. `tern config default` prints a file with \
         every option commented out, `tern config check` checks one.\n",
    );
    for section in SECTIONS {
        let _ = writeln!(out, "\n## [{}]\n\n{}\n", section.name, section.about());
        let _ = writeln!(out, "| option | default | |\n|---|---|---|");
        for option in section.options() {
            let value = section.default_of(&defaults, &option.key);
            let (key, text) = (&option.key, option.text.replace('|', "\\|"));
            let _ = writeln!(out, "| `{key}` | `{value}` | {text} |");
        }
    }
    out
}

/// Writes a text in lines of at most 100 columns.
fn wrap(out: &mut String, prefix: &str, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > 100 {
            out.push('\n');
            width = 0;
        }
        let before = if width == 0 { prefix } else { " " };
        out.push_str(before);
        out.push_str(word);
        width += before.len() + word.len();
    }
    if width > 0 {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_option_is_described_once() {
        let described: BTreeSet<String> = SECTIONS
            .iter()
            .flat_map(|s| s.options().into_iter().map(|o| (s.name, o)))
            .inspect(|(name, o)| assert!(o.text.len() > 20, "{name}.{} has no text", o.key))
            .map(|(name, o)| format!("{name}.{}", o.key))
            .chain(INHERITED.iter().map(|key| (*key).to_owned()))
            .collect();
        let accepted: BTreeSet<String> = defaults()
            .iter()
            .flat_map(|(name, section)| {
                let keys = section.as_table().into_iter().flat_map(toml::Table::keys);
                keys.map(move |key| format!("{name}.{key}"))
            })
            .collect();
        assert_eq!(described, accepted);
    }

    #[test]
    fn the_default_file_is_the_default_with_or_without_its_comments() {
        let text = commented_default();
        assert_eq!(
            Config::parse(&text, "default").expect("valid"),
            Config::default()
        );
        let lines = text.lines().map(|line| match line.strip_prefix('#') {
            Some(option) if !option.starts_with(' ') => option,
            _ => line,
        });
        let all: Vec<&str> = lines.collect();
        let parsed = Config::parse(&all.join("\n"), "default").expect("valid");
        assert_eq!(parsed, Config::default());
    }
}
