//! What owners removed under a hold goes for good once no hold covers it.
//!
//! Only the end of a hold can let go of anything: it leaves a row, and the sweep that it asks for
//! removes the row when it is through. Cut off, the next one begins anew.

use tern_audit::{Actor, Draft, EntryId};
use tern_base::{AccountId, MessageId, Timestamp};
use tern_mailbox::{KEPT, Purged};
use tern_store::Verdict;

use crate::{RecallError, Recalls, tables};

/// Copies that one transaction removes: the log names each of them, in one text.
const CHUNK: usize = 32;
/// The longest name of a copy in that text: the numbers of its account and of itself, and what
/// divides them.
const NAME_BYTES: usize = 10 + 20 + 2;
const _: () = assert!(CHUNK * NAME_BYTES <= tern_audit::limits::MAX_TEXT);

/// How much of what owners removed is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptCopies {
    /// Copies.
    pub copies: u64,
    /// Their octets, each counted by itself.
    pub octets: u64,
}

impl Recalls {
    /// Ends the holds whose time is over, and removes what no hold keeps any more of what owners
    /// removed. To be called now and then; answers how many copies went.
    pub fn sweep_holds(&self, now: Timestamp) -> Result<u64, RecallError> {
        let snapshot = self.engine.snapshot()?;
        let (_, all) = self.holds.all_of(&*snapshot)?;
        drop(snapshot);
        for hold in all.iter().filter(|hold| !hold.is_in_force(now)) {
            self.end_hold(hold, "hold.end", None, now)?;
        }
        let Some(released) = self.engine.get(&tables::released())? else {
            return Ok(0);
        };
        let (mut purged, mut after) = (0, None);
        loop {
            let page = self.sealing.vaulted(KEPT, after, CHUNK)?;
            let Some(last) = page.last() else { break };
            after = Some((last.account, last.message));
            let copies: Vec<_> = page
                .iter()
                .map(|copy| (copy.account, copy.message))
                .collect();
            purged += self.purge_kept(&copies, now)?;
        }
        tern_store::transact(&*self.engine, |txn| {
            // Another hold may have ended meanwhile.
            if txn.get(&tables::released())?.as_ref() == Some(&released) {
                txn.delete(tables::released());
            }
            Ok::<_, RecallError>(Verdict::Commit(()))
        })?;
        Ok(purged)
    }

    fn purge_kept(
        &self,
        copies: &[(AccountId, MessageId)],
        now: Timestamp,
    ) -> Result<u64, RecallError> {
        let purge = |txn: &mut tern_store::Transaction<'_>| {
            let mut gone = Vec::new();
            for (account, message) in copies {
                if self.sealing.purge_in(txn, *account, *message, now)? == Purged::Gone {
                    gone.push((*account, *message));
                }
            }
            if !gone.is_empty() {
                tern_audit::append_in(txn, audit_purged(&gone, now))?;
            }
            Ok::<_, RecallError>(Verdict::Commit(gone.len() as u64))
        };
        tern_store::transact(&*self.engine, purge)
    }

    /// How much of what owners removed is kept under holds.
    pub fn kept_copies(&self) -> Result<KeptCopies, RecallError> {
        let (mut kept, mut after) = (KeptCopies::default(), None);
        loop {
            let page = self.sealing.vaulted(KEPT, after, 1_000)?;
            let Some(last) = page.last() else {
                return Ok(kept);
            };
            after = Some((last.account, last.message));
            kept.copies += page.len() as u64;
            kept.octets += page
                .iter()
                .map(|copy| u64::from(copy.row.message.size))
                .sum::<u64>();
        }
    }
}

/// An entry of the audit log about copies that no hold keeps any more.
fn audit_purged(gone: &[(AccountId, MessageId)], now: Timestamp) -> Draft {
    let named = |(account, message): &(AccountId, MessageId)| format!("{account}/{message}");
    let copies = gone.iter().map(named).collect::<Vec<_>>().join(" ");
    let digest = tern_mime::blob_id(&[0; 32], format!("purge {copies}").as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    Draft::new(EntryId(id), now, Actor::Server, "hold.purge")
        .target("vault")
        .detail("copies", gone.len() as u64)
        .detail("messages", copies)
}
