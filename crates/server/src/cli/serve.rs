//! `tern serve`: the server until it is told to stop.

use std::time::Duration;

use miette::{IntoDiagnostic as _, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;
use crate::config::Config;
use crate::log;
use crate::net::{MIN_THREADS, SPARE_THREADS};
use crate::server::Server;

/// Serves until SIGTERM or SIGINT.
pub(super) fn serve(config: &Config) -> Result<Outcome> {
    log::start(&config.log);
    small_pages();
    let runtime = runtime(config)?;
    runtime.block_on(async {
        let server = Server::start(config).await.into_diagnostic()?;
        let told = told_to_stop().await?;
        tracing::info!(signal = told, "stopping");
        server.stop().await;
        Ok::<_, miette::Report>(())
    })?;
    // Whatever did not end in time is cut off: it is committed, or without effect.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(Outcome::Done)
}

/// Memory comes in small pages: the allocator takes it in many sizes at once, and a page of 2 MiB that is
/// made for the first piece of each is zeroed whole. That was half of a list from cold caches, and a sixth
/// of the memory.
fn small_pages() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "memory may come in huge pages");
    }
}

/// The threads that the configuration asks for, and those that clients never have.
pub(crate) fn runtime(config: &Config) -> Result<Runtime> {
    let for_clients = usize::from(config.server.blocking_threads).max(MIN_THREADS);
    Builder::new_multi_thread()
        .worker_threads(usize::from(config.server.worker_threads.max(1)))
        .max_blocking_threads(for_clients + SPARE_THREADS)
        .thread_keep_alive(Duration::from_secs(60))
        .enable_all()
        .build()
        .into_diagnostic()
}

/// Waits for SIGTERM or SIGINT; answers which.
pub(crate) async fn told_to_stop() -> Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate()).into_diagnostic()?;
    let mut interrupt = signal(SignalKind::interrupt()).into_diagnostic()?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
