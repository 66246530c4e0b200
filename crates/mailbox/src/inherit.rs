//! What is on record as served of one message becomes what is on record of another that is made of it.
//!
//! Invariants: the other's record says at least what the one's says. At most
//! [`limits::INHERITED_CLIENTS`] clients keep a sheet of their own, those that were served most, and of
//! these the first; what was served to further ones is counted together. So a copy of what very
//! many clients were served is still one transaction.
//!
//! It is on record by letter in any case, whether or not the letter has come to many: it may come to them
//! at this moment, and whoever finds that out has looked for copies before this one is there.

use std::cmp::Reverse;

use tern_base::{AccountId, MessageId, Timestamp};
use tern_store::Transaction;

use crate::record::leave;
use crate::roll::{Most, OTHERS, Roll};
use crate::rows::MessageRow;
use crate::sheet::{Entry, Sheet};
use crate::slots::{Slots, block_of};
use crate::{ExposureLevel, MailboxError, Viewer, limits, tables};

/// What one client was served of the message.
struct Part {
    /// The client, by its sheet of the block.
    client: u8,
    /// Who that is.
    sheet: Sheet,
    entry: Entry,
}

impl Part {
    /// The most that was served, and when that was first so.
    fn most(&self) -> Option<(ExposureLevel, Timestamp)> {
        let last = self.entry.moments.last()?;
        Some((last.level, last.first))
    }
}

/// Enters what is on record of the message `from` for the message `to` of the same account.
pub(crate) fn inherit(
    txn: &mut Transaction<'_>,
    account: AccountId,
    from: MessageId,
    (to, row): (MessageId, &MessageRow),
) -> Result<(), MailboxError> {
    let old = Roll::of(txn, account, from)?;
    let Some(most) = old.most.get(Slots::of(from)).copied() else {
        return Ok(());
    };
    let mut parts = parts(txn, &old, account, from)?;
    // Whoever was served the most stays known by name, whatever comes after that.
    parts.sort_by_key(|part| {
        let level = part.most().map(|(level, first)| (Reverse(level), first));
        (part.client != most.client, level)
    });
    let mut roll = Roll::of(txn, account, to)?;
    let mut together: Option<Entry> = None;
    for (n, part) in parts.into_iter().enumerate() {
        let key = old.key_of(part.client);
        let apart = key.filter(|_| n < limits::INHERITED_CLIENTS);
        let client = apart.map_or(OTHERS, |key| roll.enlist(key).0);
        if part.client == most.client {
            roll.raise(Slots::of(to), Most { client, ..most });
        }
        match client {
            OTHERS => together.get_or_insert_default().join(&part.entry),
            _ => join(txn, (account, to), client, &part.sheet, &part.entry)?,
        }
    }
    if let Some(entry) = together {
        roll.share();
        let nobody = Sheet::new(&Viewer::default());
        join(txn, (account, to), OTHERS, &nobody, &entry)?;
    }
    txn.put(tables::roll(account, block_of(to)), roll.encode());
    leave(txn, (row.digest, account, to), row.origin)?;
    Ok(())
}

/// What each client was served of a message.
fn parts(
    txn: &mut Transaction<'_>,
    roll: &Roll,
    account: AccountId,
    message: MessageId,
) -> Result<Vec<Part>, MailboxError> {
    let mut parts = Vec::new();
    for client in roll.sheets() {
        let key = tables::sheet(account, block_of(message), client);
        let Some(row) = txn.get(&key)? else {
            continue;
        };
        let sheet = Sheet::decode(&row)?;
        if let Some(entry) = sheet.entries.get(Slots::of(message)).cloned() {
            parts.push(Part {
                client,
                sheet: sheet.without_entries(),
                entry,
            });
        }
    }
    Ok(parts)
}

/// Adds to what a client's sheet says of a message, which begins as `whose` where there is none.
fn join(
    txn: &mut Transaction<'_>,
    (account, message): (AccountId, MessageId),
    client: u8,
    whose: &Sheet,
    entry: &Entry,
) -> Result<(), MailboxError> {
    let key = tables::sheet(account, block_of(message), client);
    let mut sheet = match txn.get(&key)? {
        Some(row) => Sheet::decode(&row)?,
        None => whose.clone(),
    };
    sheet.join(Slots::of(message), entry);
    txn.put(key, sheet.encode());
    Ok(())
}

#[cfg(test)]
mod tests {
    use tern_base::{BlobId, ContentDigest, OriginId, ThreadId};
    use tern_store::{MemEngine, Verdict};

    use super::*;
    use crate::rows::Lineage;
    use crate::{DeviceId, Share};

    const BOB: AccountId = AccountId(1);
    /// Clients of which a block has as many as it may, and more.
    const CLIENTS: u8 = limits::MAX_BLOCK_CLIENTS as u8 + 1;

    fn viewer(n: u8) -> Viewer {
        Viewer {
            protocol: "imap",
            client: format!("{n}{}", "c".repeat(limits::MAX_CLIENT_TEXT)),
            address: "a".repeat(limits::MAX_CLIENT_TEXT),
            device: DeviceId([n; 8]),
        }
    }

    fn row() -> MessageRow {
        MessageRow {
            blob: BlobId([1; 32]),
            prefix: Vec::new(),
            size: 1,
            received: Timestamp(1),
            thread: ThreadId(1),
            origin: OriginId([1; 16]),
            digest: ContentDigest([1; 16]),
            lineage: Lineage::Delivered,
            carried: Vec::new(),
            placements: Vec::new(),
        }
    }

    /// A block in which every client was served all levels of every message, each at a time of its own;
    /// the one with number `most` before all others.
    fn fill(txn: &mut Transaction<'_>, block: u64, most: u8) {
        let mut roll = Roll::default();
        for n in 0..CLIENTS {
            let (client, _) = roll.enlist(&viewer(n).key());
            let mut sheet = match client {
                OTHERS => Sheet::new(&Viewer::default()),
                _ => Sheet::new(&viewer(n)),
            };
            for id in 0..64u64 {
                let slot = Slots::of(MessageId(id));
                for level in ExposureLevel::ALL {
                    let at = u64::MAX / 4 + 1_000 * id + u64::from(n != most) * (u64::from(n) + 1);
                    sheet.enter(slot, level, Share(id as u8), Timestamp(at));
                    sheet.enter(slot, level, Share::ALL, Timestamp(2 * at));
                }
            }
            txn.put(tables::sheet(BOB, block, client), sheet.encode());
        }
        let (client, _) = roll.enlist(&viewer(most).key());
        for id in 0..64u64 {
            let most = Most {
                level: ExposureLevel::Relayed,
                at: Timestamp(u64::MAX / 4 + 1_000 * id),
                client,
            };
            roll.raise(Slots::of(MessageId(id)), most);
        }
        txn.put(tables::roll(BOB, block), roll.encode());
    }

    #[test]
    fn what_very_many_clients_were_served_is_inherited_within_a_bound() {
        let engine = MemEngine::new();
        for block in [0, 1] {
            tern_store::transact(&engine, |txn| {
                fill(txn, block, 77);
                Ok::<_, MailboxError>(Verdict::Commit(()))
            })
            .unwrap();
        }
        let (from, to) = (MessageId(5), MessageId(70));
        tern_store::transact(&engine, |txn| {
            inherit(txn, BOB, from, (to, &row()))?;
            assert!(txn.size() <= limits::MAX_INHERITED_BYTES, "{}", txn.size());
            Ok::<_, MailboxError>(Verdict::Commit(()))
        })
        .unwrap();
    }

    #[test]
    fn those_who_were_served_most_are_still_told_apart_and_the_others_are_counted() {
        let engine = MemEngine::new();
        let (from, to) = (MessageId(5), MessageId(70));
        let ledger = tern_store::transact(&engine, |txn| {
            fill(txn, 0, 77);
            inherit(txn, BOB, from, (to, &row()))?;
            let roll = Roll::of(txn, BOB, to)?;
            let mut told = Vec::new();
            for client in roll.sheets() {
                let sheet = txn.get(&tables::sheet(BOB, 1, client))?.unwrap();
                let serving = Sheet::decode(&sheet)?.serving(Slots::of(to)).unwrap();
                told.push((client, serving));
            }
            let most = *roll.most.get(Slots::of(to)).unwrap();
            Ok::<_, MailboxError>(Verdict::Commit((told, most)))
        });
        let (told, most) = ledger.unwrap();
        let devices: Vec<u8> = told.iter().map(|(_, one)| one.device.0[0]).collect();
        let firsts = (0..limits::INHERITED_CLIENTS as u8 - 1).collect::<Vec<_>>();
        assert_eq!(devices, [&[77][..], &firsts, &[0]].concat());
        let (client, others) = told.last().unwrap();
        assert_eq!(*client, OTHERS);
        assert_eq!(others.share, Share::ALL);
        assert_eq!(others.level(), Some(ExposureLevel::Relayed));
        assert_eq!(most.client, 0, "who was served most is still the first");
    }
}
