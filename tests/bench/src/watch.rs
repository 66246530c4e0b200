//! Sessions that sit in IDLE, and when each of them is told what.
//!
//! Invariant: the time of a push is taken when its line has been read, before anything else is done
//! with it. A session that is lost is an error, never a missing figure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::imap::{ImapTarget, Push};

/// One thing that one session was told.
#[derive(Debug)]
pub(crate) struct Told {
    /// The session's number.
    pub(crate) session: usize,
    /// What.
    pub(crate) push: Push,
    /// When its line had been read.
    pub(crate) at: Instant,
}

/// Sessions in IDLE on INBOX; session `n` belongs to account `n % accounts`.
pub(crate) struct Watchers {
    /// How many.
    pub(crate) sessions: usize,
    /// Of how many accounts.
    pub(crate) accounts: usize,
    told: mpsc::UnboundedReceiver<Result<Told>>,
    /// Ends the sessions when dropped.
    _tasks: JoinSet<()>,
}

/// Handshakes and logins under way at once.
const OPENING_MAX: usize = 32;

impl Watchers {
    /// Opens them all and waits until each is in IDLE.
    pub(crate) async fn open(
        target: &ImapTarget,
        sessions: usize,
        accounts: usize,
    ) -> Result<Self> {
        raise_file_limit(sessions as u64 + 256)?;
        let opening = Arc::new(Semaphore::new(OPENING_MAX));
        let (ready, mut readied) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for session in 0..sessions {
            let (target, opening) = (target.clone(), opening.clone());
            let (ready, tell) = (ready.clone(), tell.clone());
            tasks.spawn(async move {
                let opened = async {
                    let _one = opening.acquire().await;
                    let mut imap = target.login(session % accounts).await?;
                    imap.command("SELECT", "SELECT INBOX").await?;
                    imap.idle().await?;
                    Ok::<_, Error>(imap)
                };
                let mut imap = match opened.await {
                    Ok(imap) => {
                        let _ = ready.send(Ok(()));
                        imap
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                drop(ready);
                loop {
                    let told = imap.pushed().await;
                    let at = Instant::now();
                    let end = told.is_err();
                    let _ = tell.send(told.map(|push| Told { session, push, at }));
                    if end {
                        return;
                    }
                }
            });
        }
        for _ in 0..sessions {
            readied.recv().await.unwrap_or(Err(Error::Closed("IDLE")))?;
        }
        Ok(Self {
            sessions,
            accounts,
            told,
            _tasks: tasks,
        })
    }

    /// The next thing that any session is told.
    pub(crate) async fn next(&mut self) -> Result<Told> {
        self.told
            .recv()
            .await
            .unwrap_or(Err(Error::Closed("a push")))
    }

    /// Waits until each of `wanted` sessions was told something that `matches`; when, by session.
    pub(crate) async fn each(
        &mut self,
        mut wanted: Vec<usize>,
        within: Duration,
        matches: impl Fn(Push) -> bool,
    ) -> Result<Vec<Instant>> {
        let mut pending = vec![false; self.sessions];
        for session in &wanted {
            if let Some(slot) = pending.get_mut(*session) {
                *slot = true;
            }
        }
        let mut left = wanted.len();
        let mut times = Vec::with_capacity(left);
        let deadline = tokio::time::Instant::now() + within;
        while left > 0 {
            let told = tokio::time::timeout_at(deadline, self.next()).await;
            let told = match told {
                Ok(told) => told?,
                Err(_) => {
                    wanted.retain(|s| pending.get(*s) == Some(&true));
                    return Err(Error::Late {
                        step: format!("a push to {} sessions ({:?} first)", left, wanted.first()),
                        seconds: within.as_secs(),
                    });
                }
            };
            if let Some(slot) = pending.get_mut(told.session)
                && *slot
                && matches(told.push)
            {
                *slot = false;
                left -= 1;
                times.push(told.at);
            }
        }
        Ok(times)
    }

    /// Forgets what was told so far.
    pub(crate) fn forget(&mut self) -> Result<()> {
        while let Ok(told) = self.told.try_recv() {
            told?;
        }
        Ok(())
    }
}

/// Makes room for `needed` open files, or says what the system allows.
pub(crate) fn raise_file_limit(needed: u64) -> Result<()> {
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    let (soft, hard) = limits.map_err(|e| Error::Usage(format!("RLIMIT_NOFILE: {e}")))?;
    if soft >= needed {
        return Ok(());
    }
    // Root may also raise the hard limit; whoever may not gets as far as it goes.
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed))
        .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard))
        .map_err(|e| Error::Usage(format!("RLIMIT_NOFILE: {e}")))?;
    if hard < needed && getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft) < needed {
        return Err(Error::Usage(format!(
            "{needed} open files needed, {hard} allowed: ulimit -n"
        )));
    }
    Ok(())
}
