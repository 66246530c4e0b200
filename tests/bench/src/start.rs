//! From the start of the server to the first LOGIN that succeeds.
//!
//! Invariant: the server is down before the clock starts. It is left running after the last start,
//! in the background where its command stays in the foreground.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::error::{Error, Result, Step};
use crate::imap::ImapTarget;
use crate::measure::{Bench, Row};

/// Between two attempts to log in.
const RETRY: Duration = Duration::from_millis(1);
/// How long a start script may go on after the server answers.
const SETTLE: Duration = Duration::from_secs(2);

/// Starts the server `repeat` times.
pub(crate) async fn start(
    bench: &Bench,
    imap: &ImapTarget,
    command: &str,
    stop: Option<&str>,
    repeat: usize,
) -> Result<Row> {
    let meter = bench.meter();
    let mut times = Vec::new();
    let mut child: Option<Child> = None;
    for _ in 0..repeat {
        halt(child.take(), stop).await?;
        if imap.login(0).await.is_ok() {
            return Err(Error::Usage(
                "the server runs already: stop it, or give --stop".into(),
            ));
        }
        let begin = Instant::now();
        let spawned = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .spawn();
        let mut running = spawned.step("start the server")?;
        loop {
            if imap.login(0).await.is_ok() {
                break;
            }
            if let Some(status) = running.try_wait().step("start the server")?
                && !status.success()
            {
                return Err(Error::Usage(format!("`{command}` ended with {status}")));
            }
            tokio::time::sleep(RETRY).await;
        }
        times.push(begin.elapsed());
        // A command that forks a daemon is let finish its own work; a server in the foreground stays.
        let _ = tokio::time::timeout(SETTLE, running.wait()).await;
        child = Some(running);
    }
    let mut row = Row::new("start to first LOGIN");
    row.set_latencies("start", times);
    meter.stop(&mut row);
    Ok(row)
}

/// Stops the server by the command given, or by ending the process that was started.
async fn halt(child: Option<Child>, stop: Option<&str>) -> Result<()> {
    if let Some(stop) = stop {
        run(stop).await?;
        if let Some(mut child) = child {
            child.wait().await.step("stop the server")?;
        }
        return Ok(());
    }
    let Some(mut child) = child else {
        return Ok(());
    };
    if let Some(id) = child.id() {
        let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGTERM);
    }
    child.wait().await.step("stop the server")?;
    Ok(())
}

async fn run(command: &str) -> Result<()> {
    let output = Command::new("sh")
        .args(["-c", command])
        .output()
        .await
        .step("stop the server")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "`{command}` ended with {}",
        output.status
    )))
}
