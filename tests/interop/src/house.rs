//! The cast of most tests: one domain, five people, an alias and a group, on a running server.

use std::process::Command;

use crate::process::{Said, run};
use crate::{Agent, DEADLINE, Tern};

/// The domain.
pub const DOMAIN: &str = "example.org";
/// Who has an account. The sender first.
pub const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// Leads to bob.
pub const ALIAS: &str = "robert@example.org";
/// Has dave and erin.
pub const GROUP: &str = "team@example.org";
/// An address of another server; no route leads there, so what is sent to it waits in the queue.
pub const OUTSIDE: &str = "outside@elsewhere.test";

/// The address of somebody here.
pub fn address(name: &str) -> String {
    format!("{name}@{DOMAIN}")
}

/// The password of somebody here.
pub fn password(name: &str) -> String {
    format!("{name}: correct horse")
}

/// The server with its people.
#[derive(Debug)]
pub struct House {
    /// The server.
    pub tern: Tern,
}

impl House {
    /// A running server, provisioned by the command line.
    #[track_caller]
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same, with further sections in its configuration.
    #[track_caller]
    pub fn with(further: &str) -> Self {
        Self::on(Tern::start(further))
    }

    /// The same on a server that runs already.
    #[track_caller]
    pub fn on(tern: Tern) -> Self {
        tern.add_domain(DOMAIN);
        for name in PEOPLE {
            tern.add_account(&address(name), &password(name));
        }
        tern.add_alias(ALIAS, &["bob@example.org"]);
        tern.add_group(GROUP, &["dave@example.org", "erin@example.org"]);
        Self { tern }
    }

    /// Somebody's session by imapclient.
    #[track_caller]
    pub fn imap(&self, name: &str) -> Agent {
        Agent::login(&self.tern, &address(name), &password(name))
    }

    /// Submits by swaks with STARTTLS and AUTH LOGIN.
    #[track_caller]
    pub fn submit_starttls(&self, from: &str, to: &[&str], content: &str) -> Said {
        self.swaks(
            "submission",
            &["--tls", "--auth", "LOGIN"],
            from,
            to,
            content,
        )
    }

    /// Submits by swaks with TLS from the first byte and AUTH PLAIN.
    #[track_caller]
    pub fn submit_tls(&self, from: &str, to: &[&str], content: &str) -> Said {
        self.swaks(
            "submissions",
            &["--tls-on-connect", "--auth", "PLAIN"],
            from,
            to,
            content,
        )
    }

    #[track_caller]
    fn swaks(&self, kind: &str, options: &[&str], from: &str, to: &[&str], content: &str) -> Said {
        let mut command = Command::new("swaks");
        command.args([
            "--server",
            "localhost",
            "--port",
            &self.tern.port(kind).to_string(),
        ]);
        command
            .args(options)
            .args(["--tls-verify", "--tls-ca-path"]);
        command.arg(self.tern.certificate());
        command.args([
            "--auth-user",
            &address(from),
            "--auth-password",
            &password(from),
        ]);
        command.args(["--from", &address(from), "--to", &to.join(",")]);
        command.args(["--data", "-", "--timeout", "20s"]);
        run(&mut command, content.as_bytes(), DEADLINE)
    }

    /// Delivers as another server does, by swaks on the reception port.
    #[track_caller]
    pub fn deliver(&self, from: &str, to: &[&str], content: &str) -> Said {
        let mut command = Command::new("swaks");
        command.args([
            "--server",
            "localhost",
            "--port",
            &self.tern.port("smtp").to_string(),
        ]);
        command.args([
            "--helo",
            "elsewhere.test",
            "--from",
            from,
            "--to",
            &to.join(","),
        ]);
        command.args(["--data", "-", "--timeout", "20s"]);
        run(&mut command, content.as_bytes(), DEADLINE)
    }

    /// Stops the server as an administrator does, then checks every table and the audit chain.
    #[track_caller]
    pub fn close(mut self) {
        let errors = self.tern.errors();
        self.tern.stop();
        self.tern.check();
        self.tern.verify_audit();
        assert!(errors.is_empty(), "the server logged errors: {errors:#?}");
    }
}

impl Default for House {
    fn default() -> Self {
        Self::new()
    }
}

/// A message with a Message-ID and a text that nothing else has.
pub fn letter(from: &str, to: &str, word: &str) -> String {
    format!(
        "From: {from} <{}>\r\nTo: {to}\r\nSubject: About {word}\r\n\
         Date: Fri, 20 Nov 2026 10:11:12 +0100\r\nMessage-ID: <{word}@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         The word is {word}.\r\nKind regards\r\n",
        address(from)
    )
}
