//! Memory of idle sessions, and how soon a delivery and an expunge reach them.
//!
//! Invariant: latencies count from a fixed event (the 250 of a delivery, the start of a command) to
//! the line that a session reads. A push that comes before the 250 counts as 0 and is reported.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::beside::{self, Readers};
use crate::deliver::{Delivered, Load, Progress, unique_run};
use crate::error::{Error, Result, Step};
use crate::imap::{ImapTarget, Push};
use crate::measure::{Bench, Row};
use crate::message::pool;
use crate::smtp::SmtpTarget;
use crate::watch::Watchers;

/// A push that takes longer than this is lost.
const PUSH_WITHIN: Duration = Duration::from_secs(60);
/// Bytes in the messages that trigger pushes.
const TRIGGER_SIZE: usize = 1024;

/// Opens `sessions` idle sessions, measures the server's memory, then pushes to `pushes` accounts.
pub(crate) async fn idle(
    bench: &Bench,
    imap: &ImapTarget,
    smtp: &SmtpTarget,
    sessions: usize,
    accounts: usize,
    pushes: usize,
) -> Result<Vec<Row>> {
    let before = bench.processes.as_ref().map(|p| p.memory());
    let meter = bench.meter();
    let mut watchers = Watchers::open(imap, sessions, accounts).await?;
    let opened = meter.seconds();
    let mut row = Row::new(format!("idle {sessions} sessions, {accounts} accounts"));
    row.set("sessions", sessions as f64);
    row.set("opened_per_s", sessions as f64 / opened);
    meter.stop(&mut row);
    if let (Some(processes), Some(before)) = (&bench.processes, before) {
        let after = processes.memory();
        let each = |after: u64, before: u64| (after as f64 - before as f64) / sessions as f64;
        row.set("pss_per_session_kib", each(after.pss_kib, before.pss_kib));
        row.set("rss_per_session_kib", each(after.rss_kib, before.rss_kib));
        row.set("server_processes", after.processes as f64);
        row.set("server_pss_mib", after.pss_kib as f64 / 1024.0);
    }
    let push = push(bench, imap, smtp, &mut watchers, pushes).await?;
    Ok(vec![row, push])
}

/// Delivers one message after another to different accounts; times the EXISTS of their sessions.
async fn push(
    bench: &Bench,
    imap: &ImapTarget,
    smtp: &SmtpTarget,
    watchers: &mut Watchers,
    pushes: usize,
) -> Result<Row> {
    let run = unique_run();
    let mut messages = pool(run, 16, TRIGGER_SIZE);
    let mut client = smtp.open().await?;
    let (mut latencies, mut early) = (Vec::new(), 0_u32);
    let accounts = watchers.accounts.min(watchers.sessions);
    let meter = bench.meter();
    for number in 0..pushes {
        // Spread over the accounts, so that no server keeps the last one warm.
        let account = number * 7919 % accounts;
        let slot = number % messages.len();
        let Some(message) = messages.get_mut(slot) else {
            break;
        };
        message.stamp(run, number as u64);
        watchers.forget()?;
        let to = imap.user(account);
        client
            .send(&smtp.sender, std::iter::once(to.as_str()), &message.bytes)
            .await?;
        let accepted = Instant::now();
        let wanted = (account..watchers.sessions)
            .step_by(watchers.accounts)
            .collect();
        let exists = |push| matches!(push, Push::Exists(_));
        for at in watchers.each(wanted, PUSH_WITHIN, exists).await? {
            early += u32::from(at < accepted);
            latencies.push(at.saturating_duration_since(accepted));
        }
    }
    let mut row = Row::new(format!("push EXISTS, {} idle sessions", watchers.sessions));
    row.set_latencies("push", latencies);
    row.set("accepted_before_push", f64::from(early));
    meter.stop(&mut row);
    client.quit().await?;
    Ok(row)
}

/// What an expunge measurement needs.
#[derive(Clone)]
pub(crate) struct ExpungePlan {
    /// Sessions in IDLE, each of another account while they last.
    pub(crate) sessions: usize,
    /// Accounts that the message is delivered to; the first of them are watched.
    pub(crate) mailboxes: usize,
    /// All accounts; the last of them read meanwhile.
    pub(crate) users: usize,
    /// Recipients in each message; one message, if a submission is to be recalled as a whole.
    pub(crate) per_message: usize,
    /// The address of a group of these accounts: one recipient, instead of each of them.
    pub(crate) group: Option<String>,
    /// The command; `{message_id}` is replaced.
    pub(crate) command: String,
    /// How to know that the message has arrived everywhere.
    pub(crate) delivered: Delivered,
}

/// Accounts asked at the end whether the message is gone.
const VERIFIED_MAX: usize = 64;

/// Delivers a message to many mailboxes, runs a command that must remove it, and times both the
/// pushes, from the command's start, and the moment when the message is nowhere.
pub(crate) async fn expunge_watch(
    bench: &Bench,
    imap: &ImapTarget,
    smtp: &SmtpTarget,
    plan: ExpungePlan,
) -> Result<Row> {
    let sessions = plan.sessions.min(plan.mailboxes);
    let mut watchers = Watchers::open(imap, sessions, sessions.max(1)).await?;
    let message_id = spread(imap, smtp, &plan).await?;
    watchers
        .each((0..sessions).collect(), PUSH_WITHIN, |p| {
            matches!(p, Push::Exists(_))
        })
        .await?;
    watchers.forget()?;

    let readers = Readers::start(bench, imap, plan.users).await?;
    tokio::time::sleep(beside::LEAD).await;
    let command = plan.command.replace("{message_id}", &message_id);
    let meter = bench.meter();
    let start = Instant::now();
    let run = async {
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).stdout(Stdio::null());
        let status = shell.status().await.step("run the command")?;
        let seconds = start.elapsed().as_secs_f64();
        if status.success() {
            Ok(seconds)
        } else {
            Err(Error::Usage(format!("`{command}` ended with {status}")))
        }
    };
    let within = Duration::from_secs(bench.max_seconds);
    let pushes = watchers.each((0..sessions).collect(), within, |p| p == Push::Expunge);
    let (seconds, pushes) = tokio::join!(run, pushes);
    let (seconds, pushes) = (seconds?, pushes?);
    let pushed = Instant::now();
    verify_gone(imap, plan.mailboxes, &message_id).await?;

    let mut row = Row::new(format!(
        "remove from {} mailboxes, {sessions} idle sessions",
        plan.mailboxes
    ));
    row.set("command_s", seconds);
    row.set("mailboxes_per_s", plan.mailboxes as f64 / seconds);
    let latencies = pushes
        .iter()
        .map(|at| at.saturating_duration_since(start))
        .collect();
    row.set_latencies("expunge_push", latencies);
    row.set("gone_everywhere_s", start.elapsed().as_secs_f64());
    meter.stop(&mut row);
    readers.finish(&mut row, start, pushed).await?;
    Ok(row)
}

/// Delivers one Message-ID to all the mailboxes, and waits until it is there.
async fn spread(imap: &ImapTarget, smtp: &SmtpTarget, plan: &ExpungePlan) -> Result<String> {
    let run = unique_run();
    let mut message = pool(run, 1, TRIGGER_SIZE).remove(0);
    message.stamp(run, 0);
    let recipients: Vec<String> = (0..plan.mailboxes).map(|n| imap.user(n)).collect();
    let load = Load {
        smtp: smtp.clone(),
        recipients: Arc::new(recipients),
        per_message: plan.mailboxes,
        connections: 1,
        messages: 1,
        size: TRIGGER_SIZE,
        delivered: plan.delivered.clone(),
    };
    let mut progress = Progress::start(&load).await?;
    let mut client = smtp.open().await?;
    let addressed = match &plan.group {
        Some(group) => std::slice::from_ref(group),
        None => load.recipients.as_slice(),
    };
    for recipients in addressed.chunks(plan.per_message.max(1)) {
        let to = recipients.iter().map(String::as_str);
        client.send(&smtp.sender, to, &message.bytes).await?;
    }
    progress.wait(plan.mailboxes as u64).await?;
    client.quit().await?;
    Ok(message.id())
}

/// Asks a sample of the accounts until none finds the message.
async fn verify_gone(imap: &ImapTarget, mailboxes: usize, message_id: &str) -> Result<()> {
    let step = mailboxes.div_ceil(VERIFIED_MAX).max(1);
    for account in (0..mailboxes).rev().step_by(step) {
        let mut session = imap.login(account).await?;
        loop {
            session.command("SELECT", "SELECT INBOX").await?;
            let search = format!("SEARCH HEADER Message-ID \"{message_id}\"");
            if session.command("SEARCH", &search).await?.hits == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
