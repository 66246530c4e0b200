//! Domains, accounts, aliases and groups.

use serde_json::json;
use tern_audit::Draft;
use tern_base::{AccountId, Domain, EmailAddress, Timestamp};
use tern_delivery::{Removals, is_request_address};
use tern_directory::{
    self as directory, Account, CredentialId, Group, HashedPassword, NewAccount, Target,
    account_by_address,
};
use tern_mailbox::{FolderSpec, Role};
use tern_recall::RECALL_MAILBOX;
use tern_store::{Transaction, Verdict, transact};

use super::error::AdminError;
use super::{Admin, Call, Result, count, parse_address};
use crate::control::request::{AliasRequest, Answer, GroupRequest};
use crate::group_removal;

/// The mailboxes of a new account, beside the inbox.
const FOLDERS: [FolderSpec; 6] = [
    folder("Drafts", Some(Role::Drafts)),
    folder("Sent", Some(Role::Sent)),
    folder("Archive", Some(Role::Archive)),
    folder("Junk", Some(Role::Junk)),
    folder("Trash", Some(Role::Trash)),
    folder(RECALL_MAILBOX, None),
];

const fn folder(path: &'static str, role: Option<Role>) -> FolderSpec {
    FolderSpec { path, role }
}

pub(super) fn parse_domain(text: &str) -> Result<Domain> {
    let parsed = Domain::parse(text);
    parsed.map_err(|error| AdminError::Wrong(format!("`{text}` is not a domain: {error}")))
}

impl Admin {
    pub(super) fn alias(&self, request: &AliasRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            AliasRequest::Add {
                address,
                targets,
                replace,
            } => self.alias_add(address, (targets, *replace), call),
            AliasRequest::Remove { address } => self.alias_remove(address, call),
            AliasRequest::List => self.alias_list(),
        }
    }

    pub(super) fn group(&self, request: &GroupRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            GroupRequest::Add {
                address,
                name,
                members,
            } => self.group_add_with(address, name, members, call),
            GroupRequest::Remove { address } => self.group_remove(address, call),
            GroupRequest::AddMember { address, members } => {
                self.group_members(address, members, true, call)
            }
            GroupRequest::RemoveMember { address, members } => {
                self.group_members(address, members, false, call)
            }
            GroupRequest::List { address } => self.group_list(address.as_deref()),
        }
    }

    pub(super) fn domain_add(&self, name: &str, call: &mut Call<'_>) -> Result<Answer> {
        let domain = parse_domain(name)?;
        let now = call.now;
        self.act(
            call,
            "domain.add",
            |(), entry| entry.target(domain.as_str()),
            |txn| match directory::add_domain_in(txn, &domain, now)? {
                true => Ok(()),
                false => Err(AdminError::Wrong(format!(
                    "domain {domain} is there already"
                ))),
            },
        )?;
        Ok(Answer::new(
            format!("domain {domain} added"),
            json!({"domain": domain.as_str()}),
        ))
    }

    pub(super) fn domain_list(&self) -> Result<Answer> {
        let domains = directory::list_domains(self.reader())?;
        let text: Vec<String> = domains
            .iter()
            .map(|d| {
                format!(
                    "{}  {}",
                    d.domain,
                    count(d.addresses, "address", "addresses")
                )
            })
            .collect();
        let data = domains.iter().map(|d| {
            json!({"domain": d.domain.as_str(), "addresses": d.addresses,
                "created": d.created.to_string()})
        });
        Ok(Answer::new(text.join("\n"), data.collect()))
    }

    pub(super) fn domain_remove(&self, name: &str, call: &mut Call<'_>) -> Result<Answer> {
        let domain = parse_domain(name)?;
        self.act(
            call,
            "domain.remove",
            |(), entry| entry.target(domain.as_str()),
            |txn| match directory::remove_domain_in(txn, &domain)? {
                true => Ok(()),
                false => Err(AdminError::NotFound("domain", name.to_owned())),
            },
        )?;
        Ok(Answer::new(format!("domain {domain} removed"), json!({})))
    }

    /// An address that somebody is to have: not the one by which recalls are asked for.
    fn new_address(&self, text: &str) -> Result<EmailAddress> {
        let address = parse_address(text)?;
        self.is_to_be_had(&address)?;
        Ok(address)
    }

    fn is_to_be_had(&self, address: &EmailAddress) -> Result<()> {
        match is_request_address(self.reader(), address)? {
            true => Err(AdminError::Wrong(format!(
                "`{address}` is kept: mail to it asks the server for a recall"
            ))),
            false => Ok(()),
        }
    }

    pub(super) fn account_add(
        &self,
        address: &str,
        name: &str,
        quota_bytes: u64,
        password: &str,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let hashed = HashedPassword::new(password, &self.passwords, call.entropy)?;
        let new = NewAccount {
            address: parse_address(address)?,
            display_name: name.to_owned(),
            quota_bytes,
        };
        let (now, entry) = (call.now, call.entry("account.add"));
        let account = transact(&*self.engine, |txn| {
            let account = self.create_account_in(txn, (&new, &hashed), &entry, now)?;
            Ok::<_, AdminError>(Verdict::Commit(account))
        })?;
        Ok(Answer::new(
            format!("account {} added", account.address),
            json!({"address": account.address.to_string(), "id": account.id.0}),
        ))
    }

    /// Makes an account with its password, its mailboxes and its audit entry. Whoever makes one does it here, so
    /// that nobody is given what is the server's own.
    pub(super) fn create_account_in(
        &self,
        txn: &mut Transaction<'_>,
        (new, hashed): (&NewAccount, &HashedPassword),
        entry: &Draft,
        now: Timestamp,
    ) -> Result<Account> {
        self.is_to_be_had(&new.address)?;
        let quota_bytes = new.quota_bytes;
        let account = directory::create_account_in(txn, new, now)?;
        directory::set_password_in(txn, account.id, hashed)?;
        self.mailboxes
            .create_account_in(txn, account.id, quota_bytes, &FOLDERS, now)?;
        let entry = entry.clone().target(account.address.to_string());
        let entry = entry
            .detail("account", u64::from(account.id.0))
            .detail("quota_bytes", quota_bytes);
        tern_audit::append_in(txn, entry)?;
        Ok(account)
    }

    pub(super) fn account_list(&self) -> Result<Answer> {
        let (mut text, mut data) = (Vec::new(), Vec::new());
        let mut from = Some(AccountId(0));
        while let Some(next) = from {
            let page = directory::list_accounts(self.reader(), next, 1_000)?;
            for account in &page.accounts {
                let (used, kept) = self
                    .mailboxes
                    .account_head(account.id)
                    .map_or((0, 0), |head| (head.used_bytes, head.kept_bytes));
                let state = match (account.removing, account.disabled) {
                    (true, _) => "removing",
                    (_, true) => "disabled",
                    _ => "active",
                };
                let quota = match account.quota_bytes {
                    0 => String::from("no quota"),
                    quota => format!("quota {quota}"),
                };
                let held = match kept {
                    0 => String::new(),
                    kept => format!(", {kept} held"),
                };
                let onward = account.redirect.as_ref();
                let to = onward.map_or(&[][..], |redirect| &redirect.targets);
                let to = self.target_names(to)?;
                let sent_on = match onward.map(|redirect| redirect.keep) {
                    None => String::new(),
                    Some(true) => format!(", kept and sent on to {}", to.join(", ")),
                    Some(false) => format!(", sent on to {}", to.join(", ")),
                };
                text.push(format!(
                    "{}  {state}  {used} bytes{held}, {quota}{sent_on}  {}",
                    account.address, account.display_name
                ));
                data.push(
                    json!({"address": account.address.to_string(), "id": account.id.0,
                    "name": account.display_name, "state": state, "bytes": used,
                    "heldBytes": kept, "redirect": to,
                    "quota": account.quota_bytes, "created": account.created.to_string()}),
                );
            }
            from = page.next;
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    /// Removes an account with all that is its own. Withdrawn copies stay in the vault.
    pub(super) fn account_remove(&self, address: &str, call: &mut Call<'_>) -> Result<Answer> {
        let account = self.account(address)?;
        // On record with the mark: from then on the account will be gone, whoever finishes it.
        self.act(
            call,
            "account.remove",
            |_: &bool, entry| {
                let entry = entry.target(address);
                entry.detail("account", u64::from(account.id.0))
            },
            |txn| Ok(directory::begin_removal_in(txn, account.id)?),
        )?;
        self.sessions.revoke(account.id, None);
        let removals = Removals {
            delivery: &self.delivery,
            upkeep: &self.upkeep,
            recalls: &self.recalls,
        };
        removals.finish(account.id, call.now)?;
        Ok(Answer::new(format!("account {address} removed"), json!({})))
    }

    pub(super) fn passwd(
        &self,
        address: &str,
        password: &str,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let account = self.account(address)?;
        let hashed = HashedPassword::new(password, &self.passwords, call.entropy)?;
        self.act(
            call,
            "account.password",
            |(), entry| entry.target(address),
            |txn| Ok(directory::set_password_in(txn, account.id, &hashed)?),
        )?;
        // App passwords have not changed, nor has what they opened.
        self.sessions
            .revoke(account.id, Some(CredentialId::PASSWORD));
        Ok(Answer::new(format!("password of {address} set"), json!({})))
    }

    pub(super) fn account_quota(
        &self,
        address: &str,
        quota_bytes: u64,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let account = self.account(address)?;
        self.act(
            call,
            "account.quota",
            |_, entry| entry.target(address).detail("quota_bytes", quota_bytes),
            |txn| {
                let set = |account: &mut Account| account.quota_bytes = quota_bytes;
                let changed = directory::update_account_in(txn, account.id, set)?;
                self.mailboxes.set_quota_in(txn, account.id, quota_bytes)?;
                Ok(changed)
            },
        )?;
        Ok(Answer::new(format!("quota of {address} set"), json!({})))
    }

    pub(super) fn disable(
        &self,
        address: &str,
        disabled: bool,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let account = self.account(address)?;
        let (action, what) = match disabled {
            true => ("account.disable", "disabled"),
            false => ("account.enable", "enabled"),
        };
        self.act(
            call,
            action,
            |_, entry| entry.target(address),
            |txn| {
                let set = |account: &mut Account| account.disabled = disabled;
                Ok(directory::update_account_in(txn, account.id, set)?)
            },
        )?;
        if disabled {
            self.sessions.revoke(account.id, None);
        }
        Ok(Answer::new(format!("account {address} {what}"), json!({})))
    }

    pub(super) fn account_redirect(
        &self,
        address: &str,
        targets: &[String],
        keep: bool,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let account = self.account(address)?;
        let to = targets.iter().map(|text| parse_address(text));
        let to = to.collect::<Result<Vec<_>>>()?;
        self.act(
            call,
            "account.redirect",
            |_, entry| {
                let entry = entry.target(address);
                entry
                    .names("targets", targets)
                    .detail("keep", if keep { "yes" } else { "no" })
            },
            |txn| Ok(directory::set_redirect_in(txn, account.id, &to, keep)?),
        )?;
        let text = match (targets, keep) {
            ([], _) => format!("mail of {address} is sent on no more"),
            (_, true) => format!(
                "mail of {address} is kept and sent on to {}",
                targets.join(", ")
            ),
            (_, false) => format!("mail of {address} is sent on to {}", targets.join(", ")),
        };
        Ok(Answer::new(text, json!({})))
    }

    pub(super) fn alias_add(
        &self,
        address: &str,
        (targets, replace): (&[String], bool),
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let alias = self.new_address(address)?;
        let to = self.targets(targets)?;
        self.not_itself(&alias, &to)?;
        self.not_an_alias(&alias, replace)?;
        self.act(
            call,
            "alias.set",
            |_, entry| entry.target(address).names("targets", targets),
            |txn| {
                Ok(match replace {
                    true => directory::set_alias_in(txn, &alias, &to)?,
                    false => directory::add_alias_in(txn, &alias, &to)?,
                })
            },
        )?;
        let text = format!("alias {address} leads to {}", targets.join(", "));
        self.with_nowhere(text, &to)
    }

    pub(super) fn alias_remove(&self, address: &str, call: &mut Call<'_>) -> Result<Answer> {
        let alias = parse_address(address)?;
        self.act(
            call,
            "alias.remove",
            |(), entry| entry.target(address),
            |txn| match directory::remove_alias_in(txn, &alias)? {
                true => Ok(()),
                false => Err(AdminError::NotFound("alias", address.to_owned())),
            },
        )?;
        Ok(Answer::new(format!("alias {address} removed"), json!({})))
    }

    pub(super) fn alias_list(&self) -> Result<Answer> {
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for domain in directory::list_domains(self.reader())? {
            for address in directory::list_addresses(self.reader(), &domain.domain)? {
                let Some(alias) = directory::alias(self.reader(), &address)? else {
                    continue;
                };
                let targets = self.target_names(&alias.targets)?;
                text.push(format!("{address}  {}", targets.join(", ")));
                data.push(json!({"address": address.to_string(), "targets": targets}));
            }
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    pub(super) fn group_add(
        &self,
        address: &str,
        name: &str,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let parsed = self.new_address(address)?;
        let now = call.now;
        self.act(
            call,
            "group.add",
            |_, entry| entry.target(address),
            |txn| Ok(directory::create_group_in(txn, &parsed, name, now)?),
        )?;
        Ok(Answer::new(format!("group {address} added"), json!({})))
    }

    pub(super) fn group_remove(&self, address: &str, call: &mut Call<'_>) -> Result<Answer> {
        let group = self.group_of(address)?;
        let behind = self.behind(&[Target::Address(group.address.clone())])?;
        self.act(
            call,
            "group.remove",
            |(), entry| entry.target(address),
            |txn| match directory::begin_group_removal_in(txn, group.id)? {
                true => Ok(()),
                false => Err(AdminError::NotFound("group", address.to_owned())),
            },
        )?;
        group_removal::finish(&*self.engine, &self.upkeep, group.id)?;
        self.look_again(&behind);
        Ok(Answer::new(format!("group {address} removed"), json!({})))
    }

    pub(super) fn group_members(
        &self,
        address: &str,
        members: &[String],
        add: bool,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let group = self.group_of(address)?;
        let targets = self.targets(members)?;
        if add {
            self.not_itself(&group.address, &targets)?;
        }
        let action = match add {
            true => "group.add-member",
            false => "group.remove-member",
        };
        // Roles, policies and shared mailboxes go by who is in a group: each member is on record.
        let entries = call.entries(action, "members", members);
        let after = transact(&*self.engine, |txn| {
            let after = match add {
                true => directory::add_members_in(txn, group.id, &targets)?,
                false => directory::remove_members_in(txn, group.id, &targets)?,
            };
            for entry in &entries {
                tern_audit::append_in(txn, entry.clone().target(address))?;
            }
            Ok::<_, AdminError>(Verdict::Commit(after))
        })?;
        self.look_again(&self.behind(&targets)?);
        let mut text = format!(
            "group {address} has {}",
            count(after.members, "member", "members")
        );
        if !add && after.members == group.members {
            text.push_str(": nobody of these was in it");
        }
        let answer = self.with_nowhere(text, if add { &targets } else { &[] })?;
        Ok(Answer {
            data: json!({"members": after.members}),
            ..answer
        })
    }

    /// The groups, or the members of one.
    pub(super) fn group_list(&self, address: Option<&str>) -> Result<Answer> {
        if let Some(address) = address {
            let names = self.member_names(&self.group_of(address)?)?;
            return Ok(Answer::new(names.join("\n"), names.into()));
        }
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for domain in directory::list_domains(self.reader())? {
            for address in directory::list_addresses(self.reader(), &domain.domain)? {
                let Some(group) = directory::group_by_address(self.reader(), &address)? else {
                    continue;
                };
                let members = count(group.members, "member", "members");
                text.push(format!("{address}  {members}  {}", group.display_name));
                data.push(
                    json!({"address": address.to_string(), "members": group.members,
                    "name": group.display_name}),
                );
            }
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    fn group_of(&self, address: &str) -> Result<Group> {
        let group = directory::group_by_address(self.reader(), &parse_address(address)?)?;
        group.ok_or_else(|| AdminError::NotFound("group", address.to_owned()))
    }

    fn member_names(&self, group: &Group) -> Result<Vec<String>> {
        let (mut names, mut from) = (Vec::new(), None);
        loop {
            let page = directory::members(self.reader(), group.id, from, 1_000)?;
            names.extend(self.target_names(&page.members)?);
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(names),
            }
        }
    }

    /// Targets by address: an account's own address is the account, whatever else it leads to.
    pub(super) fn targets(&self, addresses: &[String]) -> Result<Vec<Target>> {
        let target = |text: &String| {
            let address = parse_address(text)?;
            let account = account_by_address(self.reader(), &address)?;
            Ok(match account {
                Some(account) => Target::Account(account.id),
                None => Target::Address(address),
            })
        };
        addresses.iter().map(target).collect()
    }

    pub(super) fn target_names(&self, targets: &[Target]) -> Result<Vec<String>> {
        let name = |target: &Target| match target {
            Target::Address(address) => Ok(address.to_string()),
            Target::Account(id) => {
                let account = directory::account(self.reader(), *id)?;
                Ok(account.map_or_else(|| format!("account {id}"), |a| a.address.to_string()))
            }
        };
        targets.iter().map(name).collect()
    }
}
