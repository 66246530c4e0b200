//! What of a copy was served to which client, and which of the account's clients have been told that
//! it is gone: the exposure of a report in full.
//!
//! Invariant: only those see it who may see exposure; it is on record with the mailboxes, and only
//! read here. Of a copy that was put back, or is kept no longer, who was told is not asked any more.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tern_base::{AccountId, MessageId, Timestamp};
use tern_mailbox::{Device, DeviceId, ExposureLevel, Ledger, Moment, Passed, Serving, Share};
use tern_policy::Device as DeviceFacts;
use tern_queue::{Ending, QueueId, Status};

use crate::{RecallError, Recalls};

/// Who had what of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What was served, by client.
    pub ledger: Ledger,
    /// The account's known clients, and whether they were told of the withdrawal.
    pub devices: Vec<(DeviceId, Device, Passed)>,
    /// What those are called who read the account by rights that they were given, and whose clients are
    /// among these.
    pub readers: BTreeMap<AccountId, String>,
}

impl Recalls {
    /// Who had what of a copy of a letter.
    pub(crate) fn seen(&self, account: AccountId, message: MessageId) -> Result<Seen, RecallError> {
        let ledger = self.sealing().ledger(account, message)?;
        let devices = self.sealing().told_of_withdrawal(account, message)?;
        let served = ledger.servings.iter().map(|serving| serving.device);
        let told = devices.iter().map(|(id, ..)| *id);
        let mut readers = BTreeMap::new();
        for reader in served.chain(told).filter_map(DeviceId::reader) {
            let known = tern_directory::account(&*self.engine, reader)?;
            let name = known.map(|known| known.address.to_string());
            readers.insert(reader, name.unwrap_or_else(|| format!("account {reader}")));
        }
        Ok(Seen {
            ledger,
            devices,
            readers,
        })
    }

    /// Who had what of a copy that left for another server: the queue's record of that, as a
    /// serving of everything; nothing while it has not left, or once the queue forgot it.
    pub(crate) fn left(&self, item: QueueId) -> Result<Option<Seen>, RecallError> {
        let Some(Status::Finished(row)) = tern_queue::status(&*self.engine, item)? else {
            return Ok(None);
        };
        if row.ending != Ending::Relayed {
            return Ok(None);
        }
        let host = row.last_reply.and_then(|(_, reply)| reply.host);
        let moment = Moment {
            level: ExposureLevel::Relayed,
            first: row.finished,
            last: row.finished,
        };
        let serving = Serving {
            protocol: String::from("smtp"),
            client: host.unwrap_or_default(),
            device: DeviceId::default(),
            address: String::new(),
            moments: vec![moment],
            share: Share::ALL,
        };
        Ok(Some(Seen {
            ledger: Ledger {
                servings: vec![serving],
                others: None,
            },
            devices: Vec::new(),
            readers: BTreeMap::new(),
        }))
    }

    /// What a policy is told of the client that an account uses.
    pub fn device_facts(
        &self,
        account: AccountId,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<DeviceFacts, RecallError> {
        let Some(known) = self.mailboxes().device(account, device)? else {
            return Ok(DeviceFacts::default());
        };
        Ok(DeviceFacts {
            client: Some(known.client.title()).filter(|title| !title.is_empty()),
            first_seen_age_ms: Some(now.millis_since(known.first_seen)),
            trusted: Some(known.trusted),
        })
    }
}

impl Seen {
    /// As JSON: `servings`, `others` and `devices`.
    pub fn json(&self) -> Value {
        let serving = |one: &Serving| serving(one, self.reader(one.device));
        let servings: Vec<Value> = self.ledger.servings.iter().map(serving).collect();
        let device = |(id, device, passed): &(DeviceId, Device, Passed)| {
            let at = match passed {
                Passed::Heard(at) | Passed::Sent(at) => Some(at.to_string()),
                Passed::NotYet | Passed::NeverOpened => None,
            };
            json!({
                "device": id.to_string(),
                "reader": self.reader(*id),
                "client": device.client.title(),
                "os": device.client.os,
                "protocol": device.client.protocol,
                "appPassword": device.client.token,
                "trusted": device.trusted,
                "lastSeenAt": device.last_seen.to_string(),
                "removal": passed.code(),
                "removalAt": at,
            })
        };
        let devices: Vec<Value> = self.devices.iter().map(device).collect();
        json!({
            "servings": servings,
            "others": self.ledger.others.as_ref().map(serving),
            "devices": devices,
        })
    }

    /// What somebody is called whose client it is, where that is not the owner.
    pub fn reader(&self, device: DeviceId) -> Option<&str> {
        self.readers.get(&device.reader()?).map(String::as_str)
    }

    /// A sentence on what was served; nothing where nothing was.
    pub fn served_text(&self) -> Option<String> {
        let all = self.ledger.servings.iter().chain(&self.ledger.others);
        let told = all.filter_map(|serving| {
            let level = serving.level()?;
            let first = serving
                .moments
                .iter()
                .find(|moment| moment.level == level)?;
            let client = match serving.client.as_str() {
                "" if level == ExposureLevel::Relayed => "another server",
                "" => "an unnamed client",
                client => client,
            };
            let of = match self.reader(serving.device) {
                Some(reader) => format!(" of {reader}"),
                None => String::new(),
            };
            let from = match serving.address.as_str() {
                "" => String::new(),
                address => format!(" from {address}"),
            };
            let share = match serving.share.percent() {
                0 => String::new(),
                100.. => String::from(", possibly all of it"),
                percent => format!(", at most {percent} %"),
            };
            let name = level.name();
            Some(format!(
                "{name} to {client}{of}{from} at {}{share}",
                first.first
            ))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| format!("Served: {}.", told.join("; ")))
    }

    /// A sentence on which clients have been told of the removal; nothing where none had the
    /// mailbox open.
    pub fn devices_text(&self) -> Option<String> {
        let named = |wanted: &[&str]| {
            let of = self
                .devices
                .iter()
                .filter(|(.., passed)| wanted.contains(&passed.code()));
            let names = of.map(|(id, device, _)| {
                let title = match device.client.title() {
                    title if title.is_empty() => format!("client {id}"),
                    title => title,
                };
                match self.reader(*id) {
                    Some(reader) => format!("{title} of {reader}"),
                    None => title,
                }
            });
            names.collect::<Vec<_>>().join(", ")
        };
        let parts = [
            ("passed the removal", named(&["passed"])),
            ("were told of it", named(&["told"])),
            ("have not been told yet", named(&["not-yet"])),
        ];
        let told = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let told: Vec<String> = told
            .map(|(what, names)| format!("{what}: {names}"))
            .collect();
        (!told.is_empty()).then(|| format!("Clients that {}.", told.join("; ")))
    }
}

fn serving(serving: &Serving, reader: Option<&str>) -> Value {
    let times: Vec<Value> = serving
        .moments
        .iter()
        .map(|moment| {
            json!({
                "level": moment.level.name(),
                "firstAt": moment.first.to_string(),
                "lastAt": moment.last.to_string(),
            })
        })
        .collect();
    json!({
        "protocol": serving.protocol,
        "client": serving.client,
        "device": serving.device.to_string(),
        "reader": reader,
        "address": serving.address,
        "percentAtMost": serving.share.percent(),
        "times": times,
    })
}
