//! Where a message goes: every recipient resolved, each account and outside address once.

use std::collections::HashSet;
use std::sync::Arc;

use tern_base::{AccountId, EmailAddress};
use tern_directory::resolve::{Expansion, Resolution, Step, resolve};
use tern_store::{Read, StoreError};

use crate::entry::{Entry, Goal, Head};
use crate::request::is_request_address;
use crate::{IncomingRecipient, Refusal, limits};

/// A plan in the making.
struct Planner<'a> {
    reader: &'a dyn Read,
    may_relay: bool,
    /// Addresses that the message has been delivered to before.
    delivered_to: &'a [EmailAddress],
    accounts: HashSet<AccountId>,
    outside: HashSet<String>,
    entries: Vec<Entry>,
}

/// Resolves every recipient. An account that several lead to is planned once, by the first path.
pub(crate) fn plan(
    reader: &dyn Read,
    recipients: Vec<IncomingRecipient>,
    may_relay: bool,
    delivered_to: &[EmailAddress],
) -> Result<Vec<Entry>, StoreError> {
    let mut planner = Planner {
        reader,
        may_relay,
        delivered_to,
        accounts: HashSet::new(),
        outside: HashSet::new(),
        entries: Vec::with_capacity(recipients.len()),
    };
    for recipient in recipients {
        planner.add(recipient)?;
    }
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
                let planned = self.entries.len() + found.accounts.len() + found.outside.len();
                if planned <= limits::MAX_DESTINATIONS {
                    self.add_found(recipient, found);
                    return Ok(());
                }
                Refusal::TooManyMembers
            }
            Resolution::UnknownDomain if self.may_relay => {
                let address = recipient.address.clone();
                if self.outside.insert(address.canonical()) {
                    self.push(&head(recipient, &[], false), Goal::Outside(address));
                }
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
            } else if self.accounts.insert(local.account) {
                self.push(&head, Goal::Local(local.account, address));
            }
        }
        for outside in found.outside {
            let head = head_of(&outside.via);
            if self.loops(&recipient.address) {
                self.push(&head, Goal::Refused(Refusal::Loop));
            } else if self.outside.insert(outside.address.canonical()) {
                self.push(&head, Goal::Outside(outside.address));
            }
        }
    }

    /// Whether the Delivered-To that this copy would get is in the message already.
    fn loops(&self, address: &EmailAddress) -> bool {
        self.delivered_to.contains(address)
    }

    fn push(&mut self, head: &Arc<Head>, goal: Goal) {
        let head = Arc::clone(head);
        self.entries.push(Entry { head, goal });
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
