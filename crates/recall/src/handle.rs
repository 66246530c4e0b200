//! The handle through which triggers ask for recalls, and what the verbs share.

use std::sync::Arc;

use tern_base::AccountId;
use tern_mailbox::{Mailboxes, Opened, Sealing};
use tern_policy::Policy;
use tern_store::{Engine, StoreError, Transaction};

use crate::forget::Forgetting;
use crate::link::Links;
use crate::status::each_row;
use crate::{HoldBook, Recall, RecallError, RecallId, Settings, tables};

/// The recalls of a server.
pub struct Recalls {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) sealing: Sealing,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) settings: Settings,
    pub(crate) links: Option<Links>,
    pub(crate) holds: HoldBook,
    pub(crate) forgetting: Forgetting,
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
        opened: &Opened,
        policy: Arc<dyn Policy>,
        settings: Settings,
    ) -> Self {
        Self {
            engine,
            mailboxes: Arc::clone(&opened.mailboxes),
            sealing: opened.sealing.clone(),
            policy,
            settings,
            links: None,
            holds: HoldBook::default(),
            forgetting: Forgetting::default(),
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

    /// Every recall on record.
    pub(crate) fn each_recall(&self, mut each: impl FnMut(Recall)) -> Result<(), RecallError> {
        each_row(&*self.engine, tables::whole(tables::RECALL), |key, row| {
            let id = key.get(1..).and_then(|id| id.try_into().ok()).map(RecallId);
            each(Recall::decode(id.ok_or(StoreError::Damaged)?, row)?);
            Ok(())
        })
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
