//! What is left of a message of which one attachment was taken back: a message without it takes the place
//! of each copy that went to the vault.
//!
//! Driven by rows: whatever puts a copy into the vault under such a recall writes that its place is to be
//! taken, in the same transaction, and the place is taken in the one that removes the row. So it is, once,
//! whatever is killed.
//!
//! Invariant: what takes the place lacks the attachment, and what earlier recalls took out of that copy.
//!
//! Refuses to take the place of what carries the message inside it, or of what a server elsewhere added
//! something to: such a copy is gone whole. So is what a client put back.

use std::collections::HashMap;

use tern_base::{AccountId, BlobId, MessageId, Timestamp};
use tern_mailbox::limits::VAULT_CHUNK_BYTES;
use tern_mailbox::{Carriage, KEPT, MessageRow, Parts, Prepared};
use tern_store::{Transaction, Verdict};

use crate::audit::audit_entry;
use crate::{CopyOutcome, Reason, Recall, RecallError, RecallId, Recalls, State, Subject, tables};

/// Copies whose places are taken in one transaction.
const CHUNK: usize = 64;
/// Octets of contents from which on no further one is kept in memory while that is done.
const MAX_MADE: usize = 64 << 20;

/// A copy in the vault whose place is to be taken.
type Due = (AccountId, MessageId);

/// What each content becomes; nothing where the attachment is not in it. As a rule all copies have one
/// content.
#[derive(Default)]
struct Made {
    by_blob: HashMap<BlobId, Option<Prepared>>,
    octets: usize,
}

impl Made {
    fn add(&mut self, blob: BlobId, prepared: Option<Prepared>) {
        self.octets += prepared.as_ref().map_or(0, |it| it.size() as usize);
        self.by_blob.insert(blob, prepared);
    }
}

/// Notes that the place of a copy is to be taken that ended so, if it is.
pub(crate) fn note_due_in(
    txn: &mut Transaction<'_>,
    recall: &Recall,
    subject: Subject,
    outcome: &CopyOutcome,
) {
    if let Subject::Copy(account, message) = subject
        && recall.attachment.is_some()
        && outcome.carriage.is_none()
        && outcome.reason != Reason::PutBack
    {
        let key = tables::stand_in(recall.id, account, message);
        txn.put(key, Vec::new());
    }
}

impl Recalls {
    /// Takes every place that is to be taken.
    pub(crate) fn put_stand_ins(&self, recall: &Recall, now: Timestamp) -> Result<(), RecallError> {
        if recall.attachment.is_none() {
            return Ok(());
        }
        let mut made = Made::default();
        loop {
            let page = self.engine.scan(&tables::stand_ins(recall.id), CHUNK)?;
            let keys = page.rows.iter();
            let due: Result<Vec<Due>, _> =
                keys.map(|(key, _)| tables::read_stand_in(key)).collect();
            let due = due?;
            if due.is_empty() || !self.put_some(recall, &due, &mut made, now)? {
                return Ok(());
            }
        }
    }

    /// Takes as many places as fit one transaction; answers whether there may be more to take.
    fn put_some(
        &self,
        recall: &Recall,
        due: &[Due],
        made: &mut Made,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        if made.octets >= MAX_MADE {
            *made = Made::default();
        }
        let mut blobs = HashMap::new();
        let mut looked_at = 0;
        for (account, message) in due {
            if looked_at > 0 && made.octets >= MAX_MADE {
                break;
            }
            looked_at += 1;
            let Some(row) = self.sealing.in_vault(*account, *message)? else {
                continue;
            };
            let blob = row.message.blob;
            if !made.by_blob.contains_key(&blob) {
                made.add(blob, self.reduced(recall, &row.message, now)?);
            }
            blobs.insert((*account, *message), blob);
        }
        let due = due.get(..looked_at).unwrap_or(due);
        let accounts: Vec<AccountId> = due.iter().map(|(account, _)| *account).collect();
        self.mailboxes.transact(&accounts, |txn| {
            let state = self.recall_in(txn, recall.id)?.state;
            if !matches!(state, State::Running | State::Done) {
                return Ok(Verdict::Abandon(false));
            }
            let mut taken = 0_u64;
            for (n, one) in due.iter().enumerate() {
                if n > 0 && txn.size() >= VAULT_CHUNK_BYTES {
                    break;
                }
                let key = tables::stand_in(recall.id, one.0, one.1);
                // Another run was quicker.
                if txn.get(&key)?.is_none() {
                    continue;
                }
                txn.delete(key);
                let prepared = blobs
                    .get(one)
                    .and_then(|blob| made.by_blob.get(blob)?.as_ref());
                if let Some(prepared) = prepared {
                    taken += u64::from(self.put_one_in(txn, recall, *one, prepared, now)?);
                }
            }
            if let (Some(first), true) = (due.first(), taken > 0) {
                let step = format!("stand-ins {first:?}");
                let entry =
                    audit_entry(recall, &step, "recall.stand-ins", now).detail("copies", taken);
                tern_audit::append_in(txn, entry)?;
            }
            Ok::<_, RecallError>(Verdict::Commit(true))
        })
    }

    fn put_one_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        of: Due,
        prepared: &Prepared,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        let placed = self.sealing.stand_in_for_in(txn, of, prepared, now)?;
        let Some(placed) = placed else {
            return Ok(false);
        };
        let key = tables::outcome(recall.id, Subject::Copy(of.0, of.1));
        if let Some(row) = txn.get(&key)? {
            let outcome = CopyOutcome {
                stand_in: Some(placed.message),
                ..CopyOutcome::decode(&row)?
            };
            txn.put(key, outcome.encode());
        }
        Ok(true)
    }

    /// The message of a row without the attachment of a recall.
    fn reduced(
        &self,
        recall: &Recall,
        row: &MessageRow,
        now: Timestamp,
    ) -> Result<Option<Prepared>, RecallError> {
        let Some(Ok(found)) = recall.attachment.as_ref().map(|one| &one.found) else {
            return Ok(None);
        };
        let content = self.sealing.sealed_content(row)?;
        let message = tern_mime::parse(&content);
        let note = self.note(recall)?;
        let reduced = tern_mime::without_attachment(&message, &content, &found.number, &note);
        let Some(reduced) = reduced else {
            return Ok(None);
        };
        let mut prepared = self.mailboxes.prepare_ahead(reduced, now)?;
        let lacks = match row.carriage_of(recall.digest) {
            Some(Carriage::Reduced(parts)) => parts,
            _ => Parts::default(),
        };
        prepared.lacks(recall.digest, lacks.with(found.position));
        Ok(Some(prepared))
    }

    /// What is read in the place of the attachment: always the same of one recall.
    fn note(&self, recall: &Recall) -> Result<String, RecallError> {
        let what = recall.attachment.iter().map(ToString::to_string);
        let what: String = what.collect();
        let by = match recall.owner {
            Some(owner) if self.is_account(owner, &recall.requester)? => " by the sender",
            // Who acted for them is nobody else's business.
            _ => "",
        };
        let at = recall.requested.rfc5322();
        Ok(format!(
            "An attachment, {what}, was taken back{by} on {at}.\r\n"
        ))
    }

    fn is_account(&self, account: AccountId, name: &str) -> Result<bool, RecallError> {
        let found = tern_directory::account(&*self.engine, account)?;
        Ok(found.is_some_and(|found| found.address.canonical() == name))
    }

    /// Takes away what had taken the place of a copy that is no longer withdrawn, and what has taken the
    /// place of that since. `keeper` is the recall that has the copy now, if one has.
    pub(crate) fn take_away_in(
        &self,
        txn: &mut Transaction<'_>,
        (account, mut stand_in): (AccountId, Option<MessageId>),
        keeper: Option<RecallId>,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        while let Some(message) = stand_in.take() {
            if let Some(row) = self.sealing.vaulted_in(txn, account, message)?
                && row.tag != KEPT
            {
                let id = RecallId(row.tag.0);
                let key = tables::outcome(id, Subject::Copy(account, message));
                if let Some(outcome) = txn.get(&key)? {
                    let outcome = CopyOutcome::decode(&outcome)?;
                    stand_in = outcome.stand_in;
                    match keeper == Some(id) {
                        // The copy itself has the outcome.
                        true => txn.delete(key),
                        false => {
                            let purged = Some(now);
                            txn.put(key, CopyOutcome { purged, ..outcome }.encode());
                        }
                    }
                }
                txn.delete(tables::stand_in(id, account, message));
            }
            self.sealing.take_away_in(txn, account, message, now)?;
        }
        Ok(())
    }
}
