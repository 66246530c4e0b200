//! Delegates from the command line: an administrator says who may act for whom.

use serde_json::json;
use tern_directory as directory;

use super::error::AdminError;
use super::{Admin, Call, Result};
use crate::control::request::{Answer, DelegateRequest};

impl Admin {
    pub(super) fn delegate(
        &self,
        request: &DelegateRequest,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        match request {
            DelegateRequest::Add { address, delegate } => {
                self.delegate_add(address, delegate, call)
            }
            DelegateRequest::Remove { address, delegate } => {
                self.delegate_remove(address, delegate, call)
            }
            DelegateRequest::List { address } => self.delegate_list(address),
        }
    }

    fn delegate_add(&self, address: &str, delegate: &str, call: &mut Call<'_>) -> Result<Answer> {
        let (of, to, now) = (self.account(address)?, self.account(delegate)?, call.now);
        self.act(
            call,
            "delegate.add",
            |(), entry| entry.target(address).detail("delegate", delegate),
            |txn| match directory::add_delegate_in(txn, of.id, to.id, now)? {
                true => Ok(()),
                false => Err(AdminError::Wrong(format!(
                    "{delegate} is a delegate of {address} already"
                ))),
            },
        )?;
        let text = format!("{delegate} is a delegate of {address}");
        Ok(Answer::new(text, json!({})))
    }

    fn delegate_remove(
        &self,
        address: &str,
        delegate: &str,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let (of, to) = (self.account(address)?, self.account(delegate)?);
        self.act(
            call,
            "delegate.remove",
            |(), entry| entry.target(address).detail("delegate", delegate),
            |txn| match directory::remove_delegate_in(txn, of.id, to.id)? {
                true => Ok(()),
                false => Err(AdminError::Wrong(format!(
                    "{delegate} is no delegate of {address}"
                ))),
            },
        )?;
        let text = format!("{delegate} is no longer a delegate of {address}");
        Ok(Answer::new(text, json!({})))
    }

    fn delegate_list(&self, address: &str) -> Result<Answer> {
        let account = self.account(address)?;
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for (id, since) in directory::delegates(self.reader(), account.id)? {
            let known = directory::account(self.reader(), id)?;
            let name = known.map_or_else(|| format!("account {id}"), |a| a.address.to_string());
            text.push(format!("{name}  since {since}"));
            data.push(json!({"delegate": name, "since": since.to_string()}));
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }
}
