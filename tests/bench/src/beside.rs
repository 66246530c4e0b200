//! What somebody who has nothing to do with a removal notices of it: how long their fetches take
//! before it and while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::imap::{Imap, ImapTarget};
use crate::mailbox;
use crate::measure::{Bench, Row};

/// The mailbox that is read, and how many messages of which size it has.
const MAILBOX: &str = "Beside";
const MESSAGES: usize = 200;
const SIZE: usize = 4_096;
/// Between two fetches: a person's client, not a load.
const PAUSE: Duration = Duration::from_millis(2);
/// Sessions that do so, each of an account of its own.
const READERS: usize = 4;
/// How long fetches are timed before the removal.
pub(crate) const LEAD: Duration = Duration::from_secs(2);

/// Sessions that fetch one message after another.
pub(crate) struct Readers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<Vec<(Instant, Duration)>>>,
}

impl Readers {
    /// Fills their mailboxes where need be, reads them once, and begins. They belong to the last of the
    /// accounts, from which nothing is removed where there are enough.
    pub(crate) async fn start(bench: &Bench, imap: &ImapTarget, users: usize) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for account in (0..users).rev().take(READERS) {
            mailbox::fill(bench, imap, account, MAILBOX, MESSAGES, SIZE, 1).await?;
            let mut session = imap.login(account).await?;
            let select = format!("SELECT {MAILBOX}");
            session.command("SELECT", &select).await?;
            // What is fetched for the first time is also put on record.
            session.command("FETCH", "FETCH 1:* BODY.PEEK[]").await?;
            let stopped = Arc::clone(&stop);
            tasks.spawn(async move { read(&mut session, &stopped).await });
        }
        Ok(Self { stop, tasks })
    }

    /// Stops; says how long fetches took that began before this moment, and from it until another.
    pub(crate) async fn finish(
        mut self,
        row: &mut Row,
        start: Instant,
        end: Instant,
    ) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let mut fetches = Vec::new();
        while let Some(done) = self.tasks.join_next().await {
            let failed = |error| Error::Usage(format!("a session failed: {error}"));
            fetches.extend(done.map_err(failed)??);
        }
        let among = |from: Option<Instant>, to| -> Vec<Duration> {
            let within = |at: &Instant| from.is_none_or(|from| *at >= from) && *at < to;
            let fetches = fetches.iter().filter(|(at, _)| within(at));
            fetches.map(|(_, took)| *took).collect()
        };
        row.set_latencies("fetch_before", among(None, start));
        row.set_latencies("fetch_beside", among(Some(start), end));
        Ok(())
    }
}

async fn read(session: &mut Imap, stop: &AtomicBool) -> Result<Vec<(Instant, Duration)>> {
    let mut fetches = Vec::new();
    for number in (1..=MESSAGES).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let start = Instant::now();
        let fetch = format!("FETCH {number} BODY.PEEK[]");
        session.command("FETCH", &fetch).await?;
        fetches.push((start, start.elapsed()));
        tokio::time::sleep(PAUSE).await;
    }
    Ok(fetches)
}
