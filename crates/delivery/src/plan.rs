//! Where a message goes: every recipient resolved, each account and outside address once.
//!
//! Invariant: a destination to which several recipients lead is brought there by the first of them, and
//! knows the others, up to a bound: whoever is asked for by one of those names is found. To one that is
//! outside it is the first that asks for most, with what all of them ask for.

use std::collections::{HashMap, HashSet, hash_map};
use std::sync::Arc;

use tern_base::{AccountId, EmailAddress};
use tern_directory::resolve::{Expansion, Resolution, Step, resolve};
use tern_store::{Read, StoreError};

use crate::entry::{Entry, Goal, Head};
use crate::request::is_request_address;
use crate::{IncomingRecipient, Refusal, limits};

/// A plan in the making.
struct Planner<'a> {
    /// Most destinations, all recipients together.
    most: usize,
    reader: &'a dyn Read,
    may_relay: bool,
    /// Addresses that the message has been delivered to before.
    delivered_to: &'a [EmailAddress],
    /// By account, and by address outside, whose local part is for its own server to read (RFC 5321 2.4):
    /// the position of its entry.
    accounts: HashMap<AccountId, usize>,
    outside: HashMap<String, usize>,
    entries: Vec<Entry>,
}

/// Resolves every recipient. An account that several lead to is planned once, by the first path.
pub(crate) fn plan(
    reader: &dyn Read,
    recipients: Vec<IncomingRecipient>,
    may_relay: bool,
    delivered_to: &[EmailAddress],
) -> Result<Vec<Entry>, StoreError> {
    let most = limits::MAX_DESTINATIONS;
    plan_at_most(most, reader, recipients, may_relay, delivered_to)
}

fn plan_at_most(
    most: usize,
    reader: &dyn Read,
    recipients: Vec<IncomingRecipient>,
    may_relay: bool,
    delivered_to: &[EmailAddress],
) -> Result<Vec<Entry>, StoreError> {
    let mut planner = Planner {
        most,
        reader,
        may_relay,
        delivered_to,
        accounts: HashMap::new(),
        outside: HashMap::new(),
        entries: Vec::with_capacity(recipients.len()),
    };
    let mut named = HashSet::new();
    for recipient in recipients {
        // RFC 5321 4.5.3.1.8 has no word against a recipient that is named twice: it is one.
        if named.insert(recipient.address.to_string()) {
            planner.add(recipient)?;
        }
    }
    planner.entries.iter_mut().for_each(Entry::fold);
    Ok(planner.entries)
}

impl Planner<'_> {
    fn add(&mut self, mut recipient: IncomingRecipient) -> Result<(), StoreError> {
        if let Some(orcpt) = &mut recipient.orcpt {
            clip(orcpt);
        }
        let refusal = match resolve(self.reader, &recipient.address)? {
            // Nobody's, whatever the domain's catch-all: an account's requests were taken out.
            _ if is_request_address(self.reader, &recipient.address)? => Refusal::UnknownUser,
            Resolution::Found(found) => {
                if self.entries.len() + self.new_in(&found) <= self.most {
                    self.add_found(recipient, found);
                    return Ok(());
                }
                Refusal::TooManyMembers
            }
            Resolution::UnknownDomain if self.may_relay => {
                let address = recipient.address.clone();
                self.push_outside(&head(recipient, &[], false), address);
                return Ok(());
            }
            Resolution::UnknownDomain => Refusal::RelayDenied,
            Resolution::UnknownUser | Resolution::Nobody => Refusal::UnknownUser,
            Resolution::Disabled => Refusal::Disabled,
            Resolution::TooMany => Refusal::TooManyMembers,
        };
        self.push(&head(recipient, &[], false), Goal::Refused(refusal));
        Ok(())
    }

    fn add_found(&mut self, recipient: IncomingRecipient, found: Expansion) {
        let expanded = found.accounts.len() + found.outside.len() > 1;
        // Neighbours of an expansion mostly came by one path: they share a head.
        let mut shared: Option<(Arc<[Step]>, Arc<Head>)> = None;
        let mut head_of = |via: &Arc<[Step]>| match &shared {
            Some((known, shared)) if Arc::ptr_eq(known, via) => Arc::clone(shared),
            _ => {
                let made = head(recipient.clone(), via, expanded);
                shared = Some((Arc::clone(via), Arc::clone(&made)));
                made
            }
        };
        let notify = recipient.notify.unwrap_or_default();
        if expanded && notify.success {
            let head = head(recipient.clone(), &[], true);
            self.push(&head, Goal::Expanded);
        }
        for local in found.accounts {
            let head = head_of(&local.via);
            // The address as the sender wrote it, tag and all, where it is the account's own.
            let address = match local.via.is_empty() {
                true => recipient.address.clone(),
                false => local.address,
            };
            if self.loops(&address) {
                self.push(&head, Goal::Refused(Refusal::Loop));
            } else {
                self.push_local(&head, local.account, address);
            }
        }
        for outside in found.outside {
            let head = head_of(&outside.via);
            if self.loops(&recipient.address) {
                self.push(&head, Goal::Refused(Refusal::Loop));
            } else {
                self.push_outside(&head, outside.address);
            }
        }
    }

    /// How many are not planned already.
    fn new_in(&self, found: &Expansion) -> usize {
        let accounts = found.accounts.iter();
        let outside = found.outside.iter();
        let is_new = |address: &EmailAddress| !self.outside.contains_key(&address.to_string());
        accounts
            .filter(|local| !self.accounts.contains_key(&local.account))
            .count()
            + outside.filter(|it| is_new(&it.address)).count()
    }

    /// Whether the Delivered-To that this copy would get is in the message already.
    fn loops(&self, address: &EmailAddress) -> bool {
        self.delivered_to.contains(address)
    }

    fn push_local(&mut self, head: &Arc<Head>, account: AccountId, address: EmailAddress) {
        match self.accounts.entry(account) {
            hash_map::Entry::Occupied(at) => {
                let at = *at.get();
                self.also_by(at, head);
            }
            hash_map::Entry::Vacant(at) => {
                at.insert(self.entries.len());
                self.push(head, Goal::Local(account, address));
            }
        }
    }

    fn push_outside(&mut self, head: &Arc<Head>, address: EmailAddress) {
        match self.outside.entry(address.to_string()) {
            hash_map::Entry::Occupied(at) => {
                let at = *at.get();
                self.also_by(at, head);
            }
            hash_map::Entry::Vacant(at) => {
                at.insert(self.entries.len());
                self.push(head, Goal::Outside(address));
            }
        }
    }

    /// Another recipient leads to a destination that is planned already.
    fn also_by(&mut self, at: usize, head: &Arc<Head>) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.also_by(head);
        }
    }

    fn push(&mut self, head: &Arc<Head>, goal: Goal) {
        let head = Arc::clone(head);
        let also = Vec::new();
        self.entries.push(Entry { head, goal, also });
    }
}

fn head(recipient: IncomingRecipient, via: &[Step], expanded: bool) -> Arc<Head> {
    Arc::new(Head {
        recipient,
        via: via.iter().map(step_text).collect(),
        redirected: via.iter().any(|step| matches!(step, Step::Redirect(_))),
        expanded,
    })
}

/// A step of a path as people read it.
fn step_text(step: &Step) -> String {
    match step {
        Step::Alias(address) | Step::Group { address, .. } => address.to_string(),
        Step::CatchAll(domain) => format!("*@{domain}"),
        Step::Postmaster(domain) => format!("postmaster@{domain}"),
        Step::Redirect(address) => format!("{address} (redirect)"),
    }
}

/// What the queue would cut is cut before it is stored in between.
fn clip(text: &mut String) {
    let mut end = text.len().min(tern_queue::limits::MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use tern_base::{Domain, Timestamp};
    use tern_directory::target::Target;
    use tern_directory::{NewAccount, add_domain, create_account, set_alias};
    use tern_store::MemEngine;

    use super::*;

    fn address(name: &str) -> EmailAddress {
        EmailAddress::parse(&format!("{name}@tern.test")).expect("an address")
    }

    /// Four accounts, and lists of some of them.
    fn organisation() -> MemEngine {
        let (engine, now) = (MemEngine::new(), Timestamp(1));
        add_domain(&engine, &Domain::parse("tern.test").expect("a name"), now).expect("added");
        for name in ["a", "b", "c", "d"] {
            let new = NewAccount {
                address: address(name),
                display_name: String::new(),
                quota_bytes: 0,
            };
            create_account(&engine, &new, now).expect("created");
        }
        for (list, members) in [("abc", "abc"), ("cba", "cba"), ("cd", "cd")] {
            let members = members.chars().map(|name| address(&name.to_string()));
            let members: Vec<Target> = members.map(Target::Address).collect();
            set_alias(&engine, &address(list), &members).expect("set");
        }
        engine
    }

    /// How many accounts these lead to where at most three destinations are allowed, and what is
    /// refused.
    fn planned(names: &[&str]) -> (usize, Vec<Refusal>) {
        let recipients = names
            .iter()
            .map(|name| IncomingRecipient::new(address(name)));
        let entries = plan_at_most(3, &organisation(), recipients.collect(), false, &[]);
        let entries = entries.expect("planned");
        let refused = entries.iter().filter_map(|entry| match entry.goal {
            Goal::Refused(refusal) => Some(refusal),
            _ => None,
        });
        let accounts = entries.iter().filter_map(Entry::account).count();
        (accounts, refused.collect())
    }

    #[test]
    fn how_another_server_reads_its_addresses_is_not_ours_to_say() {
        let recipients = [
            "Bob@far.test",
            "bob@far.test",
            "bob@FAR.test",
            "A@tern.test",
            "a@tern.test",
        ];
        let recipients = recipients.map(|text| EmailAddress::parse(text).expect("an address"));
        let recipients = recipients.map(IncomingRecipient::new).into();
        let entries = plan_at_most(9, &organisation(), recipients, true, &[]).expect("planned");
        let goals = entries.iter().map(|entry| match &entry.goal {
            Goal::Outside(address) | Goal::Local(_, address) => address.to_string(),
            other => format!("{other:?}"),
        });
        let goals: Vec<String> = goals.collect();
        assert_eq!(goals, ["Bob@far.test", "bob@far.test", "A@tern.test"]);
    }

    #[test]
    fn only_what_is_new_counts_towards_the_bound() {
        assert_eq!(planned(&["abc", "cba", "a"]), (3, vec![]));
        assert_eq!(planned(&["abc", "abc"]), (3, vec![]));
        assert_eq!(planned(&["abc", "cd"]), (3, vec![Refusal::TooManyMembers]));
    }
}
