//! A client that keeps a copy of a mailbox from what it is told: at once when it waits in IDLE,
//! or after a long time offline. Whenever it is in sync, its copy is what is durable.

use std::collections::BTreeMap;

use tern_base::{AccountId, MailboxId, Modseq, Uid};
use tern_mailbox::{Flags, INBOX, MailboxError};

use super::Actor;
use crate::sim::Sim;

/// The client.
pub(crate) struct Syncer {
    account: AccountId,
    mailbox: MailboxId,
    since: Modseq,
    model: BTreeMap<Uid, Flags>,
}

impl Syncer {
    pub(crate) const fn new(account: AccountId) -> Self {
        Self {
            account,
            mailbox: INBOX,
            since: Modseq(0),
            model: BTreeMap::new(),
        }
    }

    fn sync(&mut self, sim: &Sim) -> Result<(), MailboxError> {
        let server = sim.server();
        let changes = server
            .mailboxes
            .changes(self.account, self.mailbox, self.since)?;
        let view = server.mailboxes.view(self.account, self.mailbox)?;
        if server.engine.is_dead() {
            return Ok(());
        }
        for uid in &changes.vanished {
            self.model.remove(&Uid(uid));
        }
        for uid in changes.touched.iter().map(Uid) {
            if let Some(entry) = view.get(uid) {
                self.model.insert(uid, entry.flags.clone());
            }
        }
        self.since = changes.modseq;
        let newest = server.mailboxes.newest_modseq(self.account)?;
        if newest == changes.modseq && view.modseq <= newest {
            let told = &self.model;
            sim.oracle
                .borrow_mut()
                .in_sync(self.account, self.mailbox, told);
        }
        Ok(())
    }
}

impl Actor for Syncer {
    fn name(&self) -> &'static str {
        "a sync"
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }

    fn step(&mut self, sim: &Sim) {
        // Offline most of the time.
        if sim.chance(400) {
            let _ = self.sync(sim);
        }
    }

    fn settle(&mut self, sim: &Sim) {
        if let Err(error) = self.sync(sim) {
            sim.oracle
                .borrow_mut()
                .broke(format!("sync at rest: {error}"));
        }
    }
}
