//! What became of each address and, where that may be seen, of each copy.

use serde_json::{Map, Value, json};
use tern_recall::{Addressed, AnswerLine, CopyOutcome, SenderStatus, StatusLine, ToldOutcome};

use super::{id, seen};
use crate::date;

/// How many copies ended how.
pub(super) fn outcomes(status: &SenderStatus) -> Value {
    told(&status.outcomes())
}

/// The same, of what would be.
pub(super) fn told(outcomes: &[(ToldOutcome, u64)]) -> Value {
    let all = outcomes.iter();
    let all = all.map(|(outcome, copies)| (outcome.code().to_owned(), (*copies).into()));
    Value::Object(all.collect::<Map<_, _>>())
}

/// Each address that the sender wrote.
pub(super) fn addressed(status: &SenderStatus) -> Value {
    status.addressed.iter().map(address).collect()
}

fn address(addressed: &Addressed) -> Value {
    let ends = addressed.ends.iter().map(|(end, copies)| {
        json!({
            "outcome": end.code(), "reason": end.reason_code(), "description": end.sentence(),
            "count": copies, "isRestored": end.restored, "isPurged": end.purged,
            "isHandedOver": end.handed_over, "notice": end.notice_code(),
        })
    });
    let ends: Vec<Value> = ends.collect();
    json!({"email": addressed.recipient, "ends": ends})
}

/// Each copy.
pub(super) fn copies(status: &SenderStatus) -> Value {
    status.copies.iter().map(copy).collect()
}

fn copy(line: &StatusLine) -> Value {
    let outcome: &CopyOutcome = &line.outcome;
    let exposure = outcome.exposure.as_ref().map(|served| {
        json!({
            "level": served.level.name(), "at": date::utc(served.at), "protocol": served.protocol,
            "client": served.client, "address": served.address,
        })
    });
    json!({
        "email": line.recipient,
        "via": line.via,
        "mailboxes": line.mailboxes,
        "sentOnBy": line.sent_on.as_ref().map(|sent| &sent.by),
        "lineage": outcome.carriage.map(|carriage| carriage.name()),
        "outcome": outcome.outcome.code(),
        "reason": outcome.reason.code(),
        "description": outcome.reason.sentence(),
        "at": date::utc(outcome.at),
        "restoredAt": outcome.restored.map(date::utc),
        "purgedAt": outcome.purged.map(date::utc),
        "handedOverTo": outcome.handed_over.map(id::of),
        "notice": line.noticed.map(|noticed| noticed.code()),
        "exposure": exposure,
        "servings": line.seen.as_ref().map(seen::servings),
        "devices": line.seen.as_ref().map(seen::devices),
    })
}

/// What answers the message.
pub(super) fn answers(status: &SenderStatus) -> Value {
    status.answers.lines.iter().map(answer).collect()
}

fn answer(line: &AnswerLine) -> Value {
    let by = line.fate.by();
    json!({
        "depth": line.depth,
        "email": line.sender,
        "subject": line.subject,
        "messageId": line.message_id,
        "submissionId": line.submission.to_string(),
        "sentAt": date::utc(line.sent),
        "outcome": line.fate.code(),
        "description": line.fate.sentence(),
        "recallId": by.map(|(recall, _)| id::of(*recall)),
        "requestedBy": by.map(|(_, name)| name),
    })
}
