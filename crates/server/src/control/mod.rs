//! The control socket.
use crate::config::Config;
use crate::parts::Parts;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) fn serve(
    _config: &Config,
    parts: Parts,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<JoinHandle<()>> {
    Ok(tokio::spawn(async move {
        let _parts = parts;
        let _ = stopped.changed().await;
    }))
}
