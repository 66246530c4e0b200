//! Who had what of a copy, and which clients have been told that it is gone.

use serde_json::{Value, json};
use tern_mailbox::{Device, DeviceId, Passed, Serving};
use tern_recall::Seen;

use crate::date;

/// What was served, by client.
pub(super) fn servings(seen: &Seen) -> Value {
    let all = seen.ledger.servings.iter().chain(&seen.ledger.others);
    all.map(|one| named(serving(one), seen, one.device))
        .collect()
}

/// With the name of whoever reads by rights that they were given, where it is their client.
fn named(mut told: Value, seen: &Seen, device: DeviceId) -> Value {
    if let (Some(reader), Some(told)) = (seen.reader(device), told.as_object_mut()) {
        told.insert(String::from("reader"), reader.into());
    }
    told
}

fn serving(serving: &Serving) -> Value {
    let times = serving.moments.iter().map(|moment| {
        json!({
            "level": moment.level.name(), "firstAt": date::utc(moment.first),
            "lastAt": date::utc(moment.last),
        })
    });
    let times: Vec<Value> = times.collect();
    json!({
        "protocol": serving.protocol, "client": serving.client, "device": serving.device.to_string(),
        "address": serving.address, "percentAtMost": serving.share.percent(), "times": times,
    })
}

/// The account's clients.
pub(super) fn devices(seen: &Seen) -> Value {
    let all = seen.devices.iter();
    all.map(|one| named(device(one), seen, one.0)).collect()
}

fn device((id, device, passed): &(DeviceId, Device, Passed)) -> Value {
    let at = match passed {
        Passed::Heard(at) | Passed::Sent(at) => Some(date::utc(*at)),
        Passed::NotYet | Passed::NeverOpened => None,
    };
    json!({
        "device": id.to_string(), "client": device.client.title(),
        "protocol": device.client.protocol, "isTrusted": device.trusted,
        "lastSeenAt": date::utc(device.last_seen), "removal": passed.code(), "removalAt": at,
    })
}
