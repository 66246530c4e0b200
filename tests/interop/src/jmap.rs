//! Foreign JMAP clients: PyPI's jmapc and jmaplib, npm's jmap-jam and jmap-client-ts, Rust's jmap-client.
//!
//! Each agent has the same calls, made by its library's own means: `session`, `mailboxes`, `state`,
//! `emails`, `changes`, `create`, `keyword`, `destroy`, `search`, `find`, `identities`, `submit`, `undo`,
//! `submission`, and where the library has them `add`, `download`, `listen` and `heard`, `recall`,
//! `principals`, `share` and `notices`.

use std::process::Command;

use serde_json::Value;

use crate::house::{address, password};
use crate::process::program_of;
use crate::{Agent, House, client_script};

/// A JMAP client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JmapClient {
    /// Python, with the account's password.
    Jmapc,
    /// The same, by another library.
    Jmaplib,
    /// JavaScript, with an application password as a bearer token.
    JmapJam,
    /// The same.
    JmapClientTs,
    /// Rust, with the account's password.
    JmapClient,
}

impl JmapClient {
    /// Whether it uploads and downloads blobs.
    pub fn has_blobs(self) -> bool {
        self != Self::JmapClientTs
    }
}

impl House {
    /// Somebody's JMAP client, the server's own certificate trusted.
    #[track_caller]
    pub fn jmap(&self, client: JmapClient, name: &str) -> Agent {
        self.start_jmap(client, name, None)
    }

    /// Somebody's JMAP client that works in an account of others, which has their name.
    #[track_caller]
    pub fn jmap_in(&self, client: JmapClient, name: &str, owner: &str) -> Agent {
        self.start_jmap(client, name, Some(owner))
    }

    #[track_caller]
    fn start_jmap(&self, client: JmapClient, name: &str, owner: Option<&str>) -> Agent {
        let host = format!("localhost:{}", self.tern.port("https"));
        let certificate = self.tern.certificate();
        let mut command = match client {
            JmapClient::Jmapc => {
                let mut command = python("jmapc_agent.py", &host, name);
                command.env("REQUESTS_CA_BUNDLE", certificate);
                command
            }
            JmapClient::Jmaplib => {
                let mut command = python("jmaplib_agent.py", &host, name);
                command.env("SSL_CERT_FILE", certificate);
                command
            }
            JmapClient::JmapJam => self.node("jmap_jam_agent.mjs", &host, name),
            JmapClient::JmapClientTs => self.node("jmap_client_ts_agent.mjs", &host, name),
            JmapClient::JmapClient => {
                let mut command = Command::new(program_of("TERN_TEST_JMAP_CLIENT"));
                command.args([host, address(name), password(name)]);
                command.env("SSL_CERT_FILE", certificate);
                command
            }
        };
        command.args(owner.map(address));
        Agent::start(&format!("{name} by {client:?}"), &mut command)
    }

    fn node(&self, script: &str, host: &str, name: &str) -> Command {
        // The scripts look for their packages there.
        let packages = program_of("TERN_TEST_NODE");
        let mut command = Command::new("node");
        command
            .arg(client_script(script))
            .args([host, &self.token(name)]);
        command.env("TERN_TEST_NODE", packages);
        command.env("NODE_EXTRA_CA_CERTS", self.tern.certificate());
        command
    }

    /// An application password for JMAP, as a bearer token.
    #[track_caller]
    pub fn token(&self, name: &str) -> String {
        let login = address(name);
        let add = ["account", "app-password", "add", &login, "--label", "test"];
        let made = self.tern.json(&[&add[..], &["--scope", "jmap"]].concat());
        let token = made.get("token").and_then(Value::as_str);
        token.unwrap_or_else(|| panic!("{made}")).to_owned()
    }
}

fn python(script: &str, host: &str, name: &str) -> Command {
    let mut command = Command::new(program_of("TERN_TEST_PYTHON"));
    command.arg(client_script(script)).arg(host);
    command.args([address(name), password(name)]);
    command
}

/// The mailbox of a role, as a client shows it.
#[track_caller]
pub fn mailbox(agent: &mut Agent, role: &str) -> Value {
    let all = agent.call("mailboxes", serde_json::json!([]));
    let mut found = all.as_array().into_iter().flatten();
    let found = found.find(|it| it["role"] == role);
    found.unwrap_or_else(|| panic!("no {role}: {all}")).clone()
}
