//! A Recall as an object, with as much as its reader may see.

use serde_json::{Map, Value, json};
use tern_base::{AccountId, Timestamp};
use tern_policy::Visibility;
use tern_recall::{
    Awaited, Extent, Recall, RecallError, RecallId, Requester, SenderStatus, State, Step, Wait,
};

use super::ask::NOTICES;
use super::{id, report, requester};
use crate::context::Context;
use crate::{date, limits};

/// Every property.
pub(super) const PROPERTIES: [&str; 37] = [
    "id",
    "submissionId",
    "messageId",
    "subject",
    "sentAt",
    "requestedBy",
    "requestedVia",
    "requestedAt",
    "reason",
    "replacedBy",
    "expiresAt",
    "recipients",
    "only",
    "reach",
    "attachment",
    "notice",
    "noticeText",
    "batchId",
    "state",
    "refusal",
    "withdrawn",
    "policies",
    "finishedAt",
    "restoredAt",
    "outcomes",
    "onTheirWay",
    "addressed",
    "moreAddressed",
    "copies",
    "moreCopies",
    "answers",
    "moreAnswers",
    "visibility",
    "waiting",
    "approvals",
    "ended",
    "actions",
];

/// The object of a recall that is there for its reader.
pub(super) fn of(
    cx: &Context<'_>,
    account: AccountId,
    recall: RecallId,
) -> Result<Value, RecallError> {
    let reader = requester(cx, account)?;
    let recalls = cx.verbs.recalls;
    let (status, seen) = recalls.report_as(recall, &reader, limits::MAX_REPORTED, cx.now)?;
    let mut all = Map::new();
    let mut add = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    for (name, value) in head(&status.recall, &status) {
        add(name, value);
    }
    // Whom it was sent to, and what was asked of it in detail, is for those who see what became of it.
    if seen.is_some() {
        for (name, value) in asked(&status.recall) {
            add(name, value);
        }
    }
    let full = seen == Some(Visibility::Full);
    add("outcomes", report::outcomes(&status));
    add("onTheirWay", status.on_their_way.into());
    add("addressed", report::addressed(&status));
    add("moreAddressed", status.more.into());
    add("copies", full.then(|| report::copies(&status)).into());
    add("moreCopies", full.then_some(status.more_copies).into());
    add("answers", report::answers(&status));
    add("moreAnswers", status.answers.more.into());
    add("visibility", visibility(seen).into());
    let wait = status.wait.as_ref();
    add(
        "approvals",
        wait.map_or(Value::Array(Vec::new()), approvals),
    );
    add("ended", ended(wait, status.recall.state));
    add("waiting", waiting(cx, &status.recall, &reader)?);
    let steps = recalls.steps(recall, &reader, cx.now)?;
    let steps: Vec<&str> = steps.into_iter().map(Step::code).collect();
    add("actions", json!(steps));
    Ok(Value::Object(all))
}

const fn visibility(seen: Option<Visibility>) -> &'static str {
    match seen {
        Some(Visibility::Full) => "full",
        Some(Visibility::Outcomes) => "outcomes",
        Some(Visibility::Aggregate { .. }) => "counts",
        None => "none",
    }
}

/// What is told to everybody for whom it is there.
fn head(recall: &Recall, status: &SenderStatus) -> Vec<(&'static str, Value)> {
    let refusal = match recall.state {
        State::Refused(refusal) => Some(refusal.code()),
        _ => None,
    };
    let is_told = status.tally.iter().next().is_some();
    let extent = recall.finished.filter(|_| is_told);
    let extent = extent.map(|_| Extent::of(&status.tally).code());
    let at = |at: Option<Timestamp>| Value::from(at.map(date::utc));
    vec![
        ("id", id::of(recall.id).into()),
        ("subject", recall.subject_text().into()),
        ("sentAt", at(status.submitted)),
        ("requestedBy", recall.requester.as_str().into()),
        ("requestedVia", recall.protocol.as_str().into()),
        ("requestedAt", date::utc(recall.requested).into()),
        ("reason", recall.reason.clone().into()),
        ("expiresAt", at(recall.expires)),
        ("state", recall.state.code().into()),
        ("refusal", refusal.into()),
        ("withdrawn", extent.into()),
        ("policies", json!(recall.policies)),
        ("finishedAt", at(recall.finished)),
        ("restoredAt", at(recall.restored)),
        ("submissionId", Value::Null),
        ("messageId", Value::Null),
        ("replacedBy", Value::Null),
        ("recipients", Value::Null),
        ("only", Value::Null),
        ("reach", Value::Null),
        ("attachment", Value::Null),
        ("notice", Value::Null),
        ("noticeText", Value::Null),
        ("batchId", Value::Null),
    ]
}

fn asked(recall: &Recall) -> Vec<(&'static str, Value)> {
    let chosen = (!recall.chosen.is_empty()).then_some(&recall.chosen);
    let message_id = Some(recall.message_id.as_str()).filter(|id| !id.is_empty());
    let notice = NOTICES
        .into_iter()
        .find(|(_, whom)| recall.notices.whom == Some(*whom));
    let attachment = recall.attachment.as_ref().map(|one| match &one.found {
        Ok(found) => {
            json!({"partId": found.number, "name": found.name, "type": found.media_type})
        }
        Err(_) => json!({"partId": null, "name": one.asked, "type": null}),
    });
    vec![
        (
            "submissionId",
            recall.submission.map(|id| id.to_string()).into(),
        ),
        ("messageId", message_id.into()),
        ("replacedBy", recall.replacement.clone().into()),
        ("recipients", json!(chosen)),
        ("only", recall.selection.code().into()),
        ("reach", recall.reach.code().into()),
        ("attachment", attachment.into()),
        ("notice", notice.map(|(name, _)| name).into()),
        ("noticeText", recall.notices.text.clone().into()),
        (
            "batchId",
            recall.batch.map(|batch| batch.to_string()).into(),
        ),
    ]
}

fn approvals(wait: &Wait) -> Value {
    let one = |one: &tern_recall::Approval| json!({"by": one.by.name, "at": date::utc(one.at), "reason": one.reason, "hasLapsed": one.lapsed});
    wait.approvals.iter().map(one).collect()
}

/// Who ended the waiting otherwise than by granting it.
fn ended(wait: Option<&Wait>, state: State) -> Value {
    let ended = wait.and_then(|wait| wait.ended.as_ref());
    let ended = ended.filter(|_| !state.is_waiting());
    json!(ended.map(|ended| {
        json!({"by": ended.by, "at": date::utc(ended.at), "reason": ended.reason})
    }))
}

/// What it waits for, and what whoever is to free it is shown.
fn waiting(cx: &Context<'_>, recall: &Recall, reader: &Requester) -> Result<Value, RecallError> {
    let recalls = cx.verbs.recalls;
    if !recall.state.is_waiting() {
        return Ok(Value::Null);
    }
    let Some(waiting) = recalls.waiting(recall.id, cx.now)? else {
        return Ok(Value::Null);
    };
    let (wanted, approvers) = match waiting.wait.awaited {
        Awaited::StepUp { .. } => ("second-factor", None),
        Awaited::Approval { approvers, .. } => ("approval", Some(approvers)),
        Awaited::Time { .. } => ("time", None),
    };
    let told = recalls.told(recall, &waiting.would_be, reader, cx.now)?;
    Ok(json!({
        "for": wanted,
        "until": date::utc(waiting.wait.awaited.until()),
        "approvers": approvers,
        "wantsReason": recalls.wants_reason(recall.id)?,
        "sender": waiting.sender,
        "recipientCount": waiting.recipients,
        "wouldBe": report::told(&told),
    }))
}
