//! Email/get of pages of messages: what a list shows, and bodies.
//!
//! Invariant: the pages of one round are different messages; the second round asks for the same ones
//! again, so that what is done once for each message (reading it, putting on record that it is served)
//! shows in the first.

use std::time::Duration;

use serde_json::{Value, json};

use super::Filled;
use super::client::{Client, require};
use crate::error::Result;
use crate::measure::{Bench, Row};

/// What a list of messages shows.
const LIST: [&str; 11] = [
    "id",
    "threadId",
    "mailboxIds",
    "keywords",
    "from",
    "to",
    "subject",
    "receivedAt",
    "size",
    "preview",
    "hasAttachment",
];

/// `pages` pages of `page` messages, each way and each round a row.
pub(super) async fn get(
    bench: &Bench,
    filled: &Filled,
    page: usize,
    pages: usize,
) -> Result<Vec<Row>> {
    let mut client = Client::open(&filled.target, filled.account).await?;
    let mailbox = client.mailbox(&filled.mailbox).await?;
    let ids = client.newest(&mailbox, page * pages).await?;
    let mut rows = Vec::new();
    for (label, arguments) in [
        ("lists", json!({"properties": LIST})),
        (
            "bodies",
            json!({"properties": ["id", "bodyValues", "textBody", "htmlBody"],
                "fetchAllBodyValues": true}),
        ),
    ] {
        for round in ["", ", again"] {
            let meter = bench.meter();
            let mut times: Vec<Duration> = Vec::with_capacity(pages);
            let mut octets = 0;
            for ids in ids.chunks(page) {
                let mut arguments = arguments.clone();
                if let Some(arguments) = arguments.as_object_mut() {
                    arguments.insert("ids".to_owned(), Value::from(ids));
                }
                let got = client.call("Email/get", arguments).await?;
                require("messages", got.list("list").len(), ids.len())?;
                octets += got.octets;
                times.push(got.took);
            }
            let seconds = times.iter().sum::<Duration>().as_secs_f64();
            let mut row = Row::new(format!("Email/get of {page} {label}{round}"));
            row.set("emails_per_s", ids.len() as f64 / seconds);
            row.set("megabytes_per_s", octets as f64 / 1e6 / seconds);
            row.set_latencies("get", times);
            meter.stop(&mut row);
            rows.push(row);
        }
    }
    Ok(rows)
}
