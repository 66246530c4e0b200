//! How recalls are put over a store: once, for the server, the simulation and every test alike.
//!
//! Invariant: mailboxes of which recalls are a part have every hook that recalls rest on. Whoever hung
//! them up one by one could leave one out, and a trigger would ask for nothing, or a legal hold keep
//! nothing, without a word.

use std::sync::Arc;

use tern_mailbox::{Hooks, Listener, MailboxError, Mailboxes, Opened};
use tern_policy::Policy;
use tern_store::Engine;

use crate::returned::Returns;
use crate::{HoldBook, RECALL_KEYWORD, RECALL_MAILBOX, Recalls, Settings};

/// The keys of a server that must be the same at each start.
#[derive(Clone, Copy)]
pub struct Keys {
    /// Keys the digests of content.
    pub content: [u8; 32],
    /// Keys the tokens of what goes out.
    pub token: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// Opens the mailboxes of a store, of which recalls are a part.
pub fn mailboxes(
    engine: &Arc<dyn Engine>,
    keys: Keys,
    settings: &Settings,
    listener: Arc<dyn Listener>,
) -> Result<Mailboxes, MailboxError> {
    let returns = Returns::new(Arc::clone(engine), keys.token, keys.content);
    let hooks = Hooks {
        marked: Some(RECALL_KEYWORD),
        watched: Some(RECALL_MAILBOX),
        keeper: Some(Arc::new(HoldBook::default())),
        recogniser: Some(Arc::new(returns)),
        kept_quotas: settings.held_quotas,
    };
    Mailboxes::open(Arc::clone(engine), keys.content, listener, hooks)
}

/// Opens the mailboxes of a store and the recalls over them.
pub fn open(
    engine: Arc<dyn Engine>,
    keys: Keys,
    policy: Arc<dyn Policy>,
    settings: Settings,
    listener: Arc<dyn Listener>,
) -> Result<(Opened, Recalls), MailboxError> {
    let opened = mailboxes(&engine, keys, &settings, listener)?.into_opened();
    let recalls = Recalls::open(engine, &opened, policy, settings);
    Ok((opened, recalls))
}
