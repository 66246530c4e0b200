//! One look at what is due: what may begin now, and what travels together.
//!
//! Invariant: what is put together goes the same way ([`Routes::destination`]), differs in nothing but the
//! recipients ([`Item::travels_with`]), and is no more than one transaction takes, nor than is left to
//! those that failed together before ([`Item::most_together`]). Refuses to take anything: only the lease
//! does that.

use std::sync::Arc;

use tern_queue::Item;

use super::route::{Destination, Routes};
use super::traffic::{Load, Pass, Traffic};

/// How many items that are of no use are looked at behind the last that was, once no further attempt may
/// begin: the recipients of one message mostly stand beside each other.
pub(super) const LOOK_AHEAD: usize = 200;

/// What was found so far.
pub(super) struct Look<'a> {
    traffic: &'a Arc<Traffic>,
    routes: &'a Routes,
    /// Most items of one attempt.
    most: usize,
    groups: Vec<Group>,
    passed: usize,
}

/// Items that travel together.
struct Group {
    first: Item,
    to: Destination,
    /// Most of them: by the one that goes with the fewest.
    most: usize,
    pass: Pass,
}

impl<'a> Look<'a> {
    pub(super) fn new(traffic: &'a Arc<Traffic>, routes: &'a Routes, most: usize) -> Self {
        Self {
            traffic,
            routes,
            most,
            groups: Vec::new(),
            passed: 0,
        }
    }

    /// Where an item goes.
    pub(super) fn destination(&self, item: &Item) -> Destination {
        self.routes.destination(item.recipient.domain().as_str())
    }

    /// Looks at an item that goes there, and says whether it leaves now. `owes_word`: its sender is to be told
    /// of something now, whether a host can be asked or not.
    pub(super) fn see(&mut self, item: Item, to: &Destination, owes_word: bool) -> bool {
        self.passed += 1;
        let leaves = self.joins(&item, to) || self.begins(item, to, owes_word);
        if leaves {
            self.passed = 0;
        }
        leaves
    }

    /// Whether anything else may leave now.
    pub(super) fn goes_on(&self) -> bool {
        let may_begin = self.traffic.room() > 0;
        may_begin || self.passed < LOOK_AHEAD && self.groups.iter().any(Group::has_room)
    }

    /// Whether anything else may leave now that goes there, as far as that is for its hosts to say.
    pub(super) fn goes_on_to(&self, to: &Destination) -> bool {
        let joins = |group: &Group| group.to == *to && group.has_room();
        self.begins_to(to) || self.groups.iter().any(joins)
    }

    /// The same of what does not join anything.
    pub(super) fn begins_to(&self, to: &Destination) -> bool {
        self.traffic.is_open(to)
    }

    /// The attempts that begin.
    pub(super) fn passes(self) -> impl Iterator<Item = Pass> {
        self.groups.into_iter().map(|group| group.pass)
    }

    fn joins(&mut self, item: &Item, to: &Destination) -> bool {
        let most = item.most_together(self.most);
        let fits = |group: &&mut Group| {
            group.has_room()
                && group.pass.ids().len() < most
                && group.to == *to
                && group.first.travels_with(item)
        };
        let Some(group) = self.groups.iter_mut().find(fits) else {
            return false;
        };
        group.most = group.most.min(most);
        group.pass.join(item.id)
    }

    fn begins(&mut self, item: Item, to: &Destination, owes_word: bool) -> bool {
        let pass = self.traffic.admit(&Load::of(&item), to, owes_word);
        let group = pass.map(|pass| Group {
            most: item.most_together(self.most),
            first: item,
            to: to.clone(),
            pass,
        });
        let begins = group.is_some();
        self.groups.extend(group);
        begins
    }
}

impl Group {
    fn has_room(&self) -> bool {
        self.pass.ids().len() < self.most
    }
}
