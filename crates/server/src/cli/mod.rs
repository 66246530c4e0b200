//! The command line.
//!
//! Invariant: a command does the same whether or not a server runs; exit code 0 means that it was
//! done, 1 that it was not, 2 that it was not understood, 3 that what was looked into is not as it
//! should be.

mod args;
mod ask;
mod audit;
mod check_config;
mod delegate;
mod evidence;
mod factor;
mod held;
mod hold;
mod import;
mod init;
mod names;
mod password;
mod policy;
mod private;
mod replay;
mod run;
mod serve;
mod sharing;
mod size;

use std::process::ExitCode;

use clap::Parser as _;
use miette::{IntoDiagnostic as _, Result};

use crate::config::{self, Config};
pub(crate) use args::DemoArgs;
use args::{AccountCommand, Args, Command, ConfigCommand, RecallCommand};
use hold::HoldCommand;
pub(crate) use serve::{runtime, told_to_stop};

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// What was looked into is not as it should be.
    FoundWrong,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::FoundWrong) => ExitCode::from(3),
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<Outcome> {
    let load = || Config::load(&args.config);
    match &args.command {
        Command::Serve => serve::serve(&load()?),
        Command::Init(init) => init::init(&args.config, init),
        Command::Demo(demo) => crate::demo::main(demo),
        Command::Config { command } => match command {
            ConfigCommand::Check => check_config::check(&load()?, &args.config),
            ConfigCommand::Default => print(&config::commented_default()),
            ConfigCommand::Reference => print(&config::reference()),
        },
        Command::Account {
            command: AccountCommand::Import { file },
        } => import::import(&load()?, file, args.json),
        Command::Recall {
            command: RecallCommand::Evidence(evidence),
        } => evidence.run(&load()?),
        Command::Recall {
            command: RecallCommand::VerifyEvidence(verify),
        } => verify.run(args.json),
        Command::Recall {
            command: run @ RecallCommand::Run { .. },
        } => run::run(&load()?, run.run(), args.json),
        Command::Recall {
            command: RecallCommand::Replay { file },
        } => replay::replay(&load()?, file, args.json),
        Command::Hold {
            command: HoldCommand::Export(export),
        } => export.run(&load()?),
        Command::Audit { command } => command.run(&load()?, args.json),
        Command::Policy { command } if command.request().is_none() => {
            command.look(|| Ok(load()?.policy.directories))
        }
        command => {
            let request = command.request()?;
            ask::ask(&load()?, &request, args.json)
        }
    }
}

/// Prints lines that may quote what anybody has written: a terminal must not obey it.
fn say(text: &str) -> Result<Outcome> {
    let is_obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    print(&format!("{}\n", text.replace(is_obeyed, "\u{fffd}")))
}

fn print(text: &str) -> Result<Outcome> {
    use std::io::Write as _;
    // A reader that has seen enough is no error.
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).into_diagnostic()
        }
        _ => Ok(Outcome::Done),
    }
}
