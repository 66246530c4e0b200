//! The options of the pages.

use serde::{Deserialize, Serialize};

use super::Config;

/// The pages of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Https {
    /// What links to the pages begin with, as people reach them from where they read their mail:
    /// `https://mail.example.org`. A URL of scheme, host and port; default none, which makes it from
    /// the host name and the port of the first listener.
    pub url: PublicUrl,
}

/// Scheme, host and port, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl(Option<String>);

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let plain = text.strip_suffix('/').unwrap_or(&text);
        let host = plain.strip_prefix("https://").unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        match !host.is_empty() && host.chars().all(fits) {
            true => Ok(Self(Some(plain.to_owned()))),
            false => Err(format!(
                "`{text}` is not of the form https://host or https://host:port"
            )),
        }
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> Self {
        url.0.unwrap_or_default()
    }
}

impl PublicUrl {
    /// The URL, where one is named.
    pub fn named(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl Config {
    /// What links to the pages begin with; none where there are no pages.
    pub fn public_url(&self) -> Option<String> {
        let first = self.listeners.https.first()?;
        let host = self.server.hostname.as_str();
        Some(match (self.https.url.named(), first.port()) {
            (Some(url), _) => url.to_owned(),
            (None, 443) => format!("https://{host}"),
            (None, port) => format!("https://{host}:{port}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_begin_with_what_is_named_or_else_the_host() {
        let base = |text: &str| {
            let text = format!("[server]\nhostname = \"mx.example.org\"\n{text}");
            Config::parse(&text, "test").map(|config| config.public_url())
        };
        let named = |text: &str| base(&format!("[https]\nurl = \"{text}\""));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(base("").expect("right"), some("https://mx.example.org"));
        assert_eq!(base("[listeners]\nhttps = []").expect("right"), None);
        let other = base("[listeners]\nhttps = [\"[::]:8443\"]").expect("right");
        assert_eq!(other, some("https://mx.example.org:8443"));
        let url = named("https://mail.example.org/").expect("right");
        assert_eq!(url, some("https://mail.example.org"));
        for wrong in [
            "http://a.example",
            "https://",
            "https://a.example/x",
            "https://a b",
            "a.example",
        ] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
