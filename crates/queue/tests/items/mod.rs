//! Items for the tests of the queue.

#![allow(dead_code, reason = "each test file uses its own part")]

use tern_base::{AccountId, BlobId, EmailAddress, OriginId, SeededEntropy, Timestamp};
use tern_queue::{Dsn, DsnReturn, NewItem, Notify, QueueId, Reply};
use tern_store::{MemEngine, Range, Read as _};

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const LEASE_MS: u64 = 10 * MINUTE;

/// Its last byte is 0: the schedule adds no spread.
pub(crate) fn origin(n: u64) -> OriginId {
    let mut origin = OriginId::new(Timestamp(n), &mut SeededEntropy::new(n));
    origin.0[15] = 0;
    origin
}

/// Item `n` of origin 1.
pub(crate) fn id(n: u8) -> QueueId {
    let mut bytes = [0; 16];
    bytes[0] = n;
    QueueId(bytes)
}

pub(crate) fn new(n: u8) -> NewItem {
    NewItem {
        id: id(n),
        origin: origin(1),
        account: Some(AccountId(1)),
        mail_from: Some(EmailAddress::parse("alice@a.example").unwrap()),
        recipient: EmailAddress::parse(&format!("user{n}@else.example")).unwrap(),
        named: (n == 2).then(|| EmailAddress::parse("list@a.example").unwrap()),
        dsn: Dsn {
            ret: Some(DsnReturn::Headers),
            envid: Some("QQ314159".to_owned()),
            notify: Some(Notify {
                success: true,
                failure: true,
                delay: false,
            }),
            orcpt: Some("rfc822;user@else.example".to_owned()),
        },
        smtputf8: n == 2,
        blob: BlobId([n; 32]),
        prefix: b"Received: by here\r\n".to_vec(),
        size: 1_000,
        not_before: None,
        held: None,
    }
}

pub(crate) fn reply(code: u16) -> Reply {
    Reply {
        code,
        enhanced: Some(((code / 100) as u8, 2, 3)),
        text: format!("reply {code}"),
        host: Some("mx.else.example".to_owned()),
    }
}

pub(crate) fn rows(engine: &MemEngine) -> Vec<(Vec<u8>, Vec<u8>)> {
    engine.scan(&Range::prefix(vec![]), 1_000).unwrap().rows
}
