//! Email/query over a filled mailbox: by date, by subject, with text.
//!
//! Invariant: no query is asked twice (each has a word of its own), so that a server that remembers
//! answers gains nothing; how many were found is in the row where it was asked for, and must agree
//! between targets.

use std::time::Duration;

use serde_json::{Value, json};

use super::Filled;
use super::client::Client;
use crate::error::Result;
use crate::measure::{Bench, Row};
use crate::message::word;

/// A page of what is found.
const LIMIT: usize = 100;

/// What is asked: the row's label, the filter's condition and word, the order, and whether all that is
/// found is counted.
struct Asked {
    label: &'static str,
    key: Option<&'static str>,
    word: fn(u64) -> String,
    order: &'static str,
    counted: bool,
}

const ASKED: [Asked; 8] = [
    Asked {
        label: "by receivedAt",
        key: None,
        word,
        order: "receivedAt",
        counted: false,
    },
    Asked {
        label: "by subject",
        key: None,
        word,
        order: "subject",
        counted: false,
    },
    Asked {
        label: "from, by receivedAt",
        key: Some("from"),
        word: rare,
        order: "receivedAt",
        counted: true,
    },
    Asked {
        label: "rare text, by receivedAt",
        key: Some("text"),
        word: rare,
        order: "receivedAt",
        counted: false,
    },
    Asked {
        label: "rare text, counted",
        key: Some("text"),
        word: rare_counted,
        order: "receivedAt",
        counted: true,
    },
    Asked {
        label: "rare text, by subject, counted",
        key: Some("text"),
        word: rare_by_subject,
        order: "subject",
        counted: true,
    },
    Asked {
        label: "common text, by receivedAt",
        key: Some("text"),
        word: common,
        order: "receivedAt",
        counted: false,
    },
    Asked {
        label: "text that is nowhere",
        key: Some("text"),
        word: absent,
        order: "receivedAt",
        counted: true,
    },
];

/// Words of three syllables, which are part of no other: in about one message of a hundred.
fn rare(n: u64) -> String {
    word(4_500 + 7 * n)
}

fn rare_counted(n: u64) -> String {
    word(4_601 + 7 * n)
}

fn rare_by_subject(n: u64) -> String {
    word(4_702 + 7 * n)
}

/// In one message of three or four.
fn common(n: u64) -> String {
    word(640 + 7 * n)
}

fn absent(n: u64) -> String {
    format!("zyzzyva{}quux", word(600 + n))
}

/// Each kind of query `repeat` times.
pub(super) async fn query(bench: &Bench, filled: &Filled, repeat: usize) -> Result<Vec<Row>> {
    let mut client = Client::open(&filled.target, filled.account).await?;
    let mailbox = client.mailbox(&filled.mailbox).await?;
    let mut rows = Vec::new();
    for asked in &ASKED {
        let meter = bench.meter();
        let mut times: Vec<Duration> = Vec::with_capacity(repeat);
        let mut hits = 0;
        for number in 0..repeat as u64 {
            let found = client
                .call("Email/query", asked.arguments(&mailbox, number))
                .await?;
            hits += found
                .arguments
                .get("total")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            times.push(found.took);
        }
        let mut row = Row::new(format!("Email/query {}", asked.label));
        if asked.counted {
            row.set("hits", hits as f64);
        }
        row.set_latencies("query", times);
        meter.stop(&mut row);
        rows.push(row);
    }
    Ok(rows)
}

impl Asked {
    fn arguments(&self, mailbox: &Value, number: u64) -> Value {
        let mut filter = json!({"inMailbox": mailbox});
        if let (Some(key), Some(filter)) = (self.key, filter.as_object_mut()) {
            filter.insert(key.to_owned(), (self.word)(number).into());
        }
        json!({
            "filter": filter,
            "sort": [{"property": self.order, "isAscending": false}],
            "limit": LIMIT,
            // Without a filter on text each is another page, too.
            "position": if self.key.is_none() { number * LIMIT as u64 } else { 0 },
            "calculateTotal": self.counted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_query_is_asked_twice() {
        let mailbox = Value::from("m");
        let mut all: Vec<String> = ASKED
            .iter()
            .flat_map(|asked| (0..5).map(|n| asked.arguments(&mailbox, n).to_string()))
            .collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
