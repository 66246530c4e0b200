//! What somebody who was given rights sees of another account: its mailboxes, its messages, and how new that
//! is.
//!
//! Invariants: a mailbox without `l` is not there, and of a message nothing is there but what mailboxes
//! with `r` show of it. Nothing here is a number of the account as a whole that moves with what is not
//! seen. Refuses to serve content: whoever does asks for each message whether it is seen.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{AccountId, MailboxId, MessageId, Modseq, Uid};
use tern_store::{Read, limits as store_limits};

use crate::account_view::{Seen, together};
use crate::folder::Tree;
use crate::rows::{Counters, MessageRow, PlacementRow};
use crate::{AccountView, Actor, Folder, Held, INBOX, MailboxError, Mailboxes, Rights};
use crate::{access, tables};

impl Mailboxes {
    /// The mailboxes of an account that somebody else may know of, and what they may do there: the inbox
    /// first, then by path. One that is in a mailbox which they may not know of stands at the top.
    pub fn folders_seen(
        &self,
        actor: &Actor,
        owner: AccountId,
    ) -> Result<Vec<(Folder, Rights)>, MailboxError> {
        let snapshot = self.engine.snapshot()?;
        let mut given = BTreeSet::new();
        for grantee in actor.grantees() {
            let range = tables::granted_by(grantee, owner);
            for (key, _) in &snapshot.scan(&range, store_limits::MAX_PAGE)?.rows {
                given.insert(access::read_granted(key)?.2);
            }
        }
        let mut seen = BTreeMap::new();
        for mailbox in given {
            let rights = self.sum(actor, owner, mailbox, |key| snapshot.get(key))?;
            if rights.has(Rights::LOOKUP) {
                seen.insert(mailbox, rights);
            }
        }
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let tree = Tree::read(&*snapshot, owner)?;
        let folder = |(mailbox, rights): (&MailboxId, &Rights)| {
            let mut folder = tree.folder(*mailbox)?;
            folder.parent = folder.parent.filter(|parent| seen.contains_key(parent));
            Some((folder, *rights))
        };
        let mut all: Vec<(Folder, Rights)> = seen.iter().filter_map(folder).collect();
        all.sort_by(|(a, _), (b, _)| (a.id != INBOX, &a.path).cmp(&(b.id != INBOX, &b.path)));
        Ok(all)
    }

    /// Whose mailboxes somebody may know of, and everything that they may do in any of these.
    pub fn accounts_seen(
        &self,
        actor: &Actor,
    ) -> Result<BTreeMap<AccountId, Rights>, MailboxError> {
        let mut seen = BTreeMap::new();
        for ((owner, _), rights) in self.given_to(actor)? {
            if rights.has(Rights::LOOKUP) {
                let all = seen.entry(owner).or_insert(Rights::NONE);
                *all = all.with(rights);
            }
        }
        Ok(seen)
    }

    /// The modseq of the newest change of a message in any of these mailboxes.
    pub fn newest_modseq_in(
        &self,
        account: AccountId,
        mailboxes: &BTreeSet<MailboxId>,
    ) -> Result<Modseq, MailboxError> {
        let key = |mailbox: &MailboxId| tables::counters(account, *mailbox);
        let keys: Vec<Vec<u8>> = mailboxes.iter().map(key).collect();
        let mut newest = Modseq(0);
        for row in self.engine.get_many(&keys)?.into_iter().flatten() {
            newest = newest.max(Counters::decode(&row)?.highest_modseq);
        }
        Ok(newest)
    }

    /// What of an account's view these mailboxes show. Flags of a message that others show, too, are read
    /// now, and so may be newer than the view.
    pub fn view_within(
        &self,
        account: AccountId,
        view: &AccountView,
        mailboxes: &BTreeSet<MailboxId>,
    ) -> Result<AccountView, MailboxError> {
        let is_seen = |(mailbox, _): &&(MailboxId, Uid)| mailboxes.contains(mailbox);
        let count = |held: &Held| held.places.iter().filter(is_seen).count();
        let is_part = |held: &&Held| (1..held.places.len()).contains(&count(held));
        let parts = view.iter().filter(is_part).map(|held| {
            let places: Vec<_> = held.places.iter().filter(is_seen).copied().collect();
            Held {
                places: places.into(),
                ..held.clone()
            }
        });
        let parts = with_flags(&*self.engine, account, parts.collect())?;
        Ok(view.within(|held| match count(held) {
            0 => Seen::Nothing,
            all if all == held.places.len() => Seen::Whole,
            _ => parts
                .get(&held.message)
                .map_or(Seen::Nothing, |part| Seen::Part(part.clone())),
        }))
    }
}

/// Messages with the flags that they have now in the mailboxes that are left of them.
fn with_flags(
    reader: &dyn Read,
    account: AccountId,
    mut parts: Vec<Held>,
) -> Result<BTreeMap<MessageId, Held>, MailboxError> {
    let places = parts.iter().flat_map(|held| held.places.iter());
    let key = |(mailbox, uid): &(MailboxId, Uid)| tables::placement(account, *mailbox, *uid);
    let keys: Vec<Vec<u8>> = places.map(key).collect();
    let mut rows = reader.get_many(&keys)?.into_iter();
    for held in &mut parts {
        let mut flags = Vec::with_capacity(held.places.len());
        // One that is gone by now has none.
        for row in rows.by_ref().take(held.places.len()).flatten() {
            flags.push(PlacementRow::decode(&row)?.flags);
        }
        held.flags = together(flags.iter());
    }
    Ok(parts.into_iter().map(|held| (held.message, held)).collect())
}

impl MessageRow {
    /// Whether any of these mailboxes shows the message.
    pub fn is_in_any(&self, mailboxes: &BTreeSet<MailboxId>) -> bool {
        let mut places = self.placements.iter();
        places.any(|(mailbox, _)| mailboxes.contains(mailbox))
    }
}
