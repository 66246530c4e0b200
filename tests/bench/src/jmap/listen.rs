//! Memory of many listeners, and how soon each is told of a change.
//!
//! Invariant: a push is timed from before the APPEND that makes the change is sent to when the listener
//! has read it: its commit is part of it. A listener that is lost, or not told, is an error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::client::Client;
use super::http::HttpTarget;
use super::listener::{Kind, Listener};
use super::session::Session;
use crate::deliver::unique_run;
use crate::error::{Error, Result};
use crate::imap::ImapTarget;
use crate::measure::{Bench, Row};
use crate::message::pool;
use crate::watch::raise_file_limit;

/// Handshakes under way at once.
const OPENING_MAX: usize = 32;
/// A push that takes longer than this is lost.
const PUSH_WITHIN: Duration = Duration::from_secs(60);
/// Bytes in the messages that are told of.
const SIZE: usize = 1_024;

/// How many.
#[derive(Clone, Copy)]
pub(super) struct Crowd {
    /// Listeners in all; number `n` belongs to account `n % accounts`.
    pub(super) listeners: usize,
    /// Accounts.
    pub(super) accounts: usize,
    /// Changes, one after another, of different accounts.
    pub(super) pushes: usize,
}

type Told = mpsc::UnboundedReceiver<Result<Instant>>;

/// Opens them, measures the server's memory, then makes changes.
pub(super) async fn listen(
    bench: &Bench,
    target: &HttpTarget,
    imap: &ImapTarget,
    kind: Kind,
    crowd: Crowd,
) -> Result<Vec<Row>> {
    raise_file_limit(crowd.listeners as u64 + 256)?;
    let mut sessions = Vec::with_capacity(crowd.accounts);
    for account in 0..crowd.accounts {
        sessions.push(Client::open(target, account).await?.session);
    }
    let before = bench.processes.as_ref().map(|p| p.memory());
    let meter = bench.meter();
    let (_tasks, mut told) = open(target, kind, crowd, sessions).await?;
    let opened = meter.seconds();
    let mut row = Row::new(format!("{} listeners", kind.name()));
    row.set("sessions", crowd.listeners as f64);
    row.set("opened_per_s", crowd.listeners as f64 / opened);
    meter.stop(&mut row);
    if let (Some(processes), Some(before)) = (&bench.processes, before) {
        let after = processes.memory();
        let each =
            |after: u64, before: u64| (after as f64 - before as f64) / crowd.listeners as f64;
        row.set("pss_per_listener_kib", each(after.pss_kib, before.pss_kib));
        row.set("rss_per_listener_kib", each(after.rss_kib, before.rss_kib));
        row.set("server_pss_mib", after.pss_kib as f64 / 1024.0);
    }
    let push = push(bench, imap, kind, crowd, &mut told).await?;
    Ok(vec![row, push])
}

/// Opens them all; each sends the time of each thing that it is told.
async fn open(
    target: &HttpTarget,
    kind: Kind,
    crowd: Crowd,
    sessions: Vec<Session>,
) -> Result<(JoinSet<()>, Told)> {
    let opening = Arc::new(Semaphore::new(OPENING_MAX));
    let sessions = Arc::new(sessions);
    let (ready, mut readied) = mpsc::unbounded_channel();
    let (tell, told) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for number in 0..crowd.listeners {
        let (target, opening, sessions) = (target.clone(), opening.clone(), sessions.clone());
        let (ready, tell) = (ready.clone(), tell.clone());
        tasks.spawn(async move {
            let account = number % crowd.accounts;
            let opened = async {
                let _one = opening.acquire().await;
                let session = sessions.get(account).ok_or(Error::Closed("a session"))?;
                Listener::open(kind, &target, account, session).await
            };
            let mut listener = match opened.await {
                Ok(listener) => listener,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            drop(ready);
            loop {
                let told = listener.told().await.map(|()| Instant::now());
                let end = told.is_err();
                let _ = tell.send(told);
                if end {
                    return;
                }
            }
        });
    }
    for _ in 0..crowd.listeners {
        readied.recv().await.unwrap_or(Err(Error::Closed("push")))?;
    }
    Ok((tasks, told))
}

/// Appends one message after another; times when each listener of its account is told of it.
async fn push(
    bench: &Bench,
    imap: &ImapTarget,
    kind: Kind,
    crowd: Crowd,
    told: &mut Told,
) -> Result<Row> {
    let run = unique_run();
    let mut messages = pool(run, 16, SIZE);
    let mut sessions = Vec::with_capacity(crowd.accounts);
    for account in 0..crowd.accounts {
        sessions.push(imap.login(account).await?);
    }
    let mut latencies = Vec::new();
    let meter = bench.meter();
    for number in 0..crowd.pushes {
        // Spread over the accounts, so that no server keeps the last one warm.
        let account = number * 7919 % crowd.accounts;
        let slot = number % messages.len();
        let (Some(message), Some(session)) = (messages.get_mut(slot), sessions.get_mut(account))
        else {
            break;
        };
        message.stamp(run, number as u64);
        let wanted = (account..crowd.listeners).step_by(crowd.accounts).count();
        let start = Instant::now();
        session.append("INBOX", &message.bytes).await?;
        for left in (1..=wanted).rev() {
            let at = tokio::time::timeout(PUSH_WITHIN, told.recv()).await;
            let at = at.map_err(|_| Error::Late {
                step: format!("a push to {left} listeners"),
                seconds: PUSH_WITHIN.as_secs(),
            })?;
            let at = at.unwrap_or(Err(Error::Closed("a push")))?;
            latencies.push(at.saturating_duration_since(start));
        }
    }
    let mut row = Row::new(format!("{} push", kind.name()));
    row.set_latencies("push", latencies);
    meter.stop(&mut row);
    Ok(row)
}
