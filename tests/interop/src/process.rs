//! Programs that run once: their output and exit status, under a deadline, ended when it passes.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a program said and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// Exit status; -1 when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The command line, for messages.
    pub command: String,
}

impl Said {
    /// Standard output of a program that succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status == 0, "{self}");
        self.out
    }

    /// Both outputs of a program that must fail.
    #[track_caller]
    pub fn failed(self) -> String {
        assert!(self.status != 0, "succeeded: {self}");
        self.out + &self.err
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`{}` exited with {}", self.command, self.status)?;
        write!(f, "stdout: {}\nstderr: {}", self.out, self.err)
    }
}

/// Runs a program with this input and waits until it ends. Panics at the deadline.
#[track_caller]
pub fn run(command: &mut Command, input: &[u8], deadline: Duration) -> Said {
    let line = format!("{command:?}");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let pid = Pid::from_raw(child.id().cast_signed());
    let (sender, receiver) = mpsc::channel();
    let input = input.to_vec();
    let stdin = child.stdin.take();
    std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // A program may end without reading its input.
            let _ = stdin.write_all(&input);
        }
    });
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(deadline) {
        Ok(Ok(output)) => Said {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            command: line,
        },
        Ok(Err(error)) => panic!("{line}: {error}"),
        Err(_) => {
            let _ = kill(pid, Signal::SIGKILL);
            let said = receiver.recv_timeout(deadline);
            panic!("{line}: still running after {deadline:?}; it said {said:?}")
        }
    }
}

/// The program that a variable names; panics with what to do when it is not set.
#[track_caller]
pub fn program_of(variable: &str) -> std::path::PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: run the tests by `cargo xtask test`"),
    }
}
