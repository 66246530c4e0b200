//! One mailbox under load: append, select, fetch, search, store, copy, expunge.
//!
//! Invariant: a measurement that changes a mailbox works on its own copy, or changes it back. The
//! clock covers the command alone: login and preparation are outside.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::deliver::{plural, unique_run};
use crate::error::{Error, Result};
use crate::imap::{Answer, Imap, ImapTarget};
use crate::measure::{Bench, Row};
use crate::message::{Message, Random, pool, word};

/// The mailbox that `fill` makes and the others read.
pub(crate) fn filled_name(messages: usize) -> String {
    format!("bench-{messages}")
}

/// Messages in one go on one session while filling.
const FILL_WINDOW: usize = 50;

/// Brings a mailbox to `messages` messages of varying size, with many sessions at once.
pub(crate) async fn fill(
    bench: &Bench,
    target: &ImapTarget,
    account: usize,
    mailbox: &str,
    messages: usize,
    size: usize,
    sessions: usize,
) -> Result<Row> {
    let mut first = target.login(account).await?;
    if mailbox != "INBOX" && first.messages(mailbox).await.is_err() {
        first
            .command("CREATE", &format!("CREATE \"{mailbox}\""))
            .await?;
    }
    let present = first.messages(mailbox).await? as usize;
    let place = place(account, mailbox);
    let meter = bench.meter();
    let mut tasks = JoinSet::new();
    for session in 0..sessions {
        let mut imap = target.login(account).await?;
        let mailbox = mailbox.to_owned();
        tasks.spawn(async move {
            // Message `n` of a mailbox is the same on every target.
            let numbers: Vec<usize> = (present..messages)
                .skip(session)
                .step_by(sessions)
                .collect();
            for numbers in numbers.chunks(FILL_WINDOW) {
                let batch: Vec<_> = numbers.iter().map(|n| seeded(place, *n, size)).collect();
                imap.append_all(&mailbox, &batch).await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|e| Error::Usage(format!("a session failed: {e}")))??;
    }
    let added = messages.saturating_sub(present);
    let mut row = Row::new(format!(
        "fill by APPEND, {sessions} session{}",
        plural(sessions)
    ));
    row.set("messages", added as f64);
    let wall = meter.stop(&mut row);
    row.set("messages_per_s", added as f64 / wall);
    Ok(row)
}

/// Message `n` of a filled mailbox: half to one and a half times `size`. The text depends on `n`
/// alone, the Message-ID on the place too, so no two mailboxes hold equal content.
fn seeded(place: u64, n: usize, size: usize) -> Vec<u8> {
    let mut random = Random::new(n as u64 ^ 0x7465_726e);
    let varied = size / 2 + (random.next() % size.max(1) as u64) as usize;
    let mut message = Message::new(&mut random, varied);
    message.stamp(place, n as u64);
    message.bytes
}

/// A number for a mailbox of an account (FNV-1a).
fn place(account: usize, mailbox: &str) -> u64 {
    let name = format!("{account}/{mailbox}");
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// APPEND by several sessions of as many accounts, one message in flight in each.
pub(crate) async fn append(
    bench: &Bench,
    target: &ImapTarget,
    sessions: usize,
    messages: usize,
    size: usize,
    users: usize,
) -> Result<Row> {
    let run = unique_run();
    let each = messages / sessions.max(1);
    let mut open = Vec::new();
    for session in 0..sessions {
        open.push(target.login(session % users).await?);
    }
    let meter = bench.meter();
    let mut tasks = JoinSet::new();
    for (session, mut imap) in open.into_iter().enumerate() {
        let mut messages = pool(session as u64, each.min(64), size);
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(each);
            for number in 0..each {
                let slot = number % messages.len();
                let Some(message) = messages.get_mut(slot) else {
                    break;
                };
                message.stamp(run, ((session << 32) + number) as u64);
                let sent = Instant::now();
                imap.append("INBOX", &message.bytes).await?;
                latencies.push(sent.elapsed());
            }
            Ok::<_, Error>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done.map_err(|e| Error::Usage(format!("a session failed: {e}")))??);
    }
    let count = latencies.len();
    let mut row = Row::new(format!("append {sessions} session{}", plural(sessions)));
    let wall = meter.stop(&mut row);
    row.set("messages_per_s", count as f64 / wall);
    row.set_latencies("append", latencies);
    Ok(row)
}

/// SELECT of a filled mailbox, each time in a fresh session.
pub(crate) async fn select(
    bench: &Bench,
    target: &ImapTarget,
    messages: usize,
    repeat: usize,
) -> Result<Row> {
    let mut times = Vec::new();
    let meter = bench.meter();
    for _ in 0..repeat {
        let mut imap = target.login(0).await?;
        let start = Instant::now();
        let answer = open_filled(&mut imap, messages).await?;
        times.push(start.elapsed());
        require("EXISTS", answer.exists.unwrap_or(0), messages)?;
    }
    let mut row = Row::new(format!("select {messages} messages"));
    row.set_latencies("select", times);
    meter.stop(&mut row);
    Ok(row)
}

/// The four FETCHes of a whole mailbox: the label of the row, and the items.
const FETCHES: [(&str, &str); 4] = [
    ("flags", "FLAGS"),
    ("envelope", "ENVELOPE"),
    ("body structure", "BODYSTRUCTURE"),
    ("bodies", "BODY.PEEK[]"),
];

/// FETCH 1:* of a filled mailbox, each kind `repeat` times; the median counts.
pub(crate) async fn fetch(
    bench: &Bench,
    target: &ImapTarget,
    messages: usize,
    repeat: usize,
) -> Result<Vec<Row>> {
    let mut imap = target.login(0).await?;
    open_filled(&mut imap, messages).await?;
    let mut rows = Vec::new();
    for (label, items) in FETCHES {
        let command = format!("FETCH 1:* ({items})");
        let mut answer = Answer::default();
        let meter = bench.meter();
        let mut times = Vec::new();
        for _ in 0..repeat {
            let start = Instant::now();
            answer = imap.command("FETCH", &command).await?;
            times.push(start.elapsed());
            require("FETCH responses", answer.fetches, messages)?;
        }
        let seconds = median_seconds(&mut times);
        let mut row = Row::new(format!("fetch {label}, {messages} messages"));
        row.set("messages_per_s", messages as f64 / seconds);
        row.set("megabytes_per_s", answer.bytes as f64 / 1e6 / seconds);
        meter.stop(&mut row);
        rows.push(row);
    }
    Ok(rows)
}

/// SEARCH by subject and by text over a filled mailbox; a needle found and one that is nowhere.
pub(crate) async fn search(
    bench: &Bench,
    target: &ImapTarget,
    messages: usize,
    repeat: usize,
) -> Result<Vec<Row>> {
    let mut imap = target.login(0).await?;
    open_filled(&mut imap, messages).await?;
    let mut rows = Vec::new();
    for (label, key, needle) in [
        ("subject", "SUBJECT", word(40)),
        ("text", "TEXT", word(2_000)),
        ("text, no match", "TEXT", "zyzzyvaquux".to_owned()),
    ] {
        let meter = bench.meter();
        let mut times = Vec::new();
        let mut hits = 0;
        for _ in 0..repeat {
            let start = Instant::now();
            hits = imap
                .command("SEARCH", &format!("SEARCH {key} \"{needle}\""))
                .await?
                .hits;
            times.push(start.elapsed());
        }
        let mut row = Row::new(format!("search {label}, {messages} messages"));
        row.set("hits", hits as f64);
        row.set_latencies("search", times);
        meter.stop(&mut row);
        rows.push(row);
    }
    Ok(rows)
}

/// STORE 1:* +FLAGS over a filled mailbox; each time the flag is taken away again, unmeasured.
pub(crate) async fn store(
    bench: &Bench,
    target: &ImapTarget,
    messages: usize,
    repeat: usize,
) -> Result<Row> {
    let mut imap = target.login(0).await?;
    open_filled(&mut imap, messages).await?;
    imap.command("STORE", "STORE 1:* -FLAGS.SILENT (\\Flagged)")
        .await?;
    let meter = bench.meter();
    let mut times = Vec::new();
    for _ in 0..repeat {
        let start = Instant::now();
        let answer = imap
            .command("STORE", "STORE 1:* +FLAGS (\\Flagged)")
            .await?;
        times.push(start.elapsed());
        require("FETCH responses", answer.fetches, messages)?;
        imap.command("STORE", "STORE 1:* -FLAGS.SILENT (\\Flagged)")
            .await?;
    }
    let seconds = median_seconds(&mut times);
    let mut row = Row::new(format!("store 1:* +FLAGS, {messages} messages"));
    row.set("messages_per_s", messages as f64 / seconds);
    meter.stop(&mut row);
    Ok(row)
}

/// COPY of a filled mailbox and EXPUNGE of the copy.
pub(crate) async fn expunge(
    bench: &Bench,
    target: &ImapTarget,
    messages: usize,
    repeat: usize,
) -> Result<Vec<Row>> {
    let mut imap = target.login(0).await?;
    let (mut copies, mut expunges) = (Vec::new(), Vec::new());
    let meter = bench.meter();
    for _ in 0..repeat {
        let scratch = format!("bench-scratch-{}", unique_run());
        imap.command("CREATE", &format!("CREATE {scratch}")).await?;
        open_filled(&mut imap, messages).await?;
        let start = Instant::now();
        imap.command("COPY", &format!("COPY 1:* {scratch}")).await?;
        copies.push(start.elapsed());
        let exists = imap
            .command("SELECT", &format!("SELECT {scratch}"))
            .await?
            .exists;
        require("EXISTS", exists.unwrap_or(0), messages)?;
        imap.command("STORE", "STORE 1:* +FLAGS.SILENT (\\Deleted)")
            .await?;
        let start = Instant::now();
        let answer = imap.command("EXPUNGE", "EXPUNGE").await?;
        expunges.push(start.elapsed());
        require("EXPUNGE responses", answer.expunges, messages)?;
        imap.command("SELECT", "SELECT INBOX").await?;
        imap.command("DELETE", &format!("DELETE {scratch}")).await?;
    }
    let mut rows = Vec::new();
    for (label, times) in [("copy", &mut copies), ("expunge", &mut expunges)] {
        let mut row = Row::new(format!("{label} {messages} messages"));
        row.set("messages_per_s", messages as f64 / median_seconds(times));
        rows.push(row);
    }
    if let Some(last) = rows.last_mut() {
        meter.stop(last);
    }
    Ok(rows)
}

/// SELECTs the mailbox that `fill` made.
async fn open_filled(imap: &mut Imap, messages: usize) -> Result<Answer> {
    imap.command("SELECT", &format!("SELECT \"{}\"", filled_name(messages)))
        .await
}

/// A figure for an answer that was not whole would be worth nothing.
fn require(what: &str, found: u64, expected: usize) -> Result<()> {
    if found == expected as u64 {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{found} {what} where {expected} were due: run fill first?"
    )))
}

fn median_seconds(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    crate::measure::percentile(times, 0.5)
        .unwrap_or_default()
        .as_secs_f64()
        .max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filled_messages_vary_in_size_and_are_unique_by_place() {
        let (here, there) = (place(0, "INBOX"), place(1, "INBOX"));
        assert_eq!(seeded(here, 5, 4096), seeded(here, 5, 4096));
        assert_ne!(seeded(here, 5, 4096), seeded(here, 6, 4096));
        assert_ne!(seeded(here, 5, 4096), seeded(there, 5, 4096));
        let mean = (0..400).map(|n| seeded(here, n, 4096).len()).sum::<usize>() / 400;
        assert!((3_800..4_400).contains(&mean), "{mean}");
    }

    #[test]
    fn the_search_needles_occur() {
        let texts: Vec<String> = (0..500)
            .map(|n| String::from_utf8(seeded(0, n, 4096)).unwrap())
            .collect();
        let with = |needle: &str| texts.iter().filter(|t| t.contains(needle)).count();
        let in_subject = texts
            .iter()
            .filter(|t| {
                t.lines()
                    .any(|l| l.starts_with("Subject: ") && l.contains(&word(40)))
            })
            .count();
        assert!((1..250).contains(&in_subject), "{in_subject}");
        assert!(
            (1..250).contains(&with(&word(2_000))),
            "{}",
            with(&word(2_000))
        );
        assert_eq!(with("zyzzyvaquux"), 0);
    }
}
