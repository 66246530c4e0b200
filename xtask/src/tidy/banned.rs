//! Calls that a floor may not make. Below `server` (floor 8): no clock, thread, socket, file
//! (`store-rocksdb` excepted), randomness, runtime or output; test code and measurements (`examples`)
//! are exempt from these.
//! Everywhere: nothing unfinished, no ignored test, and no test that sleeps.

use super::{Finding, SourceFile};
use crate::rust_source::RustSource;

const SERVER_FLOOR: u64 = 8;

/// Token, rule, what to do.
type Ban = (&'static str, &'static str, &'static str);

const BELOW_SERVER: [Ban; 21] = [
    (
        "SystemTime::now",
        "clock",
        "take a Timestamp as an argument",
    ),
    ("Instant::now", "clock", "take a Timestamp as an argument"),
    (
        "thread::spawn",
        "thread",
        "threads belong to the server crate",
    ),
    (
        "thread::scope",
        "thread",
        "threads belong to the server crate",
    ),
    (
        "thread::sleep",
        "thread",
        "nothing sleeps: a deadline is data",
    ),
    ("TcpStream", "socket", "take bytes in, give bytes out"),
    ("TcpListener", "socket", "take bytes in, give bytes out"),
    ("UdpSocket", "socket", "take bytes in, give bytes out"),
    ("UnixStream", "socket", "take bytes in, give bytes out"),
    ("UnixListener", "socket", "take bytes in, give bytes out"),
    (
        "ToSocketAddrs",
        "socket",
        "names are resolved by the server crate",
    ),
    (
        "tokio",
        "runtime",
        "be a synchronous state machine; the server crate drives it",
    ),
    (
        "tracing",
        "log",
        "return a typed event; the server crate logs it",
    ),
    (
        "getrandom",
        "randomness",
        "take `&mut dyn Entropy` as an argument",
    ),
    (
        "thread_rng",
        "randomness",
        "take `&mut dyn Entropy` as an argument",
    ),
    (
        "fs::",
        "file",
        "go through the store, or take bytes as an argument",
    ),
    (
        "std::fs",
        "file",
        "go through the store, or take bytes as an argument",
    ),
    (
        "println!",
        "print",
        "return a typed event; the server crate prints",
    ),
    (
        "eprintln!",
        "print",
        "return a typed event; the server crate prints",
    ),
    (
        "print!",
        "print",
        "return a typed event; the server crate prints",
    ),
    (
        "eprint!",
        "print",
        "return a typed event; the server crate prints",
    ),
];

const EVERYWHERE: [Ban; 5] = [
    (
        "todo!",
        "unfinished",
        "finish it, or return an error that says what is missing",
    ),
    (
        "unimplemented!",
        "unfinished",
        "finish it, or return an error that says what is missing",
    ),
    ("dbg!", "unfinished", "remove it"),
    ("#[ignore]", "ignored-test", "repair the test or delete it"),
    ("#[ignore =", "ignored-test", "repair the test or delete it"),
];

const SLEEP: Ban = (
    "sleep(",
    "sleeping-test",
    "wait for the event itself, or move the test's clock",
);

pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let Some(rust) = &file.rust else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut report = |ban: &Ban, offset: usize| {
        let (token, rule, advice) = ban;
        findings.push(file.finding(rust.line_of(offset), rule, format!("`{token}`: {advice}")));
    };
    let is_test = |offset: usize| file.is_test || rust.in_tests(offset);
    let is_measurement = file.path.contains("/examples/");
    let below = file.floor.is_some_and(|floor| floor < SERVER_FLOOR);
    if below && !file.is_test && !is_measurement {
        for ban in &BELOW_SERVER {
            let excepted = ban.1 == "file" && file.path.starts_with("crates/store-rocksdb/");
            if !excepted {
                let offsets = find(rust, ban)
                    .into_iter()
                    .filter(|offset| !is_test(*offset));
                offsets.for_each(|offset| report(ban, offset));
            }
        }
    }
    for ban in &EVERYWHERE {
        find(rust, ban)
            .into_iter()
            .for_each(|offset| report(ban, offset));
    }
    let sleeps = find(rust, &SLEEP)
        .into_iter()
        .filter(|offset| is_test(*offset));
    sleeps.for_each(|offset| report(&SLEEP, offset));
    findings.dedup_by(|a, b| a.line == b.line && a.rule == b.rule);
    findings
}

fn find(rust: &RustSource, ban: &Ban) -> Vec<usize> {
    rust.find_token(ban.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, floor: Option<u64>, text: &str) -> Vec<&'static str> {
        let file = SourceFile::for_test(path, floor, text);
        check(&file)
            .into_iter()
            .map(|finding| finding.rule)
            .collect()
    }

    #[test]
    fn each_banned_call_is_found_below_the_server() {
        let cases = [
            ("let t = std::time::SystemTime::now();", "clock"),
            ("let t = Instant::now();", "clock"),
            ("std::thread::spawn(f);", "thread"),
            ("std::thread::sleep(d);", "thread"),
            ("use std::net::TcpStream;", "socket"),
            ("use tokio::sync::Notify;", "runtime"),
            ("tracing::info!(1);", "log"),
            ("getrandom::fill(b);", "randomness"),
            ("use std::fs;", "file"),
            ("use std::{fs, io}; fn f() { fs::read(p) }", "file"),
            ("println!();", "print"),
            ("eprintln!();", "print"),
        ];
        for (text, rule) in cases {
            assert_eq!(
                rules("crates/imap/src/a.rs", Some(7), text),
                [rule],
                "{text}"
            );
            assert_eq!(
                rules("crates/server/src/a.rs", Some(8), text),
                [""; 0],
                "{text}"
            );
            assert_eq!(rules("xtask/src/a.rs", None, text), [""; 0], "{text}");
            assert_eq!(
                rules("crates/imap/examples/a.rs", Some(7), text),
                [""; 0],
                "{text}"
            );
            let in_a_test = rules("crates/imap/tests/a.rs", Some(7), text);
            assert!(!in_a_test.contains(&rule), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_call_is_clean() {
        let cases = [
            "// SystemTime::now is banned here",
            "let s = \"println!\";",
            "use std::net::IpAddr;",
            "offs::x();",
            "fn sleep(&self) {}",
            "let tokio_like = 1;",
        ];
        for text in cases {
            assert_eq!(
                rules("crates/imap/src/a.rs", Some(7), text),
                [""; 0],
                "{text}"
            );
        }
        assert_eq!(
            rules("crates/store-rocksdb/src/a.rs", Some(2), "use std::fs;"),
            [""; 0]
        );
    }

    #[test]
    fn unfinished_code_and_ignored_tests_are_found_everywhere() {
        for (text, rule) in [
            ("todo!()", "unfinished"),
            ("unimplemented!()", "unfinished"),
            ("dbg!(1)", "unfinished"),
            ("#[test] #[ignore] fn a() {}", "ignored-test"),
            ("#[test] #[ignore = \"slow\"] fn a() {}", "ignored-test"),
        ] {
            assert_eq!(
                rules("crates/server/src/a.rs", Some(8), text),
                [rule],
                "{text}"
            );
            assert_eq!(rules("tests/e2e/src/a.rs", None, text), [rule], "{text}");
        }
    }

    #[test]
    fn only_tests_may_not_sleep() {
        let text = "#[test]\nfn a() { tokio::time::sleep(d).await }";
        assert_eq!(
            rules("crates/server/src/a.rs", Some(8), text),
            ["sleeping-test"]
        );
        assert_eq!(
            rules("tests/e2e/src/a.rs", None, "sleep(d);"),
            ["sleeping-test"]
        );
        assert_eq!(
            rules("crates/server/src/a.rs", Some(8), "sleep(d);"),
            [""; 0]
        );
        assert_eq!(rules("tests/bench/src/a.rs", None, "sleep(d);"), [""; 0]);
    }
}
