//! What the audit log says of a recall: each entry in the transaction that does what it records.

use tern_audit::{Actor, Draft, EntryId};
use tern_base::Timestamp;
use tern_policy::Selection;
use tern_store::Transaction;

use crate::decided::Decided;
use crate::{
    CopyOutcome, Outcome, Reach, Recall, RecallError, Recalls, Request, Requester, Subject, Target,
    tables,
};

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

/// Puts a request on record, and what was decided.
pub(crate) fn audit_request(
    txn: &mut Transaction<'_>,
    request: &Request,
    (recall, sender): (&Recall, Option<&str>),
    (verdict, decided): (&str, Option<&Decided>),
    now: Timestamp,
) -> Result<(), RecallError> {
    let mut entry = audit_entry(recall, "request", "recall.request", now)
        .detail("verdict", verdict)
        .detail("policies", recall.policies.join(" "))
        .detail("message-id", recall.message_id.as_str());
    by_requester(&mut entry, &request.requester);
    if let Some(decided) = decided {
        decided.put_in(txn, recall.id);
        entry = entry.detail("inputs", decided.digest());
    }
    if let Some(id) = recall.submission {
        // By which a store that has forgotten the message knows it again.
        entry = entry
            .detail("submission", id.to_string())
            .detail("letter", recall.digest.to_string());
        if let Some(sender) = sender {
            entry = entry.detail("sender", sender);
        }
    }
    if let Some(reason) = &recall.reason {
        entry = entry.detail("reason", reason.as_str());
    }
    // Whole: a store that has forgotten the recall is told by it whom to take the message back from.
    entry = entry.names("chosen", &recall.chosen);
    if let Some(attachment) = &recall.attachment {
        entry = entry.detail("attachment", attachment.to_string());
        if let Ok(found) = &attachment.found {
            entry = entry.detail("attachment-part", found.number.as_str());
        }
    }
    if recall.reach != Reach::default() {
        entry = entry.detail("reach", recall.reach.code());
    }
    if recall.selection != Selection::Any {
        entry = entry.detail("only", recall.selection.code());
    }
    entry = entry.detail("notice", recall.notices.code());
    if let Some(text) = &recall.notices.text {
        entry = entry.detail("notice-text", text.as_str());
    }
    if let Some(batch) = recall.batch {
        entry = entry.detail("batch", batch.to_string());
    }
    if recall.as_answer {
        entry = entry.detail("as-answer", "yes");
    }
    tern_audit::append_in(txn, entry)?;
    Ok(())
}

/// Puts on record what was decided when the question was asked again.
pub(crate) fn audit_verdict(
    txn: &mut Transaction<'_>,
    recall: &Recall,
    (verdict, decided): (&str, Option<&Decided>),
    now: Timestamp,
) -> Result<(), RecallError> {
    let step = format!("verdict {}", recall.generation);
    let mut entry = audit_entry(recall, &step, "recall.verdict", now).detail("verdict", verdict);
    if let Some(decided) = decided {
        decided.put_in(txn, recall.id);
        entry = entry
            .detail("policies", recall.policies.join(" "))
            .detail("inputs", decided.digest());
    }
    tern_audit::append_in(txn, entry)?;
    Ok(())
}

/// Says who asked, and how they proved who they are.
pub(crate) fn by_requester(entry: &mut tern_audit::Draft, requester: &Requester) {
    let facts = &requester.authentication;
    entry.actor = match requester.account {
        Some(account) => Actor::Account {
            account,
            address: requester.name.clone(),
        },
        None => Actor::Operator(requester.name.clone()),
    };
    entry.on_behalf_of = None;
    entry.protocol = Some(facts.protocol.clone());
    entry.peer.clone_from(&facts.peer);
    entry.authentication = Some(tern_audit::Authentication {
        mechanism: facts.mechanism.clone(),
        factors: facts.factors.clone(),
        ..tern_audit::Authentication::default()
    });
}
