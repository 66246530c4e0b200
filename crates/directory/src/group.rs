//! Groups: one address, many members.

use std::collections::BTreeSet;
use std::fmt;

use tern_base::{AccountId, EmailAddress, Timestamp};
use tern_store::{Engine, Range, Read, StoreError, Transaction, Verdict, transact};

use crate::account::{addresses_of, groups_of};
use crate::alias::aliases_around;
use crate::error::{DirectoryError, Limit};
use crate::grant::{self, GrantScope};
use crate::limits;
use crate::principal::rows::note_group_in;
use crate::tables::{self, AddressRow, Counter};
use crate::target::{Target, settle};

/// A group's id, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its address.
    pub address: EmailAddress,
    /// The name that people read.
    pub display_name: String,
    /// How many members it has, not counting theirs.
    pub members: u64,
    /// When it was made.
    pub created: Timestamp,
}

/// Makes a group without members. The same address at the same time again is the same group.
pub fn create_group(
    engine: &dyn Engine,
    address: &EmailAddress,
    display_name: &str,
    now: Timestamp,
) -> Result<Group, DirectoryError> {
    transact(engine, |txn| {
        create_group_in(txn, address, display_name, now).map(Verdict::Commit)
    })
}

/// [`create_group`] as a part of a transaction.
pub fn create_group_in(
    txn: &mut Transaction<'_>,
    address: &EmailAddress,
    display_name: &str,
    now: Timestamp,
) -> Result<Group, DirectoryError> {
    if display_name.len() > limits::MAX_TEXT {
        return Err(DirectoryError::Limit(Limit::DisplayName));
    }
    if let Some(AddressRow::Group(id)) = tables::get_address(txn, address)? {
        let known = tables::get_group(txn, id)?.ok_or(StoreError::Damaged)?;
        return match known.created == now && known.display_name == display_name {
            true => Ok(known),
            false => Err(DirectoryError::AddressTaken),
        };
    }
    let group = Group {
        id: GroupId(tables::next_id(txn, Counter::Group)?),
        address: address.clone(),
        display_name: display_name.to_owned(),
        members: 0,
        created: now,
    };
    tables::claim_address(txn, address, &AddressRow::Group(group.id))?;
    txn.put(tables::group_key(group.id), tables::encode_group(&group));
    note_group_in(txn, &group, true)?;
    Ok(group)
}

/// Adds members; those that are in stay. Answers the group as it is then.
pub fn add_members(
    engine: &dyn Engine,
    id: GroupId,
    members: &[Target],
) -> Result<Group, DirectoryError> {
    transact(engine, |txn| {
        add_members_in(txn, id, members).map(Verdict::Commit)
    })
}

/// [`add_members`] as a part of a transaction.
pub fn add_members_in(
    txn: &mut Transaction<'_>,
    id: GroupId,
    members: &[Target],
) -> Result<Group, DirectoryError> {
    if members.len() > limits::MAX_MEMBERS_PER_CALL {
        return Err(DirectoryError::Limit(Limit::MembersAtOnce));
    }
    let mut group = tables::get_group(txn, id)?.ok_or(DirectoryError::NotFound("group"))?;
    let before = group.members;
    for member in members {
        let member = settle(txn, member)?;
        let key = tables::member_key(id, &member);
        if txn.get(&key)?.is_some() {
            continue;
        }
        txn.put(key, tables::mark());
        txn.put(reverse_key(&member, id), tables::mark());
        group.members += 1;
    }
    if group.members > limits::MAX_GROUP_MEMBERS {
        return Err(DirectoryError::Limit(Limit::Members));
    }
    txn.put(tables::group_key(id), tables::encode_group(&group));
    if group.members > before {
        tables::roles_changed(txn)?;
    }
    Ok(group)
}

/// Removes members; those that are not in are no error. Answers the group as it is then.
pub fn remove_members(
    engine: &dyn Engine,
    id: GroupId,
    members: &[Target],
) -> Result<Group, DirectoryError> {
    transact(engine, |txn| {
        remove_members_in(txn, id, members).map(Verdict::Commit)
    })
}

/// [`remove_members`] as a part of a transaction.
pub fn remove_members_in(
    txn: &mut Transaction<'_>,
    id: GroupId,
    members: &[Target],
) -> Result<Group, DirectoryError> {
    if members.len() > limits::MAX_MEMBERS_PER_CALL {
        return Err(DirectoryError::Limit(Limit::MembersAtOnce));
    }
    for member in members {
        // A member that was stored as an address stays one when an account takes the address.
        drop_member(txn, id, member)?;
        if let Target::Address(address) = member
            && let Some(AddressRow::Account(account)) = tables::get_address(txn, address)?
        {
            drop_member(txn, id, &Target::Account(account))?;
        }
    }
    tables::get_group(txn, id)?.ok_or(DirectoryError::NotFound("group"))
}

/// The row by which a group is found that has this member.
pub(crate) fn reverse_key(member: &Target, group: GroupId) -> Vec<u8> {
    match member {
        Target::Account(account) => tables::group_of_key(*account, group),
        Target::Address(address) => tables::group_around_key(address, group),
    }
}

/// The groups that an account is in: those that name it, and those around them, also by way of
/// aliases, as deep as an address is expanded.
pub fn groups_around(reader: &dyn Read, account: AccountId) -> Result<Vec<Group>, StoreError> {
    let mut ids = groups_of(reader, account)?;
    let mut names = addresses_of(reader, account)?;
    let (mut found, mut known_ids, mut known_names) =
        (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for _ in 0..=limits::MAX_DEPTH {
        let mut next = Vec::new();
        for name in &names {
            ids.extend(groups_naming(reader, name)?);
            next.extend(aliases_around(reader, name)?);
        }
        for id in ids.drain(..).filter(|id| known_ids.insert(*id)) {
            if let Some(group) = group(reader, id)? {
                next.push(group.address.clone());
                found.push(group);
            }
        }
        next.retain(|name| known_names.insert(name.canonical()));
        names = next;
    }
    Ok(found)
}

/// The groups that have this address as a member.
fn groups_naming(reader: &dyn Read, address: &EmailAddress) -> Result<Vec<GroupId>, StoreError> {
    let keys = tables::all_keys(reader, tables::groups_around(address))?;
    let id = |key: &Vec<u8>| Ok(tables::read_group_around_key(key)?.1);
    keys.iter().map(id).collect()
}

/// Takes one member out, if it is in.
pub(crate) fn drop_member(
    txn: &mut Transaction<'_>,
    id: GroupId,
    member: &Target,
) -> Result<(), DirectoryError> {
    let key = tables::member_key(id, member);
    if txn.get(&key)?.is_none() {
        return Ok(());
    }
    txn.delete(key);
    txn.delete(reverse_key(member, id));
    tables::roles_changed(txn)?;
    if let Some(mut group) = tables::get_group(txn, id)? {
        group.members = group.members.saturating_sub(1);
        txn.put(tables::group_key(id), tables::encode_group(&group));
    }
    Ok(())
}

/// Removes a group: [`begin_group_removal_in`], then [`finish_group_removal`]. False when it was not there.
pub fn remove_group(engine: &dyn Engine, id: GroupId) -> Result<bool, DirectoryError> {
    let begun = transact(engine, |txn| {
        begin_group_removal_in(txn, id).map(Verdict::Commit)
    })?;
    finish_group_removal(engine, id)?;
    Ok(begun)
}

/// Has a group be gone, whatever comes after: nobody reaches it any more, its address is free, and no role is
/// held over it. What is left are rows of its members, until [`finish_group_removal`]. False when it was not
/// there.
pub fn begin_group_removal_in(
    txn: &mut Transaction<'_>,
    id: GroupId,
) -> Result<bool, DirectoryError> {
    let Some(group) = tables::get_group(txn, id)? else {
        return Ok(false);
    };
    tables::free_address(txn, &group.address)?;
    grant::drop_grants_in(txn, |grant| grant.scope == GrantScope::Group(id))?;
    tables::roles_changed(txn)?;
    txn.delete(tables::group_key(id));
    txn.put(tables::group_gone_key(id), tables::mark());
    note_group_in(txn, &group, false)?;
    Ok(true)
}

/// Takes out the members of a group that is gone, in chunks. To be called last: until it is done,
/// [`groups_being_removed`] names the group.
pub fn finish_group_removal(engine: &dyn Engine, id: GroupId) -> Result<(), DirectoryError> {
    loop {
        let is_done = transact(engine, |txn| {
            if txn.get(&tables::group_gone_key(id))?.is_none() {
                return Ok::<_, DirectoryError>(Verdict::Abandon(true));
            }
            let page = txn.scan(&tables::members_of(id), limits::MAX_MEMBERS_PER_CALL)?;
            for (key, _) in &page.rows {
                let (_, member) = tables::read_member_key(key)?;
                drop_member(txn, id, &member)?;
            }
            if page.next.is_none() {
                txn.delete(tables::group_gone_key(id));
            }
            Ok(Verdict::Commit(page.next.is_none()))
        })?;
        if is_done {
            return Ok(());
        }
    }
}

/// The groups whose removal was begun and not finished.
pub fn groups_being_removed(reader: &dyn Read) -> Result<Vec<GroupId>, StoreError> {
    let keys = tables::all_keys(reader, tables::groups_gone())?;
    keys.iter()
        .map(|key| Ok(tables::read_group_key(key)?))
        .collect()
}

/// A group by its id.
pub fn group(reader: &dyn Read, id: GroupId) -> Result<Option<Group>, StoreError> {
    match reader.get(&tables::group_key(id))? {
        Some(row) => Ok(Some(tables::decode_group(id, &row)?)),
        None => Ok(None),
    }
}

/// A group by its address.
pub fn group_by_address(
    reader: &dyn Read,
    address: &EmailAddress,
) -> Result<Option<Group>, StoreError> {
    match reader.get(&tables::address_key(address))? {
        None => Ok(None),
        Some(row) => match tables::decode_address(&row)? {
            AddressRow::Group(id) => group(reader, id),
            AddressRow::Account(_) | AddressRow::Alias(_) => Ok(None),
        },
    }
}

/// Some members, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberPage {
    /// Members: accounts first, by id, then addresses.
    pub members: Vec<Target>,
    /// The `from` of the next call.
    pub next: Option<Range>,
}

/// Members of a group, a page at a time.
pub fn members(
    reader: &dyn Read,
    id: GroupId,
    from: Option<Range>,
    limit: usize,
) -> Result<MemberPage, StoreError> {
    let range = from.unwrap_or_else(|| tables::members_of(id));
    let page = reader.scan(&range, limit.max(1))?;
    let read = |(key, _): &(Vec<u8>, Vec<u8>)| Ok(tables::read_member_key(key)?.1);
    let members = page
        .rows
        .iter()
        .map(read)
        .collect::<Result<_, StoreError>>()?;
    Ok(MemberPage {
        members,
        next: page.next,
    })
}
