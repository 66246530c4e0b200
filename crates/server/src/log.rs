//! The log: what sessions and workers report becomes lines of text or JSON on standard error.
//!
//! Invariant: no line holds a secret or message content. Addresses of envelopes are logged: an
//! operator who can't find a message in the log can't answer for it.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Format, Level, Log};

/// Starts logging; once for each process, later calls change nothing.
pub(crate) fn start(settings: &Log) {
    let level = match settings.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    // The libraries below say little of use under `warn`.
    let filter = EnvFilter::new(format!("warn,tern_server={level},tern={level}"));
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // It fails only where logging was started before.
    let _ = match settings.format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
}
