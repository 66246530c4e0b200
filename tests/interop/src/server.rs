//! The server's process: `tern serve` in a fresh directory on ports of its own, ready when it says
//! so, killed when the test ends.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::program_of;
use crate::wait::{DEADLINE, until, until_or};

/// A server in a directory of its own.
#[derive(Debug)]
pub struct Tern {
    dir: TempDir,
    bin: PathBuf,
    running: Option<Running>,
    /// Every line that every start has logged.
    log: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    addresses: HashMap<String, SocketAddr>,
}

/// A directory with the policies that ask nobody but the requester.
fn unattended(within: &Path) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
    let directory = within.join("policies");
    let copied = std::fs::create_dir(&directory).and_then(|()| {
        for file in [
            "roles/roles.cedar",
            "default/age.cedar",
            "default/rate.cedar",
        ] {
            let name = file.rsplit('/').next().unwrap_or(file);
            std::fs::copy(shipped.join(file), directory.join(name))?;
        }
        Ok(())
    });
    copied.unwrap_or_else(|error| panic!("policies: {error}"));
    directory
}

impl Tern {
    /// Writes a configuration with these further sections; starts nothing yet. No route leads to
    /// other servers.
    pub fn configured(further: &str) -> Self {
        Self::routed("", further)
    }

    /// The same with these keys in the relay's section. Unless a section says otherwise, policies ask
    /// nobody but the requester: those that the server comes with ask for a second factor, or for
    /// somebody else.
    pub fn routed(relay: &str, further: &str) -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("temp dir: {error}"));
        let data = dir.path().join("data");
        let policies = match further.contains("[policy]") {
            true => String::new(),
            false => format!("[policy]\ndirectories = [{:?}]\n", unattended(dir.path())),
        };
        let any = "[\"127.0.0.1:0\"]";
        let text = format!(
            "[server]\nhostname = \"mail.example.org\"\ndata_dir = {data:?}\n\n\
             [listeners]\nsmtp = {any}\nsubmission = {any}\nsubmissions = {any}\n\
             imap = {any}\nimaps = {any}\nhttps = {any}\n\n[relay]\nresolve = false\n{relay}\n\n[log]\nformat = \"json\"\n\n{further}\n{policies}"
        );
        let tern = Self {
            dir,
            bin: program_of("TERN_BIN"),
            running: None,
            log: Arc::default(),
        };
        std::fs::write(tern.config(), text).unwrap_or_else(|error| panic!("config: {error}"));
        tern
    }

    /// A running server.
    pub fn start(further: &str) -> Self {
        let mut tern = Self::configured(further);
        tern.serve();
        tern
    }

    /// Starts the process and waits until it says that it serves.
    pub fn serve(&mut self) -> Duration {
        assert!(self.running.is_none(), "it runs already");
        let started = Instant::now();
        let from = self.log().len();
        let mut command = Command::new(&self.bin);
        command.arg("serve").arg("--config").arg(self.config());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = command.spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{}: {error}", self.bin.display()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&self.log);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    log.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(line);
                }
            });
        }
        let (addresses, _) = until("the server is ready", DEADLINE, || {
            let addresses = ready(&self.log()[from..]);
            if addresses.is_none()
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!(
                    "the server ended with {status} before it was ready:\n{}",
                    self.tail()
                );
            }
            addresses
        });
        self.running = Some(Running { child, addresses });
        started.elapsed()
    }

    /// The server's configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("tern.toml")
    }

    /// The test's own directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The binary.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The certificate that the server made for itself.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("data/tls/self-signed.pem")
    }

    /// Where a service listens: `smtp`, `submission`, `submissions`, `imap`, `imaps`, `https`.
    #[track_caller]
    pub fn address(&self, kind: &str) -> SocketAddr {
        let address = self.running.as_ref().and_then(|r| r.addresses.get(kind));
        *address.unwrap_or_else(|| panic!("nothing listens for {kind}"))
    }

    /// The port of a service.
    #[track_caller]
    pub fn port(&self, kind: &str) -> u16 {
        self.address(kind).port()
    }

    /// Whether the process runs.
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// What was logged, by every start.
    pub fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The last lines of the log.
    pub fn tail(&self) -> String {
        let log = self.log();
        log[log.len().saturating_sub(40)..].join("\n")
    }

    /// Lines of the log that report an error of ours.
    pub fn errors(&self) -> Vec<String> {
        let log = self.log();
        log.into_iter()
            .filter(|line| line.contains("\"level\":\"ERROR\""))
            .collect()
    }

    /// Ends the process as a power cut would, while others still hold this server; [`Tern::kill`]
    /// comes after.
    pub fn kill_now(&self) {
        if let Some(running) = &self.running {
            let _ = kill(
                Pid::from_raw(running.child.id().cast_signed()),
                Signal::SIGKILL,
            );
        }
    }

    /// Ends the process as a power cut would, and waits for its end.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    /// Ends the process as an administrator does, and waits for it.
    pub fn stop(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        let pid = Pid::from_raw(running.child.id().cast_signed());
        let _ = kill(pid, Signal::SIGTERM);
        let ended = until_or(DEADLINE, || running.child.try_wait().ok().flatten());
        match ended {
            Some((status, _)) if status.success() => {}
            Some((status, _)) => panic!("stopped with {status}:\n{}", self.tail()),
            None => {
                let _ = running.child.kill();
                panic!("did not stop:\n{}", self.tail())
            }
        }
    }
}

impl Drop for Tern {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server's log ends with\n{}\n---", self.tail());
        }
        self.kill();
    }
}

/// The addresses, once the server has said that it serves.
fn ready(log: &[String]) -> Option<HashMap<String, SocketAddr>> {
    let mut addresses = HashMap::new();
    for line in log {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        match text("message") {
            Some("listening") => {
                let address = text("address").and_then(|address| address.parse().ok());
                if let (Some(kind), Some(address)) = (text("kind"), address) {
                    addresses.insert(kind.to_owned(), address);
                }
            }
            Some("tern serves") => return Some(addresses),
            _ => {}
        }
    }
    None
}
