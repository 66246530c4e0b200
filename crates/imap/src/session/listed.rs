//! The names that LIST chooses from: one's own mailboxes, the names that are subscribed to without a mailbox, and
//! of others the mailboxes that their owners let see.
//!
//! Invariant: a mailbox of others has a name here where there is the right to see it and nowhere else; the
//! names above it that are no mailbox, or none that may be seen, are told as such (RFC 4314 4).

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{AccountId, MailboxId};
use tern_mailbox::{Acting, Actor, Folder, Grantee, MailboxError, OTHER_USERS, Rights};

use super::Context;
use super::answer::Failure;
use super::list::OTHERS;
use super::place::{prefix_of, store};
use crate::name::SEPARATOR;

/// A name, and the mailbox of that name.
pub(super) struct Named {
    /// The account that the mailbox belongs to.
    pub(super) account: AccountId,
    /// The mailbox by its name.
    pub(super) folder: Folder,
    /// There is a mailbox of that name that may be seen.
    pub(super) is_there: bool,
    /// It is one's own, and told only where it is asked what is subscribed to.
    pub(super) is_lost: bool,
    /// There are names below it.
    pub(super) is_parent: bool,
    /// The name above it, by its place in the list.
    pub(super) parent: Option<usize>,
    /// In whose name the session acts there.
    acting: Acting,
}

impl Named {
    /// What may be done in it, at this moment.
    pub(super) fn rights(&self, cx: &Context<'_>) -> Result<Rights, MailboxError> {
        match &self.acting {
            Acting::Owner => Ok(Rights::ALL),
            Acting::Guest(actor) => cx.mailboxes.rights(actor, self.account, self.folder.id),
        }
    }
}

/// One's own mailboxes.
pub(super) fn own(account: AccountId, folders: Vec<Folder>) -> Vec<Named> {
    let places: BTreeMap<MailboxId, usize> =
        (0..).zip(&folders).map(|(at, one)| (one.id, at)).collect();
    let parents: BTreeSet<MailboxId> = folders.iter().filter_map(|one| one.parent).collect();
    let named = |folder: Folder| Named {
        account,
        is_there: true,
        is_lost: false,
        is_parent: parents.contains(&folder.id),
        parent: folder.parent.and_then(|id| places.get(&id).copied()),
        acting: Acting::Owner,
        folder,
    };
    folders.into_iter().map(named).collect()
}

/// Adds the names of one's own that are subscribed to without a mailbox, with those above them that are none
/// either.
pub(super) fn lost(account: AccountId, subscribed: Vec<String>, names: &mut Vec<Named>) {
    if subscribed.is_empty() {
        return;
    }
    let path_of = |(at, name): (usize, &Named)| (name.folder.path.clone(), at);
    let mut places: BTreeMap<String, usize> = (0..).zip(&*names).map(path_of).collect();
    for path in subscribed {
        let at = place_of(account, &path, &mut places, names);
        // A mailbox may have come to the name with the one that it is in.
        if let Some(name) = names.get_mut(at) {
            name.folder.subscribed = true;
        }
    }
}

/// Where a name stands among the others; it is put there where it does not.
fn place_of(
    account: AccountId,
    path: &str,
    places: &mut BTreeMap<String, usize>,
    names: &mut Vec<Named>,
) -> usize {
    if let Some(at) = places.get(path) {
        return *at;
    }
    let above = path.rfind(SEPARATOR).and_then(|cut| path.get(..cut));
    let parent = above.map(|above| place_of(account, above, places, names));
    names.push(Named {
        account,
        is_there: false,
        is_lost: true,
        is_parent: false,
        parent,
        acting: Acting::Owner,
        folder: nothing(path),
    });
    places.insert(path.to_owned(), names.len() - 1);
    names.len() - 1
}

/// Whether a pattern may match a name of others' mailboxes.
pub(super) fn is_asked_for(pattern: &str) -> bool {
    let fixed = pattern
        .find(['*', '%'])
        .map_or(pattern, |at| &pattern[..at]);
    match fixed.len() == pattern.len() {
        true => fixed == OTHER_USERS || fixed.starts_with(OTHERS),
        false => fixed.starts_with(OTHERS) || OTHERS.starts_with(fixed),
    }
}

/// Adds what others let an account see.
pub(super) fn others(
    account: AccountId,
    cx: &Context<'_>,
    names: &mut Vec<Named>,
) -> Result<(), Failure> {
    let actor = cx.sharing.actor(account).map_err(store)?;
    let shares = cx.mailboxes.shares(&actor)?;
    let mut seen = Vec::new();
    for (owner, mailboxes) in shares {
        let address = cx.sharing.name_of(Grantee::Account(owner)).map_err(store)?;
        // An account that is going has nothing to see any more.
        let Some(address) = address else { continue };
        let prefix = prefix_of(&address);
        for mut folder in cx.mailboxes.folders(owner)? {
            if !mailboxes.contains(&folder.id) {
                continue;
            }
            let rights = cx.mailboxes.rights(&actor, owner, folder.id)?;
            if rights.has(Rights::LOOKUP) {
                folder.path = format!("{prefix}{}", folder.path);
                folder.role = None;
                seen.push((owner, folder, prefix.len()));
            }
        }
    }
    if seen.is_empty() {
        return Ok(());
    }
    let subscribed = cx.mailboxes.subscribed(account)?;
    for (owner, folder, _) in &mut seen {
        folder.subscribed = subscribed.contains(&(*owner, folder.id));
    }
    add(&actor, seen, names);
    Ok(())
}

/// Puts names into the list by their levels, with those above them.
fn add(actor: &Actor, seen: Vec<(AccountId, Folder, usize)>, names: &mut Vec<Named>) {
    let mut there: BTreeMap<String, (AccountId, Option<Folder>)> = BTreeMap::new();
    let mut above: BTreeMap<String, String> = BTreeMap::new();
    for (owner, folder, prefix) in seen {
        let mut path = folder.path.clone();
        there.insert(path.clone(), (owner, Some(folder)));
        // An address is one level, whatever is in it.
        while let Some(upper) = upper_of(&path, prefix) {
            above.insert(path, upper.clone());
            there.entry(upper.clone()).or_insert((owner, None));
            path = upper;
        }
    }
    let first = names.len();
    let places: BTreeMap<&String, usize> = there.keys().zip(first..).collect();
    let parents: BTreeSet<&String> = above.values().collect();
    let mut added = Vec::with_capacity(there.len());
    for (path, (account, folder)) in &there {
        let parent = above.get(path).and_then(|upper| places.get(upper));
        added.push(Named {
            account: *account,
            is_there: folder.is_some(),
            is_lost: false,
            is_parent: parents.contains(path),
            parent: parent.copied(),
            acting: Acting::Guest(actor.clone()),
            folder: folder.clone().unwrap_or_else(|| nothing(path)),
        });
    }
    names.extend(added);
}

/// The name above a name of somebody's mailbox, whose first octets are the `prefix` of its owner.
fn upper_of(path: &str, prefix: usize) -> Option<String> {
    if path == OTHER_USERS {
        return None;
    }
    let owner = prefix.saturating_sub(1);
    if path.len() <= owner {
        return Some(OTHER_USERS.to_owned());
    }
    let cut = path.rfind(SEPARATOR)?.max(owner);
    path.get(..cut).map(str::to_owned)
}

/// What stands for a name without a mailbox.
fn nothing(path: &str) -> Folder {
    Folder {
        id: MailboxId::default(),
        parent: None,
        path: path.to_owned(),
        role: None,
        subscribed: false,
        uid_validity: 0,
        sort_order: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_asked_for, upper_of};

    #[test]
    fn others_are_looked_for_where_a_pattern_may_mean_them() {
        for pattern in [
            "*",
            "%",
            "O*",
            "Other Users",
            "Other Users/%",
            "Other Users/a@b/x",
            "O%/%",
        ] {
            assert!(is_asked_for(pattern), "{pattern}");
        }
        for pattern in [
            "",
            "INBOX",
            "INBOX/%",
            "Sent*",
            "Other",
            "Others*",
            "Other Users2",
        ] {
            assert!(!is_asked_for(pattern), "{pattern}");
        }
    }

    #[test]
    fn an_address_is_one_level() {
        let prefix = "Other Users/a/b@example.org/".len();
        let upper = |path: &str| upper_of(path, prefix);
        let owner = Some(String::from("Other Users/a/b@example.org"));
        assert_eq!(upper("Other Users/a/b@example.org/INBOX"), owner);
        let deeper = upper("Other Users/a/b@example.org/x/y");
        assert_eq!(deeper.as_deref(), Some("Other Users/a/b@example.org/x"));
        assert_eq!(
            upper("Other Users/a/b@example.org").as_deref(),
            Some("Other Users")
        );
        assert_eq!(upper("Other Users"), None);
    }
}
