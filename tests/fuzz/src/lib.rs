//! What fuzzing runs: each target takes any octets and panics where a promise is broken.
//!
//! Invariant: a target is a function of its input alone, so that an input that was found once
//! fails again. Refuses RocksDB, sockets and clocks: a run is microseconds, not milliseconds.

// A target asserts; a store that can't be set up is a failure of the target.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod fixture;
mod imap_parse;
mod imap_session;
mod jmap_request;
mod mime_parse;
mod responses;
mod rows;
mod smtp_client;
mod smtp_session;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is also the name of its folder of seeds.
    pub name: &'static str,
    /// Runs one input; panics where it finds something.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 7] = [
    Target {
        name: "imap_parse",
        run: imap_parse::run,
    },
    Target {
        name: "imap_session",
        run: imap_session::run,
    },
    Target {
        name: "jmap_request",
        run: jmap_request::run,
    },
    Target {
        name: "mime_parse",
        run: mime_parse::run,
    },
    Target {
        name: "rows",
        run: rows::run,
    },
    Target {
        name: "smtp_client",
        run: smtp_client::run,
    },
    Target {
        name: "smtp_session",
        run: smtp_session::run,
    },
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
