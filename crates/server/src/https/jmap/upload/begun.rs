//! An upload under way.
//!
//! Invariant: it ends, or nothing is left of it: also where it fails, and where whoever waited for it is
//! gone. What a crash leaves is let go later.

use std::sync::Arc;

use tern_base::AccountId;
use tern_mailbox::{MailboxError, Upload, Uploaded};
use tokio::runtime::Handle;

use super::Jmap;
use crate::clock::{self, OsEntropy};

/// The upload, until it is finished or abandoned. Its verbs are for the blocking pool.
pub(super) struct Begun {
    jmap: Arc<Jmap>,
    pub(super) account: AccountId,
    upload: Option<Upload>,
}

impl Begun {
    pub(super) fn new(
        jmap: Arc<Jmap>,
        account: AccountId,
        kind: &str,
        most: u64,
    ) -> Result<Self, MailboxError> {
        let now = clock::now();
        let upload = jmap
            .mailboxes
            .begin_upload(account, kind, most, now, &mut OsEntropy)?;
        Ok(Self {
            jmap,
            account,
            upload: Some(upload),
        })
    }

    /// Hands octets to the store.
    pub(super) fn more(mut self, octets: &[u8]) -> Result<Self, MailboxError> {
        let Some(upload) = &mut self.upload else {
            return Ok(self);
        };
        match self.jmap.mailboxes.upload_more(upload, octets) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// Hands the last octets over, and ends it.
    pub(super) fn finish(self, octets: &[u8]) -> Result<Uploaded, MailboxError> {
        let mut begun = self.more(octets)?;
        let upload = begun.upload.take().ok_or(MailboxError::NoMessage)?;
        begun.jmap.mailboxes.finish_upload(upload, clock::now())
    }

    pub(super) fn abandon(mut self) {
        if let Some(upload) = self.upload.take() {
            give_up(&self.jmap, upload);
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let (Some(upload), Ok(runtime)) = (self.upload.take(), Handle::try_current()) else {
            return;
        };
        let jmap = Arc::clone(&self.jmap);
        drop(runtime.spawn_blocking(move || give_up(&jmap, upload)));
    }
}

fn give_up(jmap: &Jmap, upload: Upload) {
    if let Err(error) = jmap.mailboxes.abandon_upload(upload) {
        tracing::warn!(%error, "an upload that was broken off could not be removed");
    }
}
