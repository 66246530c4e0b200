//! A session of a foreign library in a process of its own, called by name, one JSON line for each call
//! and each answer: `imapclient` in Python here, the JMAP clients in `jmap.rs`. Bytes of IMAP travel as
//! Latin-1 text.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::program_of;
use crate::wait::DEADLINE;
use crate::{Tern, client_script};

/// One session.
#[derive(Debug)]
pub struct Agent {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Agent {
    /// Connects under TLS with the server's own certificate trusted, and logs in.
    #[track_caller]
    pub fn login(tern: &Tern, login: &str, password: &str) -> Self {
        let mut agent = Self::connect(tern, login);
        agent.call("login", json!([login, password]));
        agent
    }

    /// Connects, and no more.
    #[track_caller]
    pub fn connect(tern: &Tern, name: &str) -> Self {
        let mut command = Command::new(program_of("TERN_TEST_PYTHON"));
        command
            .arg(client_script("imap_agent.py"))
            .arg(tern.port("imaps").to_string());
        command.arg(tern.certificate());
        let mut agent = Self::start(name, &mut command);
        let greeting = agent.answer("connect", DEADLINE);
        assert!(greeting.get("ok").is_some(), "{name}: {greeting}");
        agent
    }

    /// Starts a program that answers calls.
    #[track_caller]
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            panic!("no pipes")
        };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            name: name.to_owned(),
            child,
            stdin,
            lines,
        }
    }

    /// Calls a method of the client; panics when it raises.
    #[track_caller]
    pub fn call(&mut self, method: &str, arguments: Value) -> Value {
        match self.attempt(method, arguments) {
            Ok(value) => value,
            Err(error) => panic!("{}: {method}: {error}", self.name),
        }
    }

    /// Calls a method of the client; the error is what it raised.
    #[track_caller]
    pub fn attempt(&mut self, method: &str, arguments: Value) -> Result<Value, String> {
        self.send(method, &arguments);
        let mut answer = self.answer(method, DEADLINE);
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    fn send(&mut self, method: &str, arguments: &Value) {
        let line = json!({"call": method, "args": arguments}).to_string();
        let sent = writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush());
        sent.unwrap_or_else(|error| panic!("{}: {method}: {error}", self.name));
    }

    #[track_caller]
    fn answer(&mut self, method: &str, deadline: Duration) -> Value {
        match self.lines.recv_timeout(deadline) {
            Ok(line) => serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("{}: {method}: {error}: {line}", self.name)),
            Err(error) => panic!("{}: no answer to {method}: {error}", self.name),
        }
    }

    /// Waits in IDLE until an untagged answer of this kind (`EXPUNGE`, `EXISTS`) comes. Answers
    /// everything that came until then, and how long it took.
    #[track_caller]
    pub fn idle_until(&mut self, kind: &str, deadline: Duration) -> (Vec<Value>, Duration) {
        let started = Instant::now();
        let mut seen = Vec::new();
        while started.elapsed() < deadline {
            let answers = self.call("idle_check", json!([0.5]));
            seen.extend(answers.as_array().cloned().unwrap_or_default());
            if seen.iter().any(|answer| answer[1] == kind) {
                return (seen, started.elapsed());
            }
        }
        panic!(
            "{}: no {kind} in IDLE within {deadline:?}; came: {seen:?}",
            self.name
        )
    }

    /// Selects a folder and answers its UIDs.
    #[track_caller]
    pub fn uids(&mut self, folder: &str) -> Vec<u64> {
        self.call("select_folder", json!([folder, true]));
        let found = self.call("search", json!(["ALL"]));
        let uids = found.as_array().cloned().unwrap_or_default();
        uids.iter().filter_map(Value::as_u64).collect()
    }

    /// The whole messages of a folder, by UID, without setting `\Seen`.
    #[track_caller]
    pub fn messages(&mut self, folder: &str) -> Vec<(u64, String)> {
        let uids = self.uids(folder);
        if uids.is_empty() {
            return Vec::new();
        }
        let fetched = self.call("fetch", json!([uids, ["BODY.PEEK[]"]]));
        let body = |uid: u64| {
            fetched[uid.to_string()]["BODY[]"]
                .as_str()
                .map(str::to_owned)
        };
        uids.iter()
            .filter_map(|uid| Some((*uid, body(*uid)?)))
            .collect()
    }

    /// Whether a folder holds a message with this text.
    #[track_caller]
    pub fn holds(&mut self, folder: &str, text: &str) -> bool {
        self.messages(folder)
            .iter()
            .any(|(_, message)| message.contains(text))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
