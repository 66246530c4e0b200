//! Who is there: accounts are removed, and others get their addresses.
//!
//! An account is *going* from the moment that somebody is about to mark it for removal: from then on what
//! it holds may vanish, and nothing has to arrive. It is *gone* when the server says so, and for good:
//! whoever has its address then is another account, with another id.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::AccountId;

use super::Oracle;
use crate::server::PEOPLE;

/// How far an account's removal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    There,
    /// Its removal is asked for; nobody knows how far it is.
    Going,
    /// Its removal is done, since this step.
    JustGone,
    /// The same, since a step before.
    Gone,
}

/// The accounts that ever were.
#[derive(Clone, Debug)]
pub(crate) struct People(BTreeMap<AccountId, (&'static str, Stage)>);

impl People {
    /// Those of the beginning.
    pub(super) fn founders() -> Self {
        let all = (1..).map(AccountId).zip(PEOPLE);
        Self(all.map(|(id, name)| (id, (name, Stage::There))).collect())
    }

    fn stage(&self, account: AccountId) -> Option<Stage> {
        self.0.get(&account).map(|(_, stage)| *stage)
    }

    /// Every account that ever was.
    pub(crate) fn ever(&self) -> Vec<AccountId> {
        self.0.keys().copied().collect()
    }

    /// Those that nobody removes.
    pub(crate) fn there(&self) -> Vec<AccountId> {
        self.of_stage(Stage::There)
    }

    /// Those that are about to be gone.
    pub(crate) fn going(&self) -> Vec<AccountId> {
        self.of_stage(Stage::Going)
    }

    fn of_stage(&self, wanted: Stage) -> Vec<AccountId> {
        let all = self.0.iter();
        let fitting = all.filter(|(_, (_, stage))| *stage == wanted);
        fitting.map(|(account, _)| *account).collect()
    }

    /// Whether nobody removes, or has removed, an account.
    pub(crate) fn is_there(&self, account: AccountId) -> bool {
        self.stage(account) == Some(Stage::There)
    }

    /// Whether an account's removal is done.
    pub(super) fn is_gone(&self, account: AccountId) -> bool {
        matches!(self.stage(account), Some(Stage::JustGone | Stage::Gone))
    }

    /// Whether it was done before this step began.
    pub(super) fn was_gone(&self, account: AccountId) -> bool {
        self.stage(account) == Some(Stage::Gone)
    }

    /// The name of an account, also of one that is gone.
    pub(crate) fn name_of(&self, account: AccountId) -> &'static str {
        self.0.get(&account).map_or("nobody", |(name, _)| name)
    }

    /// The account with a name, where nobody removes it.
    pub(crate) fn named(&self, name: &str) -> Option<AccountId> {
        let mut all = self.0.iter();
        let found = all.find(|(_, (of, stage))| *of == name && *stage == Stage::There);
        found.map(|(account, _)| *account)
    }

    /// How many were removed or are about to be.
    pub(crate) fn removed(&self) -> usize {
        let gone = |stage: Stage| stage != Stage::There;
        self.0.values().filter(|(_, stage)| gone(*stage)).count()
    }
}

impl Oracle {
    /// Somebody is about to remove an account.
    pub(crate) fn leaves(&mut self, account: AccountId) {
        if let Some((_, stage)) = self.people.0.get_mut(&account)
            && *stage == Stage::There
        {
            *stage = Stage::Going;
        }
    }

    /// The server says that an account is removed.
    pub(crate) fn left(&mut self, account: AccountId) {
        if let Some((_, stage)) = self.people.0.get_mut(&account)
            && *stage != Stage::Gone
        {
            *stage = Stage::JustGone;
        }
        self.redirects.remove(&account);
    }

    /// The server says that there is a new account, under the name of one that is gone.
    pub(crate) fn joins(&mut self, account: AccountId, name: &'static str) {
        let row = (name, Stage::There);
        if self.people.0.insert(account, row).is_some() {
            self.broke(format!("account {account} is given out again"));
        }
    }

    /// Whether an account's removal was done before this step began.
    pub(crate) fn was_gone(&self, account: AccountId) -> bool {
        self.people.was_gone(account)
    }

    /// What is gone by now was gone before whatever begins next.
    pub(super) fn people_passed(&mut self) {
        for (_, stage) in self.people.0.values_mut() {
            if *stage == Stage::JustGone {
                *stage = Stage::Gone;
            }
        }
    }

    /// Of an account that is gone nothing is in any mailbox.
    pub(super) fn check_left(&mut self) {
        for account in self.people.ever() {
            if self.people.is_gone(account) && self.observer.mailboxes.account_head(account).is_ok()
            {
                self.broke(format!("account {account} is removed and has mailboxes"));
            }
        }
    }

    /// The accounts that were gone before this step.
    pub(super) fn all_gone(&self) -> BTreeSet<AccountId> {
        let all = self.people.ever().into_iter();
        all.filter(|account| self.people.was_gone(*account))
            .collect()
    }
}
