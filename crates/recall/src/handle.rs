//! The handle through which triggers ask for recalls, and what the verbs share.

use std::sync::Arc;

use tern_audit::{Actor, Draft, EntryId};
use tern_base::{AccountId, Timestamp};
use tern_mailbox::Mailboxes;
use tern_policy::Policy;
use tern_store::{Engine, Transaction};

use crate::{Recall, RecallError, RecallId, tables};

/// How recalls behave.
#[derive(Clone, Debug)]
pub struct RecallSettings {
    /// The host name that reports come from.
    pub hostname: String,
    /// How long arriving copies of a recalled message are kept out, in milliseconds.
    pub tombstone_ms: u64,
    /// How long outcomes that may still change are looked at again, in milliseconds.
    pub retry_ms: u64,
}

impl Default for RecallSettings {
    fn default() -> Self {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        let hostname = "localhost".to_owned();
        Self {
            hostname,
            tombstone_ms: 90 * DAY_MS,
            retry_ms: DAY_MS,
        }
    }
}

/// The recalls of a server.
pub struct Recalls {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) settings: RecallSettings,
}

impl std::fmt::Debug for Recalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recalls")
    }
}

impl Recalls {
    /// The recalls of a store.
    pub fn open(
        engine: Arc<dyn Engine>,
        mailboxes: Arc<Mailboxes>,
        policy: Arc<dyn Policy>,
        settings: RecallSettings,
    ) -> Self {
        Self {
            engine,
            mailboxes,
            policy,
            settings,
        }
    }

    /// The record of a recall.
    pub fn recall(&self, id: RecallId) -> Result<Recall, RecallError> {
        let row = self
            .engine
            .get(&tables::recall(id))?
            .ok_or(RecallError::NoRecall)?;
        Ok(Recall::decode(id, &row)?)
    }

    /// The record of a recall, in a transaction that then depends on it.
    pub(crate) fn recall_in(
        &self,
        txn: &mut Transaction<'_>,
        id: RecallId,
    ) -> Result<Recall, RecallError> {
        let row = txn.get(&tables::recall(id))?.ok_or(RecallError::NoRecall)?;
        Ok(Recall::decode(id, &row)?)
    }

    /// The address of an account, for people; its number when it is no longer there.
    pub(crate) fn address(&self, account: AccountId) -> Result<String, RecallError> {
        let found = tern_directory::account(&*self.engine, account)?;
        Ok(found.map_or_else(
            || format!("account {account}"),
            |found| found.address.to_string(),
        ))
    }
}

/// An entry of the audit log about a recall. The id follows from the recall and the step, so a
/// step that runs again is on record once.
pub(crate) fn audit_entry(recall: &Recall, step: &str, action: &str, now: Timestamp) -> Draft {
    let digest = tern_mime::blob_id(&[0; 32], &[&recall.id.0[..], step.as_bytes()].concat());
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    let mut entry =
        Draft::new(EntryId(id), now, Actor::Server, action).target(format!("recall {}", recall.id));
    entry.on_behalf_of = Some(recall.requester.clone());
    entry.protocol = Some(recall.protocol.clone());
    entry
}
