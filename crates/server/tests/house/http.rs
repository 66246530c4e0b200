//! A tiny HTTP/1.1 client, and an authenticator application: what a person has who opens a link.

use tern_server::demo::client::Wire;
use totp_rs::{Builder, Secret, Totp};

use super::House;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the page has this text.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.body.contains(text)
    }
}

/// Reads an answer to a request of this method.
pub(crate) fn read(wire: &mut Wire, method: &str) -> std::io::Result<Answer> {
    let line = wire.line()?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut answer = Answer {
        status: status.expect("a status line"),
        fields: Vec::new(),
        body: String::new(),
    };
    loop {
        let line = wire.line()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        let name = name.to_ascii_lowercase();
        answer.fields.push((name, value.trim().to_owned()));
    }
    let length = answer.field("content-length").and_then(|n| n.parse().ok());
    if method != "HEAD" {
        let body = wire.exactly(length.unwrap_or(0))?;
        answer.body = String::from_utf8(body).expect("UTF-8");
    }
    Ok(answer)
}

/// What every answer has.
pub(crate) fn is_strict(answer: &Answer) {
    let exact = [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; \
             base-uri 'none'",
        ),
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
    ];
    for (name, value) in exact {
        assert_eq!(
            answer.field(name),
            Some(value),
            "{name} of {}",
            answer.status
        );
    }
    assert_eq!(answer.field("set-cookie"), None);
    assert_eq!(answer.field("server"), None);
    assert!(!answer.says("<script") && !answer.says(" style=") && !answer.says("javascript:"));
}

impl House {
    /// One request on a connection of its own.
    pub(crate) fn http(&self, method: &str, path: &str, fields: &[&str], body: &str) -> Answer {
        let mut wire = self.secure_wire(self.ports.https);
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: mx.example.org\r\n");
        for field in fields {
            head += &format!("{field}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        // Whoever is refused early may close before it has read everything.
        let _ = wire.send(format!("{head}\r\n{body}").as_bytes());
        read(&mut wire, method).expect("an answer")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.http("GET", path, &[], "")
    }

    /// Sends a code as the page's own form does.
    pub(crate) fn post_code(&self, path: &str, code: &str) -> Answer {
        self.post(path, &format!("code={code}"))
    }

    /// Sends a form of the page there.
    pub(crate) fn post(&self, path: &str, form: &str) -> Answer {
        let fields = [
            "Content-Type: application/x-www-form-urlencoded",
            "Origin: null",
            "Sec-Fetch-Site: same-origin",
        ];
        self.http("POST", path, &fields, form)
    }

    /// Gives somebody a second factor: their application, and their recovery codes.
    pub(crate) fn enrol(&self, address: &str) -> (App, Vec<String>) {
        let json = |args: &[&str]| -> serde_json::Value {
            let out = self.done(&[&["--json", "account", "totp"], args].concat());
            serde_json::from_str(&out).expect("JSON")
        };
        let made = json(&["enrol", address]);
        let secret = Secret::try_from_base32(made["secret"].as_str().expect("a secret"));
        let app = App::new(secret.expect("Base32"));
        let confirmed = json(&["confirm", address, &app.code(0)]);
        let codes = confirmed["recoveryCodes"].as_array().expect("codes").iter();
        let codes = codes.map(|code| code.as_str().expect("a code").to_owned());
        (app, codes.collect())
    }
}

/// An authenticator application.
pub(crate) struct App(Totp);

impl App {
    pub(crate) fn new(secret: Secret) -> Self {
        Self(
            Builder::new()
                .with_secret(secret)
                .build()
                .expect("a secret"),
        )
    }

    /// The code of so many steps from now on.
    pub(crate) fn code(&self, steps: u64) -> String {
        let now = tern_server::clock::now().as_secs();
        self.0.generate(now + 30 * steps).to_string()
    }

    /// A code that is none of those which are good now.
    pub(crate) fn wrong(&self) -> String {
        let now = tern_server::clock::now().as_secs();
        let mut all = (0..20).map(|n| format!("{n:06}"));
        let is_wrong = |code: &String| self.0.check(code, now).is_none();
        all.find(is_wrong).expect("one of many")
    }
}
