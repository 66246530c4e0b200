//! What an administrator does at the command line: the only place that knows how its verbs are
//! spelled.

use std::process::Command;

use serde_json::Value;

use crate::Tern;
use crate::process::{Said, run};
use crate::wait::DEADLINE;

impl Tern {
    /// Runs `tern` with these words on this server's configuration.
    #[track_caller]
    pub fn tern(&self, words: &[&str], input: &str) -> Said {
        let mut command = Command::new(self.bin());
        command.args(words).arg("--config").arg(self.config());
        run(&mut command, input.as_bytes(), DEADLINE)
    }

    /// Runs a verb that answers in JSON.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        let mut all = words.to_vec();
        all.push("--json");
        let said = self.tern(&all, "").ok();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    }

    /// `tern domain add`.
    #[track_caller]
    pub fn add_domain(&self, domain: &str) {
        self.tern(&["domain", "add", domain], "").ok();
    }

    /// `tern account add`, the password on standard input.
    #[track_caller]
    pub fn add_account(&self, address: &str, password: &str) {
        let input = format!("{password}\n");
        self.tern(&["account", "add", address, "--password-stdin"], &input)
            .ok();
    }

    /// `tern alias add`.
    #[track_caller]
    pub fn add_alias(&self, alias: &str, targets: &[&str]) {
        self.tern(&[&["alias", "add", alias], targets].concat(), "")
            .ok();
    }

    /// `tern group add` and `tern group add-member`.
    #[track_caller]
    pub fn add_group(&self, group: &str, members: &[&str]) {
        self.tern(&["group", "add", group], "").ok();
        self.tern(&[&["group", "add-member", group], members].concat(), "")
            .ok();
    }

    /// `tern recall status ID --json`.
    #[track_caller]
    pub fn recall_status(&self, id: &str) -> Value {
        self.json(&["recall", "status", id])
    }

    /// `tern recall list --json`: every recall, the newest first.
    #[track_caller]
    pub fn recalls(&self) -> Vec<Value> {
        self.rows(&["recall", "list"])
    }

    /// `tern queue list --json`.
    #[track_caller]
    pub fn queue(&self) -> Vec<Value> {
        self.rows(&["queue", "list"])
    }

    /// `tern audit export`: the whole log, one object on each line.
    #[track_caller]
    pub fn audit(&self) -> Vec<Value> {
        let said = self.tern(&["audit", "export"], "").ok();
        let row = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("audit: {error}: {line}"))
        };
        said.lines()
            .filter(|line| !line.trim().is_empty())
            .map(row)
            .collect()
    }

    /// `tern audit verify`.
    #[track_caller]
    pub fn verify_audit(&self) -> String {
        self.tern(&["audit", "verify"], "").ok()
    }

    /// `tern check`: every table of the store.
    #[track_caller]
    pub fn check(&self) -> String {
        self.tern(&["check"], "").ok()
    }

    /// Rows of a listing: a JSON array, or one object on each line.
    #[track_caller]
    pub fn rows(&self, words: &[&str]) -> Vec<Value> {
        let mut all = words.to_vec();
        all.push("--json");
        let said = self.tern(&all, "").ok();
        match serde_json::from_str(&said) {
            Ok(Value::Array(rows)) => rows,
            Ok(row) => vec![row],
            Err(_) => said
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(|line| {
                    serde_json::from_str(line)
                        .unwrap_or_else(|error| panic!("{words:?}: {error}: {line}"))
                })
                .collect(),
        }
    }
}
