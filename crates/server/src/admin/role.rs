//! Roles from the command line. Whoever is at the server's machine may give any.

use serde_json::json;
use tern_audit::Draft;
use tern_directory::{self as directory, Grant, GrantScope, Role};

use super::error::AdminError;
use super::{Admin, Call, Result, parse_address};
use crate::control::request::{Answer, RoleRequest};

impl Admin {
    pub(super) fn role(&self, request: &RoleRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            RoleRequest::Grant {
                role,
                address,
                over,
            } => self.role_grant(role, address, over, call),
            RoleRequest::Revoke {
                role,
                address,
                over,
            } => self.role_revoke(role, address, over, call),
            RoleRequest::List { address } => self.role_list(address.as_deref()),
        }
    }

    fn role_grant(
        &self,
        role: &str,
        address: &str,
        over: &str,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let (grant, now) = (self.grant(role, address, over)?, call.now);
        self.act(
            call,
            "role.grant",
            |(), entry| described(entry, role, address, over),
            |txn| match directory::grant_role_in(txn, &grant, None, now)? {
                true => Ok(()),
                false => Err(AdminError::Wrong(format!(
                    "{address} is {role} over {over} already"
                ))),
            },
        )?;
        let text = format!("{address} is {role} over {over}");
        Ok(Answer::new(text, json!({})))
    }

    fn role_revoke(
        &self,
        role: &str,
        address: &str,
        over: &str,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let grant = self.grant(role, address, over)?;
        self.act(
            call,
            "role.revoke",
            |(), entry| described(entry, role, address, over),
            |txn| match directory::revoke_role_in(txn, &grant)? {
                true => Ok(()),
                false => Err(AdminError::Wrong(format!(
                    "{address} is not {role} over {over}"
                ))),
            },
        )?;
        let text = format!("{address} is no longer {role} over {over}");
        Ok(Answer::new(text, json!({})))
    }

    fn role_list(&self, address: Option<&str>) -> Result<Answer> {
        let grants = match address {
            Some(address) => directory::grants_of(self.reader(), self.account(address)?.id)?,
            None => directory::list_grants(self.reader())?,
        };
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for (grant, given) in grants {
            let holder = directory::account(self.reader(), grant.account)?;
            let holder = holder.map_or_else(
                || format!("account {}", grant.account),
                |account| account.address.to_string(),
            );
            let over = self.scope_name(&grant.scope)?;
            text.push(format!("{holder}  {}  over {over}", grant.role));
            data.push(
                json!({"address": holder, "role": grant.role.code(), "over": over,
                "given": given.to_string()}),
            );
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    fn grant(&self, role: &str, address: &str, over: &str) -> Result<Grant> {
        let names = || Role::ALL.map(Role::code).join(", ");
        let wrong = || AdminError::Wrong(format!("`{role}` is not a role: {}", names()));
        Ok(Grant {
            role: Role::from_code(role).ok_or_else(wrong)?,
            account: self.account(address)?.id,
            scope: self.scope(over)?,
        })
    }

    /// `everyone`, the address of a group, or a domain.
    fn scope(&self, over: &str) -> Result<GrantScope> {
        if over == "everyone" {
            return Ok(GrantScope::Everyone);
        }
        if over.contains('@') {
            let group = directory::group_by_address(self.reader(), &parse_address(over)?)?;
            let group = group.ok_or_else(|| AdminError::NotFound("group", over.to_owned()))?;
            return Ok(GrantScope::Group(group.id));
        }
        Ok(GrantScope::Domain(super::directory::parse_domain(over)?))
    }

    fn scope_name(&self, scope: &GrantScope) -> Result<String> {
        Ok(match scope {
            GrantScope::Everyone => String::from("everyone"),
            GrantScope::Domain(domain) => domain.to_string(),
            GrantScope::Group(id) => {
                let group = directory::group(self.reader(), *id)?;
                group.map_or_else(|| format!("group {id}"), |group| group.address.to_string())
            }
        })
    }
}

fn described(entry: Draft, role: &str, address: &str, over: &str) -> Draft {
    entry
        .target(address)
        .detail("role", role)
        .detail("over", over)
}
