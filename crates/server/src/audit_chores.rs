//! The chores of the audit log: it is signed when that is due, and what was kept for long enough is
//! removed.
//!
//! Invariant: nothing goes that came after the first entry of a recall which is not over, and nothing
//! at all while a legal hold is in force: what it is over may be spoken of in any entry. Nor does anything by a
//! clock that has just leapt ahead.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tern_audit::{Actor, AuditError, Draft, EntryId, Old, Trimmed};
use tern_base::Timestamp;
use tern_recall::{RecallError, Recalls};
use tern_store::Engine;

use crate::clock::OsEntropy;
use crate::config::{Audit, Config};
use crate::steady::Steady;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// How many rounds of a minute there are from one look at what is old to the next.
const LOOK: u32 = 60;

/// Why a chore was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChoreError {
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Recall(#[from] RecallError),
}

/// The chores.
pub(crate) struct AuditChores {
    engine: Arc<dyn Engine>,
    recalls: Arc<Recalls>,
    settings: Audit,
    /// The log is sent on: nothing goes before that.
    is_forwarded: bool,
    rounds: AtomicU32,
    began: Instant,
    clock: Mutex<Steady>,
}

impl AuditChores {
    pub(crate) fn new(engine: Arc<dyn Engine>, recalls: Arc<Recalls>, config: &Config) -> Self {
        Self {
            engine,
            recalls,
            settings: config.audit.clone(),
            is_forwarded: config.syslog.address.0.is_some(),
            rounds: AtomicU32::new(0),
            began: Instant::now(),
            clock: Mutex::default(),
        }
    }

    /// To be called once a minute.
    pub(crate) fn round(&self, now: Timestamp) {
        match self.sign(now) {
            Ok(None) => {}
            Ok(Some(entries)) => tracing::debug!(entries, "the audit log was signed"),
            Err(error) => tracing::error!(%error, "the audit log could not be signed"),
        }
        let rounds = self.rounds.fetch_add(1, Ordering::Relaxed);
        if !rounds.is_multiple_of(LOOK) {
            return;
        }
        match self.trim(now) {
            Ok(None) => {}
            Ok(Some(Trimmed { entries, up_to })) => {
                tracing::info!(entries, up_to, "old entries of the audit log were removed");
            }
            Err(error) => tracing::error!(%error, "the audit log could not be trimmed"),
        }
    }

    fn sign(&self, now: Timestamp) -> Result<Option<u64>, AuditError> {
        let engine = &*self.engine;
        let entries = self.settings.checkpoint_entries.into();
        let millis = u64::from(self.settings.checkpoint_minutes) * MINUTE_MS;
        if !tern_audit::checkpoint::is_due(engine, entries, millis, now)? {
            return Ok(None);
        }
        let signed = tern_audit::checkpoint::sign(engine, now)?;
        Ok(Some(signed.checkpoint.entries))
    }

    /// Removes what is old. What a kill left of an earlier time goes first.
    fn trim(&self, now: Timestamp) -> Result<Option<Trimmed>, ChoreError> {
        let engine = &*self.engine;
        self.sweep()?;
        let keep_ms = u64::from(self.settings.keep_days) * DAY_MS;
        let Some(before) = now.0.checked_sub(keep_ms).filter(|_| keep_ms > 0) else {
            return Ok(None);
        };
        if !self.is_believed(now)? {
            tracing::warn!(%now, "the clock has leapt ahead: nothing of the audit log is removed for a day");
            return Ok(None);
        }
        let needed = self.recalls.oldest_unfinished()?;
        let before = needed.map_or(before, |needed| needed.0.min(before));
        // What no collector has stays.
        let up_to = match self.is_forwarded {
            true => self.sent_on()?,
            false => u64::MAX,
        };
        let old = Old {
            before: Timestamp(before),
            up_to,
        };
        let id = EntryId::new(now, &mut OsEntropy);
        let entry = Draft::new(id, now, Actor::Server, "audit.trim")
            .detail("keep-days", u64::from(self.settings.keep_days));
        let trimmed = tern_audit::trim(engine, old, &entry, |txn| {
            self.recalls.is_free_of_holds_in(txn, now)
        })?;
        self.sweep()?;
        Ok(trimmed)
    }

    fn is_believed(&self, now: Timestamp) -> Result<bool, AuditError> {
        let engine = &*self.engine;
        let newest = tern_audit::head(engine)?.sequence;
        let newest = tern_audit::entry(engine, newest)?;
        let known = newest.map_or(now, |entry| entry.draft.time);
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(clock.is_believed(now, self.began.elapsed(), known))
    }

    /// The last entry that the collector has.
    fn sent_on(&self) -> Result<u64, AuditError> {
        Ok(tern_audit::forwarded(&*self.engine)?.entry)
    }

    fn sweep(&self) -> Result<(), AuditError> {
        while !tern_audit::sweep(&*self.engine)? {}
        Ok(())
    }
}
