//! Email/set of the keywords of many messages, and Email/changes after many changes.
//!
//! Invariant: every call changes every message that it names, and says so; what was set is taken away
//! again.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Filled;
use super::client::{Client, require};
use crate::error::Result;
use crate::measure::{Bench, Row};

/// Sets a keyword of `count` messages in one call, and takes it away in another, `repeat` times.
pub(super) async fn set(
    bench: &Bench,
    filled: &Filled,
    count: usize,
    repeat: usize,
) -> Result<Row> {
    let mut client = Client::open(&filled.target, filled.account).await?;
    let mailbox = client.mailbox(&filled.mailbox).await?;
    let ids = client.newest(&mailbox, count).await?;
    // Where an earlier run was cut off.
    flag(&mut client, &ids, Value::Null).await?;
    let meter = bench.meter();
    let mut times = Vec::with_capacity(2 * repeat);
    for _ in 0..repeat {
        for value in [Value::Bool(true), Value::Null] {
            times.push(flag(&mut client, &ids, value).await?);
        }
    }
    let seconds = times.iter().sum::<Duration>().as_secs_f64();
    let mut row = Row::new(format!("Email/set of {count} keywords"));
    row.set("emails_per_s", (count * times.len()) as f64 / seconds);
    row.set_latencies("set", times);
    meter.stop(&mut row);
    Ok(row)
}

/// Changes `count` messages, `each` in one call, and asks `repeat` times what has changed.
pub(super) async fn changes(
    bench: &Bench,
    filled: &Filled,
    (count, each): (usize, usize),
    repeat: usize,
) -> Result<Row> {
    let mut client = Client::open(&filled.target, filled.account).await?;
    let mailbox = client.mailbox(&filled.mailbox).await?;
    let ids = client.newest(&mailbox, count).await?;
    let now = client.call("Email/get", json!({"ids": []})).await?;
    let before = now.text("state")?;
    for value in [Value::Bool(true), Value::Null] {
        for ids in ids.chunks(each) {
            flag(&mut client, ids, value.clone()).await?;
        }
    }
    let meter = bench.meter();
    let mut times = Vec::with_capacity(repeat);
    for _ in 0..repeat {
        let (mut since, mut took, mut updated) = (before.clone(), Duration::ZERO, 0);
        loop {
            let changes = client
                .call("Email/changes", json!({"sinceState": since}))
                .await?;
            took += changes.took;
            updated += changes.list("updated").len();
            since = changes.text("newState")?;
            let more = changes.arguments.get("hasMoreChanges");
            if more.and_then(Value::as_bool) != Some(true) {
                break;
            }
        }
        require("changes", updated, count)?;
        times.push(took);
    }
    let mut row = Row::new(format!("Email/changes after {count} changes"));
    row.set_latencies("changes", times);
    meter.stop(&mut row);
    Ok(row)
}

/// Sets, or takes away, a keyword of all of them.
async fn flag(client: &mut Client, ids: &[Value], value: Value) -> Result<Duration> {
    let mut update = Map::new();
    for id in ids.iter().filter_map(Value::as_str) {
        update.insert(id.to_owned(), json!({"keywords/$flagged": value}));
    }
    let done = client.call("Email/set", json!({"update": update})).await?;
    let updated = done.arguments.get("updated").and_then(Value::as_object);
    require("updates", updated.map_or(0, Map::len), ids.len())?;
    Ok(done.took)
}
