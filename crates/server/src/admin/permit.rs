//! Whose permission an operator's request counts by: their own, or that of the account that they speak for
//! (`--as`).
//!
//! Invariant: what was not permitted is on record, with the policies that decided.

use tern_directory::About;
use tern_policy::{Actor, Authentication, Decision, Permission, Policy as _, Question};
use tern_recall::Requester;

use super::error::AdminError;
use super::recall::operator;
use super::{Admin, Call, Result};

impl Admin {
    /// Who acts: the operator, or the account that they speak for.
    pub(super) fn speaker(&self, account: Option<&str>, call: &Call<'_>) -> Result<Requester> {
        let Some(address) = account else {
            return Ok(operator(call));
        };
        let account = self.account(address)?;
        Ok(Requester {
            account: Some(account.id),
            name: account.address.to_string(),
            authentication: Authentication {
                mechanism: format!("operator {}", call.operator),
                protocol: String::from("cli"),
                ..Authentication::default()
            },
        })
    }

    /// Asks the policies about something that is of the server as a whole: for the account `by`, or for
    /// the operator. The entries of the call then name that account, too.
    pub(super) fn permitted(
        &self,
        permission: Permission,
        by: Option<&str>,
        call: &mut Call<'_>,
    ) -> Result<()> {
        let speaker = self.speaker(by, call)?;
        let actor = self.actor_of(&speaker)?;
        let question = Question::of_permission(permission, actor, speaker.authentication, call.now);
        call.by = by.map(str::to_owned);
        let verdict = self.policies.decide(&question);
        if verdict.decision == Decision::Allow {
            return Ok(());
        }
        let policies = verdict.policies.iter().map(ToString::to_string).collect();
        self.not_permitted(permission, None, (verdict.decision, policies), call)
    }

    /// Puts on record what the policies do not permit, and says so.
    pub(super) fn not_permitted(
        &self,
        permission: Permission,
        target: Option<String>,
        (decision, policies): (Decision, Vec<String>),
        call: &mut Call<'_>,
    ) -> Result<()> {
        let policies = policies.join(" ");
        self.record(call, "permission.refused", |entry| {
            let mut entry = entry
                .detail("permission", permission.code())
                .detail("policies", policies.clone());
            entry.target = target;
            entry
        })?;
        let code = decision.code();
        let text = format!("refused ({code}): {permission} is not permitted by {policies}");
        Err(AdminError::Wrong(text))
    }

    /// Somebody, as they stand towards the server.
    fn actor_of(&self, speaker: &Requester) -> Result<Actor> {
        let named = Actor {
            account: speaker.account,
            name: speaker.name.clone(),
            ..Actor::default()
        };
        let Some(account) = speaker.account else {
            return Ok(named);
        };
        let known = tern_directory::account(self.reader(), account)?;
        let roles = tern_directory::roles_over(self.reader(), account, About::Server)?;
        let groups = tern_directory::group_addresses_of(self.reader(), account)?;
        Ok(Actor {
            name: known.map_or(named.name, |known| known.address.canonical()),
            groups: groups.iter().map(|address| address.canonical()).collect(),
            roles: roles.iter().map(ToString::to_string).collect(),
            account: named.account,
            // What is of the server as a whole was sent by nobody.
            delegate_of: Vec::new(),
        })
    }
}
