//! Whose permission an operator's request counts by, where it is about the server as a whole.
//!
//! Invariant: what was not permitted is on record, with the policies that decided.

use tern_directory::About;
use tern_policy::{Actor, Authentication, Decision, Permission, Policy as _, Question};

use super::error::AdminError;
use super::{Admin, Call, Result};

impl Admin {
    /// Asks the policies: for the account `by`, or for the operator. The entries of the call then
    /// name that account, too.
    pub(super) fn permitted(
        &self,
        permission: Permission,
        by: Option<&str>,
        call: &mut Call<'_>,
    ) -> Result<()> {
        let authentication = Authentication {
            protocol: String::from("cli"),
            ..Authentication::default()
        };
        let actor = self.actor_of(by, call)?;
        let question = Question::of_permission(permission, actor, authentication, call.now);
        call.by = by.map(str::to_owned);
        let verdict = self.policies.decide(&question);
        if verdict.decision == Decision::Allow {
            return Ok(());
        }
        let policies = verdict.policies.iter().map(ToString::to_string);
        let policies = policies.collect::<Vec<_>>().join(" ");
        self.record(call, "permission.refused", |entry| {
            entry
                .detail("permission", permission.code())
                .detail("policies", policies.clone())
        })?;
        let code = verdict.decision.code();
        let text = format!("refused ({code}): {permission} is not permitted by {policies}");
        Err(AdminError::Wrong(text))
    }

    fn actor_of(&self, by: Option<&str>, call: &Call<'_>) -> Result<Actor> {
        let Some(address) = by else {
            return Ok(Actor {
                name: call.operator.to_owned(),
                ..Actor::default()
            });
        };
        let account = self.account(address)?;
        let roles = tern_directory::roles_over(self.reader(), account.id, About::Server)?;
        let groups = tern_directory::group_addresses_of(self.reader(), account.id)?;
        Ok(Actor {
            account: Some(account.id),
            name: account.address.canonical(),
            groups: groups.iter().map(|address| address.canonical()).collect(),
            roles: roles.iter().map(ToString::to_string).collect(),
            delegate_of: Vec::new(),
        })
    }
}
