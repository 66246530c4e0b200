//! What somebody who has nothing to do with a removal notices of it: how long their fetches take
//! before it and while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

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
/// How long fetches are timed before the removal.
pub(crate) const LEAD: Duration = Duration::from_secs(2);

/// A session that fetches one message after another.
pub(crate) struct Reader {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Vec<(Instant, Duration)>>>,
}

impl Reader {
    /// Fills its mailbox where need be, reads it once, and begins.
    pub(crate) async fn start(bench: &Bench, imap: &ImapTarget) -> Result<Self> {
        mailbox::fill(bench, imap, 0, MAILBOX, MESSAGES, SIZE, 1).await?;
        let mut session = imap.login(0).await?;
        session
            .command("SELECT", &format!("SELECT {MAILBOX}"))
            .await?;
        // What is fetched for the first time is also put on record.
        session.command("FETCH", "FETCH 1:* BODY.PEEK[]").await?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move { read(&mut session, &stopped).await });
        Ok(Self { stop, task })
    }

    /// Stops; says how long fetches took that began before this moment, and from it until another.
    pub(crate) async fn finish(self, row: &mut Row, start: Instant, end: Instant) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let failed = |error| Error::Usage(format!("a session failed: {error}"));
        let fetches = self.task.await.map_err(failed)??;
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
