//! The shell around the synchronous core: configuration, sockets, TLS, the clock, threads, the
//! control socket and the command line of the binary `tern`.
//!
//! Invariants:
//! - Whatever touches the store runs on a thread that may block; nothing blocks an asynchronous
//!   worker.
//! - Nobody holds a handle to everything: the parts are opened once and handed out, each to those
//!   who need it.
//! - What the command line does, a running server does through its control socket by the same
//!   verbs.
//!
//! Refuses to decide anything about mail: the floors below do.

#![allow(
    clippy::disallowed_methods,
    reason = "time and threads are real here, and only here"
)]

mod admin;
mod anew;
mod at_start;
mod audit_chores;
pub mod cli;
pub mod clock;
pub mod config;
pub mod server;
mod tls;

pub mod control;
pub mod demo;
mod evidence;
mod factors;
mod group_removal;
mod https;
mod hub;
mod invite;
mod late;
mod log;
mod login;
mod memory;
mod net;
mod outbox;
mod parts;
mod policies;
mod rate;
mod recall_queue;
mod relay;
mod session;
mod steady;
mod syslog;
mod web_push;
mod workers;
