//! The known clients of an account: shown, trusted, forgotten.

use serde_json::json;
use tern_base::AccountId;
use tern_mailbox::{DeviceId, Grantee};

use super::error::AdminError;
use super::{Admin, Call, Result};
use crate::control::request::{Answer, DeviceChange, DeviceRequest};

impl Admin {
    pub(super) fn device(&self, request: &DeviceRequest, call: &mut Call<'_>) -> Result<Answer> {
        match request {
            DeviceRequest::List { address } => self.device_list(address),
            DeviceRequest::Change {
                address,
                device,
                change,
            } => self.device_change(address, device, *change, call),
        }
    }

    fn device_list(&self, address: &str) -> Result<Answer> {
        let account = self.account(address)?;
        let (mut text, mut data) = (Vec::new(), Vec::new());
        for (id, device) in self.mailboxes.devices(account.id)? {
            let client = &device.client;
            let or_none = |text: &str| match text {
                "" => String::from("-"),
                text => text.to_owned(),
            };
            let reader = self.reader_of(client.reader)?;
            text.push(format!(
                "{id}  {}  {}  {}  first seen {}  last seen {} from {}{}{}{}",
                client.protocol,
                or_none(&client.title()),
                or_none(&client.os),
                device.first_seen,
                device.last_seen,
                or_none(&device.address),
                match client.token.as_str() {
                    "" => String::new(),
                    token => format!("  by app password {token}"),
                },
                if device.trusted { "  trusted" } else { "" },
                match &reader {
                    Some(reader) => format!("  of {reader}, by rights given"),
                    None => String::new(),
                },
            ));
            data.push(
                json!({"device": id.to_string(), "protocol": client.protocol,
                "name": client.name, "version": client.version, "vendor": client.vendor,
                "os": client.os, "appPassword": client.token, "reader": reader, "trusted": device.trusted,
                "firstSeenAt": device.first_seen.to_string(),
                "lastSeenAt": device.last_seen.to_string(), "address": device.address}),
            );
        }
        Ok(Answer::new(text.join("\n"), data.into()))
    }

    /// What somebody is called who reads the account by rights that they were given.
    fn reader_of(&self, reader: Option<AccountId>) -> Result<Option<String>> {
        let Some(reader) = reader else {
            return Ok(None);
        };
        let name = self.sharing.name_of(Grantee::Account(reader))?;
        Ok(Some(name.unwrap_or_else(|| format!("account {reader}"))))
    }

    fn device_change(
        &self,
        address: &str,
        device: &str,
        change: DeviceChange,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let account = self.account(address)?;
        let wrong = || AdminError::Wrong(format!("`{device}` is not the id of a client"));
        let id = DeviceId::from_hex(device).ok_or_else(wrong)?;
        let (action, done) = match change {
            DeviceChange::Trust => ("device.trust", "trusted"),
            DeviceChange::Distrust => ("device.distrust", "not trusted any more"),
            DeviceChange::Forget => ("device.forget", "forgotten"),
        };
        self.act(
            call,
            action,
            |(), entry| entry.target(address).detail("device", id.to_string()),
            |txn| {
                let known = match change {
                    DeviceChange::Forget => self.mailboxes.forget_device_in(txn, account.id, id)?,
                    change => {
                        let trusted = change == DeviceChange::Trust;
                        self.mailboxes
                            .trust_device_in(txn, account.id, id, trusted)?
                    }
                };
                match known {
                    true => Ok(()),
                    false => Err(AdminError::NotFound("client", id.to_string())),
                }
            },
        )?;
        if change == DeviceChange::Forget {
            self.mailboxes.forget_noted(account.id, id);
        }
        let text = format!("client {id} of {address} is {done}");
        Ok(Answer::new(text, json!({})))
    }
}
