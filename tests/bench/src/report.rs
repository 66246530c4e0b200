//! Two runs side by side, as a Markdown table.
//!
//! Invariant: a ratio above 1 always means that ours is better; where a row was measured several
//! times the median counts. Figures of the generator itself have no ratio.

use std::fmt::Write as _;

use crate::measure::{Report, Row, short};

/// Metrics that describe the run, not the server.
const CONTEXT: [&str; 8] = [
    "generator_cpu_s",
    "generator_share_percent",
    "wall_s",
    "server_cpu_s",
    "hits",
    "sessions",
    "accepted_before_push",
    "messages",
];

/// The table: one line for each figure that both or either measured.
pub(crate) fn markdown(ours: &Report, peer: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "| what | {} | {} | ratio |", ours.target, peer.target);
    out.push_str("|---|---|---|---|\n");
    let mut done: Vec<(&str, &str)> = Vec::new();
    for row in ours.rows.iter().chain(&peer.rows) {
        for metric in row.metrics.keys() {
            let key = (row.name.as_str(), metric.as_str());
            if done.contains(&key) || CONTEXT.contains(&metric.as_str()) {
                continue;
            }
            done.push(key);
            let (a, b) = (median(&ours.rows, key), median(&peer.rows, key));
            let label = metric.replace("_per_s", "/s").replace('_', " ");
            let (a_text, b_text) = (cell(a), cell(b));
            let ratio = ratio(metric, a, b);
            let _ = writeln!(
                out,
                "| {}: {label} | {a_text} | {b_text} | {ratio} |",
                row.name
            );
        }
    }
    let _ = writeln!(
        out,
        "\nA ratio above 1 means that {} is better. Cores: {} and {}, shared with the load \
         generator, which took at most {} % and {} % of them.",
        ours.target,
        ours.cores,
        peer.cores,
        short(largest_share(ours)),
        short(largest_share(peer))
    );
    differing_hits(ours, peer, &mut out);
    out
}

/// A search that finds something else is not the same search.
fn differing_hits(ours: &Report, peer: &Report, out: &mut String) {
    let mut done: Vec<&str> = Vec::new();
    for row in &ours.rows {
        let key = (row.name.as_str(), "hits");
        let (Some(a), Some(b)) = (median(&ours.rows, key), median(&peer.rows, key)) else {
            continue;
        };
        if a != b && !done.contains(&key.0) {
            done.push(key.0);
            let _ = writeln!(
                out,
                "\nNot comparable: {} found {a} against {b} messages.",
                row.name
            );
        }
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), grouped)
}

/// Thousands separated, for the eye.
fn grouped(value: f64) -> String {
    let text = short(value);
    let (whole, rest) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let digits = whole.trim_start_matches('-');
    let mut out = String::from(if whole.starts_with('-') { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    rest.map_or(out.clone(), |rest| format!("{out}.{rest}"))
}

fn ratio(metric: &str, ours: Option<f64>, peer: Option<f64>) -> String {
    let (Some(ours), Some(peer)) = (ours, peer) else {
        return "-".to_owned();
    };
    let (over, under) = if metric.ends_with("_per_s") {
        (ours, peer)
    } else {
        (peer, ours)
    };
    if under > 0.0 {
        format!("{:.2}", over / under)
    } else {
        "-".to_owned()
    }
}

fn median(rows: &[Row], (name, metric): (&str, &str)) -> Option<f64> {
    let mut values: Vec<f64> = rows
        .iter()
        .filter(|r| r.name == name)
        .filter_map(|r| r.metrics.get(metric))
        .copied()
        .collect();
    values.sort_by(f64::total_cmp);
    crate::measure::percentile(&values, 0.5)
}

fn largest_share(report: &Report) -> f64 {
    report
        .rows
        .iter()
        .filter_map(|row| row.metrics.get("generator_share_percent"))
        .copied()
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(target: &str, rows: &[(&str, &str, f64)]) -> Report {
        let rows = rows
            .iter()
            .map(|(name, metric, value)| {
                let mut row = Row::new(*name);
                row.set(metric, *value);
                row
            })
            .collect();
        Report {
            target: target.into(),
            cores: 2,
            rows,
        }
    }

    #[test]
    fn ratios_point_the_same_way_for_rates_and_times() {
        let ours = report(
            "tern",
            &[
                ("append", "messages_per_s", 2_000.0),
                ("append", "messages_per_s", 9_000.0),
                ("append", "messages_per_s", 3_000.0),
                ("search", "p50_ms", 5.0),
                ("search", "generator_share_percent", 7.0),
                ("recall", "seconds_s", 1.0),
            ],
        );
        let peer = report(
            "peer",
            &[
                ("append", "messages_per_s", 1_000.0),
                ("search", "p50_ms", 20.0),
            ],
        );
        let table = markdown(&ours, &peer);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "| what | tern | peer | ratio |");
        assert_eq!(lines[2], "| append: messages/s | 3,000 | 1,000 | 3.00 |");
        assert_eq!(lines[3], "| search: p50 ms | 5.000 | 20.0 | 4.00 |");
        assert_eq!(lines[4], "| recall: seconds s | 1.000 | - | - |");
        assert!(lines[6].contains("took at most 7.000 %"), "{}", lines[6]);
    }

    #[test]
    fn searches_that_find_different_messages_are_told() {
        let ours = report(
            "a",
            &[
                ("search text", "hits", 5.0),
                ("search subject", "hits", 1.0),
            ],
        );
        let peer = report(
            "b",
            &[
                ("search text", "hits", 4.0),
                ("search subject", "hits", 1.0),
            ],
        );
        let table = markdown(&ours, &peer);
        assert!(table.contains("Not comparable: search text found 5 against 4 messages."));
        assert_eq!(table.matches("Not comparable").count(), 1);
    }

    #[test]
    fn thousands() {
        for (value, text) in [(1_234_567.0, "1,234,567"), (999.0, "999.0"), (0.5, "0.500")] {
            assert_eq!(grouped(value), text);
        }
    }
}
