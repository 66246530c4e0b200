//! Where mail leads to: by aliases, the group, and what accounts send on; the simulation's own idea of the
//! directory.
//!
//! Who is about to be removed may be there or not, and a name that has gone over to somebody else may be theirs
//! or nobody's: what is sure is what holds whichever is so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tern_base::{AccountId, EmailAddress};

use super::people::People;
use super::{Arrival, Oracle, Promise};
use crate::server::{ALIAS, DOMAIN, GROUP, address};

/// Where an account's mail is sent on to.
#[derive(Clone, Debug)]
pub(crate) struct Redirect {
    /// The addresses, each with whose it was when that was set.
    targets: Vec<(EmailAddress, Vec<AccountId>)>,
    keep: bool,
}

/// Where an address leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) accounts: BTreeSet<AccountId>,
    pub(super) outside: BTreeSet<String>,
}

/// Where an address surely leads, and where perhaps.
#[derive(Clone, Debug)]
pub(super) struct Reaches {
    pub(super) sure: Reach,
    pub(super) perhaps: BTreeSet<AccountId>,
}

/// What nobody knows, one way or the other.
struct Guess<'a> {
    /// Of those who are about to be removed, who is there.
    there: &'a BTreeSet<AccountId>,
    /// Whether a name of a redirect that is somebody else's by now leads to them.
    moved: bool,
}

impl People {
    /// Those whose name it is, a group's or an alias's included, and who are not gone.
    fn holders(&self, address: &EmailAddress) -> Vec<AccountId> {
        let local = address.local();
        let all: Vec<AccountId> = match local {
            _ if local == GROUP.0 => GROUP.1.iter().map(|id| AccountId(*id)).collect(),
            _ if local == ALIAS.0 => vec![AccountId(ALIAS.1)],
            _ => {
                let ever = self.ever().into_iter();
                ever.filter(|of| local == self.name_of(*of)).collect()
            }
        };
        all.into_iter().filter(|of| !self.is_gone(*of)).collect()
    }

    /// Where an address of the organisation leads; `None` for any other.
    pub(super) fn leads_to(
        &self,
        redirects: &BTreeMap<AccountId, Redirect>,
        to: &EmailAddress,
    ) -> Option<Reaches> {
        if to.domain().as_str() != DOMAIN {
            return None;
        }
        let going = self.going();
        let mut all: Option<Reaches> = None;
        for which in 0..1u32 << going.len().min(4) {
            let there = going.iter().enumerate();
            let there = there.filter(|(n, _)| which & (1 << n) != 0);
            let there = there.map(|(_, account)| *account).collect();
            for moved in [false, true] {
                let guess = Guess {
                    there: &there,
                    moved,
                };
                let reach = self.walk(redirects, to, &guess);
                all = Some(match all {
                    None => Reaches {
                        perhaps: reach.accounts.clone(),
                        sure: reach,
                    },
                    Some(mut all) => {
                        all.perhaps.extend(&reach.accounts);
                        all.sure.keep(&reach);
                        all
                    }
                });
            }
        }
        all
    }

    /// Breadth first, each account and address once. Whoever sends all of it on keeps what reaches nobody
    /// by that.
    fn walk(
        &self,
        redirects: &BTreeMap<AccountId, Redirect>,
        to: &EmailAddress,
        guess: &Guess<'_>,
    ) -> Reach {
        let mut seen = BTreeSet::from([to.canonical()]);
        let (mut met, mut away) = (BTreeSet::new(), Vec::new());
        let mut reach = Reach::default();
        // By which redirects something was reached, and by which name.
        let (mut onward, mut reached) = (BTreeSet::new(), BTreeSet::new());
        let mut todo = VecDeque::from([(self.holders(to), Vec::<AccountId>::new())]);
        while let Some((accounts, via)) = todo.pop_front() {
            for account in accounts {
                let there = self.is_there(account) || guess.there.contains(&account);
                if !met.insert(account) || !there {
                    continue;
                }
                let name = address(self.name_of(account)).canonical();
                let redirect = redirects.get(&account);
                if redirect.is_none_or(|redirect| redirect.keep) {
                    reach.accounts.insert(account);
                    reached.insert(name);
                    onward.extend(via.iter().copied());
                } else {
                    away.push(account);
                }
                let by: Vec<AccountId> = via.iter().copied().chain([account]).collect();
                for (target, was) in redirect.into_iter().flat_map(|one| &one.targets) {
                    if !seen.insert(target.canonical()) {
                        continue;
                    }
                    if target.domain().as_str() != DOMAIN {
                        reach.outside.insert(target.canonical());
                        reached.insert(target.canonical());
                        onward.extend(by.iter().copied());
                        continue;
                    }
                    let now = self.holders(target);
                    let same = |of: &AccountId| guess.moved || was.contains(of);
                    todo.push_back((now.into_iter().filter(same).collect(), by.clone()));
                }
            }
        }
        for account in away {
            let targets = redirects.get(&account).into_iter();
            let mut targets = targets.flat_map(|one| &one.targets);
            let has_it = targets.any(|(target, _)| reached.contains(&target.canonical()));
            if !onward.contains(&account) && !has_it {
                reach.accounts.insert(account);
            }
        }
        reach
    }
}

impl Reach {
    /// What is of both.
    fn keep(&mut self, other: &Self) {
        self.accounts.retain(|one| other.accounts.contains(one));
        self.outside.retain(|one| other.outside.contains(one));
    }
}

impl Oracle {
    /// Somebody's mail is sent on from now on, or no more.
    pub(crate) fn redirected(&mut self, account: AccountId, targets: &[EmailAddress], keep: bool) {
        let target = |to: &EmailAddress| (to.clone(), self.people.holders(to));
        let targets: Vec<_> = targets.iter().map(target).collect();
        match targets.is_empty() {
            true => drop(self.redirects.remove(&account)),
            false => drop(self.redirects.insert(account, Redirect { targets, keep })),
        }
        // What is being taken in may have asked the directory before, or does after.
        let open = |arrival: &&mut Arrival| arrival.promise == Promise::Open;
        for arrival in self.arrivals.values_mut().filter(open) {
            arrival.look_again(&self.people, &self.redirects);
        }
    }
}

impl Arrival {
    /// Where it leads as things are.
    fn leads_to(&self, people: &People, redirects: &BTreeMap<AccountId, Redirect>) -> Reaches {
        let mut all = Reaches {
            sure: Reach::default(),
            perhaps: BTreeSet::new(),
        };
        for recipient in &self.recipients {
            match people.leads_to(redirects, recipient) {
                None => drop(all.sure.outside.insert(recipient.canonical())),
                Some(reaches) => {
                    all.sure.accounts.extend(reaches.sure.accounts);
                    all.sure.outside.extend(reaches.sure.outside);
                    all.perhaps.extend(reaches.perhaps);
                }
            }
        }
        all
    }

    /// It is about to be taken in.
    pub(super) fn look(&mut self, people: &People, redirects: &BTreeMap<AccountId, Redirect>) {
        let reaches = self.leads_to(people, redirects);
        self.accounts = reaches.sure.accounts;
        self.outside = reaches.sure.outside;
        self.perhaps = reaches.perhaps;
        let straight = self.leads_to(people, &BTreeMap::new()).sure;
        self.redirected =
            (&straight.accounts, &straight.outside) != (&self.accounts, &self.outside);
    }

    /// Whether it was taken in, and redirects led it elsewhere.
    pub(super) fn is_sent_on(&self) -> bool {
        self.redirected && matches!(self.promise, Promise::Accepted | Promise::Begun)
    }

    /// The directory may have been asked at any time since the last look: what is sure is what always was.
    pub(super) fn look_again(
        &mut self,
        people: &People,
        redirects: &BTreeMap<AccountId, Redirect>,
    ) {
        let reaches = self.leads_to(people, redirects);
        self.accounts
            .retain(|one| reaches.sure.accounts.contains(one));
        self.outside
            .retain(|one| reaches.sure.outside.contains(one));
        self.perhaps.extend(reaches.perhaps);
    }
}
