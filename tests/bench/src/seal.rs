//! How soon a message is served no more once its sender has asked for its recall from a mail client,
//! while mail comes in at a steady rate.
//!
//! Invariant: the time counts from before the command that asks (`STORE +FLAGS ($Recall)`) to the
//! first answer without content that the recipient's session reads, over the wire; the rate that was
//! really reached is in the row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::deliver::unique_run;
use crate::error::{Error, Result};
use crate::imap::{Imap, ImapTarget};
use crate::measure::{Bench, Row};
use crate::message::pool;
use crate::smtp::SmtpTarget;

/// What the measurement needs.
#[derive(Clone)]
pub(crate) struct SealPlan {
    /// Where the recipient reads; the sender, too.
    pub(crate) imap: ImapTarget,
    /// Where the sender submits, signed in.
    pub(crate) submission: SmtpTarget,
    /// Where the load goes in.
    pub(crate) smtp: SmtpTarget,
    /// Who gets the load.
    pub(crate) recipients: Arc<Vec<String>>,
    /// Deliveries a second beside it.
    pub(crate) rate: u32,
    /// Messages that are recalled, one after the other.
    pub(crate) recalls: usize,
}

/// Connections that the load uses.
const CONNECTIONS: u32 = 8;
/// Bytes in every message.
const SIZE: usize = 4_096;
/// A message that is still served after this long counts as never taken back.
const WITHIN: Duration = Duration::from_secs(30);
/// The load runs for so long before the first recall.
const LEAD: Duration = Duration::from_millis(500);

/// Measures it.
pub(crate) async fn seal(bench: &Bench, plan: SealPlan) -> Result<Row> {
    let mut asker = Imap::open(plan.imap.endpoint, &plan.imap.tls).await?;
    let password = &plan.imap.password;
    asker.login(&plan.submission.sender, password).await?;
    // It is there already, unless the account is new.
    let _ = asker.command("CREATE", "CREATE Sent").await;
    let mut reader = plan.imap.login(0).await?;
    let ids = send(&plan, &mut asker).await?;
    asker.command("SELECT", "SELECT Sent").await?;
    reader.command("SELECT", "SELECT INBOX").await?;

    let load = Stream::start(&plan).await?;
    tokio::time::sleep(LEAD).await;
    let meter = bench.meter();
    let before = load.sent.load(Ordering::Relaxed);
    let mut latencies = Vec::with_capacity(ids.len());
    for id in &ids {
        latencies.push(until_gone(&mut asker, &mut reader, id).await?);
    }
    let sent = load.sent.load(Ordering::Relaxed) - before;
    let mut row = Row::new(format!(
        "recall asked for by a client, {}/s come in",
        plan.rate
    ));
    row.set("load_messages_per_s", sent as f64 / meter.seconds());
    row.set_latencies("not_served", latencies);
    meter.stop(&mut row);
    load.stop().await?;
    Ok(row)
}

/// Submits what will be recalled, and files the sender's copies. Answers the Message-IDs.
async fn send(plan: &SealPlan, asker: &mut Imap) -> Result<Vec<String>> {
    let run = unique_run();
    let mut client = plan.submission.open().await?;
    let to = plan.imap.user(0);
    let mut ids = Vec::with_capacity(plan.recalls);
    // Each with a text of its own: the same text would be the same letter.
    for (number, mut message) in pool(run, plan.recalls, SIZE).into_iter().enumerate() {
        message.stamp(run, number as u64);
        let sender = &plan.submission.sender;
        let recipients = std::iter::once(to.as_str());
        client.send(sender, recipients, &message.bytes).await?;
        asker.append("Sent", &message.bytes).await?;
        ids.push(message.id());
    }
    client.quit().await?;
    Ok(ids)
}

/// Sets the keyword, and fetches until nothing comes any more.
async fn until_gone(asker: &mut Imap, reader: &mut Imap, id: &str) -> Result<Duration> {
    let search = format!("UID SEARCH HEADER Message-ID \"{id}\"");
    reader.command("NOOP", "NOOP").await?;
    let (own, copy) = (
        asker.first_hit("SEARCH", &search).await?,
        reader.first_hit("SEARCH", &search).await?,
    );
    let fetch = format!("UID FETCH {copy} BODY.PEEK[]");
    if reader.command("FETCH", &fetch).await?.fetches == 0 {
        return Err(Error::Usage(format!("{id} was not delivered")));
    }
    let start = Instant::now();
    let ask = format!("UID STORE {own} +FLAGS.SILENT ($Recall)");
    let asked = asker.command("STORE", &ask);
    let gone = async {
        while start.elapsed() < WITHIN {
            match reader.command("FETCH", &fetch).await {
                // RFC 5530 EXPUNGEISSUED: sealed. Without an answer: withdrawn.
                Err(Error::Refused { .. }) => return Ok(start.elapsed()),
                Ok(answer) if answer.fetches == 0 => return Ok(start.elapsed()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Usage(format!("{id} is still served")))
    };
    let (asked, gone) = tokio::join!(asked, gone);
    asked?;
    gone
}

/// Deliveries at a steady rate.
struct Stream {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<()>>,
}

impl Stream {
    async fn start(plan: &SealPlan) -> Result<Self> {
        let mut stream = Self {
            sent: Arc::default(),
            stop: Arc::default(),
            tasks: JoinSet::new(),
        };
        let run = unique_run();
        for number in 0..CONNECTIONS {
            let mut client = plan.smtp.open().await?;
            let (sent, stop) = (Arc::clone(&stream.sent), Arc::clone(&stream.stop));
            let plan = plan.clone();
            stream.tasks.spawn(async move {
                let mut message = pool(u64::from(number), 1, SIZE).remove(0);
                let mut pace = interval(Duration::from_secs(1) * CONNECTIONS / plan.rate);
                pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let mut next = number as usize;
                while !stop.load(Ordering::Relaxed) {
                    pace.tick().await;
                    message.stamp(run, next as u64);
                    let to = plan.recipients.get(next % plan.recipients.len());
                    let to = to.map(String::as_str).into_iter();
                    client.send(&plan.smtp.sender, to, &message.bytes).await?;
                    sent.fetch_add(1, Ordering::Relaxed);
                    next += CONNECTIONS as usize;
                }
                client.quit().await
            });
        }
        Ok(stream)
    }

    async fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done.map_err(|error| Error::Usage(format!("a session failed: {error}")))??;
        }
        Ok(())
    }
}
