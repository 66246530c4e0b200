//! The rows of the directory, tables 0x20 to 0x2f, 0xba and 0xbd to 0xbf.
//!
//! | table | key after the table byte | value after the version byte |
//! |---|---|---|
//! | 0x20 domain | domain | created, how many addresses, settings |
//! | 0x21 address | domain, 0, local part in lower case | account id, alias targets, or group id |
//! | 0x22 account | account u32 | address, name, quota, flags (1 disabled, 2 removing), created, where its mail is sent on to |
//! | 0x23 counters | - | next account, next group, how often who may do what over whom has changed |
//! | 0x24 member | group u32, 0 and account u32, or 1 and address | - |
//! | 0x25 group | group u32 | address, name, how many members |
//! | 0x26 credential | account u32, credential u32 | password hash, or app password |
//! | 0x27 alias of account | account u32, address | - |
//! | 0x28 group of account | account u32, group u32 | - |
//! | 0x29 secrets | - | keys of the server |
//! | 0x2a grant | account u32, role, 0 or 1 and domain or 2 and group u32 | when it was given |
//! | 0x2b grants | - | how many there are |
//! | 0x2c factor | account u32, factor u32 | TOTP, or recovery codes: see `factor/rows.rs` |
//! | 0x2d factors | account u32 | failures, when one was last shown |
//! | 0x2e group around an address | address, 0, group u32 | - |
//! | 0xbd delegated | delegate u32, account u32 | - |
//! | 0xbe delegate | account u32, delegate u32 | when it was made one |
//! | 0xbf group gone | group u32 | -: members of it may be left |
//! | 0xba alias around an address | address, 0, alias | - |
//! | 0x2f identity | account u32, identity u32 | see `identity.rs`; number 0 is the head of the others |
//!
//! Push subscriptions have tables of their own: see `subscription/rows.rs`.
//!
//! The count in a domain's row is changed by whoever adds or removes an address, so a domain can't
//! be removed while somebody adds to it. The reverse rows 0x27, 0x28, 0x2e and 0xba stand exactly where an
//! alias or a member names the account, or the address. The count of grants is changed by whoever gives or takes
//! one, so that an account, domain or group is not removed while it is given a part in one.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Domain, EmailAddress, Timestamp};
use tern_store::key::{Key, KeyReader};
use tern_store::{Range, Read, ReadExt as _, StoreError, Transaction};

use crate::account::Account;
use crate::domain::{DomainInfo, DomainSettings};
use crate::error::{DirectoryError, Limit};
use crate::grant::{Grant, GrantScope, Role};
use crate::group::{Group, GroupId};
use crate::redirect;
use crate::target::Target;

const DOMAIN: u8 = 0x20;
const ADDRESS: u8 = 0x21;
const ACCOUNT: u8 = 0x22;
const COUNTERS: u8 = 0x23;
const MEMBER: u8 = 0x24;
const GROUP: u8 = 0x25;
const CREDENTIAL: u8 = 0x26;
const ALIAS_OF: u8 = 0x27;
const GROUP_OF: u8 = 0x28;
const SECRETS: u8 = 0x29;
const GRANT: u8 = 0x2a;
const GRANT_COUNT: u8 = 0x2b;
const FACTOR: u8 = 0x2c;
const FACTORS: u8 = 0x2d;
const GROUP_AROUND: u8 = 0x2e;
const ALIAS_AROUND: u8 = 0xba;
const DELEGATED: u8 = 0xbd;
const DELEGATE: u8 = 0xbe;
const GROUP_GONE: u8 = 0xbf;
const IDENTITY: u8 = 0x2f;
const COUNTERS_VERSION: u8 = 2;
pub(crate) const VERSION: u8 = 1;
const ACCOUNT_VERSION: u8 = 2;

// Keys.

pub(crate) fn domain_key(domain: &Domain) -> Vec<u8> {
    Key::table(DOMAIN)
        .array(domain.as_str().as_bytes())
        .finish()
}

/// The key of an address. No domain holds a zero byte, so the addresses of a domain are one range.
pub(crate) fn address_key(address: &EmailAddress) -> Vec<u8> {
    address_key_of(address.domain(), &address.local().to_lowercase())
}

/// The key of an address ([`address_key`]) whose local part is in lower case already.
pub(crate) fn address_key_of(domain: &Domain, local: &str) -> Vec<u8> {
    Key::table(ADDRESS)
        .array(domain.as_str().as_bytes())
        .array(&[0])
        .array(local.as_bytes())
        .finish()
}

pub(crate) fn account_key(id: AccountId) -> Vec<u8> {
    Key::table(ACCOUNT).u32(id.0).finish()
}

pub(crate) fn group_key(id: GroupId) -> Vec<u8> {
    Key::table(GROUP).u32(id.0).finish()
}

pub(crate) fn delegate_key(of: AccountId, delegate: AccountId) -> Vec<u8> {
    Key::table(DELEGATE).u32(of.0).u32(delegate.0).finish()
}

pub(crate) fn delegated_key(delegate: AccountId, of: AccountId) -> Vec<u8> {
    Key::table(DELEGATED).u32(delegate.0).u32(of.0).finish()
}

pub(crate) fn delegates_of(account: AccountId) -> Range {
    Range::prefix(Key::table(DELEGATE).u32(account.0).finish())
}

pub(crate) fn delegated_to(account: AccountId) -> Range {
    Range::prefix(Key::table(DELEGATED).u32(account.0).finish())
}

pub(crate) fn all_delegates() -> Range {
    Range::prefix(Key::table(DELEGATE).finish())
}

pub(crate) fn all_delegated() -> Range {
    Range::prefix(Key::table(DELEGATED).finish())
}

pub(crate) fn group_gone_key(id: GroupId) -> Vec<u8> {
    Key::table(GROUP_GONE).u32(id.0).finish()
}

pub(crate) fn groups_gone() -> Range {
    Range::prefix(Key::table(GROUP_GONE).finish())
}

pub(crate) fn member_key(group: GroupId, member: &Target) -> Vec<u8> {
    let key = Key::table(MEMBER).u32(group.0);
    match member {
        Target::Account(id) => key.array(&[0]).u32(id.0).finish(),
        Target::Address(address) => key
            .array(&[1])
            .array(address.canonical().as_bytes())
            .finish(),
    }
}

pub(crate) fn credential_key(account: AccountId, credential: u32) -> Vec<u8> {
    Key::table(CREDENTIAL)
        .u32(account.0)
        .u32(credential)
        .finish()
}

pub(crate) fn alias_of_key(account: AccountId, alias: &EmailAddress) -> Vec<u8> {
    let key = Key::table(ALIAS_OF).u32(account.0);
    key.array(alias.canonical().as_bytes()).finish()
}

pub(crate) fn group_of_key(account: AccountId, group: GroupId) -> Vec<u8> {
    Key::table(GROUP_OF).u32(account.0).u32(group.0).finish()
}

pub(crate) fn group_around_key(address: &EmailAddress, group: GroupId) -> Vec<u8> {
    let key = Key::table(GROUP_AROUND).array(address.canonical().as_bytes());
    key.array(&[0]).u32(group.0).finish()
}

pub(crate) fn alias_around_key(address: &EmailAddress, alias: &EmailAddress) -> Vec<u8> {
    let key = Key::table(ALIAS_AROUND).array(address.canonical().as_bytes());
    key.array(&[0]).array(alias.canonical().as_bytes()).finish()
}

/// The aliases that lead to an address.
pub(crate) fn aliases_around(address: &EmailAddress) -> Range {
    let key = Key::table(ALIAS_AROUND).array(address.canonical().as_bytes());
    Range::prefix(key.array(&[0]).finish())
}

pub(crate) fn all_aliases_around() -> Range {
    Range::prefix(Key::table(ALIAS_AROUND).finish())
}

/// The address and the alias of the key of a reverse row.
pub(crate) fn read_alias_around_key(key: &[u8]) -> Result<(EmailAddress, EmailAddress), Damaged> {
    let text = std::str::from_utf8(key.get(1..).ok_or(Damaged)?).map_err(|_| Damaged)?;
    let (address, alias) = text.split_once('\0').ok_or(Damaged)?;
    let parse = |text| EmailAddress::parse(text).map_err(|_| Damaged);
    Ok((parse(address)?, parse(alias)?))
}

pub(crate) fn secrets_key() -> Vec<u8> {
    Key::table(SECRETS).finish()
}

pub(crate) fn grant_key(grant: &Grant) -> Vec<u8> {
    let key = Key::table(GRANT).u32(grant.account.0);
    let key = key.array(&[grant.role.number()]);
    match &grant.scope {
        GrantScope::Everyone => key.array(&[0]).finish(),
        GrantScope::Domain(domain) => key.array(&[1]).array(domain.as_str().as_bytes()).finish(),
        GrantScope::Group(group) => key.array(&[2]).u32(group.0).finish(),
    }
}

pub(crate) fn factor_key(account: AccountId, factor: u32) -> Vec<u8> {
    Key::table(FACTOR).u32(account.0).u32(factor).finish()
}

pub(crate) fn factors_key(account: AccountId) -> Vec<u8> {
    Key::table(FACTORS).u32(account.0).finish()
}

pub(crate) fn identity_key(account: AccountId, identity: u32) -> Vec<u8> {
    Key::table(IDENTITY).u32(account.0).u32(identity).finish()
}

fn grant_count_key() -> Vec<u8> {
    Key::table(GRANT_COUNT).finish()
}

// Ranges.

pub(crate) fn grants() -> Range {
    Range::prefix(Key::table(GRANT).finish())
}

pub(crate) fn grants_of(account: AccountId) -> Range {
    Range::prefix(Key::table(GRANT).u32(account.0).finish())
}

pub(crate) fn identities_of(account: AccountId) -> Range {
    Range::prefix(Key::table(IDENTITY).u32(account.0).finish())
}

pub(crate) fn all_identities() -> Range {
    Range::prefix(Key::table(IDENTITY).finish())
}

pub(crate) fn domains() -> Range {
    Range::prefix(Key::table(DOMAIN).finish())
}

pub(crate) fn addresses() -> Range {
    Range::prefix(Key::table(ADDRESS).finish())
}

pub(crate) fn addresses_of_domain(domain: &Domain) -> Range {
    Range::prefix(address_key_of(domain, ""))
}

pub(crate) fn accounts(from: AccountId) -> Range {
    Range::prefix(Key::table(ACCOUNT).finish()).starting_at(account_key(from))
}

pub(crate) fn groups() -> Range {
    Range::prefix(Key::table(GROUP).finish())
}

pub(crate) fn members_of(group: GroupId) -> Range {
    Range::prefix(Key::table(MEMBER).u32(group.0).finish())
}

pub(crate) fn all_members() -> Range {
    Range::prefix(Key::table(MEMBER).finish())
}

pub(crate) fn credentials_of(account: AccountId) -> Range {
    Range::prefix(Key::table(CREDENTIAL).u32(account.0).finish())
}

pub(crate) fn all_credentials() -> Range {
    Range::prefix(Key::table(CREDENTIAL).finish())
}

pub(crate) fn factors_of(account: AccountId) -> Range {
    Range::prefix(Key::table(FACTOR).u32(account.0).finish())
}

pub(crate) fn all_factors() -> Range {
    Range::prefix(Key::table(FACTOR).finish())
}

pub(crate) fn all_factor_states() -> Range {
    Range::prefix(Key::table(FACTORS).finish())
}

pub(crate) fn aliases_of(account: AccountId) -> Range {
    Range::prefix(Key::table(ALIAS_OF).u32(account.0).finish())
}

pub(crate) fn all_aliases_of() -> Range {
    Range::prefix(Key::table(ALIAS_OF).finish())
}

pub(crate) fn groups_of(account: AccountId) -> Range {
    Range::prefix(Key::table(GROUP_OF).u32(account.0).finish())
}

pub(crate) fn all_groups_of() -> Range {
    Range::prefix(Key::table(GROUP_OF).finish())
}

pub(crate) fn groups_around(address: &EmailAddress) -> Range {
    let key = Key::table(GROUP_AROUND).array(address.canonical().as_bytes());
    Range::prefix(key.array(&[0]).finish())
}

pub(crate) fn all_groups_around() -> Range {
    Range::prefix(Key::table(GROUP_AROUND).finish())
}

// Keys, read.

/// The address and the group of the key of a reverse row.
pub(crate) fn read_group_around_key(key: &[u8]) -> Result<(EmailAddress, GroupId), Damaged> {
    let (rest, id) = key.split_last_chunk().ok_or(Damaged)?;
    let text = rest.get(1..).and_then(|text| text.strip_suffix(&[0]));
    let text = std::str::from_utf8(text.ok_or(Damaged)?).map_err(|_| Damaged)?;
    let address = EmailAddress::parse(text).map_err(|_| Damaged)?;
    Ok((address, GroupId(u32::from_be_bytes(*id))))
}

pub(crate) fn read_domain_key(key: &[u8]) -> Result<Domain, Damaged> {
    parse_domain(KeyReader::new(key).rest())
}

/// The address of an address key, its local part in lower case.
pub(crate) fn read_address_key(key: &[u8]) -> Result<EmailAddress, Damaged> {
    let rest = KeyReader::new(key).rest();
    let zero = rest.iter().position(|byte| *byte == 0).ok_or(Damaged)?;
    let (domain, local) = rest.split_at(zero);
    let local = local.get(1..).ok_or(Damaged)?;
    parse_parts(local, domain)
}

/// The two numbers at the start of a key.
pub(crate) fn read_two(key: &[u8]) -> Result<(u32, u32), Damaged> {
    let mut r = KeyReader::new(key);
    Ok((r.u32().ok_or(Damaged)?, r.u32().ok_or(Damaged)?))
}

pub(crate) fn read_account_key(key: &[u8]) -> Result<AccountId, Damaged> {
    KeyReader::new(key).u32().map(AccountId).ok_or(Damaged)
}

pub(crate) fn read_group_key(key: &[u8]) -> Result<GroupId, Damaged> {
    KeyReader::new(key).u32().map(GroupId).ok_or(Damaged)
}

pub(crate) fn read_member_key(key: &[u8]) -> Result<(GroupId, Target), Damaged> {
    let mut r = KeyReader::new(key);
    let group = GroupId(r.u32().ok_or(Damaged)?);
    let target = match r.array::<1>().ok_or(Damaged)? {
        [0] => Target::Account(AccountId(r.u32().ok_or(Damaged)?)),
        [1] => Target::Address(parse_canonical(r.rest())?),
        _ => return Err(Damaged),
    };
    Ok((group, target))
}

/// Account and alias of a reverse row.
pub(crate) fn read_alias_of_key(key: &[u8]) -> Result<(AccountId, EmailAddress), Damaged> {
    let mut r = KeyReader::new(key);
    let account = AccountId(r.u32().ok_or(Damaged)?);
    Ok((account, parse_canonical(r.rest())?))
}

pub(crate) fn read_grant_key(key: &[u8]) -> Result<Grant, Damaged> {
    let mut r = KeyReader::new(key);
    let account = AccountId(r.u32().ok_or(Damaged)?);
    let [role, kind] = r.array::<2>().ok_or(Damaged)?;
    let scope = match kind {
        0 => GrantScope::Everyone,
        1 => GrantScope::Domain(parse_domain(r.rest())?),
        2 => GrantScope::Group(GroupId(r.u32().ok_or(Damaged)?)),
        _ => return Err(Damaged),
    };
    Ok(Grant {
        account,
        role: Role::from_number(role).ok_or(Damaged)?,
        scope,
    })
}

fn parse_domain(bytes: &[u8]) -> Result<Domain, Damaged> {
    let text = std::str::from_utf8(bytes).map_err(|_| Damaged)?;
    Domain::parse(text).map_err(|_| Damaged)
}

/// The canonical form has no quotes: the last `@` ends the local part, whatever it holds.
fn parse_canonical(bytes: &[u8]) -> Result<EmailAddress, Damaged> {
    let at = bytes
        .iter()
        .rposition(|byte| *byte == b'@')
        .ok_or(Damaged)?;
    let (local, domain) = bytes.split_at(at);
    parse_parts(local, domain.get(1..).ok_or(Damaged)?)
}

fn parse_parts(local: &[u8], domain: &[u8]) -> Result<EmailAddress, Damaged> {
    let local = std::str::from_utf8(local).map_err(|_| Damaged)?;
    let domain = parse_domain(domain)?;
    let mut text = String::with_capacity(local.len() + domain.as_str().len() + 3);
    text.push('"');
    for c in local.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push_str("\"@");
    text.push_str(domain.as_str());
    EmailAddress::parse(&text).map_err(|_| Damaged)
}

// Values.

/// What an address leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressRow {
    /// It is an account's primary address.
    Account(AccountId),
    /// It is an alias.
    Alias(Vec<Target>),
    /// It is a group's address.
    Group(GroupId),
}

pub(crate) fn mark() -> Vec<u8> {
    Writer::versioned(VERSION).finish()
}

pub(crate) fn write_address(w: &mut Writer, address: &EmailAddress) {
    w.text(&address.to_string());
}

pub(crate) fn read_address(r: &mut Reader<'_>) -> Result<EmailAddress, Damaged> {
    EmailAddress::parse(&r.text()?).map_err(|_| Damaged)
}

pub(crate) fn write_target(w: &mut Writer, target: &Target) {
    match target {
        Target::Account(id) => {
            w.byte(0).number(id.0.into());
        }
        Target::Address(address) => {
            w.byte(1);
            write_address(w, address);
        }
    }
}

pub(crate) fn read_target(r: &mut Reader<'_>) -> Result<Target, Damaged> {
    Ok(match r.byte()? {
        0 => Target::Account(AccountId(r.number32()?)),
        1 => Target::Address(read_address(r)?),
        _ => return Err(Damaged),
    })
}

pub(crate) fn encode_address(row: &AddressRow) -> Vec<u8> {
    let mut w = Writer::versioned(VERSION);
    match row {
        AddressRow::Account(id) => w.byte(0).number(id.0.into()),
        AddressRow::Alias(targets) => w.byte(1).list(targets, write_target),
        AddressRow::Group(id) => w.byte(2).number(id.0.into()),
    };
    w.finish()
}

pub(crate) fn decode_address(bytes: &[u8]) -> Result<AddressRow, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(match r.byte()? {
        0 => AddressRow::Account(AccountId(r.number32()?)),
        1 => AddressRow::Alias(r.list(read_target)?),
        2 => AddressRow::Group(GroupId(r.number32()?)),
        _ => return Err(Damaged),
    })
}

pub(crate) fn get_address(
    txn: &mut Transaction<'_>,
    address: &EmailAddress,
) -> Result<Option<AddressRow>, StoreError> {
    match txn.get(&address_key(address))? {
        Some(row) => Ok(Some(decode_address(&row)?)),
        None => Ok(None),
    }
}

pub(crate) fn encode_domain(info: &DomainInfo) -> Vec<u8> {
    let mut w = Writer::versioned(VERSION);
    w.number(info.created.0).number(info.addresses);
    for target in [&info.settings.catch_all, &info.settings.postmaster] {
        w.option(target.as_ref(), write_target);
    }
    w.finish()
}

pub(crate) fn decode_domain(domain: Domain, bytes: &[u8]) -> Result<DomainInfo, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(DomainInfo {
        domain,
        created: Timestamp(r.number()?),
        addresses: r.number()?,
        settings: DomainSettings {
            catch_all: r.option(read_target)?,
            postmaster: r.option(read_target)?,
        },
    })
}

pub(crate) fn get_domain(
    txn: &mut Transaction<'_>,
    domain: &Domain,
) -> Result<Option<DomainInfo>, StoreError> {
    match txn.get(&domain_key(domain))? {
        Some(row) => Ok(Some(decode_domain(domain.clone(), &row)?)),
        None => Ok(None),
    }
}

pub(crate) fn encode_account(account: &Account) -> Vec<u8> {
    let mut w = Writer::versioned(ACCOUNT_VERSION);
    write_address(&mut w, &account.address);
    w.text(&account.display_name)
        .number(account.quota_bytes)
        .byte(u8::from(account.disabled) | (u8::from(account.removing) << 1))
        .number(account.created.0)
        .option(account.redirect.as_ref(), redirect::write);
    w.finish()
}

pub(crate) fn decode_account(id: AccountId, bytes: &[u8]) -> Result<Account, Damaged> {
    let mut r = Reader::of_version(bytes, ACCOUNT_VERSION)?;
    let (address, display_name) = (read_address(&mut r)?, r.text()?);
    let (quota_bytes, flags) = (r.number()?, r.byte()?);
    if flags > 3 {
        return Err(Damaged);
    }
    Ok(Account {
        id,
        address,
        display_name,
        quota_bytes,
        disabled: flags & 1 != 0,
        removing: flags & 2 != 0,
        created: Timestamp(r.number()?),
        redirect: r.option(redirect::read)?,
    })
}

pub(crate) fn get_account(
    txn: &mut Transaction<'_>,
    id: AccountId,
) -> Result<Option<Account>, StoreError> {
    match txn.get(&account_key(id))? {
        Some(row) => Ok(Some(decode_account(id, &row)?)),
        None => Ok(None),
    }
}

pub(crate) fn encode_group(group: &Group) -> Vec<u8> {
    let mut w = Writer::versioned(VERSION);
    write_address(&mut w, &group.address);
    w.text(&group.display_name)
        .number(group.members)
        .number(group.created.0)
        .finish()
}

pub(crate) fn decode_group(id: GroupId, bytes: &[u8]) -> Result<Group, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Group {
        id,
        address: read_address(&mut r)?,
        display_name: r.text()?,
        members: r.number()?,
        created: Timestamp(r.number()?),
    })
}

pub(crate) fn get_group(
    txn: &mut Transaction<'_>,
    id: GroupId,
) -> Result<Option<Group>, StoreError> {
    match txn.get(&group_key(id))? {
        Some(row) => Ok(Some(decode_group(id, &row)?)),
        None => Ok(None),
    }
}

pub(crate) fn encode_grant(given: Timestamp) -> Vec<u8> {
    let mut w = Writer::versioned(VERSION);
    w.number(given.0);
    w.finish()
}

pub(crate) fn decode_grant(bytes: &[u8]) -> Result<Timestamp, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Timestamp(r.number()?))
}

/// How many grants there are.
pub(crate) fn grant_count(txn: &mut Transaction<'_>) -> Result<u64, StoreError> {
    let row = txn.get(&grant_count_key())?;
    Ok(read_grant_count(row.as_deref())?)
}

fn read_grant_count(row: Option<&[u8]>) -> Result<u64, Damaged> {
    match row {
        None => Ok(0),
        Some(bytes) => Reader::of_version(bytes, VERSION)?.number(),
    }
}

pub(crate) fn counted_grants(reader: &dyn Read) -> Result<u64, StoreError> {
    let row = reader.get(&grant_count_key())?;
    Ok(read_grant_count(row.as_deref())?)
}

pub(crate) fn put_grant_count(txn: &mut Transaction<'_>, count: u64) -> Result<(), StoreError> {
    let mut w = Writer::versioned(VERSION);
    w.number(count);
    txn.put(grant_count_key(), w.finish());
    roles_changed(txn)
}

// Writes that several verbs share.

/// Which counter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Of account ids.
    Account,
    /// Of group ids.
    Group,
}

/// The counters as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    /// The next account id, from 1 on.
    pub(crate) account: u32,
    /// The next group id.
    pub(crate) group: u32,
    /// How often who may do what over whom has changed. It only counts up: a role that is taken from one and
    /// given to another leaves as many as there were.
    pub(crate) roles: u64,
}

impl Counters {
    pub(crate) fn decode(row: Option<&[u8]>) -> Result<Self, Damaged> {
        let Some(bytes) = row else {
            return Ok(Self {
                account: 1,
                group: 1,
                roles: 0,
            });
        };
        let mut r = Reader::of_version(bytes, COUNTERS_VERSION)?;
        Ok(Self {
            account: r.number32()?,
            group: r.number32()?,
            roles: r.number()?,
        })
    }

    /// As a transaction sees them, which then depends on them.
    pub(crate) fn get(txn: &mut Transaction<'_>) -> Result<Self, StoreError> {
        let row = txn.get(&counters_key())?;
        Ok(Self::decode(row.as_deref())?)
    }

    pub(crate) fn put(self, txn: &mut Transaction<'_>) {
        let value = Writer::versioned(COUNTERS_VERSION)
            .number(self.account.into())
            .number(self.group.into())
            .number(self.roles)
            .finish();
        txn.put(counters_key(), value);
    }
}

pub(crate) fn counters_key() -> Vec<u8> {
    Key::table(COUNTERS).finish()
}

/// Notes that a role was given or taken, that somebody is in a group or is not any more, or may act for
/// somebody, in the transaction that does it.
pub(crate) fn roles_changed(txn: &mut Transaction<'_>) -> Result<(), StoreError> {
    let mut counters = Counters::get(txn)?;
    counters.roles += 1;
    counters.put(txn);
    Ok(())
}

/// Takes the next id of a counter, starting at 1.
pub(crate) fn next_id(txn: &mut Transaction<'_>, counter: Counter) -> Result<u32, StoreError> {
    let mut counters = Counters::get(txn)?;
    let next = match counter {
        Counter::Account => &mut counters.account,
        Counter::Group => &mut counters.group,
    };
    let id = *next;
    // 4 billion ids given: nothing more can be made, and none is made twice.
    *next = id.checked_add(1).ok_or(StoreError::Exhausted)?;
    counters.put(txn);
    Ok(id)
}

/// Gives an address its meaning: the domain must be ours and the address free.
pub(crate) fn claim_address(
    txn: &mut Transaction<'_>,
    address: &EmailAddress,
    row: &AddressRow,
) -> Result<(), DirectoryError> {
    let mut info = get_domain(txn, address.domain())?.ok_or(DirectoryError::UnknownDomain)?;
    if !is_storable(address) {
        return Err(DirectoryError::Limit(Limit::LocalPart));
    }
    if get_address(txn, address)?.is_some() {
        return Err(DirectoryError::AddressTaken);
    }
    info.addresses += 1;
    txn.put(domain_key(address.domain()), encode_domain(&info));
    txn.put(address_key(address), encode_address(row));
    Ok(())
}

/// Whether the address can be read back from a key: lower case may be longer than what was sent.
pub(crate) fn is_storable(address: &EmailAddress) -> bool {
    read_address_key(&address_key(address)).is_ok()
}

/// The account must exist and not be under removal. The commit depends on that: what is added to
/// an account can't outlive it.
pub(crate) fn require_account(
    txn: &mut Transaction<'_>,
    id: AccountId,
) -> Result<Account, DirectoryError> {
    let known = get_account(txn, id)?.filter(|account| !account.removing);
    known.ok_or(DirectoryError::NotFound("account"))
}

/// Frees an address that has a row.
pub(crate) fn free_address(
    txn: &mut Transaction<'_>,
    address: &EmailAddress,
) -> Result<(), DirectoryError> {
    if let Some(mut info) = get_domain(txn, address.domain())? {
        info.addresses = info.addresses.saturating_sub(1);
        txn.put(domain_key(address.domain()), encode_domain(&info));
    }
    txn.delete(address_key(address));
    Ok(())
}

/// Every key of a range.
pub(crate) fn all_keys(reader: &dyn Read, range: Range) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    reader.each(&range, |key, _| {
        keys.push(key.to_vec());
        Ok::<_, StoreError>(())
    })?;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use tern_store::{MemEngine, Verdict, transact};

    use super::*;

    #[test]
    fn when_every_number_is_given_out_nobody_is_told_to_try_again() {
        let engine = MemEngine::new();
        transact(&engine, |txn| {
            let last = Counters {
                account: u32::MAX,
                group: 1,
                roles: 0,
            };
            last.put(txn);
            Ok::<_, StoreError>(Verdict::Commit(()))
        })
        .unwrap();
        let next = |counter| {
            let given = |txn: &mut Transaction<'_>| next_id(txn, counter).map(Verdict::Commit);
            transact(&engine, given)
        };
        assert_eq!(next(Counter::Account), Err(StoreError::Exhausted));
        assert_eq!(StoreError::Exhausted.fault(), tern_base::Fault::Ours);
        assert_eq!(next(Counter::Group), Ok(1));
        assert_eq!(next(Counter::Group), Ok(2));
    }
}
