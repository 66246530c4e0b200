//! Deliveries a second: accepted by SMTP, and, where asked, delivered to mailboxes.
//!
//! Invariant: connections are open and messages built before the clock starts; every message is
//! unique. Accepted and delivered are separate figures: a queue may promise before it delivers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::task::JoinSet;

use crate::error::{Error, Result, Step};
use crate::imap::{Imap, ImapTarget};
use crate::measure::{Bench, Row};
use crate::message::{Message, pool};
use crate::smtp::SmtpTarget;

/// How delivery, as distinct from acceptance, is seen.
#[derive(Clone)]
pub(crate) enum Delivered {
    /// It is not waited for.
    Ignored,
    /// A shell command prints how many recipients were delivered so far.
    Command(String),
    /// A sample of accounts is asked by STATUS; accounts are numbers in the recipients list.
    Imap(ImapTarget),
}

/// One load.
#[derive(Clone)]
pub(crate) struct Load {
    /// Where to.
    pub(crate) smtp: SmtpTarget,
    /// Addresses, used round robin.
    pub(crate) recipients: Arc<Vec<String>>,
    /// Recipients in each message.
    pub(crate) per_message: usize,
    /// Connections at once.
    pub(crate) connections: usize,
    /// Messages in all.
    pub(crate) messages: usize,
    /// Bytes in each, about.
    pub(crate) size: usize,
    /// How to wait for delivery.
    pub(crate) delivered: Delivered,
}

/// Accounts that STATUS polling asks.
const SAMPLE_MAX: usize = 16;
/// Between two looks at what was delivered, by STATUS.
const POLL: Duration = Duration::from_millis(50);
/// The same by a command, which costs the server more CPU.
const POLL_COMMAND: Duration = Duration::from_millis(200);
/// Different messages prepared before the clock starts.
const POOL: usize = 64;

/// Measures one load.
pub(crate) async fn run(bench: &Bench, load: Load) -> Result<Row> {
    if load.per_message > load.recipients.len() {
        return Err(Error::Usage(format!(
            "{} recipients per message, but only {} accounts",
            load.per_message,
            load.recipients.len()
        )));
    }
    let mut progress = Progress::start(&load).await?;
    let mut sessions = Vec::new();
    for _ in 0..load.connections {
        sessions.push(load.smtp.open().await?);
    }
    let messages = Arc::new(pool(
        load.messages as u64,
        POOL.min(load.messages),
        load.size,
    ));
    let run = unique_run();
    let next = Arc::new(AtomicUsize::new(0));
    let meter = bench.meter();
    let mut tasks = JoinSet::new();
    for mut smtp in sessions {
        let (load, messages, next) = (load.clone(), messages.clone(), next.clone());
        tasks.spawn(async move {
            let mut local: Vec<Message> = messages.to_vec();
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= load.messages {
                    break;
                }
                let slot = number % local.len();
                let Some(message) = local.get_mut(slot) else {
                    break;
                };
                message.stamp(run, number as u64);
                let sent = Instant::now();
                let to = recipients_of(&load, number);
                smtp.send(&load.smtp.sender, to, &message.bytes).await?;
                latencies.push(sent.elapsed());
            }
            smtp.quit().await?;
            Ok::<_, Error>(latencies)
        });
    }
    let mut latencies = Vec::with_capacity(load.messages);
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done.map_err(|e| Error::Usage(format!("a session failed: {e}")))??);
    }
    let accepted_s = meter.seconds();
    let total = load.messages * load.per_message;
    let mut row = Row::new(format!(
        "deliver {} recipient{}, {} connection{}",
        load.per_message,
        plural(load.per_message),
        load.connections,
        plural(load.connections)
    ));
    row.set("accepted_messages_per_s", load.messages as f64 / accepted_s);
    row.set("accepted_recipients_per_s", total as f64 / accepted_s);
    row.set_latencies("accept", latencies);
    if progress.wait(total as u64).await? {
        row.set("delivered_recipients_per_s", total as f64 / meter.seconds());
    }
    meter.stop(&mut row);
    Ok(row)
}

/// The recipients of message `number`: the next ones, round robin.
fn recipients_of(load: &Load, number: usize) -> impl Iterator<Item = &str> {
    let first = number * load.per_message;
    let all = &load.recipients;
    (first..first + load.per_message).filter_map(|at| all.get(at % all.len()).map(String::as_str))
}

/// Tells this run's Message-IDs from every other run's.
pub(crate) fn unique_run() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// What was delivered before, and how to ask again.
pub(crate) enum Progress {
    Ignored,
    Command { text: String, before: u64 },
    Imap { sample: Vec<Watched> },
}

/// One account of the sample.
pub(crate) struct Watched {
    session: Imap,
    expected: u64,
}

impl Progress {
    /// Notes what was delivered before the load.
    pub(crate) async fn start(load: &Load) -> Result<Self> {
        match &load.delivered {
            Delivered::Ignored => Ok(Self::Ignored),
            Delivered::Command(text) => Ok(Self::Command {
                text: text.clone(),
                before: number_from(text).await?,
            }),
            Delivered::Imap(target) => {
                let all = load.recipients.len();
                let total = load.messages * load.per_message;
                let touched = all.min(total);
                let step = touched.div_ceil(SAMPLE_MAX).max(1);
                let mut sample = Vec::new();
                for account in (0..touched).rev().step_by(step) {
                    let mut session = target.login(account).await?;
                    let share = total / all + usize::from(account < total % all);
                    let expected = session.messages("INBOX").await? + share as u64;
                    sample.push(Watched { session, expected });
                }
                Ok(Self::Imap { sample })
            }
        }
    }

    /// Waits until `total` more recipients are delivered; false if that is not looked at.
    pub(crate) async fn wait(&mut self, total: u64) -> Result<bool> {
        match self {
            Self::Ignored => return Ok(false),
            Self::Command { text, before } => {
                while number_from(text).await? < *before + total {
                    tokio::time::sleep(POLL_COMMAND).await;
                }
            }
            Self::Imap { sample } => {
                for watched in sample {
                    while watched.session.messages("INBOX").await? < watched.expected {
                        tokio::time::sleep(POLL).await;
                    }
                }
            }
        }
        Ok(true)
    }
}

/// Runs a shell command that prints a number.
async fn number_from(command: &str) -> Result<u64> {
    let output = Command::new("sh")
        .args(["-c", command])
        .output()
        .await
        .step("run a command")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| Error::Usage(format!("`{command}` printed {text:?}, not a number")))
}
