//! `Recall/plan`: what requests would come to, without anything being done or put on record as asked.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_base::AccountId;
use tern_recall::{Awaited, Requester};

use super::refused::{failed, refused};
use super::{ask, report, requester};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::{args, date, limits};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    plan: Map<String, Value>,
}

/// `Recall/plan`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    if args.plan.len() > limits::MAX_OBJECTS_IN_SET {
        return Err(MethodError::REQUEST_TOO_LARGE);
    }
    let by = requester(cx, account)?;
    let (mut planned, mut not_planned) = (Map::new(), Map::new());
    for (name, asked) in args.plan {
        match plan(cx, account, &by, &asked) {
            Ok(plan) => drop(planned.insert(name, plan)),
            Err(error) => drop(not_planned.insert(name, error.into_json())),
        }
    }
    let map = |map: Map<String, Value>| (!map.is_empty()).then_some(map);
    Ok(json!({
        "accountId": args.account_id, "planned": map(planned), "notPlanned": map(not_planned),
    }))
}

fn plan(
    cx: &mut Context<'_>,
    account: AccountId,
    by: &Requester,
    asked: &Value,
) -> Result<Value, SetError> {
    let request = ask::read(cx, account, by.clone(), asked)?;
    cx.work.take(limits::WORK_PER_PLAN)?;
    let run = cx.verbs.recalls.dry_run(&request, cx.now).map_err(failed)?;
    let run = run.map_err(|refusal| {
        cx.work.took(limits::WORK_PER_REFUSED);
        refused(refusal, None)
    })?;
    // What it took is known by now: the next one pays, however much it was.
    let copies: u64 = run.outcomes.iter().map(|(_, copies)| copies).sum();
    cx.work.took(copies * limits::WORK_PER_OUTCOME);
    let found = &run.submission;
    let message_id = Some(found.message_id.as_str()).filter(|id| !id.is_empty());
    let awaits = run.awaits.map(|awaited| match awaited {
        Awaited::StepUp { .. } => "second-factor",
        Awaited::Approval { .. } => "approval",
        Awaited::Time { .. } => "time",
    });
    Ok(json!({
        "submissionId": found.id.to_string(), "messageId": message_id,
        "subject": found.subject_text(), "sentAt": date::utc(found.submitted),
        "recipientCount": u64::from(found.accounts) + u64::from(found.outside),
        "outcomes": report::told(&run.outcomes), "waitsFor": awaits,
    }))
}
