//! `tern demo`: a small organisation on loopback, to look at with any mail client; with `--once`,
//! the main scenes played by real protocol sessions.
//!
//! Invariant: the demo uses nothing that a client or an operator could not use: sockets, and the
//! control socket.

pub mod client;
mod jmap;
mod organisation;
mod scenes;
mod stage;

use std::path::{Path, PathBuf};

use miette::{IntoDiagnostic as _, Result, miette};

use crate::cli::{DemoArgs, Outcome, runtime, told_to_stop};
use crate::config::{Config, Level, Listeners, Relay as RelaySettings, Server as ServerSettings};
use crate::log;
use crate::server::{Addresses, Server};

pub(crate) fn main(args: &DemoArgs) -> Result<Outcome> {
    // The directory lives as long as the demo.
    let temporary;
    let directory = match &args.dir {
        Some(directory) => directory.clone(),
        None => {
            temporary = tempfile::Builder::new()
                .prefix("tern-demo-")
                .tempdir()
                .into_diagnostic()?;
            temporary.path().to_owned()
        }
    };
    let config = config(&directory, args.once)?;
    log::start(&config.log);
    organisation::set_up(&config)?;
    let runtime = runtime(&config)?;
    let server = runtime.block_on(Server::start(&config)).into_diagnostic()?;
    let outcome = if args.once {
        let addresses = server.addresses().clone();
        scenes::play(&addresses, &config.server.data_dir)
    } else {
        let file = operators_file(&config, &directory)?;
        introduce(server.addresses(), &config, &file);
        runtime.block_on(told_to_stop()).map(|_| Outcome::Done)
    };
    runtime.block_on(server.stop());
    outcome
}

/// Free ports of loopback, small caches, and a log of what goes wrong.
fn config(directory: &Path, quiet: bool) -> Result<Config> {
    let any = || vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0))];
    let mut config = Config {
        server: ServerSettings {
            data_dir: absolute(directory)?,
            ..ServerSettings::default()
        },
        listeners: Listeners {
            smtp: any(),
            submission: any(),
            submissions: any(),
            imap: any(),
            imaps: any(),
            https: any(),
        },
        // Nothing of a demo leaves this machine.
        relay: RelaySettings {
            resolve: false,
            ..RelaySettings::default()
        },
        ..Config::default()
    };
    config.policy.directories = vec![policies(directory)?];
    if quiet {
        config.log.level = Level::Warn;
    }
    Ok(config)
}

/// Nobody of a demo has a second factor to show, or somebody else to approve.
fn policies(directory: &Path) -> Result<PathBuf> {
    let policies = absolute(directory)?.join("policies");
    std::fs::create_dir_all(&policies).into_diagnostic()?;
    for (name, text) in tern_policy::UNATTENDED {
        let name = name.rsplit('/').next().unwrap_or(name);
        std::fs::write(policies.join(name), text).into_diagnostic()?;
    }
    Ok(policies)
}

fn absolute(directory: &Path) -> Result<PathBuf> {
    std::path::absolute(directory).map_err(|error| miette!("{}: {error}", directory.display()))
}

/// The configuration by which the command line finds the server.
fn operators_file(config: &Config, directory: &Path) -> Result<PathBuf> {
    let file = absolute(directory)?.join("tern.toml");
    let text = format!(
        "[server]\nhostname = {:?}\ndata_dir = {:?}\n\n[policy]\ndirectories = {:?}\n",
        config.server.hostname.as_str(),
        config.server.data_dir,
        config.policy.directories
    );
    std::fs::write(&file, text).into_diagnostic()?;
    Ok(file)
}

/// Says how to connect.
fn introduce(addresses: &Addresses, config: &Config, file: &Path) {
    let port = |list: &[std::net::SocketAddr]| list.first().map_or(0, |address| address.port());
    let data_dir = &config.server.data_dir;
    println!("Tern serves example.org on 127.0.0.1, with a self-signed certificate.\n");
    for (name, list, how) in [
        ("IMAP", &addresses.imap, "STARTTLS"),
        ("IMAP", &addresses.imaps, "TLS"),
        (
            "JMAP",
            &addresses.https,
            "TLS, with the pages of links in mails",
        ),
        ("Submission", &addresses.submission, "STARTTLS"),
        ("Submission", &addresses.submissions, "TLS"),
        ("Reception", &addresses.smtp, "(other servers)"),
    ] {
        println!("  {name:<12} port {:5}  {how}", port(list));
    }
    let people: Vec<String> = organisation::PEOPLE
        .iter()
        .map(|name| organisation::address(name))
        .collect();
    println!("\n  Accounts     {}", people.join(", "));
    println!("  Password     {}, for each", organisation::PASSWORD);
    println!("  Group        {} (dave, erin)", organisation::TEAM);
    println!("  Alias        {} (alice)", organisation::INFO);
    println!("  Certificate  {}/tls/self-signed.pem", data_dir.display());
    println!("  Data         {}\n", data_dir.display());
    println!("Send a message as alice, then move it from Sent into the mailbox Recall.\n");
    println!("What an operator sees, and what a JMAP client begins with:\n");
    println!("  tern --config {} recall list", file.display());
    println!(
        "  curl --cacert {}/tls/self-signed.pem --user alice@example.org:{} \\\n    \
         https://localhost:{}/.well-known/jmap\n",
        data_dir.display(),
        organisation::PASSWORD,
        port(&addresses.https)
    );
    println!("Ctrl-C ends.");
}
