//! `tern-bench`: a load generator that speaks SMTP, IMAP and JMAP to any server on loopback, so that the
//! same run can be pointed at Tern and at a peer.
//!
//! Invariant: it knows nothing of Tern's crates. Every measurement is bounded in count and time, and
//! prints the generator's own CPU time beside the result. Refuses targets that are not loopback.

// A measuring tool reads clocks; the ban is for the crates below the server.
#![allow(clippy::disallowed_methods)]

mod beside;
mod deliver;
mod error;
mod idle;
mod imap;
mod jmap;
mod mailbox;
mod measure;
mod message;
mod net;
mod options;
mod process;
mod report;
#[cfg(test)]
mod script;
mod seal;
mod smtp;
mod start;
mod suite;
mod watch;

use clap::Parser;

use crate::error::Step;

fn main() -> std::process::ExitCode {
    let options = options::Options::parse();
    // Two threads: enough to load a server on two cores, and no more than it gets itself.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .step("start the runtime");
    let done = runtime.and_then(|runtime| {
        let done = runtime.block_on(options.run());
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tern-bench: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
