//! LIST (RFC 9051 6.3.9: LIST-EXTENDED, SPECIAL-USE, LIST-STATUS) and LSUB (RFC 3501 6.3.9).
//!
//! Invariant: mailboxes above a listed one exist, so no answer has `\NonExistent`. Matching is
//! linear in name times pattern, a command compares a bounded number of octets, and a step of its
//! answer a small part of them.

use std::collections::BTreeSet;

use tern_base::{AccountId, MailboxId};
use tern_mailbox::{Folder, MailboxError, Role};

use super::answer::{Answer, Failure, Sync};
use super::run::{Progress, Task};
use super::status::write_status;
use super::{Context, Session};
use crate::command::{List, ListReturn, ListSelect, SpecialUse, StatusItem};
use crate::limits::{MAX_LIST_COMPARISONS, MAX_STEP_OUTPUT};
use crate::name::{MailboxName, SEPARATOR};
use crate::respond::data::Listed;
use crate::respond::status::CodeName;

/// A LIST or LSUB whose answers are being written.
pub(super) struct ListTask {
    account: AccountId,
    lsub: bool,
    select: ListSelect,
    returns: ListReturn,
    patterns: Vec<String>,
    folders: Vec<Folder>,
    /// Mailboxes that have others in them.
    parents: BTreeSet<MailboxId>,
    /// Mailboxes above one that is selected and matches no pattern.
    above_hidden: Option<BTreeSet<MailboxId>>,
    next: usize,
}

/// Octets of names times octets of patterns that one step compares.
const COMPARISONS_PER_STEP: usize = 1 << 22;

impl Session {
    pub(super) fn list(&mut self, list: List, cx: &Context<'_>) -> Result<Task, Failure> {
        let account = self.account()?;
        let status = list.returns.status.as_deref().unwrap_or_default();
        if status.contains(&StatusItem::HighestModseq) {
            self.enable_condstore();
        }
        // RFC 3501 6.3.8: an empty pattern asks for the separator.
        if !list.extended && list.patterns.iter().all(|one| one.as_str().is_empty()) {
            self.out.list(&Listed {
                attributes: vec!["Noselect"],
                ..Listed::default()
            });
            return Ok(Answer::ok("List completed", Sync::Full).into());
        }
        let patterns = list.patterns.iter();
        let patterns: Vec<String> = patterns.map(|one| joined(&list.reference, one)).collect();
        let folders = folders(&patterns, account, cx)?;
        Ok(Task::List(ListTask {
            account,
            lsub: false,
            select: list.select,
            returns: list.returns,
            patterns,
            parents: parents(&folders),
            folders,
            above_hidden: None,
            next: 0,
        }))
    }

    pub(super) fn lsub(
        &mut self,
        reference: &MailboxName,
        pattern: &MailboxName,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let account = self.account()?;
        let patterns = vec![joined(reference, pattern)];
        let folders = folders(&patterns, account, cx)?;
        Ok(Task::List(ListTask {
            account,
            lsub: true,
            select: ListSelect {
                subscribed: true,
                ..ListSelect::default()
            },
            returns: ListReturn::default(),
            patterns,
            parents: parents(&folders),
            folders,
            above_hidden: None,
            next: 0,
        }))
    }
}

/// The mailboxes of an account, if comparing them all with the patterns is not too much.
fn folders(
    patterns: &[String],
    account: AccountId,
    cx: &Context<'_>,
) -> Result<Vec<Folder>, Failure> {
    let folders = cx.mailboxes.folders(account)?;
    let of_patterns: usize = patterns.iter().map(String::len).sum();
    let of_names: usize = folders.iter().map(|folder| folder.path.len()).sum();
    if of_patterns.saturating_mul(of_names) > MAX_LIST_COMPARISONS {
        return Err(Answer::no(CodeName::Limit, "Too many patterns for so many mailboxes").into());
    }
    Ok(folders)
}

/// RFC 9051 6.3.9: the reference stands before the pattern.
fn joined(reference: &MailboxName, pattern: &MailboxName) -> String {
    let name = format!("{reference}{pattern}");
    MailboxName::from_utf8(name).into_string()
}

fn parents(folders: &[Folder]) -> BTreeSet<MailboxId> {
    folders.iter().filter_map(|folder| folder.parent).collect()
}

/// A mailbox as SELECT lists it.
pub(super) fn listed(folder: &Folder, folders: &[Folder]) -> Listed {
    let has_children = folders.iter().any(|one| one.parent == Some(folder.id));
    Listed {
        name: folder.path.clone(),
        attributes: vec![children_attribute(has_children)],
        special_use: special_use(folder).into_iter().collect(),
        ..Listed::default()
    }
}

/// RFC 3348, RFC 9051 7.3.1.
const fn children_attribute(has_children: bool) -> &'static str {
    if has_children {
        "HasChildren"
    } else {
        "HasNoChildren"
    }
}

fn special_use(folder: &Folder) -> Option<SpecialUse> {
    Some(match folder.role? {
        Role::Inbox => return None,
        Role::Archive => SpecialUse::Archive,
        Role::Drafts => SpecialUse::Drafts,
        Role::Junk => SpecialUse::Junk,
        Role::Sent => SpecialUse::Sent,
        Role::Trash => SpecialUse::Trash,
        Role::Important => SpecialUse::Important,
    })
}

impl ListTask {
    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        let above_hidden = match self.above_hidden.take() {
            Some(above) => above,
            None => self.find_above_hidden(),
        };
        let per_name = self.patterns.iter().map(String::len).sum::<usize>() + 1;
        let mut comparisons = 0;
        while let Some(folder) = self.folders.get(self.next) {
            if session.out.len() >= MAX_STEP_OUTPUT || comparisons > COMPARISONS_PER_STEP {
                self.above_hidden = Some(above_hidden);
                return Ok(Progress::More);
            }
            self.next += 1;
            comparisons += per_name * folder.path.len();
            if !self.matches(folder) {
                continue;
            }
            let above = above_hidden.contains(&folder.id);
            if self.lsub {
                self.write_lsub(session, folder, above);
            } else {
                self.write_list(session, cx, folder, above)?;
            }
        }
        let text = if self.lsub {
            "Lsub completed"
        } else {
            "List completed"
        };
        Ok(Progress::Done(Answer::ok(text, Sync::Full)))
    }

    fn matches(&self, folder: &Folder) -> bool {
        let name = folder.path.as_bytes();
        self.patterns
            .iter()
            .any(|pattern| matches(pattern.as_bytes(), name))
    }

    fn is_selected(&self, folder: &Folder) -> bool {
        (!self.select.subscribed || folder.subscribed)
            && (!self.select.special_use || special_use(folder).is_some())
    }

    /// RFC 5258 3.5 CHILDINFO, RFC 3501 6.3.9 for LSUB with `%`.
    fn find_above_hidden(&self) -> BTreeSet<MailboxId> {
        let mut out = BTreeSet::new();
        if !self.lsub && !self.select.recursive_match {
            return out;
        }
        let by_id: std::collections::BTreeMap<MailboxId, &Folder> = self
            .folders
            .iter()
            .map(|folder| (folder.id, folder))
            .collect();
        for folder in &self.folders {
            if !self.is_selected(folder) || self.matches(folder) {
                continue;
            }
            let mut above = folder.parent;
            while let Some(parent) = above.and_then(|id| by_id.get(&id)) {
                if !out.insert(parent.id) {
                    break;
                }
                above = parent.parent;
            }
        }
        out
    }

    fn write_lsub(&self, session: &mut Session, folder: &Folder, above: bool) {
        let attributes = match (folder.subscribed, above) {
            (true, _) => Vec::new(),
            (false, true) => vec!["Noselect"],
            (false, false) => return,
        };
        session.out.lsub(&Listed {
            name: folder.path.clone(),
            attributes,
            ..Listed::default()
        });
    }

    fn write_list(
        &self,
        session: &mut Session,
        cx: &Context<'_>,
        folder: &Folder,
        above: bool,
    ) -> Result<(), MailboxError> {
        if !self.is_selected(folder) && !above {
            return Ok(());
        }
        let mut attributes = vec![children_attribute(self.parents.contains(&folder.id))];
        if folder.subscribed && (self.select.subscribed || self.returns.subscribed) {
            attributes.push("Subscribed");
        }
        session.out.list(&Listed {
            name: folder.path.clone(),
            attributes,
            // RFC 6154 2 lets a plain LIST tell special uses, and many clients ask in no other way.
            special_use: special_use(folder).into_iter().collect(),
            child_info_subscribed: above && self.select.subscribed,
            old_name: None,
        });
        // RFC 5819 2
        let Some(items) = &self.returns.status else {
            return Ok(());
        };
        let limit = session.settings.max_message_size;
        let out = &mut session.out;
        match write_status(out, cx.mailboxes, self.account, folder, items, limit) {
            // RFC 5819 2: what can't be told any more is left out.
            Err(MailboxError::NoMailbox) => Ok(()),
            other => other,
        }
    }
}

/// RFC 9051 6.3.9: `*` matches anything, `%` anything within one level.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // reached[i]: the pattern so far matches the first i octets of the name.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for &wanted in pattern {
        match wanted {
            b'*' | b'%' => {
                for at in 0..name.len() {
                    let level_ends = wanted == b'%' && name[at] == SEPARATOR as u8;
                    reached[at + 1] |= reached[at] && !level_ends;
                }
            }
            _ => {
                for at in (0..name.len()).rev() {
                    reached[at + 1] = reached[at] && name[at] == wanted;
                }
                reached[0] = false;
            }
        }
    }
    // The vector has one more entry than the name has octets, so every index above is in it.
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards() {
        let check = |pattern: &str, name: &str, expect: bool| {
            let found = matches(pattern.as_bytes(), name.as_bytes());
            assert_eq!(found, expect, "{pattern} {name}");
        };
        check("*", "a/b/c", true);
        check("%", "a", true);
        check("%", "a/b", false);
        check("a/%", "a/b", true);
        check("a/%", "a/b/c", false);
        check("a/%", "a", false);
        check("%/%", "a/b", true);
        check("a%c", "abc", true);
        check("a%c", "a/c", false);
        check("a*c", "a/b/c", true);
        check("*b*", "a/b/c", true);
        check("", "a", false);
        check("INBOX", "INBOX", true);
        check("%%", "a", true);
        check("*/", "a/", true);
        check("a*", "b", false);
        check(&"*a".repeat(200), &"a".repeat(200), true);
        check(&"%a".repeat(201), &"a".repeat(200), false);
    }
}
