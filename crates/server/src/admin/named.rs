//! What an address is to lead to: whether that is anything.
//!
//! An alias or a group may name who is not there yet: whoever sets a server up goes in any order. It is said.

use serde_json::json;
use tern_base::EmailAddress;
use tern_directory::{self as directory, Target, account_by_address};

use super::error::AdminError;
use super::{Admin, Call, Result};
use crate::control::request::Answer;

impl Admin {
    /// Refuses what would lead to itself.
    pub(super) fn not_itself(&self, address: &EmailAddress, targets: &[Target]) -> Result<()> {
        let is_itself = |target: &Target| match target {
            Target::Address(other) => other.canonical() == address.canonical(),
            Target::Account(_) => false,
        };
        match targets.iter().any(is_itself) {
            true => Err(AdminError::Wrong(format!(
                "`{address}` can't lead to itself"
            ))),
            false => Ok(()),
        }
    }

    /// Refuses what is an alias already: others count on where it leads.
    pub(super) fn not_an_alias(&self, address: &EmailAddress, replace: bool) -> Result<()> {
        let known = directory::alias(self.reader(), address)?.filter(|_| !replace);
        let Some(known) = known else { return Ok(()) };
        let to = self.target_names(&known.targets)?.join(", ");
        let text = format!(
            "alias {address} leads to {to} already: `--replace` sets others in their place"
        );
        Err(AdminError::Wrong(text))
    }

    /// A group with its first members.
    pub(super) fn group_add_with(
        &self,
        address: &str,
        name: &str,
        members: &[String],
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        // What can't be a member is found before there is a group.
        let targets = self.targets(members)?;
        self.not_itself(&super::parse_address(address)?, &targets)?;
        let added = self.group_add(address, name, call)?;
        match members.is_empty() {
            true => Ok(added),
            false => self.group_members(address, members, true, call),
        }
    }

    /// An answer that says of whom nobody has heard here.
    pub(super) fn with_nowhere(&self, mut text: String, targets: &[Target]) -> Result<Answer> {
        let mut nowhere = Vec::new();
        for target in targets {
            if let Target::Address(address) = target
                && self.is_nobody(address)?
            {
                nowhere.push(address.to_string());
            }
        }
        for address in &nowhere {
            text.push_str(&format!("\nnobody has the address {address} yet"));
        }
        Ok(Answer::new(text, json!({})))
    }

    /// Whether an address of this server is nobody's.
    fn is_nobody(&self, address: &EmailAddress) -> Result<bool> {
        let reader = self.reader();
        Ok(directory::domain(reader, address.domain())?.is_some()
            && account_by_address(reader, address)?.is_none()
            && directory::alias(reader, address)?.is_none()
            && directory::group_by_address(reader, address)?.is_none())
    }
}
