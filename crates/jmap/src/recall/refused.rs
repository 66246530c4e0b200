//! What is not done, as SetErrors: a refusal of the request by the name that RFC 8620 5.3 has for it, or
//! else by its own, spelled as that does.

use tern_directory::CodeRefused;
use tern_recall::{RecallError, RecallId, Refusal};

use super::id;
use crate::date;
use crate::error::SetError;

/// A request that was refused; the refusal is on record under this id, where it is.
pub(super) fn refused(refusal: Refusal, on_record: Option<RecallId>) -> SetError {
    let kind = match refusal {
        Refusal::Failed => String::from("serverFail"),
        Refusal::RateLimited => String::from("rateLimit"),
        Refusal::TooManyPlanned => String::from("overQuota"),
        other => camel(other.code()),
    };
    let error = SetError::new(&kind, refusal.sentence());
    match on_record {
        Some(recall) => error.and("recallId", id::of(recall).into()),
        None => error,
    }
}

/// A name in words with hyphens as RFC 8620 spells names.
fn camel(code: &str) -> String {
    let mut words = code.split('-');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at_checked(1).unwrap_or(("", word));
        out.push_str(&first.to_ascii_uppercase());
        out.push_str(rest);
    }
    out
}

/// A verb that was not done.
pub(super) fn failed(error: RecallError) -> SetError {
    match error {
        RecallError::NoRecall => SetError::not_found(),
        RecallError::WrongState(state) => {
            SetError::new("wrongState", format!("the recall is {state}")).and("state", state.into())
        }
        RecallError::NotAllowed(why) => SetError::new("forbidden", format!("not allowed: {why}")),
        RecallError::Mailbox(error) => error.into(),
        RecallError::NoHold
        | RecallError::TooMany
        | RecallError::Nobody(_)
        | RecallError::Audit(_)
        | RecallError::Store(_) => SetError::new("serverFail", "the server could not do it"),
    }
}

/// A code that does not prove the second factor.
pub(super) fn code_refused(why: CodeRefused) -> SetError {
    match why {
        CodeRefused::NotSetUp => SetError::new("codeNotSetUp", why.to_string()),
        CodeRefused::Wrong { left } => {
            SetError::new("codeWrong", why.to_string()).and("triesLeft", left.into())
        }
        CodeRefused::Locked { until } => {
            SetError::new("codeLocked", why.to_string()).and("until", date::utc(until).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_named_as_json_names_are() {
        let kind = |refusal| refused(refusal, None).kind().to_owned();
        assert_eq!(kind(Refusal::NotYours), "notYours");
        assert_eq!(kind(Refusal::StepUpRequired), "stepUpRequired");
        assert_eq!(kind(Refusal::NotFound), "notFound");
        assert_eq!(kind(Refusal::Failed), "serverFail");
        assert_eq!(kind(Refusal::RateLimited), "rateLimit");
        assert_eq!(kind(Refusal::TooManyPlanned), "overQuota");
        let on_record = refused(Refusal::TooOld, Some(RecallId([1; 16]))).into_json();
        assert_eq!(on_record["recallId"], format!("R{}", "01".repeat(16)));
    }
}
