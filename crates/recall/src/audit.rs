//! What the audit log says of a recall: each entry in the transaction that does what it records.

use tern_audit::{Actor, Draft, EntryId};
use tern_base::Timestamp;
use tern_store::Transaction;

use crate::{CopyOutcome, Outcome, Recall, RecallError, Recalls, Subject, Target, tables};

/// Up to so many outcomes of a chunk get an entry each; a larger chunk gets one entry with the
/// count and a digest of its outcome rows.
pub(crate) const ONE_BY_ONE: usize = 32;

/// What happened to outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// They were found.
    Settled,
    /// Their copies were put back.
    Restored,
    /// Their copies were removed from the vault.
    Purged,
}

impl Act {
    /// The action of one entry for each, and of one for many.
    const fn actions(self) -> (&'static str, &'static str) {
        match self {
            Self::Settled => ("recall.outcome", "recall.outcomes"),
            Self::Restored => ("recall.copy-restored", "recall.copies-restored"),
            Self::Purged => ("recall.copy-purged", "recall.copies-purged"),
        }
    }
}

/// An entry of the audit log about a recall. The id follows from the recall and the step, so a
/// step that runs again is on record once.
pub(crate) fn audit_entry(recall: &Recall, step: &str, action: &str, now: Timestamp) -> Draft {
    let digest = tern_mime::blob_id(&[0; 32], &[&recall.id.0[..], step.as_bytes()].concat());
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    let mut entry =
        Draft::new(EntryId(id), now, Actor::Server, action).target(format!("recall {}", recall.id));
    entry.on_behalf_of = Some(recall.requester.clone());
    entry.protocol = Some(recall.protocol.clone());
    entry
}

impl Recalls {
    /// Puts outcomes on record that a transaction writes. `named` tells where those led that are in no
    /// account here.
    pub(crate) fn audit_outcomes<'a>(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        act: Act,
        outcomes: &[(Subject, CopyOutcome)],
        named: impl Fn(Subject) -> Option<&'a Target>,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        if outcomes.len() > ONE_BY_ONE {
            return audit_many(txn, recall, act, outcomes, now);
        }
        let (action, _) = act.actions();
        for (subject, outcome) in outcomes {
            let code = outcome.outcome.code();
            let step = format!("{action} {subject:?} {code}");
            let entry = audit_entry(recall, &step, action, now)
                .detail("outcome", code)
                .detail("reason", outcome.reason.code());
            let entry = match outcome.carriage {
                Some(carriage) => entry.detail("lineage", carriage.name()),
                None => entry,
            };
            let entry = match subject {
                Subject::Copy(account, message) => entry
                    .detail("account", self.address(*account)?)
                    .detail("message", message.0),
                Subject::Target(position) => entry.detail("target", u64::from(*position)),
                Subject::Onward(origin, position) => entry
                    .detail("sent-on-in", origin.to_string())
                    .detail("target", u64::from(*position)),
            };
            let entry = match named(*subject) {
                Some(target) => entry.detail("recipient", self.end_of(target)?),
                None => entry,
            };
            tern_audit::append_in(txn, entry)?;
        }
        Ok(())
    }
}

/// Names no target: what is put on record is of copies in accounts.
pub(crate) const fn copies_alone(_: Subject) -> Option<&'static Target> {
    None
}

/// The targets of a recall's own submission, by their positions.
pub(crate) fn own_targets<'a>(targets: &'a [Target]) -> impl Fn(Subject) -> Option<&'a Target> {
    move |subject| match subject {
        Subject::Target(position) => targets.get(position as usize),
        Subject::Copy(..) | Subject::Onward(..) => None,
    }
}

fn audit_many(
    txn: &mut Transaction<'_>,
    recall: &Recall,
    act: Act,
    outcomes: &[(Subject, CopyOutcome)],
    now: Timestamp,
) -> Result<(), RecallError> {
    let (_, action) = act.actions();
    let row = |(subject, outcome): &(Subject, CopyOutcome)| {
        [tables::outcome(recall.id, *subject), outcome.encode()].concat()
    };
    let rows: Vec<u8> = outcomes.iter().flat_map(row).collect();
    let digest = tern_mime::blob_id(&[0; 32], &rows).to_string();
    let exposed = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.outcome == Outcome::WithdrawnExposed);
    let step = format!("{action} {digest}");
    let entry = audit_entry(recall, &step, action, now)
        .detail("copies", outcomes.len() as u64)
        .detail("withdrawn-exposed", exposed.count() as u64)
        .detail("rows-blake3", digest);
    tern_audit::append_in(txn, entry)?;
    Ok(())
}
