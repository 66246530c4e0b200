//! Passwords for the command line: asked for without echo, or read from standard input.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use miette::{IntoDiagnostic as _, Result, miette};
use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices};

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

/// What the interrupt key types where it sends no signal.
const INTERRUPT: u8 = 0x03;

/// Asks on the terminal without showing what is typed. What was typed ahead is no answer, and whoever
/// interrupts gets the terminal back as it was.
fn prompt(question: &str) -> Result<String> {
    let mut out = io::stderr();
    write!(out, "{question}")
        .and_then(|()| out.flush())
        .into_diagnostic()?;
    let before = termios::tcgetattr(io::stdin()).into_diagnostic()?;
    let mut silent = before.clone();
    // A signal would end this process before it has put things right: the key ends the line instead.
    silent
        .local_flags
        .remove(LocalFlags::ECHO | LocalFlags::ISIG);
    if let Some(end) = silent
        .control_chars
        .get_mut(SpecialCharacterIndices::VEOL as usize)
    {
        *end = INTERRUPT;
    }
    termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &silent).into_diagnostic()?;
    let answer = typed(&mut io::stdin().lock());
    termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &before).into_diagnostic()?;
    writeln!(out).into_diagnostic()?;
    answer
        .into_diagnostic()?
        .ok_or_else(|| miette!("interrupted"))
}

/// A line as it is typed; none where it was interrupted.
fn typed(terminal: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        let piece = terminal.fill_buf()?;
        let end = piece
            .iter()
            .position(|byte| matches!(byte, b'\n' | &INTERRUPT));
        let taken = end.map_or(piece.len(), |end| end + 1);
        line.extend_from_slice(piece.get(..taken).unwrap_or_default());
        terminal.consume(taken);
        if line.last() == Some(&INTERRUPT) {
            return Ok(None);
        }
        if end.is_some() || taken == 0 {
            let line = String::from_utf8(line).map_err(io::Error::other)?;
            return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_it_was_ended_or_interrupted() {
        for (typed_in, line) in [
            ("secret\nnext", Some("secret")),
            ("secret\r\n", Some("secret")),
            ("", Some("")),
            ("cut", Some("cut")),
            ("sec\u{3}", None),
            ("\u{3}\nmore", None),
        ] {
            // As a terminal hands it over, in pieces.
            let mut pieces = io::BufReader::with_capacity(2, typed_in.as_bytes());
            let read = typed(&mut pieces).expect("UTF-8");
            assert_eq!(read.as_deref(), line, "{typed_in:?}");
        }
    }
}
