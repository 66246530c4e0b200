//! `tern-kill`: the kill campaign by command. Exits with a failure when anything acknowledged was
//! lost, anything recalled was seen again, or the store is not consistent.

// A harness reads clocks and starts threads: the bans are for the crates of the house.
#![allow(clippy::disallowed_methods)]

use std::process::{Command, ExitCode};

use clap::Parser;
use tern_kill::{Options, run};

/// Kills the real server at random points under load, and checks what is left.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many kills.
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// What every random choice follows from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Check the store offline after every so many kills.
    #[arg(long, default_value_t = 5)]
    check_every: u64,
    /// Print nothing for each kill.
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if std::env::var_os("TERN_BIN").is_none() {
        return with_server_built();
    }
    let report = run(&Options {
        kills: arguments.kills,
        seed: arguments.seed,
        check_every: arguments.check_every,
        verbose: !arguments.quiet,
    });
    println!("\nseed                        {}\n{report}", arguments.seed);
    match report.violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Builds the server of this profile beside this program, and runs again with it.
fn with_server_built() -> ExitCode {
    let built = std::env::current_exe().and_then(|own| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args([
            "build",
            "--quiet",
            "--ignore-rust-version",
            "--package",
            "tern-server",
        ]);
        build.args(["--bin", "tern"]);
        if own.components().any(|part| part.as_os_str() == "release") {
            build.arg("--release");
        }
        match build.status()?.success() {
            true => Ok((own.with_file_name("tern"), own)),
            false => Err(std::io::Error::other("the server does not build")),
        }
    });
    let again = built.and_then(|(server, own)| {
        Command::new(own)
            .args(std::env::args_os().skip(1))
            .env("TERN_BIN", server)
            .status()
    });
    match again {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tern-kill: {error}");
            ExitCode::FAILURE
        }
    }
}
