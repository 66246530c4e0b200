//! LIST (RFC 9051 6.3.9: LIST-EXTENDED, SPECIAL-USE, LIST-STATUS; LIST-MYRIGHTS, RFC 8440) and LSUB (RFC 3501 6.3.9).
//!
//! Invariant: mailboxes above a listed one exist, but for those of others, above which there may be names
//! without a mailbox, and for names that are subscribed to without one; a mailbox of others is listed where its owner gave the right to see it, and its
//! messages are counted where they may be read. Matching is linear in name times pattern, a command
//! compares a bounded number of octets, and a step of its answer a small part of them.

use std::collections::BTreeSet;

use tern_mailbox::{Folder, MailboxError, Rights, Role};

use super::answer::{Answer, Failure, Sync};
use super::listed::{Named, is_asked_for, lost, others, own};
use super::place::Place;
use super::run::{Progress, Task};
use super::status::write_status;
use super::{Context, Session};
use crate::command::{List, ListReturn, ListSelect, SpecialUse, StatusItem};
use crate::limits::MAX_LIST_COMPARISONS;
use crate::name::{MailboxName, SEPARATOR};
use crate::respond::data::Listed;
use crate::respond::status::CodeName;

/// What the names of others' mailboxes begin with (RFC 2342 5).
pub(super) const OTHERS: &str = "Other Users/";

/// A LIST or LSUB whose answers are being written.
pub(super) struct ListTask {
    lsub: bool,
    /// The client knows of LIST-EXTENDED.
    extended: bool,
    select: ListSelect,
    returns: ListReturn,
    patterns: Vec<String>,
    names: Vec<Named>,
    /// Of the first names, whether they match a pattern.
    matched: Vec<bool>,
    /// Once all were compared: names above one that is selected and matches no pattern.
    above_hidden: Option<BTreeSet<usize>>,
    next: usize,
}

impl Session {
    pub(super) fn list(&mut self, list: List, cx: &Context<'_>) -> Result<Task, Failure> {
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
        Ok(Task::List(ListTask {
            lsub: false,
            extended: list.extended,
            select: list.select,
            returns: list.returns,
            names: self.names(&patterns, cx)?,
            patterns,
            matched: Vec::new(),
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
        let patterns = vec![joined(reference, pattern)];
        Ok(Task::List(ListTask {
            lsub: true,
            extended: false,
            select: ListSelect {
                subscribed: true,
                ..ListSelect::default()
            },
            returns: ListReturn::default(),
            names: self.names(&patterns, cx)?,
            patterns,
            matched: Vec::new(),
            above_hidden: None,
            next: 0,
        }))
    }

    /// The names that there are, if comparing them all with the patterns is not too much.
    fn names(&self, patterns: &[String], cx: &Context<'_>) -> Result<Vec<Named>, Failure> {
        let account = self.account()?;
        let mut names = own(account, cx.mailboxes.folders(account)?);
        lost(account, cx.mailboxes.subscribed_names(account)?, &mut names);
        if patterns.iter().any(|pattern| is_asked_for(pattern)) {
            others(account, cx, &mut names)?;
        }
        let of_patterns: usize = patterns.iter().map(String::len).sum();
        let of_names: usize = names.iter().map(|name| name.folder.path.len()).sum();
        if of_patterns.saturating_mul(of_names) > MAX_LIST_COMPARISONS {
            let text = "Too many patterns for so many mailboxes";
            return Err(Answer::no(CodeName::Limit, text).into());
        }
        Ok(names)
    }

    /// Whether there are names below that of a mailbox, as far as they may be seen.
    pub(super) fn sees_children(&self, place: &Place, cx: &Context<'_>) -> Result<bool, Failure> {
        let patterns = [place.folder.path.clone()];
        let names = self.names(&patterns, cx)?;
        let is_it = |name: &&Named| name.folder.path == place.folder.path;
        Ok(names.iter().find(is_it).is_some_and(|name| name.is_parent))
    }

    /// A mailbox as SELECT lists it.
    pub(super) fn listed(&self, place: &Place, cx: &Context<'_>) -> Result<Listed, Failure> {
        let has_children = self.sees_children(place, cx)?;
        Ok(Listed {
            name: place.folder.path.clone(),
            attributes: vec![children_attribute(has_children)],
            special_use: special_use(&place.folder).into_iter().collect(),
            ..Listed::default()
        })
    }
}

/// RFC 9051 6.3.9: the reference stands before the pattern.
fn joined(reference: &MailboxName, pattern: &MailboxName) -> String {
    let name = format!("{reference}{pattern}");
    MailboxName::from_utf8(name).into_string()
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
        if !self.compare(session, cx) {
            return Ok(Progress::More);
        }
        let above_hidden = match self.above_hidden.take() {
            Some(above) => above,
            None => self.find_above_hidden(),
        };
        while let Some(name) = self.names.get(self.next) {
            if cx.budget.is_spent(&session.out) {
                self.above_hidden = Some(above_hidden);
                return Ok(Progress::More);
            }
            let above = above_hidden.contains(&self.next);
            let matched = self.matched.get(self.next).copied().unwrap_or_default();
            self.next += 1;
            cx.budget.tests(1, 1);
            if !matched {
                continue;
            }
            if self.lsub {
                self.write_lsub(session, name, above);
            } else {
                self.write_list(session, cx, name, above)?;
            }
        }
        let text = if self.lsub {
            "Lsub completed"
        } else {
            "List completed"
        };
        Ok(Progress::Done(Answer::ok(text, Sync::Full)))
    }

    /// Compares names with the patterns, as many as the step may. Whether all are compared.
    fn compare(&mut self, session: &Session, cx: &Context<'_>) -> bool {
        let per_name = self.patterns.iter().map(String::len).sum::<usize>() + 1;
        while let Some(name) = self.names.get(self.matched.len()) {
            if cx.budget.is_spent(&session.out) {
                return false;
            }
            cx.budget.octets((per_name * name.folder.path.len()) as u64);
            self.matched.push(self.matches(name));
        }
        true
    }

    fn matches(&self, name: &Named) -> bool {
        let name = name.folder.path.as_bytes();
        self.patterns
            .iter()
            .any(|pattern| matches(pattern.as_bytes(), name))
    }

    fn is_selected(&self, name: &Named) -> bool {
        (!self.select.subscribed || name.folder.subscribed)
            && (!self.select.special_use || special_use(&name.folder).is_some())
    }

    /// RFC 5258 3.5 CHILDINFO, RFC 3501 6.3.9 for LSUB with `%`.
    fn find_above_hidden(&self) -> BTreeSet<usize> {
        let mut out = BTreeSet::new();
        let asked = if self.lsub {
            self.patterns.iter().any(|pattern| pattern.contains('%'))
        } else {
            self.select.recursive_match
        };
        if !asked {
            return out;
        }
        for (name, matched) in self.names.iter().zip(&self.matched) {
            if *matched || !self.is_selected(name) {
                continue;
            }
            let mut above = name.parent;
            while let Some(at) = above {
                if !out.insert(at) {
                    break;
                }
                above = self.names.get(at).and_then(|parent| parent.parent);
            }
        }
        out
    }

    /// RFC 5258 3.5, RFC 6154 6: what is below was selected by all of the options.
    fn child_info(&self, above: bool) -> Vec<&'static str> {
        let options = [
            (self.select.subscribed, "SUBSCRIBED"),
            (self.select.special_use, "SPECIAL-USE"),
        ];
        let asked = options.into_iter().filter(|(asked, _)| above && *asked);
        asked.map(|(_, option)| option).collect()
    }

    fn write_lsub(&self, session: &mut Session, name: &Named, above: bool) {
        let attributes = match (name.folder.subscribed, above) {
            (true, _) => Vec::new(),
            (false, true) => vec!["Noselect"],
            (false, false) => return,
        };
        session.out.lsub(&Listed {
            name: name.folder.path.clone(),
            attributes,
            ..Listed::default()
        });
    }

    fn write_list(
        &self,
        session: &mut Session,
        cx: &Context<'_>,
        name: &Named,
        above: bool,
    ) -> Result<(), MailboxError> {
        let folder = &name.folder;
        if !self.is_selected(name) && !above {
            return Ok(());
        }
        if name.is_lost && !self.select.subscribed {
            return Ok(());
        }
        let mut attributes = vec![children_attribute(name.is_parent)];
        if !name.is_there {
            attributes.insert(0, "NonExistent");
            // RFC 9051 7.3.1: the one says the other; IMAP4rev1 has no other word for it (RFC 5258 3).
            if !self.extended {
                attributes.insert(1, "Noselect");
            }
        }
        if folder.subscribed && (self.select.subscribed || self.returns.subscribed) {
            attributes.push("Subscribed");
        }
        session.out.list(&Listed {
            name: folder.path.clone(),
            attributes,
            // RFC 6154 2 lets a plain LIST tell special uses, and many clients ask in no other way.
            special_use: special_use(folder).into_iter().collect(),
            child_info: self.child_info(above),
        });
        if !name.is_there || !(self.returns.my_rights || self.returns.status.is_some()) {
            return Ok(());
        }
        let rights = name.rights(cx)?;
        // RFC 8440 3
        if self.returns.my_rights && rights.require(Rights::LOOKUP).is_ok() {
            session.out.my_rights(&folder.path, &rights.told());
        }
        // RFC 5819 2
        let Some(items) = &self.returns.status else {
            return Ok(());
        };
        if rights.require(Rights::READ).is_err() {
            return Ok(());
        }
        let limit = session.settings.max_message_size;
        let out = &mut session.out;
        match write_status(out, cx, name.account, folder, items, limit) {
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
