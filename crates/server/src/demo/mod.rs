//! `tern demo`: a sample organisation on loopback ports, to try and to look at; with `--once` the
//! main job is played through and checked.
//!
//! The server of the demo is this same program run as `tern serve`, and the organisation is made
//! by the same commands that an administrator types.

mod client;
mod play;
mod wire;

use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use client::Reader;

/// The password of everybody in the sample organisation.
const PASSWORD: &str = "demo-password";
/// How long the server may take to be ready.
const START: Duration = Duration::from_secs(30);
/// The pause between two looks at something that happens by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The sample organisation and its server.
struct House {
    config: PathBuf,
    program: PathBuf,
    submissions: SocketAddr,
    imaps: SocketAddr,
    smtp: SocketAddr,
    server: Child,
    /// Removed when the demo ends, unless the directory was named.
    _directory: Option<tempfile::TempDir>,
}

/// Runs the demo: until Ctrl-C, or once through.
pub(crate) fn run(once: bool, directory: Option<PathBuf>) -> io::Result<()> {
    let house = House::build(directory)?;
    house.populate()?;
    if once {
        return play::play(&house);
    }
    house.introduce();
    // Ctrl-C goes to the server, too: the demo ends with it.
    let mut house = house;
    let _ = house.server.wait()?;
    Ok(())
}

impl House {
    fn build(directory: Option<PathBuf>) -> io::Result<Self> {
        let temporary = match directory {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("tern-demo-").tempdir()?),
        };
        let root = match (&directory, &temporary) {
            (Some(named), _) => named.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => return Err(io::ErrorKind::NotFound.into()),
        };
        fs::create_dir_all(&root)?;
        let [smtp, submission, submissions, imap, imaps] = free_addresses()?;
        let config = root.join("tern.toml");
        let text = format!(
            "[server]\nhostname = \"mail.example.org\"\ndata_dir = {:?}\n\n[listeners]\n\
             smtp = [\"{smtp}\"]\nsubmission = [\"{submission}\"]\n\
             submissions = [\"{submissions}\"]\nimap = [\"{imap}\"]\nimaps = [\"{imaps}\"]\n\n\
             [log]\nlevel = \"warn\"\n",
            root.join("data")
        );
        fs::write(&config, text)?;
        let program = std::env::current_exe()?;
        let server = serve(&program, &config)?;
        let mut house = Self {
            config,
            program,
            submissions,
            imaps,
            smtp,
            server,
            _directory: temporary,
        };
        house.await_ready()?;
        Ok(house)
    }

    fn await_ready(&mut self) -> io::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(self.imaps).is_err() {
            if let Some(status) = self.server.try_wait()? {
                return Err(io::Error::other(format!("the server ended at once: {status}")));
            }
            if start.elapsed() > START {
                return Err(io::Error::other("the server does not listen"));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Makes the organisation, as an administrator would.
    fn populate(&self) -> io::Result<()> {
        self.cli(&["domain", "add", "example.org"])?;
        for name in ["alice", "bob", "carol", "dave", "erin"] {
            let address = format!("{name}@example.org");
            self.cli_with(&["account", "add", &address, "--password-stdin"], PASSWORD)?;
        }
        self.cli(&["alias", "add", "info@example.org", "bob@example.org"])?;
        self.cli(&["group", "add", "team@example.org", "dave@example.org", "erin@example.org"])?;
        Ok(())
    }

    fn introduce(&self) {
        println!("Tern serves a sample organisation. Every password is {PASSWORD:?}.\n");
        println!("  people      alice, bob, carol, dave, erin (@example.org)");
        println!("  group       team@example.org: dave and erin; info@example.org is bob");
        println!("  IMAP        {} (TLS)", self.imaps);
        println!("  submission  {} (TLS)", self.submissions);
        println!("  SMTP        {}", self.smtp);
        println!("  settings    {}\n", self.config.display());
        println!("Send a message as alice, then move it from Sent into Recall. Ctrl-C ends.");
    }

    /// Logs in as one of the organisation with a client of that name.
    fn reader(&self, name: &str, client: &str) -> io::Result<Reader> {
        Reader::connect(self.imaps, &format!("{name}@example.org"), PASSWORD, client)
    }

    /// Runs a `tern` command against the running server; its output.
    fn cli(&self, arguments: &[&str]) -> io::Result<String> {
        self.cli_with(arguments, "")
    }

    fn cli_json(&self, arguments: &[&str]) -> io::Result<serde_json::Value> {
        serde_json::from_str(&self.cli(arguments)?).map_err(io::Error::other)
    }

    fn cli_with(&self, arguments: &[&str], input: &str) -> io::Result<String> {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin, "{input}")?;
        }
        let done = child.wait_with_output()?;
        if !done.status.success() {
            let message = String::from_utf8_lossy(&done.stderr);
            let words = arguments.join(" ");
            return Err(io::Error::other(format!("tern {words}: {}", message.trim())));
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Looks until something holds.
    fn until(
        &self,
        patience: Duration,
        what: &str,
        mut holds: impl FnMut() -> io::Result<bool>,
    ) -> io::Result<()> {
        let start = Instant::now();
        while !holds()? {
            if start.elapsed() > patience {
                return Err(io::Error::other(format!("did not hold: {what}")));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // It is gone already after Ctrl-C.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn serve(program: &Path, config: &Path) -> io::Result<Child> {
    Command::new(program).arg("--config").arg(config).arg("serve").stdin(Stdio::null()).spawn()
}

/// Loopback addresses that are free now.
fn free_addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}
