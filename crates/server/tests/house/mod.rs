//! A server for one test: the real binary on free ports of loopback, in a directory of its own.
//!
//! Invariant: nothing sleeps for a fixed time; every wait ends by [`TIME_LIMIT`]. The process is
//! killed when its test ends.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod jmap;
pub(crate) mod receiver;
pub(crate) mod remote;

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tern_server::demo::client::{ImapClient, SmtpClient, Wire};

pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(30);
pub(crate) const PASSWORD: &str = "correct horse";

const TERN: &str = env!("CARGO_BIN_EXE_tern");

/// A server's directory, and the process while it runs.
pub(crate) struct House {
    directory: tempfile::TempDir,
    process: Option<Child>,
    log: Option<Receiver<String>>,
    pub(crate) seen: Vec<String>,
    pub(crate) ports: Ports,
}

/// Where it listens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ports {
    pub(crate) smtp: u16,
    pub(crate) submission: u16,
    pub(crate) submissions: u16,
    pub(crate) imap: u16,
    pub(crate) imaps: u16,
    pub(crate) https: u16,
}

impl House {
    /// Alice, Bob and Carol at example.org; `options` goes into the configuration.
    pub(crate) fn new(options: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        let any = "[\"127.0.0.1:0\"]";
        let config = format!(
            "[server]\nhostname = \"mx.example.org\"\ndata_dir = {data:?}\n\
             [listeners]\nsmtp = {any}\nsubmission = {any}\nsubmissions = {any}\nimap = {any}\n\
             imaps = {any}\nhttps = {any}\n[https]\nurl = \"https://mx.example.org\"\n[relay]\nresolve = false\n[log]\nlevel = \"info\"\n{options}"
        );
        fs::write(directory.path().join("tern.toml"), config).expect("written");
        let house = Self {
            directory,
            process: None,
            log: None,
            seen: Vec::new(),
            ports: Ports::default(),
        };
        // No store yet: `init` makes it from the file that is there.
        house.done(&[
            "init",
            "--hostname",
            "unused.example",
            "--domain",
            "example.org",
        ]);
        for name in ["alice", "bob", "carol"] {
            let address = format!("{name}@example.org");
            house.done(&["account", "add", &address, "--password", PASSWORD]);
        }
        house
    }

    pub(crate) fn started(options: &str) -> Self {
        let mut house = Self::new(options);
        house.start();
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A run of the command line.
    pub(crate) fn tern(&self, args: &[&str]) -> Output {
        self.tern_by("tern.toml", args)
    }

    /// A run of the command line by another configuration.
    pub(crate) fn tern_by(&self, config: &str, args: &[&str]) -> Output {
        let mut command = Command::new(TERN);
        command.arg("--config").arg(self.path(config)).args(args);
        command.output().expect("it runs")
    }

    /// A run that must succeed; what it printed.
    pub(crate) fn done(&self, args: &[&str]) -> String {
        self.done_by("tern.toml", args)
    }

    pub(crate) fn done_by(&self, config: &str, args: &[&str]) -> String {
        let output = self.tern_by(config, args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(TERN);
        command
            .arg("--config")
            .arg(self.path("tern.toml"))
            .arg("serve");
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        self.process = Some(child);
        self.log = Some(lines);
        self.seen.clear();
        self.wait_log("tern serves");
        let port = |kind: &str| {
            let wanted = format!("kind=\"{kind}\"");
            let line = self
                .seen
                .iter()
                .find(|line| line.contains(&wanted))
                .expect("it listens");
            line.rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok())
                .expect("a port")
        };
        self.ports = Ports {
            smtp: port("smtp"),
            submission: port("submission"),
            submissions: port("submissions"),
            imap: port("imap"),
            imaps: port("imaps"),
            https: port("https"),
        };
    }

    /// Waits for a line of the log.
    pub(crate) fn wait_log(&mut self, text: &str) -> String {
        let lines = self.log.as_ref().expect("started");
        let until = Instant::now() + TIME_LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no {text:?} in {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Whether the log of the server that runs has had a line so far.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        self.seen.iter().any(|line| line.contains(text))
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.as_ref().expect("started").id() as i32
    }

    /// `kill -9`
    pub(crate) fn kill(&mut self) {
        let mut child = self.process.take().expect("started");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    /// SIGTERM; whether it ended well, and how long that took.
    pub(crate) fn stop(&mut self) -> (bool, Duration) {
        use nix::sys::signal::{Signal, kill};
        let since = Instant::now();
        kill(nix::unistd::Pid::from_raw(self.pid()), Signal::SIGTERM).expect("told");
        let mut child = self.process.take().expect("started");
        (child.wait().expect("gone").success(), since.elapsed())
    }

    pub(crate) fn wire(&self, port: u16) -> Wire {
        Wire::connect(SocketAddr::from(([127, 0, 0, 1], port)), TIME_LIMIT).expect("connected")
    }

    pub(crate) fn secure_wire(&self, port: u16) -> Wire {
        let mut wire = self.wire(port);
        wire.start_tls().expect("TLS");
        wire
    }

    /// Submission under TLS, logged in.
    pub(crate) fn submission(&self, name: &str) -> SmtpClient {
        let wire = self.secure_wire(self.ports.submissions);
        let mut client = SmtpClient::new(wire).expect("a banner");
        let (code, text) = client.login(&address(name), PASSWORD).expect("an answer");
        assert_eq!(code, 235, "{text}");
        client
    }

    /// IMAP under TLS, logged in.
    pub(crate) fn imap(&self, name: &str) -> ImapClient {
        let mut client = ImapClient::new(self.secure_wire(self.ports.imaps)).expect("a greeting");
        let reply = client.login(&address(name), PASSWORD).expect("an answer");
        assert!(reply.is_ok(), "{}", reply.done);
        client
    }

    /// Sends one message from Alice to Bob.
    pub(crate) fn send(&self, subject: &str) {
        let message = message(subject);
        let mut alice = self.submission("alice");
        let sent = alice.send(
            "alice@example.org",
            &["bob@example.org"],
            message.as_bytes(),
        );
        let (_, (code, text)) = sent.expect("an answer");
        assert_eq!(code, 250, "{text}");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn address(name: &str) -> String {
    format!("{name}@example.org")
}

pub(crate) fn message(subject: &str) -> String {
    format!(
        "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: {subject}\r\n\
         Message-ID: <{subject}@example.org>\r\n\r\nText of {subject}.\r\n.dot\r\n"
    )
}

/// Whether the other end closed the connection.
pub(crate) fn is_closed<T: std::fmt::Debug>(result: io::Result<T>) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let error = result.expect_err("an end");
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}
