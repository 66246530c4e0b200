//! Passwords for the command line: asked for without echo, or read from standard input.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use miette::{IntoDiagnostic as _, Result, miette};
use nix::sys::termios::{self, LocalFlags, SetArg};

#[derive(Args)]
pub(crate) struct PasswordArgs {
    /// The password. Others on this machine can see it while the command runs.
    #[arg(long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input, to the end of its first line.
    #[arg(long)]
    password_stdin: bool,
}

/// The password, from wherever it was said to come; asked for where nothing was said.
pub(super) fn read(args: &PasswordArgs, address: &str) -> Result<String> {
    if let Some(password) = &args.password {
        return Ok(password.clone());
    }
    if args.password_stdin {
        return line();
    }
    if !io::stdin().is_terminal() {
        return Err(miette!(
            help = "`--password-stdin` reads it from standard input",
            "there is no terminal to ask for the password of {address} on"
        ));
    }
    let first = prompt(&format!("Password of {address}: "))?;
    if prompt("Again: ")? != first {
        return Err(miette!("the two passwords are not the same"));
    }
    Ok(first)
}

fn line() -> Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).into_diagnostic()?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks on the terminal without showing what is typed.
fn prompt(question: &str) -> Result<String> {
    let mut out = io::stderr();
    write!(out, "{question}")
        .and_then(|()| out.flush())
        .into_diagnostic()?;
    let before = termios::tcgetattr(io::stdin()).into_diagnostic()?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &silent).into_diagnostic()?;
    let answer = line();
    termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &before).into_diagnostic()?;
    writeln!(out).into_diagnostic()?;
    answer
}
