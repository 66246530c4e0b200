//! The stage of the scenes: clients whose words are printed, and what is held to be true.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{ImapClient, SmtpClient, Watcher, Wire};
use super::jmap::JmapClient;
use super::organisation::{PASSWORD, address};
use crate::control::Client as ControlClient;
use crate::control::request::{Answer, Request, Response};
use crate::server::Addresses;

/// How long anything may take.
const TIME_LIMIT: Duration = Duration::from_secs(20);

pub(super) struct Stage<'a> {
    addresses: &'a Addresses,
    data_dir: &'a Path,
    failures: Vec<String>,
    held: u32,
}

impl<'a> Stage<'a> {
    pub(super) fn new(addresses: &'a Addresses, data_dir: &'a Path) -> Self {
        Self {
            addresses,
            data_dir,
            failures: Vec::new(),
            held: 0,
        }
    }

    pub(super) fn scene(&self, title: &str) {
        println!("\n== {title}");
    }

    /// Holds something to be true.
    pub(super) fn hold(&mut self, what: &str, is_so: bool) {
        if is_so {
            self.held += 1;
            println!("   ok: {what}");
        } else {
            self.failures.push(what.to_owned());
            println!("   NOT SO: {what}");
        }
    }

    /// What did not hold, and how much did.
    pub(super) fn end(self) -> (u32, Vec<String>) {
        (self.held, self.failures)
    }

    fn first(list: &[SocketAddr]) -> io::Result<SocketAddr> {
        list.first()
            .copied()
            .ok_or_else(|| io::Error::other("nobody listens"))
    }

    /// A submission session under TLS, logged in.
    pub(super) fn submission(&self, name: &str) -> io::Result<SmtpClient> {
        let mut wire = Wire::connect(Self::first(&self.addresses.submissions)?, TIME_LIMIT)?;
        wire.start_tls()?;
        wire.watch(watcher(&format!("{name} (SMTP)")));
        let mut client = SmtpClient::new(wire)?;
        match client.login(&address(name), PASSWORD)? {
            (235, _) => Ok(client),
            (code, text) => Err(io::Error::other(format!(
                "{name} can't log in: {code} {text}"
            ))),
        }
    }

    /// A session of another server.
    pub(super) fn other_server(&self) -> io::Result<SmtpClient> {
        let mut wire = Wire::connect(Self::first(&self.addresses.smtp)?, TIME_LIMIT)?;
        wire.watch(watcher("elsewhere (SMTP)"));
        SmtpClient::new(wire)
    }

    /// An IMAP session under TLS, logged in.
    pub(super) fn imap(&self, name: &str, shown: &str) -> io::Result<ImapClient> {
        let mut wire = Wire::connect(Self::first(&self.addresses.imaps)?, TIME_LIMIT)?;
        wire.start_tls()?;
        wire.watch(watcher(shown));
        let mut client = ImapClient::new(wire)?;
        let reply = client.login(&address(name), PASSWORD)?;
        match reply.is_ok() {
            true => Ok(client),
            false => Err(io::Error::other(format!(
                "{name} can't log in: {}",
                reply.done
            ))),
        }
    }

    /// A JMAP session over HTTPS.
    pub(super) fn jmap(&self, name: &str, shown: &str) -> io::Result<JmapClient> {
        let mut wire = Wire::connect(Self::first(&self.addresses.https)?, TIME_LIMIT)?;
        wire.start_tls()?;
        JmapClient::new(wire, watcher(shown), &address(name), PASSWORD)
    }

    /// Asks the server as its operator does.
    pub(super) fn operator(&self, request: &Request) -> io::Result<Answer> {
        let client = ControlClient::connect(self.data_dir)?;
        let mut client = client.ok_or_else(|| io::Error::other("no control socket"))?;
        match client.ask(request)? {
            Response::Done(answer) => Ok(answer),
            Response::Failed(why) => Err(io::Error::other(why)),
        }
    }

    /// Asks until the answer is as wanted, or too long.
    pub(super) fn operator_until(
        &self,
        request: &Request,
        wanted: impl Fn(&Value) -> bool,
    ) -> io::Result<Answer> {
        let since = Instant::now();
        loop {
            let answer = self.operator(request)?;
            if wanted(&answer.data) || since.elapsed() > TIME_LIMIT {
                return Ok(answer);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Prints what a client says and is told.
fn watcher(name: &str) -> Watcher {
    let name = name.to_owned();
    Box::new(move |sent, line| {
        // Capabilities and the like are long, and nobody's news.
        let dull = [
            "* CAPABILITY",
            "250-",
            "* FLAGS",
            "* 0 RECENT",
            "* OK [CAPABILITY",
            "* OK [PERMANENTFLAGS",
            "* OK [UID",
            "* OK [HIGHESTMODSEQ",
            "* OK [MAILBOXID",
            "* OK [UNSEEN",
            "* OK [CLOSED",
        ];
        if !sent && dull.iter().any(|start| line.starts_with(start)) {
            return;
        }
        let mut line: String = line
            .split(" [CAPABILITY")
            .next()
            .unwrap_or_default()
            .to_owned();
        if line.chars().count() > 110 {
            line = line.chars().take(107).collect::<String>() + "...";
        }
        println!("   {name:<16} {} {line}", if sent { ">" } else { "<" });
    })
}
