//! `Mailbox/query` (RFC 8621 2.3).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use tern_base::{AccountId, MailboxId, Modseq};
use tern_mailbox::{Folder, Role};
use tern_session::ids;

use super::get::{name_of, role_of};
use crate::context::Context;
use crate::error::MethodError;
use crate::scope::{Of, Scope};
use crate::standard::filter::Filter;
use crate::standard::listed;
use crate::standard::query::{Collation, Comparator, QueryArgs};
use crate::{args, limits};

/// A condition on a Mailbox.
#[derive(Clone, Debug, PartialEq)]
enum Condition {
    All(Vec<Condition>),
    /// `None`: at the top. Of an id of nothing, no mailbox is a child.
    Parent(Option<Option<MailboxId>>),
    /// The name, in lower case.
    Name(String),
    /// `Some(None)`: a role that no mailbox here has.
    Role(Option<Option<Role>>),
    AnyRole(bool),
    Subscribed(bool),
}

impl Condition {
    fn read(
        cx: &Context<'_>,
        account: AccountId,
        members: &Map<String, Value>,
    ) -> Result<Self, MethodError> {
        let one = |(name, value): (&String, &Value)| Self::property(cx, account, name, value);
        Ok(Self::All(
            members.iter().map(one).collect::<Result<_, _>>()?,
        ))
    }

    fn property(
        cx: &Context<'_>,
        account: AccountId,
        name: &str,
        value: &Value,
    ) -> Result<Self, MethodError> {
        let wrong = || MethodError::invalid_arguments(format!("{name} can't be that in a filter"));
        let text = || value.as_str().ok_or_else(wrong);
        let flag = || value.as_bool().ok_or_else(wrong);
        Ok(match (name, value) {
            ("parentId", Value::Null) => Self::Parent(Some(None)),
            ("parentId", _) => {
                let parent = ids::parse_mailbox_id(account, cx.resolved(text()?));
                Self::Parent(parent.map(Some))
            }
            ("name", _) => Self::Name(text()?.to_lowercase()),
            ("role", Value::Null) => Self::Role(Some(None)),
            ("role", _) => Self::Role(role_of(text()?).map(Some)),
            ("hasAnyRole", _) => Self::AnyRole(flag()?),
            ("isSubscribed", _) => Self::Subscribed(flag()?),
            _ => {
                return Err(MethodError::unsupported_filter(format!(
                    "there is no condition {name:?}"
                )));
            }
        })
    }

    fn is_met_by(&self, folder: &Folder) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.is_met_by(folder)),
            Self::Parent(parent) => *parent == Some(folder.parent),
            Self::Name(text) => name_of(folder).to_lowercase().contains(text),
            Self::Role(role) => *role == Some(folder.role),
            Self::AnyRole(any) => folder.role.is_some() == *any,
            Self::Subscribed(subscribed) => folder.subscribed == *subscribed,
        }
    }
}

/// By what property.
enum By {
    SortOrder,
    Name(Collation),
    Parent,
}

/// What is asked.
pub(super) struct Query {
    filter: Filter<Condition>,
    order: Vec<(By, bool)>,
    pub(super) sort_as_tree: bool,
    pub(super) filter_as_tree: bool,
}

impl Query {
    /// Takes the arguments that only this type has out of the others.
    pub(super) fn take_flags(args: &mut Value) -> Result<(bool, bool), MethodError> {
        let sort_as_tree = args::take_flag(args, "sortAsTree")?;
        Ok((sort_as_tree, args::take_flag(args, "filterAsTree")?))
    }

    pub(super) fn read(
        cx: &Context<'_>,
        account: AccountId,
        filter: Option<&Value>,
        sort: Option<&[Comparator]>,
        (sort_as_tree, filter_as_tree): (bool, bool),
    ) -> Result<Self, MethodError> {
        let step = |step: &Comparator| {
            let by = match step.property.as_str() {
                "sortOrder" => By::SortOrder,
                "name" => By::Name(step.collation()?),
                "parentId" => By::Parent,
                _ => return Err(step.unsupported()),
            };
            Ok((by, step.is_ascending))
        };
        Ok(Self {
            filter: Filter::read(filter, &|members| Condition::read(cx, account, members))?,
            order: Comparator::check(sort)?
                .iter()
                .map(step)
                .collect::<Result<_, _>>()?,
            sort_as_tree,
            filter_as_tree,
        })
    }

    /// The results among these mailboxes, in order.
    pub(super) fn find(&self, folders: &[Folder]) -> Vec<MailboxId> {
        let tree = Tree(folders.iter().map(|folder| (folder.id, folder)).collect());
        let meets = |folder: &Folder| self.filter.passes(&|condition| condition.is_met_by(folder));
        let passing: BTreeSet<MailboxId> = folders
            .iter()
            .filter(|folder| meets(folder))
            .map(|folder| folder.id)
            .collect();
        let is_shown = |folder: &&Folder| match self.filter_as_tree {
            true => tree
                .line(folder)
                .iter()
                .all(|one| passing.contains(&one.id)),
            false => passing.contains(&folder.id),
        };
        let mut shown: Vec<(Vec<&Folder>, &Folder)> = folders
            .iter()
            .filter(is_shown)
            .map(|folder| match self.sort_as_tree {
                true => (tree.line(folder), folder),
                false => (vec![folder], folder),
            })
            .collect();
        shown.sort_by(|(a, _), (b, _)| self.compare_lines(a, b));
        shown.into_iter().map(|(_, folder)| folder.id).collect()
    }

    /// Whoever is above comes first; else those decide by which the lines part.
    fn compare_lines(&self, a: &[&Folder], b: &[&Folder]) -> Ordering {
        let parted = a.iter().zip(b).find(|(a, b)| a.id != b.id);
        match parted {
            Some((a, b)) => self.compare(a, b),
            None => a.len().cmp(&b.len()),
        }
    }

    fn compare(&self, a: &Folder, b: &Folder) -> Ordering {
        for (by, is_ascending) in &self.order {
            let order = match by {
                By::SortOrder => a.sort_order.cmp(&b.sort_order),
                By::Name(collation) => {
                    let key = |folder| collation.key(name_of(folder));
                    key(a).cmp(&key(b))
                }
                By::Parent => a.parent.cmp(&b.parent),
            };
            let order = match is_ascending {
                true => order,
                false => order.reverse(),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        a.id.cmp(&b.id)
    }
}

/// The mailboxes by id.
struct Tree<'a>(BTreeMap<MailboxId, &'a Folder>);

impl<'a> Tree<'a> {
    /// A mailbox and those above it, from the top.
    fn line(&self, folder: &'a Folder) -> Vec<&'a Folder> {
        let above = |folder: &&'a Folder| self.0.get(&folder.parent?).copied();
        let mut line: Vec<&Folder> = std::iter::successors(Some(folder), above).collect();
        line.reverse();
        line
    }
}

/// The mailboxes, and the state that they are of.
pub(super) fn at_one_moment(
    cx: &Context<'_>,
    scope: &Scope,
) -> Result<(Modseq, Vec<Folder>), MethodError> {
    let mailboxes = cx.verbs.mailboxes;
    for _ in 0..limits::RECORD_ATTEMPTS {
        let state = scope.newest(mailboxes)?;
        let folders = scope.folders(mailboxes)?;
        if scope.newest(mailboxes)? == state {
            return Ok((state, folders));
        }
    }
    Err(MethodError::SERVER_UNAVAILABLE)
}

/// `Mailbox/query`
pub(crate) fn run(cx: &mut Context<'_>, mut args: Value) -> Result<Value, MethodError> {
    let flags = Query::take_flags(&mut args)?;
    let mut args: QueryArgs = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    let sort = args.sort.as_deref();
    let query = Query::read(cx, account, args.filter.as_ref(), sort, flags)?;
    let (state, folders) = at_one_moment(cx, &scope)?;
    let found = query.find(&folders);
    let state = scope.state(Of::Mailboxes, state);
    listed::query(cx, &mut args, &state, &found, |id| {
        ids::mailbox_id(account, id)
    })
}
