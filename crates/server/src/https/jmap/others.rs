//! The accounts of others that a listener is woken for.
//!
//! Invariant: a listener is registered for an account before it looks at it for the last time: it looks once
//! more after each account that is new to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tern_base::AccountId;
use tern_jmap::push::Position;

use crate::hub::{Hub, Registration, Signal};

pub(super) struct Others {
    hub: Arc<Hub>,
    signal: Arc<Signal>,
    registered: Vec<Registration>,
}

impl Others {
    pub(super) fn new(hub: &Arc<Hub>, signal: &Arc<Signal>) -> Self {
        Self {
            hub: Arc::clone(hub),
            signal: Arc::clone(signal),
            registered: Vec::new(),
        }
    }

    /// Follows the accounts of which a position says something.
    pub(super) fn follow(&mut self, at: Option<&Position>) {
        let wanted: BTreeSet<AccountId> = at.map(Position::others).into_iter().flatten().collect();
        self.registered.retain(|one| wanted.contains(&one.account));
        let known: BTreeSet<AccountId> = self.registered.iter().map(|one| one.account).collect();
        for account in wanted.difference(&known) {
            let registered = self.hub.watch_other(*account, &self.signal);
            self.registered.push(registered);
            self.signal.look_again();
        }
    }
}
